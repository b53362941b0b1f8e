"""Balance reports: at the end of a batch each account that it touched, once, as it is then."""

import pytest

from hpe.messages import (
    HOUSE_USER,
    CancelOrder,
    CaptureHold,
    GetBalance,
    LockBalance,
    OrderType,
    Side,
    SubmitOrder,
    TimeInForce,
    Transfer,
    Withdraw,
)

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


def test_a_query_tells_nothing(client):
    found = accounts_told(client.venue, client.run(GetBalance(1, 1)))
    assert found == {}
