"""One instrument's resting orders: price levels, first-in-first-out queues, best prices.

Part of the deterministic core. A ladder is one side. Three structures, each for what it is
fast at: a dict finds the level of a price, the level links its orders in queue order (so taking
one out of the middle is O(1)), and a SortedList of prices is touched only when a level appears
or goes. The best level is cached: matching looks at nothing else.

Cost: add, remove, reduce O(1) within an existing level, O(log n) of n levels when one appears
or goes; depth O(levels shown).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec
from sortedcontainers import SortedList

from hpe.core.orders import Order
from hpe.errors import InvariantViolation
from hpe.messages import BookLevel, Side


class Level(msgspec.Struct, gc=False):
    """All resting orders of one side at one price, oldest first from `head`.

    `quantity` is the sum of their leaves, in lots.
    """

    price: int
    quantity: int
    count: int
    head: Order | None
    tail: Order | None

    def orders(self) -> Iterator[Order]:
        """Walk the queue, oldest first."""
        order = self.head
        while order is not None:
            yield order
            order = order.next


class Ladder:
    """One side of a book, best price first.

    `sign` is +1 for asks and -1 for bids: price x sign grows away from the best.
    """

    __slots__ = ("_keys", "_levels", "best", "sign")

    def __init__(self, side: Side) -> None:
        self.sign = 1 if side is Side.SELL else -1
        self.best: Level | None = None
        self._levels: dict[int, Level] = {}
        self._keys: SortedList[int] = SortedList()

    def __len__(self) -> int:
        return len(self._levels)

    def add(self, order: Order) -> None:
        """Put an order at the end of its price's queue."""
        price = order.price
        level = self._levels.get(price)
        if level is None:
            level = self._levels[price] = Level(price, order.leaves, 1, order, order)
            sign = self.sign
            self._keys.add(price * sign)
            best = self.best
            if best is None or (price - best.price) * sign < 0:
                self.best = level
        else:
            tail = level.tail
            assert tail is not None
            tail.next = order
            order.previous = tail
            level.tail = order
            level.quantity += order.leaves
            level.count += 1
        order.level = level

    def remove(self, order: Order) -> None:
        """Take an order out of its queue, with whatever leaves it has."""
        level = order.level
        assert level is not None
        if level.count == 1:
            self._drop(level)
        else:
            before, after = order.previous, order.next
            if before is None:
                level.head = after
            else:
                before.next = after
            if after is None:
                level.tail = before
            else:
                after.previous = before
            level.quantity -= order.leaves
            level.count -= 1
        order.level = order.previous = order.next = None

    def _drop(self, level: Level) -> None:
        """Forget a level whose last order goes, and find the new best."""
        level.head = level.tail = None
        del self._levels[level.price]
        keys = self._keys
        if level is self.best:
            del keys[0]
            self.best = self._levels[keys[0] * self.sign] if keys else None
        else:
            keys.remove(level.price * self.sign)

    def crosses(self, price: int) -> bool:
        """Tell whether an opposite order at this limit (0 for none) would trade."""
        best = self.best
        return best is not None and (price == 0 or (best.price - price) * self.sign <= 0)

    def levels(self) -> Iterator[Level]:
        """Walk the levels, best first."""
        levels, sign = self._levels, self.sign
        return (levels[key * sign] for key in self._keys)

    def levels_within(self, price: int) -> Iterator[Level]:
        """Walk the levels that an opposite order at this limit (0 for none) would reach."""
        for level in self.levels():
            if price and (level.price - price) * self.sign > 0:
                return
            yield level

    def check(self) -> None:
        """Check order, sums, links and the cached best."""
        if sorted(price * self.sign for price in self._levels) != list(self._keys):
            raise InvariantViolation("the price list and the levels differ")
        first = self._levels[self._keys[0] * self.sign] if self._keys else None
        if first is not self.best:
            raise InvariantViolation("the cached best level is not the best")
        for level in self._levels.values():
            queue = list(level.orders())
            if not queue or len(queue) != level.count or queue[-1] is not level.tail:
                raise InvariantViolation(f"level {level.price}: links and count differ")
            if sum(order.leaves for order in queue) != level.quantity:
                raise InvariantViolation(f"level {level.price}: quantity is not the sum of leaves")
            for before, order in zip([None, *queue], queue, strict=False):
                if order.previous is not before or order.level is not level:
                    raise InvariantViolation(f"order {order.order_id} is linked wrongly")
                if order.price != level.price:
                    raise InvariantViolation(f"order {order.order_id} rests at a foreign price")


class OrderBook:
    """Both sides of one instrument, its last price and its event counter.

    `sequence` counts every change of the book (add, fill, cancel, reduce), for market data.
    """

    __slots__ = ("asks", "bids", "instrument_id", "last_price", "sequence")

    def __init__(self, instrument_id: int) -> None:
        self.instrument_id = instrument_id
        self.bids = Ladder(Side.BUY)
        self.asks = Ladder(Side.SELL)
        self.last_price = 0
        self.sequence = 0

    def side(self, side: Side) -> Ladder:
        """Give the ladder that orders of this side rest in."""
        return self.bids if side is Side.BUY else self.asks

    def opposite(self, side: Side) -> Ladder:
        """Give the ladder that orders of this side trade against."""
        return self.asks if side is Side.BUY else self.bids

    def rest(self, order: Order) -> None:
        """Let an order rest at the end of its price's queue."""
        self.sequence += 1
        (self.bids if order.side is Side.BUY else self.asks).add(order)

    def take_out(self, order: Order) -> None:
        """Take a resting order out."""
        self.sequence += 1
        (self.bids if order.side is Side.BUY else self.asks).remove(order)

    def reduce(self, order: Order, leaves: int) -> None:
        """Lower a resting order's leaves; it keeps its place."""
        assert order.level is not None
        self.sequence += 1
        order.level.quantity -= order.leaves - leaves
        order.leaves = leaves

    def depth(self, side: Side, levels_max: int) -> list[BookLevel]:
        """Give the best levels of a side as (price, quantity, orders)."""
        levels = islice(self.side(side).levels(), levels_max)
        return [(level.price, level.quantity, level.count) for level in levels]

    def orders(self) -> Iterator[Order]:
        """Walk all resting orders: bids then asks, best first, oldest first."""
        for ladder in (self.bids, self.asks):
            for level in ladder.levels():
                yield from level.orders()

    def check(self) -> None:
        """Check both sides and that they do not cross."""
        self.bids.check()
        self.asks.check()
        bid, ask = self.bids.best, self.asks.best
        if bid is not None and ask is not None and bid.price >= ask.price:
            raise InvariantViolation(f"book crossed: bid {bid.price} >= ask {ask.price}")
