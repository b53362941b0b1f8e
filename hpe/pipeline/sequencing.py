"""The sequencing stage: runs of all connections in, bounded batches out.

Owns the queues between readers and the matcher, and the order in which connections take turns.
Called by one thread at a time, that of the Trio loop (pipeline/sequencer.py); a test or a simulator
may be that one. Guarantees: `step` never waits; runs of one queue keep their order; no connection
has more than `frames_per_turn` frames in a row while others wait; a connection that had nothing
waiting and sends little is in the next batch, however much others pile up; what would wait too long
behind others, or did, is marked busy, never dropped, and so is a new order while the log is
stalled. Relies on its caller for the time, and on credits for the bound of its queues. Rules:
docs/architecture.md, "The pipeline"; protocol.md, "Error codes".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from hpe.core.contract import SYSTEM_CONNECTION, BatchBounds, Run
from hpe.pipeline.backlog import (
    EXECUTED_WORK,
    REFUSED_WORK,
    Backlog,
    Cost,
    RunQueue,
    work_of,
)
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


Offer = tuple[int, Run]
"""The connection that caused a run, and the run. The connection keeps its internal commands behind
its requests."""


class _Filling:
    """A batch in the making; `room` is for work as `work_of` counts it."""

    __slots__ = ("bytes_left", "now_s", "room", "runs", "stalled", "work")

    def __init__(self, bounds: BatchBounds, now_s: float, stalled: bool) -> None:
        self.now_s = now_s
        self.stalled = stalled
        self.room = bounds.commands * EXECUTED_WORK
        self.bytes_left = bounds.bytes
        self.work = 0
        self.runs: list[Run] = []

    def has_room_for(self, run: Run) -> bool:
        """True if a run fits."""
        return work_of(run) <= self.room and len(run.chunk.frames) <= self.bytes_left

    def add(self, run: Run) -> None:
        """Take a run in."""
        self.work += work_of(run)
        self.runs.append(run)


class Sequencing:
    """Queues per connection, taken in turn.

    Args:
        bounds: the bounds of a batch.
        patience: older requests are refused as busy.

    Attributes:
        backlog: what waits here.
        served: the connections that had turns in the last step.
        requested: True if a client's requests are in a batch of the last step.
    """

    def __init__(self, bounds: BatchBounds, patience: Patience) -> None:
        self._bounds = bounds
        self._patience = patience
        self._queues: dict[int, RunQueue] = {}
        # Every key of _queues is in one of these, in order of turns: connections that had nothing
        # waiting and send little, those whose next run is to be executed, those to be refused.
        self._fresh: deque[int] = deque()
        self._turns: deque[int] = deque()
        self._refusals: deque[int] = deque()
        # One batch: if no more is ahead of a run, the machine is slow, and the run did not wait
        # for too many others.
        self._crowd_work = bounds.commands * EXECUTED_WORK
        self._cost = Cost(BATCHES_OUTSTANDING_MAX, self._crowd_work // 4)
        self.backlog = Backlog()
        self.served: list[int] = []
        self.requested = False
        self.frames_waiting_peak = 0
        self.batches = 0
        self.frames = 0
        self.busy = 0

    @property
    def frames_waiting(self) -> int:
        """The number of frames that wait here."""
        return self.backlog.accepted + self.backlog.refused

    def figures(self) -> dict[str, int]:
        """Return counts of batches and frames."""
        return {
            "batches": self.batches,
            "frames": self.frames,
            "frames_busy": self.busy,
            "frames_waiting": self.frames_waiting,
            "frames_waiting_peak": self.frames_waiting_peak,
        }

    def step(
        self,
        offers: Iterable[Offer],
        batches_max: int,
        now_s: float,
        *,
        stalled: bool,
        saturated: bool = False,
    ) -> list[list[Run]]:
        """Queue what is offered, then make batches as long as anything waits.

        Args:
            offers: runs, which were read at this time.
            batches_max: how many batches may be made.
            now_s: the time.
            stalled: True if the log is so far behind that new orders would be answered too late.
            saturated: True if the matcher has worked all the time since the previous batch.
        """
        self.served.clear()
        self.requested = False
        for key, run in offers:
            self._queue(key, run, now_s, stalled)
        batches: list[list[Run]] = []
        while self._queues and len(batches) < batches_max:
            batches.append(self._batch(now_s, stalled, saturated))
        return batches

    @property
    def waits(self) -> bool:
        """True if anything waits here."""
        return bool(self._queues)

    def has_room(self, key: int, now_s: float) -> bool:
        """True if a connection should be read further."""
        queue = self._queues.get(key)
        if queue is None:
            return True
        return self._through_s(queue, now_s) < READ_SHARE * self._patience.orders_s

    def _queue(self, key: int, run: Run, now_s: float, stalled: bool) -> None:
        queue = self._queues.get(key)
        known = queue is not None
        if queue is None:
            queue = self._queues[key] = RunQueue()
        ahead = self._work_ahead(queue, run.chunk.count)
        crowded = ahead > self._crowd_work
        waits_s = ahead / EXECUTED_WORK * self._cost.frame_s(now_s) if crowded else 0.0
        run.since_ns = int(now_s * 1e9) if crowded else -1
        for piece in self._admit(run, waits_s / ADMITTED_SHARE, stalled):
            queue.append(piece)
            self.backlog.add(piece)
        if not known and not run.admit and run.chunk.count <= FRESH_FRAMES_MAX:
            self._fresh.append(key)
        elif not known:
            self._line_up(key, queue)
        if self.frames_waiting > self.frames_waiting_peak:
            self.frames_waiting_peak = self.frames_waiting

    def _work_ahead(self, queue: RunQueue, count: int) -> float:
        """Estimate how much work is ahead of frames that come now.

        Connections take turns: of each other connection, only as much is ahead as this one has
        waiting, and as much work of refusals as of executed requests.
        """
        mine = (queue.accepted + count) * len(self._queues)
        accepted = EXECUTED_WORK * min(self.backlog.accepted, mine)
        refused = min(accepted, REFUSED_WORK * self.backlog.refused)
        return accepted + refused

    def _through_s(self, queue: RunQueue, now_s: float) -> float:
        """Estimate when everything that a connection has waiting will be done."""
        everybody, backlog = len(self._queues), self.backlog
        accepted = min(backlog.accepted, queue.accepted * everybody)
        refused = min(backlog.refused, queue.refused * everybody)
        work = EXECUTED_WORK * accepted + REFUSED_WORK * refused
        return work / EXECUTED_WORK * self._cost.frame_s(now_s)

    def _batch(self, now_s: float, stalled: bool, saturated: bool) -> list[Run]:
        """Return a batch: take turns until it is full or nothing waits."""
        filling = _Filling(self._bounds, now_s, stalled)
        turn = self._bounds.frames_per_turn
        self._take_turns(self._fresh, FRESH_FRAMES_MAX, filling, parts_kept=2)
        self._take_turns(self._turns, turn, filling, parts_kept=REFUSALS_SHARE)
        self._take_turns(self._refusals, turn, filling)
        self._take_turns(self._turns, turn, filling)
        self._take_turns(self._fresh, FRESH_FRAMES_MAX, filling)
        self._cost.note(filling.work, now_s, saturated=saturated)
        self.batches += 1
        return filling.runs

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
                    run.chunk.count <= turn_left
                    and bool(run.admit) == refused
                    and filling.has_room_for(run)
                ):
                    break
                turn_left -= run.chunk.count
                self._take(queue.pop(), filling)
            turns.popleft()
            self.served.append(key)
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
        self.backlog.remove(run)
        self.frames += run.chunk.count
        filling.room -= work_of(run)
        filling.bytes_left -= len(run.chunk.frames)
        self.requested |= run.connection != SYSTEM_CONNECTION
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
