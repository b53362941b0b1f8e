"""Whose turn it is among the instruments that are unfinished.

Part of the deterministic core. While an instrument is unfinished nothing new may come to its
market; all others go on. What is unfinished (work.py) has its turn at the beginning of each body,
one instrument after the other, and together no more than a part of the body. Source: protocol.md,
"Unfinished work".
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from sortedcontainers import SortedList

from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.work import Work
from hpe.errors import InvariantViolation


class Turns:
    """All unfinished work, and whose turn is next.

    `books` are those that have work. `last_served` is the instrument that had the last `continue`.
    """

    def __init__(self) -> None:
        self.books: dict[int, OrderBook] = {}
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
            work = book.work = Work()
            self.books[book.instrument.instrument_id] = book
        return work

    def review(self, book: OrderBook) -> None:
        """List an instrument, or cease to, after its work or its status changed."""
        work = book.work
        if work is None:
            return
        instrument_id = book.instrument.instrument_id
        if work.goes_on(book.status) is not work.listed:
            work.listed = not work.listed
            if work.listed:
                self._listed.add(instrument_id)
            else:
                self._listed.remove(instrument_id)
        if work.is_empty:
            book.work = None
            del self.books[instrument_id]

    def forget(self, book: OrderBook) -> None:
        """Drop what is left of an instrument without orders: what trades reached is gone."""
        if book.work is not None:
            book.work.firings.clear()
            self.review(book)

    def next_served(self) -> OrderBook:
        """Return the unfinished instrument behind the last one served its turn."""
        after = self._listed.irange(self.last_served, inclusive=(False, True))
        self.last_served = next(chain(after, self._listed))
        return self.books[self.last_served]

    def __iter__(self) -> Iterator[tuple[int, Work]]:
        """Walk (instrument, its work), ascending."""
        for instrument_id in sorted(self.books):
            work = self.books[instrument_id].work
            assert work is not None
            yield instrument_id, work

    def check(self) -> None:
        """Check all work, and that it is kept where there is any and has its turn."""
        for instrument_id, work in self:
            work.check()
            book = self.books[instrument_id]
            if work.is_empty or work.listed is not work.goes_on(book.status):
                raise InvariantViolation("work of an instrument is kept wrongly")
        if list(self._listed) != [instrument_id for instrument_id, work in self if work.listed]:
            raise InvariantViolation("instruments that go on are listed wrongly")
