"""A socket that notes when it last gave bytes to the kernel.

Owns one accepted socket; used in the Trio loop by the one writer and the one reader of its
connection, directly or, with TLS, by the SSLStream around it. Guarantee: `progress_s` moves with
every byte that the kernel took, even in the middle of a long send, so that other code can tell a
slow reader from one that reads nothing, without a timeout around each send. Errors of the kernel
are raised unchanged, as OSError: Trio's SocketStream would translate them, at the cost of three
more objects for every waiting connection, which matters with 10,000 idle ones.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, cast

import trio

from hpe.net.sockets import RECEIVE_BYTES

UNSENT_BYTES_MAX: Final = 16 * 1024
"""What the kernel may hold unsent before its socket counts as full (TCP_NOTSENT_LOWAT)."""


class Wire(trio.abc.Stream):
    """A TCP stream.

    Args:
        plain: the accepted socket, which this object owns from now on.

    Attributes:
        plain: the same socket, for system calls that do not wait.
        socket: the same socket, for those that do.
        wait_turn: set while received data causes costly work: then a crowd takes turns.
        progress_s: Trio time at which the kernel last took bytes; at first that of the accept.
    """

    __slots__ = ("_unasked_bytes", "plain", "progress_s", "socket", "wait_turn")

    def __init__(self, plain: socket.socket) -> None:
        self.plain = plain
        self._unasked_bytes = 0  # sent since the kernel was last asked
        self.socket = trio.socket.from_stdlib_socket(plain)
        self.progress_s = trio.current_time()
        self.wait_turn: Callable[[], Awaitable[None]] | None = None

    def send_now(self, data: bytes) -> int:
        """Send what the kernel takes at once; return the number of bytes.

        Like a writer that waits, it adds nothing once UNSENT_BYTES_MAX wait in the kernel, which
        would buffer megabytes more for a client that does not read.

        Raises:
            OSError: the peer is gone, or another error of the kernel.
        """
        if self._unasked_bytes >= UNSENT_BYTES_MAX:
            if not self._is_writable():
                return 0
            self._unasked_bytes = 0
        try:
            sent = self.plain.send(data)
        except BlockingIOError:
            return 0
        self._unasked_bytes += sent
        self.progress_s = trio.current_time()
        return sent

    def _is_writable(self) -> bool:
        """True if the kernel, which knows TCP_NOTSENT_LOWAT, says so."""
        poll = select.poll()
        poll.register(self.plain, select.POLLOUT)
        return bool(poll.poll(0))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything.

        Raises:
            OSError: the peer is gone, or another error of the kernel.
        """
        send = self.socket.send
        sent = await send(data)
        self.progress_s = trio.current_time()
        if sent < len(data):
            rest = memoryview(data)[sent:]
            while rest:
                rest = rest[await send(rest) :]
                self.progress_s = trio.current_time()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room for a byte."""
        await trio.lowlevel.wait_writable(self.socket)

    # Not a coroutine of its own around the socket's: idle connections wait here.
    def receive_some(self, max_bytes: int | None = None) -> Coroutine[Any, Any, bytes]:
        """Receive what has arrived, b"" at the end.

        Raises:
            OSError: the kernel's error.
        """
        received = self.socket.recv(RECEIVE_BYTES if max_bytes is None else max_bytes)
        if self.wait_turn is not None:
            return _in_turn(received, self.wait_turn)
        return cast(Coroutine[Any, Any, bytes], received)  # Trio declares a wider type

    def shut_down(self) -> None:
        """Close our sending direction.

        Raises:
            OSError: the peer is gone.
        """
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close both directions; harmless if already closed."""
        self.socket.close()

    async def aclose(self) -> None:
        """Close."""
        self.socket.close()
        await trio.lowlevel.checkpoint()


async def _in_turn(received: Awaitable[bytes], wait: Callable[[], Awaitable[None]]) -> bytes:
    data = await received
    await wait()
    return data
