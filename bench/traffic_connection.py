"""A connection of the load generator while the clock runs: it sends traffic and counts answers.

A raw non-blocking socket; used from one thread, which must not be the bottleneck. Frames are
encoded in advance; replies are only kept and counted, by their lengths. Guarantee: what was
received is kept whole, to be checked afterwards.

Latency starts, in the closed loop, when a request is handed to the kernel; in the open loop, when
it was due, whether or not it could be sent then (no coordinated omission).
"""

from __future__ import annotations

import socket
import time
from array import array
from collections import deque
from struct import Struct
from typing import Final

from bench.report import AnswersWrong
from bench.traffic import ConnectionTraffic
from hpe.protocol.limits import INTERNAL_FIRST

STALL_S_MAX: Final = 30.0
"""If no reply comes for this long, the server has failed: every answer is due within a second."""

RECEIVE_BYTES: Final = 1 << 18
_HEAD: Final = Struct(">IBBBB")
"""Length, array header, type of a fixarray, one count byte, type of an array16."""

_ARRAY16: Final = 0xDC


class BookNotFilled(AnswersWrong):
    """The server refused an order that fills the book, because it was busy: try again."""


class TrafficConnection:
    """Sends what is allowed of its traffic and counts the answers, which are hpe's frames.

    Args:
        address: host and port of the server.
        window: requests in flight, at most.
        fill_window: the same, while the book is filled.
    """

    def __init__(self, address: tuple[str, int], window: int, fill_window: int = 1) -> None:
        self._socket = socket.create_connection(address, timeout=STALL_S_MAX)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.window = window
        self.fill_window = fill_window
        self._traffic = ConnectionTraffic(b"", [], 0)
        self._view = memoryview(b"")
        self._bytes_sent = 0
        self._received: list[bytes] = []
        self._rest = b""
        # (requests up to here, the time from which their latency counts), oldest first.
        self._segments: deque[tuple[int, int]] = deque()
        self.allowed = 0
        self.answered = 0
        self.total = 0  # requests to send so far: those that fill the book, then all

    def fileno(self) -> int:
        """Return the socket's descriptor, for the selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    # --- outside the clock ----------------------------------------------------------------------

    def load(self, traffic: ConnectionTraffic) -> None:
        """Set the traffic of the run and make the socket non-blocking."""
        self._traffic = traffic
        # Twice where it is repeated, so that a whole window is always in one piece.
        assert traffic.repeats == 1 or self.window <= len(traffic.ends)
        self._view = memoryview(traffic.frames * min(traffic.repeats, 2))
        self.total = traffic.filling or traffic.total
        self._socket.setblocking(False)

    def end_filling(self) -> None:
        """Let the requests on the clock follow."""
        self.total = self._traffic.total

    def check_answers(self, answer: bytes) -> None:
        """Compare all that was received with the one answer that every request gets.

        Raises:
            AnswersWrong: something else came.
        """
        pattern = answer * (RECEIVE_BYTES // len(answer) + 2)
        received = 0
        for data in self._received:
            place = received % len(answer)
            received += len(data)
            if data != pattern[place : place + len(data)]:
                raise AnswersWrong(f"expected {answer!r}, found {data[:100]!r}")
        if received != self.total * len(answer):
            raise AnswersWrong(f"{self.total} answers have {received} bytes")

    # --- inside the clock -----------------------------------------------------------------------

    def allow(self, target: int, from_ns: int) -> None:
        """Allow requests up to `target` to be sent; their latency counts from `from_ns`."""
        self._segments.append((target, from_ns))
        self.allowed = target

    def flush(self) -> bool:
        """Send what is allowed; return False if the kernel takes no more for now."""
        end = self._traffic.end_of(self.allowed)
        size = len(self._traffic.frames)
        try:
            while self._bytes_sent < end:
                place = self._bytes_sent % size
                piece = self._view[place : place + end - self._bytes_sent]
                self._bytes_sent += self._socket.send(piece)
        except BlockingIOError:
            return False
        return True

    def receive(self, latencies_ns: array[int]) -> int:
        """Receive what has arrived; return the number of requests that it answers."""
        data = self._socket.recv(RECEIVE_BYTES)
        now_ns = time.perf_counter_ns()
        if not data:
            raise AnswersWrong("the server closed the connection")
        self._received.append(data)
        count = self._count_answers(data)
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

    def _count_answers(self, data: bytes) -> int:
        """Step over whole frames by their lengths; reports are not answers."""
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
