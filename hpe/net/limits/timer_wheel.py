"""The wheel: deadlines of all connections, kept by one task.

Owns the timers and the task that looks at them; everything runs in the Trio loop. Deadlines are
coarse: a timer is looked at up to one granularity late, never early. Guarantees: setting, moving
and cancelling a timer costs O(1); the task sleeps until the next slot that has timers, so 10,000
quiet connections cost one look each per interval and nothing in between. Relies on `look` not to
wait and not to raise: what it raises ends the service.

A timer says its next deadline when it is looked at, so what puts a deadline off (each byte that
arrives) only has to be noted by its owner, not told to the wheel.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Final

import trio

GRANULARITY_S: Final = 0.1
"""How late a timer may be: little against the shortest interval of heartbeats times three."""

Look = Callable[[float], float | None]
"""(now) -> the next deadline, or None when there is none any more."""


def _nothing(now_s: float) -> float | None:
    """What an ended timer looks at: it must not hold on to its owner, which holds on to it."""


class Timer:
    """One deadline; `Wheel.schedule` makes it."""

    __slots__ = ("_look", "_slot", "_timer_wheel")

    def __init__(self, timer_wheel: TimerWheel, look: Look) -> None:
        self._timer_wheel = timer_wheel
        self._look = look
        self._slot: int | None = None

    def sooner(self, deadline_s: float) -> None:
        """Move to a deadline that is sooner than the present one; a later one changes nothing."""
        slot = self._timer_wheel._slot_of(deadline_s)
        if self._slot is not None and slot < self._slot:
            self._timer_wheel._leave(self, self._slot)
            self._enter(slot)

    def cancel(self) -> None:
        """End it; harmless when it has ended."""
        if self._slot is not None:
            self._timer_wheel._leave(self, self._slot)
            self._slot = None
        self._look = _nothing

    def _enter(self, slot: int) -> None:
        self._slot = slot
        self._timer_wheel._enter(self, slot)

    def _due(self, now_s: float) -> None:
        here, self._slot = self._slot, None
        deadline_s = self._look(now_s)
        if deadline_s is None or self._look is _nothing:
            self._look = _nothing
        else:
            assert here is not None
            # At least one slot further: a deadline that has passed must not spin the task.
            self._enter(max(self._timer_wheel._slot_of(deadline_s), here + 1))


class TimerWheel:
    """Timers by slot of `granularity_s`; `serve` is the task that looks at them."""

    def __init__(self, granularity_s: float = GRANULARITY_S) -> None:
        self._granularity_s = granularity_s
        # Slot -> its timers in order of entering (a dict, as a set would have no order).
        self._slots: dict[int, dict[Timer, None]] = {}
        self._order: list[int] = []  # heap of the keys of _slots
        self._sleep = trio.CancelScope()

    def schedule(self, look: Look, deadline_s: float) -> Timer:
        """Call `look` when a deadline (Trio time) has passed; it returns the next one."""
        timer = Timer(self, look)
        timer._enter(self._slot_of(deadline_s))
        return timer

    def __len__(self) -> int:
        """Count the timers."""
        return sum(map(len, self._slots.values()))

    async def serve(self) -> None:
        """Look at timers when they are due, until cancelled."""
        while True:
            # A scope that was cancelled is used up; a sooner slot moves the deadline of this one.
            self._sleep = trio.CancelScope(deadline=self._next_s())
            with self._sleep:
                await trio.sleep_forever()
            self._look_at_due(trio.current_time())

    def _look_at_due(self, now_s: float) -> None:
        while self._order and self._order[0] * self._granularity_s <= now_s:
            slot = heapq.heappop(self._order)
            timers = self._slots[slot]
            while timers:  # a look may add one
                for timer in list(timers):
                    if timer in timers:  # a look may cancel a neighbor
                        del timers[timer]
                        timer._due(now_s)
            del self._slots[slot]

    def _next_s(self) -> float:
        return self._order[0] * self._granularity_s if self._order else math.inf

    def _slot_of(self, deadline_s: float) -> int:
        return math.ceil(deadline_s / self._granularity_s)

    def _enter(self, timer: Timer, slot: int) -> None:
        timers = self._slots.get(slot)
        if timers is None:
            timers = self._slots[slot] = {}
            heapq.heappush(self._order, slot)
            if self._order[0] == slot:
                self._sleep.deadline = self._next_s()
        timers[timer] = None

    def _leave(self, timer: Timer, slot: int) -> None:
        del self._slots[slot][timer]  # an emptied slot stays until its time: it costs one wake-up
