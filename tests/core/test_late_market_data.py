"""Deep calls: when the indicative price is late, how it is made up for, what queries cost."""

import pytest

from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.enums import Channel, InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.listings import AddInstrument, GetInstrument, InstrumentReply
from hpe.protocol.market_data import StatusUpdate, Subscribe, Subscribed
from hpe.protocol.operations import SetStatus
from hpe.protocol.orders import CancelOrder, SubmitOrder
from tests.support.market_parts import subscribe, taken

BUY, SELL = Side
STATUS = Channel.STATUS
LEVELS = 1_200
SECOND_NS = 10**9


@pytest.fixture
def deep(market, client, other):
    """Return the venue with a call in which more levels cross than are searched for every batch."""
    return deepened(market, client, other, 1)


def deepened(market, client, other, instrument):
    client.deposit(2, 10**9)
    client.ask(SetStatus(client.next_id(), instrument, InstrumentStatus.CALL_AUCTION))
    bids = [bid(client, instrument, price) for price in range(100, 100 + LEVELS)]
    for start in range(0, LEVELS, 500):
        market.apply(client.run(*bids[start : start + 500]))
    other.submit(SELL, 100, 5, instrument=instrument)
    return market


def bid(client, instrument, price):
    limit, gtc = OrderType.LIMIT, TimeInForce.GTC
    return SubmitOrder(client.next_id(), instrument, 0, BUY, limit, gtc, price, 1)


def fields(told):
    return told.indicative_price, told.indicative_volume, told.indicative_surplus


def now(client, instrument=1):
    """What an uncross would do now."""
    return fields(client.get(InstrumentReply, GetInstrument(1, instrument)))


def quiet(venue):
    """Apply a batch without runs, which logs nothing and changes nothing."""
    before = venue.core.last_sequence, venue.core.last_time_ns, venue.core.state_hash()
    output = venue.apply()
    assert (output.body, output.replies, output.private) == (b"", [], [])
    assert (venue.core.last_sequence, venue.core.last_time_ns, venue.core.state_hash()) == before
    return output


def status_rows(venue):
    return [update for update in taken(venue).get(STATUS, []) if isinstance(update, StatusUpdate)]


def test_what_is_late_behind_a_burst_is_made_up_for_when_it_is_quiet(deep, client, other):
    told = fields(subscribe(client, STATUS).snapshot)
    other.submit(SELL, 100, 50)
    assert now(client) != told
    taken(deep)
    output = deep.apply(other.run(SubmitOrder(other.next_id(), 1, 0, SELL, 2, 1, 100, 3)))
    assert output.late
    assert not status_rows(deep)
    output = quiet(deep)
    assert not output.late
    (update,) = status_rows(deep)
    assert update.time_ns == deep.time_ns
    assert fields(update) == now(client)
    assert not quiet(deep).market
    deep.check()


def test_nothing_is_late_where_few_levels_cross(market, client, other):
    client.ask(SetStatus(client.next_id(), 1, InstrumentStatus.CALL_AUCTION))
    subscribe(client, STATUS)
    market.apply(client.run(*[bid(client, 1, price) for price in range(100, 110)]))
    output = market.apply(other.run(SubmitOrder(other.next_id(), 1, 0, SELL, 2, 1, 100, 3)))
    assert not output.late
    assert fields(status_rows(market)[-1]) == now(client)
    assert not quiet(market).market


def test_nothing_is_late_that_nobody_wants_or_outside_of_a_call(deep, client, other):
    def trade():
        return deep.apply(other.run(SubmitOrder(other.next_id(), 1, 0, SELL, 2, 1, 100, 3)))

    assert not trade().late
    subscribe(client, STATUS)
    trade()
    assert trade().late
    deep.wanted.clear()
    assert not quiet(deep).late
    assert not trade().late


def test_of_many_that_are_late_each_quiet_batch_makes_up_for_some(deep, client, other):
    deep.limit(made_up_levels=1)
    second = client.get_id(AddInstrument(client.next_id(), "SECOND", 1, 2))
    deepened(deep, client, other, second)
    for instrument in (1, second):
        subscribe(client, STATUS, instrument=instrument)
    for _ in range(2):
        for instrument in (1, second):
            other.submit(SELL, 100, 9, instrument=instrument)
    taken(deep)
    assert [quiet(deep).late, quiet(deep).late] == [True, False]
    rows = status_rows(deep)
    assert sorted(row.instrument for row in rows) == [1, second]
    assert [fields(row) for row in rows] == [now(client, row.instrument) for row in rows]


def test_though_nothing_of_the_book_changes_the_next_batch_finds_it_when_it_is_time(
    deep, client, other
):
    subscribe(client, STATUS)
    for _ in range(2):
        other.submit(SELL, 100, 9)
    taken(deep)
    deep.pass_time(SECOND_NS)
    assert fields(status_rows(deep)[-1]) == now(client)
    assert not quiet(deep).market


def test_a_deep_call_is_not_searched_for_every_batch(deep, client, other):
    subscribe(client, STATUS)
    deep.pass_time(SECOND_NS)
    taken(deep)
    other.submit(SELL, 100, 5)
    assert status_rows(deep), "long ago"
    other.submit(SELL, 100, 5)
    assert not status_rows(deep), "just found"


def test_a_subscriber_gets_what_the_others_got_while_it_is_late(deep, client, other):
    told = subscribe(client, STATUS).snapshot
    for _ in range(2):
        other.submit(SELL, 100, 9)
    later = subscribe(other, STATUS).snapshot
    rows = status_rows(deep)
    assert fields(later) == fields(rows[-1] if rows else told)
    quiet(deep)
    assert fields(status_rows(deep)[-1]) == now(client)


def test_a_deep_call_fills_a_batch_with_few_questions(deep, client):
    asks = [GetInstrument(number, 1) for number in range(1, 20)]
    replies = client.replies(deep.apply(client.run(*asks)))
    answered = [reply for reply in replies if isinstance(reply, InstrumentReply)]
    assert 1 < len(answered) < 10
    refused = replies[len(answered) :]
    assert {type(reply) for reply in refused} == {Error}
    assert {reply.code for reply in refused} == {ErrorCode.BUSY}


def test_a_snapshot_of_its_status_costs_as_much_until_somebody_follows_it(deep, client):
    def answered(channel):
        asks = [GetInstrument(number, 1) for number in range(3, 20)]
        first = Subscribe(2, 1, channel, 1)
        replies = client.replies(deep.apply(client.run(first, *asks)))
        assert isinstance(replies[0], Subscribed)
        return sum(isinstance(reply, InstrumentReply) for reply in replies)

    without = answered(Channel.TRADES)
    assert answered(STATUS) == without - 1
    deep.wanted.add((1, STATUS))
    assert answered(STATUS) == without - 1, "wanted with this batch: who asks first pays"
    assert answered(STATUS) == without, "somebody follows it"


def test_a_price_put_off_in_a_deep_call_is_found_when_the_call_is_deep_no_more(
    market, client, other
):
    market.limit(query_effort=16, indicative_levels=0, indicative_ns_per_level=SECOND_NS)
    client.deposit(2, 10**6)
    other.deposit(1, 10**3)
    client.ask(SetStatus(client.next_id(), 1, InstrumentStatus.CALL_AUCTION))
    other.submit(SELL, 100, 1)
    bids = [client.submit(BUY, price, 1).order_id for price in (100, 101, 102)]
    assert fields(subscribe(client, STATUS).snapshot) == (0, 0, 0)  # too deep for a query
    for order_id in bids[1:]:
        output = market.apply(client.run(CancelOrder(client.next_id(), order_id)))
    assert now(client) == (100, 1, 0)
    assert output.late
