"""Which commands an instrument cannot execute now: it has unfinished work, or many dead orders.

Part of the deterministic core. Such a command is refused as `busy` before any part of it is
executed: it is not logged, and can be sent again. Cancels and changes of the market's status pass
while stops are queued; while an uncross is done in parts, nothing passes. Source: protocol.md,
"Unfinished work" and "Holds and due times".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpe.core.context.effort import ROW
from hpe.core.trading.dead import Search, count_dead
from hpe.core.trading.exchange_state import ExchangeState
from hpe.core.trading.kinds import STOPS
from hpe.core.trading.replacing import named_order, only_cancels
from hpe.core.trading.work import Work
from hpe.protocol.base import Request
from hpe.protocol.enums import InstrumentStatus, SelfTrade, Side
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.limits import INT_MAX
from hpe.protocol.listings import DelistInstrument
from hpe.protocol.operations import SetFees, SetStatus, Uncross
from hpe.protocol.orders import CancelOrder, MassCancel, ReplaceOrder, SubmitOco, SubmitOrder


class Busy:
    """Knows what is unfinished on one exchange."""

    def __init__(self, exchange: ExchangeState) -> None:
        self._books = exchange.books
        self._market = exchange.market
        self._users = exchange.orders.users
        self._tests: dict[type[Request], Callable[[int, Any], bool]] = {
            SubmitOrder: self._comes,
            SubmitOco: self._comes_in_pairs,
            Uncross: self._uncrosses,
            SetFees: self._changes,
            DelistInstrument: self._changes,
            ReplaceOrder: self._replaces,
            CancelOrder: self._cancels,
            MassCancel: self._cancels_many,
            SetStatus: self._cancels_many,
        }

    def refuses(self, user: int, request: Request) -> bool:
        """True if a command cannot be executed now, and is answered with `busy`."""
        test = self._tests.get(type(request))
        return test is not None and test(user, request)

    def _work_of(self, instrument_id: int) -> Work | None:
        book = self._books.get(instrument_id)
        return book.work if book is not None else None

    def _changes(
        self, user: int, request: SubmitOrder | SubmitOco | Uncross | SetFees | DelistInstrument
    ) -> bool:
        work = self._work_of(request.instrument)
        return work is not None and work.listed

    def _uncrosses(self, user: int, request: Uncross) -> bool:
        book = self._books.get(request.instrument)
        return self._changes(user, request) or (book is not None and book.dead_ns() > 0)

    def _comes(self, user: int, request: SubmitOrder) -> bool:
        if self._changes(user, request):
            return True
        if request.order_type in STOPS:
            return False
        if request.flags & ORDER_POST_ONLY:
            return self._passes_many(request.instrument, request.side, Search(request.price, 1))
        book = self._books.get(request.instrument)
        self_trade = request.self_trade or (book.instrument.self_trade if book is not None else 0)
        if not request.quantity and self_trade == SelfTrade.DECREMENT:
            self_trade = SelfTrade.CANCEL_TAKER  # a budget has no lots to cancel
        lots, owner = request.quantity or INT_MAX, request.user or user
        search = Search(request.price, lots, owner, self_trade)
        return self._passes_many(request.instrument, request.side, search)

    def _comes_in_pairs(self, user: int, request: SubmitOco) -> bool:
        if self._changes(user, request):
            return True
        return self._passes_many(request.instrument, request.side, Search(request.price, 1))

    def _passes_many(self, instrument: int, side: Side, search: Search) -> bool:
        """True if an order would meet more dead orders than a command may.

        The search is charged to the command. A command that is refused is not logged, so its search
        is added to `wasted` instead. Once that would fill a batch, orders are refused unsearched.
        """
        book = self._books.get(instrument)
        dead_ns = book.dead_ns() if book is not None else 0
        if book is None or not dead_ns or book.status is not InstrumentStatus.TRADING:
            return False
        limits, effort = self._market.limits, self._market.effort
        if effort.wasted >= limits.effort:
            return True
        passed = count_dead(book.opposite(side), search, dead_ns, limits)
        refused = passed.dead > limits.dead
        (effort.waste if refused else effort.charge)(ROW, passed.rows)
        return refused

    def _cancels_many(self, user: int, request: MassCancel | SetStatus) -> bool:
        work = self._work_of(request.instrument)
        return work is not None and work.uncrossing is not None

    def _cancels(self, user: int, request: CancelOrder) -> bool:
        order = named_order(self._users, user, request)
        work = self._work_of(order.instrument_id) if order is not None else None
        return work is not None and work.uncrossing is not None

    def _replaces(self, user: int, request: ReplaceOrder) -> bool:
        order = named_order(self._users, user, request)
        if order is None:
            return False
        book, cancels = self._books[order.instrument_id], only_cancels(request, order)
        work = book.work
        if work is not None and work.listed and (work.uncrossing is not None or not cancels):
            return True
        if cancels or order.waiting or order.is_dead(book.dead_ns()):
            return False
        lots = request.leaves_quantity
        if lots is None:
            done = order.cum + order.canceled
            lots = order.leaves if request.quantity is None else request.quantity - done
        price = request.price or order.price
        search = Search(price, lots, order.user, order.self_trade)
        if order.flags & ORDER_POST_ONLY:
            search = Search(price, 1)
        return self._passes_many(order.instrument_id, order.side, search)
