"""The machine under an engine: its clocks and its randomness, as one value.

Owns the only reads of the clocks and of randomness in the engine's rooms; any thread may call it.
Guarantee: an engine that is given another `Machine` takes every time that can change an outcome,
every duration between threads and every random byte from it, so what it does can be repeated.
What waits in the Trio loop is timed by the loop's own clock, which whoever runs the loop chooses
(`trio.run(clock=...)`). A test finds any other read (tests/unit/test_machine.py). Rules:
docs/decisions/0051.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple


class Reading(NamedTuple):
    """The clocks at one moment, in nanoseconds.

    `wall_ns` is since the epoch and can be set; `steady_ns` is monotonic; `boot_ns` is monotonic
    and also runs while the machine is suspended.
    """

    wall_ns: int
    steady_ns: int
    boot_ns: int


def _boot_ns() -> int:
    return time.clock_gettime_ns(_BOOT) if _BOOT is not None else time.monotonic_ns()


_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it


@dataclass(frozen=True)
class Machine:
    """Clocks and randomness.

    Args:
        wall_ns: reads the wall clock; this and the next two are explained at `Reading`.
        steady_ns: reads the monotonic clock. Whoever replaces it replaces the boot clock as well.
        boot_ns: reads the boot clock.
        random_bytes: returns this many bytes that nobody can predict; salts, nonces and secrets
            are made of them.
    """

    wall_ns: Callable[[], int] = time.time_ns
    steady_ns: Callable[[], int] = time.monotonic_ns
    boot_ns: Callable[[], int] = _boot_ns
    random_bytes: Callable[[int], bytes] = os.urandom

    def read_clocks(self) -> Reading:
        """Return the clocks, read together."""
        return Reading(self.wall_ns(), self.steady_ns(), self.boot_ns())

    def steady_s(self) -> float:
        """Return the seconds of the monotonic clock, for durations."""
        return self.steady_ns() / 1e9

    def random_seed(self) -> int:
        """Return a number below 2^64 that nobody can predict."""
        return int.from_bytes(self.random_bytes(8), "big")

    def random_between(self, low: float, high: float) -> float:
        """Return a number of this range, all equally likely."""
        share = int.from_bytes(self.random_bytes(6), "big") / (1 << 48)
        return low + (high - low) * share


THIS_MACHINE: Final = Machine()
"""The real one."""
