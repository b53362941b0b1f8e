"""The watchdog of a connection: silence, bytes that are not read, an end that takes too long.

Owns the times by which this is judged; pure: it is told what happens and asked what follows. Used
by the reader, the writer and the timer wheel's check of one connection, all in the Trio loop.
Guarantees: a client is cut only after two checks find it at fault, so that a pause of this loop
itself cuts no client; market data that waits alone is never held against a client. Source:
protocol.md, "Heartbeats", "Slow readers" and "Closing".
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from hpe.net.send_queue import SendQueue
from hpe.protocol.limits import SILENCE_HEARTBEATS

STALL_S: Final = 2.0
"""A client that took no byte for this long while private data waited is cut; it may resume."""

BEHIND_S: Final = 10.0
"""A client that takes bytes, but is this far behind with replies, is cut, too. It also has this
long for the rest after this side has ended: a trickle must not keep memory and a place."""

BEHIND_PRESSED_S: Final = 2.0
"""The same while others must be held back because of what is in flight and waits."""

WATCH_S: Final = 1.0
"""How often the timer wheel checks a connection with bytes on their way."""

LOOK_S: Final = 60.0
"""How often it checks a connection with nothing to watch."""

SECOND_LOOK_S: Final = 0.1
"""Between the check that finds a client at fault and the one that cuts it. If this loop itself was
paused, what clients sent and took meanwhile is seen in between."""


class Finding(Enum):
    """The result of one check."""

    NOTHING = auto()
    QUIET = auto()  # this side has sent nothing for a heartbeat interval
    SILENT = auto()  # the client has sent nothing for too long
    STALLED = auto()  # no byte was taken
    LATE = auto()  # bytes are taken, but too slowly
    ENDLESS = auto()  # the same after the last frames


_FAULTS: Final = frozenset((Finding.SILENT, Finding.STALLED, Finding.LATE, Finding.ENDLESS))


class Watchdog:
    """The times of one connection.

    Attributes:
        heard_s: when the client last sent a whole frame.
        held: True if it is this side that does not read.
        queued: True if it waits for its turn to end, which is not the client's fault.
        watched: True if the timer wheel checks every WATCH_S.
    """

    __slots__ = (
        "_ends_s", "_heartbeat_s", "_mark", "_marked_s", "_sending", "_sends_private",
        "_suspected", "_waits_s", "heard_s", "held", "queued", "watched",
    )  # fmt: skip

    def __init__(self) -> None:
        self.heard_s = 0.0
        self.held = False
        self.queued = False
        self.watched = False
        # Heartbeats begin with the welcome and end with the last frames.
        self._heartbeat_s = 0.0
        self._ends_s = 0.0
        # Whether bytes are on their way, and private data among them; since when private data
        # has waited (0: none does).
        self._sending = False
        self._sends_private = False
        self._waits_s = 0.0
        # Milestones: the number of replies that must have left, and by which time.
        self._mark = 0
        self._marked_s = 0.0
        self._suspected = False

    # --- what happens -------------------------------------------------------------------------

    def begin(self, heartbeat_s: float, now_s: float) -> float:
        """Begin to exchange heartbeats; return when to check."""
        self._heartbeat_s = heartbeat_s
        self.heard_s = now_s
        return now_s + heartbeat_s

    def sends(self, private: bool, now_s: float) -> None:
        """Note that bytes are on their way."""
        self._sending = True
        self._sends_private = private
        self._waits_s = now_s if private else 0.0

    def sent(self) -> None:
        """Note that the kernel has them."""
        self._sending = self._sends_private = False
        self._waits_s = 0.0

    def ends(self, now_s: float) -> float:
        """Note that this side has sent its last frame; return when to check."""
        self._heartbeat_s = 0.0
        self._ends_s = self._ends_s or now_s + BEHIND_S
        return self._ends_s

    def has_turn(self, now_s: float) -> None:
        """Note that its turn to end has come: from now on the client is timed."""
        self.queued = False
        if self._ends_s:
            self._ends_s = now_s + BEHIND_S

    def hurries(self, now_s: float) -> None:
        """Note that waiting market data now delays the end, so it counts like private data."""
        self._sends_private = self._sending
        self._waits_s = now_s

    # --- what follows -------------------------------------------------------------------------

    def look(
        self, now_s: float, progress_s: float, send_queue: SendQueue, pressed: bool
    ) -> tuple[Finding, float]:
        """Check whether a deadline has passed.

        Args:
            now_s: Trio time.
            progress_s: when the kernel last took bytes.
            send_queue: what waits.
            pressed: True if others must be held back, so that patience is short.

        Returns:
            What was found, and when to check again.
        """
        finding, next_s = self._judge(now_s, progress_s, send_queue, pressed)
        suspected, self._suspected = self._suspected, finding in _FAULTS
        if self._suspected and not suspected:
            return Finding.NOTHING, now_s + SECOND_LOOK_S
        return finding, next_s

    def _judge(
        self, now_s: float, progress_s: float, send_queue: SendQueue, pressed: bool
    ) -> tuple[Finding, float]:
        if self.queued and not self._sending:
            return Finding.NOTHING, now_s + WATCH_S
        if self._ends_s and now_s >= self._ends_s:
            return Finding.ENDLESS, now_s + LOOK_S
        next_s = self._ends_s or now_s + LOOK_S
        if self._sends_private or send_queue.private_waits:
            # Private data that came while market data was on its way is timed from this check on.
            self._waits_s = self._waits_s or now_s
            stalled_s = max(progress_s, self._waits_s) + STALL_S
            if now_s >= stalled_s:
                return Finding.STALLED, now_s + LOOK_S
            if self._is_late(now_s, send_queue, pressed):
                return Finding.LATE, now_s + WATCH_S
            next_s = min(next_s, stalled_s, now_s + WATCH_S)
        elif self._sending:
            next_s = min(next_s, now_s + WATCH_S)
        else:
            self.watched = False
        finding, alive_s = self._check_liveness(now_s, progress_s)
        return finding, min(next_s, alive_s)

    def _is_late(self, now_s: float, send_queue: SendQueue, pressed: bool) -> bool:
        """True if replies still wait that already waited at that time."""
        if send_queue.left >= self._mark:
            self._mark, self._marked_s = send_queue.entered, now_s
            return False
        return now_s - self._marked_s >= (BEHIND_PRESSED_S if pressed else BEHIND_S)

    def _check_liveness(self, now_s: float, progress_s: float) -> tuple[Finding, float]:
        heartbeat_s = self._heartbeat_s
        if not heartbeat_s:
            return Finding.NOTHING, now_s + LOOK_S
        if self.held:
            self.heard_s = now_s
        silent_s = self.heard_s + SILENCE_HEARTBEATS * heartbeat_s
        if now_s >= silent_s:
            return Finding.SILENT, now_s + STALL_S
        owed_s = progress_s + heartbeat_s
        if now_s >= owed_s:
            return Finding.QUIET, min(silent_s, now_s + heartbeat_s)
        return Finding.NOTHING, min(silent_s, owed_s)
