"""A blocking connection of raw frames, for processes that measure or load a service.

Owns one socket: logon with or without a key, frames out, bodies in. Nothing waits forever: every
receive has a deadline. It knows the framing; the caller knows what the bodies mean.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import Any, Final, Self, cast

import msgpack
import msgspec

from hpe.access.keys import Key
from hpe.access.proofs import new_nonce, prove
from hpe.protocol.base import Request, type_number
from hpe.protocol.control import Hello, Logon, ServerInfo
from hpe.protocol.frames import encode_frame

PATIENCE_S: Final = 120
ERROR: Final = 31
WELCOME: Final = 1
CHALLENGE: Final = 5
HEARTBEAT: Final = 6
REPORTS: Final = range(112, 128)
"""Types of unsolicited reports."""

ONE_AND_ZERO: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: closing the socket resets the connection."""

Row = list[Any]


class Refused(Exception):
    """The service answered a logon with an error; the argument is its name."""


class Line:
    """One connection.

    Args:
        port: the service's port, on loopback.
        source: the address to connect from.

    Attributes:
        socket: the socket, for setting options.
        session_id: the session's id, once logged on.
    """

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(
            ("127.0.0.1", port), timeout=PATIENCE_S, source_address=(source, 0)
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.session_id = 0
        self._buffer = b""

    def __enter__(self) -> Self:
        """Return the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close."""
        self.socket.close()

    def send(self, frames: bytes) -> None:
        """Send bytes unchanged."""
        self.socket.sendall(frames)

    def log_on(
        self, user: int, key: Key | None = None, *, session_id: int = 0, window: int = 0
    ) -> Row:
        """Send hello, prove the key, and return the welcome.

        Raises:
            Refused: the service answered with an error.
        """
        key_id = key.id if key else ""
        greeting = Hello(1, 1, user, session_id, window, key_id=key_id)
        self.send(encode_frame(greeting))
        row = self.row()
        if row[0] == CHALLENGE and key is not None:
            nonce = new_nonce()
            proof = prove(key, row[3], nonce, msgspec.msgpack.encode(greeting))
            self.send(encode_frame(Logon(1, nonce, proof)))
            row = self.row()
        if row[0] != WELCOME:
            raise Refused(row[4])
        self.session_id = row[4]
        return row

    def ask(self, request: Request) -> Row:
        """Send a request and return its response; skip everything else."""
        self.send(encode_frame(request))
        wanted = (type_number(type(request)), ERROR)
        while True:
            row = self.row()
            if row[0] in wanted and row[1] == request.request_id:
                return row

    def row(self) -> Row:
        """Return the next message.

        Raises:
            EOFError: the stream ended.
            TimeoutError: nothing came within PATIENCE_S.
        """
        while True:
            for body in self._cut(1):
                return cast(Row, msgpack.unpackb(body))
            self._buffer += self._read()

    def bodies(self, timeout_s: float) -> list[bytes]:
        """Return the bodies that have arrived, waiting for the first; [] after the timeout."""
        found = self._cut()
        deadline_s = time.monotonic() + timeout_s
        while not found:
            left_s = max(0.0, deadline_s - time.monotonic())
            if not select.select([self.socket], [], [], left_s)[0]:
                return []
            self._buffer += self._read()
            found = self._cut()
        return found

    def _read(self) -> bytes:
        data = self.socket.recv(262_144)
        if not data:
            raise EOFError("the service closed the connection")
        return data

    def _cut(self, count: int = 2**31) -> list[bytes]:
        found: list[bytes] = []
        position = 0
        while len(found) < count and len(self._buffer) - position >= 4:
            end = position + 4 + int.from_bytes(self._buffer[position : position + 4], "big")
            if len(self._buffer) < end:
                break
            found.append(self._buffer[position + 4 : end])
            position = end
        self._buffer = self._buffer[position:]
        return found


def statistics(port: int, user: int = 1_000_000, key: Key | None = None) -> dict[str, Any]:
    """Return a service's statistics, over a session of its own that is closed again."""
    with Line(port) as line:
        line.log_on(user, key, window=1)
        return figures_over(line)


def figures_over(line: Line) -> dict[str, Any]:
    """Return a service's statistics, over an existing session."""
    reply: dict[str, Any] = line.ask(ServerInfo(2))[9]
    return reply
