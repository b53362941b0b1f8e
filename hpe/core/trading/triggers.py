"""Waiting stops: which of them a trade reaches, in which order.

Part of the deterministic core. The two sides mirror each other: with rank = price for sells and
-price for buys, a trade reaches a stop if its rank is at or below the trigger's, the highest
trigger first. A trailing stop's trigger is its peak (the highest rank since it was accepted) minus
its trail. Stops of one peak move together, so they form one group. A trade above the peaks of some
groups merges these into the largest of them.

Cost: add and remove O(log n); a trade O(1) if it reaches nothing and moves at most the one group
that follows the price; otherwise O(log n) for every stop that is reached or changes its group.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final

from sortedcontainers import SortedList

from hpe.core.trading.order_states import WAITING
from hpe.core.trading.orders import Order, StopRow, Trail, stop_sign
from hpe.errors import InvariantViolation
from hpe.protocol.enums import Side
from hpe.protocol.limits import INT_MAX

Fired = list[StopRow]
"""Rows (negated rank of the trigger, place, order) of reached stops; sorting gives their turns."""

Key = tuple[int, int]
"""(Negated rank of the trigger, place): the turn of a stop among those of its side."""

_BELOW: Final = -INT_MAX - 1
"""Below every rank, as a signed integer of 64 bits: ranks are -INT_MAX .. -1 and 1 .. INT_MAX."""


class WaitingSide:
    """The stops of one side.

    `_trails` has the groups, by descending peak. A trade moves only the last one, after merging it
    with the others that the trade is above. So the peak of the last group is at or above the rank
    of the last price, which is the peak of every new stop. `_firsts` has `Trail.first()` of all
    other groups. A trade whose rank is above `quiet_low` and at most `quiet_high` neither reaches a
    stop nor moves one.
    """

    __slots__ = ("_firsts", "_fixed", "_trails", "quiet_high", "quiet_low", "sign")

    def __init__(self, side: Side) -> None:
        self.sign = stop_sign(side)
        self._fixed: SortedList[StopRow] = SortedList()
        self._trails: list[Trail] = []
        self._firsts: SortedList[tuple[int, int, int]] = SortedList()
        self.quiet_low, self.quiet_high = _BELOW, INT_MAX

    def add(self, order: Order) -> None:
        """Add a stop at its trigger, `stop_price`."""
        terms = order.terms
        assert terms is not None
        rank = terms.stop_price * self.sign
        if not terms.trail:
            self._fixed.add((-rank, terms.place, order))
            self._bound()
            return
        peak = rank + terms.trail
        trails = self._trails
        index = bisect_left(trails, -peak, key=_negated_peak)
        if index < len(trails) and trails[index].peak == peak:
            group = trails[index]
            self._unfile(group)
        else:
            if trails and index == len(trails):
                self._firsts.add(trails[-1].first())
            group = Trail(peak)
            trails.insert(index, group)
        group.stops.add((terms.trail, terms.place, order))
        terms.group = group
        self._file(group)
        self._bound()

    def _file(self, group: Trail) -> None:
        """Note the first trigger of a group that is not the last."""
        if group is not self._trails[-1]:
            self._firsts.add(group.first())

    def _unfile(self, group: Trail) -> None:
        if group is not self._trails[-1]:
            self._firsts.remove(group.first())

    def _bound(self) -> None:
        """Find the ranks between which a trade neither reaches nor moves a stop."""
        low = -self._fixed[0][0] if self._fixed else _BELOW
        high = INT_MAX
        if self._trails:
            last = self._trails[-1]
            high = last.peak
            low = max(low, high - last.stops[0][0])
            if self._firsts:
                low = max(low, -self._firsts[0][0])
        self.quiet_low, self.quiet_high = low, high

    def remove(self, order: Order) -> None:
        """Remove a waiting stop."""
        terms = order.terms
        assert terms is not None
        group = terms.group
        if group is None:
            self._fixed.remove((-terms.stop_price * self.sign, terms.place, order))
            self._bound()
            return
        self._unfile(group)
        group.stops.remove((terms.trail, terms.place, order))
        self._leave(order, group)
        self._keep(group)
        self._bound()

    def _leave(self, order: Order, group: Trail) -> None:
        """Fix the trigger of a trailing stop that stops trailing."""
        terms = order.terms
        assert terms is not None
        terms.stop_price = (group.peak - terms.trail) * self.sign
        terms.group = None

    def _keep(self, group: Trail) -> None:
        """Put a group that was removed from `_firsts` back, unless it is empty."""
        if group.stops:
            self._file(group)
            return
        trails = self._trails
        if group is not trails[-1]:
            del trails[bisect_left(trails, -group.peak, key=_negated_peak)]
            return
        trails.pop()
        if trails:
            self._firsts.remove(trails[-1].first())

    def advance(self, price: int) -> int:
        """Let trailing stops follow a trade; return how many changed their group."""
        rank, trails, moved = price * self.sign, self._trails, 0
        if not trails or trails[-1].peak >= rank:
            return 0
        if len(trails) > 1 and trails[-2].peak <= rank:
            moved = self._merge(bisect_left(trails, -rank, key=_negated_peak))
        last = trails[-1]
        last.peak = self.quiet_high = rank
        low = rank - last.stops[0][0]
        if low > self.quiet_low:
            self.quiet_low = low
        return moved

    def _merge(self, index: int) -> int:
        """Merge the groups from an index on into the largest of them, all at once.

        Returns:
            How many stops changed their group.
        """
        trails, firsts = self._trails, self._firsts
        merging = trails[index:]
        if len(merging) * 4 < len(firsts):
            for group in merging[:-1]:
                firsts.remove(group.first())
        else:
            firsts.clear()
            firsts.update(group.first() for group in trails[:index])
        largest = max(merging, key=_size)
        rows = [row for group in merging if group is not largest for row in group.stops]
        largest.stops.update(rows)
        for _, _, order in rows:
            assert order.terms is not None
            order.terms.group = largest
        trails[index:] = [largest]
        return len(rows)

    def reached(self, price: int, room: int) -> Fired:
        """Remove the stops whose trigger a trade at this price has reached, at most `room`.

        They leave in the order of their turns. If some remain, `quiet_low` is at or above the
        price's rank afterwards.
        """
        bound = -price * self.sign, INT_MAX
        fired: Fired = []
        while len(fired) < room:
            heads = self._heads()
            if not heads or heads[0] >= bound:
                break
            peak = heads[0][2]
            end = min(bound, heads[1][:2]) if heads[1:] else bound
            if peak is None:
                fired += _taken(self._fixed, end, room - len(fired))
                continue
            group = self._trails[bisect_left(self._trails, -peak, key=_negated_peak)]
            self._unfile(group)
            fired += self._fired_of(group, end, room - len(fired))
        self._bound()
        return fired

    def _heads(self) -> list[Any]:
        """Return the candidates for the next two turns, sorted: the first stops of what holds them.

        Returns:
            (negated rank of the trigger, place, peak of its group, None if fixed); of one trigger,
            no two have one place
        """
        fixed, firsts, trails = self._fixed, self._firsts, self._trails
        heads: list[Any] = []
        if fixed:
            rank, place, _ = fixed[0]
            heads.append((rank, place, None))
        if trails:
            heads.append(trails[-1].first())
        if firsts:
            heads.append(firsts[0])
            if len(firsts) > 1:
                heads.append(firsts[1])
        heads.sort()
        return heads

    def _fired_of(self, group: Trail, end: Key, room: int) -> Fired:
        """Remove the stops of a group (not in `_firsts`) that come before a key."""
        fired = []
        for trail, place, order in _taken(group.stops, (end[0] + group.peak, end[1]), room):
            self._leave(order, group)
            fired.append((trail - group.peak, place, order))
        self._keep(group)
        return fired

    def orders(self) -> Iterator[Order]:
        """Yield the waiting stops, in no particular order."""
        for _, _, order in self._fixed:
            yield order
        for group in self._trails:
            for _, _, order in group.stops:
                yield order

    def check(self) -> None:
        """Check that stops are filed under their triggers, groups under their peaks."""
        for rank, place, order in self._fixed:
            terms = order.terms
            filed = rank, place
            if terms is None or (-terms.stop_price * self.sign, terms.place) != filed:
                raise InvariantViolation(f"stop {order.order_id} waits at a foreign price")
        peaks = [group.peak for group in self._trails]
        if peaks != sorted(set(peaks), reverse=True):
            raise InvariantViolation("groups of trailing stops are out of order")
        firsts = sorted(group.first() for group in self._trails[:-1])
        if firsts != list(self._firsts):
            raise InvariantViolation("groups of trailing stops are filed wrongly")
        for group in self._trails:
            for trail, place, order in group.stops:
                terms = order.terms
                if terms is None or (terms.trail, terms.place) != (trail, place):
                    raise InvariantViolation(f"stop {order.order_id} trails wrongly")
                if terms.group is not group:
                    raise InvariantViolation(f"stop {order.order_id} is in another group")
        noted = self.quiet_low, self.quiet_high
        self._bound()
        if noted != (self.quiet_low, self.quiet_high):
            raise InvariantViolation(f"ranks {noted} are wrongly noted as quiet")


class Firing:
    """The stops that a series of trades reached, while they are being removed.

    `side` is the next one, 0 for buys, 1 for sells, 2 when all is done; `index` is the next of its
    prices.
    """

    __slots__ = ("index", "prices", "side")

    def __init__(self, prices: list[int], side: int = 0, index: int = 0) -> None:
        self.prices = prices
        self.side = side
        self.index = index

    @property
    def is_done(self) -> bool:
        """True if everything that was reached has been removed."""
        return self.side > 1


class Triggers:
    """The waiting stops of one instrument."""

    __slots__ = ("buys", "count", "sells")

    def __init__(self) -> None:
        self.buys = WaitingSide(Side.BUY)
        self.sells = WaitingSide(Side.SELL)
        self.count = 0

    def side(self, side: Side) -> WaitingSide:
        """Return the stops of one side."""
        return self.buys if side is Side.BUY else self.sells

    def add(self, order: Order) -> None:
        """Add a stop."""
        self.side(order.side).add(order)
        self.count += 1

    def remove(self, order: Order) -> None:
        """Remove a waiting stop."""
        self.side(order.side).remove(order)
        self.count -= 1

    def is_quiet(self, price: int) -> bool:
        """True if a trade at this price neither reaches nor moves a stop."""
        buys, sells = self.buys, self.sells
        return (
            sells.quiet_low < price <= sells.quiet_high
            and buys.quiet_low < -price <= buys.quiet_high
        )

    def advance(self, price: int) -> int:
        """Let trailing stops follow a trade; return how many changed their group."""
        return self.buys.advance(price) + self.sells.advance(price)

    def take(self, firing: Firing, room: int) -> tuple[Fired, int]:
        """Remove what a series of trades reached on its present side, at most `room`.

        Each trade moves the trails first. A price that repeats has no effect the second time.

        Returns:
            (the stops, how many trailing stops changed their group)
        """
        side, moved = self.sells if firing.side else self.buys, 0
        fired: Fired = []
        for price in firing.prices[firing.index :]:
            rank = price * side.sign
            if rank > side.quiet_high:
                moved += side.advance(price)
            if rank <= side.quiet_low:
                fired += side.reached(price, room - len(fired))
                if rank <= side.quiet_low:
                    break  # more remain
            firing.index += 1
        else:
            firing.side, firing.index = firing.side + 1, 0
        self.count -= len(fired)
        return fired, moved

    def orders(self) -> Iterator[Order]:
        """Yield all waiting stops, in no particular order."""
        yield from self.buys.orders()
        yield from self.sells.orders()

    def check(self) -> None:
        """Check both sides and the count."""
        self.buys.check()
        self.sells.check()
        if any(order.state is not WAITING for order in self.orders()):
            raise InvariantViolation("a stop behind its trigger is not waiting")
        if sum(1 for _ in self.orders()) != self.count:
            raise InvariantViolation("waiting stops are counted wrongly")


def _negated_peak(group: Trail) -> int:
    return -group.peak


def _size(group: Trail) -> int:
    return len(group.stops)


def _taken(rows: SortedList[Any], end: Key, room: int) -> Fired:
    """Remove the rows that come before a key, at most `room`; all at once, as they are many."""
    count = min(rows.bisect_left(end), room)
    taken: Fired = list(rows.islice(0, count))
    del rows[:count]
    return taken
