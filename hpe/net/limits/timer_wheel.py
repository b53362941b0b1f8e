"""The timer wheel: deadlines of all connections, kept by one task.

Owns the timers and the task that checks them; everything runs in the Trio loop. Deadlines are
coarse: a timer is checked up to one granularity late, never early. Guarantees: setting, moving
and canceling a timer costs O(1); the task sleeps until the next slot that has timers, so 10,000
quiet connections cost one check each per interval and nothing in between. Relies on `look` not to
wait and not to raise: an exception in it ends the service.

A timer returns its next deadline when it is checked, so whatever postpones a deadline (each byte
that arrives) only has to be noted by its owner, without telling the wheel.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Final

import trio

GRANULARITY_S: Final = 0.1
"""How late a timer may be: little compared with three times the shortest heartbeat interval."""

Look = Callable[[float], float | None]
"""(now) -> the next deadline, or None if there is none any more."""


def _nothing(now_s: float) -> float | None:
    """The `look` of an ended timer, which must not refer to its owner: that would be a cycle."""


class Timer:
    """One deadline, made by `TimerWheel.schedule`."""

    __slots__ = ("_look", "_slot", "_timer_wheel")

    def __init__(self, timer_wheel: TimerWheel, look: Look) -> None:
        self._timer_wheel = timer_wheel
        self._look = look
        self._slot: int | None = None

    def sooner(self, deadline_s: float) -> None:
        """Move to an earlier deadline; a later one changes nothing."""
        slot = self._timer_wheel._slot_of(deadline_s)
        if self._slot is not None and slot < self._slot:
            self._timer_wheel._leave(self, self._slot)
            self._enter(slot)

    def cancel(self) -> None:
        """End it; harmless if it has already ended."""
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
            # At least one slot further: a deadline in the past must not make the task spin.
            self._enter(max(self._timer_wheel._slot_of(deadline_s), here + 1))


class TimerWheel:
    """Timers by slot of `granularity_s`; `serve` is the task that checks them."""

    def __init__(self, granularity_s: float = GRANULARITY_S) -> None:
        self._granularity_s = granularity_s
        # Slot -> its timers in order of insertion (a dict, because a set has no order).
        self._slots: dict[int, dict[Timer, None]] = {}
        self._order: list[int] = []  # heap of the keys of _slots
        self._sleep = trio.CancelScope()

    def schedule(self, look: Look, deadline_s: float) -> Timer:
        """Call `look` after a deadline (Trio time) has passed; it returns the next one."""
        timer = Timer(self, look)
        timer._enter(self._slot_of(deadline_s))
        return timer

    def __len__(self) -> int:
        """Return the number of timers."""
        return sum(map(len, self._slots.values()))

    async def serve(self) -> None:
        """Check timers when they are due, until canceled."""
        while True:
            # A canceled scope cannot be reused; an earlier slot moves this one's deadline.
            self._sleep = trio.CancelScope(deadline=self._next_s())
            with self._sleep:
                await trio.sleep_forever()
            self._look_at_due(trio.current_time())

    def _look_at_due(self, now_s: float) -> None:
        while self._order and self._order[0] * self._granularity_s <= now_s:
            slot = heapq.heappop(self._order)
            timers = self._slots[slot]
            while timers:  # `look` may add one
                for timer in list(timers):
                    if timer in timers:  # `look` may cancel another one
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
        del self._slots[slot][timer]  # an empty slot stays until its time and costs one wake-up
