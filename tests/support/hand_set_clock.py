"""A clock that a test sets by hand, from which the service derives its time."""

from __future__ import annotations

from collections.abc import Callable

from hpe.machine import Machine, Reading
from hpe.pipeline.clock import SECOND_NS

NOON_NS = 1_780_000_000 * SECOND_NS
"""Some time in 2026."""


class HandSetClock:
    """The three clocks of a machine; a call reads them."""

    def __init__(self, wall_ns: int = NOON_NS) -> None:
        self.wall_ns = wall_ns
        self.steady_ns = 5 * SECOND_NS
        self.boot_ns = 9 * SECOND_NS

    def __call__(self) -> Reading:
        return Reading(self.wall_ns, self.steady_ns, self.boot_ns)

    def machine(self, random_bytes: Callable[[int], bytes]) -> Machine:
        """Return a machine with these clocks."""
        return Machine(
            lambda: self.wall_ns, lambda: self.steady_ns, lambda: self.boot_ns, random_bytes
        )

    def passes(self, span_ns: int) -> None:
        """Let time pass on all clocks."""
        self.wall_ns += span_ns
        self.steady_ns += span_ns
        self.boot_ns += span_ns

    def sleeps(self, span_ns: int) -> None:
        """Let time pass while the machine is suspended: its steady clock stands still."""
        self.wall_ns += span_ns
        self.boot_ns += span_ns

    def is_set(self, by_ns: int) -> None:
        """Set the wall clock forward or back."""
        self.wall_ns += by_ns
