"""Waiting stops: which fire when a trade happens, in which order.

Part of the deterministic core. Both sides are the same thing seen in a mirror: with rank = price
for sells and -price for buys, a stop fires when a trade's rank is at or below its trigger's, the
highest trigger first. A trailing stop's trigger is its peak (the highest rank since it was
accepted) less its trail. Stops of one peak move together, so they stand in one group, and a trade
above some groups' peaks makes one group of them.

Cost: add and remove O(log n); a trade O(1) when it moves and fires nothing, else O(log n) for
every stop that fires, and amortized for every group that merges (the smaller into the larger).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sortedcontainers import SortedDict, SortedList

from hpe.errors import InvariantViolation
from hpe.messages import Side

if TYPE_CHECKING:
    from hpe.core.orders import Order

Fired = list[tuple[int, int, "Order"]]
"""Rows (negated rank of the trigger, place, order) of stops that fired; sorted they are in turn."""


class Trail:
    """Trailing stops of one peak: rows (trail, place, order), the first to fire first."""

    __slots__ = ("peak", "stops")

    def __init__(self, peak: int) -> None:
        self.peak = peak
        self.stops: SortedList[tuple[int, int, Order]] = SortedList()

    def first(self) -> tuple[int, int]:
        """Give (negated rank of the first trigger, peak): groups are found by that."""
        return self.stops[0][0] - self.peak, self.peak


class WaitingSide:
    """The stops of one side."""

    __slots__ = ("_firsts", "_fixed", "_trails", "sign")

    def __init__(self, side: Side) -> None:
        self.sign = -1 if side is Side.BUY else 1
        self._fixed: SortedList[tuple[int, int, Order]] = SortedList()
        self._trails: SortedDict[int, Trail] = SortedDict()  # by peak
        self._firsts: SortedList[tuple[int, int]] = SortedList()  # Trail.first() of each

    def add(self, order: Order) -> None:
        """Let a stop wait at its trigger, `stop_price`."""
        terms = order.terms
        assert terms is not None
        rank = terms.stop_price * self.sign
        if not terms.trail:
            self._fixed.add((-rank, terms.place, order))
            return
        peak = rank + terms.trail
        group = self._trails.get(peak)
        if group is None:
            group = self._trails[peak] = Trail(peak)
        else:
            self._firsts.remove(group.first())
        group.stops.add((terms.trail, terms.place, order))
        terms.group = group
        self._firsts.add(group.first())

    def remove(self, order: Order) -> None:
        """Take a waiting stop out."""
        terms = order.terms
        assert terms is not None
        group = terms.group
        if group is None:
            self._fixed.remove((-terms.stop_price * self.sign, terms.place, order))
            return
        self._firsts.remove(group.first())
        group.stops.remove((terms.trail, terms.place, order))
        self._leave(order, group)
        self._keep(group)

    def _leave(self, order: Order, group: Trail) -> None:
        """Fix the trigger that a trailing stop has when it stops trailing."""
        terms = order.terms
        assert terms is not None
        terms.stop_price = (group.peak - terms.trail) * self.sign
        terms.group = None

    def _keep(self, group: Trail) -> None:
        """File a group that was taken out of `_firsts` again, unless it is empty."""
        if group.stops:
            self._firsts.add(group.first())
        else:
            del self._trails[group.peak]

    def advance(self, price: int) -> None:
        """Let trailing stops follow a trade."""
        rank, trails = price * self.sign, self._trails
        if not trails or trails.peekitem(0)[0] >= rank:
            return
        moved: Trail | None = None
        while trails and trails.peekitem(0)[0] <= rank:
            _, group = trails.popitem(0)
            self._firsts.remove(group.first())
            moved = group if moved is None else _merged(moved, group)
        if moved is not None:
            moved.peak = rank
            trails[rank] = moved
            self._firsts.add(moved.first())

    def reached(self, price: int) -> Fired:
        """Take out the stops whose trigger a trade at this price has reached."""
        bound = -price * self.sign
        fired: Fired = []
        while self._fixed and self._fixed[0][0] <= bound:
            fired.append(self._fixed.pop(0))
        while self._firsts and self._firsts[0][0] <= bound:
            group = self._trails[self._firsts.pop(0)[1]]
            while group.stops and group.stops[0][0] - group.peak <= bound:
                trail, place, order = group.stops.pop(0)
                self._leave(order, group)
                fired.append((trail - group.peak, place, order))
            self._keep(group)
        return fired

    def orders(self) -> Iterator[Order]:
        """Walk the waiting stops, in no particular order."""
        for _, _, order in self._fixed:
            yield order
        for group in self._trails.values():
            for _, _, order in group.stops:
                yield order

    def check(self) -> None:
        """Check that stops are filed under their triggers, groups under their peaks."""
        for rank, place, order in self._fixed:
            terms = order.terms
            if terms is None or (-terms.stop_price * self.sign, terms.place) != (rank, place):
                raise InvariantViolation(f"stop {order.order_id} waits at a foreign price")
        firsts = sorted(group.first() for group in self._trails.values())
        if firsts != list(self._firsts):
            raise InvariantViolation("groups of trailing stops are filed wrongly")
        for peak, group in self._trails.items():
            if group.peak != peak:
                raise InvariantViolation(f"peak {group.peak} is filed under {peak}")
            for trail, place, order in group.stops:
                terms = order.terms
                if terms is None or (terms.trail, terms.place) != (trail, place):
                    raise InvariantViolation(f"stop {order.order_id} trails wrongly")
                if terms.group is not group:
                    raise InvariantViolation(f"stop {order.order_id} is in another group")


class Triggers:
    """The waiting stops of one instrument."""

    __slots__ = ("buys", "count", "sells")

    def __init__(self) -> None:
        self.buys = WaitingSide(Side.BUY)
        self.sells = WaitingSide(Side.SELL)
        self.count = 0

    def side(self, side: Side) -> WaitingSide:
        """Give the stops of one side."""
        return self.buys if side is Side.BUY else self.sells

    def add(self, order: Order) -> None:
        """Let a stop wait."""
        self.side(order.side).add(order)
        self.count += 1

    def remove(self, order: Order) -> None:
        """Take a waiting stop out."""
        self.side(order.side).remove(order)
        self.count -= 1

    def trigger_of(self, order: Order) -> int:
        """Give the price at which a stop fires, or did, in ticks; 0 for what is no stop."""
        terms = order.terms
        if terms is None or terms.group is None:
            return terms.stop_price if terms is not None else 0
        return (terms.group.peak - terms.trail) * self.side(order.side).sign

    def advance(self, price: int) -> None:
        """Let trailing stops follow a trade."""
        self.buys.advance(price)
        self.sells.advance(price)

    def traded(self, prices: list[int]) -> list[Order]:
        """Take out what a series of trades reached, each moving the trails first; in turn."""
        buys: Fired = []
        sells: Fired = []
        for price in prices:
            self.advance(price)
            buys += self.buys.reached(price)
            sells += self.sells.reached(price)
        self.count -= len(buys) + len(sells)
        return [order for _, _, order in [*sorted(buys), *sorted(sells)]]

    def orders(self) -> Iterator[Order]:
        """Walk all waiting stops, in no particular order."""
        yield from self.buys.orders()
        yield from self.sells.orders()

    def check(self) -> None:
        """Check both sides and the count."""
        self.buys.check()
        self.sells.check()
        if sum(1 for _ in self.orders()) != self.count:
            raise InvariantViolation("waiting stops are counted wrongly")


def _merged(one: Trail, other: Trail) -> Trail:
    """Move the smaller group's stops into the larger one."""
    if len(one.stops) < len(other.stops):
        one, other = other, one
    one.stops.update(other.stops)
    for _, _, order in other.stops:
        assert order.terms is not None
        order.terms.group = one
    return one
