"""A queue in which sources take turns: waiters, grouped by where they came from.

Owns the order in which waiters pass; used in the Trio loop by turnstiles (pacing.py) and by the
waiting room (arrivals.py). Guarantees: within a source the oldest passes first; a waiter from a
source with no other waiter passes after at most one of each other source, however many of those
wait; every step costs the same, however many there are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

Waiter = TypeVar("Waiter")


class Rotation(Generic[Waiter]):
    """Hashable waiters, each at most once, in one line per source."""

    def __init__(self) -> None:
        # Ordered dicts as queues: removing from either end or the middle costs the same.
        self._lines: OrderedDict[str, OrderedDict[Waiter, None]] = OrderedDict()
        # Sources by the length of their lines, so that the longest is found without a search.
        self._by_length: dict[int, OrderedDict[str, None]] = {}
        self._count = 0
        self._longest = 0

    def __len__(self) -> int:
        """Return the number of waiters."""
        return self._count

    @property
    def longest(self) -> int:
        """The length of the longest line."""
        return self._longest

    def waiting(self, source: str) -> int:
        """Return the number of a source's waiters."""
        line = self._lines.get(source)
        return len(line) if line else 0

    def add(self, source: str, waiter: Waiter) -> None:
        """Add a waiter at the end of its source's line; a new line gets the last turn."""
        line = self._lines.setdefault(source, OrderedDict())
        line[waiter] = None
        self._resized(source, len(line) - 1, len(line))

    def take(self) -> Waiter:
        """Remove and return the oldest waiter of the source whose turn it is.

        Raises:
            IndexError: there are no waiters.
        """
        source = _first(self._lines)
        line = self._lines[source]
        waiter, _ = line.popitem(last=False)
        self._lines.move_to_end(source)
        self._resized(source, len(line) + 1, len(line))
        return waiter

    def discard(self, source: str, waiter: Waiter) -> None:
        """Remove a waiter that gives up; no other waiter moves."""
        line = self._lines[source]
        del line[waiter]
        self._resized(source, len(line) + 1, len(line))

    def take_surplus(self) -> Waiter:
        """Remove and return the newest waiter of one of the longest lines.

        Raises:
            IndexError: there are no waiters.
        """
        source = _first(self._by_length.get(self._longest, ()))
        line = self._lines[source]
        waiter, _ = line.popitem()
        self._resized(source, len(line) + 1, len(line))
        return waiter

    def _resized(self, source: str, before: int, after: int) -> None:
        self._count += after - before
        if before:
            peers = self._by_length[before]
            del peers[source]
            if not peers:
                del self._by_length[before]
        if after:
            self._by_length.setdefault(after, OrderedDict())[source] = None
        else:
            del self._lines[source]
        # Lengths change by one: right below the longest line that got shorter, there is a next one.
        if self._longest < after or (self._longest and self._longest not in self._by_length):
            self._longest = after


def _first(sources: Iterable[str]) -> str:
    for source in sources:
        return source
    raise IndexError("nobody waits")
