"""One instrument's orders: price levels, first-in-first-out queues, best prices, waiting stops.

Part of the deterministic core. A ladder is one side. A dict finds the level of a price, and a
level links its orders in queue order, so removing one from the middle is O(1). Prices are kept
in order in two parts, because most levels appear and disappear within a few ticks of the best,
where many exist for one order only:

- `_near`, a plain list with the best price last: at that end, appearing and disappearing is an
  append and a pop; elsewhere, a bounded shift of pointers;
- `_far`, more such lists, with all worse prices: the first prices of the lists say which one has a
  price, which is O(log n) of a few lists, and a change in it is a bounded shift. (A SortedList took
  three times as long: among 50,000 levels, it made a plain order 1.6 times as slow as in an empty
  book; these lists make it 1.4 times as slow.)

Cost: add and remove O(1) at a level that stays; O(log n) of n levels at one that appears or
disappears, O(1) at the best; a walk O(levels walked).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Final, Protocol

import msgspec

from hpe.core.listings.instruments import Instrument
from hpe.core.money.fees import FeeSchedule, rates_of
from hpe.core.money.wide import band
from hpe.core.timers import NO_TIMERS, Timers
from hpe.core.trading.order_states import RESTS
from hpe.core.trading.orders import Order
from hpe.core.trading.triggers import Triggers
from hpe.core.trading.work import Work
from hpe.errors import InvariantViolation
from hpe.protocol.enums import BookChange, InstrumentStatus, Side
from hpe.protocol.limits import INT_MAX
from hpe.protocol.market_data import BookChangeRow, BookLevel

_BUY: Final = Side.BUY
_TRADING: Final = InstrumentStatus.TRADING
_ADDED: Final = BookChange.ADDED
_CHANGED: Final = BookChange.CHANGED
_REMOVED: Final = BookChange.REMOVED

NEAR_LEVELS_MAX: Final = 1_024
"""Prices in one list of a ladder: shifting this many pointers takes 0.1 us. A longer list is cut in
half."""


class ChangeSink(Protocol):
    """Receives the changes of a watched book."""

    def append(self, row: BookChangeRow, /) -> None:
        """Add one change."""


def _nobody() -> None:
    """Do nothing: the book has no subscribers."""


class Level(msgspec.Struct, gc=False):
    """All resting orders of one side at one price, oldest first from `head`; never empty.

    `quantity` is the sum of the shown lots, `hidden` of the lots that icebergs hide.
    """

    price: int
    quantity: int
    count: int
    head: Order
    tail: Order
    hidden: int = 0

    def orders(self) -> Iterator[Order]:
        """Yield the orders in the queue, oldest first."""
        order: Order | None = self.head
        while order is not None:
            yield order
            order = order.next


class Ladder:
    """One side of a book, best price first.

    `sign` is +1 for bids and -1 for asks: a higher rank (price x sign) is better.
    `changes` counts every visible change of the side (add, fill, cancel, reduce), `count` its
    orders. While the book has subscribers, `record` collects the changes, and `notice` is called
    when only hidden lots changed.
    """

    __slots__ = (
        "_far", "_far_firsts", "_levels", "_near", "_near_half", "_near_max", "_side", "best",
        "changes", "count", "notice", "record", "sign",
    )  # fmt: skip

    def __init__(self, side: Side, near_levels_max: int = NEAR_LEVELS_MAX) -> None:
        self._side = side
        self._near_max, self._near_half = near_levels_max, near_levels_max // 2
        self.sign = 1 if side is _BUY else -1
        self.record: ChangeSink | None = None
        self.notice: Callable[[], None] = _nobody
        self.best: Level | None = None
        self.changes = 0
        self.count = 0
        self._levels: dict[int, Level] = {}  # by price
        # Ranks, ascending. All of _far are below those of _near; if _near is empty, _far is, too.
        self._near: list[int] = []
        self._far: list[list[int]] = []
        self._far_firsts: list[int] = []  # the first rank of each list in _far

    def add(self, order: Order) -> None:
        """Put an order at the end of its price's queue."""
        self.changes += 1
        self.count += 1
        price, hidden, levels = order.price, order.hidden, self._levels
        shown = order.leaves - hidden
        if self.record is not None:
            self.record.append((_ADDED, self._side, order.order_id, price, shown))
        if price in levels:
            level = levels[price]
            tail = level.tail
            tail.next = order
            order.previous = tail
            level.tail = order
            level.quantity += shown
            level.count += 1
            if hidden:
                level.hidden += hidden
            return
        level = levels[price] = Level(price, shown, 1, order, order, hidden)
        rank = price * self.sign
        near = self._near
        if not near or rank > near[-1]:
            near.append(rank)
            self.best = level
        elif self._far and rank < near[0]:
            index = bisect_right(self._far_firsts, rank) - 1
            if index < 0:
                index, self._far_firsts[0] = 0, rank
            chunk = self._far[index]
            insort(chunk, rank)
            if len(chunk) > self._near_max:
                self._split(index)
            return
        else:
            insort(near, rank)
        if len(near) > self._near_max:
            half = self._near_half
            self._far.append(near[:half])
            self._far_firsts.append(near[0])
            del near[:half]

    def _split(self, index: int) -> None:
        """Cut a list of far ranks in half."""
        chunk, half = self._far[index], self._near_half
        self._far.insert(index + 1, chunk[half:])
        self._far_firsts.insert(index + 1, chunk[half])
        del chunk[half:]

    def remove(self, order: Order) -> None:
        """Remove an order from its queue, with whatever leaves it has."""
        self.changes += 1
        self.count -= 1
        if self.record is not None:
            self.record.append((_REMOVED, self._side, order.order_id, order.price, 0))
        level = self._levels[order.price]
        if level.count == 1:
            self._drop(level)
            return
        before, after = order.previous, order.next
        if after is None:
            assert before is not None
            level.tail = before
        else:
            after.previous = before
            order.next = None
        if before is None:
            assert after is not None
            level.head = after
        else:
            before.next = after
            order.previous = None
        hidden = order.hidden
        level.quantity -= order.leaves - hidden
        level.count -= 1
        if hidden:
            level.hidden -= hidden

    def _drop(self, level: Level) -> None:
        """Remove a level with its last order."""
        levels, near = self._levels, self._near
        del levels[level.price]
        if level is not self.best:
            rank = level.price * self.sign
            if rank >= near[0]:
                del near[bisect_left(near, rank)]
            else:
                firsts = self._far_firsts
                index = bisect_right(firsts, rank) - 1
                chunk = self._far[index]
                place = bisect_left(chunk, rank)
                del chunk[place]
                if not chunk:
                    del self._far[index], firsts[index]
                elif not place:
                    firsts[index] = chunk[0]
            return
        near.pop()
        if not near and self._far:
            near += self._far.pop()
            self._far_firsts.pop()
        self.best = levels[near[-1] * self.sign] if near else None

    def take(self, order: Order, quantity: int) -> None:
        """Subtract a fill from a resting order that shows at least this; it keeps its place."""
        self.changes += 1
        self._levels[order.price].quantity -= quantity
        order.leaves -= quantity
        if self.record is not None:
            self._note_change(order)

    def reduce(self, order: Order, leaves: int) -> None:
        """Lower a resting order's leaves, hidden ones first; it keeps its place."""
        self.reshow(order, leaves, max(order.hidden - (order.leaves - leaves), 0))

    def reshow(self, order: Order, leaves: int, hidden: int) -> None:
        """Change a resting order's leaves and hidden lots; it keeps its place.

        A change of hidden lots only is not a change of the book: it would reveal an iceberg.
        """
        level = self._levels[order.price]
        more = leaves - hidden - (order.leaves - order.hidden)
        level.quantity += more
        level.hidden += hidden - order.hidden
        order.leaves, order.hidden = leaves, hidden
        if not more:
            self.notice()
            return
        self.changes += 1
        if self.record is not None:
            self._note_change(order)

    def _note_change(self, order: Order) -> None:
        assert self.record is not None
        shown = order.leaves - order.hidden
        self.record.append((_CHANGED, self._side, order.order_id, order.price, shown))

    def refill(self, order: Order) -> None:
        """Show an iceberg's next slice, at the end of its price's queue; it shows nothing now."""
        self.remove(order)
        order.show_slice()
        self.add(order)

    def crosses(self, price: int | None) -> bool:
        """True if an opposite order at this limit (0: none; None: nothing may) would trade."""
        best = self.best
        if best is None or price is None:
            return False
        return price == 0 or (best.price - price) * self.sign >= 0

    def living(self, price: int, dead_ns: int) -> Iterator[Order]:
        """Yield the living orders that an order at this limit (0 for none) would meet."""
        for level in self.levels_within(price):
            for order in level.orders():
                if not order.is_dead(dead_ns):
                    yield order

    def level_count(self) -> int:
        """Return the number of price levels."""
        return len(self._levels)

    def levels(self) -> Iterator[Level]:
        """Yield the levels, best first."""
        levels, sign = self._levels, self.sign
        far = chain.from_iterable(map(reversed, reversed(self._far)))
        return (levels[rank * sign] for rank in chain(reversed(self._near), far))

    def changed_levels(self, prices: Iterable[int]) -> list[BookLevel]:
        """Return the present levels at these prices, best first; quantity 0: it is gone."""
        found = (
            (price, self._levels.get(price)) for price in sorted(prices, reverse=self.sign > 0)
        )
        return [(price, lv.quantity, lv.count) if lv else (price, 0, 0) for price, lv in found]

    def count_within(self, price: int) -> int:
        """Return the number of levels that an opposite order at this limit would reach."""
        rank, chunks = price * self.sign, (*self._far, self._near)
        return sum(len(chunk) - bisect_left(chunk, rank) for chunk in chunks)

    def levels_within(self, price: int) -> Iterator[Level]:
        """Yield the levels that an opposite order at this limit (0 for none) would reach."""
        for level in self.levels():
            if price and (level.price - price) * self.sign < 0:
                return
            yield level

    def check(self) -> None:
        """Check the order of prices against the levels, the cached best, and every queue."""
        ranks = [*chain.from_iterable(self._far), *self._near]
        if ranks != sorted(price * self.sign for price in self._levels):
            raise InvariantViolation("the ordered prices and the levels differ")
        if len(self._near) > self._near_max or (self._far and not self._near):
            raise InvariantViolation(f"{len(self._near)} prices are near")
        if self._far_firsts != [chunk[0] for chunk in self._far]:
            raise InvariantViolation("lists of far prices are filed wrongly")
        if any(len(chunk) > self._near_max for chunk in self._far):
            raise InvariantViolation("a list of far prices is too long")
        if self.best is not (self._levels[ranks[-1] * self.sign] if ranks else None):
            raise InvariantViolation("the cached best level is not the best")
        if self.count != sum(level.count for level in self._levels.values()):
            raise InvariantViolation(f"{self.count} orders are counted")
        for price, level in self._levels.items():
            if level.price != price:
                raise InvariantViolation(f"level {level.price} is filed under {price}")
            self._check_queue(level)

    def _check_queue(self, level: Level) -> None:
        queue = list(islice(level.orders(), level.count + 1))  # stops even if links form a ring
        if len(queue) != level.count or queue[-1] is not level.tail:
            raise InvariantViolation(f"level {level.price}: links and count differ")
        if sum(order.hidden for order in queue) != level.hidden:
            raise InvariantViolation(f"level {level.price}: hidden is not the sum of hidden lots")
        if sum(order.leaves - order.hidden for order in queue) != level.quantity:
            raise InvariantViolation(f"level {level.price}: quantity is not the sum of leaves")
        for before, order in zip([None, *queue], queue, strict=False):
            if order.previous is not before:
                raise InvariantViolation(f"order {order.order_id} is linked wrongly")
            if order.price != level.price or order.state is not RESTS:
                raise InvariantViolation(f"order {order.order_id} rests at a foreign price")


class OrderBook:
    """Both sides of one instrument, its stops, its last price, and what may be done with it.

    `plain`: it is trading and has no band, so neither can refuse an order.
    `work` is its unfinished work.
    """

    __slots__ = (
        "asks", "bids", "fees", "instrument", "interruption_due_ns", "last_price",
        "last_trade_id", "notice", "plain", "status", "timers", "triggers", "work",
    )  # fmt: skip

    def __init__(self, instrument: Instrument, timers: Timers = NO_TIMERS) -> None:
        self.instrument = instrument
        self.timers = timers
        self.notice: Callable[[], None] = _nobody
        self.bids = Ladder(Side.BUY)
        self.asks = Ladder(Side.SELL)
        self.triggers = Triggers()
        self.work: Work | None = None
        self.last_price = self.last_trade_id = self.interruption_due_ns = 0
        self.fees = FeeSchedule(rates_of(instrument.maker_fee_ppm, instrument.taker_fee_ppm))
        self.set_status(_TRADING)

    def set_status(self, status: InstrumentStatus) -> None:
        """Set the status, or apply a changed instrument."""
        self.status = status
        self.plain = status is _TRADING and not self.instrument.band_ppm
        self.notice()

    def band(self) -> tuple[int, int]:
        """Return the lowest and highest price of a trade now, (0, INT_MAX) without a band."""
        parts = self.instrument.band_ppm
        if not parts:
            return 0, INT_MAX
        reference = self.last_price or self.instrument.reference_price
        return band(reference, parts)

    def dead_ns(self) -> int:
        """Return the time up to which its orders are dead, 0 if none are."""
        timers = self.timers
        return timers.dead_ns(self.instrument.instrument_id) if timers.overdue else 0

    def crosses(self, side: Side, price: int) -> bool:
        """True if an order of a side at this limit would trade with a living one."""
        ladder, dead_ns = self.opposite(side), self.dead_ns()
        if not dead_ns:
            return ladder.crosses(price)
        return any(True for _ in ladder.living(price, dead_ns))

    def limit_within_band(self, side: Side, price: int) -> int | None:
        """Return the worst price at which an order at this price (0: none) may trade now.

        The result is a price in ticks; 0 if neither the order nor a band sets a limit; or None if
        nothing may trade. That is so if the best opposite order is outside the band on the near
        side, where the price would be better for the order than the band allows (for a buy, below
        the band): it has priority, and is not skipped.
        """
        if not self.instrument.band_ppm:
            return price
        low, high = self.band()
        ladder, dead_ns = self.opposite(side), self.dead_ns()
        if side is _BUY:
            limit = min(price, high) if price else high
            near = min(low - 1, price) if price else low - 1
        else:
            limit = max(price, low, 1)
            near = max(high + 1, price) if high < INT_MAX else 0
        if near <= 0 or not ladder.crosses(near):
            return limit
        return None if not dead_ns or any(ladder.living(near, dead_ns)) else limit

    def watch(self, record: ChangeSink | None, notice: Callable[[], None] = _nobody) -> None:
        """Append every visible change of both sides to a record, or stop doing so.

        `notice` is called when only hidden lots or the status changed.
        """
        self.notice = notice
        for ladder in (self.bids, self.asks):
            ladder.record, ladder.notice = record, notice

    @property
    def sequence(self) -> int:
        """Number of changes of the book, for market data."""
        return self.bids.changes + self.asks.changes

    def side(self, side: Side) -> Ladder:
        """Return the ladder that orders of this side rest in."""
        return self.bids if side is _BUY else self.asks

    def opposite(self, side: Side) -> Ladder:
        """Return the ladder that orders of this side trade against."""
        return self.asks if side is _BUY else self.bids

    def depth(self, side: Side, levels_max: int) -> list[BookLevel]:
        """Return the best levels of a side as (price, shown quantity, orders)."""
        levels = islice(self.side(side).levels(), levels_max)
        return [(level.price, level.quantity, level.count) for level in levels]

    def orders(self) -> Iterator[Order]:
        """Yield all resting orders: bids then asks, best first, oldest first."""
        for ladder in (self.bids, self.asks):
            for level in ladder.levels():
                yield from level.orders()

    def check(self) -> None:
        """Check both sides, the stops, and that the sides do not cross outside a call."""
        self.bids.check()
        self.asks.check()
        self.triggers.check()
        bid, ask = self.bids.best, self.asks.best
        in_call = self.status is InstrumentStatus.CALL_AUCTION
        if not in_call and bid is not None and ask is not None and bid.price >= ask.price:
            raise InvariantViolation(f"book crossed: bid {bid.price} >= ask {ask.price}")
