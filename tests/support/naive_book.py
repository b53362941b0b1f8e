"""A deliberately naive price-time book: the second opinion on matching.

Owns nothing of the engine and shares no code with its core: plain lists in order of arrival,
linear scans for everything. Slow and obvious on purpose. One object per test.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpe.messages import Side
from hpe.orderflow import Book, Command, Fill, Level, Op, Outcome


@dataclass(slots=True)
class NaiveOrder:
    """A resting order."""

    order_id: int
    price: int
    open: int


class NaiveBook:
    """Both sides, each a list in the order of arrival."""

    def __init__(self) -> None:
        self.sides: dict[Side, list[NaiveOrder]] = {Side.BUY: [], Side.SELL: []}

    def apply(self, command: Command) -> Outcome:
        """Execute one command of a flow."""
        op, order_id, quantity = command.op, command.order_id, command.quantity
        if op is Op.CANCEL:
            removed = self._remove(order_id)
            return Outcome(removed is not None, [], removed.open if removed else 0)
        if op is Op.REDUCE:
            return Outcome(self._reduce(order_id, quantity), [], 0)
        if op is Op.MODIFY and self._remove(order_id) is None:
            return Outcome(False, [], 0)
        if op is Op.POST_ONLY and self._best(command.side, command.price) is not None:
            return Outcome(False, [], 0)
        fills = self._match(command.side, command.price, quantity)
        rest = quantity - sum(fill.quantity for fill in fills)
        if op is Op.IMMEDIATE:
            return Outcome(True, fills, rest)
        if rest:
            self.sides[command.side].append(NaiveOrder(order_id, command.price, rest))
        return Outcome(True, fills, 0)

    def book(self) -> Book:
        """Give all levels of both sides, best first."""
        return Book(self._levels(Side.BUY), self._levels(Side.SELL))

    def resting(self) -> int:
        """Count the orders on the book."""
        return sum(len(orders) for orders in self.sides.values())

    def _match(self, side: Side, limit: int, quantity: int) -> list[Fill]:
        fills = []
        while quantity and (maker := self._best(side, limit)) is not None:
            traded = min(quantity, maker.open)
            fills.append(Fill(maker.order_id, traded, maker.price))
            quantity -= traded
            maker.open -= traded
            if not maker.open:
                self._remove(maker.order_id)
        return fills

    def _best(self, side: Side, limit: int) -> NaiveOrder | None:
        """Find what an order of `side` trades with first: best price, then first to arrive."""
        if side is Side.BUY:
            asks = self.sides[Side.SELL]
            best = min(asks, key=lambda order: order.price, default=None)
            return best if best is not None and best.price <= limit else None
        bids = self.sides[Side.BUY]
        best = max(bids, key=lambda order: order.price, default=None)
        return best if best is not None and best.price >= limit else None

    def _remove(self, order_id: int) -> NaiveOrder | None:
        for orders in self.sides.values():
            for index, order in enumerate(orders):
                if order.order_id == order_id:
                    return orders.pop(index)
        return None

    def _reduce(self, order_id: int, quantity: int) -> bool:
        for orders in self.sides.values():
            for order in orders:
                if order.order_id == order_id:
                    order.open -= quantity
                    if order.open <= 0:
                        self._remove(order_id)
                    return True
        return False

    def _levels(self, side: Side) -> list[Level]:
        sizes: dict[int, int] = {}
        for order in self.sides[side]:
            sizes[order.price] = sizes.get(order.price, 0) + order.open
        return sorted(sizes.items(), reverse=side is Side.BUY)
