"""Mass cancel: end all open orders of a user or of all users, of an instrument or a side.

Part of the deterministic core. A mass cancel of one user visits only the orders that it cancels,
and in one batch, all sessions of a key together can cancel only a bounded number of orders. So
however many orders a key has or cancels, the other keys do not wait for that. protocol.md, "Request
75 `mass_cancel`", defines which orders match, and how many of them one command ends.
"""

from __future__ import annotations

from heapq import merge
from itertools import chain, islice, pairwise
from typing import Final

from hpe.core.context.command import Context
from hpe.core.context.effort import ROW
from hpe.core.trading.exchange_state import ExchangeState
from hpe.core.trading.order_index import id_of
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order
from hpe.core.trading.paging import Shelf
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import InstrumentStatus, Side
from hpe.protocol.orders import MassCancel, MassCancelResponse

_NONE: Final = RejectReason.NONE
_HALTED: Final = InstrumentStatus.HALTED

Market = tuple[OrderBook, Shelf[Order]]
"""The open orders of one user on one side of a book."""


class MassCanceling:
    """Executes mass cancels on one exchange."""

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
        markets = self._markets(user, command)
        shelves = [shelf for book, shelf in markets if not _is_uncrossing(book)]
        taken = self._taken(context, user, command, shelves)
        for leg, other in pairwise(taken):
            if leg.partner is other:  # the legs of a pair have neighboring ids
                self._market.part(leg)
        for order in taken:
            request_id = command.request_id if order.user == user else 0
            book = books[order.instrument_id]
            self._market.cancel(book, order, CancelReason.MASS_CANCEL, request_id)
        remaining = sum(len(shelf.rows) for _, shelf in markets)
        return MassCancelResponse(
            command.request_id, 0, context.sequence, _NONE, len(taken), remaining
        )

    def _markets(self, user: int, command: MassCancel) -> list[Market]:
        """Return the matching markets; a halted instrument's orders stay.

        Cost: the markets in which a user has orders; for all users, all of them.
        """
        theirs = self._users.get(user)
        users = [theirs] if theirs is not None else []
        if command.all_users:
            users = list(self._users.values())
        found: list[Market] = []
        for mine in users:
            for side, shelves in ((Side.BUY, mine.buys), (Side.SELL, mine.sells)):
                if command.side in (0, side):
                    wanted = (command.instrument,) if command.instrument else shelves
                    found += [(self._books[key], shelves[key]) for key in wanted if key in shelves]
        self._market.effort.charge(ROW, len(found) + (len(users) if command.all_users else 0))
        return [market for market in found if market[0].status is not _HALTED]

    def _taken(
        self, context: Context, user: int, command: MassCancel, shelves: list[Shelf[Order]]
    ) -> list[Order]:
        """Return the orders that end now, by id. Cost: these; for all users, all that match."""
        limits, effort = self._exchange.limits, self._market.effort
        if command.all_users:
            effort.charge(ROW, sum(len(shelf.rows) for shelf in shelves))
            return sorted(chain.from_iterable(shelves), key=id_of)[: limits.mass_cancel_all]
        key = context.holder.key
        owner = (key, 0 if key else user)
        before = effort.taken_off.get(owner, 0)
        taken = list(islice(merge(*shelves, key=id_of), limits.mass_cancel - before))
        effort.taken_off[owner] = before + len(taken)
        return taken


def _is_uncrossing(book: OrderBook) -> bool:
    return book.work is not None and book.work.uncrossing is not None
