"""Token buckets: a rate per second, and a burst.

Owns the arithmetic; used in the Trio loop by what limits something, which passes the time in. A
bucket is one number, the time at which it will be full again (the generic cell rate algorithm): a
token moves that time `interval` further, and is available as long as it is then at most `capacity`
ahead of now. No refill has to be computed, and "full" is a comparison.
"""

from __future__ import annotations


class Rate:
    """One kind of tokens: constants of all its buckets.

    The capacity has half an interval on top: sums of floats must not cost a burst's last token.

    Args:
        per_s: tokens per second.
        burst: at once; 0 is one second's tokens.
    """

    __slots__ = ("capacity_s", "interval_s", "per_s")

    def __init__(self, per_s: float, burst: int) -> None:
        self.per_s = per_s
        self.interval_s = 1 / per_s
        self.capacity_s = ((burst or per_s) + 0.5) * self.interval_s


class Bucket:
    """Tokens of one kind."""

    __slots__ = ("full_at_s",)

    def __init__(self) -> None:
        self.full_at_s = float("-inf")

    def take(self, rate: Rate, now_s: float) -> bool:
        """Take a token, if there is one."""
        full_at_s = max(self.full_at_s, now_s) + rate.interval_s
        if full_at_s - now_s > rate.capacity_s:
            return False
        self.full_at_s = full_at_s
        return True

    def charge(self, rate: Rate, count: int, now_s: float) -> None:
        """Take tokens, also those that are not there yet."""
        if count:
            self.full_at_s = max(self.full_at_s, now_s) + count * rate.interval_s

    def is_overdrawn(self, rate: Rate, now_s: float) -> bool:
        """True if tokens were taken that are not there yet."""
        return self.full_at_s - now_s > rate.capacity_s
