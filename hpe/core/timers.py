"""Timers: five kinds of entries with due times, each kind with its own queue and bound per batch.

Part of the deterministic core; time is logged time. An entry is removed when its subject ends, so
the earliest entry is always a live one. The code that acts on an entry removes or moves it; what
exceeds a kind's bound is due at once and acts in the following batches, so a crowd that is due at
one instant delays nobody. Source: protocol.md, "Time".
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sortedcontainers import SortedList

from hpe.core.contract import DEFAULT_LIMITS

ORDER: Final = 0
HOLD: Final = 1
ENDING: Final = 2
INTERRUPTION: Final = 3
SESSION: Final = 4

Due = tuple[int, int, int, int]
"""(due time in ns, ORDER, order id, user), (..., HOLD, user, hold id), (..., ENDING, session id,
newest order that ends), (..., INTERRUPTION, instrument, 0) or (..., SESSION, session id, 0)."""


class TimerEntry(NamedTuple):
    """A due entry and the instrument that it belongs to, 0 for none."""

    due: Due
    instrument: int


class TimerQueue:
    """The entries of one kind, in order, kept by instrument so that one can be passed over.

    Cost: O(log n) to add, remove and find the first, however many instruments are passed over.
    """

    __slots__ = ("_by_instrument", "_firsts")

    def __init__(self) -> None:
        self._by_instrument: dict[int, SortedList[Due]] = {}
        self._firsts: SortedList[TimerEntry] = SortedList()  # of each one not passed over

    def add(self, due: Due, instrument: int, passed: bool) -> None:
        """Add an entry; `passed`: its instrument is passed over."""
        rows = self._by_instrument.get(instrument)
        if rows is None:
            rows = self._by_instrument[instrument] = SortedList()
        elif not passed and due < rows[0]:
            self._firsts.remove(TimerEntry(rows[0], instrument))
        rows.add(due)
        if not passed and rows[0] == due:
            self._firsts.add(TimerEntry(due, instrument))

    def remove(self, due: Due, instrument: int, passed: bool) -> None:
        """Remove an entry, which must be there."""
        rows = self._by_instrument[instrument]
        was_first = rows[0] == due
        rows.remove(due)
        if was_first and not passed:
            self._firsts.remove(TimerEntry(due, instrument))
            if rows:
                self._firsts.add(TimerEntry(rows[0], instrument))
        if not rows:
            del self._by_instrument[instrument]

    def first(self) -> TimerEntry | None:
        """Return the earliest entry that is not passed over."""
        return self._firsts[0] if self._firsts else None

    def first_of(self, instrument: int) -> int:
        """Return when an instrument's earliest entry is due, passed over or not; 0 for none."""
        rows = self._by_instrument.get(instrument)
        return rows[0][0] if rows is not None else 0

    def pass_over(self, instrument: int) -> None:
        """Pass over all entries of an instrument until `take_up`."""
        rows = self._by_instrument.get(instrument)
        if rows is not None:
            self._firsts.remove(TimerEntry(rows[0], instrument))

    def take_up(self, instrument: int) -> None:
        """Stop passing over an instrument."""
        rows = self._by_instrument.get(instrument)
        if rows is not None:
            self._firsts.add(TimerEntry(rows[0], instrument))

    def entries(self) -> list[TimerEntry]:
        """Return all entries, passed over or not, in order."""
        found = [TimerEntry(due, key) for key, rows in self._by_instrument.items() for due in rows]
        return sorted(found)


class Timers:
    """All entries; `room` is what remains of each kind's bound in the current batch.

    `acts_max` is how many entries of each kind may act in one batch (for ENDING, orders that end).

    `now_ns` is the time of the newest batch, the clock of the state. `overdue` is true while there
    may be dead orders: orders whose time has come and whose timer has not acted yet.
    """

    __slots__ = ("_passed", "_queues", "acts_max", "now_ns", "overdue", "room")

    def __init__(self, acts_max: tuple[int, ...] = DEFAULT_LIMITS.acts) -> None:
        self.acts_max = acts_max
        self._queues = [TimerQueue() for _ in self.acts_max]
        self._passed: set[int] = set()
        self.room = list(self.acts_max)
        self.now_ns = 0
        self.overdue = False

    def add(self, due: Due, instrument: int = 0) -> None:
        """Add an entry that acts at its time."""
        self._queues[due[1]].add(due, instrument, instrument in self._passed)

    def remove(self, due: Due, instrument: int = 0) -> None:
        """Remove an entry that will not act any more; it must be there."""
        self._queues[due[1]].remove(due, instrument, instrument in self._passed)

    def begin_body(self, time_ns: int) -> None:
        """Reset the room of every kind to its bound."""
        self.room = list(self.acts_max)
        self.now_ns = time_ns

    def next_to_act(self, time_ns: int) -> TimerEntry | None:
        """Return the earliest entry that is due and within its kind's bound, or None."""
        found: TimerEntry | None = None
        for room, queue in zip(self.room, self._queues, strict=True):
            first = queue.first() if room > 0 else None
            if first is not None and first.due[0] <= time_ns and (found is None or first < found):
                found = first
        return found

    def next_due_ns(self) -> int:
        """Return when the earliest entry not passed over is due; 0 for never."""
        firsts = [queue.first() for queue in self._queues]
        return min((first.due[0] for first in firsts if first is not None), default=0)

    def review(self) -> None:
        """Find out whether there are dead orders; passed-over instruments have none."""
        first = self._queues[ORDER].first()
        self.overdue = first is not None and first.due[0] <= self.now_ns

    def dead_ns(self, instrument: int) -> int:
        """Return the time up to which orders of an instrument are dead, 0 if none are."""
        first_ns = self._queues[ORDER].first_of(instrument)
        dead = 0 < first_ns <= self.now_ns and instrument not in self._passed
        return self.now_ns if dead else 0

    # --- instruments whose orders may not end now -------------------------------------------------

    def pass_over(self, instrument: int) -> None:
        """Pass over all entries of an instrument, until `take_up`."""
        self._passed.add(instrument)
        for queue in self._queues:
            queue.pass_over(instrument)

    def take_up(self, instrument: int) -> None:
        """Stop passing over an instrument."""
        self._passed.remove(instrument)
        for queue in self._queues:
            queue.take_up(instrument)
        self.review()

    def is_passed(self, instrument: int) -> bool:
        """True if an instrument is passed over, so that none of its entries acts."""
        return instrument in self._passed

    def entries(self) -> list[TimerEntry]:
        """Return all entries, in order."""
        return sorted(entry for queue in self._queues for entry in queue.entries())


NO_TIMERS: Final = Timers()
"""For books in which no order expires."""
