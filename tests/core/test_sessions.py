"""Sessions: windows, repeats, takeover, expiry. Exactly once, as the client sees it."""

import msgspec
import pytest

from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.enums import ExecType, Role, Side
from hpe.protocol.flags import FLAG_DUPLICATE
from hpe.protocol.internal import SessionClosed, SessionDetached
from hpe.protocol.limits import WINDOW_DEFAULT, WINDOW_MAX
from hpe.protocol.listings import AddAsset
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import CancelOrder, SubmitOrder

HOUR_NS = 3_600 * 10**9


def paid(client, request_id, amount=1):
    return client.ask(Deposit(request_id, 1, amount))


def code_of(client, request):
    reply = client.ask(request)
    return reply.code if isinstance(reply, Error) else None


# --- repeats ----------------------------------------------------------------------------------


def test_a_repeat_gets_the_first_response_with_the_flag_and_runs_once(client):
    first = paid(client, 10, 7)
    balance = client.money(1)
    bodies = len(client.venue.bodies)
    again = paid(client, 10, 7)
    assert again == msgspec.structs.replace(first, flags=FLAG_DUPLICATE)
    assert client.money(1) == balance
    assert len(client.venue.bodies) == bodies
    assert paid(client, 11, 7).sequence == first.sequence + 1


def test_a_repeat_does_not_send_the_reports_again(market, client, other):
    other.submit(Side.SELL, 100, 5)
    order = SubmitOrder(50, 1, 0, Side.BUY, 2, 1, 100, 5)
    first = client.ask(order)
    assert len(client.fills) == 1
    again = client.ask(order)
    assert client.fills == []
    assert again == msgspec.structs.replace(first, flags=FLAG_DUPLICATE)
    told = [report.exec_type for report in market.private[1]]
    assert told == [ExecType.NEW, ExecType.TRADE]


def test_a_reject_is_remembered_like_any_response(client):
    cancel = CancelOrder(20, 999)
    first = client.ask(cancel)
    assert client.ask(SubmitOrder(21, 1, 0, Side.BUY, 2, 1, 1, 1)).order_id == 1
    assert client.ask(cancel) == msgspec.structs.replace(first, flags=FLAG_DUPLICATE)


@pytest.mark.parametrize("amount", [8, 300])
def test_another_content_under_a_used_id_is_refused(client, amount):
    """Of the same length or another one."""
    paid(client, 10, 7)
    balance = client.money(1)
    assert code_of(client, Deposit(10, 1, amount)) == ErrorCode.ID_REUSED
    assert client.money(1) == balance
    assert paid(client, 10, 7).flags == FLAG_DUPLICATE


def test_another_command_under_a_used_id_is_refused(client):
    paid(client, 10)
    assert code_of(client, CancelOrder(10, 1)) == ErrorCode.ID_REUSED


def test_an_id_that_was_passed_over_never_was_executed(client):
    paid(client, 10)
    paid(client, 20)
    assert code_of(client, Deposit(15, 1, 1)) == ErrorCode.NOT_EXECUTED
    assert code_of(client, Deposit(10, 1, 1)) is None


def test_an_id_below_the_oldest_remembered_is_stale(market):
    client = market.attach(3, window=2)
    for request_id in (10, 20, 30):
        paid(client, request_id)
    assert code_of(client, Deposit(9, 1, 1)) == ErrorCode.STALE_ID
    assert code_of(client, Deposit(10, 1, 1)) == ErrorCode.STALE_ID
    assert code_of(client, Deposit(15, 1, 1)) == ErrorCode.STALE_ID
    assert paid(client, 20).flags == FLAG_DUPLICATE
    assert code_of(client, Deposit(25, 1, 1)) == ErrorCode.NOT_EXECUTED
    assert paid(client, 30).flags == FLAG_DUPLICATE


def test_ids_may_go_to_the_largest_integer(market):
    client = market.attach(3)
    last = 2**63 - 1
    first = paid(client, last)
    assert paid(client, last) == msgspec.structs.replace(first, flags=FLAG_DUPLICATE)
    assert code_of(client, Deposit(last - 1, 1, 1)) == ErrorCode.STALE_ID


@pytest.mark.parametrize("request_id", [1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32])
def test_the_flag_finds_its_place_behind_an_id_of_any_length(market, request_id):
    client = market.attach(3)
    order = SubmitOrder(request_id, 9, 0, Side.BUY, 2, 1, 100, 5)
    first = client.ask(order)
    assert client.ask(order) == msgspec.structs.replace(first, flags=FLAG_DUPLICATE)
    assert paid(client, request_id + 1).flags == 0
    assert paid(client, request_id + 1).flags == FLAG_DUPLICATE


def test_sessions_of_one_user_do_not_share_ids(market):
    first, second = market.attach(3), market.attach(3)
    assert first.session_id != second.session_id
    assert paid(first, 10).flags == 0
    assert paid(second, 10).flags == 0
    assert paid(second, 10).flags == FLAG_DUPLICATE


def test_queries_use_any_id_and_move_nothing(client):
    paid(client, 10)
    for request_id in (1, 10, 99):
        assert client.ask(GetBalance(request_id, 1)).flags == 0
    assert paid(client, 11).flags == 0


# --- windows ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "granted"), [(0, WINDOW_DEFAULT), (1, 1), (WINDOW_MAX,) * 2])
def test_the_granted_window(venue, wanted, granted):
    assert venue.attach(window=wanted).window == granted


def test_a_smaller_window_forgets_nothing_and_a_larger_one_recalls_nothing(market):
    client = market.attach(3, window=4)
    for request_id in (1, 2, 3, 4, 5):
        paid(client, request_id)
    client = market.attach(3, client.session_id, window=2)
    assert (client.window, client.last_request_id) == (4, 5), "as many as it remembers"
    assert code_of(client, Deposit(1, 1, 1)) == ErrorCode.STALE_ID
    assert paid(client, 2).flags == FLAG_DUPLICATE
    client = market.attach(3, client.session_id, window=6)
    assert code_of(client, Deposit(1, 1, 1)) == ErrorCode.STALE_ID
    for request_id in (6, 7, 8):
        paid(client, request_id)
    assert paid(client, 3).flags == FLAG_DUPLICATE
    assert code_of(client, Deposit(2, 1, 1)) == ErrorCode.STALE_ID


def test_a_resumed_session_keeps_its_window_unless_it_names_one(market):
    client = market.attach(3, window=9)
    assert market.attach(3, client.session_id).window == 9
    assert market.attach(3, client.session_id, window=3).window == 3, "it remembers nothing yet"


@pytest.mark.parametrize("key", [0, 6, 8])
def test_a_session_is_taken_up_again_only_with_its_key(venue, key):
    granted = {"role": Role.TRADER, "user_first": 1, "user_last": 1}
    client = venue.attach(1, key=7, **granted)
    client.detach()
    taken = venue.try_attach(1, client.session_id, key=key, **granted)
    assert taken.error == ErrorCode.UNKNOWN_SESSION
    assert not venue.try_attach(1, client.session_id, key=7, **granted).error


def test_market_data_is_told_nothing_of_the_user_that_it_names(venue):
    client = venue.attach(1)
    client.deposit(client.get_id(AddAsset(client.next_id(), "GOLD", 2)), 5)
    assert venue.try_attach(1).private_sequence > 0
    assert venue.try_attach(1, role=Role.MARKET_DATA, key=7).private_sequence == 0


def test_a_session_for_market_data_has_a_small_window_and_no_second_life(venue):
    client = venue.attach(1, role=Role.MARKET_DATA, window=500)
    assert client.window == 1
    client.detach()
    again = venue.try_attach(1, client.session_id, role=Role.MARKET_DATA)
    assert again.error == ErrorCode.UNKNOWN_SESSION
    venue.check()


# --- attach, take over, leave -----------------------------------------------------------------


def test_a_resumed_session_says_where_it_stands(market):
    client = market.attach(3)
    paid(client, 17)
    resumed = market.try_attach(3, client.session_id)
    assert (resumed.error, resumed.session_id) == (0, client.session_id)
    assert resumed.last_request_id == 17


@pytest.mark.parametrize(("user", "session_id"), [(3, 99), (4, 2), (3, 2**63 - 1)])
def test_unknown_sessions_and_those_of_other_users_are_refused(market, user, session_id):
    client = market.attach(3)
    assert client.session_id == 2
    refused = market.try_attach(user, session_id)
    assert refused.error == ErrorCode.UNKNOWN_SESSION
    assert (refused.window, refused.last_request_id) == (0, 0)
    assert paid(client, 1).flags == 0


def test_a_takeover_drops_what_the_older_connection_still_sends(market):
    old = market.attach(3)
    paid(old, 1)
    new = market.attach(3, old.session_id)
    bodies = len(market.bodies)
    assert old.send(Deposit(2, 1, 1), GetBalance(1, 1), Deposit(1, 1, 1)) == []
    assert len(market.bodies) == bodies
    assert paid(new, 2).flags == 0
    assert paid(new, 1).flags == FLAG_DUPLICATE


def test_a_late_leave_of_the_older_connection_is_ignored(market):
    old = market.attach(3)
    new = market.attach(3, old.session_id)
    old.detach()
    old.log_out()
    assert paid(new, 1).flags == 0
    market.check()


def test_after_leaving_nothing_is_executed_any_more(market):
    client = market.attach(3)
    client.detach()
    assert client.send(Deposit(1, 1, 1)) == []
    market.check()


def test_logging_out_forgets_the_session(market):
    client = market.attach(3)
    client.log_out()
    assert client.send(Deposit(1, 1, 1)) == []
    assert market.try_attach(3, client.session_id).error == ErrorCode.UNKNOWN_SESSION
    assert market.attach(3).session_id == client.session_id + 1


def test_closing_an_unknown_session_does_nothing(market):
    market.internal(SessionClosed(1, 99, 1), SessionDetached(1, 99, 1, 1))
    market.check()


# --- expiry -----------------------------------------------------------------------------------


@pytest.fixture
def hourly(market):
    market.configure(session_expiry_ns=HOUR_NS)
    return market


def test_a_detached_session_lives_until_its_time_and_no_longer(hourly):
    for wait_ns, error in ((HOUR_NS - 1, 0), (HOUR_NS, ErrorCode.UNKNOWN_SESSION)):
        client = hourly.attach(3)
        client.detach()
        hourly.pass_time(wait_ns - 1)
        assert hourly.try_attach(3, client.session_id).error == error
    hourly.check()


@pytest.mark.parametrize(("expiry_ns", "error"), [(3, 0), (1, ErrorCode.UNKNOWN_SESSION)])
def test_a_session_expires_by_the_setting_of_now(hourly, expiry_ns, error):
    client = hourly.attach(3)
    client.detach()
    hourly.configure(session_expiry_ns=expiry_ns * HOUR_NS)
    hourly.pass_time(2 * HOUR_NS)
    assert hourly.try_attach(3, client.session_id).error == error
    hourly.check()


def test_an_attached_session_does_not_expire(hourly):
    client = hourly.attach(3)
    hourly.pass_time(100 * HOUR_NS)
    assert paid(client, 1).flags == 0


def test_coming_back_stops_the_clock_and_leaving_starts_it_anew(hourly):
    client = hourly.attach(3)
    client.detach()
    hourly.pass_time(HOUR_NS // 2)
    client = hourly.attach(3, client.session_id)
    hourly.pass_time(HOUR_NS)
    client.detach()
    hourly.pass_time(HOUR_NS // 2)
    assert hourly.try_attach(3, client.session_id).error == 0
    hourly.check()


def test_the_next_due_time_is_that_of_the_earliest_session(hourly):
    first, second = hourly.attach(3), hourly.attach(3)
    assert hourly.apply().next_due_ns == 0
    first.detach()
    due_ns = hourly.time_ns + HOUR_NS
    second.detach(wait_ns=500)
    later_ns = hourly.time_ns + HOUR_NS
    assert hourly.apply().next_due_ns == due_ns
    hourly.attach(3, first.session_id)
    assert hourly.apply().next_due_ns == later_ns
    hourly.pass_time(2 * HOUR_NS)
    assert hourly.apply().next_due_ns == 0


def test_time_acts_only_where_there_is_a_command(hourly):
    client, reader = hourly.attach(3), hourly.attach(4)
    client.detach()
    output = hourly.apply(reader.run(GetBalance(1, 1)), wait_ns=2 * HOUR_NS)
    assert (output.body, output.next_due_ns > 0) == (b"", True)
    assert hourly.apply(reader.run(AddAsset(1, "X", 0))).next_due_ns == 0
