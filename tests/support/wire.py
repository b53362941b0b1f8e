"""A client of bare frames, for tests that need to say exactly what goes over the wire.

It knows the framing and MessagePack (through the reference codec, not the one under test) and
nothing about requests: replies are the plain lists that came.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import trio

from hpe.protocol.base import Request, type_number
from hpe.protocol.control import HeartbeatReport, Hello
from hpe.protocol.limits import HEARTBEAT_MS_MAX, INT_MAX
from hpe.protocol.reports import ExecutionReport

Row = list[Any]
REPORT = type_number(ExecutionReport)
UNASKED = {REPORT, type_number(HeartbeatReport)}
ERROR = 31


def pack(*fields: object) -> bytes:
    """Frame an array of fields."""
    return framed(msgpack.packb(list(fields)))


def framed(body: bytes) -> bytes:
    """Put the length before a body."""
    return struct.pack(">I", len(body)) + body


def pack_request(request: Request) -> bytes:
    """Frame a message, all fields written out."""
    fields = [getattr(request, name) for name in request.__struct_fields__]
    return pack(type_number(type(request)), *fields)


class WireClient:
    """One connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = b""
        self.session_id = 0

    async def send(self, *frames: bytes) -> None:
        """Send bytes as they are."""
        await self.stream.send_all(b"".join(frames))

    async def receive(self) -> Row | None:
        """Return the next message, None at the end of the stream."""
        while True:
            if len(self._buffer) >= 4:
                (length,) = struct.unpack_from(">I", self._buffer)
                if len(self._buffer) >= 4 + length:
                    body = self._buffer[4 : 4 + length]
                    self._buffer = self._buffer[4 + length :]
                    row: Row = msgpack.unpackb(body)
                    return row
            data = await self.stream.receive_some(65_536)
            if not data:
                assert not self._buffer, "the stream ended inside a frame"
                return None
            self._buffer += data

    async def responses(self, count: int) -> list[Row]:
        """Return the next `count` responses, leaving out execution reports and heartbeats."""
        rows: list[Row] = []
        while len(rows) < count:
            row = await self.receive()
            assert row is not None, f"the stream ended after {len(rows)} of {count} responses"
            if row[0] not in UNASKED:
                rows.append(row)
        return rows

    async def ask(self, request: Request) -> Row:
        """Send a request and return its response."""
        await self.send(pack_request(request))
        return (await self.responses(1))[0]

    async def until_closed(self) -> list[Row]:
        """Return everything up to the end of the stream."""
        rows: list[Row] = []
        while (row := await self.receive()) is not None:
            rows.append(row)
        return rows

    async def log_on(self, user: int, session_id: int = 0, window: int = 0) -> Row:
        """Say hello and return the welcome.

        The longest heartbeats: on a busy machine a test may wait for longer than the usual ones.
        """
        hello = Hello(1, 1, user, session_id, window, heartbeat_ms=HEARTBEAT_MS_MAX)
        welcome = await self.ask(hello)
        assert welcome[0] == 1, welcome
        self.session_id = welcome[4]
        return welcome


@asynccontextmanager
async def wire(port: int, user: int = 0, **logon: int) -> AsyncIterator[WireClient]:
    """Connect to a service on loopback; with a user, log on."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        client = WireClient(stream)
        if user:
            await client.log_on(user, **logon)
        yield client


async def until(condition: Callable[[], bool]) -> None:
    """Let the service in this loop go on until something about it holds; bounded by the caller."""
    while True:
        if condition():
            return
        await trio.lowlevel.checkpoint()


def named(rows: Iterable[Row]) -> list[tuple[int, str]]:
    """Return (request id, name) of error rows."""
    return [(row[1], row[4]) for row in rows if row[0] == ERROR]


TOO_LARGE = INT_MAX + 1
