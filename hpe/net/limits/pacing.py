"""Pacing: crowds of connections come and go while no client's request is under way.

Owns how fast connections are accepted, take the costly steps of their beginning, and end; runs in
the Trio loop, whose time is shared: each such step costs it 0.1 to 0.8 ms, and Trio runs all
runnable tasks before it checks the network again. Guarantees: while requests are between reader and
dispatcher, such a step happens only every HELD_S_MAX; while clients trade, TRADING_PER_S times a
second, each kind for itself, and sources take turns (rotation.py); a connection that was admitted
completes its logon; the rest waits in the kernel's queue, in the waiting room (arrivals.py) or in
memory that the caps on connections bound. On an idle service nothing waits.
"""

from __future__ import annotations

from math import inf
from typing import Final

import trio

from hpe.machine import Machine
from hpe.net.limits.rotation import Rotation

IDLE_PER_S: Final = 4_000
"""While no client trades: all of the loop's time and more."""

TRADING_PER_S: Final = 1_000
CROWD_PER_S: Final = 1_150
"""While any client trades: steps of logons; arrivals and ends, so that a crowd of a thousand that
arrives at once is served, and gone again, within a second. With 1,250 of all three, the storm's p99
was 40 % higher."""

INTAKE_PER_S: Final = 500
"""Turns at the kernel's queue while any client trades, each for several connections."""

LATELY_S: Final = 0.1
"""How long after a request a client still counts as trading."""

TRADING_BURST: Final = 2
IDLE_BURST: Final = 8
"""Steps at once after a quiet time; the loop's clock ticks in milliseconds."""

HELD_S_MAX: Final = 0.004
LOGON_HELD_S_MAX: Final = 0.002
"""How long trading may hold back the next connection."""

LOGONS_WAITING_MAX: Final = 50
"""While this many wait for their next step, no other connection is served: otherwise all would take
their first steps, and none would take the last one in time."""

TRICKLE_S_MIN: Final = 0.25
TRICKLE_S_MAX: Final = 2.0
"""How long a connection that sent part of a message is not read: doubled repeatedly, because each
of its bytes may cost the loop as much as an order."""


class Trickle:
    """A connection that sends its first messages in small parts.

    Args:
        machine: where the random part of its pauses comes from.
    """

    __slots__ = ("_machine", "_pause_s")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._pause_s = TRICKLE_S_MIN

    async def pause(self) -> None:
        """Wait before it is read again; the time varies, so that a crowd does not act at once."""
        await trio.sleep(self._machine.random_between(0.5, 1.5) * self._pause_s)
        self._pause_s = min(2 * self._pause_s, TRICKLE_S_MAX)


class Traffic:
    """Knows whether requests are under way: given to the core, with replies not yet sent."""

    def __init__(self) -> None:
        self._batches = 0
        self._ended_s = -inf
        self._calm = trio.lowlevel.ParkingLot()

    def begins(self) -> None:
        """Note that a batch with client requests was handed over."""
        self._batches += 1

    def ends(self, batches: int, now_s: float) -> None:
        """Note that this many such batches are done."""
        self._batches -= batches
        if batches:
            self._ended_s = now_s
        if not self._batches:
            self._calm.unpark_all()

    @property
    def under_way(self) -> bool:
        """True if any requests are under way."""
        return self._batches > 0

    def was_lately(self, now_s: float) -> bool:
        """True if any requests are, or recently were, under way."""
        return self._batches > 0 or now_s - self._ended_s < LATELY_S

    async def wait_calm(self, deadline_s: float) -> None:
        """Wait until nothing is under way, or for the deadline; no checkpoint if nothing is."""
        if self._batches:
            with trio.move_on_at(deadline_s):
                while self._batches:
                    await self._calm.park()


class Turnstile:
    """Lets tasks through one at a time: sources in turn, and each source's tasks in order.

    One task serves all that wait, which costs less than if each checked the time itself.

    Args:
        traffic: the trading that has precedence.
        per_s: how many may pass per second while any client trades, on average.
        held_s_max: how long one may be held back for requests that are under way.
    """

    def __init__(
        self,
        traffic: Traffic,
        per_s: float = TRADING_PER_S,
        held_s_max: float = HELD_S_MAX,
        *,
        idle_per_s: float = IDLE_PER_S,
    ) -> None:
        self._traffic = traffic
        self._interval_s = 1 / per_s
        self._idle_interval_s = 1 / idle_per_s
        self._held_s_max = held_s_max
        # The time at which the next one may pass, and at which the last one did.
        self._open_s = self._passed_s = -inf
        self._queue: Rotation[trio.lowlevel.Task] = Rotation()
        self._bell = trio.lowlevel.ParkingLot()
        self._few = trio.lowlevel.ParkingLot()

    @property
    def waiting(self) -> int:
        """The number of waiting tasks."""
        return len(self._queue)

    async def wait(self, source: str = "") -> None:
        """Wait for this task's turn; no checkpoint if there is nothing to wait for.

        Cancellation: safe; the turn passes to the next one.

        Args:
            source: the source that shares its turns; tasks without one count as one source.
        """
        now_s = trio.current_time()
        if not self._queue and not self._traffic.under_way and now_s >= self._open_s:
            self._pass(now_s)
            return
        task = trio.lowlevel.current_task()
        self._queue.add(source, task)
        self._bell.unpark_all()

        def give_up(_: object) -> trio.lowlevel.Abort:
            self._queue.discard(source, task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(give_up)

    async def wait_few(self) -> None:
        """Wait until no crowd is waiting."""
        while self.waiting >= LOGONS_WAITING_MAX:
            await self._few.park()

    async def serve(self) -> None:
        """Let waiting tasks through until canceled; run it in one task."""
        while True:
            while not self._queue:
                self._few.unpark_all()  # all may have given up before their turn
                await self._bell.park()
            if trio.current_time() < self._open_s:
                await trio.sleep_until(self._open_s)
            await self._traffic.wait_calm(self._passed_s + self._held_s_max)
            now_s = trio.current_time()
            while self._queue and now_s >= self._open_s:
                trio.lowlevel.reschedule(self._queue.take())
                self._pass(now_s)
                if self._traffic.under_way:
                    break
            if self.waiting < LOGONS_WAITING_MAX:
                self._few.unpark_all()

    def _pass(self, now_s: float) -> None:
        trading = self._traffic.was_lately(now_s)
        interval_s = self._interval_s if trading else self._idle_interval_s
        burst = TRADING_BURST if trading else IDLE_BURST
        earliest_s = now_s - (burst - 1) * interval_s
        self._open_s = max(self._open_s, earliest_s) + interval_s
        self._passed_s = now_s

    def open(self) -> None:
        """Let every task through from now on; the turnstile need not be served any more."""
        self._traffic = Traffic()
        self._interval_s = self._idle_interval_s = 0.0
        self._open_s = -inf
        while self._queue:
            trio.lowlevel.reschedule(self._queue.take())
        self._few.unpark_all()
