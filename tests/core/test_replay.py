"""Batches: order, admission, connections that are cut, the log body, replay and divergence."""

from itertools import permutations
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.core.codec import Body, decode_body, encode_body
from hpe.core.contract import SYSTEM_CONNECTION, Batch, Run
from hpe.core.state.rows import DumpedHead
from hpe.errors import Diverged, InvariantViolation
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.enums import Channel, ExecType, Side
from hpe.protocol.frames import chunk_of
from hpe.protocol.internal import SessionAttached, Tick
from hpe.protocol.listings import AddAsset
from hpe.protocol.money import Deposit, DepositResponse, GetBalance
from hpe.protocol.operations import GetStateHash
from hpe.protocol.orders import CancelOrder, OrderResponse, SubmitOrder
from hpe.protocol.reports import BalanceReport, ExecutionReport
from tests.support.core_driver import Venue, bodies_of, decoded, framed, frames_of, wanted_of
from tests.support.dumps import rows_of
from tests.support.listed import listed

BUY, SELL = Side
encode = msgspec.msgpack.encode


# --- one connection -----------------------------------------------------------------------------


def test_replies_come_in_the_order_of_the_requests(client):
    replies = client.send(
        GetBalance(5, 1), Deposit(10, 1, 1), GetBalance(6, 1), Deposit(11, 1, 1), GetBalance(7, 1)
    )
    assert [reply.request_id for reply in replies] == [5, 10, 6, 11, 7]
    shown = [reply.available for reply in replies]
    assert shown == [1_000_000, 1_000_001, 1_000_001, 1_000_002, 1_000_002]


def test_fills_come_directly_before_their_response(client, other):
    other.submit(SELL, 100, 2)
    other.submit(SELL, 101, 2)
    sweep = SubmitOrder(50, 1, 0, BUY, 2, 1, 101, 4)
    replies = client.send(Deposit(49, 1, 1), sweep, Deposit(51, 1, 1))
    kinds = [type(reply) for reply in replies]
    report, response = ExecutionReport, OrderResponse
    assert kinds == [DepositResponse, report, report, response, DepositResponse]
    assert [reply.request_id for reply in replies] == [49, 50, 50, 50, 51]


def test_a_field_error_is_answered_in_its_place_and_the_rest_goes_on(client):
    bad = framed(encode([69, 11, 1, 0]))
    internal = frames_of([Tick(12)])
    frames = frames_of([Deposit(10, 1, 1)]) + bad + internal + frames_of([Deposit(13, 1, 1)])
    output = client.venue.apply(client.run_of(frames))
    first, wrong, refused, last = client.replies(output)
    assert (wrong.code, wrong.request_id, wrong.field) == (ErrorCode.BAD_FIELD, 11, "amount")
    assert (refused.code, refused.request_id, refused.field) == (ErrorCode.UNKNOWN_TYPE, 12, "")
    assert last.sequence == first.sequence + 1
    assert output.cut == []
    logged = decode_body(output.body)
    assert logged.groups == [
        (client.session_id, 1, frames_of([Deposit(10, 1, 1), Deposit(13, 1, 1)]))
    ]
    client.venue.check()


def test_a_field_error_moves_nothing(client):
    bad = framed(encode([69, 11, 1, 0]))
    client.venue.apply(client.run_of(bad))
    assert client.ask(Deposit(11, 1, 1)).reason == 0


@pytest.mark.parametrize("bad", [b"\xc1", b"", b"\x81\x01\x02", b"\x92\x45\x01\x00"])
def test_bytes_that_are_no_protocol_cut_the_connection(client, other, bad):
    frames = frames_of([Deposit(10, 1, 1)]) + framed(bad) + frames_of([Deposit(11, 1, 1)])
    runs = [client.run_of(frames), client.run(Deposit(12, 1, 1)), other.run(Deposit(12, 1, 1))]
    output = client.venue.apply(*runs)
    assert output.cut == [client.attach_number]
    good, error = client.replies(output)
    assert (good.request_id, error.request_id, error.fatal) == (10, 0, True)
    assert [reply.request_id for reply in other.replies(output)] == [12]
    assert client.send(Deposit(13, 1, 1)) == []
    client.venue.check()


def test_a_cut_connections_session_can_be_resumed(client):
    client.venue.apply(client.run_of(framed(b"\xc1")))
    client.detach()
    resumed = client.venue.attach(1, client.session_id)
    assert resumed.ask(Deposit(resumed.next_id(), 1, 1)).reason == 0


# --- admission ----------------------------------------------------------------------------------


@pytest.mark.parametrize("admit", [ErrorCode.BUSY, ErrorCode.SHUTTING_DOWN, ErrorCode.STORAGE_FULL])
def test_a_refused_run_is_answered_and_not_executed(client, admit):
    before = client.venue.core.state_hash()
    output = client.venue.apply(client.run(Deposit(10, 1, 1), GetBalance(3, 1), admit=admit))
    replies = client.replies(output)
    assert [(reply.code, reply.request_id) for reply in replies] == [(admit, 10), (admit, 3)]
    assert (output.body, client.venue.core.state_hash()) == (b"", before)
    assert client.ask(Deposit(10, 1, 1)).flags == 0


def test_a_refused_run_keeps_its_place(client):
    runs = [
        client.run(Deposit(10, 1, 1)),
        client.run(Deposit(11, 1, 1), admit=ErrorCode.BUSY),
        client.run(CancelOrder(12, 5)),
    ]
    replies = client.replies(client.venue.apply(*runs))
    assert [reply.request_id for reply in replies] == [10, 11, 12]
    assert isinstance(replies[1], Error)
    assert client.refused(Deposit(11, 1, 1)).code == ErrorCode.NOT_EXECUTED
    client.venue.check()


def test_what_was_executed_is_never_answered_busy(client):
    first = client.ask(Deposit(10, 1, 1))
    again = client.ask(Deposit(10, 1, 1), admit=ErrorCode.BUSY)
    assert again == msgspec.structs.replace(first, flags=1)
    assert client.refused(Deposit(10, 1, 2), admit=ErrorCode.BUSY).code == ErrorCode.ID_REUSED


def test_wrong_fields_in_a_refused_run_are_answered_as_such(client):
    run = client.run_of(framed(encode([69, 11, 1, 0])), ErrorCode.BUSY)
    (reply,) = client.replies(client.venue.apply(run))
    assert (reply.code, reply.field) == (ErrorCode.BAD_FIELD, "amount")


# --- batches ------------------------------------------------------------------------------------


def test_runs_are_executed_in_the_order_of_the_batch(client, other):
    output = client.venue.apply(
        client.run(Deposit(10, 1, 1)), other.run(Deposit(10, 1, 1)), client.run(Deposit(11, 1, 1))
    )
    sequences = [reply.sequence for reply in client.replies(output)]
    (between,) = other.replies(output)
    assert sequences == [between.sequence - 1, between.sequence + 1]
    groups = [(session, user) for session, user, _ in decode_body(output.body).groups]
    mine, theirs = (client.session_id, 1), (other.session_id, 2)
    assert groups == [mine, theirs, mine]


def test_how_frames_are_cut_into_runs_changes_no_reply(client):
    dump = list(client.venue.core.dump())
    requests = [Deposit(10, 1, 1), Deposit(11, 1, 1), GetStateHash(12), Deposit(13, 1, 1)]
    answers = []
    for size in (1, 2, 4):
        core = client.venue.new_core(client.venue.limits)
        core.load(dump)
        parts = [requests[start : start + size] for start in range(0, 4, size)]
        batch = Batch(core.last_time_ns + 1, [client.run(*part) for part in parts])
        answers.append(listed(core.apply(batch)).replies)
    assert answers == answers[:1] * 3


def test_neighboring_runs_of_one_session_share_a_group(client):
    output = client.venue.apply(client.run(Deposit(10, 1, 1)), client.run(Deposit(11, 1, 1)))
    assert len(decode_body(output.body).groups) == 1


def test_all_commands_of_a_batch_have_one_time(client):
    first, second = client.send(
        SubmitOrder(10, 1, 0, BUY, 2, 1, 5, 1), SubmitOrder(11, 1, 0, BUY, 2, 1, 5, 1)
    )
    assert first.time_ns == second.time_ns == client.venue.time_ns


def test_a_batch_of_queries_has_no_body_and_moves_nothing(client):
    before = client.venue.core.state_hash()
    output = client.venue.apply(client.run(GetBalance(1, 1)), wait_ns=10**9)
    assert output.body == b""
    assert output.last_sequence == client.venue.core.last_sequence
    assert client.venue.core.state_hash() == before


def test_what_somebody_wants_to_see_does_not_change_the_state(client):
    twin = Venue(client.venue.new_core)
    twin.core = client.venue.restored()
    run = client.run(Deposit(10, 1, 1))
    for core, wanted in ((client.venue.core, b""), (twin.core, wanted_of({(1, Channel.LEVELS)}))):
        core.apply(Batch(client.venue.time_ns + 1, [run], wanted))
    assert client.venue.core.state_hash() == twin.core.state_hash()


def test_time_that_does_not_go_on_is_a_bug(client):
    with pytest.raises(InvariantViolation, match="time"):
        client.venue.apply(client.run(Deposit(10, 1, 1)), wait_ns=0)


def test_frames_of_nobody_are_dropped(venue):
    frames = frames_of([AddAsset(1, "X", 0)])
    output = venue.apply(Run(7, 7, 0, chunk_of(frames)))
    assert (output.replies, output.body) == ([], b"")


def test_several_internal_commands_in_one_batch(venue):
    attach = [SessionAttached(number, 0, number, 3) for number in (1, 2, 3)]
    responses = venue.internal(*attach)
    assert [response.session_id for response in responses] == [1, 2, 3]
    assert [response.sequence for response in responses] == [1, 2, 3]
    assert venue.core.attached_sessions() == [(1, 1), (2, 2), (3, 3)]
    assert venue.core.last_attach_number == 3
    venue.check()


def test_attach_and_use_in_one_batch(venue):
    frames = frames_of([AddAsset(1, "X", 0)])
    attach = Run(SYSTEM_CONNECTION, 0, 0, chunk_of(frames_of([SessionAttached(1, 0, 9, 3)])))
    output = venue.apply(attach, Run(1, 1, 0, chunk_of(frames)))
    assert [connection for connection, _ in output.replies] == [SYSTEM_CONNECTION, 1]
    venue.check()


def test_private_reports_are_numbered_over_batches(market, client, other):
    for _ in range(3):
        other.submit(SELL, 100, 1)
        client.submit(BUY, 100, 1)
    told = [*market.private[2], *market.balances[2]]
    assert sorted(report.private_sequence for report in told) == list(range(1, len(told) + 1))
    fills = [report for report in market.private[2] if report.exec_type == ExecType.TRADE]
    assert [report.trade_id for report in fills] == [1, 2, 3]


# --- the log ------------------------------------------------------------------------------------


@pytest.fixture
def traded(market, client, other):
    """Return a venue whose last body holds two trades of three commands."""
    sell = SubmitOrder(50, 1, 0, SELL, 2, 1, 100, 5)
    buys = [SubmitOrder(50 + n, 1, 0, BUY, 2, 1, 100, 2) for n in range(2)]
    market.apply(other.run(sell), client.run(*buys))
    return market


def test_a_body_holds_commands_trades_and_a_digest(traded):
    body = decode_body(traded.bodies[-1])
    assert body.first_sequence == traded.core.last_sequence - 2
    assert body.time_ns == traded.time_ns
    trades = [(t.trade_id, t.instrument_id, t.price, t.quantity) for t in body.trades]
    assert trades == [(1, 1, 100, 2), (2, 1, 100, 2)]
    assert [(t.maker_order_id, t.taker_order_id) for t in body.trades] == [(1, 2), (1, 3)]
    (head,) = rows_of(traded.core, DumpedHead)
    assert body.output_digest == head.digest != 0
    assert len(body.groups) == 2


def test_replay_gives_the_same_state_and_reports(traded):
    core = traded.new_core()
    reports = {}
    for body in traded.bodies:
        for user, *_, frame in listed(core.replay(body)).private:
            reports.setdefault(user, []).extend(decoded(frame)[0].reports)
    assert core.state_hash() == traded.core.state_hash()
    for user, told in reports.items():
        balances = [report for report in told if isinstance(report, BalanceReport)]
        assert balances == traded.balances[user]
        assert [report for report in told if report not in balances] == traded.private[user]


def changed(body, **fields):
    return encode_body(decode_body(body)._replace(**fields))


def other_trade(body):
    first, second = decode_body(body).trades
    return changed(body, trades=[msgspec.structs.replace(first, price=99), second])


def missing_trade(body):
    return changed(body, trades=decode_body(body).trades[:1])


def other_digest(body):
    return changed(body, output_digest=decode_body(body).output_digest ^ 1)


def other_user(body):
    (session, user, frames), *rest = decode_body(body).groups
    return changed(body, groups=[(session, user + 1, frames), *rest])


def unknown_session(body):
    (_, user, frames), *rest = decode_body(body).groups
    return changed(body, groups=[(99, user, frames), *rest])


def other_command(body):
    (session, user, _), *rest = decode_body(body).groups
    frames = frames_of([SubmitOrder(50, 1, 0, SELL, 2, 1, 100, 4)])
    return changed(body, groups=[(session, user, frames), *rest])


def query_inside(body):
    (session, user, frames), *rest = decode_body(body).groups
    return changed(body, groups=[(session, user, frames + frames_of([GetBalance(1, 1)])), *rest])


def unreadable_frame(body):
    (session, user, frames), *rest = decode_body(body).groups
    return changed(body, groups=[(session, user, frames + framed(b"\xc1")), *rest])


def half_a_frame(body):
    (session, user, frames), *rest = decode_body(body).groups
    return changed(body, groups=[(session, user, frames[:-1]), *rest])


def half_a_prefix(body):
    (session, user, frames), *rest = decode_body(body).groups
    return changed(body, groups=[(session, user, frames + b"\x00\x00"), *rest])


def too_long_a_frame(body):
    (session, user, frames), *rest = decode_body(body).groups
    longer = frames[:3] + bytes([frames[3] + 1]) + frames[4:]
    return changed(body, groups=[(session, user, longer), *rest])


def used_request_id(body):
    (session, user, _), *rest = decode_body(body).groups
    frames = frames_of([SubmitOrder(1, 1, 0, SELL, 2, 1, 100, 5)])
    return changed(body, groups=[(session, user, frames), *rest])


def client_command_as_internal(body):
    (_, _, frames), *rest = decode_body(body).groups
    return changed(body, groups=[(0, 0, frames), *rest])


def split_group(body):
    groups = decode_body(body).groups
    return changed(body, groups=[*groups, (groups[-1][0], groups[-1][1], b"")])


DAMAGES = [
    other_trade, missing_trade, other_digest, other_user, unknown_session, other_command,
    query_inside, unreadable_frame, half_a_frame, half_a_prefix, client_command_as_internal,
    split_group, too_long_a_frame, used_request_id,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_body_that_says_something_else_diverges(traded, damage):
    core = traded.new_core()
    for body in traded.bodies[:-1]:
        core.replay(body)
    with pytest.raises(Diverged) as caught:
        core.replay(damage(traded.bodies[-1]))
    assert decode_body(traded.bodies[-1]).first_sequence <= caught.value.sequence
    assert caught.value.sequence <= traded.core.last_sequence + 1


@pytest.mark.parametrize(
    "body",
    [b"", b"\x90", b"\xc1", b"\x95\x01\x01\x90\x90", encode_body(Body(1, 1, [], [], 0))],
    ids=["empty", "no-fields", "no-messagepack", "short", "no-commands"],
)
def test_what_is_no_body_diverges(venue, body):
    with pytest.raises(Diverged) as caught:
        venue.core.replay(body)
    assert caught.value.sequence == 1


@pytest.fixture(scope="module")
def short_log(new_core):
    """Return a venue of a short log with a trade."""
    venue = Venue(new_core)
    client = venue.attach()
    client.list_pair()
    for asset in (1, 2):
        client.deposit(asset, 1_000)
    client.submit(SELL, 10, 5)
    client.submit(BUY, 10, 3)
    return venue


@given(data=st.data())
def test_a_changed_byte_diverges_or_changes_no_result(short_log, data):
    """Commands are covered by the record's checksum; here it is what they give that counts."""
    core = short_log.new_core()
    for body in short_log.bodies[:-1]:
        core.replay(body)
    body = bytearray(short_log.bodies[-1])
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    logged = decode_body(short_log.bodies[-1])
    try:
        replayed = decode_body(core.replay(bytes(body)).body)
    except Diverged:
        return
    assert (replayed.trades, replayed.output_digest) == (logged.trades, logged.output_digest)


def test_bodies_out_of_order_diverge(traded):
    core = traded.new_core()
    core.replay(traded.bodies[0])
    with pytest.raises(Diverged, match="continues at"):
        core.replay(traded.bodies[2])
    with pytest.raises(Diverged, match="continues at"):
        core.replay(traded.bodies[0])


def test_a_body_of_an_earlier_time_diverges(traded):
    core = traded.new_core()
    core.replay(traded.bodies[0])
    with pytest.raises(Diverged, match="time"):
        core.replay(changed(traded.bodies[1], time_ns=decode_body(traded.bodies[0]).time_ns))


def test_the_digest_covers_reports_and_responses_and_the_digest_before(market, client, other):
    other.submit(SELL, 100, 2)
    before = decode_body(market.bodies[-1]).output_digest
    output = market.apply(client.run(SubmitOrder(50, 1, 0, BUY, 2, 1, 100, 2)))
    encode = msgspec.msgpack.encode
    told = {user: decoded(frame)[0].reports for user, *_, frame in output.private}
    (new, taker, *mine), (maker, *theirs) = told[1], told[2]
    bare, response = bodies_of(output.replies[0][1])
    assert bare == encode(taker)
    digest = crc32(b"".join(map(encode, (new, taker, maker))) + response, before)
    accounts = sorted([*mine, *theirs], key=lambda report: (report.asset, -report.available))
    assert len(accounts) == 4
    digests = [crc32(b"".join(map(encode, order)), digest) for order in permutations(accounts)]
    assert decode_body(output.body).output_digest in digests, "accounts in any order"
