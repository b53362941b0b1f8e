"""One instrument's resting orders: price levels, first-in-first-out queues, best prices.

Part of the deterministic core. A ladder is one side. Three structures, each for what it is fast
at:

- a dict finds the level of a price, and a level links its orders in queue order, so taking one
  out of the middle is O(1);
- a heap of prices finds the next best level when the best one empties. Levels that emptied
  elsewhere stay in the heap and the dict until they surface or until most levels are empty and
  are swept out, so what is kept is at most a constant factor above what is live;
- a SortedList orders the levels for those who walk them (depth, fill-or-kill, market orders). It
  is brought up to date when somebody walks: most levels near the touch come and go between two
  walks and never cost it anything.

Nothing outside sees an empty level, and no result depends on which ones are kept.

Cost: add and remove O(1) at a level that exists, O(log n) of n levels when one appears or the
best one goes; a walk O(levels walked), plus O(log n) per level that appeared since the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from sortedcontainers import SortedList

from hpe.core.instruments import Instrument
from hpe.core.orders import Order
from hpe.errors import InvariantViolation
from hpe.messages import BookLevel, Side

_EMPTY_LEVELS_SLACK: Final = 64
"""Empty levels that are kept whatever the number of live ones: a small book never sweeps."""


_LAG_MAX: Final = 65_536
"""Keys that may wait for the next walk: bounds memory where nobody ever walks."""


class Level:
    """All resting orders of one side at one price, oldest first from `head`.

    `quantity` is the sum of their leaves, in lots; an empty level has head None.
    """

    __slots__ = ("count", "head", "price", "quantity", "tail")

    def __init__(self, price: int) -> None:
        self.price = price
        self.quantity = 0
        self.count = 0
        self.head: Order | None = None
        self.tail: Order | None = None

    def orders(self) -> Iterator[Order]:
        """Walk the queue, oldest first."""
        order = self.head
        while order is not None:
            yield order
            order = order.next


class Ladder:
    """One side of a book, best price first.

    `sign` is +1 for asks and -1 for bids: a key (price x sign) grows away from the best.
    `changes` counts every change of the side (add, fill, cancel, reduce). `_lag` lists the keys
    that appeared or went since `_sorted` was brought up to date.
    """

    __slots__ = (
        "_heap", "_lag", "_levels", "_live", "_sorted", "best", "changes", "sign",
    )  # fmt: skip

    def __init__(self, side: Side) -> None:
        self.sign = 1 if side is Side.SELL else -1
        self.best: Level | None = None
        self.changes = 0
        self._live = 0
        self._levels: dict[int, Level] = {}
        self._heap: list[int] = []
        self._sorted: SortedList[int] = SortedList()
        self._lag: list[int] = []

    def add(self, order: Order) -> None:
        """Put an order at the end of its price's queue."""
        self.changes += 1
        key = order.price * self.sign
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = Level(order.price)
            heappush(self._heap, key)
            self._lag.append(key)
        order.level = level
        tail = level.tail
        level.tail = order
        level.quantity += order.leaves
        level.count += 1
        if tail is not None:
            tail.next = order
            order.previous = tail
            return
        level.head = order
        self._live += 1
        best = self.best
        if best is None or key < best.price * self.sign:
            self.best = level

    def remove(self, order: Order) -> None:
        """Take an order out of its queue, with whatever leaves it has."""
        self.changes += 1
        level = order.level
        assert level is not None
        before, after = order.previous, order.next
        if before is None:
            level.head = after
        else:
            before.next = after
            order.previous = None
        if after is None:
            level.tail = before
        else:
            after.previous = before
            order.next = None
        level.quantity -= order.leaves
        level.count -= 1
        order.level = None
        if level.head is None:
            self._live -= 1
            if level is self.best:
                self._find_best()
            if len(self._levels) > 2 * self._live + _EMPTY_LEVELS_SLACK:
                self._sweep()
            elif len(self._lag) > _LAG_MAX:
                self._catch_up()

    def _find_best(self) -> None:
        """Drop empty levels off the heap until a live one surfaces."""
        heap, levels, lag = self._heap, self._levels, self._lag
        while heap:
            level = levels[heap[0]]
            if level.head is not None:
                self.best = level
                return
            key = heappop(heap)
            del levels[key]
            lag.append(key)
        self.best = None

    def _sweep(self) -> None:
        """Forget every empty level, and the lag when sorting anew is cheaper than catching up."""
        empty = [key for key, level in self._levels.items() if level.head is None]
        for key in empty:
            del self._levels[key]
        self._heap = sorted(self._levels)
        self._sorted = SortedList(self._heap)
        self._lag.clear()

    def reduce(self, order: Order, leaves: int) -> None:
        """Lower a resting order's leaves; it keeps its place."""
        level = order.level
        assert level is not None
        self.changes += 1
        level.quantity -= order.leaves - leaves
        order.leaves = leaves

    def crosses(self, price: int) -> bool:
        """Tell whether an opposite order at this limit (0 for none) would trade."""
        best = self.best
        return best is not None and (price == 0 or (best.price - price) * self.sign <= 0)

    def levels(self) -> Iterator[Level]:
        """Walk the levels that have orders, best first."""
        if self._lag:
            self._catch_up()
        levels = self._levels
        return (level for key in self._sorted if (level := levels[key]).head is not None)

    def _catch_up(self) -> None:
        """Bring the sorted keys up to date; a lag longer than the book is sorted anew."""
        levels, ordered, lag = self._levels, self._sorted, self._lag
        if len(lag) > len(levels):
            self._sorted = SortedList(levels)
        else:
            for key in lag:
                if key not in levels:
                    ordered.discard(key)
                elif key not in ordered:
                    ordered.add(key)
        lag.clear()

    def levels_within(self, price: int) -> Iterator[Level]:
        """Walk the levels that an opposite order at this limit (0 for none) would reach."""
        for level in self.levels():
            if price and (level.price - price) * self.sign > 0:
                return
            yield level

    def check(self) -> None:
        """Check the three structures against each other, sums, links and the cached best."""
        live = [level for level in self._levels.values() if level.head is not None]
        if list(self.levels()) != sorted(live, key=lambda level: level.price * self.sign):
            raise InvariantViolation("the sorted prices and the levels differ")
        if sorted(self._heap) != sorted(self._levels):
            raise InvariantViolation("the heap and the levels differ")
        if self.best is not next(self.levels(), None) or self._live != len(live):
            raise InvariantViolation("the cached best level or the count of levels is wrong")
        if len(self._levels) > 2 * len(live) + _EMPTY_LEVELS_SLACK + 1:
            raise InvariantViolation("empty levels pile up")
        for key, level in self._levels.items():
            if level.price * self.sign != key:
                raise InvariantViolation(f"level {level.price} is filed under {key}")
            self._check_queue(level)

    def _check_queue(self, level: Level) -> None:
        queue = list(level.orders())
        if len(queue) != level.count or (queue[-1] if queue else None) is not level.tail:
            raise InvariantViolation(f"level {level.price}: links and count differ")
        if sum(order.leaves for order in queue) != level.quantity:
            raise InvariantViolation(f"level {level.price}: quantity is not the sum of leaves")
        for before, order in zip([None, *queue], queue, strict=False):
            if order.previous is not before or order.level is not level:
                raise InvariantViolation(f"order {order.order_id} is linked wrongly")
            if order.price != level.price:
                raise InvariantViolation(f"order {order.order_id} rests at a foreign price")


class OrderBook:
    """Both sides of one instrument and its last price."""

    __slots__ = ("asks", "bids", "instrument", "last_price")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.bids = Ladder(Side.BUY)
        self.asks = Ladder(Side.SELL)
        self.last_price = 0

    @property
    def sequence(self) -> int:
        """Count of every change of the book, for market data."""
        return self.bids.changes + self.asks.changes

    def side(self, side: Side) -> Ladder:
        """Give the ladder that orders of this side rest in."""
        return self.bids if side is Side.BUY else self.asks

    def opposite(self, side: Side) -> Ladder:
        """Give the ladder that orders of this side trade against."""
        return self.asks if side is Side.BUY else self.bids

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
