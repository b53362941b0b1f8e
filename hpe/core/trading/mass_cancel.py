"""Mass cancel: ending all open orders of a user, of everybody, of an instrument or a side.

Part of the deterministic core. Which orders are meant, and how many of them one command ends, is
protocol.md's, "Request 75 `mass_cancel`".
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from hpe.core.context.command import Context
from hpe.core.context.effort import ROW
from hpe.core.trading.exchange_state import ExchangeState
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order, UserOrders
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import InstrumentStatus
from hpe.protocol.orders import MassCancel, MassCancelResponse

_NONE: Final = RejectReason.NONE
_HALTED: Final = InstrumentStatus.HALTED


class MassCanceling:
    """Carries out mass cancels on one exchange."""

    def __init__(self, exchange: ExchangeState) -> None:
        self._exchange = exchange
        self._books = exchange.books
        self._users = exchange.orders.users
        self._market = exchange.market

    def mass_cancel(self, context: Context, command: MassCancel) -> MassCancelResponse:
        """Cancel the matching open orders in ascending order id, up to the limit."""
        reason, user, books = _NONE, command.user or context.user, self._books
        if command.user and command.all_users:
            reason = RejectReason.INVALID_COMBINATION
        elif command.instrument and command.instrument not in books:
            reason = RejectReason.UNKNOWN_INSTRUMENT
        if reason:
            return MassCancelResponse(command.request_id, 0, context.sequence, reason, 0, 0)
        theirs = self._users.get(user)
        users = [theirs] if theirs is not None else []
        if command.all_users:
            users = list(self._users.values())
        self._market.effort.charge(ROW, len(users) + sum(len(each.by_id) for each in users))
        found = [order for each in users for order in self._matching(each, command)]
        if len(users) > 1:
            found.sort(key=lambda order: order.order_id)
        passed = [order for order in found if _is_uncrossing(books[order.instrument_id])]
        if passed:
            found = [order for order in found if not _is_uncrossing(books[order.instrument_id])]
        taken = found[: self._exchange.limits.mass_cancel]
        for leg, other in pairwise(taken):
            if leg.partner is other:  # the legs of a pair have neighboring ids
                self._market.part(leg)
        for order in taken:
            request_id = command.request_id if order.user == user else 0
            book = books[order.instrument_id]
            self._market.cancel(book, order, CancelReason.MASS_CANCEL, request_id)
        remaining = len(passed) + sum(not order.reason for order in found[len(taken) :])
        return MassCancelResponse(
            command.request_id, 0, context.sequence, _NONE, len(taken), remaining
        )

    def _matching(self, mine: UserOrders, command: MassCancel) -> list[Order]:
        """Return what a mass cancel means of one user, by id; a halted instrument's orders stay."""
        side, instrument_id, books = command.side, command.instrument, self._books
        return [
            order
            for piece in mine.open_after(0)
            for order in piece
            if (not side or order.side == side)
            and (not instrument_id or order.instrument_id == instrument_id)
            and books[order.instrument_id].status is not _HALTED
        ]


def _is_uncrossing(book: OrderBook) -> bool:
    return book.work is not None and book.work.uncrossing is not None
