"""Exchanges with crowds of orders of every kind, and the plain commands that run beside them.

Owns what growth.py compares. Pure besides the exchanges that it makes: nothing is random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from hpe.core.exchange import Exchange
from hpe.messages import (
    AMOUNT_MAX,
    AddAsset,
    AddInstrument,
    CancelOrder,
    Deposit,
    OrderTerms,
    OrderType,
    SetFees,
    Side,
    SubmitOco,
    SubmitOrder,
    TimeInForce,
)

MAKER, TAKER = 1, 2
FIRST_OF_CROWD: Final = 3
ORDERS_PER_USER: Final = 10

MID: Final = 1_000_000
GAP: Final = 20_000
"""Ticks between the mid and a crowd that is not to trade: the highs of `rising` stay below."""

FIRST_TRAIL: Final = 2 * GAP
TRAILS: Final = 50_021
"""Different trails; a prime, so that a stride meets them all."""

STOPS_PER_PEAK: Final = 10
"""So many trailing stops each new high moves to other company, until all have one peak."""

FEES_PPM: Final = (100, 250)

ITERATIONS: Final = 250
RISES: Final = 40
"""Iterations of a slice; the highs of all slices together stay below the number of peaks."""

_BUY, _SELL = Side.BUY, Side.SELL
_LIMIT, _STOP, _STOP_LIMIT = OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT
_GTC, _GTD = TimeInForce.GTC, TimeInForce.GTD

_Prepared = tuple[Callable[[int, Any], object], int, Any]
"""Handler, user, command."""


class AnswersWrong(Exception):
    """The exchange did not do what the commands ask for: no figure is printed."""


class Venue:
    """An exchange with one pair, two plain users, and a crowd that is added order by order.

    `deep_price` is where a bid stands amid the crowd, `high` the highest price of a trade.
    """

    def __init__(self, crowd_orders: int, fees_ppm: tuple[int, int] = (0, 0)) -> None:
        exchange = self.exchange = Exchange()
        exchange.time_ns = 1
        exchange.settings.set(False, 0, 0, 10**7, 10**7)
        for symbol in ("BASE", "QUOTE"):
            exchange.catalogue.add_asset(0, AddAsset(1, symbol, 0))
        pair = AddInstrument(1, "BASE/QUOTE", 1, 2, maker_fee_ppm=fees_ppm[0],
                             taker_fee_ppm=fees_ppm[1])  # fmt: skip
        exchange.catalogue.add_instrument(0, pair)
        self.users = crowd_orders // ORDERS_PER_USER + FIRST_OF_CROWD
        for user in range(1, self.users + 1):
            for asset in (1, 2):
                exchange.treasury.deposit(user, Deposit(1, asset, AMOUNT_MAX // self.users))
        self.deep_price = MID - GAP - crowd_orders // 4 * 2 - 1
        self.high = MID
        self.trade_at(MID)

    def add(self, number: int, command: SubmitOrder | SubmitOco) -> None:
        """Add the crowd's order of this number; it must be accepted and stay open."""
        user = FIRST_OF_CROWD + number // ORDERS_PER_USER
        exchange = self.exchange
        pair = isinstance(command, SubmitOco)
        handler = exchange.pairs.submit_oco if pair else exchange.entry.submit_order
        answer = self.execute([(handler, user, command)])
        if answer.reason:
            raise AnswersWrong(f"order {number} of the crowd was answered {answer}")

    def trade_at(self, price: int) -> None:
        """Let the plain users trade one lot."""
        self.execute(list(trade(self, 1, price)))
        self.exchange.market.events.clear()

    def execute(self, commands: list[_Prepared]) -> Any:
        """Execute commands; returns the last one's answer."""
        exchange, answer = self.exchange, None
        for handler, user, command in commands:
            exchange.sequence += 1
            answer = handler(user, command)
        return answer


# --- crowds -------------------------------------------------------------------------------------


def _sides(count: int) -> Iterator[tuple[int, Side, int]]:
    """Number a crowd, its sides in turn; `away` counts each side's orders in steps of 2."""
    for number in range(count):
        yield number, (_BUY if number % 2 else _SELL), number // 2 * 2


def _limit(side: Side, price: int, quantity: int = 1) -> SubmitOrder:
    return SubmitOrder(1, 1, 0, side, _LIMIT, _GTC, price, quantity)


def _beyond_gap(side: Side, away: int) -> int:
    return MID - GAP - away if side is _BUY else MID + GAP + away


def _nobody(venue: Venue, count: int) -> None:
    """Add nothing."""


def _many_levels(venue: Venue, count: int) -> None:
    for number, side, away in _sides(count):
        venue.add(number, _limit(side, MID - 2 - away if side is _BUY else MID + away))
    venue.deep_price = MID - count // 4 * 2 - 1


def _one_level(venue: Venue, count: int) -> None:
    for number, side, _ in _sides(count):
        venue.add(number, _limit(side, MID - 2 if side is _BUY else MID))
    venue.deep_price = MID - 2


def _icebergs(venue: Venue, count: int) -> None:
    for number, side, away in _sides(count):
        price, terms = _beyond_gap(side, away), OrderTerms(display_quantity=10)
        venue.add(number, SubmitOrder(1, 1, 0, side, _LIMIT, _GTC, price, 100, terms=terms))


def _expiring(venue: Venue, count: int) -> None:
    for number, side, away in _sides(count):
        price, terms = _beyond_gap(side, away), OrderTerms(expires_ns=10**15 + number * 7919 % 1009)
        venue.add(number, SubmitOrder(1, 1, 0, side, _LIMIT, _GTD, price, 1, terms=terms))


def _fixed_stops(venue: Venue, count: int) -> None:
    for number, side, away in _sides(count):
        trigger = MID + GAP + away if side is _BUY else MID - GAP - away
        terms = OrderTerms(stop_price=trigger)
        venue.add(number, SubmitOrder(1, 1, 0, side, _STOP_LIMIT, _GTC, trigger, 1, terms=terms))


def _trailing(venue: Venue, number: int, side: Side) -> None:
    trail = FIRST_TRAIL + number * 7919 % TRAILS
    buys = side is _BUY
    terms = OrderTerms(trail=trail, budget=2 * MID if buys else 0)
    command = SubmitOrder(1, 1, 0, side, _STOP, _GTC, 0, 0 if buys else 1, terms=terms)
    venue.add(number, command)


def _one_peak(venue: Venue, count: int) -> None:
    for number, side, _ in _sides(count):
        _trailing(venue, number, side)


def _many_peaks(venue: Venue, count: int) -> None:
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


def _pairs(venue: Venue, count: int) -> None:
    for number, side, away in _sides(count):
        price = _beyond_gap(side, away)
        stop_price = 2 * MID - price
        venue.add(number, SubmitOco(1, 1, side, 1, price, stop_price, stop_price))


def _own_fees(venue: Venue, count: int) -> None:
    maker, taker = FEES_PPM
    for user in range(1, min(venue.users, 1_000) + 1):
        venue.exchange.operations.set_fees(0, SetFees(1, 1, maker, taker, user))


# --- what is measured ---------------------------------------------------------------------------


def rest(venue: Venue, count: int, price: int) -> Iterator[_Prepared]:
    """Make bids that rest, each canceled at once."""
    entry, first = venue.exchange.entry, venue.exchange.last_order_id + 1
    for order_id in range(first, first + count):
        yield entry.submit_order, MAKER, _limit(_BUY, price)
        yield entry.cancel_order, MAKER, CancelOrder(1, order_id)


def trade(venue: Venue, count: int, price: int, step: int = 0) -> Iterator[_Prepared]:
    """Make asks that rest, each followed by a bid that trades at its price."""
    submit = venue.exchange.entry.submit_order
    for number in range(count):
        at = price + number * step
        yield submit, MAKER, _limit(_SELL, at)
        yield submit, TAKER, _limit(_BUY, at)


def _rising(venue: Venue, count: int) -> Iterator[_Prepared]:
    """Make trades of which each is one tick above all before."""
    first = venue.high + 1
    venue.high += count
    return trade(venue, count, first, 1)


class Operation(NamedTuple):
    """What is measured: how its commands are made, whether they trade, how many make a round."""

    name: str
    commands: Callable[[Venue, int], Iterator[_Prepared]]
    trades: bool
    iterations: int = ITERATIONS


REST = Operation("rest, cancel at the best", lambda venue, n: rest(venue, n, MID - 1), False)
DEEP = Operation("rest, cancel amid", lambda venue, n: rest(venue, n, venue.deep_price), False)
TRADE = Operation("trade with one maker", lambda venue, n: trade(venue, n, MID), True)
RISING = Operation("trade at a new high", _rising, True, RISES)


class Crowd(NamedTuple):
    """Two venues that are compared: `build` makes the difference, beside what fees there are."""

    name: str
    build: Callable[[Venue, int], None]
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
