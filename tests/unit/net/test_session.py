"""The session's states and answers, without sockets."""

from __future__ import annotations

import msgspec
import pytest

from hpe.access.keys import Key, KeyEntry, Scheme
from hpe.access.proofs import new_nonce, prove
from hpe.core.contract import SYSTEM_CONNECTION, Run
from hpe.net.logon import OTHER_REQUEST, UNKNOWN_KEY, WRONG_PROOF, WRONG_USER, Authenticator
from hpe.net.session import NOTHING, SessionProtocol, State, Step
from hpe.protocol.base import Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import (
    Challenge,
    Error,
    Heartbeat,
    Hello,
    LoggedOut,
    Logon,
    Logout,
    Ping,
    Pong,
    ServerInfoReply,
    Welcome,
)
from hpe.protocol.enums import DetachCause, Role
from hpe.protocol.flags import LOGOUT_KEEP_ORDERS
from hpe.protocol.frames import chunk_of, encode_frame
from hpe.protocol.internal import (
    SessionAttached,
    SessionAttachedResponse,
    SessionClosed,
    SessionDetached,
)
from hpe.protocol.market_data import Unsubscribe
from hpe.protocol.money import Deposit
from hpe.protocol.reports import SubscribePrivate, UnsubscribePrivate

Answer = Welcome | Pong | LoggedOut | Error | ServerInfoReply | Challenge
ANSWERS = msgspec.msgpack.Decoder(Answer)
INTERNAL = msgspec.msgpack.Decoder(SessionAttached | SessionDetached | SessionClosed)
ORDERS = chunk_of(encode_frame(Deposit(8, 1, 5)) + encode_frame(Deposit(9, 1, 5)))
ATTACHED = SessionAttachedResponse(41, 0, 9, 0, 5, 100, 7, 33)


class Facts:
    server = "hpe test"
    durability = "batch"
    epoch = 4
    draining = False

    def server_info(self, request_id: int) -> ServerInfoReply:
        return ServerInfoReply(request_id, 0, self.server, "ready", "python", "batch", 3, 1, {})


class DrivenSession:
    """A session and what it is given."""

    def __init__(self, keys: dict[str, KeyEntry] | None = None) -> None:
        self.facts = Facts()
        self.authenticator = Authenticator(keys)
        self.session = SessionProtocol(
            3, lambda number: 38 + number, self.facts, self.authenticator
        )

    def say(self, request: Request) -> Step:
        return self.session.control(chunk_of(encode_frame(request)))

    def attach(self) -> None:
        self.say(Hello(1, 1, 8))
        self.session.attached(ATTACHED)
        assert self.session.state is State.ATTACHED


@pytest.fixture
def desk() -> DrivenSession:
    return DrivenSession()


def answer(step: Step) -> Answer:
    return ANSWERS.decode(step.reply[4:])


def command(step: Step) -> SessionAttached | SessionDetached | SessionClosed:
    assert step.run is not None
    assert step.run.connection == SYSTEM_CONNECTION
    return INTERNAL.decode(step.run.chunk.frames[4:])


def test_hello_becomes_an_attachment_and_its_outcome_the_welcome(desk: DrivenSession) -> None:
    step = desk.say(Hello(6, 1, 8, 5, 100))
    assert command(step) == SessionAttached(41, 5, 8, 100)
    assert (step.reply, step.end, desk.session.state) == (b"", False, State.ATTACHING)
    assert answer(desk.session.attached(ATTACHED)) == Welcome(
        6, 0, 1, 5, 100, 7, 9, "batch", "hpe test", 2_048, 1_048_576, Role.ANONYMOUS, 15_000, 33,
        epoch=4,
    )  # fmt: skip
    run = desk.session.requests(ORDERS)
    assert run == Run(3, 41, 0, ORDERS)


def test_a_refused_attachment_ends_the_connection_and_detaches_nothing(desk: DrivenSession) -> None:
    desk.say(Hello(6, 1, 8, 5))
    step = desk.session.attached(SessionAttachedResponse(41, 0, 9, 203, 5, 0, 0, 0))
    refusal = answer(step)
    assert isinstance(refusal, Error)
    assert (refusal.request_id, refusal.name, step.end) == (6, "unknown_session", True)
    assert desk.session.end() is None


@pytest.mark.parametrize("request_", [Ping(1), Logout(1)])
def test_nothing_comes_before_hello(desk: DrivenSession, request_: Request) -> None:
    step = desk.say(request_)
    refusal = answer(step)
    assert isinstance(refusal, Error)
    assert (refusal.code, refusal.fatal, step.end) == (ErrorCode.EXPECTED_HELLO, True, True)
    assert desk.session.requests(ORDERS) is None


def test_a_second_hello_is_refused_and_changes_nothing(desk: DrivenSession) -> None:
    desk.attach()
    step = desk.say(Hello(2, 1, 9))
    refusal = answer(step)
    assert isinstance(refusal, Error)
    assert (refusal.code, step.end, step.run) == (ErrorCode.ALREADY_LOGGED_ON, False, None)
    assert desk.session.state is State.ATTACHED


def test_the_end_of_input_detaches_once(desk: DrivenSession) -> None:
    desk.attach()
    run = desk.session.end()
    assert command(Step(run=run)) == SessionDetached(41, 5, 41, DetachCause.CONNECTION_LOST)
    assert desk.session.end() is None


def test_a_client_that_left_while_attaching_is_detached_afterwards(desk: DrivenSession) -> None:
    desk.say(Hello(1, 1, 8))
    assert desk.session.end() is None
    step = desk.session.attached(ATTACHED)
    assert command(step) == SessionDetached(41, 5, 41, DetachCause.CONNECTION_LOST)
    assert step.reply == b""


def test_a_client_that_left_before_its_refusal_needs_nothing(desk: DrivenSession) -> None:
    desk.say(Hello(1, 1, 8))
    desk.session.end()
    assert desk.session.attached(SessionAttachedResponse(41, 0, 9, 203, 5, 0, 0, 0)) is NOTHING


def test_logout_closes_when_durable_and_detaches_nothing(desk: DrivenSession) -> None:
    desk.attach()
    step = desk.say(Logout(12))
    assert command(step) == SessionClosed(41, 5, 41)
    assert (step.reply, step.end, desk.session.state) == (b"", False, State.CLOSING)
    assert desk.session.end() is None
    last = desk.session.closed()
    assert (answer(last), last.end) == (LoggedOut(12, 0), True)


def test_a_logout_may_keep_the_orders(desk: DrivenSession) -> None:
    desk.attach()
    assert command(desk.say(Logout(12, LOGOUT_KEEP_ORDERS))) == SessionClosed(41, 5, 41, 1)


def test_a_connection_that_the_core_cut_is_not_detached_again(desk: DrivenSession) -> None:
    desk.attach()
    assert desk.session.cut() == Step(end=True)
    assert desk.session.end() is None
    assert desk.session.requests(ORDERS) is None


def test_a_client_that_left_while_attaching_is_left_to_recovery_in_a_stop(
    desk: DrivenSession,
) -> None:
    desk.say(Hello(1, 1, 8))
    desk.session.end()
    desk.facts.draining = True
    assert desk.session.attached(ATTACHED) is NOTHING


def test_a_replaced_session_is_notified_and_detaches_nothing(desk: DrivenSession) -> None:
    desk.attach()
    step = desk.session.replaced()
    refusal = answer(step)
    assert isinstance(refusal, Error)
    assert (refusal.name, step.end) == ("session_replaced", True)
    assert desk.session.end() is None
    assert desk.session.requests(ORDERS) is None


def test_while_draining_nothing_begins_and_nothing_is_detached(desk: DrivenSession) -> None:
    desk.attach()
    desk.facts.draining = True
    run = desk.session.requests(ORDERS)
    assert run is not None
    assert run.admit == ErrorCode.SHUTTING_DOWN
    refusal = answer(desk.say(Logout(3)))
    assert isinstance(refusal, Error)
    assert (refusal.request_id, refusal.name) == (3, "shutting_down")
    assert desk.session.end() is None
    late = DrivenSession()
    late.facts.draining = True
    refusal = answer(late.say(Hello(1, 1, 8)))
    assert isinstance(refusal, Error)
    assert (refusal.name, refusal.retryable) == ("shutting_down", True)


def test_ping_is_answered_with_its_token(desk: DrivenSession) -> None:
    desk.attach()
    assert answer(desk.say(Ping(9, 77))) == Pong(9, 0, 77)


def test_a_command_never_reaches_control(desk: DrivenSession) -> None:
    desk.attach()
    refusal = answer(desk.say(Deposit(1, 1, 1)))
    assert isinstance(refusal, Error)
    assert refusal.code == ErrorCode.UNKNOWN_TYPE


# --- keys ---------------------------------------------------------------------------------------

SECRET = bytes(range(32))
KEY = Key("desk-1", SECRET)


def keys(role: Role, *users: int) -> dict[str, KeyEntry]:
    return {"desk-1": KeyEntry("desk-1", Scheme.HMAC_SHA256, role, users, SECRET)}


def logon(desk: DrivenSession, hello: Hello, key: Key = KEY) -> Step:
    """Say hello and prove the key."""
    challenge = answer(desk.say(hello))
    assert isinstance(challenge, Challenge)
    assert challenge.request_id == hello.request_id
    assert desk.session.state is State.CHALLENGED
    nonce = new_nonce()
    proof = prove(key, challenge.nonce, nonce, encode_frame(hello)[4:])
    return desk.say(Logon(hello.request_id, nonce, proof))


@pytest.mark.parametrize(
    ("role", "users", "granted"),
    [
        (Role.TRADER, (7, 8), (8, 8)),
        (Role.GATEWAY, (5, 9), (5, 9)),
        (Role.OPERATOR, (), (1, 2**63 - 1)),
        (Role.MARKET_DATA, (), (8, 8)),
    ],
)
def test_a_proven_key_becomes_the_attachment_with_its_role_and_users(
    role: Role, users: tuple[int, ...], granted: tuple[int, int]
) -> None:
    desk = DrivenSession(keys(role, *users))
    step = logon(desk, Hello(6, 1, 8, 0, 10, "x", 1, 500, 350, "desk-1"))
    key = desk.session.grant.key_number
    assert command(step) == SessionAttached(41, 0, 8, 10, role, *granted, 1, 500, key)
    welcome = answer(desk.session.attached(ATTACHED))
    assert isinstance(welcome, Welcome)
    assert (welcome.request_id, welcome.role, welcome.heartbeat_ms) == (6, role, 350)


@pytest.mark.parametrize(
    "hello",
    [
        Hello(6, 1, 8, key_id="desk-2"),  # unknown
        Hello(6, 1, 8),  # none named
    ],
)
def test_a_wrong_proof_is_refused_whatever_the_reason(hello: Hello) -> None:
    desk = DrivenSession(keys(Role.TRADER, 8))
    step = logon(desk, hello)
    refusal = answer(step)
    assert isinstance(refusal, Error)
    assert (refusal.request_id, refusal.name) == (6, "authentication_failed")
    assert refusal.message == "unknown key, or a wrong proof of it"
    assert (step.end, step.run, step.refusal) == (True, None, UNKNOWN_KEY)


def test_a_proven_key_learns_that_the_user_is_not_its_own() -> None:
    desk = DrivenSession(keys(Role.TRADER, 8))
    step = logon(desk, Hello(6, 1, 9, key_id="desk-1"))
    assert answer(step) == Error(
        6, 0, 209, "user_not_allowed", "the key may not act for this user", False, True, False
    )
    assert (step.end, step.run, step.refusal) == (True, None, WRONG_USER)
    step = logon(
        DrivenSession(keys(Role.TRADER, 8)),
        Hello(6, 1, 9, key_id="desk-1"),
        Key("desk-1", bytes(32)),
    )
    assert step.refusal == WRONG_PROOF


def test_a_proof_for_another_hello_or_request_is_no_proof() -> None:
    for said, proven, number in ((7, 8, 6), (8, 8, 5)):
        desk = DrivenSession(keys(Role.TRADER, 7, 8))
        challenge = answer(desk.say(Hello(6, 1, said, key_id="desk-1")))
        assert isinstance(challenge, Challenge)
        nonce = new_nonce()
        body = encode_frame(Hello(6, 1, proven, key_id="desk-1"))[4:]
        step = desk.say(Logon(number, nonce, prove(KEY, challenge.nonce, nonce, body)))
        refusal = answer(step)
        assert isinstance(refusal, Error)
        assert refusal.name == "authentication_failed"
        assert step.refusal == (WRONG_PROOF if number == 6 else OTHER_REQUEST)
        assert step.run is None


@pytest.mark.parametrize("request_", [Ping(1), Hello(2, 1, 8), Logout(1)])
def test_nothing_but_a_logon_comes_after_a_challenge(request_: Request) -> None:
    desk = DrivenSession(keys(Role.TRADER, 8))
    desk.say(Hello(6, 1, 8, key_id="desk-1"))
    step = desk.say(request_)
    refusal = answer(step)
    assert isinstance(refusal, Error)
    assert (refusal.name, step.end, step.run) == ("expected_hello", True, None)


def test_a_proof_is_good_for_one_challenge() -> None:
    desk = DrivenSession(keys(Role.TRADER, 8))
    hello = Hello(6, 1, 8, key_id="desk-1")
    desk.facts.draining = False
    challenge = answer(desk.say(hello))
    assert isinstance(challenge, Challenge)
    nonce = new_nonce()
    proof = prove(KEY, challenge.nonce, nonce, encode_frame(hello)[4:])
    desk.facts.draining = True
    refusal = answer(desk.say(Logon(6, nonce, proof)))
    assert isinstance(refusal, Error)
    assert refusal.name == "shutting_down"
    desk.facts.draining = False
    again = answer(desk.say(Logon(6, nonce, proof)))
    assert isinstance(again, Error)
    assert again.name == "expected_hello"


def test_a_revoked_key_ends_its_session_also_while_it_attaches() -> None:
    desk = DrivenSession(keys(Role.TRADER, 8))
    logon(desk, Hello(6, 1, 8, key_id="desk-1"))
    assert desk.session.revoke(gone=False) is NOTHING
    step = desk.session.attached(ATTACHED)
    refusal = answer(step)
    assert isinstance(refusal, Error)
    assert (refusal.name, step.end) == ("key_revoked", True)
    assert command(Step(run=desk.session.end())) == SessionDetached(
        41, 5, 41, DetachCause.CONNECTION_LOST
    )
    other = DrivenSession(keys(Role.TRADER, 8))
    logon(other, Hello(6, 1, 8, key_id="desk-1"))
    other.session.attached(ATTACHED)
    assert other.session.revoke(gone=True).end
    assert command(Step(run=other.session.end())) == SessionClosed(41, 5, 41)
    assert other.session.closed() is NOTHING, "nobody asked for it"


@pytest.mark.parametrize(
    ("limit", "words"), [(1, "all sessions"), (2, "this key"), (3, "operators")]
)
def test_a_refusal_for_room_says_whose_limit_it_was(
    desk: DrivenSession, limit: int, words: str
) -> None:
    desk.say(Hello(6, 1, 8))
    refused = SessionAttachedResponse(41, 0, 9, ErrorCode.TOO_MANY_SESSIONS, 0, 0, 0, 0, limit)
    refusal = answer(desk.session.attached(refused))
    assert isinstance(refusal, Error)
    assert refusal.name == "too_many_sessions"
    assert words in refusal.message


# --- heartbeats and streams -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "agreed_s"), [(0, 15.0), (1, 0.3), (300, 0.3), (301, 0.301), (60_000, 60.0)]
)
def test_the_heartbeat_is_what_was_asked_for_within_bounds(
    desk: DrivenSession, asked: int, agreed_s: float
) -> None:
    desk.say(Hello(6, 1, 8, heartbeat_ms=asked))
    assert desk.session.heartbeat_s == agreed_s


def test_a_heartbeat_is_not_answered(desk: DrivenSession) -> None:
    desk.attach()
    assert desk.say(Heartbeat(9)) is NOTHING


@pytest.mark.parametrize(
    "request_", [Unsubscribe(2, 1, 1), SubscribePrivate(2), UnsubscribePrivate(2, 77)]
)
def test_stream_requests_are_left_to_the_connection(desk: DrivenSession, request_: Request) -> None:
    desk.attach()
    assert desk.say(request_) == Step(stream=request_)  # type: ignore[arg-type]  # one of the three


@pytest.mark.parametrize(
    ("role", "users", "user", "allowed"),
    [
        (Role.TRADER, (8,), 0, True),
        (Role.TRADER, (8,), 8, True),
        (Role.TRADER, (7, 8), 7, False),
        (Role.GATEWAY, (5, 9), 9, True),
        (Role.GATEWAY, (5, 9), 10, False),
        (Role.MARKET_DATA, (), 0, False),
        (Role.OPERATOR, (), 77, True),
    ],
)
def test_a_private_stream_needs_permission(
    role: Role, users: tuple[int, ...], user: int, allowed: bool
) -> None:
    desk = DrivenSession(keys(role, *users))
    logon(desk, Hello(1, 1, 8, key_id="desk-1"))
    desk.session.attached(ATTACHED)
    step = desk.say(SubscribePrivate(2, None, user))
    if allowed:
        assert step.stream is not None
    else:
        refusal = answer(step)
        assert isinstance(refusal, Error)
        assert (refusal.request_id, refusal.name, step.end) == (2, "not_authorized", False)


def test_a_session_that_ends_answers_nothing_more(desk: DrivenSession) -> None:
    desk.attach()
    desk.session.replaced()
    assert desk.say(Ping(9)) is NOTHING
