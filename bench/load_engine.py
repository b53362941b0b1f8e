"""The engine of the load generator: connections, closed and open loop, checked answers.

One thread, raw non-blocking sockets and a selector; it must not be the bottleneck. Frames are
encoded in advance; while the clock runs, replies are only kept and counted by their lengths;
afterwards every byte is decoded and checked. Guarantees: a Measured stands for requests that were
each answered exactly once and in order (otherwise AnswersWrong is raised). Relies on the server
answering a connection's requests in order (protocol.md).

Latency starts, in the closed loop, when a request is handed to the kernel; in the open loop, when
it was due, whether or not it could be sent then (no coordinated omission).
"""

from __future__ import annotations

import selectors
import socket
import time
from array import array
from collections import Counter, deque
from collections.abc import Sequence
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
    """The content of a run's replies, decoded after the clock stopped."""

    trades: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Measured:
    """One run's figures. `lag_ns`: how late requests were sent, empty in the closed loop."""

    requests: int
    wall_s: float
    generator_cpu_s: float
    latencies_ns: array[int]
    lag_ns: array[int]

    @property
    def generator_share(self) -> float:
        """Share of a core that the generator itself used."""
        return self.generator_cpu_s / self.wall_s


class LoadConnection:
    """One connection with its session: blocking calls outside the clock, traffic inside."""

    def __init__(self, address: tuple[str, int], user: int, window: int) -> None:
        self._socket = socket.create_connection(address, timeout=STALL_S_MAX)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.user = user
        self.window = window
        self._request_id = 0
        self._traffic = Traffic(b"", [])
        self._view = memoryview(b"")
        self._bytes_sent = 0
        self._received: list[bytes] = []
        self._rest = b""
        # (requests up to here, the time from which their latency counts), oldest first.
        self._segments: deque[tuple[int, int]] = deque()
        self.allowed = 0
        self.answered = 0
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
        self._socket.setblocking(False)

    def verify(self, answers: Answers) -> None:
        """Decode all replies; every request must be answered once, in order.

        Raises:
            AnswersWrong: a request was not; names the first one.
        """
        self._socket.settimeout(STALL_S_MAX)
        expected = FIRST_REQUEST_ID
        for body in split_frames(b"".join(self._received)):
            reply = _DECODER.decode(body)
            if isinstance(reply, ExecutionReport):
                answers.trades += 1
                continue
            if reply.request_id != expected:
                raise AnswersWrong(f"expected the answer to request {expected}, found {reply}")
            expected += 1
            if isinstance(reply, Error):
                answers.errors[reply.name] += 1
            elif isinstance(reply, OrderResponse) and 0 < reply.reason < CancelReason.REQUESTED:
                answers.rejects[RejectReason(reply.reason).name.lower()] += 1
        wanted = FIRST_REQUEST_ID + len(self._traffic.ends)
        if expected != wanted:
            raise AnswersWrong(f"{wanted - expected} requests have no answer")
        self._received.clear()

    def log_out(self) -> None:
        """Log out, so that the server forgets the session."""
        self.call(LoggedOut, Logout(FIRST_REQUEST_ID))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    # --- inside the clock -----------------------------------------------------------------------

    @property
    def total(self) -> int:
        """Requests of the run."""
        return len(self._traffic.ends)

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


def run_closed(connections: Sequence[LoadConnection]) -> Measured:
    """Keep every connection's window full until everything is answered."""
    total = sum(connection.total for connection in connections)
    latencies_ns = array("q")
    with selectors.EpollSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ, connection)
        cpu_s, start_ns = time.process_time(), time.perf_counter_ns()
        for connection in connections:
            _refill(connection)
            _send(selector, connection)
        left = total
        while left:
            answered = _pump(selector, STALL_S_MAX, latencies_ns, refill=True)
            if answered is None:
                raise AnswersWrong(f"no reply for {STALL_S_MAX} s, {left} requests unanswered")
            left -= answered
        wall_s = (time.perf_counter_ns() - start_ns) / 1e9
    used_s = time.process_time() - cpu_s
    return Measured(total, wall_s, used_s, latencies_ns, array("q"))


def run_open(connections: Sequence[LoadConnection], rate: float) -> Measured:
    """Send at a fixed rate, over the connections in turn, whatever the server does."""
    total = sum(connection.total for connection in connections)
    latencies_ns, lag_ns = array("q"), array("q")
    # select() is accurate to microseconds; epoll's milliseconds would delay the schedule.
    with selectors.SelectSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ, connection)
        cpu_s, start_ns = time.process_time(), time.perf_counter_ns()
        schedule = _Schedule(connections, rate, start_ns, total)
        left, progress_ns = total, start_ns
        while left:
            now_ns = time.perf_counter_ns()
            for connection in schedule.release(now_ns, lag_ns):
                _send(selector, connection)
            wait_s = max(schedule.next_due_ns - time.perf_counter_ns(), 0) / 1e9
            answered = _pump(selector, min(wait_s, STALL_S_MAX), latencies_ns, refill=False)
            if answered:
                left, progress_ns = left - answered, now_ns
            elif now_ns - progress_ns > STALL_S_MAX * 1e9:
                raise AnswersWrong(f"no reply for {STALL_S_MAX} s, {left} requests unanswered")
        wall_s = (time.perf_counter_ns() - start_ns) / 1e9
    return Measured(total, wall_s, time.process_time() - cpu_s, latencies_ns, lag_ns)


class _Schedule:
    """When each request is due: the i-th at start + i / rate, on connection i modulo n."""

    def __init__(
        self, connections: Sequence[LoadConnection], rate: float, start_ns: int, total: int
    ) -> None:
        self._connections = connections
        self._period_ns = 1e9 / rate
        self._start_ns = start_ns
        self._total = total
        self.next_due_ns = start_ns

    def release(self, now_ns: int, lag_ns: array[int]) -> list[LoadConnection]:
        """Allow requests that are due and fit their window; return the connections concerned."""
        due = min(int((now_ns - self._start_ns) / self._period_ns) + 1, self._total)
        count = len(self._connections)
        released = []
        for number, connection in enumerate(self._connections):
            target = min(
                (due - number + count - 1) // count, connection.answered + connection.window
            )
            if target <= connection.allowed:
                continue
            for index in range(connection.allowed, target):
                due_ns = self._start_ns + int((index * count + number) * self._period_ns)
                lag_ns.append(now_ns - due_ns)
                connection.allow(index + 1, due_ns)
            released.append(connection)
        if due < self._total:
            self.next_due_ns = self._start_ns + int(due * self._period_ns)
        else:
            self.next_due_ns = now_ns + int(STALL_S_MAX * 1e9)
        return released


def _pump(
    selector: selectors.BaseSelector, timeout_s: float, latencies_ns: array[int], *, refill: bool
) -> int | None:
    """Serve the sockets that are ready; return the number of answers, None if none were ready."""
    ready = selector.select(timeout_s)
    if not ready:
        return None
    answered = 0
    for key, events in ready:
        connection: LoadConnection = key.data
        if events & selectors.EVENT_READ:
            answered += connection.receive(latencies_ns)
            if refill:
                _refill(connection)
        _send(selector, connection)
    return answered


def _refill(connection: LoadConnection) -> None:
    target = min(connection.answered + connection.window, connection.total)
    if target > connection.allowed:
        connection.allow(target, time.perf_counter_ns())


def _send(selector: selectors.BaseSelector, connection: LoadConnection) -> None:
    """Send what is allowed; watch for writability only while the kernel takes no more."""
    events = selectors.EVENT_READ
    if not connection.flush():
        events |= selectors.EVENT_WRITE
    if selector.get_key(connection).events != events:
        selector.modify(connection, events, connection)
