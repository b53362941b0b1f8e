"""Live orders: one order's state, and the index that finds it by either id.

Part of the deterministic core. An order is live while it rests in a book; the moment it ends it
leaves the index, so ids of ended orders are unknown. Always: quantity = leaves + cum + canceled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hpe.errors import InvariantViolation
from hpe.messages import OrderStatus, Side

if TYPE_CHECKING:
    from hpe.core.balances import Account
    from hpe.core.orderbook import OrderBook

_NEW: Final = OrderStatus.NEW
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_FILLED: Final = OrderStatus.FILLED
_CANCELED: Final = OrderStatus.CANCELED


class Order(msgspec.Struct, gc=False):
    """One accepted order.

    A Struct because its constructor is C: creating the object is the largest single cost of
    accepting an order. gc=False keeps a million resting orders out of the collector's walks;
    the links to its neighbours in the queue are cycles, so taking an order out clears them.

    `paying` is the account that the order reserves from, `receiving` the one that fills credit;
    `reserved` is what it has reserved there now, in atoms. `price` is in ticks, 0 for a market
    order. `quote_total` is the sum of its fills in quote atoms.
    """

    order_id: int
    user: int
    client_order_id: int
    book: OrderBook
    side: Side
    price: int
    quantity: int
    leaves: int
    flags: int
    paying: Account
    receiving: Account
    reserved: int = 0
    cum: int = 0
    canceled: int = 0
    quote_total: int = 0
    previous: Order | None = None
    next: Order | None = None

    def status(self) -> OrderStatus:
        """Give the FIX order status that the quantities imply."""
        if self.leaves:
            return _PARTIALLY_FILLED if self.cum else _NEW
        return _CANCELED if self.canceled else _FILLED


class OrderIndex:
    """Live orders by engine id, and by (user, client id) where the client gave one."""

    __slots__ = ("by_client_id", "by_id")

    def __init__(self) -> None:
        self.by_id: dict[int, Order] = {}
        self.by_client_id: dict[tuple[int, int], Order] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def add(self, order: Order) -> None:
        """Index an order that comes to rest."""
        self.by_id[order.order_id] = order
        if order.client_order_id:
            self.by_client_id[order.user, order.client_order_id] = order

    def remove(self, order: Order) -> None:
        """Forget an order that ended."""
        del self.by_id[order.order_id]
        if order.client_order_id:
            del self.by_client_id[order.user, order.client_order_id]

    def find(self, user: int, order_id: int, client_order_id: int) -> Order | None:
        """Find a live order of this user; somebody else's order is as unknown as none."""
        if not order_id:
            return self.by_client_id.get((user, client_order_id))
        order = self.by_id.get(order_id)
        return order if order is not None and order.user == user else None

    def check(self) -> None:
        """Check each order's arithmetic and that both indexes agree."""
        named = 0
        for order_id, order in self.by_id.items():
            if order.order_id != order_id or order.leaves <= 0:
                raise InvariantViolation(f"order {order_id} is indexed wrongly or has ended")
            if order.quantity != order.leaves + order.cum + order.canceled:
                raise InvariantViolation(f"order {order_id}: quantity != leaves + cum + canceled")
            if order.client_order_id:
                named += 1
                if self.by_client_id.get((order.user, order.client_order_id)) is not order:
                    raise InvariantViolation(f"order {order_id} is lost under its client id")
        if named != len(self.by_client_id):
            raise InvariantViolation("the client id index holds ended orders")
