"""Log what an operator must know while the service runs: about its clock, and about its disk.

Owns when that is logged; used in the Trio loop. Guarantee: a lasting condition is logged once a
minute, not once a second. Relies on the clock and the log's inbox for the facts. Rules:
docs/operations.md, "Clock and disk".
"""

from __future__ import annotations

import logging
from typing import Final, Protocol

import trio
import trio_util

from hpe.errors import ConfigError
from hpe.pipeline.clock import AHEAD_NS_MAX, Clock, describe_span
from hpe.pipeline.statistics import Figure

LOGGER: Final = logging.getLogger("hpe.watch")

LOOK_S: Final = 1.0
SAID_AGAIN_S: Final = 60.0

STALL_S: Final = 1.0
"""No healthy disk takes this long for a sync."""


class Waiting(Protocol):
    """The log's inbox, as seen here."""

    bytes_peak: int
    waits: int

    @property
    def bytes(self) -> int:
        """Return how many bytes wait."""

    def unsynced_s(self) -> float:
        """Return the age of the oldest item."""


class Watch:
    """Checks clock and disk once a second.

    Args:
        clock: the service's clock.
        log_inbox: what waits for the disk.
    """

    def __init__(self, clock: Clock, log_inbox: Waiting) -> None:
        self._clock = clock
        self._log_inbox = log_inbox
        self._stalled = False
        self._said_s: dict[str, float] = {}

    async def serve(self) -> None:
        """Check until canceled."""
        async for _ in trio_util.periodic(LOOK_S):
            self.look(trio.current_time())

    def begin(self) -> None:
        """Log what an operator must know at the start."""
        ahead_ns = self._clock.ahead_ns()
        if ahead_ns > AHEAD_NS_MAX:
            LOGGER.warning(
                "CLOCK: the log is ahead of the machine's clock by %s: the clock was set back, or "
                "was wrong before. Until it has caught up the exchange's time runs at half pace "
                "from where the log ends: durations (graces, holds, expiries) take up to twice as "
                "long, and dates (GTD, holds) refer to the exchange's time, which welcome reports",
                describe_span(ahead_ns),
            )

    def look(self, now_s: float) -> None:
        """Log what is due now."""
        jump_ns = self._clock.jump_ns()
        if jump_ns and self._due("clock", now_s):
            LOGGER.warning(
                "CLOCK: the machine's clock jumped ahead by %s and is not followed: set it right, "
                "or send SIGHUP if it is right now",
                describe_span(jump_ns),
            )
        stalled_s = self._log_inbox.unsynced_s()
        if stalled_s > STALL_S:
            self._stalled = True
            if self._due("disk", now_s):
                LOGGER.warning(
                    "DISK: a write or sync of the log has taken %.1f s so far; new orders are "
                    "answered busy, everything else waits",
                    stalled_s,
                )
        elif self._stalled:
            self._stalled = False
            LOGGER.warning("DISK: the log can be written again")

    def renew(self) -> None:
        """Accept the machine's clock as it is now."""
        try:
            jump_ns = self._clock.renew()
        except ConfigError as fault:
            LOGGER.error("CLOCK: the machine's clock is not accepted: %s", fault)
            return
        if jump_ns:
            LOGGER.warning(
                "CLOCK: the machine's clock is accepted, %s ahead", describe_span(jump_ns)
            )

    def figures(self) -> dict[str, Figure]:
        """Return what server_info shows of clock and disk."""
        return {
            "log_bytes_waiting": self._log_inbox.bytes,
            "log_bytes_waiting_peak": self._log_inbox.bytes_peak,
            "log_matcher_waits": self._log_inbox.waits,
            "log_unsynced_ms": round(self._log_inbox.unsynced_s() * 1000),
            "clock_log_ahead_ms": self._clock.ahead_ns() // 1_000_000,
            "clock_jump_ms": self._clock.jump_ns() // 1_000_000,
        }

    def _due(self, what: str, now_s: float) -> bool:
        """True if a lasting condition is due to be logged again; notes that it was."""
        if now_s - self._said_s.get(what, float("-inf")) < SAID_AGAIN_S:
            return False
        self._said_s[what] = now_s
        return True
