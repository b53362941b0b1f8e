"""Seeded request traffic, encoded before the clock starts.

Owns what load requests look like. Pure: the same mix, seed and connection give the same frames.
Request ids rise by one from FIRST_REQUEST_ID; requests for setting up have smaller ones (a session
may leave gaps).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from hpe.protocol.base import Request
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.frames import encode_frame
from hpe.protocol.orders import CancelOrder, SubmitOrder

FIRST_REQUEST_ID: Final = 1_001

MID_TICKS: Final = 10_000
WIDTH_TICKS: Final = 50
"""Orders of the mixed traffic are up to this far on their own side of the mid ..."""
CROSSING_TICKS: Final = 4
"""... or up to this far on the other side, where they may trade."""
QUANTITY_MAX: Final = 100

IMMEDIATE_SHARE: Final = 0.10
CANCELS_BELOW: Final = 0.40
CANCELS_ABOVE: Final = 0.60
"""Share of cancels among the other requests while a connection has fewer orders than at the start,
and while it has more: the book stays as large as it was."""

RESTING: Final = 20_000
"""Orders of the mixed traffic that rest, over all connections, when the clock starts."""

MIXES: Final = ("mixed", "simple")
"""mixed: 45 % limit orders around a mid (some trade), 45 % cancels of an earlier order (which are
rejected if it is gone), 10 % immediate-or-cancel, in a book of about RESTING orders. simple: a
resting order and its cancel, in turn; nothing trades and nothing else rests."""


class ConnectionTraffic(NamedTuple):
    """One connection's requests in one piece.

    `ends[i]` is where request i's frame ends. The first `filling` requests fill the book; they are
    sent before the clock starts. A server that does not look at its requests may get all of them
    several times.
    """

    frames: bytes
    ends: Sequence[int]
    filling: int
    repeats: int = 1

    @property
    def total(self) -> int:
        """Return the number of requests."""
        return len(self.ends) * self.repeats

    def end_of(self, count: int) -> int:
        """Return how many bytes the first `count` requests have."""
        rounds, some = divmod(count, len(self.ends))
        return rounds * len(self.frames) + (self.ends[some - 1] if some else 0)


def encode_traffic(
    mix: str, seed: int, connection: int, count: int, instrument: int, resting: int = 0
) -> ConnectionTraffic:
    """Return one connection's requests.

    Args:
        mix: one of MIXES.
        seed: the seed of the whole run.
        connection: number of the connection; each has a random stream of its own.
        count: number of requests on the clock.
        instrument: the id that orders name.
        resting: orders of the connection that rest when the clock starts; of mixed traffic only.
    """
    flow = _Flow(Random(seed * 1_000_003 + connection), instrument, resting)
    filling = resting if mix == "mixed" else 0
    make = flow.mixed if mix == "mixed" else flow.simple
    frames: list[bytes] = []
    ends: list[int] = []
    end = 0
    for number in range(filling + count):
        request_id = FIRST_REQUEST_ID + number
        frame = encode_frame((flow.rest if number < filling else make)(request_id))
        end += len(frame)
        frames.append(frame)
        ends.append(end)
    return ConnectionTraffic(b"".join(frames), ends, filling)


class _Flow:
    """Makes a connection's requests; `_live` are its orders that it has not canceled."""

    def __init__(self, random: Random, instrument: int, resting: int) -> None:
        self._random = random
        self._instrument = instrument
        self._resting = resting
        self._live: list[int] = []

    def mixed(self, request_id: int) -> Request:
        """Return an order that may trade, or the cancel of any order."""
        random, live = self._random, self._live
        if random.random() < IMMEDIATE_SHARE:
            return self._order(request_id, -CROSSING_TICKS, TimeInForce.IOC)
        cancels = CANCELS_ABOVE if len(live) > self._resting else CANCELS_BELOW
        if random.random() < cancels and live:
            # Swapped with the last one: any order can be removed at the same cost.
            index = random.randrange(len(live))
            live[index], live[-1] = live[-1], live[index]
            return self._cancel(request_id)
        live.append(request_id)
        return self._order(request_id, -CROSSING_TICKS)

    def simple(self, request_id: int) -> Request:
        """Return an order that rests, or its cancel."""
        return self._cancel(request_id) if self._live else self.rest(request_id)

    def rest(self, request_id: int) -> Request:
        """Return an order that cannot trade with others of this kind."""
        self._live.append(request_id)
        return self._order(request_id, 1)

    def _cancel(self, request_id: int) -> CancelOrder:
        return CancelOrder(request_id, 0, self._live.pop())

    def _order(
        self, request_id: int, nearest: int, tif: TimeInForce = TimeInForce.GTC
    ) -> SubmitOrder:
        """Return an order at least `nearest` ticks from the mid on its own side."""
        random = self._random
        side = Side.BUY if random.random() < 0.5 else Side.SELL
        away = random.randint(nearest, WIDTH_TICKS)
        price = MID_TICKS - away if side is Side.BUY else MID_TICKS + away
        quantity = random.randint(1, QUANTITY_MAX)
        kind = OrderType.LIMIT
        return SubmitOrder(
            request_id, self._instrument, request_id, side, kind, tif, price, quantity
        )


def funds_needed(count: int) -> int:
    """Return the most that a connection can need of either asset: all its orders open at once."""
    return count * QUANTITY_MAX * (MID_TICKS + WIDTH_TICKS)
