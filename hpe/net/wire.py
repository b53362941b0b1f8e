"""A socket that notes when it last gave bytes to the kernel.

Owns one accepted socket; used by the one writer and the one reader of its connection, directly
or, with TLS, by the SSLStream around it. Guarantee: `progress_s` moves with every byte that the
kernel took, in the middle of a long send too, so that somebody else can tell a slow reader from
one that stands still without a timeout around each send. Errors of the kernel are raised as they
are, OSError: Trio's SocketStream would translate them at the price of three more objects for
every connection that waits, which 10,000 idle ones would feel.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, cast

import trio

RECEIVE_BYTES: Final = 64 * 1024
"""One read: about a thousand orders, a few batches; more would only wait in our memory."""


class Wire(trio.abc.Stream):
    """A TCP stream.

    Args:
        accepted: the socket, whose owner this becomes.

    Attributes:
        socket: the same.
        wait_turn: there while what is received makes costly work: then a crowd takes turns.
        progress_s: Trio time at which the kernel last took bytes; at first that of the accept.
    """

    __slots__ = ("progress_s", "socket", "wait_turn")

    def __init__(self, accepted: trio.socket.SocketType) -> None:
        self.socket = accepted
        self.progress_s = trio.current_time()
        self.wait_turn: Callable[[], Awaitable[None]] | None = None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything.

        Raises:
            OSError: the peer is gone, or whatever else the kernel says.
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

    # No coroutine of its own around that of the socket: this is where idle connections wait.
    def receive_some(self, max_bytes: int | None = None) -> Coroutine[Any, Any, bytes]:
        """Receive what is there, b"" at the end.

        Raises:
            OSError: as the kernel says.
        """
        received = self.socket.recv(RECEIVE_BYTES if max_bytes is None else max_bytes)
        if self.wait_turn is not None:
            return _in_turn(received, self.wait_turn)
        return cast(Coroutine[Any, Any, bytes], received)  # Trio declares less than it gives

    def shut_down(self) -> None:
        """Close our direction.

        Raises:
            OSError: the peer is gone.
        """
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close both; harmless when that was done."""
        self.socket.close()

    async def aclose(self) -> None:
        """Close."""
        self.socket.close()
        await trio.lowlevel.checkpoint()


async def _in_turn(received: Awaitable[bytes], wait: Callable[[], Awaitable[None]]) -> bytes:
    data = await received
    await wait()
    return data
