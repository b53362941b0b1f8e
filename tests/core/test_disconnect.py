"""Cancel on disconnect: which orders end with a lost connection, when, in which order, and why."""

import pytest

from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import (
    DetachCause,
    ExecType,
    InstrumentStatus,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from hpe.protocol.flags import LOGOUT_KEEP_ORDERS, ORDER_CANCEL_ON_DISCONNECT, ORDER_POST_ONLY
from hpe.protocol.internal import SessionDetached
from hpe.protocol.operations import SetStatus, Uncross
from hpe.protocol.orders import (
    GetOrder,
    ListOrders,
    OcoResponse,
    OrderReply,
    OrdersReply,
    SubmitOco,
    SubmitOrder,
)
from tests.support.core_parts import place

MS = 1_000_000
DAY_MS = 86_400_000
BIT = ORDER_CANCEL_ON_DISCONNECT
LIMIT, STOP, GTC, GTD = OrderType.LIMIT, OrderType.STOP, TimeInForce.GTC, TimeInForce.GTD


@pytest.fixture
def trader(client, other):
    """Return user 1 in a session of which every order ends with the connection at once."""
    return client.venue.attach(1, flags=1)


def with_grace(client, grace_ms, flags=1):
    return client.venue.attach(1, flags=flags, grace_ms=grace_ms)


def resting(client, user=1):
    """Return the ids of a user's open orders."""
    rows = client.get(OrdersReply, ListOrders(client.next_query_id(), user=user)).rows
    return [row.order_id for row in rows]


def ended(venue, user=1):
    """Return (order id, reason) of a user's orders that ended, in the order of the reports."""
    told = [r for r in venue.private.get(user, []) if getattr(r, "exec_type", 0) == 4]
    return [(report.order_id, report.reason) for report in told]


GONE = CancelReason.DISCONNECTED

# --- which orders -------------------------------------------------------------------------------


def test_all_orders_of_such_a_session_end_with_it(trader, client):
    ids = [trader.submit(Side.BUY, 100 - n, 5).order_id for n in range(3)]
    kept = client.submit(Side.BUY, 50, 5).order_id
    trader.detach()
    assert ended(client.venue) == [(order_id, GONE) for order_id in ids]
    assert resting(client) == [kept]
    client.venue.check()


def test_the_reports_of_it(trader, client):
    venue = client.venue
    order = trader.submit(Side.BUY, 100, 5, client_order_id=8)
    sequence = venue.core.last_sequence
    trader.detach()
    report = venue.private[1][-1]
    assert report.sequence == sequence + 1, "that of the detachment"
    assert (report.exec_type, report.status, report.reason) == (ExecType.CANCELED, 4, GONE)
    assert (report.order_id, report.client_order_id) == (order.order_id, 8)
    assert (report.leaves, report.canceled, report.request_id) == (0, 5, 0)
    assert (report.sequence, report.time_ns) == (venue.core.last_sequence, venue.time_ns)
    balance = venue.balances[1][-1]
    assert (balance.asset, balance.reserved, balance.sequence) == (2, 0, report.sequence)


def test_an_order_may_ask_for_it_alone(client, other):
    session = with_grace(client, 0, flags=0)
    kept = session.submit(Side.BUY, 100, 5)
    bound = place(session, Side.BUY, 99, 5, flags=BIT)
    session.detach()
    assert ended(client.venue) == [(bound.order_id, GONE)]
    assert resting(client) == [kept.order_id]


@pytest.mark.parametrize(
    ("kind", "price", "flags", "terms"),
    [
        (LIMIT, 100, 0, {}),
        (LIMIT, 100, ORDER_POST_ONLY, {}),
        (LIMIT, 100, 0, {"display_quantity": 2}),
        (OrderType.STOP_LIMIT, 100, 0, {"stop_price": 90}),
        (STOP, 0, 0, {"stop_price": 90}),
    ],
)
@pytest.mark.parametrize("by_session", [False, True])
def test_every_order_that_rests_or_waits_can(client, other, kind, price, flags, terms, by_session):
    session = with_grace(client, 0, flags=int(by_session))
    bit = 0 if by_session else BIT
    order = place(session, Side.SELL, price, 5, kind, GTC, flags=flags | bit, **terms)
    row = session.get(OrderReply, GetOrder(session.next_query_id(), order.order_id)).order
    assert row.flags == flags | BIT
    session.detach()
    assert ended(client.venue) == [(order.order_id, GONE)]
    client.venue.check()


@pytest.mark.parametrize("kind", [OrderType.MARKET, LIMIT])
def test_the_bit_does_no_harm_to_what_never_rests(client, other, kind):
    other.submit(Side.SELL, 100, 5)
    price = 100 if kind is LIMIT else 0
    order = place(client, Side.BUY, price, 5, kind, TimeInForce.IOC, flags=BIT)
    assert (order.reason, order.cum) == (0, 5)


def test_a_partly_filled_order_ends_with_its_fills(trader, client, other):
    order = trader.submit(Side.BUY, 100, 5)
    other.submit(Side.SELL, 100, 2)
    trader.detach()
    row = client.get(OrderReply, GetOrder(1, order.order_id)).order
    assert (row.cum, row.canceled, row.leaves, row.reason) == (2, 3, 0, GONE)


def test_a_fired_stop_still_belongs_to_its_session(trader, client, other):
    stop = place(trader, Side.SELL, 110, 5, OrderType.STOP_LIMIT, stop_price=100)
    other.submit(Side.BUY, 100, 1)
    client.submit(Side.SELL, 100, 1)
    assert trader.book().asks == [(110, 5, 1)]
    trader.detach()
    assert ended(client.venue) == [(stop.order_id, GONE)]
    assert client.book().asks == []


def test_both_legs_of_a_pair_end_alike(trader, client):
    pair = trader.get(OcoResponse, SubmitOco(trader.next_id(), 1, Side.SELL, 5, 120, 80))
    trader.detach()
    legs = [pair.limit_order_id, pair.stop_order_id]
    assert ended(client.venue) == [(order_id, GONE) for order_id in legs]
    client.venue.check()


def test_a_pair_may_ask_for_it_alone(client, other):
    session = with_grace(client, 0, flags=0)
    command = SubmitOco(session.next_id(), 1, Side.SELL, 5, 120, 80, flags=BIT)
    session.get(OcoResponse, command)
    session.detach()
    assert [reason for _, reason in ended(client.venue)] == [GONE, GONE]


def test_a_replaced_order_still_belongs_to_its_session(trader, client):
    order = trader.submit(Side.BUY, 100, 5)
    client.replace(order.order_id, quantity=7, price=101)
    trader.detach()
    assert ended(client.venue) == [(order.order_id, GONE)]


def test_what_ended_before_is_left_alone(trader, client, other):
    filled, canceled = trader.submit(Side.BUY, 100, 5), trader.submit(Side.BUY, 99, 5)
    other.submit(Side.SELL, 100, 5)
    trader.cancel(canceled.order_id)
    before = len(client.venue.private[1])
    trader.detach()
    assert client.venue.private[1][before:] == []
    assert client.get(OrderReply, GetOrder(1, filled.order_id)).order.reason == 0


def test_a_gateway_s_users_are_each_told(client, other):
    gateway = client.venue.attach(1, role=Role.GATEWAY, user_first=1, user_last=2, flags=1)
    ids = []
    for user in (2, 1, 2):
        order = SubmitOrder(gateway.next_id(), 1, 0, Side.BUY, LIMIT, GTC, 100, 5, user=user)
        ids.append(gateway.ask(order).order_id)
    kept = other.submit(Side.BUY, 100, 5)
    gateway.detach()
    assert ended(client.venue, 1) == [(ids[1], GONE)]
    assert ended(client.venue, 2) == [(ids[0], GONE), (ids[2], GONE)]
    assert resting(client, 2) == [kept.order_id]
    client.venue.check()


@pytest.mark.parametrize("status", list(InstrumentStatus))
def test_it_happens_in_every_state_of_the_instrument(trader, client, status):
    trader.submit(Side.BUY, 100, 5)
    client.ask(SetStatus(client.next_id(), 1, status))
    trader.detach()
    assert resting(client) == []
    if status is InstrumentStatus.CALL_AUCTION:
        assert client.ask(Uncross(client.next_id(), 1)).volume == 0
    client.venue.check()


# --- when ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", list(DetachCause))
def test_the_grace_runs_from_the_record_of_the_detach(client, other, cause):
    session = with_grace(client, 5)
    order = session.submit(Side.BUY, 100, 5)
    venue = client.venue
    command = SessionDetached(1, session.session_id, session.attach_number, cause)
    venue.internal(command)
    due_ns = venue.time_ns + 5 * MS
    assert venue.core.next_due_ns == due_ns
    venue.pass_time(5 * MS - 2)
    assert resting(client) == [order.order_id], "a query takes 1 ns too"
    venue.pass_time(1)
    assert ended(venue) == [(order.order_id, GONE)]
    report = venue.private[1][-1]
    assert (report.time_ns, report.sequence) == (due_ns, venue.core.last_sequence)
    assert venue.core.next_due_ns != due_ns
    venue.check()


def test_any_command_lets_it_happen_before_itself(client, other):
    session = with_grace(client, 5)
    session.submit(Side.BUY, 100, 5)
    session.detach()
    client.venue.time_ns += 5 * MS
    sold = other.submit(Side.SELL, 100, 5)
    assert (sold.cum, sold.leaves) == (0, 5)
    assert ended(client.venue)[0][1] == GONE


def test_coming_back_in_time_keeps_the_orders(client, other):
    session = with_grace(client, 5)
    order = session.submit(Side.BUY, 100, 5)
    session.detach()
    client.venue.pass_time(5 * MS - 10)
    again = client.venue.attach(1, session.session_id, flags=1, grace_ms=5)
    client.venue.pass_time(50 * MS)
    assert resting(client) == [order.order_id]
    again.detach()
    client.venue.pass_time(5 * MS)
    assert ended(client.venue) == [(order.order_id, GONE)]
    client.venue.check()


def test_coming_back_too_late_finds_them_gone(client, other):
    session = with_grace(client, 5)
    session.submit(Side.BUY, 100, 5)
    session.detach()
    client.venue.time_ns += 5 * MS
    client.venue.attach(1, session.session_id, flags=1, grace_ms=5)
    assert resting(client) == []


def test_a_takeover_is_no_disconnect(trader, client):
    order = trader.submit(Side.BUY, 100, 5)
    newer = client.venue.attach(1, trader.session_id, flags=1)
    trader.detach()
    assert resting(client) == [order.order_id]
    newer.detach()
    assert resting(client) == []


def test_a_newer_connection_decides_of_later_orders_and_of_the_grace(trader, client):
    bound = trader.submit(Side.BUY, 100, 5)
    newer = client.venue.attach(1, trader.session_id, flags=0, grace_ms=5)
    free = newer.submit(Side.BUY, 99, 5)
    newer.detach()
    assert resting(client) == [bound.order_id, free.order_id]
    client.venue.pass_time(5 * MS)
    assert resting(client) == [free.order_id]
    client.venue.check()


def test_logging_out_may_leave_the_orders(trader, client):
    order = trader.submit(Side.BUY, 100, 5)
    trader.log_out(LOGOUT_KEEP_ORDERS)
    client.venue.pass_time(DAY_MS * MS)
    assert resting(client) == [order.order_id]
    assert ended(client.venue) == []
    client.venue.check()


def test_logging_out_is_no_end_of_a_grace(client, other):
    """A session that was left, taken up again and logged out: nothing ends later."""
    session = with_grace(client, 5)
    order = session.submit(Side.BUY, 100, 5)
    session.detach()
    client.venue.attach(1, session.session_id, flags=1, grace_ms=5).log_out(LOGOUT_KEEP_ORDERS)
    client.venue.pass_time(50 * MS)
    assert resting(client) == [order.order_id]


def test_the_grace_ends_before_the_session_does(client, other):
    client.venue.configure(session_expiry_ns=2 * MS)
    session = with_grace(client, 5)
    session.submit(Side.BUY, 100, 5)
    session.detach()
    client.venue.pass_time(5 * MS)
    assert ended(client.venue)[0][1] == GONE
    client.venue.pass_time(1)
    assert client.venue.try_attach(1, session.session_id).error
    client.venue.check()


def test_within_the_grace_the_session_can_be_taken_up_however_soon_it_would_expire(client, other):
    client.venue.configure(session_expiry_ns=2 * MS)
    session = with_grace(client, 5)
    order = session.submit(Side.BUY, 100, 5)
    session.detach()
    client.venue.pass_time(4 * MS)
    client.venue.attach(1, session.session_id, flags=1, grace_ms=5)
    client.venue.pass_time(DAY_MS * MS)
    assert resting(client) == [order.order_id]


def test_a_session_that_expires_leaves_its_orders(client, other):
    client.venue.configure(session_expiry_ns=10 * MS)
    session = with_grace(client, 0, flags=0)
    order = session.submit(Side.BUY, 100, 5)
    session.detach()
    client.venue.pass_time(10 * MS)
    assert resting(client) == [order.order_id]
    client.venue.check()


def test_what_expires_at_the_same_time_expires_first(client, other):
    session = with_grace(client, 5)
    until = client.venue.time_ns + 2 + 5 * MS
    order = place(session, Side.BUY, 100, 5, LIMIT, GTD, expires_ns=until)
    session.detach()
    client.venue.pass_time(5 * MS)
    report = client.venue.private[1][-1]
    assert (report.order_id, report.time_ns) == (order.order_id, until)
    assert (report.exec_type, report.reason) == (ExecType.EXPIRED, CancelReason.EXPIRED)
    client.venue.check()


def test_sessions_end_in_the_order_of_their_time_then_of_their_ids(client, other):
    sessions = [with_grace(client, grace_ms) for grace_ms in (7, 5, 5)]
    ids = [session.submit(Side.BUY, 100, 5).order_id for session in sessions]
    venue = client.venue
    commands = [SessionDetached(1, s.session_id, s.attach_number, 1) for s in reversed(sessions)]
    venue.internal(*commands)
    venue.pass_time(7 * MS)
    assert ended(venue) == [(ids[1], GONE), (ids[2], GONE), (ids[0], GONE)]
    venue.check()


# --- many, and restarts -------------------------------------------------------------------------


@pytest.mark.parametrize("restart", ["replayed", "restored"])
def test_a_restart_in_the_middle_of_the_grace(client, other, restart):
    session = with_grace(client, 5)
    order = session.submit(Side.BUY, 100, 5)
    pair = session.get(OcoResponse, SubmitOco(session.next_id(), 1, Side.SELL, 5, 120, 80))
    venue = client.venue
    session.detach()
    venue.core = getattr(venue, restart)()
    venue.pass_time(5 * MS)
    ids = [order.order_id, pair.limit_order_id, pair.stop_order_id]
    assert ended(venue) == [(order_id, GONE) for order_id in ids]
    venue.check()


@pytest.mark.parametrize("restart", ["replayed", "restored"])
def test_a_restart_counts_as_a_disconnect(client, other, restart):
    session = with_grace(client, 5)
    order = session.submit(Side.BUY, 100, 5)
    venue = client.venue
    venue.core = getattr(venue, restart)()
    cause = DetachCause.SERVER_RESTART
    venue.internal(SessionDetached(1, session.session_id, session.attach_number, cause))
    again = venue.attach(1, session.session_id, flags=1, grace_ms=0)
    venue.pass_time(5 * MS)
    assert resting(client) == [order.order_id]
    again.detach()
    assert ended(venue) == [(order.order_id, GONE)]
    venue.check()
