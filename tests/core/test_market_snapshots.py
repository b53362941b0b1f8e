"""Snapshots: what a subscriber begins with, after its whole batch, and what it does not show."""

import pytest

from hpe.protocol.codes import ErrorCode, RejectReason
from hpe.protocol.control import Error
from hpe.protocol.enums import Channel, InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.limits import SNAPSHOT_ORDERS_MAX
from hpe.protocol.market_data import GetOrderbook, OrderbookReply, Subscribe, Subscribed
from hpe.protocol.orders import CancelOrder, SubmitOrder
from tests.support.market_parts import checksum, subscribe

BUY, SELL = Side.BUY, Side.SELL
LIMIT, GTC = OrderType.LIMIT, TimeInForce.GTC
BEST, LEVELS, ORDERS = Channel.BEST, Channel.LEVELS, Channel.ORDERS
TRADES, STATUS = Channel.TRADES, Channel.STATUS
CROWD = SNAPSHOT_ORDERS_MAX - 1


def test_a_snapshot_shows_what_follows_in_its_batch_too(client):
    order = SubmitOrder(50, 1, 0, BUY, LIMIT, GTC, 100, 5)
    output = client.venue.apply(client.run(Subscribe(49, 1, LEVELS), order, Subscribe(51, 1, BEST)))
    first, response, second = client.replies(output)
    assert (first.request_id, second.request_id) == (49, 51)
    assert first.sequence == second.sequence == response.sequence
    assert first.snapshot.bids == [(100, 5, 1)]
    assert (first.snapshot.first, first.snapshot.last) == (0, 1)
    assert second.snapshot.bid_price == 100
    connection = client.attach_number
    assert output.subscribed == [(connection, 49, 1, LEVELS), (connection, 51, 1, BEST)]


def test_a_snapshot_of_an_unknown_instrument(client):
    answer = subscribe(client, LEVELS, instrument=9)
    assert (answer.reason, answer.snapshot) == (RejectReason.UNKNOWN_INSTRUMENT, None)
    assert (answer.more_bids, answer.more_asks) == (False, False)
    assert client.venue.subscribed == []


@pytest.mark.parametrize("channel", [LEVELS, ORDERS])
def test_a_snapshot_of_some_levels_says_that_there_are_more(client, channel):
    for price in (100, 99, 98):
        client.submit(BUY, price, 5)
    client.submit(SELL, 110, 5)
    answer = subscribe(client, channel, depth=2)
    assert (answer.more_bids, answer.more_asks) == (True, False)
    shown = [row[0] if channel is LEVELS else row[1] for row in answer.snapshot.bids]
    assert shown == [100, 99]
    assert answer.snapshot.checksum == checksum([(100, 5), (99, 5), (98, 5)], [(110, 5)])
    answer = subscribe(client, channel, depth=3)
    assert (answer.more_bids, answer.more_asks) == (False, False)


@pytest.fixture
def crowded(client):
    """Return a client of a book with 9,999 orders at one price, then 2, then 1."""
    client.deposit(2, 10**9)
    client.venue.configure(open_orders_per_user_max=100_000)
    for price, count, start in ((100, CROWD, 100), (99, 2, 50_000), (98, 1, 60_000)):
        orders = [SubmitOrder(start + n, 1, 0, BUY, LIMIT, GTC, price, 1) for n in range(count)]
        for first in range(0, count, 4_000):
            client.venue.apply(client.run(*orders[first : first + 4_000]))
    return client


def test_a_snapshot_of_orders_has_whole_levels_alone(crowded):
    answer = subscribe(crowded, ORDERS)
    assert len(answer.snapshot.bids) == SNAPSHOT_ORDERS_MAX - 1
    assert {price for _, price, _ in answer.snapshot.bids} == {100}
    assert (answer.more_bids, answer.more_asks) == (True, False)
    crowded.ask(CancelOrder(99_999, answer.snapshot.bids[0][0]))
    assert len(subscribe(crowded, ORDERS).snapshot.bids) == SNAPSHOT_ORDERS_MAX


def test_snapshots_of_one_batch_are_bounded_and_copies_cost_an_eighth(crowded):
    """65,536 rows is what queries may cost a batch; the one that passes it is the last."""
    crowded.venue.wanted.add((1, ORDERS))
    different = [Subscribe(900 + depth, 1, ORDERS, depth) for depth in range(1, 9)]
    answers = crowded.send(*different)
    assert [type(answer) for answer in answers] == [Subscribed] * 7 + [Error]
    assert answers[7].code == ErrorCode.BUSY
    copies = [Subscribe(1_000 + n, 1, ORDERS) for n in range(50)]
    answers = crowded.send(*copies)
    assert [type(answer) for answer in answers] == [Subscribed] * 46 + [Error] * 4
    assert [answer.request_id for answer in answers] == list(range(1_000, 1_050))
    assert all(answer.snapshot == answers[0].snapshot for answer in answers[:46])


def test_levels_that_are_shown_count_too(client):
    for price in range(1, 501):
        client.submit(BUY, price, 1)
    asked = [GetOrderbook(2_000 + n, 1, 1_000) for n in range(140)]
    answers = client.send(*asked)
    assert [type(answer) for answer in answers] == [OrderbookReply] * 132 + [Error] * 8
    assert {answer.code for answer in answers[132:]} == {ErrorCode.BUSY}


def test_the_snapshot_of_an_empty_book(client):
    empty = subscribe(client, LEVELS)
    assert (empty.snapshot.bids, empty.snapshot.asks, empty.snapshot.last) == ([], [], 0)
    assert empty.snapshot.checksum == checksum()
    assert subscribe(client, BEST).snapshot.bid_price == 0
    trades = subscribe(client, TRADES).snapshot
    assert (trades.previous_trade_id, trades.trades) == (0, [])
    assert subscribe(client, STATUS).snapshot.status == InstrumentStatus.TRADING
