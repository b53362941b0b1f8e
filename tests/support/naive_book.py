"""A deliberately naive price-time book with call auctions: the second opinion on matching.

Owns nothing of the engine and shares no code with its core: plain lists in order of arrival,
linear scans for everything. Slow and obvious on purpose. One object per test.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpe.orderflow.files import NO_AUCTION, Book, Command, Op, Outcome, RecordedFill, RecordedLevel
from hpe.protocol.enums import Side


@dataclass(slots=True)
class BookedOrder:
    """A resting order."""

    order_id: int
    price: int
    open: int


class NaiveBook:
    """Both sides, each a list in the order of arrival; nothing trades while `calling`."""

    def __init__(self) -> None:
        self.sides: dict[Side, list[BookedOrder]] = {Side.BUY: [], Side.SELL: []}
        self.calling = False

    def apply(self, command: Command) -> Outcome:
        """Execute one command of a flow."""
        op, order_id, quantity = command.op, command.order_id, command.quantity
        if op is Op.UNCROSS:
            return self._uncross()
        if op in (Op.CALL, Op.CONTINUOUS):
            # A call ends by its uncross alone.
            accepted = op is Op.CALL or not self.calling
            self.calling = op is Op.CALL or self.calling
            return Outcome(accepted, [], 0)
        if self.calling and op in (Op.IMMEDIATE, Op.POST_ONLY):
            return Outcome(False, [], 0)
        if op is Op.CANCEL:
            removed = self._remove(order_id)
            return Outcome(removed is not None, [], removed.open if removed else 0)
        if op is Op.REDUCE:
            return Outcome(self._reduce(order_id, quantity), [], 0)
        if op is Op.MODIFY and self._remove(order_id) is None:
            return Outcome(False, [], 0)
        if op is Op.POST_ONLY and self._best(command.side, command.price) is not None:
            return Outcome(False, [], 0)
        fills = [] if self.calling else self._match(command.side, command.price, quantity)
        rest = quantity - sum(fill.quantity for fill in fills)
        if op is Op.IMMEDIATE:
            return Outcome(True, fills, rest)
        if rest:
            self.sides[command.side].append(BookedOrder(order_id, command.price, rest))
        return Outcome(True, fills, 0)

    def book(self) -> Book:
        """Return all levels of both sides, best first."""
        return Book(self._levels(Side.BUY), self._levels(Side.SELL))

    def resting(self) -> int:
        """Count the orders on the book."""
        return sum(len(orders) for orders in self.sides.values())

    def _uncross(self) -> Outcome:
        """End the call: everything that can trades at one price, the best-placed first."""
        if not self.calling:
            return Outcome(False, [], 0)
        self.calling = False
        price, volume = auction = self._auction()
        fills: list[RecordedFill] = []
        traded = 0
        while traded < volume:
            pair = self._best(Side.SELL, price), self._best(Side.BUY, price)
            quantity = min(order.open for order in pair if order is not None)
            for order in pair:
                assert order is not None, "the volume is what both sides can trade"
                fills.append(RecordedFill(order.order_id, quantity, price))
                order.open -= quantity
                if not order.open:
                    self._remove(order.order_id)
            traded += quantity
        return Outcome(True, fills, 0, auction)

    def _auction(self) -> RecordedLevel:
        """Choose among the best prices by market pressure."""
        equal, volume = self.best_prices()
        if not volume:
            return NO_AUCTION
        lowest, highest = equal[0][0], equal[-1][0]
        pressure = sum(signed for _, signed in equal)
        if pressure > 0:
            return highest, volume
        return (lowest if pressure < 0 else (lowest + highest) // 2), volume

    def best_prices(self) -> tuple[list[tuple[int, int]], int]:
        """Try every price that an order names; return those of most volume and least surplus.

        Each with its surplus, bids more than asks, and the volume of all of them.
        """
        tried = []
        for price in {order.price for orders in self.sides.values() for order in orders}:
            bids = sum(order.open for order in self.sides[Side.BUY] if order.price >= price)
            asks = sum(order.open for order in self.sides[Side.SELL] if order.price <= price)
            tried.append((-min(bids, asks), abs(bids - asks), price, bids - asks))
        if not tried:
            return [], 0
        volume, surplus = min(tried)[:2]
        return sorted(one[2:] for one in tried if one[:2] == (volume, surplus)), -volume

    def _match(self, side: Side, limit: int, quantity: int) -> list[RecordedFill]:
        fills = []
        while quantity and (maker := self._best(side, limit)) is not None:
            traded = min(quantity, maker.open)
            fills.append(RecordedFill(maker.order_id, traded, maker.price))
            quantity -= traded
            maker.open -= traded
            if not maker.open:
                self._remove(maker.order_id)
        return fills

    def _best(self, side: Side, limit: int) -> BookedOrder | None:
        """Find what an order of `side` trades with first: best price, then first to arrive."""
        if side is Side.BUY:
            asks = self.sides[Side.SELL]
            best = min(asks, key=lambda order: order.price, default=None)
            return best if best is not None and best.price <= limit else None
        bids = self.sides[Side.BUY]
        best = max(bids, key=lambda order: order.price, default=None)
        return best if best is not None and best.price >= limit else None

    def _remove(self, order_id: int) -> BookedOrder | None:
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

    def _levels(self, side: Side) -> list[RecordedLevel]:
        sizes: dict[int, int] = {}
        for order in self.sides[side]:
            sizes[order.price] = sizes.get(order.price, 0) + order.open
        return sorted(sizes.items(), reverse=side is Side.BUY)
