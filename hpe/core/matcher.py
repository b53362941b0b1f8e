"""Price-time priority: which resting orders an incoming order trades with, and at what price.

Part of the deterministic core. The matcher changes quantities and queues; money is the
executor's. It is the one place where priority lives: best price first, within a price oldest
first, every trade at the resting (maker) order's price.
"""

from __future__ import annotations

from typing import NamedTuple

from hpe.core.orderbook import Ladder
from hpe.core.orders import Order
from hpe.messages import FILLS_PER_COMMAND_MAX


class Fill(NamedTuple):
    """One trade of the aggressor with one maker: price in ticks, quantity in lots."""

    maker: Order
    price: int
    quantity: int


class Matcher:
    """Matches one aggressor at a time against its book."""

    def match(self, aggressor: Order) -> list[Fill]:
        """Trade as much of the aggressor as its limit and FILLS_PER_COMMAND_MAX allow.

        Makers that are filled leave the book; the aggressor is not in the book and its remainder
        is the caller's to rest or cancel.

        Returns:
            The fills in the order in which they happened; leaves and cum are updated.

        Cost: O(fills), plus O(log levels) per level that is used up.
        """
        fills: list[Fill] = []
        book = aggressor.book
        ladder = book.opposite(aggressor.side)
        while aggressor.leaves and ladder.crosses(aggressor.price):
            if len(fills) == FILLS_PER_COMMAND_MAX:
                break
            maker = self._next_maker(ladder)
            quantity = min(maker.leaves, aggressor.leaves)
            price = self._trade_price(maker, aggressor)
            aggressor.leaves -= quantity
            aggressor.cum += quantity
            maker.cum += quantity
            if quantity == maker.leaves:
                ladder.remove(maker)
                maker.leaves = 0
            else:
                ladder.reduce(maker, maker.leaves - quantity)
            book.last_price = price
            fills.append(Fill(maker, price, quantity))
        return fills

    def _next_maker(self, ladder: Ladder) -> Order:
        """Give the oldest order at the best price."""
        assert ladder.best is not None
        return ladder.best.head

    def _trade_price(self, maker: Order, aggressor: Order) -> int:
        """Give the price of a trade: the maker's, whatever the aggressor would have paid."""
        return maker.price

    def fillable(self, ladder: Ladder, price: int, quantity: int) -> bool:
        """Tell whether a whole quantity would trade at once within a limit (0 for none).

        Orders of the last level count in full against FILLS_PER_COMMAND_MAX, also those that
        would not be reached: rather killed than filled in part.
        """
        makers = 0
        for level in ladder.levels_within(price):
            quantity -= level.quantity
            makers += level.count
            if quantity <= 0:
                return makers <= FILLS_PER_COMMAND_MAX
        return False
