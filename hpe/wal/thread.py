"""The loop of the log thread: gather what waits, let the log stage write it, publish.

Owns the waiting of that thread, and which outputs make a group; when to write, sync and mark is in
wal/group_commit.py. Runs in that one thread. It shares two things with other threads: the inbox
(the matching thread puts, this thread gets) and `publish` (called here; its owner makes it safe for
that). Guarantees: everything that waits and fits into one record is one group, in the order in
which it came; each group is published before anything else is done; when `run` returns, everything
before the stop is durable. Source: docs/log-format.md, "Sync policies".
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty
from typing import Protocol

from hpe.core.contract import Output
from hpe.wal.group_commit import GroupCommit
from hpe.wal.log import RECORD_BYTES_MAX, RECORD_HEAD_BYTES, encoded_bodies_bytes


class Inbox(Protocol):
    """Where items come from; None is the last one. Both methods may raise queue.Empty."""

    def get(self, *, timeout: float | None) -> Output | None:
        """Wait for the next item."""

    def get_nowait(self) -> Output | None:
        """Return the next item without waiting."""


def run(stage: GroupCommit, inbox: Inbox, publish: Callable[[list[Output], int], None]) -> None:
    """Serve the log until None comes through the inbox; then everything before it is durable.

    Args:
        stage: The log stage.
        inbox: Items in the order of their sequences; None is the last one.
        publish: Called once per group with the durable position; with no items if only that moved.

    Raises:
        WalWriteError: a write or sync failed; nothing more was published.

    Thread: wal.
    """
    group = _Group(inbox)
    while not group.stopped:
        items = group.take(stage.wait_s())
        if items:
            for published in stage.step(items):
                publish(*published)
        for published in stage.stop() if group.stopped else stage.step([]):
            publish(*published)


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
