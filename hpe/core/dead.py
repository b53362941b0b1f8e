"""How many dead orders stand before the living ones that an order would trade with.

Part of the deterministic core; pure functions of a book. Dead are orders whose time has come and
whose turn to end has not: nobody trades with them, but a match that comes to them ends them, and
how many one command ends has a bound. Source: protocol.md, "Holds and due times".
"""

from __future__ import annotations

from hpe.core.orderbook import Ladder
from hpe.core.orders import Order
from hpe.messages import INT_MAX, ORDER_POST_ONLY, InstrumentStatus


def dead_before(order: Order, count_max: int) -> int:
    """Count the dead that an order would come to before it is filled, or gives up."""
    dead_ns = order.book.dead_ns()
    if not dead_ns or order.book.status is not InstrumentStatus.TRADING:
        return 0
    lots = 1 if order.flags & ORDER_POST_ONLY else order.leaves
    if order.terms is not None and order.terms.budget:
        lots = INT_MAX
    ladder = order.book.opposite(order.side)
    return count_dead(ladder, order.price, lots, dead_ns, count_max)


def count_dead(ladder: Ladder, price: int, lots: int, dead_ns: int, count_max: int) -> int:
    """Count the dead within a limit (0: none) that come before so many living lots.

    Where there are more than `count_max`, not all of them are counted.
    """
    count = 0
    for level in ladder.levels_within(price):
        for order in level.orders():
            if lots <= 0 or count > count_max:
                return count
            if order.is_dead(dead_ns):
                count += 1
            else:
                lots -= order.leaves
    return count
