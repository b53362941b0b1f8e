"""One TCP connection of the client library: logon, one reader task, one writer task.

Owns the socket and nothing above it: the requests of the session are the channel's. Used from
one Trio loop. Guarantees: only the writer task sends, and it sends everything that is queued at
once; whatever ends the connection closes the channel with the reason, so nobody waits for ever.
Relies on the channel's window to bound what can be queued.
"""

from __future__ import annotations

from typing import Final

import msgspec
import trio

from hpe.errors import ConnectionLost, HpeError, ProtocolError, RequestRefused
from hpe.messages import REPLY_BYTES_MAX, Error, Hello, Welcome
from hpe.net.channel import Channel
from hpe.net.framing import PREFIX_BYTES, Chunk, FrameScanner, encode_frame

DEFAULT_ADDRESS: Final = "127.0.0.1:7070"

CONNECT_TIMEOUT_S: Final = 5.0
"""From the first SYN to welcome: what the server grants a stranger, and a durable logon."""

READ_BYTES: Final = 64 * 1024

_LOGON_DECODER: Final[msgspec.msgpack.Decoder[Welcome | Error]] = msgspec.msgpack.Decoder(
    Welcome | Error
)


def parse_address(address: str) -> tuple[str, int]:
    """Split "host:port", "[v6]:port" or "port" (then loopback).

    Raises:
        ValueError: it is none of these.
    """
    host, colon, port = address.rpartition(":")
    if not colon:
        host = "127.0.0.1"
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) <= 65535:
        raise ValueError(f'address: found {address!r}, allowed "host:port" or "port" (1-65535)')
    return host, int(port)


class Link:
    """The transport of one channel. `send` is what the channel hands its frames to."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._scanner = FrameScanner(REPLY_BYTES_MAX)
        self._early: list[Chunk] = []
        self._queued: list[bytes] = []
        self._wake = trio.Event()

    async def log_on(self, hello: Hello) -> Welcome:
        """Say hello and give the server's welcome.

        Raises:
            RequestRefused: the server refuses the session.
            ConnectionLost: the connection ended first.
            ProtocolError: the server speaks something else.
        """
        try:
            await self._stream.send_all(encode_frame(hello))
            while not self._early:
                self._early += await self._receive()
        except trio.BrokenResourceError as error:
            raise ConnectionLost(f"connection broke before welcome: {error}") from error
        first = self._early.pop(0)
        try:
            reply = _LOGON_DECODER.decode(first.frames[PREFIX_BYTES:])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError(f"expected welcome: {error}") from error
        if isinstance(reply, Error):
            raise RequestRefused(
                reply.request_id, reply.code, reply.name, reply.message, reply.retryable
            )
        return reply

    def send(self, frame: bytes) -> None:
        """Queue a frame for the writer task."""
        self._queued.append(frame)
        self._wake.set()

    async def write(self) -> None:
        """Be the writer task: send what is queued, as one piece, until cancelled or broken."""
        while True:
            await self._wake.wait()
            # No await between these: a frame queued during send_all finds the new event.
            self._wake = trio.Event()
            batch = b"".join(self._queued)
            self._queued.clear()
            try:
                await self._stream.send_all(batch)
            except trio.BrokenResourceError:
                # The reader ends as well, and may still find the server's last words first.
                return

    async def read(self, channel: Channel) -> None:
        """Be the reader task: feed the channel until cancelled or the connection ends."""
        reason: HpeError
        try:
            chunks = self._early
            while True:
                for chunk in chunks:
                    channel.feed(chunk.frames)
                chunks = await self._receive()
        except trio.BrokenResourceError as error:
            reason = ConnectionLost(f"connection broke: {error.__cause__ or error}")
        except HpeError as error:
            reason = error
        channel.close(reason)

    async def _receive(self) -> list[Chunk]:
        if self._scanner.error is not None:
            raise self._scanner.error
        data = await self._stream.receive_some(READ_BYTES)
        if not data:
            raise ConnectionLost("the server closed the connection")
        return self._scanner.feed(data)
