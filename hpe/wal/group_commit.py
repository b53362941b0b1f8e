"""The log stage: a group of outputs in, the same outputs out when they may be sent.

Owns the log and its end while the service runs, and when it syncs and writes the head mark. Called
by one thread, the log thread (wal/thread.py); a test or a simulator may be that thread. Guarantees:
groups come out in the order in which they went in, each once; with `batch` only after the sync that
covers them; with the relaxed policies they are durable within interval_ms of coming out, and when
`stop` has returned. The head mark is written after a rotation, after a pause, and at the end; never
between an append and its coming out. After a failure, nothing comes out. It waits for the disk and
for nothing else. Relies on CommandLog.append being as durable as the policy says. Source:
docs/log-format.md, "Sync policies" and "The head mark".
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final, NamedTuple

from hpe.config.settings import SyncPolicy
from hpe.core.contract import Output
from hpe.wal.log import CommandLog, Record, Tail

BATCH_IDLE_S: Final = 1.0
"""With `batch`, the mark is written when nothing was appended for this long: so rarely that it
costs nothing, and the rules for tails still guard younger records. Otherwise it is interval_ms."""


class Published(NamedTuple):
    """Outputs that may go on, and the durable position; no outputs if only that moved."""

    outputs: list[Output]
    durable_position: int


class GroupCommit:
    """Logs groups of outputs, one record and one sync each.

    Args:
        log: The log, writable (synced once since it was opened); not closed here.
        tail: The log's end.
        policy: When to sync; the same policy that `log` has.
        steady_s: Seconds of a monotonic clock.

    Attributes:
        tail: The log's end now.
    """

    def __init__(
        self,
        log: CommandLog,
        tail: Tail,
        policy: SyncPolicy,
        *,
        steady_s: Callable[[], float],
    ) -> None:
        self._log = log
        self.tail = tail
        self._steady_s = steady_s
        self._interval_s = policy.interval_ms / 1000
        self._idle_s = BATCH_IDLE_S if policy.mode == "batch" else self._interval_s
        self._due_s = inf  # deadline of the oldest write that is not durable
        self._mark_s = inf  # when nothing will have been appended for idle_s

    def step(self, outputs: list[Output]) -> list[Published]:
        """Log a group that fits into one record; without one, do what is due.

        A step without a group should follow each one with a group, as soon as that was passed on:
        what only the next record needs is computed there.

        Raises:
            WalWriteError: a write or sync failed; nothing more may be published.
        """
        return [self._append(outputs)] if outputs else self._catch_up()

    def wait_s(self) -> float | None:
        """Return how long nothing is due without a group: 0 if something is, None for forever."""
        wake_s = min(self._due_s, self._mark_s)
        return None if wake_s == inf else max(0.0, wake_s - self._steady_s())

    def stop(self) -> list[Published]:
        """Make everything durable and close the mark; no other call follows.

        Raises:
            WalWriteError: as for `step`.
        """
        published = [self._sync()] if self._due_s < inf else []
        self._log.mark(closed=True)
        return published

    def _append(self, outputs: list[Output]) -> Published:
        """Log the bodies of a group as one record; a group of queries only makes no record.

        Replies to queries show only what is logged, but a start must still find the log in its
        place.
        """
        logged = [output for output in outputs if output.body]
        if logged:
            self.tail = self._log.append(
                self.tail,
                Record(
                    first_sequence=self.tail.position + 1,
                    last_sequence=logged[-1].last_sequence,
                    previous_hash=self._log.link(),
                    bodies=tuple(output.body for output in logged),
                ),
            )
            self._mark_s = self._steady_s() + self._idle_s
        else:
            self._log.check_place()
        if self.tail.durable_position == self.tail.position:
            self._due_s = inf
        elif self._due_s == inf:
            self._due_s = self._steady_s() + self._interval_s
        return Published(outputs, self.tail.durable_position)

    def _catch_up(self) -> list[Published]:
        self._log.link()  # kept for the next record; computed here, where no reply waits for it
        published = []
        if self._due_s < inf and self._steady_s() >= self._due_s:
            published.append(self._sync())
        if self._log.mark_due:  # a new segment
            self._log.mark()
        if self._mark_s < inf and self._steady_s() >= self._mark_s:
            self._log.mark()
            self._mark_s = inf
        return published

    def _sync(self) -> Published:
        self.tail = self._log.sync()
        self._due_s = inf
        return Published([], self.tail.durable_position)
