"""What is answered while the log is stalled, and what only the core may answer."""

from __future__ import annotations

import msgspec
import pytest

from hpe.core.contract import Run
from hpe.net.logon import Authenticator, Grant
from hpe.net.session import SessionProtocol, State, error_frame
from hpe.net.stalled import refuse_orders
from hpe.protocol.base import Request
from hpe.protocol.codes import LOG_WAITS
from hpe.protocol.enums import Role
from hpe.protocol.frames import chunk_of, encode_frame
from hpe.protocol.internal import SessionAttachedResponse
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import CancelOrder, MassCancel, ReplaceOrder, SubmitOco, SubmitOrder
from tests.unit.net.test_session import Facts

LAST = 7
"""Highest request id that the session had at its welcome."""


def order(request_id: int, user: int = 0) -> SubmitOrder:
    return SubmitOrder(request_id, 1, 0, 1, 2, 1, 100, 1, user=user)


@pytest.fixture
def session() -> SessionProtocol:
    made = SessionProtocol(3, lambda number: number, Facts(), Authenticator(None))
    made.state = State.ATTACHING
    made.grant = Grant("", Role.TRADER, 8, 9)
    made.user = 8
    made.attached(SessionAttachedResponse(1, 0, 9, 0, 5, 100, LAST, 33))
    return made


def said(session: SessionProtocol, frames: bytes, count: int) -> Run:
    run = session.requests(chunk_of(frames))
    assert run is not None
    return run


def say(session: SessionProtocol, *requests: Request) -> tuple[list[int], list[bytes]]:
    """Return the ids that are refused, and the frames that are left for the core."""
    frames = [encode_frame(request) for request in requests]
    run = said(session, b"".join(frames), len(frames))
    answered, rest = refuse_orders(session, run)
    ids = [request.request_id for request in requests[: answered.count]]
    assert answered.frames == b"".join(error_frame(each, *LOG_WAITS) for each in ids)
    assert answered.size == len(b"".join(frames[: answered.count]))
    left = frames[answered.count :]
    expected = [Run(3, session.attach_number, 0, chunk_of(b"".join(left)))] if left else []
    assert rest == expected
    return ids, left


@pytest.mark.parametrize(
    "request_", [order(8), SubmitOco(8, 1, 2, 5, 110, 90), ReplaceOrder(8, 1, 0, 5)]
)
def test_new_orders_pairs_and_replaces_are_refused_at_once(
    session: SessionProtocol, request_: Request
) -> None:
    assert say(session, request_) == ([8], [])


@pytest.mark.parametrize(
    "request_", [CancelOrder(8, 1), MassCancel(8), Deposit(8, 1, 1), GetBalance(8, 1)]
)
def test_everything_else_is_the_core_s(session: SessionProtocol, request_: Request) -> None:
    assert say(session, request_)[0] == []


def test_an_id_that_the_session_had_at_its_welcome_is_the_core_s(session: SessionProtocol) -> None:
    for request_id in (1, LAST):
        assert say(session, order(request_id))[0] == []
    assert say(session, order(LAST + 1))[0] == [LAST + 1]


def test_an_id_that_is_not_above_all_that_were_sent_since_is_the_core_s(
    session: SessionProtocol,
) -> None:
    session.highest_id = 90
    assert say(session, order(90))[0] == []
    assert say(session, order(91), order(91))[0] == [91]
    assert say(session, order(91))[0] == [], "also one that was refused here"
    assert say(session, order(92), order(93))[0] == [92, 93]


def test_the_first_that_is_the_core_s_keeps_all_behind_it(session: SessionProtocol) -> None:
    requests = [order(8), order(9), CancelOrder(10, 1), order(11)]
    ids, left = say(session, *requests)
    assert ids == [8, 9]
    assert left == [encode_frame(request) for request in requests[2:]]


def test_what_the_core_would_refuse_for_another_reason_is_its_own(session: SessionProtocol) -> None:
    assert say(session, order(8, user=12))[0] == [], "not authorized"
    bad = msgspec.structs.replace(order(9), quantity=-1)
    assert say(session, bad)[0] == [], "a bad field"
    body = encode_frame(order(10))[4:] + b"\x00"
    run = said(session, len(body).to_bytes(4, "big") + body, 1)
    assert refuse_orders(session, run)[0].count == 0, "trailing bytes"
