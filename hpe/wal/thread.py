"""The loop of the write-ahead log thread: gather what waits, write once, sync once, publish once.

Owns the log and its tail while it runs; called in that one thread. It shares two things with
other threads: the inbox (the matching thread puts, this thread gets) and `publish` (called here;
its owner makes it safe for that). Guarantees: items are published in the order in which they came,
each once; under `batch` only after the sync that covers them; under the relaxed policies they are
durable within interval_ms of being published, and when `run` returns. The head mark is written
after a rotation, after a pause, and at the end; never between an append and its publishing.
After a failure, nothing more is published. Relies on CommandLog.append being as durable as the
policy says. Source: docs/log-format.md, "Sync policies" and "The head mark".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from queue import Empty
from typing import Final, Protocol

from hpe.config.settings import SyncPolicy
from hpe.core.contract import Output
from hpe.wal.log import (
    RECORD_BYTES_MAX,
    RECORD_HEAD_BYTES,
    CommandLog,
    Record,
    Tail,
    encoded_bodies_bytes,
)

BATCH_IDLE_S: Final = 1.0
"""With `batch`, the mark is written when nothing was appended for this long: so rarely that it
costs nothing, and the rules for tails still guard younger records. Otherwise it is interval_ms."""


class Inbox(Protocol):
    """Where items come from; None is the last one. Both methods may raise queue.Empty."""

    def get(self, *, timeout: float | None) -> Output | None:
        """Wait for the next item."""

    def get_nowait(self) -> Output | None:
        """Return the next item without waiting."""


def run(
    log: CommandLog,
    tail: Tail,
    inbox: Inbox,
    publish: Callable[[list[Output], int], None],
    policy: SyncPolicy,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Tail:
    """Serve the log until None comes through the inbox; then everything before it is durable.

    Args:
        log: The log, writable (synced once since it was opened); this call does not close it.
        tail: The log's end.
        inbox: Items in the order of their sequences; None is the last one.
        publish: Called once per group with the durable position; with no items if only that moved.
        policy: When to sync; the same policy that `log` has.
        clock: Seconds, monotonic.

    Returns:
        The log's end, all of it durable.

    Raises:
        WalWriteError: a write or sync failed; nothing more was published.

    Thread: wal.
    """
    group = _Group(inbox)
    interval_s = policy.interval_ms / 1000
    idle_s = BATCH_IDLE_S if policy.mode == "batch" else interval_s
    due_s = inf  # deadline of the oldest write that is not durable
    mark_s = inf  # when nothing will have been appended for idle_s
    while True:
        wake_s = min(due_s, mark_s)
        items = group.take(None if wake_s == inf else max(0.0, wake_s - clock()))
        if items:
            position = tail.position
            tail = _append(log, tail, items)
            if tail.position > position:
                mark_s = clock() + idle_s
        if tail.durable_position == tail.position:
            due_s = inf
        elif due_s == inf:
            due_s = clock() + interval_s
        if items:
            publish(items, tail.durable_position)
            log.link()  # kept for the next record; computed here, where no reply waits for it
        if due_s < inf and (group.stopped or clock() >= due_s):
            tail = log.sync()
            due_s = inf
            publish([], tail.durable_position)
        if group.stopped:
            break
        if log.mark_due:  # a new segment
            log.mark()
        if mark_s < inf and clock() >= mark_s:
            log.mark()
            mark_s = inf
    log.mark(closed=True)
    return tail


def _append(log: CommandLog, tail: Tail, items: list[Output]) -> Tail:
    """Log the bodies of a group as one record; a group of queries only makes no record.

    Replies to queries show only what is logged, but a start must still find the log in its place.
    """
    logged = [item for item in items if item.body]
    if not logged:
        log.check_place()
        return tail
    record = Record(
        first_sequence=tail.position + 1,
        last_sequence=logged[-1].last_sequence,
        previous_hash=log.link(),
        bodies=tuple(output.body for output in logged),
    )
    return log.append(tail, record)


class _Group:
    """Takes from the inbox all that waits and fits into one record; holds back the rest."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._held: Output | None = None
        self.stopped = False

    def take(self, timeout_s: float | None) -> list[Output]:
        """Wait for one item, then take all that wait; empty after the timeout or a bare stop."""
        first = self._held
        self._held = None
        if first is None:
            try:
                first = self._inbox.get(timeout=timeout_s)
            except Empty:
                return []
        if first is None:
            self.stopped = True
            return []
        items = [first]
        self._take_waiting(items)
        return items

    def _take_waiting(self, items: list[Output]) -> None:
        room_bytes = RECORD_BYTES_MAX - RECORD_HEAD_BYTES - _logged_bytes(items[0])
        while True:
            try:
                item = self._inbox.get_nowait()
            except Empty:
                return
            if item is None:
                self.stopped = True
                return
            room_bytes -= _logged_bytes(item)
            if room_bytes < 0:
                self._held = item
                return
            items.append(item)


def _logged_bytes(item: Output) -> int:
    return encoded_bodies_bytes((item.body,)) if item.body else 0
