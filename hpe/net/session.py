"""One client's protocol: what it may send when, and what this side answers by itself.

Owns the state of one connection's logon and the answers to control messages; no sockets, no
waiting, no tasks. One connection (TCP or in-process) owns one and calls it from the Trio
loop. Every method returns a Step: bytes to send, a run for the core, a stream to begin or end,
whether the connection ends. Guarantees: nothing reaches the core before `welcome`, except the
attachment of a client that proved the key it names; an attached session is detached exactly once,
unless it was logged out or the service stops. Source: protocol.md, "Logon" and "Sessions".

    NEW --hello--> (CHALLENGED --logon-->) ATTACHING --attached--> ATTACHED
    ATTACHED --logout--> CLOSING --closed--> ENDED
    any state --fatal error, replaced, end of input--> ENDED
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

from hpe.core.codec import error_body
from hpe.core.contract import SYSTEM_CONNECTION, RoomLimit, Run
from hpe.core.decoding.judging import CONTROL_TABLES, Undecodable, decode_request, judge
from hpe.core.permissions import permitted
from hpe.errors import InvariantViolation
from hpe.net.logon import ANONYMOUS, OTHER_REQUEST, Authenticator, Grant, LogonRefusal
from hpe.protocol.base import Request, type_number
from hpe.protocol.codes import (
    ERROR_TRAITS,
    KEY_CONNECTIONS,
    NO_HELLO,
    NO_LOGON,
    OPERATORS_FULL,
    OTHER_VERSION,
    ROOM_OF_KEY,
    ROOM_USED,
    ErrorCode,
)
from hpe.protocol.control import (
    Challenge,
    Heartbeat,
    Hello,
    LoggedOut,
    Logon,
    Logout,
    Ping,
    Pong,
    ServerInfo,
    ServerInfoReply,
    Welcome,
)
from hpe.protocol.enums import DetachCause
from hpe.protocol.frames import Chunk, chunk_of, encode_frame, frame
from hpe.protocol.internal import (
    SessionAttached,
    SessionAttachedResponse,
    SessionClosed,
    SessionDetached,
)
from hpe.protocol.limits import (
    HEARTBEAT_MS_DEFAULT,
    HEARTBEAT_MS_MIN,
    PROTOCOL_VERSION,
    REPLY_BYTES_MAX,
    REQUEST_BYTES_MAX,
)
from hpe.protocol.market_data import Unsubscribe
from hpe.protocol.reports import SubscribePrivate, UnsubscribePrivate

StreamRequest = Unsubscribe | SubscribePrivate | UnsubscribePrivate
"""Control messages about streams, which the connection carries out."""


class ServiceFacts(Protocol):
    """The facts about the service that a session reports, and whether it is stopping."""

    server: str
    durability: str
    epoch: int
    draining: bool

    def server_info(self, request_id: int) -> ServerInfoReply:
        """Return the answer to server_info."""


class State(Enum):
    """The state of a session; see the module's drawing."""

    NEW = auto()
    CHALLENGED = auto()
    ATTACHING = auto()
    ATTACHED = auto()
    CLOSING = auto()
    ENDED = auto()


class Step(NamedTuple):
    """What the connection has to do.

    Send `reply`, offer `run` to the core, carry out and answer `stream`, `end` itself. `refusal`
    says why something was refused.
    """

    reply: bytes = b""
    run: Run | None = None
    end: bool = False
    stream: StreamRequest | None = None
    refusal: LogonRefusal | None = None


NOTHING: Final = Step()


class _Hello(NamedTuple):
    """A challenged hello, which its logon has to prove."""

    message: Hello
    body: bytes
    nonce: bytes


def internal_run(message: Request) -> Run:
    """Return the run of one internal command."""
    return Run(SYSTEM_CONNECTION, 0, 0, chunk_of(encode_frame(message)))


def error_frame(request_id: int, code: ErrorCode, message: str = "", field: str = "") -> bytes:
    """Return the frame that refuses a request; `field` is the wrong field."""
    return frame(error_body(request_id, code, message, field))


class SessionProtocol:
    """The protocol state of one connection.

    Args:
        connection: the connection's number, to which replies are addressed.
        take_attach_number: returns the next attach number and notes that this connection waits
            for its outcome.
        facts: facts about the service.
        authenticator: decides who may log on, and as which user.

    Attributes:
        said: the hello of a logon that is under way or failed.
        highest_id: highest request id that the session had at its welcome, or that was answered
            here since.
        heartbeat_s: how long either side may be quiet, as agreed.
    """

    __slots__ = (
        "_authenticator", "_closes", "_entered", "_facts", "_hello", "_request_id",
        "_revoked", "_take_attach_number", "attach_number", "connection", "grant", "heartbeat_s",
        "highest_id", "said", "session_id", "state", "user", "window",
    )  # fmt: skip

    def __init__(
        self,
        connection: int,
        take_attach_number: Callable[[int], int],
        facts: ServiceFacts,
        authenticator: Authenticator,
    ) -> None:
        self.connection = connection
        self.state = State.NEW
        self.attach_number = 0
        self.session_id = 0
        self.user = 0
        self.window = 0
        self.highest_id = 0
        self.heartbeat_s = 0.0
        self.grant = ANONYMOUS
        self.said: Hello | None = None
        self._take_attach_number = take_attach_number
        self._facts = facts
        self._authenticator = authenticator
        # The id of the hello or logout that waits for the core.
        self._request_id = 0
        self._hello: _Hello | None = None
        self._revoked = False
        self._closes = False  # True if the session ends with this connection
        self._entered = False  # True if counted among the connections of its key

    # --- what the client says -----------------------------------------------------------------

    def requests(self, chunk: Chunk) -> Run | None:
        """Return the run of a chunk for the core; None if the session is no longer attached."""
        if self.state is not State.ATTACHED:
            return None
        admit = ErrorCode.SHUTTING_DOWN if self._facts.draining else 0
        return Run(self.connection, self.attach_number, admit, chunk)

    def control(self, chunk: Chunk, admit: int = 0) -> Step:
        """Answer a control message, or any message before logon.

        Args:
            chunk: the message.
            admit: the ErrorCode that refuses it although it is valid; 0 for none.
        """
        # Before logon a chunk may hold several frames; the first one decides.
        start, end, kind, _, _ = chunk.table[0]
        body = chunk.frames[start:end]
        expected = _EXPECTED.get(self.state)
        if expected is not None and kind != type_number(expected):
            return self._unexpected(body, kind, expected)
        try:
            message = decode_request(body, CONTROL_TABLES)
        except Undecodable as fault:
            return self.refuse(fault.code, request_id=fault.request_id, field=fault.field)
        match self.state:
            case State.NEW:
                return self._greet(message, body)
            case State.CHALLENGED:
                return self._log_on(message)
            case State.ATTACHED if admit:
                return self.refuse(ErrorCode(admit), request_id=message.request_id)
            case State.ATTACHED:
                return self._answer(message)
            case _:  # it is already ending
                return NOTHING

    def refuse(
        self, code: ErrorCode, message: str = "", request_id: int = 0, field: str = ""
    ) -> Step:
        """Return the answer with an error; a fatal code ends the connection.

        An attached session is not detached here: the connection calls `end` when it is done.
        """
        trait = ERROR_TRAITS[code]
        refusal = LogonRefusal(code, message or trait.text)
        reply = error_frame(request_id, code, message, field)
        return Step(reply, end=trait.fatal, refusal=refusal)

    def end(self) -> Run | None:
        """Handle the end of the client's input; return the run that detaches, if there is one.

        While the service stops, nothing is detached: recovery does it, so that a clean stop and
        a crash look alike in the log.
        """
        state, self.state = self.state, State.ENDED
        if state is not State.ATTACHED or self._facts.draining:
            return None
        if self._closes:
            number = self.attach_number
            return internal_run(SessionClosed(number, self.session_id, number))
        return self._detach(self.session_id)

    def leave(self) -> Run | None:
        """Handle a lost connection; return the run that detaches, if there is one."""
        if self._entered:
            self._entered = False
            self._authenticator.leave(self.grant)
        return self.end()

    # --- what the core and the operator say ---------------------------------------------------

    def attached(self, response: SessionAttachedResponse) -> Step:
        """Process the core's answer to `hello`, which the log has published."""
        if self.state is State.ENDED:
            # The client is gone. Nothing else tells the core now, but recovery will.
            if response.error or self._facts.draining:
                return NOTHING
            return Step(run=self._detach(response.session_id))
        assert self.state is State.ATTACHING
        if response.error:
            self.state = State.ENDED
            text = _ROOM_LIMITS[RoomLimit(response.limit)]
            return self.refuse(ErrorCode(response.error), text, self._request_id)
        self.state = State.ATTACHED
        self.session_id, self.window = response.session_id, response.window
        self.highest_id = response.last_request_id
        if self._revoked:
            return self.refuse(ErrorCode.KEY_REVOKED, request_id=self._request_id)
        welcome = Welcome(
            request_id=self._request_id,
            flags=0,
            version=PROTOCOL_VERSION,
            session_id=response.session_id,
            window=response.window,
            last_request_id=response.last_request_id,
            sequence=response.sequence,
            durability=self._facts.durability,
            server=self._facts.server,
            request_bytes_max=REQUEST_BYTES_MAX,
            reply_bytes_max=REPLY_BYTES_MAX,
            role=self.grant.role,
            heartbeat_ms=round(self.heartbeat_s * 1000),
            private_sequence=response.private_sequence,
            time_ns=response.time_ns,
            epoch=self._facts.epoch,
        )
        return Step(encode_frame(welcome))

    def closed(self) -> Step:
        """Process the core's answer to `logout`, which the log has published."""
        if self._closes:  # the client did not ask: its key was revoked
            return NOTHING
        self.state = State.ENDED
        return Step(encode_frame(LoggedOut(self._request_id, 0)), end=True)

    def replaced(self) -> Step:
        """Report that a newer connection took this session; there is nothing left to detach."""
        self.state = State.ENDED
        return self.refuse(ErrorCode.SESSION_REPLACED)

    def cut(self) -> Step:
        """End: the core found bytes that break the protocol, and has detached the session."""
        self.state = State.ENDED
        return Step(end=True)

    def revoke(self, gone: bool) -> Step:
        """End, because the key was removed (`gone`: the session ends, too) or changed."""
        self._revoked, self._closes = True, gone
        # If the core is attaching the session, its answer comes first: then it can be detached.
        return NOTHING if self.state is State.ATTACHING else self.refuse(ErrorCode.KEY_REVOKED)

    # --- inside -------------------------------------------------------------------------------

    def _detach(self, session_id: int) -> Run:
        number = self.attach_number
        return internal_run(
            SessionDetached(number, session_id, number, DetachCause.CONNECTION_LOST)
        )

    def _unexpected(self, body: bytes, kind: int, expected: type[Request]) -> Step:
        code, request_id = _fault_of(body)
        if code is not ErrorCode.EXPECTED_HELLO:
            return self.refuse(code, request_id=request_id)
        case = NO_HELLO if expected is Hello else NO_LOGON
        return self.refuse(code, case.text.format(number=kind), request_id)

    def _greet(self, hello: Request, body: bytes) -> Step:
        assert isinstance(hello, Hello)
        self.said = hello
        if hello.version != PROTOCOL_VERSION:
            text = OTHER_VERSION.text.format(asked=hello.version, spoken=PROTOCOL_VERSION)
            return self.refuse(OTHER_VERSION.code, text, hello.request_id)
        if self._facts.draining:
            return self.refuse(ErrorCode.SHUTTING_DOWN, request_id=hello.request_id)
        if not self._authenticator.required:
            return self._attach(hello, ANONYMOUS)
        # Known or not, every key gets a challenge, so a stranger learns nothing from it.
        self.state = State.CHALLENGED
        self._hello = _Hello(hello, body, self._authenticator.challenge())
        return Step(encode_frame(Challenge(hello.request_id, 0, self._hello.nonce)))

    def _log_on(self, logon: Request) -> Step:
        assert isinstance(logon, Logon)
        assert self._hello is not None
        hello, body, nonce = self._hello
        # One proof per challenge: another attempt begins with hello.
        self.state, self._hello = State.NEW, None
        verdict = self._authenticator.check(body, hello, nonce, logon)
        if logon.request_id != hello.request_id:
            verdict = OTHER_REQUEST
        if isinstance(verdict, LogonRefusal):
            step = self.refuse(verdict.code, request_id=logon.request_id)
            return step._replace(refusal=verdict)
        if self._facts.draining:
            return self.refuse(ErrorCode.SHUTTING_DOWN, request_id=logon.request_id)
        return self._attach(hello, verdict)

    def _attach(self, hello: Hello, grant: Grant) -> Step:
        if not self._authenticator.enter(grant, hello.session_id):
            text = KEY_CONNECTIONS.text.format(key_id=grant.key_id)
            return self.refuse(KEY_CONNECTIONS.code, text, hello.request_id)
        self.state = State.ATTACHING
        self.grant = grant
        self._entered = True
        self.user = hello.user
        heartbeat_ms = max(hello.heartbeat_ms or HEARTBEAT_MS_DEFAULT, HEARTBEAT_MS_MIN)
        self.heartbeat_s = heartbeat_ms / 1000
        self._request_id = hello.request_id
        self.attach_number = self._take_attach_number(self.connection)
        command = SessionAttached(
            request_id=self.attach_number,
            session_id=hello.session_id,
            user=hello.user,
            window=hello.window,
            role=grant.role,
            user_first=grant.user_first,
            user_last=grant.user_last,
            flags=hello.flags,
            grace_ms=hello.grace_ms,
            key=grant.key_number,
        )
        return Step(run=internal_run(command))

    def _answer(self, message: Request) -> Step:
        """Answer a control message of an attached client."""
        match message:
            case Ping(request_id=request_id, token=token):
                return Step(encode_frame(Pong(request_id, 0, token)))
            case Heartbeat():
                return NOTHING
            case ServerInfo(request_id=request_id):
                return Step(encode_frame(self._facts.server_info(request_id)))
            case Unsubscribe() | SubscribePrivate() | UnsubscribePrivate():
                return self._stream(message)
            case Logout():
                return self._log_out(message)
            case Hello() | Logon():
                return self.refuse(ErrorCode.ALREADY_LOGGED_ON, request_id=message.request_id)
            case _:
                raise InvariantViolation(f"control message {message!r} has no answer")

    def _stream(self, message: StreamRequest) -> Step:
        _, role, user_first, user_last = self.grant
        if not permitted(role, user_first, user_last, self.user, message):
            return self.refuse(ErrorCode.NOT_AUTHORIZED, request_id=message.request_id)
        return Step(stream=message)

    def _log_out(self, logout: Logout) -> Step:
        if self._facts.draining:
            return self.refuse(ErrorCode.SHUTTING_DOWN, request_id=logout.request_id)
        self.state = State.CLOSING
        self._request_id = logout.request_id
        number = self.attach_number
        command = SessionClosed(number, self.session_id, number, logout.flags)
        return Step(run=internal_run(command))


_ROOM_LIMITS: Final = {
    RoomLimit.NONE: "",
    RoomLimit.ALL: ROOM_USED.text,
    RoomLimit.KEY: ROOM_OF_KEY.text,
    RoomLimit.OPERATORS: OPERATORS_FULL.text,
}
"""The text that says whose limit a refused logon reached."""

_EXPECTED: Final[dict[State, type[Request]]] = {State.NEW: Hello, State.CHALLENGED: Logon}
"""The only messages that are allowed before there is a session."""


def _fault_of(body: bytes) -> tuple[ErrorCode, int]:
    """Return the error for a body that is not of the expected type, and its request id."""
    try:
        request_id = judge(body, {}).request_id
    except Undecodable as fault:
        fatal = ERROR_TRAITS[fault.code].fatal
        return fault.code if fatal else ErrorCode.EXPECTED_HELLO, fault.request_id
    raise InvariantViolation(f"request {request_id} was read without a table")
