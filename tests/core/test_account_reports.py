"""Balance reports: at the end of a batch, one for each account that it changed."""

from zlib import crc32

import msgspec
import pytest

from hpe.core.codec import decode_body
from hpe.core.state.rows import DumpedAccount
from hpe.protocol.enums import OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.limits import HOUSE_USER
from hpe.protocol.listings import AddAsset, DelistAsset
from hpe.protocol.money import (
    CaptureHold,
    GetBalance,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)
from hpe.protocol.orders import CancelOrder, SubmitOrder
from tests.support.core_driver import decoded
from tests.support.dumps import rows_of

LIMIT, GTC = OrderType.LIMIT, TimeInForce.GTC


def accounts_told(venue, *runs):
    """Return (user, asset) of the accounts that a batch reports, and the reports."""
    before = {user: len(told) for user, told in venue.balances.items()}
    venue.apply(*runs)
    found = {
        (user, report.asset): report
        for user, told in venue.balances.items()
        for report in told[before.get(user, 0) :]
    }
    assert len(found) == sum(len(t) - before.get(u, 0) for u, t in venue.balances.items())
    return found


def amounts(report):
    return report.available, report.reserved, report.held, report.named


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (Withdraw(9, 1, 10), {(1, 1): (999_990, 0, 0, 0)}),
        (LockBalance(9, 1, 10), {(1, 1): (999_990, 0, 10, 0)}),
        (LockBalance(9, 2, 10, 0, 4), {(1, 2): (999_990, 0, 10, 10)}),
        (Transfer(9, 1, 10, 2), {(1, 1): (999_990, 0, 0, 0), (2, 1): (1_000_010, 0, 0, 0)}),
        (Transfer(9, 1, 10, HOUSE_USER), {(1, 1): (999_990, 0, 0, 0)}),
        (SubmitOrder(9, 1, 0, Side.BUY, LIMIT, GTC, 7, 2), {(1, 2): (999_986, 14, 0, 0)}),
        (SubmitOrder(9, 1, 0, Side.SELL, LIMIT, GTC, 7, 2), {(1, 1): (999_998, 2, 0, 0)}),
    ],
)
def test_each_account_that_a_command_changed_is_told_as_it_is(client, other, command, expected):
    venue = client.venue
    found = accounts_told(venue, client.run(command))
    assert {key: amounts(report) for key, report in found.items()} == expected
    heads = {(r.sequence, r.time_ns, r.request_id, r.flags) for r in found.values()}
    assert heads == {(venue.core.last_sequence, venue.time_ns, 0, 0)}


def test_a_trade_tells_all_four_accounts(client, other):
    other.submit(Side.SELL, 7, 2)
    found = accounts_told(client.venue, client.run(SubmitOrder(9, 1, 0, 1, LIMIT, GTC, 7, 2)))
    assert {key: report.available for key, report in found.items()} == {
        (1, 1): 1_000_002,
        (1, 2): 999_986,
        (2, 1): 999_998,
        (2, 2): 1_000_014,
    }


def test_capture_tells_both_sides_and_expiry_the_owner(client, other):
    client.ask(LockBalance(client.next_id(), 1, 100, 0, 7, client.venue.time_ns + 50))
    capture = CaptureHold(client.next_id(), 7, 30, other.user)
    found = accounts_told(client.venue, client.run(capture))
    assert {key: amounts(report) for key, report in found.items()} == {
        (1, 1): (999_900, 0, 70, 70),
        (2, 1): (1_000_030, 0, 0, 0),
    }
    before = len(client.venue.balances[1])
    client.venue.pass_time(50)
    (expired,) = client.venue.balances[1][before:]
    assert amounts(expired) == (999_970, 0, 0, 0)


def test_many_changes_of_a_batch_are_told_once_and_last(client, other):
    venue = client.venue
    commands = [SubmitOrder(50 + n, 1, 0, 1, LIMIT, GTC, 7, 1) for n in range(5)]
    commands.append(CancelOrder(60, 1))
    found = accounts_told(venue, client.run(*commands))
    assert found.keys() == {(1, 2)}
    report = found[1, 2]
    assert amounts(report) == (999_972, 28, 0, 0)
    assert report.sequence == venue.core.last_sequence
    assert report.private_sequence > venue.private[1][-1].private_sequence
    venue.check()


def test_fees_of_the_house_are_told_to_nobody(market, client, other):
    venue = client.venue
    instrument = client.list_pair(maker_fee_ppm=10_000, taker_fee_ppm=20_000)
    client.deposit(3, 1_000)
    other.deposit(4, 1_000_000)
    client.submit(Side.SELL, 1_000, 100, instrument=instrument)
    other.submit(Side.BUY, 1_000, 100, instrument=instrument)
    assert client.balance(4, HOUSE_USER).available == 3_000
    assert HOUSE_USER not in {*venue.balances, *venue.private}


@pytest.mark.parametrize("self_trade", [SelfTrade.CANCEL_MAKER, SelfTrade.DECREMENT])
def test_only_a_trade_opens_an_account_of_the_house(client, self_trade):
    instrument = client.list_pair(maker_fee_ppm=10_000, taker_fee_ppm=20_000, self_trade=self_trade)
    client.deposit(3, 1_000)
    client.deposit(4, 1_000_000)
    client.submit(Side.SELL, 1_000, 100, instrument=instrument)
    client.submit(Side.BUY, 1_000, 100, instrument=instrument)
    rows = rows_of(client.venue.core, DumpedAccount)
    assert [row.asset for row in rows if row.user == HOUSE_USER] == []


def test_a_query_tells_nothing(client):
    found = accounts_told(client.venue, client.run(GetBalance(1, 1)))
    assert found == {}


IOC = TimeInForce.IOC


@pytest.mark.parametrize(
    "commands",
    [
        [LockBalance(9, 1, 10), UnlockBalance(10, 1, 10)],
        [LockBalance(9, 1, 10, 0, 4), ReleaseHold(10, 4, 10)],
        [LockBalance(9, 1, 10, 0, 4), CaptureHold(10, 4, 10, 1)],
        [Transfer(9, 1, 10, 1)],
        [SubmitOrder(9, 1, 0, Side.BUY, LIMIT, GTC, 7, 2), CancelOrder(10, 1)],
        [SubmitOrder(9, 1, 0, Side.BUY, LIMIT, IOC, 7, 2)],
        [SubmitOrder(9, 1, 5, Side.SELL, OrderType.MARKET, IOC, 0, 2)],
    ],
    ids=["unlocked", "released", "captured", "paid to oneself", "canceled", "ioc", "market"],
)
def test_an_account_that_ends_as_it_was_is_not_told(client, other, commands):
    venue = client.venue
    before = venue.core.last_sequence
    found = accounts_told(venue, client.run(*commands))
    assert venue.core.last_sequence == before + len(commands)
    assert found == {}


def test_money_that_goes_there_and_back_is_not_told(client, other):
    there, back = Transfer(9, 1, 10, 2), Transfer(9, 1, 10, 1)
    assert accounts_told(client.venue, client.run(there), other.run(back)) == {}
    again = Transfer(10, 2, 10, 1)
    found = accounts_told(client.venue, client.run(Transfer(10, 1, 10, 2)), other.run(again))
    assert found.keys() == {(1, 1), (1, 2), (2, 1), (2, 2)}


def test_what_differs_is_looked_at_anew_in_every_body(client):
    venue = client.venue
    assert accounts_told(venue, client.run(LockBalance(9, 1, 10))).keys() == {(1, 1)}
    assert accounts_told(venue, client.run(UnlockBalance(10, 1, 10))).keys() == {(1, 1)}
    money = accounts_told(venue, client.run(LockBalance(11, 1, 10)))
    assert amounts(money[1, 1]) == (999_990, 0, 10, 0)
    named = accounts_told(venue, client.run(UnlockBalance(12, 1, 10), LockBalance(13, 1, 10, 0, 4)))
    assert amounts(named[1, 1]) == (999_990, 0, 10, 10)  # named alone has changed


def test_a_loaded_core_compares_with_what_was_dumped(client):
    venue = client.venue
    client.ask(LockBalance(9, 1, 10, 0, 4))
    venue.core = venue.restored()
    changes = (ReleaseHold(10, 4, 10), LockBalance(11, 1, 10, 0, 5))
    assert accounts_told(venue, client.run(*changes)) == {}
    found = accounts_told(venue, client.run(ReleaseHold(12, 5, 10)))
    assert amounts(found[1, 1]) == (1_000_000, 0, 0, 0)


def test_what_time_did_counts(client):
    venue = client.venue
    client.ask(LockBalance(client.next_id(), 1, 100, 0, 7, venue.time_ns + 50))
    before = len(venue.balances[1])
    venue.apply(client.run(LockBalance(client.next_id(), 1, 100, 0, 8)), wait_ns=50)
    assert len(venue.balances[1]) == before  # 100 came back, and 100 are held again
    venue.apply(client.run(GetBalance(client.next_id(), 1)), wait_ns=50)
    assert len(venue.balances[1]) == before
    client.ask(LockBalance(client.next_id(), 1, 100, 0, 9, venue.time_ns + 50))
    before = len(venue.balances[1])
    venue.apply(client.run(LockBalance(client.next_id(), 2, 1, 0, 10)), wait_ns=50)
    told = [(report.asset, *amounts(report)) for report in venue.balances[1][before:]]
    assert told == [(1, 999_900, 0, 100, 100), (2, 999_999, 0, 1, 1)]


def test_an_account_that_is_gone_is_told_empty(client):
    venue = client.venue
    asset = client.get_id(AddAsset(client.next_id(), "ONE", 0))
    client.deposit(asset, 10)
    run = client.run(Withdraw(client.next_id(), asset, 10), DelistAsset(client.next_id(), asset))
    found = accounts_told(venue, run)
    assert {key: amounts(report) for key, report in found.items()} == {(1, asset): (0, 0, 0, 0)}
    asset = client.get_id(AddAsset(client.next_id(), "TWO", 0))
    client.deposit(asset, 10)
    client.ask(Withdraw(client.next_id(), asset, 10))
    assert accounts_told(venue, client.run(DelistAsset(client.next_id(), asset))) == {}


def test_an_account_that_comes_into_being_empty_is_not_told(client, other):
    third = client.venue.attach(3)
    third.deposit(2, 100)
    found = accounts_told(client.venue, third.run(SubmitOrder(9, 1, 0, Side.BUY, LIMIT, GTC, 1, 1)))
    assert found.keys() == {(3, 2)}


def test_reports_of_accounts_stand_behind_all_others_by_user_and_asset(client, other):
    """The output digest is the order over all users: theirs alone is seen in each stream."""
    venue, digest = client.venue, decode_body(client.venue.bodies[-1]).output_digest
    first = SubmitOrder(9, 1, 0, Side.SELL, LIMIT, GTC, 7, 2)
    second = SubmitOrder(9, 1, 0, Side.BUY, LIMIT, GTC, 7, 2)
    before = {user: (len(venue.private[user]), len(venue.balances[user])) for user in (1, 2)}
    output = venue.apply(other.run(first), client.run(second))
    sold, bought = (dict(output.replies)[each.attach_number] for each in (other, client))
    told = {user: venue.private[user][count:] for user, (count, _) in before.items()}
    accounts = {user: venue.balances[user][count:] for user, (_, count) in before.items()}
    assert [[report.asset for report in accounts[user]] for user in (1, 2)] == [[1, 2], [1, 2]]
    for user in (1, 2):
        numbers = [report.private_sequence for report in (*told[user], *accounts[user])]
        assert numbers == sorted(numbers)
    (sell_new, sell_fill), (buy_new, buy_fill) = told[2], told[1]
    digested = [
        sell_new, decoded(sold)[-1], buy_new, buy_fill, sell_fill, decoded(bought)[-1],
        *accounts[1], *accounts[2],
    ]  # fmt: skip
    expected = crc32(b"".join(map(msgspec.msgpack.encode, digested)), digest)
    assert decode_body(output.body).output_digest == expected


def test_private_rows_are_ordered_by_user(client, other):
    runs = (other.run(LockBalance(9, 2, 1)), client.run(LockBalance(9, 2, 1)))
    output = client.venue.apply(*runs)
    assert [user for user, *_ in output.private] == [1, 2]
