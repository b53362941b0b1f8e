"""How sessions end; no order stays alive that its session promised to cancel."""

import pytest

from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.state.rows import DumpedEnding, DumpedHead, DumpedKey, DumpedSession
from hpe.protocol.codes import CancelReason, ErrorCode
from hpe.protocol.enums import DetachCause, Role, Side
from hpe.protocol.flags import LOGOUT_KEEP_ORDERS, ORDER_CANCEL_ON_DISCONNECT
from hpe.protocol.money import Deposit
from hpe.protocol.orders import ListOrders, OrdersReply
from hpe.protocol.reports import OrderReport
from tests.support.core_driver import DAY_NS
from tests.support.core_parts import place
from tests.support.dumps import rows_of

MS = 1_000_000
GONE = CancelReason.DISCONNECTED


def with_grace(client, grace_ms, flags=1, session_id=0):
    return client.venue.attach(1, session_id, flags=flags, grace_ms=grace_ms)


def resting(client, user=1):
    """Return the ids of a user's open orders."""
    rows = client.get(OrdersReply, ListOrders(client.next_query_id(), user=user)).rows
    return [row.order_id for row in rows]


def ended(venue, user=1):
    """Return (order id, reason) of a user's orders that were canceled, as they were reported."""
    told = [r for r in venue.private.get(user, []) if isinstance(r, OrderReport)]
    return [(report.order_id, report.reason) for report in told if report.exec_type == 4]


def with_keys(core):
    """Return the ids of all sessions that a key opened."""
    return [row.session_id for row in rows_of(core, DumpedSession) if row.key]


def lives(venue, session_id):
    return session_id in {row.session_id for row in rows_of(venue.core, DumpedSession)}


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
    ids = [session.submit(Side.BUY, 1, 1).order_id for _ in range(3 * DEFAULT_LIMITS.acts[2])]
    session.detach()
    again = with_grace(client, 0, session_id=session.session_id)
    assert len(ended(client.venue)) < len(ids)
    again.log_out(flags)
    for _ in range(4):
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
    good = session.run(Deposit(session.next_id(), 1, 1)).chunk.frames
    late = session.run(Deposit(session.next_id(), 1, 1)).chunk.frames
    balance = client.money(1)[0]
    output = venue.apply(session.run_of(good + NO_MESSAGE + late), session.run_of(late))
    assert len(session.replies(output)) == 2
    assert client.money(1)[0] == balance + 1
    assert (session.session_id, session.attach_number) not in venue.core.attached_sessions()
    venue.check()


def of_another_user(venue, session_id):
    return venue.try_attach(2, session_id).error


def unknown(venue, session_id):
    return venue.try_attach(1, session_id + 1).error


def with_a_revoked_key(venue, session_id):
    venue.keys_valid()
    return venue.try_attach(1, session_id, role=Role.TRADER, key=7).error


def without_room(venue, session_id):
    sizes = venue.limits.room
    venue.limit(room=sizes._replace(key_share=sizes.least - 1))
    return venue.try_attach(1, role=Role.TRADER, key=7).error


@pytest.mark.parametrize(
    ("refused_logon", "error"),
    [
        (of_another_user, ErrorCode.UNKNOWN_SESSION),
        (unknown, ErrorCode.UNKNOWN_SESSION),
        (with_a_revoked_key, ErrorCode.KEY_REVOKED),
        (without_room, ErrorCode.TOO_MANY_SESSIONS),
    ],
)
def test_a_refused_logon_leaves_the_connection_that_was_cut_cut(client, refused_logon, error):
    """What decides about its frames is in the state: a core that loads it decides the same."""
    venue = client.venue
    session = with_grace(client, 0)
    venue.apply(session.run_of(NO_MESSAGE))
    balance = client.money(1)[0]
    assert refused_logon(venue, session.session_id) == error
    for core in (venue.core, venue.replayed(), venue.restored()):
        venue.core = core
        assert session.send(Deposit(1, 1, 1)) == []
        assert client.money(1)[0] == balance
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


# --- revoked keys -------------------------------------------------------------------------------

KEYED = {"role": Role.TRADER, "key": 7}
VALID = (7, Role.TRADER)


def keyed(client, key=7, grace_ms=0, session_id=0, user=1):
    granted = {"role": Role.TRADER, "key": key, "flags": 1, "grace_ms": grace_ms}
    return client.venue.attach(user, session_id, **granted)


@pytest.mark.parametrize("stays", [True, False])
@pytest.mark.parametrize("valid", [(), ((8, Role.TRADER),), ((7, Role.GATEWAY),)])
def test_a_revoked_key_takes_its_sessions_and_their_orders_along(client, other, stays, valid):
    """Attached or within its grace; the id is gone, or it has another role."""
    venue = client.venue
    venue.keys_valid(VALID, (8, Role.TRADER))
    session = keyed(client, grace_ms=3_600_000)
    order = session.submit(Side.BUY, 100, 5)
    if not stays:
        session.detach()
    venue.keys_valid(*valid)
    assert ended(venue) == [(order.order_id, GONE)]
    assert session.send(Deposit(1, 1, 1)) == []
    assert venue.try_attach(1, session.session_id, **KEYED).error == ErrorCode.KEY_REVOKED
    venue.keys_valid(VALID)
    assert venue.try_attach(1, session.session_id, **KEYED).error == ErrorCode.UNKNOWN_SESSION
    venue.check()


def test_sessions_of_keys_that_are_still_valid_stay(client, other):
    venue = client.venue
    venue.keys_valid(VALID, (8, Role.TRADER))
    session, gone = keyed(client), keyed(client, key=8)
    order = session.submit(Side.BUY, 100, 5)
    venue.keys_valid(VALID)
    assert resting(client) == [order.order_id]
    assert session.send(Deposit(2, 1, 1)) != []
    assert gone.send(Deposit(1, 1, 1)) == []
    assert client.send(Deposit(client.next_id(), 1, 1)) != [], "without a key none is revoked"
    venue.check()


def test_before_the_first_word_on_keys_all_of_them_hold(client):
    venue = client.venue
    session = keyed(client)
    assert session.send(Deposit(1, 1, 1)) != []
    venue.keys_valid()
    assert session.send(Deposit(2, 1, 1)) == []
    assert venue.try_attach(1, **KEYED).error == ErrorCode.KEY_REVOKED
    venue.check()


@pytest.mark.parametrize("restart", [None, "replayed", "restored"])
def test_many_sessions_of_a_revoked_key_are_closed_in_parts(client, other, restart):
    venue = client.venue
    venue.keys_valid(VALID)
    session = keyed(client)
    order = session.submit(Side.BUY, 100, 5)
    count = 2_500
    for _ in range(count - 1):
        keyed(client).detach()
    before = venue.core.last_sequence
    venue.keys_valid()
    assert venue.core.last_sequence == before + 1
    assert len(with_keys(venue.core)) == count - 1_024
    assert session.send(Deposit(1, 1, 1)) == [], "it is among the first"
    if restart:
        venue.core = getattr(venue, restart)()
    while venue.core.next_due_ns == 1:
        venue.apply()
    assert venue.core.last_sequence == before + 3, "1,024 per command, the others by continue"
    assert with_keys(venue.core) == []
    assert ended(venue) == [(order.order_id, GONE)]
    assert venue.core.next_due_ns != 1
    venue.check()


@pytest.mark.parametrize("restart", ["replayed", "restored"])
def test_a_restart_amid_the_closings(client, restart):
    """The rest comes by itself, whatever comes first."""
    venue = client.venue
    venue.keys_valid(VALID)
    for _ in range(1_500):
        keyed(client).detach()
    venue.keys_valid()
    twin = getattr(venue, restart)()
    assert with_keys(twin) == with_keys(venue.core)
    assert len(with_keys(twin)) == 1_500 - 1_024
    assert twin.next_due_ns == 1
    venue.core = twin
    assert client.send(Deposit(client.next_id(), 1, 1)) != []
    assert with_keys(twin) == []
    venue.check()


def test_a_session_that_is_gone_before_it_is_closed_is_no_work(client):
    """A core that loaded the dump goes on like the one that knew it."""
    venue = client.venue
    venue.limit(revocations=1)
    venue.keys_valid(VALID)
    for _ in range(4):
        keyed(client).detach()
    venue.configure(session_expiry_ns=10)
    venue.keys_valid()
    assert len(with_keys(venue.core)) == 3
    venue.time_ns += 100
    venue.pass_time(1)
    twin = venue.restored()
    assert with_keys(twin) == with_keys(venue.core) == []
    assert twin.next_due_ns == venue.core.next_due_ns != 1
    venue.check()


def test_orders_of_a_revoked_key_end_in_parts(client, other):
    venue = client.venue
    venue.keys_valid(VALID)
    session = keyed(client, grace_ms=5)
    ids = [session.submit(Side.BUY, 1, 1).order_id for _ in range(600)]
    session.detach()
    venue.keys_valid()
    assert 0 < len(ended(venue)) < len(ids)
    while rows_of(venue.core, DumpedEnding):
        venue.pass_time(1)
    assert ended(venue) == [(order_id, GONE) for order_id in ids]
    venue.check()


def test_the_keys_are_in_the_state(client):
    venue = client.venue
    hashes = {venue.core.state_hash()}
    for keys in ((), (VALID,), ((7, Role.GATEWAY),), (VALID, (8, Role.OPERATOR))):
        venue.keys_valid(*keys)
        assert [(row.number, row.role) for row in rows_of(venue.core, DumpedKey)] == list(keys)
        assert rows_of(venue.core, DumpedHead)[0].keys_known
        hashes.add(venue.core.state_hash())
        venue.check()
    assert len(hashes) == 5


# --- expiry and making room ---------------------------------------------------------------------


def test_no_order_outlives_a_session_that_expired(client, other):
    """However many there are, and though the session is forgotten at the same time."""
    venue = client.venue
    venue.configure(session_expiry_ns=1, session_keep_ns=0)
    session = with_grace(client, 5)
    ids = [session.submit(Side.BUY, 1, 1).order_id for _ in range(600)]
    session.detach()
    venue.pass_time(5 * MS + 1)
    assert not lives(venue, session.session_id)
    assert len(ended(venue)) < len(ids)
    venue.core = venue.restored()
    while rows_of(venue.core, DumpedEnding):
        venue.pass_time(1)
    assert ended(venue) == [(order_id, GONE) for order_id in ids]
    assert resting(client) == []
    venue.core.check()


def test_no_order_outlives_a_session_that_gave_way(client, other):
    venue = client.venue
    venue.keys_valid(VALID)
    session = keyed(client, grace_ms=700_000)
    order = session.submit(Side.BUY, 100, 5)
    session.detach()
    granted = {"role": Role.TRADER, "key": 7, "window": 1}
    crowd = [venue.attach(1, **granted) for _ in range(65_536 // 16 - 1)]
    venue.pass_time(600_000 * MS)
    refused = venue.try_attach(1, **granted)
    assert refused.error == ErrorCode.TOO_MANY_SESSIONS, "its grace is not over"
    assert resting(client) == [order.order_id]
    venue.pass_time(100_000 * MS)
    assert ended(venue) == [(order.order_id, GONE)]
    assert venue.try_attach(1, **granted).error == 0
    assert not lives(venue, session.session_id)
    assert lives(venue, crowd[0].session_id)
    venue.core.check()


def test_so_many_sessions_expire_with_one_batch(client):
    venue = client.venue
    venue.configure(session_expiry_ns=DAY_NS)
    at_once = DEFAULT_LIMITS.acts[4]
    for _ in range(at_once + 76):
        venue.attach(3).detach()
    venue.configure(session_expiry_ns=1)
    count = len(rows_of(venue.core, DumpedSession))
    assert venue.core.next_due_ns == 1, "due at once"
    venue.pass_time(1)
    assert count - len(rows_of(venue.core, DumpedSession)) == at_once
    venue.pass_time(1)
    assert len(rows_of(venue.core, DumpedSession)) < 80
    venue.check()
