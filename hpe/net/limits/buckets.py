"""Token buckets: a rate per second, and a burst.

Owns the arithmetic; used in the Trio loop by code that limits something and passes the time. A
bucket is one number, the time at which it will be full again (the generic cell rate algorithm): a
token moves that time forward by `interval`, and is available if the time is then at most `capacity`
ahead of now. No refill has to be computed, and "full" is a comparison.
"""

from __future__ import annotations


class Rate:
    """One kind of token: the constants of all its buckets.

    The capacity includes an extra half interval: float sums must not cost a burst its last token.

    Args:
        per_s: tokens per second.
        burst: tokens available at once; 0 means one second's tokens.
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
        """Take a token; return False if there is none."""
        full_at_s = max(self.full_at_s, now_s) + rate.interval_s
        if full_at_s - now_s > rate.capacity_s:
            return False
        self.full_at_s = full_at_s
        return True

    def charge(self, rate: Rate, count: int, now_s: float) -> None:
        """Take tokens, even those that are not available yet."""
        if count:
            self.full_at_s = max(self.full_at_s, now_s) + count * rate.interval_s

    def is_overdrawn(self, rate: Rate, now_s: float) -> bool:
        """True if more tokens were taken than are available yet."""
        return self.full_at_s - now_s > rate.capacity_s
