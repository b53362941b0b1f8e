"""Token buckets: how many requests a user may send, over all its connections.

Owns the buckets; used by reader tasks in the Trio loop, which pass the time in. Guarantees: a
frame without a token is refused as throttled in its place and costs no token; cancels have a
bucket of their own, so that who trades too fast can still leave; a user's buckets are forgotten
once they are full again, so memory is bounded by the users of the last burst. Without limits
nothing is looked at. Source: the rules of docs/architecture.md, "Limits".

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm):
a token puts that time `interval` further, and is there as long as it is then at most `capacity`
ahead of now. No refill has to be computed, and "full" is a comparison.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hpe.core.core import Run
from hpe.messages import ErrorCode
from hpe.net.runs import CANCEL_TYPES, split_run

EXCESS_WINDOW_S: Final = 1.0
"""Who has more refused within this time than the rate would allow in it is cut."""

SWEEP_USERS_MIN: Final = 1_024
"""Users remembered before the full buckets among them are looked for."""


class RateLimits(NamedTuple):
    """Tokens per second and at once; a rate of 0 is no limit, a burst of 0 one second's tokens."""

    messages_per_s: int = 0
    messages_burst: int = 0
    cancels_per_s: int = 0
    cancels_burst: int = 0


class _Rate:
    """One kind of tokens: constants of all its buckets.

    The capacity has half an interval on top: sums of floats must not cost a burst's last token.
    """

    __slots__ = ("capacity_s", "interval_s", "per_s")

    def __init__(self, per_s: int, burst: int) -> None:
        self.per_s = per_s
        self.interval_s = 1 / per_s
        self.capacity_s = ((burst or per_s) + 0.5) * self.interval_s


class _Bucket:
    """One user's tokens of one kind, and what was refused for want of them."""

    __slots__ = ("excess", "excess_since_s", "full_at_s")

    def __init__(self) -> None:
        self.full_at_s = float("-inf")
        self.excess = 0
        self.excess_since_s = float("-inf")

    def take(self, rate: _Rate, now_s: float) -> bool:
        """Take a token, if there is one."""
        full_at_s = max(self.full_at_s, now_s) + rate.interval_s
        if full_at_s - now_s > rate.capacity_s:
            if now_s - self.excess_since_s >= EXCESS_WINDOW_S:
                self.excess, self.excess_since_s = 0, now_s
            self.excess += 1
            return False
        self.full_at_s = full_at_s
        return True

    def exceeded(self, rate: _Rate) -> bool:
        """Tell whether more than twice the rate came: as much again as it allows was refused."""
        return self.excess > rate.per_s * EXCESS_WINDOW_S

    def idle(self, now_s: float) -> bool:
        """Tell whether forgetting it changes nothing."""
        return self.full_at_s <= now_s and now_s - self.excess_since_s >= EXCESS_WINDOW_S


class Rates:
    """The buckets of all users."""

    def __init__(self, limits: RateLimits) -> None:
        self._messages = _rate(limits.messages_per_s, limits.messages_burst)
        self._cancels = _rate(limits.cancels_per_s, limits.cancels_burst)
        self._buckets: dict[int, tuple[_Bucket, _Bucket]] = {}
        self._sweep_at = SWEEP_USERS_MIN
        self.throttled = 0

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self._messages is not None or self._cancels is not None

    def admit(self, user: int, run: Run, now_s: float) -> tuple[list[Run], bool]:
        """Take a token for each frame; mark those for which there is none as throttled.

        Returns:
            The run in pieces, and whether its sender is to be cut for going on far above the rate.

        Cost: one look at each frame, none without limits.
        """
        messages, cancels = self._messages, self._cancels
        if messages is None and cancels is None:
            return [run], False
        of_messages, of_cancels = self._of(user, now_s)
        cut = False

        def decide(kind: int, _start: int, _end: int) -> int:
            nonlocal cut
            is_cancel = kind in CANCEL_TYPES
            rate, bucket = (cancels, of_cancels) if is_cancel else (messages, of_messages)
            if rate is None or bucket.take(rate, now_s):
                return 0
            self.throttled += 1
            cut = cut or bucket.exceeded(rate)
            return ErrorCode.THROTTLED

        return split_run(run, decide), cut

    def __len__(self) -> int:
        """Count the users that are remembered."""
        return len(self._buckets)

    def _of(self, user: int, now_s: float) -> tuple[_Bucket, _Bucket]:
        buckets = self._buckets.get(user)
        if buckets is None:
            if len(self._buckets) >= self._sweep_at:
                self._sweep(now_s)
            buckets = self._buckets[user] = (_Bucket(), _Bucket())
        return buckets

    def _sweep(self, now_s: float) -> None:
        """Forget whose buckets are full; the next sweep comes when as many have been added."""
        self._buckets = {
            user: pair
            for user, pair in self._buckets.items()
            if not (pair[0].idle(now_s) and pair[1].idle(now_s))
        }
        self._sweep_at = max(SWEEP_USERS_MIN, 2 * len(self._buckets))


def _rate(per_s: int, burst: int) -> _Rate | None:
    return _Rate(per_s, burst) if per_s else None
