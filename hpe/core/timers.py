"""What is due at a time: orders and holds that expire, sessions whose grace has passed.

Part of the deterministic core; time is logged time. Entries are removed when their order or hold
ends, so the earliest entry is always a live one.
"""

from __future__ import annotations

from typing import Final

from sortedcontainers import SortedList

ORDER: Final = 0
HOLD: Final = 1
SESSION: Final = 2

Due = tuple[int, int, int, int]
"""(due time in ns, ORDER, order id, user) or (due time in ns, HOLD, user, hold id) or
(due time in ns, SESSION, session id, newest order or 0)."""


class Timers:
    """Due entries in the order in which they act."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: SortedList[Due] = SortedList()

    def add(self, due: Due) -> None:
        """Let something act at a time."""
        self._entries.add(due)

    def remove(self, due: Due) -> None:
        """Forget what will not act any more."""
        self._entries.remove(due)

    def next_due_ns(self) -> int:
        """Tell when the earliest acts, 0 for never."""
        return self._entries[0][0] if self._entries else 0

    def first(self) -> Due:
        """Give the earliest entry; there must be one."""
        due: Due = self._entries[0]
        return due

    def rows(self) -> list[Due]:
        """Give everything, in order."""
        return list(self._entries)
