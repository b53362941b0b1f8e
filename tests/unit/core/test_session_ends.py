"""How sessions end, and that no order stays alive that its session promised to cancel."""

import pytest

from hpe.messages import (
    LOGOUT_KEEP_ORDERS,
    ORDER_CANCEL_ON_DISCONNECT,
    CancelReason,
    Deposit,
    DetachCause,
    ErrorCode,
    ListOrders,
    OrderReport,
    OrdersReply,
    Side,
)
from tests.support.core_parts import place

MS = 1_000_000
GONE = CancelReason.DISCONNECTED


def with_grace(client, grace_ms, flags=1, session_id=0):
    return client.venue.attach(1, session_id, flags=flags, grace_ms=grace_ms)


def resting(client, user=1):
    """Give the ids of a user's open orders."""
    rows = client.get(OrdersReply, ListOrders(client.next_query_id(), user=user)).rows
    return [row.order_id for row in rows]


def ended(venue, user=1):
    """Give (order id, reason) of a user's orders that were canceled, as they were reported."""
    told = [r for r in venue.private.get(user, []) if isinstance(r, OrderReport)]
    return [(report.order_id, report.reason) for report in told if report.exec_type == 4]


def rows_of(venue, kind):
    """Give the rows of one kind in the dump."""
    marker = bytes([0xA0 + len(kind)]) + kind.encode()
    return [chunk for chunk in venue.core.dump() if chunk[1:].startswith(marker)]


# --- logout -------------------------------------------------------------------------------------


@pytest.mark.parametrize("grace_ms", [0, 5])
def test_a_logout_cancels_what_a_lost_connection_would(client, other, grace_ms):
    session = with_grace(client, grace_ms, flags=0)
    kept = session.submit(Side.BUY, 100, 5)
    bound = place(session, Side.BUY, 99, 5, flags=ORDER_CANCEL_ON_DISCONNECT)
    session.log_out()
    assert ended(client.venue) == [(bound.order_id, GONE)], "at once, whatever the grace"
    assert client.venue.private[1][-1].sequence == client.venue.core.last_sequence
    assert resting(client) == [kept.order_id]
    client.venue.check()


def test_a_logout_may_leave_the_orders(client, other):
    session = with_grace(client, 5)
    order = session.submit(Side.BUY, 100, 5)
    session.log_out(LOGOUT_KEEP_ORDERS)
    client.venue.pass_time(50 * MS)
    assert ended(client.venue) == []
    assert resting(client) == [order.order_id]
    assert client.venue.try_attach(1, session.session_id).error == ErrorCode.UNKNOWN_SESSION
    client.venue.check()


def test_a_logout_that_is_late_ends_nothing(client, other):
    session = with_grace(client, 0)
    order = session.submit(Side.BUY, 100, 5)
    with_grace(client, 0, session_id=session.session_id)
    session.log_out()
    assert resting(client) == [order.order_id]
    client.venue.check()


@pytest.mark.parametrize("flags", [0, LOGOUT_KEEP_ORDERS])
def test_a_logout_stops_no_end_that_has_begun(client, other, flags):
    """More orders than end at one go: the session comes back in between and is logged out."""
    session = with_grace(client, 0)
    ids = [session.submit(Side.BUY, 1, 1).order_id for _ in range(700)]
    session.detach()
    again = with_grace(client, 0, session_id=session.session_id)
    assert len(ended(client.venue)) < len(ids)
    again.log_out(flags)
    for _ in range(3):
        client.venue.pass_time(1)
    assert ended(client.venue) == [(order_id, GONE) for order_id in ids]
    assert resting(client) == []
    client.venue.check()


# --- bytes that are no protocol -----------------------------------------------------------------


NO_MESSAGE = b"\x00\x00\x00\x01\xc1"


@pytest.mark.parametrize("grace_ms", [0, 5])
def test_bytes_that_are_no_protocol_detach_in_their_place(client, other, grace_ms):
    venue = client.venue
    session = with_grace(client, grace_ms)
    order = session.submit(Side.BUY, 100, 5)
    before = venue.core.last_sequence
    output = venue.apply(session.run_of(NO_MESSAGE), client.run(Deposit(client.next_id(), 1, 1)))
    assert [reply.code for reply in session.replies(output)] == [ErrorCode.BAD_MESSAGEPACK]
    assert output.cut == [session.attach_number]
    assert venue.core.last_sequence == before + 2, "the detachment, then what others sent"
    venue.pass_time(grace_ms * MS + 1)
    assert ended(venue) == [(order.order_id, GONE)]
    venue.check()


def test_what_came_before_such_bytes_is_executed_and_what_is_behind_them_is_not(client):
    venue = client.venue
    session = with_grace(client, 0)
    good = session.run(Deposit(session.next_id(), 1, 1)).frames
    late = session.run(Deposit(session.next_id(), 1, 1)).frames
    balance = client.money(1)[0]
    output = venue.apply(session.run_of(good + NO_MESSAGE + late), session.run_of(late))
    assert len(session.replies(output)) == 2
    assert client.money(1)[0] == balance + 1
    assert (session.session_id, session.attach_number) not in venue.core.attached_sessions()
    venue.check()


def test_a_refused_logon_leaves_the_connection_that_was_cut_cut(client):
    """What decides about its frames is in the state: a core that loads it decides the same."""
    venue = client.venue
    session = with_grace(client, 0)
    venue.apply(session.run_of(NO_MESSAGE))
    assert venue.try_attach(2, session.session_id).error == ErrorCode.UNKNOWN_SESSION
    for core in (venue.core, venue.replayed(), venue.restored()):
        venue.core = core
        assert session.send(Deposit(1, 1, 1)) == []
    venue.check()


def test_the_cause_is_said_in_the_log(client):
    venue = client.venue
    session = with_grace(client, 0)
    venue.apply(session.run_of(NO_MESSAGE))
    number = session.attach_number
    cause = DetachCause.PROTOCOL_ERROR
    detached = [113, number, session.session_id, number, int(cause)]
    assert bytes([0x95, *detached]) in venue.bodies[-1]


def test_such_bytes_of_a_connection_that_was_replaced_do_nothing(client):
    venue = client.venue
    session = with_grace(client, 0)
    again = with_grace(client, 0, session_id=session.session_id)
    output = venue.apply(session.run_of(NO_MESSAGE))
    assert (output.body, output.replies) == (b"", [])
    assert again.send(Deposit(1, 1, 1)) != []
    venue.check()
