"""Seeded request traffic, encoded before the clock starts.

Owns what load requests look like. Pure: the same mix, seed and connection give the same frames.
Request ids rise by one from FIRST_REQUEST_ID; requests for setting up have smaller ones (a session
may leave gaps).
"""

from __future__ import annotations

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

CANCEL_SHARE: Final = 0.35
IMMEDIATE_SHARE: Final = 0.10

MIXES: Final = ("mixed", "simple")
"""mixed: 55 % limit orders around a mid (some trade), 35 % cancels of an earlier order (which are
rejected if it is gone), 10 % immediate-or-cancel. simple: a resting order and its cancel, in turn;
nothing trades."""


class Traffic(NamedTuple):
    """One connection's requests in one piece; `ends[i]` is where request i's frame ends."""

    frames: bytes
    ends: list[int]


def encode_traffic(mix: str, seed: int, connection: int, count: int, instrument: int) -> Traffic:
    """Return one connection's requests.

    Args:
        mix: one of MIXES.
        seed: the seed of the whole run.
        connection: number of the connection; each has a random stream of its own.
        count: number of requests.
        instrument: the id that orders name.
    """
    random = Random(seed * 1_000_003 + connection)
    live: list[int] = []
    make = _mixed if mix == "mixed" else _simple
    frames: list[bytes] = []
    ends: list[int] = []
    end = 0
    for request_id in range(FIRST_REQUEST_ID, FIRST_REQUEST_ID + count):
        frame = encode_frame(make(random, live, request_id, instrument))
        end += len(frame)
        frames.append(frame)
        ends.append(end)
    return Traffic(b"".join(frames), ends)


def _mixed(random: Random, live: list[int], request_id: int, instrument: int) -> Request:
    roll = random.random()
    if roll < CANCEL_SHARE and live:
        # Swapped with the last one: any order can be removed at the same cost.
        index = random.randrange(len(live))
        live[index], live[-1] = live[-1], live[index]
        return CancelOrder(request_id, 0, live.pop())
    side = Side.BUY if random.random() < 0.5 else Side.SELL
    away = random.randint(-CROSSING_TICKS, WIDTH_TICKS)
    price = MID_TICKS - away if side is Side.BUY else MID_TICKS + away
    quantity = random.randint(1, QUANTITY_MAX)
    if roll > 1 - IMMEDIATE_SHARE:
        return _order(request_id, instrument, side, TimeInForce.IOC, price, quantity)
    live.append(request_id)
    return _order(request_id, instrument, side, TimeInForce.GTC, price, quantity)


def _simple(random: Random, live: list[int], request_id: int, instrument: int) -> Request:
    if live:
        return CancelOrder(request_id, 0, live.pop())
    live.append(request_id)
    side = Side.BUY if random.random() < 0.5 else Side.SELL
    away = random.randint(1, WIDTH_TICKS)
    price = MID_TICKS - away if side is Side.BUY else MID_TICKS + away
    quantity = random.randint(1, QUANTITY_MAX)
    return _order(request_id, instrument, side, TimeInForce.GTC, price, quantity)


def _order(
    request_id: int, instrument: int, side: Side, tif: TimeInForce, price: int, quantity: int
) -> SubmitOrder:
    return SubmitOrder(
        request_id, instrument, request_id, side, OrderType.LIMIT, tif, price, quantity
    )


def funds_needed(count: int) -> int:
    """Return the most that a connection can need of either asset: all its orders open at once."""
    return count * QUANTITY_MAX * (MID_TICKS + WIDTH_TICKS)
