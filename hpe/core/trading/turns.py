"""The turns of instruments that have unfinished work.

Part of the deterministic core. While an instrument is unfinished, no new order may come to its
market; all other markets continue. Unfinished work (work.py) gets its turns at the beginning of
each batch, one instrument after the other, in at most a part of the batch. Source: protocol.md,
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

    `books` are those with work. `last_served` is the instrument that had the last `continue`.
    """

    def __init__(self) -> None:
        self.books: dict[int, OrderBook] = {}
        self.last_served = 0
        self._listed: SortedList[int] = SortedList()

    @property
    def count(self) -> int:
        """The number of unfinished instruments."""
        return len(self._listed)

    def of(self, book: OrderBook) -> Work:
        """Return an instrument's work, created if necessary; `review` removes it if empty."""
        work = book.work
        if work is None:
            work = book.work = Work()
            self.books[book.instrument.instrument_id] = book
        return work

    def review(self, book: OrderBook) -> None:
        """Add an instrument to the list or remove it, after its work or its status changed."""
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
        """Drop the noted prices of an instrument without orders: they can reach no stop."""
        if book.work is not None:
            book.work.firings.clear()
            self.review(book)

    def next_served(self) -> OrderBook:
        """Return the next unfinished instrument after the last one that had its turn."""
        after = self._listed.irange(self.last_served, inclusive=(False, True))
        self.last_served = next(chain(after, self._listed))
        return self.books[self.last_served]

    def __iter__(self) -> Iterator[tuple[int, Work]]:
        """Yield (instrument, its work), ascending."""
        for instrument_id in sorted(self.books):
            work = self.books[instrument_id].work
            assert work is not None
            yield instrument_id, work

    def check(self) -> None:
        """Check all work, and that exactly the books with work have turns."""
        for instrument_id, work in self:
            work.check()
            book = self.books[instrument_id]
            if work.is_empty or work.listed is not work.goes_on(book.status):
                raise InvariantViolation("work of an instrument is kept wrongly")
        if list(self._listed) != [instrument_id for instrument_id, work in self if work.listed]:
            raise InvariantViolation("instruments with unfinished work are listed wrongly")
