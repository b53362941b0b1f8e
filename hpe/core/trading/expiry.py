"""Ends orders whose expiry has passed.

Part of the deterministic core. Timers end them, within a bound per batch; until its timer acts,
such an order is *dead*: it is still there, but counts for nothing. A command that names it ends it
first, even if the command is then rejected. Source: protocol.md, "Time". For holds,
money/treasury.py does the same.
"""

from __future__ import annotations

from hpe.core.context.command import Context
from hpe.core.timers import TimerEntry, Timers
from hpe.core.trading.market import Market
from hpe.core.trading.order_index import OrderIndex
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order
from hpe.protocol.codes import CancelReason


class Expiry:
    """Ends orders of one exchange whose expiry has passed."""

    def __init__(
        self,
        books: dict[int, OrderBook],
        orders: OrderIndex,
        market: Market,
        timers: Timers,
    ) -> None:
        self._books = books
        self._users = orders.users
        self._market = market
        self._timers = timers

    def act_on_order(self, entry: TimerEntry) -> None:
        """End the order of a timer entry."""
        order_id, user = entry.due[2:]
        self._end(self._users[user].by_id[order_id])

    def _end(self, order: Order) -> None:
        self._market.cancel(self._books[order.instrument_id], order, CancelReason.EXPIRED)

    def is_dead(self, context: Context, order: Order) -> bool:
        """True if an order's expiry has passed; False while an uncross counts on it."""
        terms = order.terms
        if terms is None or not 0 < terms.expires_ns <= context.time_ns:
            return False
        return not self._timers.is_passed(order.instrument_id)

    def end_named(self, context: Context, user: int, order_id: int, *client_order_ids: int) -> None:
        """End a user's dead orders that a command names by any id; 0 names none."""
        mine = self._users.get(user)
        if mine is None:
            return
        found = [mine.by_id.get(order_id), *map(mine.by_client_id.get, client_order_ids)]
        for order in found:
            if order is not None and not order.reason and self.is_dead(context, order):
                self._end(order)
