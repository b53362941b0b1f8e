"""One connection of the client library: logon, one reader task, one writer task.

Owns the byte stream and nothing above it: the channel owns the session's requests. Used from one
Trio loop. Guarantees: only the writer task sends, and it sends everything that is queued at
once; it sends a heartbeat if there was nothing to send for the agreed time; a server that is
silent for three heartbeats is given up after two checks, so that a pause of this loop itself ends
nothing; `serve` returns the reason, whatever it is. Relies on the channel's window to bound what
can be queued.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hpe.access.keys import Key
from hpe.access.proofs import new_nonce, prove
from hpe.client import aio
from hpe.client.channel import SessionChannel
from hpe.client.pending import refusal, refused
from hpe.errors import ConnectionLost, HpeError, ProtocolError
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Challenge, Error, Heartbeat, Hello, Logon, Welcome
from hpe.protocol.frames import Chunk, FrameScanner, body_of, encode_frame
from hpe.protocol.limits import INT_MAX, REPLY_BYTES_MAX, SILENCE_HEARTBEATS

READ_BYTES: Final = 64 * 1024

SECOND_LOOK_S: Final = 0.1
"""Time after the check that finds the server silent. If the machine or this loop was paused, what
the server sends as soon as it continues arrives in between."""

_Before = Welcome | Challenge | Error
_LOGON_DECODER: Final[msgspec.msgpack.Decoder[_Before]] = msgspec.msgpack.Decoder(_Before)

_HEARTBEAT: Final = encode_frame(Heartbeat(INT_MAX))
"""It is not answered, so its id is one that no request has."""


class Link:
    """The transport of one channel. `send` is what the channel hands its frames to."""

    def __init__(self, stream: aio.Stream) -> None:
        self._stream = stream
        self._scanner = FrameScanner(REPLY_BYTES_MAX)
        self._early: list[Chunk] = []
        self._queued: list[bytes] = []
        self._wake = aio.Event()
        self._heartbeat_s = float("inf")

    async def log_on(self, hello: Hello, key: Key | None) -> Welcome:
        """Send hello, prove the key if the server asks for one, and return its welcome.

        Raises:
            RequestRefused: the server refuses the session.
            ConnectionLost: the connection ended first.
            ProtocolError: the server speaks another protocol.
        """
        frame = encode_frame(hello)
        try:
            await self._stream.send_all(frame)
            reply = await self._first_words()
            if isinstance(reply, Challenge):
                await self._stream.send_all(_proof(hello, frame, key, reply.nonce))
                reply = await self._first_words()
        except aio.StreamBroken as error:
            reason = error.__cause__ or error
            raise ConnectionLost(f"connection broke{self._before_welcome()}: {reason}") from error
        if not isinstance(reply, Welcome):
            raise ProtocolError(f"expected welcome, the server sent {type(reply).__name__}")
        self._heartbeat_s = reply.heartbeat_ms / 1_000
        return reply

    async def _first_words(self) -> Welcome | Challenge:
        while not self._early:
            self._early += await self._receive()
        # The logon's answers may arrive in one chunk with nothing else: all of it is control.
        first = self._early.pop(0)
        try:
            reply = _LOGON_DECODER.decode(body_of(first.frames))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError(f"expected welcome: {error}") from error
        if isinstance(reply, Error):
            raise refused(reply)
        return reply

    def send(self, frame: bytes) -> None:
        """Queue a frame for the writer task."""
        self._queued.append(frame)
        self._wake.set()

    async def serve(self, channel: SessionChannel) -> HpeError:
        """Carry the channel's requests until the connection ends; return the reason."""
        async with aio.open_nursery() as nursery:
            nursery.start_soon(self._write, name="hpe client writer")
            reason = await self._read(channel)
            nursery.cancel_scope.cancel()
        return reason

    async def _write(self) -> None:
        while True:
            with aio.move_on_after(self._heartbeat_s):
                await self._wake.wait()
            # No await between these: a frame queued during send_all finds the new event.
            self._wake = aio.Event()
            batch = b"".join(self._queued) or _HEARTBEAT
            self._queued.clear()
            try:
                await self._stream.send_all(batch)
            except aio.StreamBroken:
                # The reader ends, too, and may still read the server's last message first.
                return

    async def _read(self, channel: SessionChannel) -> HpeError:
        try:
            chunks, self._early = self._early, []
            while True:
                for chunk in chunks:
                    channel.feed(chunk.frames)
                chunks = await self._receive()
        except aio.StreamBroken as error:
            return ConnectionLost(f"connection broke: {error.__cause__ or error}")
        except HpeError as error:
            return error

    async def _receive(self) -> list[Chunk]:
        if self._scanner.error is not None:
            raise self._scanner.error
        silence_s = SILENCE_HEARTBEATS * self._heartbeat_s
        for look_s in (silence_s, SECOND_LOOK_S):
            with aio.move_on_after(look_s):
                data = await self._stream.receive_some(READ_BYTES)
                break
        else:
            raise ConnectionLost(f"nothing was heard from the server for {silence_s:g} s")
        if not data:
            raise ConnectionLost(f"the server closed the connection{self._before_welcome()}")
        return self._scanner.feed(bytes(data))

    def _before_welcome(self) -> str:
        """Return a hint for errors that occur before welcome, "" afterwards."""
        if self._heartbeat_s < float("inf"):
            return ""
        return " before welcome (if it expects TLS, pass a context as `tls`)"


def _proof(hello: Hello, frame: bytes, key: Key | None, server_nonce: bytes) -> bytes:
    """Return the frame of logon."""
    if key is None:
        text = "the server asks for a key and this client has none"
        raise refusal(hello.request_id, ErrorCode.AUTHENTICATION_FAILED, text)
    nonce = new_nonce()
    signature = prove(key, server_nonce, nonce, body_of(frame))
    return encode_frame(Logon(hello.request_id, nonce, signature))
