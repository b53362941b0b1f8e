"""The matching stage: batches in, outputs out, each batch stamped with a time.

Owns the one place where the core meets the clock, and what the exchange does by itself: when a
timer is due, and when there is time to make up for late market data. Called by one thread, the
matching thread (pipeline/matching_thread.py); a test or a simulator may be that thread. Guarantees:
`step` never waits; batches are applied in order, each with a time above every logged time; what is
due by itself leaves time to what is sent. Relies on the core for what is due, and on the clock
alone for time. Rules: docs/architecture.md, "Time".
"""

from __future__ import annotations

from typing import Final, Protocol

from hpe.core.contract import SYSTEM_CONNECTION, Batch, Core, Output, Run
from hpe.protocol.frames import chunk_of, encode_frame
from hpe.protocol.internal import Tick

RESTS: Final = 19
"""After making up for late market data, it rests for this many times as long as that took: so it
takes at most a twentieth of the thread's time, however deep a call is."""

PAUSES: Final = 1
"""After a batch, no timer makes another one for this many times as long as the batch took: a crowd
due at one instant leaves half of this thread's time, and of the GIL, to clients that trade."""


class BatchClock(Protocol):
    """The service's time, as this stage sees it."""

    def stamp(self) -> int:
        """Return the time of a batch that is made now, above every logged time."""

    def wait_ns(self, due_ns: int) -> int:
        """Return how long it takes until a batch would have this time."""

    def steady_ns(self) -> int:
        """Return the monotonic time, for durations."""


class Matching:
    """Applies batches, and does what is due when there are none.

    Args:
        core: the state machine, as recovery left it.
        clock: stamps each batch with its time.
    """

    def __init__(self, core: Core, clock: BatchClock) -> None:
        self._core = core
        self._clock = clock
        self._next_due_ns = core.next_due_ns
        self._tick_id = 0
        self._wanted = b""
        self._late = False
        self._paced_ns = 0  # no timer makes a batch before this monotonic time
        self._rested_ns = 0  # nothing is made up for before this monotonic time

    def step(self, batches: list[Batch]) -> list[Output]:
        """Apply batches; without any, do what is due. Return one output per batch.

        The core lets due timers act before the first command of any batch, so a batch never has
        to wait for a timer.

        Raises:
            InvariantViolation: and any other exception of a bug in the core; the service must end.
        """
        if batches:
            return [self._apply(batch) for batch in batches]
        if self._until_due_ns() == 0:
            self._tick_id += 1
            return [self._apply(Batch(0, [_tick_run(self._tick_id)], self._wanted))]
        if self._until_rested_ns() == 0:
            return [self._apply(Batch(0, [], self._wanted), rests=RESTS)]
        return []

    def wait_ns(self) -> int | None:
        """Return how long nothing is due without a batch: 0 if something is, None for forever.

        A clock that is set meanwhile changes it.
        """
        due_ns, rested_ns = self._until_due_ns(), self._until_rested_ns()
        if due_ns is None or rested_ns is None:
            return rested_ns if due_ns is None else due_ns
        return min(due_ns, rested_ns)

    def _apply(self, batch: Batch, *, rests: int = 0) -> Output:
        clock = self._clock
        self._wanted = batch.wanted
        began_ns = clock.steady_ns()
        batch.time_ns = clock.stamp()
        output = self._core.apply(batch)
        ended_ns = clock.steady_ns()
        took_ns = ended_ns - began_ns
        self._next_due_ns, self._late = output.next_due_ns, output.late
        self._paced_ns = ended_ns + PAUSES * took_ns
        if rests:
            self._rested_ns = ended_ns + rests * took_ns
        return output

    def _until_due_ns(self) -> int | None:
        """Return how long it takes until the timer makes a batch, None for forever."""
        if self._next_due_ns == 0:
            return None
        paced_ns = self._paced_ns - self._clock.steady_ns()
        return max(0, paced_ns, self._clock.wait_ns(self._next_due_ns))

    def _until_rested_ns(self) -> int | None:
        """Return how long it takes until late market data is made up for, None if none is late."""
        return max(0, self._rested_ns - self._clock.steady_ns()) if self._late else None


def _tick_run(tick_id: int) -> Run:
    return Run(SYSTEM_CONNECTION, 0, 0, chunk_of(encode_frame(Tick(request_id=tick_id))))
