"""Cancel on disconnect of many orders: in parts, between which all others make progress."""

import pytest

from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.state.rows import DumpedEnding
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.flags import LOGOUT_KEEP_ORDERS
from hpe.protocol.orders import SubmitOrder
from tests.core.test_disconnect import DAY_MS, MS, ended, resting, with_grace
from tests.support.dumps import rows_of

LIMIT, GTC = OrderType.LIMIT, TimeInForce.GTC
GONE = CancelReason.DISCONNECTED
ENDINGS_MAX = DEFAULT_LIMITS.acts[2]


@pytest.fixture
def trader(client, other):
    """Return user 1 in a session of which every order ends with the connection at once."""
    return client.venue.attach(1, flags=1)


@pytest.mark.parametrize("grace_ms", [0, 5])
def test_many_orders_end_in_parts_of_which_each_is_a_command(client, other, grace_ms):
    venue = client.venue
    session = with_grace(client, grace_ms)
    at_once = DEFAULT_LIMITS.acts[2]
    count = 10 * at_once + 3
    orders = [SubmitOrder(100 + n, 1, 0, Side.BUY, LIMIT, GTC, 1, 1) for n in range(count)]
    venue.apply(session.run(*orders))
    before, sequence = len(venue.private[1]), venue.core.last_sequence
    session.detach()
    if grace_ms:
        venue.pass_time(grace_ms * MS)
    while resting(client):
        venue.pass_time(1)
    reports = venue.private[1][before:]
    assert [report.order_id for report in reports] == list(range(1, count + 1))
    assert {report.reason for report in reports} == {GONE}
    told = [report.sequence for report in reports]
    assert told == sorted(told)
    parts = set(told)
    print(f"{count} orders ended in commands {sorted(parts)}, after {sequence}")
    assert len(parts) >= 10
    assert max(told.count(part) for part in parts) <= at_once
    assert client.money(2) == (1_000_000, 0, 0)
    venue.check()


def many(session, count):
    """Submit orders; return how many."""
    for start in range(0, count, 4_096):
        numbers = range(start, min(start + 4_096, count))
        first = session.last_request_id + 1
        orders = [SubmitOrder(first + n, 1, 0, Side.BUY, LIMIT, GTC, 1, 1) for n in numbers]
        session.venue.apply(session.run(*orders))
        session.last_request_id = first + numbers[-1]
    return count


def test_others_trade_between_the_parts(trader, client, other):
    venue = client.venue
    many(trader, 5 * ENDINGS_MAX)
    trader.detach()
    assert len(ended(venue)) == ENDINGS_MAX
    assert other.submit(Side.SELL, 50, 1).reason == 0
    assert len(ended(venue)) == 2 * ENDINGS_MAX
    other.cancel(other.submit(Side.SELL, 50, 1).order_id)
    assert len(ended(venue)) == 4 * ENDINGS_MAX
    venue.pass_time(1)
    assert len(ended(venue)) == 5 * ENDINGS_MAX
    venue.pass_time(1)
    assert venue.core.next_due_ns >= DAY_MS * MS, "only the session itself expires"
    venue.check()


def test_coming_back_between_the_parts_stops_nothing_and_loses_nothing_new(trader, client, other):
    venue = client.venue
    many(trader, 3 * ENDINGS_MAX)
    trader.detach()
    again = venue.attach(1, trader.session_id, flags=1, grace_ms=1_000)
    kept = again.submit(Side.BUY, 2, 1)
    venue.pass_time(1)
    venue.pass_time(1)
    assert resting(client) == [kept.order_id]
    again.detach()
    venue.pass_time(1)
    assert resting(client) == [kept.order_id]
    venue.pass_time(1_000 * MS)
    assert resting(client) == []
    venue.check()


@pytest.mark.parametrize("restart", ["replayed", "restored"])
def test_a_session_that_is_lost_again_between_the_parts(trader, client, other, restart):
    venue = client.venue
    count = many(trader, 4 * ENDINGS_MAX)
    trader.detach()
    venue.attach(1, trader.session_id, flags=1).detach()
    venue.check()
    twin = getattr(venue, restart)()
    assert twin.state_hash() == venue.core.state_hash()
    twin.check()
    while resting(client):
        venue.pass_time(1)
    venue.pass_time(1)
    assert len(ended(venue)) == count
    assert not rows_of(venue.core, DumpedEnding)
    venue.check()


@pytest.mark.parametrize("restart", ["replayed", "restored"])
def test_a_logout_between_the_parts_stops_nothing(trader, client, other, restart):
    venue = client.venue
    count = many(trader, 7 * ENDINGS_MAX)
    trader.detach()
    again = venue.attach(1, trader.session_id, flags=1)
    kept = again.submit(Side.BUY, 2, 1)
    again.log_out(LOGOUT_KEEP_ORDERS)
    assert len(ended(venue)) < count, "some are left to end"
    twin = getattr(venue, restart)()
    assert twin.state_hash() == venue.core.state_hash()
    while rows_of(venue.core, DumpedEnding):
        venue.pass_time(1)
    assert len(ended(venue)) == count
    assert resting(client) == [kept.order_id]
    venue.pass_time(DAY_MS * MS)
    assert resting(client) == [kept.order_id]
    venue.check()


def test_sessions_lost_together_share_the_room(client, other):
    venue = client.venue
    lost = [with_grace(client, 5), with_grace(client, 5)]
    for session in lost:
        many(session, ENDINGS_MAX - 10)
        session.detach()
    venue.pass_time(6 * MS)
    assert len(ended(venue)) == ENDINGS_MAX
    venue.pass_time(1)
    assert len(ended(venue)) == 2 * (ENDINGS_MAX - 10)
    venue.check()
