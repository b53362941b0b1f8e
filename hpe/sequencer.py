"""The sequencer: turns what all connections sent into bounded batches for the matching thread.

Owns the queues between readers and the matcher, and the order in which connections take turns;
one task and the readers' calls of `offer`, all in the Trio loop. Guarantees: runs of one queue
keep their order; no connection has more than `frames_per_turn_max` frames in a row while others
wait; who had nothing waiting and sends little is in the next batch, however much others pile up;
what waited too long is marked busy, never dropped; at idle one frame makes a batch and nothing
waits. Relies on credits for the bound of its queues: runs are offered synchronously and
a memory channel of capacity 1 is the bell (a channel of runs would be a second queue with a task
switch per run). Rules: docs/architecture.md,
"The pipeline"; protocol.md, "Error codes".
"""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import trio

from hpe.bridge import Slots
from hpe.core.core import SYSTEM_CONNECTION, Run
from hpe.core.thread import Work
from hpe.messages import ErrorCode
from hpe.net.runs import CANCEL_TYPES, ORDER_TYPES, split_run

BATCHES_OUTSTANDING_MAX: Final = 2
"""One that the matcher works on and one that waits, so that it never waits for the Trio loop.
More would only be late: a batch that is still here can take in what arrives meanwhile."""


FRESH_FRAMES_MAX: Final = 16
"""What a connection that had nothing waiting may have in the next batch, before all that pile up:
a trader's few orders must not wait for a round of 256 requests of everybody. Together they get
half of a batch at most, so that the others go on, too."""


class BatchBounds(Protocol):
    """What a core wants at most in one batch: bounds the time of one `apply`."""

    commands_per_batch_max: int
    batch_bytes_max: int
    frames_per_turn_max: int


class Patience(NamedTuple):
    """How long orders and replaces, and how long cancels may wait; everything else may for ever."""

    orders_s: float
    cancels_s: float

    def refused(self, waited_s: float) -> frozenset[int]:
        """Give the types of requests that waited too long."""
        refused = ORDER_TYPES if waited_s > self.orders_s else frozenset()
        return refused | CANCEL_TYPES if waited_s > self.cancels_s else refused


class _Entry(NamedTuple):
    read_at_s: float
    run: Run


class _Filling:
    """A batch that is being made."""

    __slots__ = ("bytes_left", "frames_left", "now_s", "runs", "weights")

    def __init__(self, bounds: BatchBounds, now_s: float) -> None:
        self.now_s = now_s
        self.frames_left = bounds.commands_per_batch_max
        self.bytes_left = bounds.batch_bytes_max
        self.runs: list[Run] = []
        self.weights: dict[int, tuple[int, int]] = {}

    def has_room_for(self, run: Run) -> bool:
        """Whether a run is within what is left."""
        return run.frame_count <= self.frames_left and len(run.frames) <= self.bytes_left


class Sequencer:
    """Queues per connection, taken in turn.

    Args:
        bounds: of a batch.
        inbox: the matching thread's.
        patience: what is older is refused as busy.
        wanted: gives the market data that somebody asks for, when a batch is made.
        begins: called with every batch that has requests of clients.
    """

    def __init__(
        self,
        bounds: BatchBounds,
        inbox: queue.SimpleQueue[Work | None],
        patience: Patience,
        wanted: Callable[[], bytes],
        begins: Callable[[], None],
    ) -> None:
        self._bounds = bounds
        self._inbox = inbox
        self._patience = patience
        self._wanted = wanted
        self._begins = begins
        self._slots = Slots(BATCHES_OUTSTANDING_MAX, self._ring)
        self._queues: dict[int, deque[_Entry]] = {}
        # Every key of _queues is in one of these, whose turn is next first: those that were not
        # there before their newest runs came, and those that were.
        self._fresh: deque[int] = deque()
        self._turns: deque[int] = deque()
        # Rung when there may be something to do: a run came, or a slot was freed. Capacity 1, as
        # any number of rings before the next look are one.
        self._bell_in, self._bell_out = trio.open_memory_channel[None](1)
        self._handed_over = trio.lowlevel.ParkingLot()
        self.frames_waiting = 0
        self.accepted_waiting = 0
        self.frames_waiting_peak = 0
        self.batches = 0
        self.frames = 0
        self.busy = 0

    @property
    def free(self) -> Callable[[], None]:
        """What the matching thread calls after each batch."""
        return self._slots.free

    def offer(self, key: int, run: Run, read_at_s: float) -> None:
        """Queue a run.

        Args:
            key: the connection that caused it; keeps a connection's internal commands behind
                its requests.
            run: what to execute.
            read_at_s: Trio time at which it was read; what waits too long is refused as busy.
        """
        entries = self._queues.get(key)
        if entries is None:
            self._queues[key] = deque((_Entry(read_at_s, run),))
            (self._fresh if run.frame_count <= FRESH_FRAMES_MAX else self._turns).append(key)
        else:
            entries.append(_Entry(read_at_s, run))
        self.frames_waiting += run.frame_count
        if not run.admit:
            self.accepted_waiting += run.frame_count
        if self.frames_waiting > self.frames_waiting_peak:
            self.frames_waiting_peak = self.frames_waiting
        self._ring()

    async def serve(self) -> None:
        """Hand over batches until cancelled."""
        async for _ in self._bell_out:
            while self._queues and self._slots.take():
                self._inbox.put(self._batch())
                self._handed_over.unpark_all()
                # Readers that wait for the loop add to the next batch.
                await trio.lowlevel.checkpoint()

    def _ring(self) -> None:
        with contextlib.suppress(trio.WouldBlock):
            self._bell_in.send_nowait(None)

    async def wait_accepted_handed_over(self) -> None:
        """Wait until no run waits that may still be executed."""
        while self.accepted_waiting:
            await self._handed_over.park()

    async def wait_empty(self) -> None:
        """Wait until nothing waits here."""
        while self.frames_waiting:
            await self._handed_over.park()

    def _batch(self) -> Work:
        """Take turns until the batch is full or nothing waits."""
        filling = _Filling(self._bounds, trio.current_time())
        self._take_turns(self._fresh, FRESH_FRAMES_MAX, filling, filling.frames_left // 2)
        self._take_turns(self._turns, self._bounds.frames_per_turn_max, filling, 0)
        self._take_turns(self._fresh, FRESH_FRAMES_MAX, filling, 0)
        self.batches += 1
        if filling.weights:
            self._begins()
        return Work(filling.runs, filling.weights, self._wanted())

    def _take_turns(
        self, turns: deque[int], frames_max: int, filling: _Filling, frames_kept: int
    ) -> None:
        """Take turns of at most `frames_max` frames until only room for `frames_kept` is left."""
        while turns and filling.frames_left > frames_kept:
            key = turns[0]
            entries = self._queues[key]
            turn_left = min(frames_max, filling.frames_left)
            while entries:
                read_at_s, run = entries[0]
                count, size = run.frame_count, len(run.frames)
                # The first run of a batch always goes: no chunk is larger than a batch may be.
                if filling.runs and (count > turn_left or size > filling.bytes_left):
                    break
                entries.popleft()
                turn_left -= count
                filling.frames_left -= count
                filling.bytes_left -= size
                self._take(run, read_at_s, filling)
            turns.popleft()
            if not entries:
                del self._queues[key]
            elif filling.has_room_for(entries[0].run):
                self._turns.append(key)
            else:
                turns.appendleft(key)  # the batch is full: it goes on with this one
                return

    def _take(self, run: Run, read_at_s: float, filling: _Filling) -> None:
        runs, weights = filling.runs, filling.weights
        self.frames_waiting -= run.frame_count
        self.frames += run.frame_count
        if not run.admit:
            self.accepted_waiting -= run.frame_count
        if run.connection == SYSTEM_CONNECTION:
            runs.append(run)
            return
        count, size = weights.get(run.connection, (0, 0))
        weights[run.connection] = (count + run.frame_count, size + len(run.frames))
        if run.admit:
            runs.append(run)
            return
        refused = self._patience.refused(filling.now_s - read_at_s)
        if not refused:
            runs.append(run)
        else:
            pieces = split_run(
                run, lambda kind, _start, _end: ErrorCode.BUSY if kind in refused else 0
            )
            self.busy += sum(piece.frame_count for piece in pieces if piece.admit)
            runs += pieces
