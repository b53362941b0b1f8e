"""One instrument's resting orders: price levels, first-in-first-out queues, best prices.

Part of the deterministic core. A ladder is one side. Three structures, each for what it is fast
at:

- a dict finds the level of a price, and a level links its orders in queue order, so taking one
  out of the middle is O(1);
- a heap of prices finds the next best level when the best one goes; prices whose level is gone
  stay in it until they surface or outnumber the others;
- a SortedList orders the prices for those who walk the levels (depth, fill-or-kill, market
  orders). It is brought up to date when somebody walks: most levels near the touch come and go
  between two walks and never cost it anything.

A price may be known to the heap or the list without a level; only the dict says what is there.

Cost: add and remove O(1) at a level that stays, O(log n) of n levels when one appears or the best
one goes; a walk O(levels walked), plus O(log n) per level that appeared since the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import islice
from typing import Final

import msgspec
from sortedcontainers import SortedList

from hpe.core.instruments import Instrument
from hpe.core.orders import Order
from hpe.errors import InvariantViolation
from hpe.messages import BookLevel, Side

_STALE_SLACK: Final = 64
"""Prices without a level that may be kept beside as many as there are levels."""


class Level(msgspec.Struct, gc=False):
    """All resting orders of one side at one price, oldest first from `head`; never empty.

    `quantity` is the sum of their leaves, in lots.
    """

    price: int
    quantity: int
    count: int
    head: Order
    tail: Order

    def orders(self) -> Iterator[Order]:
        """Walk the queue, oldest first."""
        order: Order | None = self.head
        while order is not None:
            yield order
            order = order.next


class Ladder:
    """One side of a book, best price first.

    `sign` is +1 for asks and -1 for bids: a key (price x sign) grows away from the best.
    `changes` counts every change of the side (add, fill, cancel, reduce). `_appeared` lists the
    keys whose level appeared since `_sorted` was brought up to date, at most `_appeared_max`.
    """

    __slots__ = (
        "_appeared",
        "_appeared_max",
        "_heap",
        "_levels",
        "_sorted",
        "best",
        "changes",
        "sign",
    )

    def __init__(self, side: Side) -> None:
        self.sign = 1 if side is Side.SELL else -1
        self.best: Level | None = None
        self.changes = 0
        self._levels: dict[int, Level] = {}
        self._heap: list[int] = []
        self._sorted: SortedList[int] = SortedList()
        self._appeared: list[int] = []
        self._appeared_max = _STALE_SLACK

    def add(self, order: Order) -> None:
        """Put an order at the end of its price's queue."""
        self.changes += 1
        price, leaves = order.price, order.leaves
        key = price * self.sign
        levels = self._levels
        if key in levels:
            level = levels[key]
            tail = level.tail
            tail.next = order
            order.previous = tail
            level.tail = order
            level.quantity += leaves
            level.count += 1
            return
        level = levels[key] = Level(price, leaves, 1, order, order)
        best = self.best
        if best is None or key < best.price * self.sign:
            self.best = level
        heappush(self._heap, key)
        appeared = self._appeared
        appeared.append(key)
        if len(appeared) > self._appeared_max:
            self._forget_stale()

    def remove(self, order: Order) -> None:
        """Take an order out of its queue, with whatever leaves it has."""
        self.changes += 1
        key = order.price * self.sign
        level = self._levels[key]
        if level.count == 1:
            del self._levels[key]
            if level is self.best:
                self._find_best()
            return
        before, after = order.previous, order.next
        if after is None:
            assert before is not None
            level.tail = before
        else:
            after.previous = before
        if before is None:
            assert after is not None
            level.head = after
        else:
            before.next = after
        order.previous = order.next = None
        level.quantity -= order.leaves
        level.count -= 1

    def _find_best(self) -> None:
        """Take prices without a level off the heap until one with a level surfaces."""
        heap, levels = self._heap, self._levels
        while heap:
            best = levels.get(heap[0])
            if best is not None:
                self.best = best
                return
            heappop(heap)
        self.best = None

    def _forget_stale(self) -> None:
        """Make the heap and the sorted list anew from what is there."""
        self._heap = sorted(self._levels)
        self._sorted = SortedList(self._heap)
        self._appeared.clear()
        self._appeared_max = 2 * len(self._heap) + _STALE_SLACK

    def reduce(self, order: Order, leaves: int) -> None:
        """Lower a resting order's leaves; it keeps its place."""
        self.changes += 1
        self._levels[order.price * self.sign].quantity -= order.leaves - leaves
        order.leaves = leaves

    def crosses(self, price: int) -> bool:
        """Tell whether an opposite order at this limit (0 for none) would trade."""
        best = self.best
        return best is not None and (price == 0 or (best.price - price) * self.sign <= 0)

    def levels(self) -> Iterator[Level]:
        """Walk the levels, best first."""
        ordered, levels = self._sorted, self._levels
        known = max(len(ordered) + len(self._appeared), len(self._heap))
        if known > 2 * len(levels) + _STALE_SLACK:
            self._forget_stale()
            ordered = self._sorted
        for key in self._appeared:
            if key not in ordered:
                ordered.add(key)
        self._appeared.clear()
        return (level for key in ordered if (level := levels.get(key)) is not None)

    def levels_within(self, price: int) -> Iterator[Level]:
        """Walk the levels that an opposite order at this limit (0 for none) would reach."""
        for level in self.levels():
            if price and (level.price - price) * self.sign > 0:
                return
            yield level

    def check(self) -> None:
        """Check the three structures against each other, sums, links and the cached best."""
        if not self._levels.keys() <= set(self._heap):
            raise InvariantViolation("the heap has lost a level")
        if not self._levels.keys() <= set(self._sorted) | set(self._appeared):
            raise InvariantViolation("the sorted prices have lost a level")
        best = min(self._levels, default=None)
        if self.best is not (None if best is None else self._levels[best]):
            raise InvariantViolation("the cached best level is not the best")
        for key, level in self._levels.items():
            if level.price * self.sign != key:
                raise InvariantViolation(f"level {level.price} is filed under {key}")
            self._check_queue(level)

    def _check_queue(self, level: Level) -> None:
        queue = list(islice(level.orders(), level.count + 1))  # also when links form a ring
        if len(queue) != level.count or queue[-1] is not level.tail:
            raise InvariantViolation(f"level {level.price}: links and count differ")
        if sum(order.leaves for order in queue) != level.quantity:
            raise InvariantViolation(f"level {level.price}: quantity is not the sum of leaves")
        for before, order in zip([None, *queue], queue, strict=False):
            if order.previous is not before:
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
