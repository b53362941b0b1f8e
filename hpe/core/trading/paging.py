"""Paging: rows by rising number, of which a list shows a page from any place on.

Part of the deterministic core. New rows have the highest number. To find where a page begins costs
a search; what is new, and what has gone, costs whoever lists first, and nobody after that. Which
rows there are is state; what is remembered here about them is not, and follows from it.
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
"""Rows that have gone, beyond a share of those there are: to clear fewer costs more."""

_BYTES_PER_ROW_MAX: Final = 512
"""Four times what a dict takes for each row when it has just grown."""

_PIECE: Final = 64
"""Rows of a walk's first piece; each is twice as long as the one before, as cutting what has gone
out of a list moves all that is behind it."""

_sequence_of: Final = attrgetter("private_sequence")


def tight(rows: dict[int, _T]) -> dict[int, _T]:
    """Return a dict's rows in one that has few places of rows that have gone.

    Whoever walks a dict walks those too, and it keeps them until it has to grow. Each was a row,
    and is cleared once.
    """
    return dict(rows) if rows.__sizeof__() > _BYTES_PER_ROW_MAX * (len(rows) + _GONE_MAX) else rows


class Rising(Generic[_T]):
    """The numbers of rows that a dict has in rising order, to begin a walk in the middle.

    Those that came since the last walk are not among them yet, some that have gone still are: so
    rows come and go without a word to this.
    """

    __slots__ = ("_newest", "_numbers")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._newest = 0

    def after(self, number: int, rows: dict[int, _T]) -> Iterator[list[_T]]:
        """Walk the rows with higher numbers, piece by piece; nothing may come or go meanwhile."""
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
        """Add the numbers that came, and forget those that have gone if they are many."""
        new = list(takewhile(self._newest.__lt__, reversed(rows)))
        if new:
            self._newest = new[0]
            self._numbers.extend(reversed(new))
            if len(self._numbers) > 2 * len(rows) + _GONE_MAX:
                self._numbers[:] = filter(rows.__contains__, self._numbers)

    def check(self, rows: dict[int, _T]) -> None:
        """Check that rows came in the order of their numbers, and that none was passed over."""
        known = [number for number in self._numbers if number in rows]
        if any(a >= b for numbers in (rows, self._numbers) for a, b in pairwise(numbers)):
            raise InvariantViolation("open orders are not in the order of their ids")
        if known != [number for number in rows if number <= self._newest]:
            raise InvariantViolation("open orders are missing in the list of them")


class Shelf(Generic[_T]):
    """Some of the rows, apart from all others: whoever needs these alone comes to no other."""

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
        """Check that rows came in the order of their numbers, and that none was passed over."""
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
        """Return the oldest fills behind a private sequence."""
        start = bisect_right(self.rows, sequence, self._first, key=_sequence_of)
        return self.rows[start : start + count_max]
