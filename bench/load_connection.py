"""A connection of the load generator to hpe: its session, its traffic, its checked answers.

Used from one thread. What happens while the clock runs is in traffic_connection.py; afterwards,
every byte is decoded and checked here. Guarantees: each request was answered exactly once and in
order (otherwise AnswersWrong is raised). Relies on the server answering a connection's requests in
order (protocol.md).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from bench.report import AnswersWrong
from bench.traffic import FIRST_REQUEST_ID
from bench.traffic_connection import (
    STALL_S_MAX,
    BookNotFilled,
    TrafficConnection,
)
from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import CancelReason, ErrorCode, RejectReason
from hpe.protocol.control import Error, Hello, LoggedOut, Logout, Welcome
from hpe.protocol.frames import encode_frame, split_frames
from hpe.protocol.limits import PROTOCOL_VERSION
from hpe.protocol.orders import OrderResponse
from hpe.protocol.registry import AnyReply
from hpe.protocol.reports import ExecutionReport

_DECODER: Final = msgspec.msgpack.Decoder(AnyReply)
_R = TypeVar("_R", bound=Reply)


@dataclass(slots=True)
class ReplyContent:
    """The content of a run's replies to `requests`, decoded after the clock stopped."""

    requests: int = 0
    trades: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


class LoadConnection(TrafficConnection):
    """One connection with its session: blocking calls outside the clock, traffic inside."""

    def __init__(
        self, address: tuple[str, int], user: int, window: int, fill_window: int = 1
    ) -> None:
        super().__init__(address, window, fill_window)
        self._request_id = 0
        needed = max(window, fill_window)
        welcome = self.call(Welcome, Hello(1, PROTOCOL_VERSION, user, window=needed))
        if welcome.window < needed:
            raise AnswersWrong(f"window {welcome.window} was granted, {needed} is needed")

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

    def verify(self, answers: ReplyContent) -> None:
        """Decode all replies; every request must be answered once, in order.

        Raises:
            AnswersWrong: a request was not, or an order that fills the book was rejected; names the
                first one.
            BookNotFilled: the service was busy when the book was filled.
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
                busy = isinstance(reply, Error) and reply.code == ErrorCode.BUSY
                kind = BookNotFilled if busy else AnswersWrong
                raise kind(f"an order that fills the book was refused: {reply}")
            if isinstance(reply, Error):
                answers.errors[reply.name] += 1
            elif rejected:
                answers.rejects[RejectReason(reply.reason).name.lower()] += 1
        wanted = FIRST_REQUEST_ID + self._traffic.total
        if expected != wanted:
            raise AnswersWrong(f"{wanted - expected} requests have no answer")
        answers.requests += wanted - first
        self._received.clear()

    def log_out(self) -> None:
        """Log out, so that the server forgets the session."""
        self.call(LoggedOut, Logout(FIRST_REQUEST_ID))
