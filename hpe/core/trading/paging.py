"""Paging: rows in the order of their numbers, from which a query returns a page after any number.

Part of the deterministic core. A new row has the highest number. Finding the beginning of a page
takes a search. Rows that were added or removed make only the next query slower, none after it. The
rows are state; what is remembered about them here is not, because it follows from them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import chain, islice, pairwise, takewhile
from operator import attrgetter
from typing import Final, Generic, TypeVar

from hpe.errors import InvariantViolation
from hpe.protocol.reports import ExecutionReport

_T = TypeVar("_T")
_GONE_MAX: Final = 64
"""Rows gone, beyond a share of the present ones, before they are cleared out."""

_BYTES_PER_ROW_MAX: Final = 512
"""Four times what a dict takes per row when it has just grown."""

_PIECE: Final = 64
"""Rows in the first piece of a walk; each later one is twice as long, because removing gone rows
from a list moves everything after them."""

_sequence_of: Final = attrgetter("private_sequence")


def tight(rows: dict[int, _T]) -> dict[int, _T]:
    """Return a dict's rows in a dict that has few places of rows that are gone.

    Walking a dict visits those too, and it keeps them until it has to grow. Each was a row, and is
    cleared once.
    """
    return dict(rows) if rows.__sizeof__() > _BYTES_PER_ROW_MAX * (len(rows) + _GONE_MAX) else rows


class Rising(Generic[_T]):
    """The numbers of a dict's rows in rising order, so that a walk can begin in the middle.

    Rows added since the last walk are not included yet, and some that are gone still are, so adding
    and removing rows needs no call here.
    """

    __slots__ = ("_newest", "_numbers")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._newest = 0

    def after(self, number: int, rows: dict[int, _T]) -> Iterator[list[_T]]:
        """Yield the rows with higher numbers, piece by piece; rows must not change meanwhile."""
        self._catch_up(rows)
        numbers = self._numbers
        start, size = bisect_right(numbers, number), _PIECE
        while piece := numbers[start : start + size]:
            found = [row for row in map(rows.get, piece) if row is not None]
            if len(found) < len(piece):
                numbers[start : start + size] = filter(rows.__contains__, piece)
            yield found
            start += len(found)
            size *= 2

    def _catch_up(self, rows: dict[int, _T]) -> None:
        """Add new numbers, and remove gone ones if there are many."""
        new = list(takewhile(self._newest.__lt__, reversed(rows)))
        if new:
            self._newest = new[0]
            self._numbers.extend(reversed(new))
            if len(self._numbers) > 2 * len(rows) + _GONE_MAX:
                self._numbers[:] = filter(rows.__contains__, self._numbers)

    def check(self, rows: dict[int, _T]) -> None:
        """Check that rows came in the order of their numbers, and that none was missed."""
        known = [number for number in self._numbers if number in rows]
        if any(a >= b for numbers in (rows, self._numbers) for a, b in pairwise(numbers)):
            raise InvariantViolation("open orders are not in the order of their ids")
        if known != [number for number in rows if number <= self._newest]:
            raise InvariantViolation("open orders are missing in the list of them")


class Shelf(Generic[_T]):
    """Some of the rows, kept apart from all others, so that a walk over them visits no other."""

    __slots__ = ("_rising", "rows")

    def __init__(self) -> None:
        self.rows: dict[int, _T] = {}  # by rising number
        self._rising: Rising[_T] = Rising()

    def __iter__(self) -> Iterator[_T]:
        """Walk the rows by number."""
        self.rows = tight(self.rows)
        return iter(self.rows.values())

    def after(self, number: int) -> Iterator[_T]:
        """Walk the rows with higher numbers; nothing may come or go meanwhile."""
        self.rows = tight(self.rows)
        return chain.from_iterable(self._rising.after(number, self.rows))

    def check(self) -> None:
        """Check that rows came in the order of their numbers, and that none was missed."""
        self._rising.check(self.rows)


class RecentFills:
    """The newest fills of a user, by private sequence; the oldest is forgotten first."""

    __slots__ = ("_first", "rows")

    def __init__(self) -> None:
        self.rows: list[ExecutionReport] = []  # new ones go to its end
        self._first = 0

    def __len__(self) -> int:
        return len(self.rows) - self._first

    def __iter__(self) -> Iterator[ExecutionReport]:
        return islice(self.rows, self._first, None)

    def forget_oldest(self) -> int:
        """Forget a fill; return its private sequence."""
        sequence, self._first = self.rows[self._first].private_sequence, self._first + 1
        if self._first > _GONE_MAX + len(self.rows) // 8:  # an eighth more memory than is needed
            del self.rows[: self._first]
            self._first = 0
        return sequence

    def after(self, sequence: int, count_max: int) -> list[ExecutionReport]:
        """Return the oldest fills after a private sequence."""
        start = bisect_right(self.rows, sequence, self._first, key=_sequence_of)
        return self.rows[start : start + count_max]
