"""The session's states and answers, without sockets."""

from __future__ import annotations

import msgspec
import pytest

from hpe.core.core import SYSTEM_CONNECTION
from hpe.messages import (
    Deposit,
    DetachCause,
    Error,
    ErrorCode,
    Hello,
    LoggedOut,
    Logout,
    Ping,
    Pong,
    Request,
    ServerInfoReply,
    SessionAttached,
    SessionAttachedResponse,
    SessionClosed,
    SessionDetached,
    Welcome,
)
from hpe.net.framing import Chunk, encode_frame
from hpe.net.session import NOTHING, Session, State, Step

ANSWERS = msgspec.msgpack.Decoder(Welcome | Pong | LoggedOut | Error | ServerInfoReply)
INTERNAL = msgspec.msgpack.Decoder(SessionAttached | SessionDetached | SessionClosed)
ATTACHED = SessionAttachedResponse(41, 0, 9, 0, 5, 100, 7)


class Facts:
    server = "hpe test"
    durability = "batch"
    draining = False

    def server_info(self, request_id: int) -> ServerInfoReply:
        return ServerInfoReply(request_id, 0, self.server, "ready", "python", "batch", 3, 1, {})


class Desk:
    """A session and what it is given."""

    def __init__(self) -> None:
        self.facts = Facts()
        self.session = Session(3, lambda connection: 38 + connection, self.facts)

    def say(self, request: Request) -> Step:
        return self.session.control(Chunk(True, 1, encode_frame(request)))

    def attach(self) -> None:
        self.say(Hello(1, 1, 8))
        self.session.attached(ATTACHED)
        assert self.session.state is State.ATTACHED


@pytest.fixture
def desk() -> Desk:
    return Desk()


def answer(step: Step) -> Welcome | Pong | LoggedOut | Error | ServerInfoReply:
    return ANSWERS.decode(step.reply[4:])


def command(step: Step) -> SessionAttached | SessionDetached | SessionClosed:
    assert step.run is not None
    assert step.run.connection == SYSTEM_CONNECTION
    return INTERNAL.decode(step.run.frames[4:])


def test_hello_becomes_an_attachment_and_its_outcome_the_welcome(desk: Desk) -> None:
    step = desk.say(Hello(6, 1, 8, 5, 100))
    assert command(step) == SessionAttached(41, 5, 8, 100)
    assert (step.reply, step.end, desk.session.state) == (b"", False, State.ATTACHING)
    assert answer(desk.session.attached(ATTACHED)) == Welcome(
        6, 0, 1, 5, 100, 7, 9, "batch", "hpe test", 2_048, 1_048_576
    )
    run = desk.session.requests(Chunk(False, 2, b"frames"))
    assert run == (3, 41, 0, 2, b"frames")


def test_a_refused_attachment_ends_the_connection_and_detaches_nothing(desk: Desk) -> None:
    desk.say(Hello(6, 1, 8, 5))
    step = desk.session.attached(SessionAttachedResponse(41, 0, 9, 203, 5, 0, 0))
    refusal = answer(step)
    assert isinstance(refusal, Error)
    assert (refusal.request_id, refusal.name, step.end) == (6, "unknown_session", True)
    assert desk.session.end() is None


@pytest.mark.parametrize("request_", [Ping(1), Logout(1)])
def test_nothing_comes_before_hello(desk: Desk, request_: Request) -> None:
    step = desk.say(request_)
    refusal = answer(step)
    assert isinstance(refusal, Error)
    assert (refusal.code, refusal.fatal, step.end) == (ErrorCode.EXPECTED_HELLO, True, True)
    assert desk.session.requests(Chunk(False, 1, b"frame")) is None


def test_a_second_hello_is_refused_and_changes_nothing(desk: Desk) -> None:
    desk.attach()
    step = desk.say(Hello(2, 1, 9))
    refusal = answer(step)
    assert isinstance(refusal, Error)
    assert (refusal.code, step.end, step.run) == (ErrorCode.ALREADY_LOGGED_ON, False, None)
    assert desk.session.state is State.ATTACHED


def test_the_end_of_input_detaches_once(desk: Desk) -> None:
    desk.attach()
    run = desk.session.end()
    assert command(Step(run=run)) == SessionDetached(41, 5, 41, DetachCause.CONNECTION_LOST)
    assert desk.session.end() is None


def test_a_client_that_left_while_attaching_is_detached_afterwards(desk: Desk) -> None:
    desk.say(Hello(1, 1, 8))
    assert desk.session.end() is None
    step = desk.session.attached(ATTACHED)
    assert command(step) == SessionDetached(41, 5, 41, DetachCause.CONNECTION_LOST)
    assert step.reply == b""


def test_a_client_that_left_before_its_refusal_needs_nothing(desk: Desk) -> None:
    desk.say(Hello(1, 1, 8))
    desk.session.end()
    assert desk.session.attached(SessionAttachedResponse(41, 0, 9, 203, 5, 0, 0)) is NOTHING


def test_logout_closes_when_durable_and_detaches_nothing(desk: Desk) -> None:
    desk.attach()
    step = desk.say(Logout(12))
    assert command(step) == SessionClosed(41, 5, 41)
    assert (step.reply, step.end, desk.session.state) == (b"", False, State.CLOSING)
    assert desk.session.end() is None
    last = desk.session.closed()
    assert (answer(last), last.end) == (LoggedOut(12, 0), True)


def test_a_replaced_session_is_told_so_and_detaches_nothing(desk: Desk) -> None:
    desk.attach()
    step = desk.session.replaced()
    refusal = answer(step)
    assert isinstance(refusal, Error)
    assert (refusal.name, step.end) == ("session_replaced", True)
    assert desk.session.end() is None
    assert desk.session.requests(Chunk(False, 1, b"frame")) is None


def test_while_draining_nothing_begins_and_nothing_is_detached(desk: Desk) -> None:
    desk.attach()
    desk.facts.draining = True
    run = desk.session.requests(Chunk(False, 1, b"frame"))
    assert run is not None
    assert run.admit == ErrorCode.SHUTTING_DOWN
    refusal = answer(desk.say(Logout(3)))
    assert isinstance(refusal, Error)
    assert (refusal.request_id, refusal.name) == (3, "shutting_down")
    assert desk.session.end() is None
    late = Desk()
    late.facts.draining = True
    refusal = answer(late.say(Hello(1, 1, 8)))
    assert isinstance(refusal, Error)
    assert (refusal.name, refusal.retryable) == ("shutting_down", True)


def test_ping_is_answered_with_its_token(desk: Desk) -> None:
    desk.attach()
    assert answer(desk.say(Ping(9, 77))) == Pong(9, 0, 77)


def test_a_command_never_reaches_control(desk: Desk) -> None:
    desk.attach()
    refusal = answer(desk.say(Deposit(1, 1, 1)))
    assert isinstance(refusal, Error)
    assert refusal.code == ErrorCode.BAD_FIELD
