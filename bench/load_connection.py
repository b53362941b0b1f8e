"""A connection of the load generator: its session, its traffic, its checked answers.

A raw non-blocking socket; used from one thread, which must not be the bottleneck. Frames are
encoded in advance; while the clock runs, replies are only kept and counted by their lengths;
afterwards every byte is decoded and checked. Guarantees: each request was answered exactly once and
in order (otherwise AnswersWrong is raised). Relies on the server answering a connection's requests
in order (protocol.md).

Latency starts, in the closed loop, when a request is handed to the kernel; in the open loop, when
it was due, whether or not it could be sent then (no coordinated omission).
"""

from __future__ import annotations

import socket
import time
from array import array
from collections import Counter, deque
from dataclasses import dataclass, field
from struct import Struct
from typing import Final, TypeVar

import msgspec

from bench.traffic import FIRST_REQUEST_ID, Traffic
from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.control import Error, Hello, LoggedOut, Logout, Welcome
from hpe.protocol.frames import encode_frame, split_frames
from hpe.protocol.limits import INTERNAL_FIRST, PROTOCOL_VERSION
from hpe.protocol.orders import OrderResponse
from hpe.protocol.registry import AnyReply
from hpe.protocol.reports import ExecutionReport

STALL_S_MAX: Final = 30.0
"""If no reply comes for this long, the server has failed: every answer is due within a second."""

RECEIVE_BYTES: Final = 1 << 18
_HEAD: Final = Struct(">IBBBB")
"""Length, array header, type of a fixarray, one count byte, type of an array16."""

_ARRAY16: Final = 0xDC
_DECODER: Final = msgspec.msgpack.Decoder(AnyReply)
_R = TypeVar("_R", bound=Reply)


class AnswersWrong(Exception):
    """The server did not answer as promised: no figures are printed."""


@dataclass(slots=True)
class Answers:
    """The content of a run's replies to `requests`, decoded after the clock stopped."""

    requests: int = 0
    trades: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


class LoadConnection:
    """One connection with its session: blocking calls outside the clock, traffic inside."""

    def __init__(
        self, address: tuple[str, int], user: int, window: int, fill_window: int = 1
    ) -> None:
        self._socket = socket.create_connection(address, timeout=STALL_S_MAX)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.user = user
        self.window = window
        self.fill_window = fill_window
        self._request_id = 0
        self._traffic = Traffic(b"", [], 0)
        self._view = memoryview(b"")
        self._bytes_sent = 0
        self._received: list[bytes] = []
        self._rest = b""
        # (requests up to here, the time from which their latency counts), oldest first.
        self._segments: deque[tuple[int, int]] = deque()
        self.allowed = 0
        self.answered = 0
        self.total = 0  # requests to send so far: those that fill the book, then all
        window = max(window, fill_window)
        welcome = self.call(Welcome, Hello(1, PROTOCOL_VERSION, user, window=window))
        if welcome.window < window:
            raise AnswersWrong(f"window {welcome.window} was granted, {window} is needed")

    def fileno(self) -> int:
        """Return the socket's descriptor, for the selector."""
        return self._socket.fileno()

    # --- outside the clock ----------------------------------------------------------------------

    def next_id(self) -> int:
        """Return the next request id for setting up, below those of the traffic."""
        self._request_id += 1
        assert self._request_id < FIRST_REQUEST_ID
        return self._request_id

    def call(self, kind: type[_R], request: Request) -> _R:
        """Send one request and wait for its reply."""
        self._socket.sendall(encode_frame(request))
        length = int.from_bytes(self._receive_exactly(4), "big")
        reply = _DECODER.decode(self._receive_exactly(length))
        if not isinstance(reply, kind):
            raise AnswersWrong(f"expected {kind.__name__}, the server answered {reply}")
        return reply

    def _receive_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise AnswersWrong("the server closed the connection")
            data += part
        return data

    def load(self, traffic: Traffic) -> None:
        """Set the traffic of the run and make the socket non-blocking."""
        self._traffic = traffic
        self._view = memoryview(traffic.frames)
        self.total = traffic.filling or len(traffic.ends)
        self._socket.setblocking(False)

    def end_filling(self) -> None:
        """Let the requests on the clock follow."""
        self.total = len(self._traffic.ends)

    def verify(self, answers: Answers) -> None:
        """Decode all replies; every request must be answered once, in order.

        Raises:
            AnswersWrong: a request was not, or an order that fills the book was refused; names the
                first one.
        """
        self._socket.settimeout(STALL_S_MAX)
        expected = FIRST_REQUEST_ID
        first = expected + self._traffic.filling
        for body in split_frames(b"".join(self._received)):
            reply = _DECODER.decode(body)
            if isinstance(reply, ExecutionReport):
                answers.trades += 1
                continue
            if reply.request_id != expected:
                raise AnswersWrong(f"expected the answer to request {expected}, found {reply}")
            expected += 1
            rejected = (
                isinstance(reply, OrderResponse) and 0 < reply.reason < CancelReason.REQUESTED
            )
            if expected <= first and (rejected or isinstance(reply, Error)):
                raise AnswersWrong(f"an order that fills the book was refused: {reply}")
            if isinstance(reply, Error):
                answers.errors[reply.name] += 1
            elif rejected:
                answers.rejects[RejectReason(reply.reason).name.lower()] += 1
        wanted = FIRST_REQUEST_ID + len(self._traffic.ends)
        if expected != wanted:
            raise AnswersWrong(f"{wanted - expected} requests have no answer")
        answers.requests += wanted - first
        self._received.clear()

    def log_out(self) -> None:
        """Log out, so that the server forgets the session."""
        self.call(LoggedOut, Logout(FIRST_REQUEST_ID))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    # --- inside the clock -----------------------------------------------------------------------

    def allow(self, target: int, from_ns: int) -> None:
        """Allow requests up to `target` to be sent; their latency counts from `from_ns`."""
        self._segments.append((target, from_ns))
        self.allowed = target

    def flush(self) -> bool:
        """Send what is allowed; return False if the kernel takes no more for now."""
        end = self._traffic.ends[self.allowed - 1] if self.allowed else 0
        try:
            while self._bytes_sent < end:
                self._bytes_sent += self._socket.send(self._view[self._bytes_sent : end])
        except BlockingIOError:
            return False
        return True

    def receive(self, latencies_ns: array[int]) -> int:
        """Receive what has arrived; return the number of requests that it answers."""
        data = self._socket.recv(RECEIVE_BYTES)
        now_ns = time.perf_counter_ns()
        if not data:
            raise AnswersWrong(f"the server closed the connection of user {self.user}")
        self._received.append(data)
        count = self._count_responses(data)
        left = count
        while left:
            upto, from_ns = self._segments[0]
            some = min(left, upto - self.answered)
            latencies_ns.extend([now_ns - from_ns] * some)
            self.answered += some
            left -= some
            if self.answered == upto:
                self._segments.popleft()
        return count

    def _count_responses(self, data: bytes) -> int:
        """Step over whole frames by their lengths; reports are not responses."""
        buffer = self._rest + data if self._rest else data
        head = _HEAD.unpack_from
        count = position = 0
        end = len(buffer)
        # No reply is shorter than a head: type, request id, flags and more follow the length.
        while position + _HEAD.size <= end:
            length, header, short, _, long = head(buffer, position)
            following = position + 4 + length
            if following > end:
                break
            if (long if header == _ARRAY16 else short) < INTERNAL_FIRST:
                count += 1
            position = following
        self._rest = buffer[position:]
        return count
