"""Outputs that the log has not published yet: a queue bounded in bytes, with their ages.

Owns the queue between the two threads. The matching thread calls `put`; the log thread calls `get`,
`get_nowait` and `published`, and `close` when it ends; the Trio loop calls `stop` and the figures.
Guarantees: order is kept; at most LOG_BYTES_MAX wait in addition to one item, and one item always
passes when none waits; the matching thread's wait ends when the log thread ends, for any reason.
Relies on CPython as bridge.py does: one attribute has one writer, and appending to and popping from
the two ends of a deque are atomic. Rules: docs/architecture.md, "The pipeline".
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from hpe.core.contract import Output

LOG_BYTES_MAX: Final = 16 * 1024 * 1024
"""Replies, reports, market data and log bodies that may wait. One record takes bodies of 4 MiB, so
the log always has a full record to write; one taker of 32,768 fills makes 6 MiB."""

OUTPUT_BYTES: Final = 300
"""What an output takes besides the contents of its buffers: itself, and their headers."""


def held_bytes(output: Output) -> int:
    """Return about how much memory an output takes until it is delivered."""
    return OUTPUT_BYTES + output.size_bytes


class LogInbox:
    """Outputs on their way to the log.

    Args:
        bytes_max: above this, the matching thread waits.
        steady_s: seconds of a monotonic clock.

    Attributes:
        bytes_peak: the most that was held.
        waits: how often the matching thread had to wait.
    """

    def __init__(self, bytes_max: int = LOG_BYTES_MAX, *, steady_s: Callable[[], float]) -> None:
        self._bytes_max = bytes_max
        self._steady_s = steady_s
        self._items: SimpleQueue[Output | None] = SimpleQueue()
        # (time of put, bytes) of each item that is not published: the first is the oldest.
        self._held: deque[tuple[float, int]] = deque()
        self._given_bytes = 0  # written by the matching thread only
        self._published_bytes = 0  # written by the log thread only
        self._closed = False
        self._waiting = False  # written by the matching thread only
        self._room = threading.Event()
        self.bytes_peak = 0
        self.waits = 0

    @property
    def bytes(self) -> int:
        """Return how many bytes are held: waiting for the log, or being written and synced."""
        return self._given_bytes - self._published_bytes

    def unsynced_s(self) -> float:
        """Return the age of the oldest item that is held, 0 if none is."""
        try:
            return self._steady_s() - self._held[0][0]
        except IndexError:
            return 0.0

    # --- the matching thread ------------------------------------------------------------------

    def put(self, item: Output) -> None:
        """Hand over an item; wait while too much is held."""
        size = held_bytes(item)
        if not self._has_room(size):
            self._wait_room(size)
        self._given_bytes += size
        if self.bytes > self.bytes_peak:
            self.bytes_peak = self.bytes
        self._held.append((self._steady_s(), size))
        self._items.put(item)

    def _has_room(self, size: int) -> bool:
        return self.bytes + size <= self._bytes_max or self._items.empty() or self._closed

    def _wait_room(self, size: int) -> None:
        self.waits += 1
        self._waiting = True
        while True:
            # Cleared before checking: whatever changes after the check sets it again.
            self._room.clear()
            if self._has_room(size):
                break
            self._room.wait()
        self._waiting = False

    # --- the log thread -----------------------------------------------------------------------

    def get(self, *, timeout: float | None) -> Output | None:
        """Wait for the next item; None is the last one.

        Raises:
            queue.Empty: nothing came within `timeout` seconds.
        """
        item = self._items.get(timeout=timeout)
        self._look_again()
        return item

    def get_nowait(self) -> Output | None:
        """Return the next item without waiting.

        Raises:
            queue.Empty: nothing is there.
        """
        item = self._items.get_nowait()
        self._look_again()
        return item

    def published(self, count: int) -> None:
        """Note that the oldest `count` items were published and are no longer held."""
        for _ in range(count):
            self._published_bytes += self._held.popleft()[1]
        self._look_again()

    def close(self) -> None:
        """Note that nothing will be taken any more, so that no thread waits for it."""
        self._closed = True
        self._look_again()

    def _look_again(self) -> None:
        if self._waiting:
            self._room.set()

    # --- the Trio loop ------------------------------------------------------------------------

    def stop(self) -> None:
        """Make the log thread end after what was put; the matching thread has ended."""
        self._items.put(None)
