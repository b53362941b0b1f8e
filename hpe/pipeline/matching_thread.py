"""The matching loop: take a batch, stamp its time, apply it, hand it to the log.

Owns the one place where the core meets the clock. Runs in the matching thread, which alone may
touch the core between `run`'s first line and its return. Guarantees: batches are applied in the
order in which they came, each with a time above every logged time; each output is in the log's
inbox before its slot is freed; everything that came before STOP is applied. Relies on the sequencer
for the bounds of a batch, on credits for what waits before this thread, and on the log's inbox for
what waits after it.
Standard library only: the Trio loop is on the other side of two queues. Rules:
docs/architecture.md, "Time".
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Final, Protocol

from hpe.core.contract import SYSTEM_CONNECTION, Batch, Core, Output, Run
from hpe.protocol.frames import chunk_of, encode_frame
from hpe.protocol.internal import Tick

STOP: Final = None
"""The item that ends the matching loop."""

RESTS: Final = 19
"""After making up for late market data, it rests for this many times as long as that took: so it
takes at most a twentieth of the thread's time, however deep a call is."""

PAUSES: Final = 1
"""After a batch, no timer makes another one for this many times as long as the batch took: a crowd
due at one instant leaves half of this thread's time, and of the GIL, to clients that trade."""

WAIT_S_MAX: Final = 1.0
"""Longest single wait for a timer: a clock that is set is noticed within a second."""

_LONG_NS: Final = int(WAIT_S_MAX * 1e9)


class BatchClock(Protocol):
    """The service's time, as this thread sees it."""

    def stamp(self) -> int:
        """Return the time of a batch that is made now, above every logged time."""

    def wait_ns(self, due_ns: int) -> int:
        """Return how long it takes until a batch would have this time."""

    def steady_ns(self) -> int:
        """Return the monotonic time, for durations."""


class LogEntrance(Protocol):
    """The log's inbox, as this thread sees it."""

    def put(self, item: Output, /) -> None:
        """Hand over an output; wait while too much is held."""


def run(
    core: Core,
    inbox: queue.SimpleQueue[Batch | None],
    log_inbox: LogEntrance,
    free: Callable[[], None],
    clock: BatchClock,
) -> None:
    """Serve until STOP.

    Args:
        core: the state machine, as recovery left it.
        inbox: batches from the sequencer, then STOP.
        log_inbox: where outputs go; `put` waits while it is full. STOP is not passed on: the log's
            host stops the log after this thread has ended.
        free: called after each batch of the sequencer, which may then hand over another one.
        clock: stamps each batch with its time.

    Raises:
        InvariantViolation: and any other exception of a bug in the core; the service must end.
    """
    next_due_ns = core.next_due_ns
    tick_id, wanted = 0, b""
    late, rested_ns, paced_ns = False, 0, 0
    while True:
        batch = came = _take(inbox, next_due_ns, clock, paced_ns, rested_ns if late else None)
        if batch is STOP:
            return
        if came is _DUE:
            tick_id += 1
            batch = Batch(0, [_tick_run(tick_id)], wanted)
        elif came is _LATE:
            batch = Batch(0, [], wanted)
        wanted = batch.wanted
        began_ns = clock.steady_ns()
        batch.time_ns = clock.stamp()
        output = core.apply(batch)
        ended_ns = clock.steady_ns()
        next_due_ns, late = output.next_due_ns, output.late
        paced_ns = ended_ns + PAUSES * (ended_ns - began_ns)
        if came is _LATE:
            rested_ns = ended_ns + RESTS * (ended_ns - began_ns)
        log_inbox.put(output)
        if came is not _DUE and came is not _LATE:
            free()


_DUE: Final = Batch(0, [])
"""Stands for "the timer is due and no batch came before"."""

_LATE: Final = Batch(0, [])
"""Stands for "no batch came, and there is time to make up for late market data"."""


def _take(
    inbox: queue.SimpleQueue[Batch | None],
    next_due_ns: int,
    clock: BatchClock,
    paced_ns: int,
    rested_ns: int | None = None,
) -> Batch | None:
    """Return the next batch, STOP, _DUE if the timer is due first, or _LATE.

    A waiting batch goes first even if the timer is due: the core lets due timers fire before the
    first command of any batch.

    Args:
        inbox: where batches come from.
        next_due_ns: when the timer is due, 0 for never.
        clock: tells how long that is.
        paced_ns: no timer makes a batch before this monotonic time.
        rested_ns: late market data may be made up for from this monotonic time on; None if there
            is none.
    """
    if next_due_ns == 0 and rested_ns is None:
        return inbox.get()
    while True:
        paces_ns = paced_ns - clock.steady_ns()
        due_ns = max(clock.wait_ns(next_due_ns), paces_ns) if next_due_ns else _LONG_NS
        rest_ns = rested_ns - clock.steady_ns() if rested_ns is not None else _LONG_NS
        wait_ns = min(due_ns, rest_ns, _LONG_NS)
        try:
            if wait_ns <= 0:
                return inbox.get_nowait()
            return inbox.get(timeout=wait_ns / 1e9)
        except queue.Empty:
            if wait_ns <= 0:
                return _DUE if due_ns <= 0 else _LATE


def _tick_run(tick_id: int) -> Run:
    return Run(SYSTEM_CONNECTION, 0, 0, chunk_of(encode_frame(Tick(request_id=tick_id))))
