"""Batch time: derived from the machine's clocks.

Owns what a batch's time is, from the clocks of the machine that the engine was given
(hpe/machine.py). A Clock is made in the Trio loop; the matching thread calls `stamp`, `wait_ns` and
`steady_ns`, the Trio loop calls `renew` and the figures. Guarantees: times increase; a wall clock
that is set back, or was wrong once, stops no timer: while logged time is ahead of it, logged time
runs at half pace; one that jumps ahead has no effect until an operator confirms it.
Relies on CPython: reading and writing one attribute is atomic. Rules: docs/architecture.md, "Time".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from hpe.errors import ConfigError
from hpe.machine import Reading

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS

JUMP_NS_MAX: Final = 3_600 * SECOND_NS
"""How far the wall clock may run ahead of the time since the machine's start: corrections by NTP
are seconds, and daylight saving time does not change this clock."""

IDLE_NS_MAX: Final = 400 * DAY_NS
"""A log that was not written to for longer is rarer than a clock that is wrong by years."""

WALL_NS_MIN: Final = 1_577_836_800 * SECOND_NS
WALL_NS_MAX: Final = 2**62
"""2020-01-01, before this program existed, and 2116-02-20, half of the range of a signed 64-bit
integer, which leaves room for whatever is added."""

AHEAD_NS_MAX: Final = SECOND_NS
"""How far the log may be ahead of the clock before it is reported."""


class Clock:
    """The time of one service, from its start on.

    Args:
        last_ns: newest time of the log, 0 for an empty one.
        accept: accept a clock that is far ahead of the log.
        read: returns the machine's clocks.

    Raises:
        ConfigError: the wall clock cannot be right.
    """

    def __init__(self, last_ns: int, *, accept: bool = False, read: Callable[[], Reading]) -> None:
        self._read = read
        reading = read()
        _check(reading.wall_ns, last_ns, accept)
        self._last_ns = last_ns
        self._steady_ns = reading.steady_ns
        self._booted_ns = reading.wall_ns - reading.boot_ns

    # --- the matching thread ------------------------------------------------------------------

    def stamp(self) -> int:
        """Return the time of a batch that is made now, above every earlier time."""
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
        """Return the monotonic time, for durations."""
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
        """Return how far the log's time is ahead of the wall clock, 0 if it is not."""
        return max(0, self._last_ns - self._wall_ns(self._read()))

    def jump_ns(self) -> int:
        """Return how far the wall clock jumped ahead without being accepted, 0 if it did not."""
        return self._jump_ns(self._read())

    def _jump_ns(self, reading: Reading) -> int:
        jump_ns = reading.wall_ns - reading.boot_ns - self._booted_ns
        return jump_ns if jump_ns > JUMP_NS_MAX else 0

    def renew(self) -> int:
        """Accept the wall clock as it is now; return how far it had jumped.

        Raises:
            ConfigError: it cannot be right, or is so far ahead that only a start may accept it;
                nothing changes.
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
    """Return a time in readable form."""
    seconds = time_ns // SECOND_NS
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError):  # beyond the calendar's range
        return f"{seconds} s since 1970"


def describe_span(span_ns: int) -> str:
    """Return a span of time in readable form."""
    return str(timedelta(seconds=span_ns // SECOND_NS))
