"""The exception tree: everything that can go wrong outside the rules of the exchange.

Business outcomes are values (RejectReason, CancelReason in protocol/codes.py), never exceptions.
Every HpeError says what was found and what was expected. `exit_code` is the exit code of
`hpe serve` when the error reaches the top (sysexits numbers; docs/operations.md has the table).
Any thread may raise them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar


class HpeError(Exception):
    """Base of all exceptions that hpe raises on purpose."""

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
    """Base of the log's errors."""


class WalWriteError(WalError):
    """A write or sync of the log failed. Fatal: the record is not written again.

    Nothing that waited for it is answered.
    """

    exit_code = 74


class Fenced(WalWriteError):
    """The log's tail is not the expected one: another writer appended. Nothing was written."""


class WalReadError(WalError):
    """The log's files cannot be read (device error or permissions). Nothing was changed."""

    exit_code = 74


class LogVersionError(WalError):
    """The log was written by another version of the format or of the core's rules."""

    exit_code = 65


class RecoveryStopped(WalError):
    """Recovery was asked to stop before it ended. The log is unchanged; start again later."""

    exit_code = 0


class WalDamagedError(WalError):
    """The log contains bytes that no crash explains. Nothing was changed."""

    exit_code = 65


class Diverged(WalError):
    """Replaying a logged command gave another result than was logged."""

    exit_code = 65

    def __init__(self, sequence: int, message: str) -> None:
        super().__init__(f"replay diverged at sequence {sequence}: {message}")
        self.sequence = sequence


class StateError(HpeError):
    """Bytes that should be a dumped state are not one, or come from another core version."""

    exit_code = 65


class InvariantViolation(Exception):
    """The engine's own state contradicts itself: a bug. Ends the service; nothing catches it."""


class ProtocolError(HpeError):
    """The peer sent bytes that are not a frame of this protocol."""


class RequestError(HpeError):
    """Base of the errors that requests raise, in clients and in the in-process API."""


class RequestRefused(RequestError):
    """The server answered `error`: the request was not executed.

    `field` names the wrong field, "" if there is none; `detail` says which value was sent and what
    is allowed; `request` and `frame` are what was sent, None and b"" if that is not known.
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
        """Return what was refused, and because of which argument."""
        return f"{super().__str__()}: {self.detail}" if self.detail else super().__str__()


class OrderRejected(RequestError):
    """The request was executed and rejected; `response` is the whole answer.

    `limit_of` says whose limit was reached: "user", "key" or "service"; "" if it was not a limit.
    `detail` says which argument was found and what is allowed, "" if no argument is wrong;
    `request` is what was sent, None if that is not known.
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
        """Return what was rejected, and because of which argument."""
        return f"{super().__str__()}: {self.detail}" if self.detail else super().__str__()


class NotConnected(RequestError):
    """There was no connection until the deadline, and nothing was sent: ask again later."""


class StreamEnded(RequestError):
    """The server ended a stream, because what it follows no longer exists."""


class ReplyTimeout(RequestError):
    """No reply to a command came in time: its outcome is unknown until `outcome` is asked.

    Args:
        session_id: the session that sent it.
        request_id: the command's id.
        frame: what was sent, so that another client of that session can ask, too.

    Attributes:
        show: converts the answer, once it is known, to what the client's method returns.
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
            "executed, or may still be. Do not send it again as a new request: outcome(error) of "
            "the same client returns its outcome; retry(...) does all this by itself"
        )


class QueryTimeout(ReplyTimeout):
    """No reply to a query came in time. It changes nothing: ask again, as a new request."""

    @staticmethod
    def _text(session_id: int, request_id: int) -> str:
        return (
            f"no reply to request {request_id} of session {session_id} in time: it is a query and "
            "changes nothing, so it can be sent again"
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
    """Another client meanwhile used this client's session: their requests cannot be told apart."""
