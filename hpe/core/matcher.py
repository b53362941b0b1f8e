"""Price-time priority: which resting orders an incoming order trades with, and at what price.

Part of the deterministic core. The matcher changes quantities and queues; money is the
executor's. It is the one place where priority lives: best price first, within a price oldest
first, every trade at the resting (maker) order's price.
"""

from __future__ import annotations

import msgspec

from hpe.core.orderbook import Ladder
from hpe.core.orders import Order
from hpe.messages import FILLS_PER_COMMAND_MAX


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One trade of the aggressor with one maker: price in ticks, quantity in lots.

    Leaves and cum are those right after this fill; the orders themselves go on changing.
    """

    maker: Order
    price: int
    quantity: int
    maker_leaves: int
    maker_cum: int
    taker_leaves: int
    taker_cum: int


class Match(msgspec.Struct, frozen=True, gc=False):
    """What one order traded on one arrival: its fills have consecutive trade ids."""

    taker: Order
    request_id: int
    first_trade_id: int
    fills: list[Fill]


class Matcher:
    """Matches one aggressor at a time against its book.

    `effort` counts fills and levels walked since somebody set it to 0: what a command cost that
    costs more than others. Each of the walks ends after FILLS_PER_COMMAND_MAX orders at most.
    """

    def __init__(self) -> None:
        self.effort = 0

    def match(self, aggressor: Order) -> list[Fill]:
        """Trade as much of the aggressor as its limit and FILLS_PER_COMMAND_MAX allow.

        Makers that are filled leave the book; the aggressor is not in the book and its remainder
        is the caller's to rest or cancel.

        Returns:
            The fills in the order in which they happened; leaves and cum are updated.

        Cost: O(fills), plus O(log levels) per level that is used up.
        """
        fills: list[Fill] = []
        book, limit = aggressor.book, aggressor.price
        ladder = book.opposite(aggressor.side)
        leaves, cum = aggressor.leaves, aggressor.cum
        while leaves and ladder.crosses(limit) and len(fills) < FILLS_PER_COMMAND_MAX:
            maker = self._next_maker(ladder)
            price = self._trade_price(maker, aggressor)
            quantity = min(maker.leaves, leaves)
            maker_leaves = maker.leaves - quantity
            leaves -= quantity
            cum += quantity
            maker.cum += quantity
            if maker_leaves:
                ladder.reduce(maker, maker_leaves)
            else:
                ladder.remove(maker)
                maker.leaves = 0
            fills.append(Fill(maker, price, quantity, maker_leaves, maker.cum, leaves, cum))
            book.last_price = price
        aggressor.leaves, aggressor.cum = leaves, cum
        self.effort += len(fills)
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
            self.effort += 1
            quantity -= level.quantity
            makers += level.count
            if makers > FILLS_PER_COMMAND_MAX:
                return False
            if quantity <= 0:
                return True
        return False

    def cost(self, ladder: Ladder, quantity: int, ticks_lots_max: int) -> int:
        """Sum price x quantity (ticks x lots) of what a market order would trade now.

        Stops once the sum is above `ticks_lots_max`: more than that cannot be paid anyway.
        """
        total = makers = 0
        for level in ladder.levels():
            self.effort += 1
            taken = min(quantity, level.quantity)
            total += taken * level.price
            quantity -= taken
            makers += level.count
            if not quantity or total > ticks_lots_max or makers >= FILLS_PER_COMMAND_MAX:
                break
        return total
