"""Cores with crowds of orders of every kind, and the plain commands that run beside them.

Owns what growth.py compares; uses only the contract of a core. Nothing is random.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from bench.report import AnswersWrong
from hpe.core import new_core
from hpe.core.codec import decode_body
from hpe.core.contract import SYSTEM_CONNECTION, Batch, Core, Output, Run
from hpe.protocol.base import Request
from hpe.protocol.control import Error
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.frames import chunk_of, encode_frame, split_frames
from hpe.protocol.internal import SessionAttached
from hpe.protocol.limits import AMOUNT_MAX, WINDOW_MAX
from hpe.protocol.listings import AddAsset, AddInstrument, GetInstrument, InstrumentReply
from hpe.protocol.money import Deposit
from hpe.protocol.operations import SetFees
from hpe.protocol.orders import (
    CancelOrder,
    CancelResponse,
    OcoResponse,
    OrderResponse,
    OrderTerms,
    SubmitOco,
    SubmitOrder,
)
from hpe.protocol.registry import AnyReply
from hpe.protocol.reports import ExecutionReport, OrderReport

MAKER, TAKER = 1, 2
FIRST_OF_CROWD: Final = 3
ORDERS_PER_USER: Final = 10

MID: Final = 1_000_000
GAP: Final = 20_000
"""Ticks between the mid and a crowd that must not trade: the highs of `rising` stay below it."""

FIRST_TRAIL: Final = 2 * GAP
TRAILS: Final = 50_021
"""Different trails; a prime number, so that a stride visits all of them."""

STOPS_PER_PEAK: Final = 10
"""The trailing stops that each new high moves, until all have one peak."""

FEES_PPM: Final = (100, 250)

ITERATIONS: Final = 250
RISES: Final = 40
"""Iterations of a slice; the highs of all slices together stay below the number of peaks."""

_BUY, _SELL = Side.BUY, Side.SELL
_LIMIT, _STOP, _STOP_LIMIT = OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT
_GTC, _GTD = TimeInForce.GTC, TimeInForce.GTD

BATCH_COMMANDS: Final = 1_024
"""Commands per batch: the bound that the service uses with the reference core."""

FEES_PER_BATCH: Final = 25
"""Each looks at all rates that users have: more of them would fill the batch."""

_CONNECTION: Final = 1
_ATTACH: Final = 1
_DECODER: Final = msgspec.msgpack.Decoder(AnyReply)


class CrowdedVenue:
    """A core with one pair, two plain users, and a crowd that is added order by order.

    One connection sends everything, for every user. `deep_price` is the price of a bid inside the
    crowd, `high` the highest price of a trade, `last_order_id` the newest order's id.
    """

    def __init__(
        self,
        crowd_orders: int,
        fees_ppm: tuple[int, int] = (0, 0),
        new_core: Callable[[], Core] = new_core,
    ) -> None:
        self.core = new_core()
        self.last_order_id = 0
        self._request_id = 0
        self._waiting: list[Request] = []
        self._apply(SYSTEM_CONNECTION, [SessionAttached(_ATTACH, 0, MAKER, WINDOW_MAX)])
        for symbol in ("BASE", "QUOTE"):
            self.add(AddAsset(self.next_id(), symbol, 0))
        maker_ppm, taker_ppm = fees_ppm
        pair = AddInstrument(self.next_id(), "BASE/QUOTE", 1, 2, maker_fee_ppm=maker_ppm,
                             taker_fee_ppm=taker_ppm)  # fmt: skip
        self.add(pair)
        self.users = crowd_orders // ORDERS_PER_USER + FIRST_OF_CROWD
        for user in range(1, self.users + 1):
            for asset in (1, 2):
                self.add(Deposit(self.next_id(), asset, AMOUNT_MAX // self.users, user))
        self.deep_price = MID - GAP - crowd_orders // 4 * 2 - 1
        self.high = MID
        self.trade_at(MID)

    def next_id(self) -> int:
        """Return the next unused request id."""
        self._request_id += 1
        return self._request_id

    def add(self, request: Request, batch: int = BATCH_COMMANDS) -> None:
        """Add a command; execute it together with later ones, as many as make a batch."""
        self._waiting.append(request)
        if len(self._waiting) >= batch:
            self.flush()

    def flush(self) -> None:
        """Execute the added commands; all must be accepted."""
        if self._waiting:
            requests, self._waiting = self._waiting, []
            self.execute(requests)

    def trade_at(self, price: int) -> None:
        """Let the plain users trade one lot."""
        for request in trade(self, 1, price):
            self.add(request)
        self.flush()

    def execute(self, requests: list[Request]) -> tuple[int, int]:
        """Execute commands in one batch; return the core's CPU time (ns) and number of trades."""
        elapsed_ns, output = self._apply(_CONNECTION, requests)
        for body in split_frames(output.replies_to(_CONNECTION)):
            reply: Any = _DECODER.decode(body)
            if isinstance(reply, OrderResponse):
                self.last_order_id = max(self.last_order_id, reply.order_id)
            elif isinstance(reply, OcoResponse):
                self.last_order_id = max(self.last_order_id, reply.stop_order_id)
            elif isinstance(reply, ExecutionReport | OrderReport):
                continue
            if isinstance(reply, Error) or (reply.reason and not isinstance(reply, CancelResponse)):
                raise AnswersWrong(f"a command was answered {reply}")
        return elapsed_ns, len(decode_body(bytes(output.body)).trades)

    def open_orders(self) -> int:
        """Return the number of open orders, waiting stops included."""
        self.flush()
        _, output = self._apply(_CONNECTION, [GetInstrument(1, 1)])
        (body,) = split_frames(output.replies_to(_CONNECTION))
        reply = _DECODER.decode(body)
        assert isinstance(reply, InstrumentReply)
        return reply.open_orders

    def _apply(self, connection: int, requests: list[Request]) -> tuple[int, Output]:
        frames = b"".join(map(encode_frame, requests))
        attach = _ATTACH if connection else 0
        run = Run(connection, attach, 0, chunk_of(frames))
        batch = Batch(self.core.last_time_ns + 1, [run])
        start = time.thread_time_ns()
        output = self.core.apply(batch)
        return time.thread_time_ns() - start, output


# --- crowds -------------------------------------------------------------------------------------


def _sides(count: int) -> Iterator[tuple[int, Side, int]]:
    """Number a crowd, alternating sides; `away` counts each side's orders in steps of 2."""
    for number in range(count):
        yield number, (_BUY if number % 2 else _SELL), number // 2 * 2


def _user(number: int) -> int:
    """Return the user of the crowd's order of this number."""
    return FIRST_OF_CROWD + number // ORDERS_PER_USER


def _limit(venue: CrowdedVenue, user: int, side: Side, price: int) -> SubmitOrder:
    return SubmitOrder(venue.next_id(), 1, 0, side, _LIMIT, _GTC, price, 1, user=user)


def _with_terms(
    venue: CrowdedVenue,
    number: int,
    side: Side,
    kind: OrderType,
    price: int,
    quantity: int,
    tif: TimeInForce = _GTC,
    **terms: int,
) -> None:
    """Add the crowd's order of this number."""
    order = SubmitOrder(venue.next_id(), 1, 0, side, kind, tif, price, quantity,
                        terms=OrderTerms(**terms), user=_user(number))  # fmt: skip
    venue.add(order)


def _beyond_gap(side: Side, away: int) -> int:
    return MID - GAP - away if side is _BUY else MID + GAP + away


def _nobody(venue: CrowdedVenue, count: int) -> None:
    """Add nothing."""


def _many_levels(venue: CrowdedVenue, count: int) -> None:
    for number, side, away in _sides(count):
        price = MID - 2 - away if side is _BUY else MID + away
        venue.add(_limit(venue, _user(number), side, price))
    venue.deep_price = MID - count // 4 * 2 - 1


def _one_level(venue: CrowdedVenue, count: int) -> None:
    for number, side, _ in _sides(count):
        venue.add(_limit(venue, _user(number), side, MID - 2 if side is _BUY else MID))
    venue.deep_price = MID - 2


def _icebergs(venue: CrowdedVenue, count: int) -> None:
    for number, side, away in _sides(count):
        price = _beyond_gap(side, away)
        _with_terms(venue, number, side, _LIMIT, price, 100, display_quantity=10)


def _expiring(venue: CrowdedVenue, count: int) -> None:
    for number, side, away in _sides(count):
        price, expires_ns = _beyond_gap(side, away), 10**15 + number * 7919 % 1009
        _with_terms(venue, number, side, _LIMIT, price, 1, _GTD, expires_ns=expires_ns)


def _fixed_stops(venue: CrowdedVenue, count: int) -> None:
    for number, side, away in _sides(count):
        trigger = MID + GAP + away if side is _BUY else MID - GAP - away
        _with_terms(venue, number, side, _STOP_LIMIT, trigger, 1, stop_price=trigger)


def _trailing(venue: CrowdedVenue, number: int, side: Side) -> None:
    trail = FIRST_TRAIL + number * 7919 % TRAILS
    buys = side is _BUY
    budget = 2 * MID if buys else 0
    _with_terms(venue, number, side, _STOP, 0, 0 if buys else 1, trail=trail, budget=budget)


def _one_peak(venue: CrowdedVenue, count: int) -> None:
    for number, side, _ in _sides(count):
        _trailing(venue, number, side)


def _many_peaks(venue: CrowdedVenue, count: int) -> None:
    """Rise to the mid while the buys come, fall to it while the sells come: each has its peak."""
    peaks, half = max(count // 2 // STOPS_PER_PEAK, 1), count // 2
    for number in range(half):
        if number % STOPS_PER_PEAK == 0:
            venue.trade_at(MID - peaks + number // STOPS_PER_PEAK)
        _trailing(venue, number, _BUY)
    for number in range(half, count):
        if (number - half) % STOPS_PER_PEAK == 0:
            venue.trade_at(MID + peaks - (number - half) // STOPS_PER_PEAK)
        _trailing(venue, number, _SELL)
    venue.trade_at(MID)


def _pairs(venue: CrowdedVenue, count: int) -> None:
    for number, side, away in _sides(count):
        price = _beyond_gap(side, away)
        stop_price = 2 * MID - price
        pair = SubmitOco(venue.next_id(), 1, side, 1, price, stop_price, stop_price,
                         user=_user(number))  # fmt: skip
        venue.add(pair)


def _own_fees(venue: CrowdedVenue, count: int) -> None:
    maker, taker = FEES_PPM
    for user in range(1, min(venue.users, 1_000) + 1):
        venue.add(SetFees(venue.next_id(), 1, maker, taker, user), FEES_PER_BATCH)


# --- what is measured ---------------------------------------------------------------------------


def rest(venue: CrowdedVenue, count: int, price: int) -> Iterator[Request]:
    """Make bids that rest, each canceled at once."""
    first = venue.last_order_id + 1
    for order_id in range(first, first + count):
        yield _limit(venue, MAKER, _BUY, price)
        yield CancelOrder(venue.next_id(), order_id, 0, MAKER)


def trade(venue: CrowdedVenue, count: int, price: int, step: int = 0) -> Iterator[Request]:
    """Make asks that rest, each followed by a bid that trades at its price."""
    for number in range(count):
        at = price + number * step
        yield _limit(venue, MAKER, _SELL, at)
        yield _limit(venue, TAKER, _BUY, at)


def _rising(venue: CrowdedVenue, count: int) -> Iterator[Request]:
    """Make trades, each one tick above all earlier ones."""
    first = venue.high + 1
    venue.high += count
    return trade(venue, count, first, 1)


class Operation(NamedTuple):
    """A measured operation: how its commands are made, whether they trade, how many per round."""

    name: str
    commands: Callable[[CrowdedVenue, int], Iterator[Request]]
    trades: bool
    iterations: int = ITERATIONS


REST = Operation("rest, cancel at the best", lambda venue, n: rest(venue, n, MID - 1), False)
DEEP = Operation("rest, cancel amid", lambda venue, n: rest(venue, n, venue.deep_price), False)
TRADE = Operation("trade with one maker", lambda venue, n: trade(venue, n, MID), True)
RISING = Operation("trade at a new high", _rising, True, RISES)


class Crowd(NamedTuple):
    """Two venues to compare: `build` makes the difference, apart from the fees."""

    name: str
    build: Callable[[CrowdedVenue, int], None]
    operations: tuple[Operation, ...] = (REST, DEEP, TRADE)
    fees_ppm: tuple[int, int] = (0, 0)
    fees_without_ppm: tuple[int, int] = (0, 0)
    legs: int = 1


CROWDS: Final = (
    Crowd("limit orders, many levels", _many_levels),
    Crowd("limit orders, one level", _one_level),
    Crowd("icebergs", _icebergs),
    Crowd("GTD orders", _expiring),
    Crowd("fixed stops", _fixed_stops, (REST, TRADE, RISING)),
    Crowd("trailing stops, one peak", _one_peak, (REST, TRADE, RISING)),
    Crowd("trailing stops, many peaks", _many_peaks, (REST, TRADE, RISING)),
    Crowd("OCO pairs", _pairs, legs=2),
    Crowd("fees, none resting", _nobody, (REST, TRADE), FEES_PPM, legs=0),
    Crowd("fees, 1,000 own rates", _own_fees, (REST, TRADE), FEES_PPM, FEES_PPM, legs=0),
    Crowd("fees, many levels", _many_levels, fees_ppm=FEES_PPM, fees_without_ppm=FEES_PPM),
)
