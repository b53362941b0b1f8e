"""Rates: how many requests per second are accepted, over all connections that share a limit.

Owns the buckets; used by reader tasks in the Trio loop, which pass the time. A limit belongs to a
key, or to a user where no keys are required. Guarantees: no key uses up the tokens of another
key, whatever users both may name; a frame without a token is refused as throttled in its
place and costs no token; control messages take message tokens like queries, except those that keep
a connection alive or end it; cancels have their own bucket, so that a client that trades too fast
can still leave; a connection is cut only for its own excess; buckets are forgotten once they are
full again, so memory is bounded by the last burst. Without limits nothing is checked.
Source: the rules of docs/architecture.md, "Limits".
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hpe.core.contract import Run
from hpe.net.limits.buckets import Bucket, Rate
from hpe.net.logon import Grant
from hpe.protocol.admission import CANCEL
from hpe.protocol.base import type_number
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Heartbeat, Logout

EXCESS_WINDOW_S: Final = 1.0
"""A connection is cut if more is refused within this time than the rate would allow in it."""

SWEEP_MIN: Final = 1_024
"""Limits remembered before full buckets among them are searched for."""


class RateLimits(NamedTuple):
    """Tokens per second and at once; a rate of 0 is no limit, a burst of 0 one second's tokens."""

    messages_per_s: int = 0
    messages_burst: int = 0
    cancels_per_s: int = 0
    cancels_burst: int = 0


_LOGOUT: Final = type_number(Logout)
_HEARTBEAT: Final = type_number(Heartbeat)

_FREE_HEARTBEATS: Final = Rate(10, 100)
"""Heartbeats that a connection may send without tokens: three times as many as the shortest
interval makes, and those of 30 s at once, as after a pause of either side."""


class _Excess:
    """The requests of one connection that were refused for lack of one kind of token."""

    __slots__ = ("count", "since_s")

    def __init__(self) -> None:
        self.count = 0
        self.since_s = float("-inf")

    def add(self, rate: Rate, now_s: float) -> bool:
        """Count one; return True if more than twice the rate came: as much again was refused."""
        if now_s - self.since_s >= EXCESS_WINDOW_S:
            self.count, self.since_s = 0, now_s
        self.count += 1
        return self.count > rate.per_s * EXCESS_WINDOW_S


Payer = int | str
"""Who pays the tokens: a key, or a user where no keys are required."""


def payer_of(grant: Grant, user: int) -> Payer:
    """Return who pays for a user's session."""
    return grant.key_id or user


class Sender:
    """One connection as the rates see it.

    Args:
        grant: what it may do.
        user: the session's user.
    """

    __slots__ = ("cancels", "heartbeats", "messages", "payer")

    def __init__(self, grant: Grant, user: int) -> None:
        self.payer = payer_of(grant, user)
        self.heartbeats = Bucket()
        self.messages = _Excess()
        self.cancels = _Excess()


class RateLimiter:
    """The buckets of all payers."""

    def __init__(self, limits: RateLimits) -> None:
        self._messages = _rate(limits.messages_per_s, limits.messages_burst)
        self._cancels = _rate(limits.cancels_per_s, limits.cancels_burst)
        self._buckets: dict[Payer, tuple[Bucket, Bucket]] = {}
        self._sweep_at = SWEEP_MIN
        self.throttled = 0

    @property
    def limited(self) -> bool:
        """True if there is any limit."""
        return self._messages is not None or self._cancels is not None

    def admit(self, sender: Sender, run: Run, now_s: float) -> tuple[list[Run], bool]:
        """Take a token for each frame; mark frames without one as throttled.

        Returns:
            The run in pieces, and True if its sender is to be cut for staying far above its rate.

        Cost: one look at each frame; none without limits.
        """
        messages, cancels = self._messages, self._cancels
        if messages is None and cancels is None:
            return [run], False
        of_messages, of_cancels = self._of(sender.payer, now_s)
        cut = False

        def decide(admission: int, _start: int, _end: int) -> int:
            nonlocal cut
            is_cancel = admission == CANCEL
            rate, bucket = (cancels, of_cancels) if is_cancel else (messages, of_messages)
            if rate is None or bucket.take(rate, now_s):
                return 0
            self.throttled += 1
            excess = sender.cancels if is_cancel else sender.messages
            cut = excess.add(rate, now_s) or cut
            return ErrorCode.THROTTLED

        return run.split(decide), cut

    def admit_control(self, sender: Sender, kind: int, now_s: float) -> tuple[int, bool]:
        """Take a token for a control message.

        Args:
            sender: the connection.
            kind: type of the message.
            now_s: Trio time.

        Returns:
            0, or the ErrorCode that refuses it; and True if its sender is to be cut.
        """
        rate = self._messages
        if rate is None or kind == _LOGOUT:
            return 0, False
        if kind == _HEARTBEAT and sender.heartbeats.take(_FREE_HEARTBEATS, now_s):
            return 0, False
        if self._of(sender.payer, now_s)[0].take(rate, now_s):
            return 0, False
        self.throttled += 1
        return ErrorCode.THROTTLED, sender.messages.add(rate, now_s)

    def __len__(self) -> int:
        """Return the number of payers that are remembered."""
        return len(self._buckets)

    def _of(self, payer: Payer, now_s: float) -> tuple[Bucket, Bucket]:
        buckets = self._buckets.get(payer)
        if buckets is None:
            if len(self._buckets) >= self._sweep_at:
                self._sweep(now_s)
            buckets = self._buckets[payer] = (Bucket(), Bucket())
        return buckets

    def _sweep(self, now_s: float) -> None:
        """Forget payers whose buckets are full; sweep again after as many have been added."""
        self._buckets = {
            payer: pair
            for payer, pair in self._buckets.items()
            if max(pair[0].full_at_s, pair[1].full_at_s) > now_s
        }
        self._sweep_at = max(SWEEP_MIN, 2 * len(self._buckets))


def _rate(per_s: int, burst: int) -> Rate | None:
    return Rate(per_s, burst) if per_s else None
