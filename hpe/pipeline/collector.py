"""Settings of the whole process of a service: the garbage collector and the switch interval.

Owns both while a service has the process for itself (`hpe serve`, or an engine that is told so);
entered and left in the Trio loop. A collection holds the GIL, so it stops all threads.
Guarantees: whatever several engines set is restored when the last of them ends, in any order;
everything that recovery built is frozen (never walked again), nothing that outlived a young
collection is walked, and under traffic no collection walks more than what MOST_OFTEN_S brought.
Hence a cycle that lives longer than that is never freed: the core's objects have no cycles, and
long-lived objects (connections, timers) break their own when they end.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

YOUNG_OBJECTS_MAX: Final = 2_000
"""Allocations minus frees since the last collection at which the interpreter collects by itself.
Alone it bounds nothing: while as many old objects are freed as new ones made it never fires, and
once it does, it walks them all: collections took 4 to 9 ms while connections came and went."""

MOST_OFTEN_S: Final = 0.01
"""Collecting the objects that are made in such a short time takes 0.1 ms."""

NEVER: Final = 2**31 - 1

SWITCH_INTERVAL_S: Final = 0.0005
"""How long a thread may keep the GIL when another wants it. With Python's 5 ms, a finished sync
got back to the log thread after 6.3 ms beside a busy matcher; with this value, after 0.8 ms."""


class _Setting:
    """A setting of the process that several may hold: set by the first, restored by the last.

    Args:
        change: changes it and returns a function that restores it.
    """

    def __init__(self, change: Callable[[], Callable[[], None]]) -> None:
        self._change = change
        self._restore: Callable[[], None] | None = None
        self._holders = 0
        self._lock = threading.Lock()  # several threads may each run a Trio loop

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the setting while the context is open."""
        with self._lock:
            if self._restore is None:
                self._restore = self._change()
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    restore, self._restore = self._restore, None
                    restore()


def _collect_young_objects_only() -> Callable[[], None]:
    thresholds, frozen = gc.get_threshold(), gc.get_freeze_count()
    gc.set_threshold(YOUNG_OBJECTS_MAX, NEVER, NEVER)

    def restore() -> None:
        gc.set_threshold(*thresholds)
        if not frozen:  # otherwise the host program froze objects, and they cannot be told apart
            gc.unfreeze()

    return restore


def _switch_sooner() -> Callable[[], None]:
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return lambda: sys.setswitchinterval(before_s)


_COLLECTOR: Final = _Setting(_collect_young_objects_only)
_SWITCH_INTERVAL: Final = _Setting(_switch_sooner)


class Collector:
    """Collects young objects regularly; `tick` is called with every delivery."""

    def __init__(self) -> None:
        self._collected_s = float("-inf")

    def tick(self, now_s: float) -> None:
        """Collect, unless a collection was done a moment ago."""
        if now_s - self._collected_s >= MOST_OFTEN_S:
            self._collected_s = now_s
            gc.collect(0)


@contextmanager
def quiet_collector() -> Iterator[Collector]:
    """Keep older objects from being collected, including the existing ones."""
    with _COLLECTOR.held():
        gc.collect()
        gc.freeze()
        yield Collector()


@contextmanager
def switching_sooner() -> Iterator[None]:
    """Make threads hand over the GIL sooner."""
    with _SWITCH_INTERVAL.held():
        yield
