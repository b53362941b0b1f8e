"""What one command leaves over: stops that fired, uncrosses in parts; each with its instrument.

Part of the deterministic core. While an instrument is unfinished nothing new may come to its
market; all others go on. What is unfinished has its turn at the beginning of each body, one
instrument after the other, and together no more than a part of the body. Stops that were reached
together stand in lines, in the order of their turns; the oldest line goes first. Taking out what a
trade reached is itself done in parts, as any number of stops may wait at one price. Source:
protocol.md, "Unfinished work".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from sortedcontainers import SortedList

from hpe.core.trading.order_states import QUEUED
from hpe.errors import InvariantViolation
from hpe.protocol.enums import InstrumentStatus

if TYPE_CHECKING:
    from hpe.core.trading.orderbook import OrderBook
    from hpe.core.trading.orders import Order
    from hpe.core.trading.triggers import Firing, Row

_GOES_ON: Final = (InstrumentStatus.TRADING, InstrumentStatus.CALL_AUCTION)

Line = SortedList["Row"]
"""Stops that were reached together, on one side, in turn."""


class UncrossInProgress(NamedTuple):
    """An uncross that has more fills than one command may have; `surplus` as it began."""

    price: int
    volume_left: int
    surplus: int
    next_status: InstrumentStatus


class Work:
    """What is unfinished of one instrument.

    `lines` are stops whose turn has not come, `queued` how many; `firings` what trades reached
    that is still being taken out, the first into the last line where `is_open`. `interrupted`
    is true from the due end of an interruption to its uncross. `listed`: it has its turn.
    """

    __slots__ = (
        "book", "firings", "interrupted", "is_open", "lines", "listed", "queued", "uncrossing",
    )  # fmt: skip

    def __init__(self, book: OrderBook) -> None:
        self.book = book
        self.lines: deque[Line] = deque()
        self.queued = 0
        self.firings: deque[Firing] = deque()
        self.is_open = False
        self.uncrossing: UncrossInProgress | None = None
        self.interrupted = False
        self.listed = False

    @property
    def is_empty(self) -> bool:
        """True if nothing is left."""
        stops = self.queued or self.firings
        return not (stops or self.interrupted or self.uncrossing is not None)

    @property
    def goes_on(self) -> bool:
        """True if something can be done now: stops wait while the market is closed."""
        if self.uncrossing is not None or self.interrupted:
            return True
        return self.book.status in _GOES_ON and not self.is_empty

    def file(self, rows: list[Row], is_last: bool) -> None:
        """Add stops of one side to the line that is being made; `is_last` closes it."""
        if not self.is_open and rows:
            self.lines.append(SortedList())
            self.is_open = True
        if rows:
            line = self.lines[-1]
            line.update(rows)
            self.queued += len(rows)
            for _, _, order in rows:
                assert order.terms is not None
                order.terms.line = line
                order.move(QUEUED)
        self.is_open = self.is_open and not is_last

    def first_stop(self) -> Order:
        """Return the stop whose turn it is; there must be one."""
        lines = self.lines
        while not lines[0]:
            lines.popleft()
        return lines[0][0][2]

    def remove(self, order: Order) -> None:
        """Take out a stop that has its turn, or ended in its line."""
        terms = order.terms
        assert terms is not None
        assert terms.line is not None
        terms.line.remove(row_of(order))
        terms.line = None
        self.queued -= 1

    def restore(self, order: Order, number: int) -> None:
        """Put a stop into its line, the first being 1; those of lower numbers are there."""
        if number > len(self.lines):
            self.lines.append(SortedList())
        self.lines[-1].add(row_of(order))
        assert order.terms is not None
        order.terms.line = self.lines[-1]
        self.queued += 1

    def orders(self) -> Iterator[Order]:
        """Walk the stops in their lines, in turn."""
        return (order for line in self.lines for _, _, order in line)

    def check(self) -> None:
        """Check the lines, their count, and that there is work at all."""
        count = 0
        for line in self.lines:
            for row in line:
                count += 1
                terms = row[2].terms
                filed = terms is not None and terms.line is line and row_of(row[2]) == row
                if not filed or row[2].state is not QUEUED:
                    raise InvariantViolation(f"stop {row[2].order_id} stands in a foreign line")
        if count != self.queued:
            raise InvariantViolation(f"{count} stops fired, {self.queued} are counted")
        if self.is_empty or self.listed is not self.goes_on or self.book.work is not self:
            raise InvariantViolation("work of an instrument is kept wrongly")


class Turns:
    """All unfinished work, and whose turn is next.

    `works` has an instrument's as long as there is any. `last_served` is the instrument that had
    the last `continue`.
    """

    def __init__(self) -> None:
        self.works: dict[int, Work] = {}
        self.last_served = 0
        self._listed: SortedList[int] = SortedList()

    @property
    def count(self) -> int:
        """How many instruments are unfinished."""
        return len(self._listed)

    def of(self, book: OrderBook) -> Work:
        """Return an instrument's work, made where there was none; `review` forgets it if empty."""
        work = book.work
        if work is None:
            work = book.work = self.works[book.instrument.instrument_id] = Work(book)
        return work

    def review(self, book: OrderBook) -> None:
        """List an instrument, or cease to, after its work or its status changed."""
        work = book.work
        if work is None:
            return
        instrument_id = book.instrument.instrument_id
        if work.goes_on is not work.listed:
            work.listed = not work.listed
            if work.listed:
                self._listed.add(instrument_id)
            else:
                self._listed.remove(instrument_id)
        if work.is_empty:
            book.work = None
            del self.works[instrument_id]

    def forget(self, book: OrderBook) -> None:
        """Drop what is left of an instrument without orders: what trades reached is gone."""
        if book.work is not None:
            book.work.firings.clear()
            self.review(book)

    def next_served(self) -> Work:
        """Return the unfinished instrument behind the last one served its turn."""
        after = self._listed.irange(self.last_served, inclusive=(False, True))
        self.last_served = next(chain(after, self._listed))
        return self.works[self.last_served]

    def __iter__(self) -> Iterator[Work]:
        """Walk all work, by ascending instrument."""
        return iter([self.works[key] for key in sorted(self.works)])


def row_of(order: Order) -> Row:
    """Return a fired stop's row: (negated rank of its trigger, place, order)."""
    terms = order.terms
    assert terms is not None
    sign = order.book.triggers.side(order.side).sign
    return -terms.stop_price * sign, terms.place, order
