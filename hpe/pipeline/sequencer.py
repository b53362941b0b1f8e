"""The sequencer: turns what all connections sent into bounded batches for the matching thread.

Owns the queues between readers and the matcher, and the order in which connections take turns;
one task and the readers' calls of `offer`, all in the Trio loop. Guarantees: runs of one queue
keep their order; no connection has more than `frames_per_turn` frames in a row while others
wait; a connection that had nothing waiting and sends little is in the next batch, however much
others pile up; what would wait too long behind others, or did, is marked busy, never dropped, and
so is a new order while the log is stalled; a connection that has enough waiting is not read
further; at idle one frame makes a batch and nothing waits. Relies on credits for the bound of its
queues: runs are offered synchronously, and a memory channel of capacity 1 is the bell (a channel of
runs would be a second queue with a task switch per run). Rules: docs/architecture.md, "The
pipeline"; protocol.md, "Error codes".
"""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import trio

from hpe.core.contract import SYSTEM_CONNECTION, Batch, BatchBounds, Run
from hpe.pipeline.backlog import (
    EXECUTED_WORK,
    REFUSED_WORK,
    Backlog,
    Cost,
    RunQueue,
    work_of,
)
from hpe.pipeline.bridge import Slots
from hpe.protocol.admission import CANCEL, NO_CLASS, ORDER
from hpe.protocol.codes import ErrorCode

BATCHES_OUTSTANDING_MAX: Final = 2
"""One that the matcher works on and one that waits, so that it never waits for the Trio loop. More
would only add delay: a batch that is still here can include what arrives meanwhile."""

ADMITTED_SHARE: Final = 0.75
"""Share of the patience: a request estimated to wait longer is refused on arrival. The rest is a
margin for what the estimate does not see."""

REFUSALS_SHARE: Final = 2
"""One part in this many of a batch, less the refusals among its fresh runs, is reserved for
refusals if there are any: they are sent soon, and executed requests do not wait behind them."""

READ_SHARE: Final = 0.5
"""Share of the patience: a connection with this much waiting, refusals included, is not read."""

FRESH_FRAMES_MAX: Final = 16
"""The share of the next batch for a connection that had nothing waiting, ahead of all that pile up:
a trader's few orders must not wait for a round of 256 requests from all others. Together they get
at most half of a batch, so that the others also make progress."""


class Patience(NamedTuple):
    """How long orders and replaces, and how long cancels may wait; anything else waits forever."""

    orders_s: float
    cancels_s: float

    def refused(self, waited_s: float) -> int:
        """Return the admission classes of requests that waited too long."""
        refused = ORDER if waited_s > self.orders_s else NO_CLASS
        return refused | CANCEL if waited_s > self.cancels_s else refused


class _Filling:
    """A batch in the making; `room` is for work as `work_of` counts it."""

    __slots__ = ("bytes_left", "now_s", "requested", "room", "runs", "stalled", "work")

    def __init__(self, bounds: BatchBounds, now_s: float, stalled: bool) -> None:
        self.now_s = now_s
        self.stalled = stalled
        self.room = bounds.commands * EXECUTED_WORK
        self.bytes_left = bounds.bytes
        self.work = 0
        self.runs: list[Run] = []
        self.requested = False  # by a client

    def has_room_for(self, run: Run) -> bool:
        """True if a run fits."""
        return work_of(run) <= self.room and len(run.chunk.frames) <= self.bytes_left

    def add(self, run: Run) -> None:
        """Take a run in."""
        self.work += work_of(run)
        self.runs.append(run)


class Sequencer:
    """Queues per connection, taken in turn.

    Args:
        bounds: the bounds of a batch.
        inbox: the matching thread's.
        patience: older requests are refused as busy.
        wanted: returns the market data that has subscribers, when a batch is made.
        begins: called with every batch that has client requests.
        unsynced_s: returns the age of the oldest item that the log has not made durable.
    """

    def __init__(
        self,
        bounds: BatchBounds,
        inbox: queue.SimpleQueue[Batch | None],
        patience: Patience,
        wanted: Callable[[], bytes],
        begins: Callable[[], None],
        unsynced_s: Callable[[], float],
    ) -> None:
        self._bounds = bounds
        self._inbox = inbox
        self._patience = patience
        self._wanted = wanted
        self._begins = begins
        self._unsynced_s = unsynced_s
        self._slots = Slots(BATCHES_OUTSTANDING_MAX, self._ring)
        self._queues: dict[int, RunQueue] = {}
        # Every key of _queues is in one of these, in order of turns: connections that had nothing
        # waiting and send little, those whose next run is to be executed, those to be refused.
        self._fresh: deque[int] = deque()
        self._turns: deque[int] = deque()
        self._refusals: deque[int] = deque()
        # Rung when there may be something to do: a run came, or a slot was freed. Capacity 1,
        # because any number of rings before the next look count as one.
        self._bell_in, self._bell_out = trio.open_memory_channel[None](1)
        self._handed_over = trio.lowlevel.ParkingLot()
        # Connections whose readers wait until there is room in their queues.
        self._held: dict[int, trio.lowlevel.ParkingLot] = {}
        self._backlog = Backlog()
        # One batch: if no more is ahead of a run, the machine is slow, and the run did not wait
        # for too many others.
        self._crowd_work = bounds.commands * EXECUTED_WORK
        self._cost = Cost(BATCHES_OUTSTANDING_MAX, self._crowd_work // 4)
        self._saturated = False
        self.frames_waiting_peak = 0
        self.batches = 0
        self.frames = 0
        self.busy = 0

    @property
    def free(self) -> Callable[[], None]:
        """Free a slot; the matching thread calls this after each batch."""
        return self._slots.free

    @property
    def frames_waiting(self) -> int:
        """The number of frames that wait here."""
        return self._backlog.accepted + self._backlog.refused

    def figures(self) -> dict[str, int]:
        """Return counts of batches and frames."""
        return {
            "batches": self.batches,
            "frames": self.frames,
            "frames_busy": self.busy,
            "frames_waiting": self.frames_waiting,
            "frames_waiting_peak": self.frames_waiting_peak,
        }

    def stalled(self) -> bool:
        """True if the log is so far behind that new orders would be answered too late."""
        return self._unsynced_s() > self._patience.orders_s

    def offer(self, key: int, run: Run, read_at_s: float) -> None:
        """Queue a run.

        Args:
            key: the connection that caused it; keeps a connection's internal commands behind
                its requests.
            run: the requests.
            read_at_s: Trio time at which they were read; requests that will wait too long, or did
                when their turn comes, are refused as busy.
        """
        queue = self._queues.get(key)
        known = queue is not None
        if queue is None:
            queue = self._queues[key] = RunQueue()
        ahead = self._work_ahead(queue, len(run.chunk.table))
        crowded = ahead > self._crowd_work
        waits_s = ahead / EXECUTED_WORK * self._cost.frame_s(read_at_s) if crowded else 0.0
        run.since_ns = int(read_at_s * 1e9) if crowded else -1
        for piece in self._admit(run, waits_s / ADMITTED_SHARE, self.stalled()):
            queue.append(piece)
            self._backlog.add(piece)
        if not known and not run.admit and len(run.chunk.table) <= FRESH_FRAMES_MAX:
            self._fresh.append(key)
        elif not known:
            self._line_up(key, queue)
        if self.frames_waiting > self.frames_waiting_peak:
            self.frames_waiting_peak = self.frames_waiting
        self._ring()

    def has_room(self, key: int) -> bool:
        """True if a connection should be read further."""
        queue = self._queues.get(key)
        return queue is None or self._through_s(queue) < READ_SHARE * self._patience.orders_s

    async def wait_room(self, key: int) -> None:
        """Wait until a connection should be read further; one task per connection."""
        while not self.has_room(key):
            lot = self._held.setdefault(key, trio.lowlevel.ParkingLot())
            await lot.park()

    def _work_ahead(self, queue: RunQueue, count: int) -> float:
        """Estimate how much work is ahead of frames that come now.

        Connections take turns: of each other connection, only as much is ahead as this one has
        waiting, and as much work of refusals as of executed requests.
        """
        mine = (queue.accepted + count) * len(self._queues)
        accepted = EXECUTED_WORK * min(self._backlog.accepted, mine)
        refused = min(accepted, REFUSED_WORK * self._backlog.refused)
        return accepted + refused

    def _through_s(self, queue: RunQueue) -> float:
        """Estimate when everything that a connection has waiting will be done."""
        everybody, backlog = len(self._queues), self._backlog
        accepted = min(backlog.accepted, queue.accepted * everybody)
        refused = min(backlog.refused, queue.refused * everybody)
        work = EXECUTED_WORK * accepted + REFUSED_WORK * refused
        return work / EXECUTED_WORK * self._cost.frame_s(trio.current_time())

    async def serve(self) -> None:
        """Hand over batches until canceled."""
        async for _ in self._bell_out:
            while self._queues:
                if not self._slots.take():
                    self._saturated = True
                    break
                self._inbox.put(self._batch())
                self._saturated = False
                self._handed_over.unpark_all()
                # Readers that wait for the loop can add to the next batch.
                await trio.lowlevel.checkpoint()

    def _ring(self) -> None:
        with contextlib.suppress(trio.WouldBlock):
            self._bell_in.send_nowait(None)

    async def wait_accepted_handed_over(self) -> None:
        """Wait until no waiting run may still be executed."""
        while self._backlog.accepted:
            await self._handed_over.park()

    async def wait_empty(self) -> None:
        """Wait until nothing waits here."""
        while self.frames_waiting:
            await self._handed_over.park()

    def _batch(self) -> Batch:
        """Return a batch: take turns until it is full or nothing waits."""
        filling = _Filling(self._bounds, trio.current_time(), self.stalled())
        turn = self._bounds.frames_per_turn
        self._take_turns(self._fresh, FRESH_FRAMES_MAX, filling, parts_kept=2)
        self._take_turns(self._turns, turn, filling, parts_kept=REFUSALS_SHARE)
        self._take_turns(self._refusals, turn, filling)
        self._take_turns(self._turns, turn, filling)
        self._take_turns(self._fresh, FRESH_FRAMES_MAX, filling)
        self._cost.note(filling.work, filling.now_s, saturated=self._saturated)
        self.batches += 1
        if filling.requested:
            self._begins()
        return Batch(0, filling.runs, self._wanted())

    def _take_turns(
        self, turns: deque[int], frames_max: int, filling: _Filling, *, parts_kept: int = 0
    ) -> None:
        """Take turns of at most `frames_max` frames.

        One in `parts_kept` parts of the batch's room is left, for work and bytes alike.
        """
        room_kept = filling.room // parts_kept if parts_kept else 0
        bytes_kept = filling.bytes_left // parts_kept if parts_kept else 0
        while turns and filling.room > room_kept and filling.bytes_left > bytes_kept:
            key = turns[0]
            queue = self._queues[key]
            runs, refused = queue.runs, bool(queue.runs[0].admit)
            turn_left = frames_max
            while runs:
                run = runs[0]
                # The first run of a batch always fits: no chunk is larger than a batch may be.
                if filling.runs and not (
                    len(run.chunk.table) <= turn_left
                    and bool(run.admit) == refused
                    and filling.has_room_for(run)
                ):
                    break
                turn_left -= len(run.chunk.table)
                self._take(queue.pop(), filling)
            turns.popleft()
            if key in self._held and self.has_room(key):
                self._held.pop(key).unpark_all()
            if not runs:
                del self._queues[key]
            elif filling.has_room_for(runs[0]):
                self._line_up(key, queue)
            else:
                turns.appendleft(key)  # the batch is full: the next one starts here
                return

    def _line_up(self, key: int, queue: RunQueue) -> None:
        """Put a connection in line for its next turn."""
        refused = queue.runs[0].admit
        (self._refusals if refused else self._turns).append(key)

    def _take(self, run: Run, filling: _Filling) -> None:
        self._backlog.remove(run)
        self.frames += len(run.chunk.table)
        filling.room -= work_of(run)
        filling.bytes_left -= len(run.chunk.frames)
        filling.requested |= run.connection != SYSTEM_CONNECTION
        waited_s = filling.now_s - run.since_ns / 1e9 if run.since_ns >= 0 else 0.0
        for piece in self._admit(run, waited_s, filling.stalled):
            filling.add(piece)

    def _admit(self, run: Run, waits_s: float, stalled: bool) -> list[Run]:
        """Mark the requests of a run that waited too long, or would be answered too late."""
        if run.admit or run.connection == SYSTEM_CONNECTION:
            return [run]
        refused = self._patience.refused(waits_s)
        if stalled:
            refused |= ORDER
        if not refused & run.chunk.classes:
            return [run]
        pieces = run.split(lambda class_, *_: ErrorCode.BUSY if class_ & refused else 0)
        self.busy += sum(piece.chunk.count for piece in pieces if piece.admit)
        return pieces
