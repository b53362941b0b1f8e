"""Call auctions: how a call begins, is uncrossed (in parts if it has many fills), and ends.

Part of the deterministic core. auction.py computes the price; this module applies it to orders
and to the market's status. A call that an interruption began may end by itself, by a timer.
Source: protocol.md, "Call auctions".
"""

from __future__ import annotations

from typing import Final, Protocol

from hpe.core.context.command import Context
from hpe.core.context.effort import FILL, LEVEL, MOVED, UNCROSS, Effort
from hpe.core.contract import Limits
from hpe.core.timers import INTERRUPTION, Due, Timers
from hpe.core.trading.auction import Clearing, clearing, fill_auction
from hpe.core.trading.events import AuctionMatch, Event
from hpe.core.trading.executor import AuctionFill, Executor
from hpe.core.trading.order_index import OrderIndex
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order
from hpe.core.trading.turns import Turns
from hpe.core.trading.work import UncrossInProgress
from hpe.protocol.enums import InstrumentStatus

NS_PER_MS: Final = 1_000_000
_TRADING: Final = InstrumentStatus.TRADING


class CallMarket(Protocol):
    """What a call needs of its market; market.py, which implements it, is built on the calls."""

    limits: Limits
    orders: OrderIndex
    timers: Timers
    effort: Effort
    executor: Executor
    events: list[Event]
    turns: Turns
    last_trade_id: int

    def fire(self, book: OrderBook, prices: list[int]) -> None:
        """Note the prices of trades."""

    def give_turns(
        self, context: Context, book: OrderBook, *, fired: bool = True, resumed: bool = False
    ) -> None:
        """Run the turns of an instrument's stops."""

    def unlink(self, book: OrderBook, order: Order, request_id: int) -> None:
        """Dissolve an OCO pair, if the order belongs to one."""


class Calls:
    """Begins and ends the calls of a market."""

    def __init__(self, market: CallMarket) -> None:
        self._market = market
        self._timers = market.timers
        self._effort = market.effort

    def interrupt(self, context: Context, book: OrderBook) -> None:
        """Begin a call; if its instrument has `interruption_ms`, set a timer that ends it."""
        book.set_status(InstrumentStatus.CALL_AUCTION)
        if book.instrument.interruption_ms:
            due_ns = context.time_ns + book.instrument.interruption_ms * NS_PER_MS
            self.time_interruption(book, due_ns)

    def time_interruption(self, book: OrderBook, due_ns: int) -> None:
        """Set the time at which a call ends by itself."""
        book.interruption_due_ns = due_ns
        self._timers.add(*_interruption(book))

    def keep_call(self, book: OrderBook) -> None:
        """Remove the timer of a call, if it has one, so that it does not end by itself."""
        if book.interruption_due_ns:
            self._timers.remove(*_interruption(book))
            book.interruption_due_ns = 0
        if book.work is not None and book.work.interrupted:
            book.work.interrupted = False
            self._market.turns.review(book)

    def end_interruption(self, book: OrderBook) -> None:
        """Note that a call is due to end by itself: it is uncrossed in a turn of its instrument."""
        self.keep_call(book)
        self._market.turns.of(book).interrupted = True
        self._market.turns.review(book)

    def set_status(self, context: Context, book: OrderBook, status: InstrumentStatus) -> None:
        """Set an instrument's status; if that is trading, stops that the last price reached fire.

        Stops that were queued earlier and had to wait fire first.
        """
        work = book.work
        waited = work is not None and not work.is_empty and not work.goes_on(book.status)
        book.set_status(status)
        fired = status is _TRADING and book.last_price > 0 and book.triggers.count > 0
        if fired:
            self._market.fire(book, [book.last_price])
        self._market.turns.review(book)
        resumed = waited and work is not None and work.goes_on(status)
        if fired or resumed:
            self._market.give_turns(context, book, fired=fired, resumed=resumed)

    def uncross(self, context: Context, book: OrderBook, next_status: InstrumentStatus) -> Clearing:
        """Trade what crosses at one price, then go on in the next status."""
        self.keep_call(book)
        found = clearing(book)
        self._effort.charge(UNCROSS)
        self._effort.charge(LEVEL, book.bids.level_count() + book.asks.level_count())
        state = UncrossInProgress(*found, next_status)
        fills_max = self._market.limits.uncross_fills
        self._uncross(context, book, state, fills_max)
        return found

    def _uncross(
        self, context: Context, book: OrderBook, state: UncrossInProgress, fills_max: int
    ) -> None:
        """Do a part of an uncross; after the last part, the market continues."""
        work = self._market.turns.of(book)
        fills = fill_auction(book, state.price, state.volume_left, fills_max)
        if fills:
            self._settle_auction(book, fills)
        left = state.volume_left - sum(fill.quantity for fill in fills)
        if left:
            self.keep_uncrossing(book, state._replace(volume_left=left))
            return
        if work.uncrossing is not None:
            work.uncrossing = None
            self._timers.take_up(book.instrument.instrument_id)
        if state.price:
            self._effort.charge(MOVED, book.triggers.advance(state.price))
        self.set_status(context, book, state.next_status)

    def keep_uncrossing(self, book: OrderBook, state: UncrossInProgress) -> None:
        """Leave the rest of an uncross for later; the orders that it counts on stay alive."""
        work = self._market.turns.of(book)
        if work.uncrossing is None:
            self._timers.pass_over(book.instrument.instrument_id)
        work.uncrossing = state
        self._market.turns.review(book)

    def go_on_uncrossing(self, context: Context, book: OrderBook, state: UncrossInProgress) -> None:
        """Do the next part of an uncross."""
        self._uncross(context, book, state, self._market.limits.part_fills)

    def _settle_auction(self, book: OrderBook, fills: list[AuctionFill]) -> None:
        """Settle and number the trades of an uncross; file the filled orders as ended."""
        self._effort.charge(FILL, len(fills))
        instrument, first_id = book.instrument, self._market.last_trade_id + 1
        self._market.events.append(AuctionMatch(instrument.instrument_id, first_id, fills))
        book.last_trade_id = self._market.last_trade_id = self._market.last_trade_id + len(fills)
        for fill in fills:
            self._market.executor.settle_auction(instrument, fill)
        for fill in fills:
            for order, leaves in ((fill.buy, fill.buy_leaves), (fill.sell, fill.sell_leaves)):
                if not leaves:
                    self._market.orders.end(order)
                self._market.unlink(book, order, 0)


def _interruption(book: OrderBook) -> tuple[Due, int]:
    """Return the timer of an interruption, and the instrument that it belongs to."""
    instrument_id = book.instrument.instrument_id
    return (book.interruption_due_ns, INTERRUPTION, instrument_id, 0), instrument_id
