"""The sequencer: hands what all connections sent to the matching thread, in bounded batches.

Owns the waiting between readers and the matcher; in what order runs are taken, and which are
refused, is in pipeline/sequencing.py. One task and the readers' calls of `offer`, all in the Trio
loop. Guarantees: at most BATCHES_OUTSTANDING_MAX batches are with the matcher; a connection that
has enough waiting is not read further; at idle one frame makes a batch and nothing waits. Relies on
credits for the bound of its queues: runs are offered synchronously, and a memory channel of
capacity 1 is the bell (a channel of runs would be a second queue with a task switch per run).
Rules: docs/architecture.md, "The pipeline".
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator

import trio

from hpe.core.contract import Batch, BatchBounds, Run
from hpe.pipeline.bridge import Slots
from hpe.pipeline.sequencing import (
    BATCHES_OUTSTANDING_MAX,
    Patience,
    Sequencing,
)


class Sequencer:
    """The sequencing stage, its bell, and the readers that wait for it.

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
        self._stage = Sequencing(bounds, patience)
        self._inbox = inbox
        self._patience = patience
        self._wanted = wanted
        self._begins = begins
        self._unsynced_s = unsynced_s
        self._slots = Slots(BATCHES_OUTSTANDING_MAX, self._ring)
        # Rung when there may be something to do: a run came, or a slot was freed. Capacity 1,
        # because any number of rings before the next look count as one.
        self._bell_in, self._bell_out = trio.open_memory_channel[None](1)
        self._handed_over = trio.lowlevel.ParkingLot()
        # Connections whose readers wait until there is room in their queues.
        self._held: dict[int, trio.lowlevel.ParkingLot] = {}
        self._saturated = False
        self._gathering = False

    @property
    def free(self) -> Callable[[], None]:
        """Free a slot; the matching thread calls this after each batch."""
        return self._slots.free

    @property
    def frames_waiting(self) -> int:
        """The number of frames that wait here."""
        return self._stage.frames_waiting

    def figures(self) -> dict[str, int]:
        """Return counts of batches and frames."""
        return self._stage.figures()

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
        self._stage.step(((key, run),), 0, read_at_s, stalled=self.stalled())
        if not self._gathering:
            self._ring()

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """Hand over what is offered meanwhile as one batch, at once and without a task switch.

        For a caller that has everything that is there to be read, and does not wait meanwhile.
        """
        self._gathering = True
        try:
            yield
        finally:
            self._gathering = False
            if self._stage.waits and self._take_slot():
                self._hand_over()
            if self._stage.waits:
                self._ring()

    def has_room(self, key: int) -> bool:
        """True if a connection should be read further."""
        return self._stage.has_room(key, trio.current_time())

    async def wait_room(self, key: int) -> None:
        """Wait until a connection should be read further; one task per connection."""
        while not self.has_room(key):
            lot = self._held.setdefault(key, trio.lowlevel.ParkingLot())
            await lot.park()

    async def serve(self) -> None:
        """Hand over batches until canceled."""
        async for _ in self._bell_out:
            while self._stage.waits and self._take_slot():
                self._hand_over()
                # Readers that wait for the loop can add to the next batch.
                await trio.lowlevel.checkpoint()

    def _take_slot(self) -> bool:
        """Take a slot for a batch; if there is none, the bell rings when one is freed."""
        taken = self._slots.take()
        self._saturated |= not taken
        return taken

    def _hand_over(self) -> None:
        """Hand one batch to the matcher, and let readers go on for which there is room now."""
        now_s = trio.current_time()
        (runs,) = self._stage.step((), 1, now_s, stalled=self.stalled(), saturated=self._saturated)
        if self._stage.requested:
            self._begins()
        self._inbox.put(Batch(0, runs, self._wanted()))
        self._saturated = False
        if self._held:
            for key in self._stage.served:
                if key in self._held and self.has_room(key):
                    self._held.pop(key).unpark_all()
        self._handed_over.unpark_all()

    def _ring(self) -> None:
        with contextlib.suppress(trio.WouldBlock):
            self._bell_in.send_nowait(None)

    async def wait_accepted_handed_over(self) -> None:
        """Wait until no waiting run may still be executed."""
        while self._stage.backlog.accepted:
            await self._handed_over.park()

    async def wait_empty(self) -> None:
        """Wait until nothing waits here."""
        while self.frames_waiting:
            await self._handed_over.park()
