"""The matching loop: wait for a batch, let the matching stage apply it, hand it to the log.

Owns the waiting of the matching thread and nothing else; what happens to a batch, and what is due
without one, is in pipeline/matching.py. Runs in that thread, which alone may touch the core between
`run`'s first line and its return. Guarantees: each output is in the log's inbox before its slot is
freed; everything that came before STOP is applied. Relies on the sequencer for the bounds of a
batch, on credits for what waits before this thread, and on the log's inbox for what waits after it.
Standard library only: the Trio loop is on the other side of two queues.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Final, Protocol

from hpe.core.contract import Batch, Output
from hpe.pipeline.matching import Matching

STOP: Final = None
"""The item that ends the matching loop."""

WAIT_S_MAX: Final = 1.0
"""Longest single wait for a timer: a clock that is set is noticed within a second."""


class LogEntrance(Protocol):
    """The log's inbox, as this thread sees it."""

    def put(self, item: Output, /) -> None:
        """Hand over an output; wait while too much is held."""


def run(
    matching: Matching,
    inbox: queue.SimpleQueue[Batch | None],
    log_inbox: LogEntrance,
    free: Callable[[], None],
) -> None:
    """Serve until STOP.

    Args:
        matching: the stage.
        inbox: batches from the sequencer, then STOP.
        log_inbox: where outputs go; `put` waits while it is full. STOP is not passed on: the log's
            host stops the log after this thread has ended.
        free: called after each batch of the sequencer, which may then hand over another one.

    Raises:
        InvariantViolation: and any other exception of a bug in the core; the service must end.
    """
    while True:
        batches = take(inbox, matching)
        if batches is STOP:
            return
        for output in matching.step(batches):
            log_inbox.put(output)
        if batches:
            free()


def take(inbox: queue.SimpleQueue[Batch | None], matching: Matching) -> list[Batch] | None:
    """Wait for a batch and return it; return nothing if something is due first, or STOP."""
    while True:
        wait_ns = matching.wait_ns()
        wait_s = None if wait_ns is None else min(wait_ns / 1e9, WAIT_S_MAX)
        try:
            batch = inbox.get(timeout=wait_s) if wait_s != 0 else inbox.get_nowait()
        except queue.Empty:
            if wait_s == 0:
                return []
        else:
            return STOP if batch is STOP else [batch]
