"""The garbage collector while serving: only young objects, a few at a time.

Owns the interpreter's collector from `quiet_collector` being entered, after recovery, until it is
left; used by the engine in the Trio loop. A collection holds the GIL, so all threads stand still
for it. Guarantees: everything that recovery built is frozen (never walked again), nothing that
outlived a young collection is walked, and while there is traffic no collection has more to walk
than what MOST_OFTEN_S brought. Hence a cycle that lives longer than that is not freed: the core's
objects have no cycles, and what lives long (connections, timers) breaks its own when it ends.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG_OBJECTS_MAX: Final = 2_000
"""Allocations less frees since the last collection before the interpreter collects by itself.
Alone it bounds nothing: while as many old objects go as new ones come it never fires, and then
walks them all; with it alone collections of 4 to 9 ms were seen among connections that come and
go."""

MOST_OFTEN_S: Final = 0.01
"""A collection of what so little time brings takes 0.1 ms."""

NEVER: Final = 2**31 - 1


class Collector:
    """Collects young objects now and then; `tick` is called with every delivery."""

    def __init__(self) -> None:
        self._collected_s = float("-inf")

    def tick(self, now_s: float) -> None:
        """Collect, unless that was done a moment ago."""
        if now_s - self._collected_s >= MOST_OFTEN_S:
            self._collected_s = now_s
            gc.collect(0)


@contextmanager
def quiet_collector() -> Iterator[Collector]:
    """Keep older objects from being collected; leaving restores what was."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, NEVER, NEVER)
    try:
        yield Collector()
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
