"""The sequencer: turns what all connections sent into bounded batches for the matching thread.

Owns the queues between readers and the matcher, and the order in which connections take turns;
one task and the readers' calls of `offer`, all in the Trio loop. Guarantees: runs of one queue
keep their order; no connection has more than `frames_per_turn_max` frames in a row while others
wait; what waited too long is marked busy, never dropped; at idle one frame makes a batch and
nothing waits. Relies on credits for the bound of its queues: runs are offered synchronously and
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
from hpe.messages import (
    CancelOrder,
    ErrorCode,
    MassCancel,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
    type_number,
)

BATCHES_OUTSTANDING_MAX: Final = 2
"""One that the matcher works on and one that waits, so that it never waits for the Trio loop.
More would only be late: a batch that is still here can take in what arrives meanwhile."""

_ORDERS: Final = frozenset(type_number(kind) for kind in (SubmitOrder, SubmitOco, ReplaceOrder))
_CANCELS: Final = frozenset(type_number(kind) for kind in (CancelOrder, MassCancel))


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
        refused = _ORDERS if waited_s > self.orders_s else frozenset()
        return refused | _CANCELS if waited_s > self.cancels_s else refused


class _Entry(NamedTuple):
    read_at_s: float
    run: Run


class Sequencer:
    """Queues per connection, taken in turn.

    Args:
        bounds: of a batch.
        inbox: the matching thread's.
        patience: what is older is refused as busy.
    """

    def __init__(
        self,
        bounds: BatchBounds,
        inbox: queue.SimpleQueue[Work | None],
        patience: Patience,
    ) -> None:
        self._bounds = bounds
        self._inbox = inbox
        self._patience = patience
        self._slots = Slots(BATCHES_OUTSTANDING_MAX, self._ring)
        self._queues: dict[int, deque[_Entry]] = {}
        self._turns: deque[int] = deque()  # keys of _queues, whose turn is next first
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
            self._turns.append(key)
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
            while self._turns and self._slots.take():
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
        now_s = trio.current_time()
        runs: list[Run] = []
        weights: dict[int, tuple[int, int]] = {}
        frames_left = self._bounds.commands_per_batch_max
        bytes_left = self._bounds.batch_bytes_max
        while self._turns:
            key = self._turns[0]
            entries = self._queues[key]
            turn_left = min(self._bounds.frames_per_turn_max, frames_left)
            while entries:
                read_at_s, run = entries[0]
                count, size = run.frame_count, len(run.frames)
                # The first run of a batch always goes: no chunk is larger than a batch may be.
                if runs and (count > turn_left or size > bytes_left):
                    break
                entries.popleft()
                turn_left -= count
                frames_left -= count
                bytes_left -= size
                self._take(run, now_s - read_at_s, runs, weights)
            self._turns.popleft()
            if not entries:
                del self._queues[key]
                continue
            if entries[0].run.frame_count > frames_left or len(entries[0].run.frames) > bytes_left:
                self._turns.appendleft(key)  # the batch is full: it goes on with this one
                break
            self._turns.append(key)
        self.batches += 1
        return Work(runs, weights)

    def _take(
        self, run: Run, waited_s: float, runs: list[Run], weights: dict[int, tuple[int, int]]
    ) -> None:
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
        refused = self._patience.refused(waited_s)
        if not refused:
            runs.append(run)
        else:
            pieces = split_by_admission(run, refused)
            self.busy += sum(piece.frame_count for piece in pieces if piece.admit)
            runs += pieces


def split_by_admission(run: Run, refused: frozenset[int]) -> list[Run]:
    """Cut a run where its frames begin or cease to be of the types that are refused as busy."""
    pieces: list[Run] = []
    frames = run.frames
    first = position = count = 0
    refusing = False
    while position < len(frames):
        # 0xdc is MessagePack's array16, whose type stands two bytes later (framing.py).
        type_at = position + (7 if frames[position + 4] == 0xDC else 5)
        refuse = type_at < len(frames) and frames[type_at] in refused
        if refuse is not refusing:
            if count:
                pieces.append(_piece(run, refusing, count, frames[first:position]))
            first, count, refusing = position, 0, refuse
        count += 1
        position += 4 + int.from_bytes(frames[position : position + 4], "big")
    pieces.append(_piece(run, refusing, count, frames[first:]))
    return pieces


def _piece(run: Run, refusing: bool, count: int, frames: bytes) -> Run:
    admit = ErrorCode.BUSY if refusing else 0
    return Run(run.connection, run.attach, admit, count, frames)
