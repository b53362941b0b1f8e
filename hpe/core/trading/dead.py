"""The number of dead orders ahead of the living ones that an order would trade with.

Part of the deterministic core; pure functions of a book. Dead orders are those whose expiry has
passed and whose timer has not acted yet: no order trades with them, but a match that meets them
ends them, and one command may end only so many. Source: protocol.md, "Holds and due times".
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hpe.core.context.effort import rows_passed
from hpe.core.contract import Limits
from hpe.core.trading.orderbook import Ladder, OrderBook
from hpe.core.trading.orders import Order
from hpe.protocol.enums import InstrumentStatus, SelfTrade
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.limits import INT_MAX


class Search(NamedTuple):
    """How far an order would go: to `lots` within a price (0: any), and past whose own orders.

    With `self_trade` NONE, no order counts as its own.
    """

    price: int
    lots: int
    user: int = 0
    self_trade: int = SelfTrade.NONE


class Passed(NamedTuple):
    """The result of a search for dead orders: how many there are, and what it cost in rows."""

    dead: int
    rows: int


_NONE: Final = Passed(0, 0)


def dead_before(book: OrderBook, order: Order, limits: Limits) -> Passed:
    """Count the dead orders that an order would meet before it is filled or gives up."""
    dead_ns = book.dead_ns()
    if not dead_ns or book.status is not InstrumentStatus.TRADING:
        return _NONE
    if order.flags & ORDER_POST_ONLY:
        search = Search(order.price, 1)
    else:
        has_budget = order.terms is not None and order.terms.budget
        lots = INT_MAX if has_budget else order.leaves
        search = Search(order.price, lots, order.user, order.self_trade)
    return count_dead(book.opposite(order.side), search, dead_ns, limits)


def count_dead(ladder: Ladder, search: Search, dead_ns: int, limits: Limits) -> Passed:
    """Count the dead orders ahead of what a search is for, in the order of a match.

    If there are more than `limits.dead`, not all of them are counted. Cost: as many orders, plus
    `limits.fills`, because a match gives up after that many.
    """
    dead, living = _count(ladder, search, dead_ns, limits)
    return Passed(dead, rows_passed(dead + living))


def _count(ladder: Ladder, search: Search, dead_ns: int, limits: Limits) -> tuple[int, int]:
    """Count the dead and the living orders that a search passes."""
    count, lots, room = 0, search.lots, limits.fills
    careful = search.self_trade != SelfTrade.NONE
    for level in ladder.levels_within(search.price):
        hidden = 0
        for order in level.orders():
            if lots <= 0 or count > limits.dead:
                return count, limits.fills - room
            if order.is_dead(dead_ns):
                count += 1
                continue
            if not room:
                return count, limits.fills - room
            room -= 1
            if not careful or order.user != search.user:
                lots -= order.leaves - order.hidden
                hidden += order.hidden
            elif search.self_trade == SelfTrade.DECREMENT:
                lots -= order.leaves
            elif search.self_trade != SelfTrade.CANCEL_MAKER:
                return count, limits.fills - room
        lots -= hidden  # slices come after all orders that were there
    return count, limits.fills - room
