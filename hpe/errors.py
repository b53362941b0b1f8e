"""The exception tree: what can go wrong outside the rules of the exchange.

Business outcomes are values (RejectReason, CancelReason in protocol/codes.py), never exceptions.
Every HpeError says what was found and what was expected; `exit_code` is what `hpe serve` ends
with when it reaches the top (sysexits numbers; the table is in docs/operations.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar


class HpeError(Exception):
    """Base of everything that hpe raises on purpose."""

    exit_code: ClassVar[int] = 70


class ConfigError(HpeError):
    """A setting is unknown, mistyped or out of range; nothing was started."""

    exit_code = 78


class DataDirectoryBusy(HpeError):
    """Another process holds the data directory's lock."""

    exit_code = 73


class ListenError(HpeError):
    """The address cannot be bound."""

    exit_code = 71


class WalError(HpeError):
    """Base of the log's faults."""


class WalWriteError(WalError):
    """A write or sync of the log failed. Fatal: never retried, nothing undurable is answered."""

    exit_code = 74


class Fenced(WalWriteError):
    """The log's tail is not the expected one: something else wrote. Nothing was appended."""


class WalReadError(WalError):
    """The log's files cannot be read (the device or its permissions). Nothing was changed."""

    exit_code = 74


class LogVersionError(WalError):
    """The log was written by another version of the format or of the core's rules."""

    exit_code = 65


class RecoveryStopped(WalError):
    """Recovery was asked to stop before it ended. The log is as it was; start again later."""

    exit_code = 0


class WalDamagedError(WalError):
    """The log holds bytes that no crash explains. Nothing was changed."""

    exit_code = 65


class Diverged(WalError):
    """Replaying a logged command gave another result than the log holds."""

    exit_code = 65

    def __init__(self, sequence: int, message: str) -> None:
        super().__init__(f"replay diverged at sequence {sequence}: {message}")
        self.sequence = sequence


class StateError(HpeError):
    """Bytes that should be a dumped state are none, or one of another core version."""

    exit_code = 65


class InvariantViolation(Exception):
    """The engine's own state contradicts itself: a bug. Ends the service; nobody catches it."""


class ProtocolError(HpeError):
    """The peer sent bytes that are no frame of this protocol."""


class RequestError(HpeError):
    """Base of what a request of a client or of the in-process API can raise."""


class RequestRefused(RequestError):
    """The server answered `error`: the request was not executed.

    `field` names the field that is wrong, "" where none is; `detail` says what was sent in it and
    what is allowed; `request` and `frame` are what was sent, None and b"" where that is not known.
    """

    def __init__(
        self, request_id: int, code: int, name: str, message: str, retryable: bool, field: str = ""
    ) -> None:
        super().__init__(f"request {request_id} refused: {name} ({code}): {message}")
        self.detail = field
        self.request: object = None
        self.frame = b""
        self.request_id = request_id
        self.code = code
        self.name = name
        self.retryable = retryable
        self.field = field

    def __str__(self) -> str:
        """Return what was refused, and about which argument."""
        return f"{super().__str__()}: {self.detail}" if self.detail else super().__str__()


class OrderRejected(RequestError):
    """The request was executed to a business reject; `response` is the whole answer.

    `limit_of` says whose limit it was: "user", "key" or "service"; "" for a reject without a limit.
    `detail` says which argument was found and what is allowed, "" where it is about none; `request`
    is what was sent, None where that is not known.
    """

    def __init__(
        self,
        request_id: int,
        reason: int,
        name: str,
        response: object = None,
        *,
        limit_of: str = "",
        request: object = None,
        detail: str = "",
    ) -> None:
        whose = f", the limit of the {limit_of}" if limit_of else ""
        super().__init__(f"request {request_id} rejected: {name} ({reason}){whose}")
        self.limit_of = limit_of
        self.request_id = request_id
        self.reason = reason
        self.name = name
        self.response = response
        self.request = request
        self.detail = detail

    def __str__(self) -> str:
        """Return what was rejected, and about which argument."""
        return f"{super().__str__()}: {self.detail}" if self.detail else super().__str__()


class NotConnected(RequestError):
    """There was no connection until the deadline, and nothing was sent: ask again later."""


class StreamEnded(RequestError):
    """The server ended a stream: what it follows is no more."""


class ReplyTimeout(RequestError):
    """No reply to a command within the deadline: its outcome is unknown until `outcome` tells it.

    Args:
        session_id: of the session that sent it.
        request_id: of the command.
        frame: what was sent, so that another client of that session can ask, too.

    Attributes:
        show: makes what the client's method returns of the result, once it is known.
    """

    def __init__(self, session_id: int, request_id: int, frame: bytes = b"") -> None:
        super().__init__(self._text(session_id, request_id))
        self.session_id = session_id
        self.request_id = request_id
        self.frame = frame
        self.show: Callable[[Any], object] | None = None

    @staticmethod
    def _text(session_id: int, request_id: int) -> str:
        return (
            f"no reply to request {request_id} of session {session_id} in time: it may have been "
            "executed, or may still be. Do not send it again as a new one: outcome(error), of the "
            "same client, gives what became of it; retry(...) does so by itself"
        )


class QueryTimeout(ReplyTimeout):
    """No reply to a query within the deadline. It changes nothing: ask again, as a new one."""

    @staticmethod
    def _text(session_id: int, request_id: int) -> str:
        return (
            f"no reply to request {request_id} of session {session_id} in time: it executes no "
            "command, so that it can be sent again"
        )


class ConnectionLost(RequestError):
    """The connection ended; the outcome of unanswered requests is unknown."""


class AcknowledgedLost(RequestError):
    """The server forgot requests that it had answered (possible under relaxed sync only)."""

    def __init__(self, request_ids: range) -> None:
        super().__init__(
            f"answered requests {request_ids[0]}..{request_ids[-1]} were lost in a crash"
        )
        self.request_ids = request_ids


class SessionTaken(RequestError):
    """Another client used this client's session meanwhile: whose requests are whose is lost."""
