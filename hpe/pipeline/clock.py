"""Batch time: what the machine's clocks say, and what is made of it.

Owns the only reading of clocks that outcomes depend on, `read_clocks`, which is all that tests
replace. A Clock is made in the Trio loop; `stamp`, `wait_ns` and `steady_ns` are called by the
matching thread, `renew` and the figures by the Trio loop. Guarantees: times rise; a wall clock
that is set back, or was wrong once, stops no timer: while logged time is ahead of it, logged time
runs at half pace; one that jumps ahead moves nothing until an operator says that it is right.
Relies on CPython: reading and writing one attribute is atomic. Rules: docs/architecture.md, "Time".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from hpe.errors import ConfigError

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS

JUMP_NS_MAX: Final = 3_600 * SECOND_NS
"""How far the wall clock may run ahead of the time since the machine's start; corrections by NTP
are seconds, daylight saving is none."""

IDLE_NS_MAX: Final = 400 * DAY_NS
"""A log that nobody wrote to for longer is rarer than a clock that is wrong by years."""

WALL_NS_MIN: Final = 1_577_836_800 * SECOND_NS
WALL_NS_MAX: Final = 2**62
"""2020-01-01, before which nobody had this program, and 2116-02-20: there is as much room again in
what a signed 64-bit integer can say, for whatever is added."""

AHEAD_NS_MAX: Final = SECOND_NS
"""By how much the log may be ahead of the clock before that is said."""


class Reading(NamedTuple):
    """The clocks of one moment, in nanoseconds.

    `wall_ns` is since the epoch and can be set; `steady_ns` only runs; `boot_ns` only runs, and in
    a machine that sleeps, too.
    """

    wall_ns: int
    steady_ns: int
    boot_ns: int


def read_clocks() -> Reading:
    """Read the machine's clocks together."""
    steady_ns = time.monotonic_ns()
    boot_ns = time.clock_gettime_ns(_BOOT) if _BOOT is not None else steady_ns
    return Reading(time.time_ns(), steady_ns, boot_ns)


_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it


class Clock:
    """The time of one service, from its start on.

    Args:
        last_ns: newest time of the log, 0 for an empty one.
        accept: take a clock that is far ahead of the log.
        read: gives the machine's clocks.

    Raises:
        ConfigError: the wall clock cannot be right.
    """

    def __init__(
        self, last_ns: int, *, accept: bool = False, read: Callable[[], Reading] = read_clocks
    ) -> None:
        self._read = read
        reading = read()
        _check(reading.wall_ns, last_ns, accept)
        self._last_ns = last_ns
        self._steady_ns = reading.steady_ns
        self._booted_ns = reading.wall_ns - reading.boot_ns

    # --- the matching thread ------------------------------------------------------------------

    def stamp(self) -> int:
        """Return the time of a batch that is made now, above every time before."""
        reading = self._read()
        self._last_ns = self._time_ns(reading)
        self._steady_ns = reading.steady_ns
        return self._last_ns

    def wait_ns(self, due_ns: int) -> int:
        """Return how long it takes until a batch would have this time, if no clock is set."""
        reading = self._read()
        if self._time_ns(reading) >= due_ns:
            return 0
        passed_ns = reading.steady_ns - self._steady_ns
        return min(due_ns - self._wall_ns(reading), 2 * (due_ns - self._last_ns) - passed_ns)

    def steady_ns(self) -> int:
        """Return what only runs: good for durations."""
        return self._read().steady_ns

    def _time_ns(self, reading: Reading) -> int:
        half_ns = (reading.steady_ns - self._steady_ns) // 2
        return max(self._last_ns + 1, self._last_ns + half_ns, self._wall_ns(reading))

    def _wall_ns(self, reading: Reading) -> int:
        expected_ns = reading.boot_ns + self._booted_ns
        jumped = reading.wall_ns - expected_ns > JUMP_NS_MAX
        return expected_ns if jumped else reading.wall_ns

    # --- the Trio loop ------------------------------------------------------------------------

    def ahead_ns(self) -> int:
        """Return by how much the log's time is ahead of the wall clock, 0 when it is not."""
        return max(0, self._last_ns - self._wall_ns(self._read()))

    def jump_ns(self) -> int:
        """Return by how much the wall clock jumped ahead and is not believed, 0 when it is."""
        return self._jump_ns(self._read())

    def _jump_ns(self, reading: Reading) -> int:
        jump_ns = reading.wall_ns - reading.boot_ns - self._booted_ns
        return jump_ns if jump_ns > JUMP_NS_MAX else 0

    def renew(self) -> int:
        """Believe the wall clock as it is now; return by how much it had jumped.

        Raises:
            ConfigError: it cannot be right, or is so far ahead that a start has to accept it; what
                was believed before goes on.
        """
        reading = self._read()
        jump_ns = self._jump_ns(reading)
        _check(reading.wall_ns, self._last_ns, accept=not jump_ns)
        self._booted_ns = reading.wall_ns - reading.boot_ns
        return jump_ns


def _check(wall_ns: int, last_ns: int, accept: bool) -> None:
    """Raise ConfigError for a wall clock that would do harm."""
    if wall_ns > WALL_NS_MAX or (not last_ns and wall_ns < WALL_NS_MIN):
        raise ConfigError(
            f"the machine's clock says {describe(wall_ns)}; allowed are "
            f"{describe(WALL_NS_MIN)} to {describe(WALL_NS_MAX)}: set it"
        )
    if last_ns and wall_ns - last_ns > IDLE_NS_MAX and not accept:
        raise ConfigError(
            f"the machine's clock says {describe(wall_ns)}, {(wall_ns - last_ns) // DAY_NS} days "
            f"after the last time in the log ({describe(last_ns)}): everything with a time would "
            "end at once. Set the clock, or, if it is right, start once with --accept-clock "
            "(in the process: accept_clock=True)"
        )


def describe(time_ns: int) -> str:
    """Return a time as a person reads it."""
    seconds = time_ns // SECOND_NS
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError):  # no calendar goes so far
        return f"{seconds} s since 1970"


def describe_span(span_ns: int) -> str:
    """Return a span of time as a person reads it."""
    return str(timedelta(seconds=span_ns // SECOND_NS))
