"""The sockets that are read in passes: one epoll, and a slot for each socket that is open here.

Owns the epoll, the slots and the buffer that a pass reads into, but no socket; used by the task
that polls and by the readers that attend, all in the Trio loop. It knows no Trio and no reader, and
never waits. Guarantees: one pass reads at most PASS_BYTES and one last read beyond them, each
socket once, and the next pass continues where it stopped; the number of a slot is never used
again; a socket that is not open here is not read. Relies on non-blocking sockets, each closed here
before it is closed itself. The epoll is level-triggered: a late event of a descriptor that
has meanwhile been reused finds nothing to read. Rules: docs/decisions/0044.
"""

from __future__ import annotations

import select
import socket
from collections import deque
from typing import Final

RECEIVE_BYTES: Final = 64 * 1024
"""One read: about a thousand orders, a few batches; more would only wait in our memory."""

PASS_BYTES: Final = 256 * 1024
"""Read from all sockets in one pass: some milliseconds."""

Received = memoryview | OSError
"""What a read gave: bytes, none at the end of the input; or the kernel's error."""


class PolledSockets:
    """Sockets that are read without waiting."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._open: dict[int, tuple[int, socket.socket]] = {}  # by descriptor: slot, socket
        self._descriptors: dict[int, int] = {}  # by slot
        self._slots = 0  # opened so far
        self._ready: deque[int] = deque()  # descriptors that the last pass did not reach
        self._buffer = memoryview(bytearray(PASS_BYTES + RECEIVE_BYTES))

    def close_all(self) -> None:
        """Close the epoll; nothing may be called any more."""
        self._epoll.close()

    def fileno(self) -> int:
        """Return a descriptor that is readable while a socket is ready."""
        return self._epoll.fileno()

    @property
    def unfinished(self) -> bool:
        """True if the last pass left ready sockets unread."""
        return bool(self._ready)

    def open(self, plain: socket.socket) -> int:
        """Read this socket from now on; return its slot."""
        descriptor = plain.fileno()
        self._epoll.register(descriptor, select.EPOLLIN)
        self._slots += 1
        self._open[descriptor] = self._slots, plain
        self._descriptors[self._slots] = descriptor
        return self._slots

    def close(self, slot: int) -> None:
        """Read its socket no longer.

        Raises:
            KeyError: the slot is not open.
        """
        descriptor = self._descriptors.pop(slot)
        del self._open[descriptor]
        self._epoll.unregister(descriptor)

    def ready(self) -> list[tuple[int, Received]]:
        """Read sockets that are ready, in one pass; return what came, by slot.

        The bytes are valid until the next call. A socket that ended or failed stays open, and is
        returned again by the next pass, until it is closed.
        """
        if not self._ready:
            self._ready += [descriptor for descriptor, _ in self._epoll.poll(0)]
        arrivals: list[tuple[int, Received]] = []
        used = 0
        while self._ready and used < PASS_BYTES:
            found = self._open.get(self._ready.popleft())
            if found is None:
                continue
            slot, plain = found
            try:
                count = plain.recv_into(self._buffer[used:], RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as fault:
                # Its traceback holds this frame, and so this list: they would form a cycle.
                arrivals.append((slot, fault.with_traceback(None)))
            else:
                arrivals.append((slot, self._buffer[used : used + count]))
                used += count
        return arrivals
