"""One client's protocol: who may say what when, and what this side answers by itself.

Owns the state of one connection's logon and the answers to control messages; no sockets, no
waiting, no tasks. One connection (TCP or in-process) owns a Session and calls it from the Trio
loop. Every method gives a Step: bytes to send, a run for the core, whether the connection ends.
Guarantees: nothing reaches the core before `welcome`; a session that was attached is detached
exactly once, unless it was logged out or the service stops. Source: protocol.md, "Sessions".

    NEW --hello--> ATTACHING --attached--> ATTACHED --logout--> CLOSING --closed--> ENDED
     any state --fatal error, replaced, end of input--> ENDED
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from hpe.core.codec import Undecodable, diagnose, error_body, frame, type_of
from hpe.core.core import SYSTEM_CONNECTION, Run
from hpe.errors import InvariantViolation
from hpe.messages import (
    CONTROL,
    ERROR_TRAITS,
    PROTOCOL_VERSION,
    REPLY_BYTES_MAX,
    REQUEST_BYTES_MAX,
    DetachCause,
    ErrorCode,
    Hello,
    LoggedOut,
    Logout,
    Ping,
    Pong,
    Request,
    ServerInfo,
    ServerInfoReply,
    SessionAttached,
    SessionAttachedResponse,
    SessionClosed,
    SessionDetached,
    Welcome,
    type_number,
)
from hpe.net.framing import PREFIX_BYTES, Chunk, encode_frame

_DECODERS: Final[dict[int, msgspec.msgpack.Decoder[Any]]] = {
    type_number(message): msgspec.msgpack.Decoder(message) for message in CONTROL
}


class ServiceFacts(Protocol):
    """What a session says about the service, and whether the service is stopping."""

    server: str
    durability: str
    draining: bool

    def server_info(self, request_id: int) -> ServerInfoReply:
        """Answer server_info."""


class State(Enum):
    """Where a session is; see the module's drawing."""

    NEW = auto()
    ATTACHING = auto()
    ATTACHED = auto()
    CLOSING = auto()
    ENDED = auto()


class Step(NamedTuple):
    """What the connection has to do: send `reply`, offer `run` to the core, `end` itself."""

    reply: bytes = b""
    run: Run | None = None
    end: bool = False


NOTHING: Final = Step()


def internal_run(message: Request) -> Run:
    """Make the run of one internal command."""
    return Run(SYSTEM_CONNECTION, 0, 0, 1, encode_frame(message))


def error_frame(request_id: int, code: ErrorCode, message: str = "") -> bytes:
    """Make the frame that refuses a request."""
    return frame(error_body(request_id, code, message))


class Session:
    """The protocol state of one connection.

    Args:
        connection: number of the connection, what replies are addressed to.
        take_attach_number: gives the next attach number and notes that this connection waits
            for its outcome.
        facts: about the service.
    """

    def __init__(
        self, connection: int, take_attach_number: Callable[[int], int], facts: ServiceFacts
    ) -> None:
        self.connection = connection
        self.state = State.NEW
        self.attach_number = 0
        self.session_id = 0
        self.window = 0
        self._take_attach_number = take_attach_number
        self._facts = facts
        # The id of the hello or logout that waits for the core.
        self._request_id = 0

    def requests(self, chunk: Chunk) -> Run | None:
        """Give the run of a chunk for the core; None when the session is not attached any more."""
        if self.state is not State.ATTACHED:
            return None
        admit = ErrorCode.SHUTTING_DOWN if self._facts.draining else 0
        return Run(self.connection, self.attach_number, admit, chunk.count, chunk.frames)

    def control(self, chunk: Chunk) -> Step:
        """Answer a control message, or whatever came before logon."""
        # Before logon a chunk may hold several frames; the first one decides.
        length = int.from_bytes(chunk.frames[:PREFIX_BYTES], "big")
        body = chunk.frames[PREFIX_BYTES : PREFIX_BYTES + length]
        if self.state is State.NEW and type_of(body) != type_number(Hello):
            return self._expected_hello(body)
        try:
            message = _decode(body)
        except Undecodable as fault:
            return self.refuse(fault.code, str(fault), fault.request_id)
        match message:
            case Hello():
                return self._hello(message)
            case Ping(request_id=request_id, token=token):
                return Step(encode_frame(Pong(request_id, 0, token)))
            case ServerInfo(request_id=request_id):
                return Step(encode_frame(self._facts.server_info(request_id)))
            case Logout():
                return self._logout(message)
            case _:
                raise InvariantViolation(f"control message {message!r} has no answer")

    def refuse(self, code: ErrorCode, message: str = "", request_id: int = 0) -> Step:
        """Answer an error; end the connection when the code is a fatal one.

        An attached session is not detached here: the connection calls `end` when it is through.
        """
        return Step(error_frame(request_id, code, message), end=ERROR_TRAITS[code].fatal)

    def attached(self, response: SessionAttachedResponse) -> Step:
        """Take the core's word on `hello`; it is durable."""
        if self.state is State.ENDED:
            # The client went away meanwhile; nobody else will tell the core.
            return NOTHING if response.error else Step(run=self._detach(response.session_id))
        assert self.state is State.ATTACHING
        if response.error:
            self.state = State.ENDED
            return self.refuse(ErrorCode(response.error), request_id=self._request_id)
        self.state = State.ATTACHED
        self.session_id, self.window = response.session_id, response.window
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
        )
        return Step(encode_frame(welcome))

    def closed(self) -> Step:
        """Take the core's word on `logout`; it is durable."""
        self.state = State.ENDED
        return Step(encode_frame(LoggedOut(self._request_id, 0)), end=True)

    def replaced(self) -> Step:
        """A newer connection took this session: say so; there is nothing to detach any more."""
        self.state = State.ENDED
        return self.refuse(ErrorCode.SESSION_REPLACED)

    def end(self) -> Run | None:
        """The client's input is over: give the run that detaches, if there is one.

        While the service stops nothing is detached: recovery does it, so that a clean stop and
        a crash look alike in the log.
        """
        state, self.state = self.state, State.ENDED
        if state is not State.ATTACHED or self._facts.draining:
            return None
        return self._detach(self.session_id)

    def _detach(self, session_id: int) -> Run:
        number = self.attach_number
        return internal_run(
            SessionDetached(number, session_id, number, DetachCause.CONNECTION_LOST)
        )

    def _expected_hello(self, body: bytes) -> Step:
        fault = diagnose(body, "")
        code = fault.code if ERROR_TRAITS[fault.code].fatal else ErrorCode.EXPECTED_HELLO
        text = str(fault) or f"the first message must be hello, found type {type_of(body)}"
        return self.refuse(code, text, fault.request_id)

    def _hello(self, hello: Hello) -> Step:
        if self.state is not State.NEW:
            return self.refuse(ErrorCode.ALREADY_LOGGED_ON, request_id=hello.request_id)
        if hello.version != PROTOCOL_VERSION:
            text = f"version {hello.version} asked for, {PROTOCOL_VERSION} is spoken here"
            return self.refuse(ErrorCode.UNSUPPORTED_VERSION, text, hello.request_id)
        if self._facts.draining:
            return self.refuse(ErrorCode.SHUTTING_DOWN, request_id=hello.request_id)
        self.state = State.ATTACHING
        self._request_id = hello.request_id
        self.attach_number = self._take_attach_number(self.connection)
        command = SessionAttached(self.attach_number, hello.session_id, hello.user, hello.window)
        return Step(run=internal_run(command))

    def _logout(self, logout: Logout) -> Step:
        if self._facts.draining:
            return self.refuse(ErrorCode.SHUTTING_DOWN, request_id=logout.request_id)
        self.state = State.CLOSING
        self._request_id = logout.request_id
        number = self.attach_number
        return Step(run=internal_run(SessionClosed(number, self.session_id, number)))


def _decode(body: bytes) -> Request:
    number = type_of(body)
    decoder = _DECODERS.get(number)
    if decoder is None:
        raise diagnose(body, f"type {number} is no control message")
    try:
        message: Request = decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        fault = diagnose(body, str(error))
        if fault.code is ErrorCode.UNKNOWN_TYPE:  # unknown to the core, known here
            fault.code = ErrorCode.BAD_FIELD
        raise fault from None
    return message
