"""One request of a session from sending to answer.

Owns the record of a request, and how its answer reaches the tasks that wait for it. Used by
channel.py from one Trio loop; any number of tasks may wait for one request.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

import msgspec

from hpe.client import aio
from hpe.client.explaining import explain_field
from hpe.errors import AcknowledgedLost, ConnectionLost, RequestRefused
from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import ERROR_TRAITS, ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.frames import encode_frame
from hpe.protocol.market_data import Unsubscribed
from hpe.protocol.reports import ExecutionReport, OrderReport, PreventedMatch

OrderEvent = OrderReport | PreventedMatch
"""What a command did to orders of its user other than fills."""

Report = ExecutionReport | OrderEvent


class Repeat(Enum):
    """What happens to an unanswered request when the session gets another connection."""

    UNCHANGED = auto()
    """A command: the same bytes are sent again, so that it is executed once."""
    UNDER_NEW_ID = auto()
    """A query: asked again, it returns the newer state."""
    NEVER = auto()
    """A request about the connection that ended: it is not repeated."""


class Answer(NamedTuple):
    """The response to a request, and what its command did to its user's orders, in order.

    `request` is what was asked, None if only its bytes were known.
    """

    response: Reply
    reports: tuple[Report, ...]
    request: Request | None = None

    @property
    def fills(self) -> tuple[ExecutionReport, ...]:
        """Return the fills alone."""
        return tuple(report for report in self.reports if isinstance(report, ExecutionReport))

    @property
    def events(self) -> tuple[OrderEvent, ...]:
        """Return everything but the fills."""
        return tuple(report for report in self.reports if not isinstance(report, ExecutionReport))


class Pending:
    """A sent request. `frame` is what was sent: repeating a command means sending these bytes."""

    __slots__ = (
        "_answered",
        "_failure",
        "_response",
        "frame",
        "repeat",
        "reports",
        "request",
        "request_id",
    )

    def __init__(
        self, request_id: int, frame: bytes, repeat: Repeat, request: Request | None = None
    ) -> None:
        self.request_id = request_id
        self.frame = frame
        self.repeat = repeat
        self.request = request
        self.reports: list[Report] = []
        self._answered = aio.Event()
        self._response: Reply | None = None
        self._failure: Exception | None = None

    @property
    def answered(self) -> bool:
        """True if `wait` need not wait."""
        return self._answered.is_set()

    async def wait(self) -> Answer:
        """Wait for the answer, without a deadline of its own.

        A business reject is an answer and is not raised here.

        Raises:
            RequestRefused: answered `error`: not executed.
            ConnectionLost: the session's last connection ended first: outcome unknown.
            AcknowledgedLost: the same, because the server forgot requests that it had answered.

        Cancellation: safe; the request stays sent, and `wait` may be called again.
        """
        await self._answered.wait()
        return self.answer()

    def answer(self) -> Answer:
        """Return the answer that has come; raise what `wait` raises."""
        response = self._response
        if response is None:
            if isinstance(self._failure, AcknowledgedLost):
                raise self._failure.with_traceback(None)
            raise ConnectionLost(
                f"request {self.request_id}: outcome unknown: {self._failure}"
            ) from self._failure
        if isinstance(response, Error):
            raise refused(response, self)
        return Answer(response, tuple(self.reports), self.request)

    def renumber(self, request_id: int) -> None:
        """Ask the same under another id."""
        assert self.request is not None
        self.request_id = request_id
        self.frame = encode_frame(msgspec.structs.replace(self.request, request_id=request_id))

    def resolve(self, response: Reply) -> None:
        """Set the answer (called by the channel)."""
        self._response = response
        self._answered.set()

    def fail(self, error: Exception) -> None:
        """Make `wait` fail (called by the channel)."""
        self._failure = error
        self._answered.set()


def refused(error: Error, asked: Pending | None = None) -> RequestRefused:
    """Return the exception for an error message, which answers `request` if that is known."""
    made = RequestRefused(
        error.request_id, error.code, error.name, error.message, error.retryable, error.field
    )
    if asked is not None:
        made.request, made.frame = asked.request, asked.frame
        if error.code == ErrorCode.BAD_FIELD:
            made.detail = explain_field(asked.frame, error.field)
    return made


def refusal(request_id: int, code: ErrorCode, text: str) -> RequestRefused:
    """Return the server's kind of refusal for a request that cannot be sent."""
    return RequestRefused(request_id, code, code.name.lower(), text, ERROR_TRAITS[code].retryable)


def ends_stream(message: Reply) -> bool:
    """True if a message says that the server ended a stream on its own."""
    return isinstance(message, Unsubscribed) and not message.request_id
