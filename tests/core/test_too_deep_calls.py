"""Calls too deep for one query to search: queries are refused, subscribers wait."""

import pytest

from hpe.core.contract import DEFAULT_LIMITS
from hpe.protocol.codes import CALL_TOO_DEEP
from hpe.protocol.control import Error
from hpe.protocol.enums import Channel, InstrumentStatus, Side
from hpe.protocol.listings import GetInstrument, InstrumentReply
from hpe.protocol.market_data import GetOrderbook, OrderbookReply, StatusUpdate
from hpe.protocol.operations import SetStatus, Uncross
from tests.support.core_pit import Pit
from tests.support.market_parts import subscribe, taken

BUY, SELL = Side
LIMITS = DEFAULT_LIMITS._replace(indicative_levels=1, query_effort=32)
"""Of 4 levels queries may find the price, of 5 not; of 2 it is not found with every batch."""

LATER_NS = 10**9


def in_call(new_core, levels):
    """Return a pit in a call in which so many levels cross: an offer, and bids above it."""
    pit = Pit(new_core, LIMITS)
    pit.alice.ask(SetStatus(pit.alice.next_id(), 1, InstrumentStatus.CALL_AUCTION))
    pit.alice.submit(SELL, 100, 2)
    for price in range(101, 100 + levels):
        pit.bob.submit(BUY, price, 1)
    return pit


@pytest.fixture
def deep(new_core):
    return in_call(new_core, 5)


def indicative(told):
    return told.indicative_price, told.indicative_volume, told.indicative_surplus


def status_rows(pit):
    rows = taken(pit.venue).get(Channel.STATUS, [])
    return [indicative(row) for row in rows if isinstance(row, StatusUpdate)]


def test_a_query_of_it_is_busy_and_costs_nothing(deep):
    replies = deep.alice.send(GetInstrument(1, 1), GetInstrument(2, 1), GetOrderbook(3, 1, 9))
    *refused, book = replies
    for reply in refused:
        assert isinstance(reply, Error)
        assert (reply.code, reply.message, reply.retryable) == (*CALL_TOO_DEEP, True)
    assert isinstance(book, OrderbookReply)


def test_a_query_of_the_deepest_that_may_be_is_answered(new_core):
    pit = in_call(new_core, 4)
    assert pit.alice.get(InstrumentReply, GetInstrument(1, 1)).indicative_volume == 2
    pit.alice.submit(SELL, 99, 1)
    assert isinstance(pit.alice.ask(GetInstrument(1, 1)), Error)
    uncrossed = pit.alice.ask(Uncross(pit.alice.next_id(), 1, InstrumentStatus.TRADING))
    assert uncrossed.volume == 3
    assert isinstance(pit.alice.ask(GetInstrument(1, 1)), InstrumentReply), "nothing crosses now"


def test_a_subscriber_is_told_as_soon_as_it_is_quiet(deep):
    snapshot = subscribe(deep.alice, Channel.STATUS).snapshot
    assert snapshot.status == InstrumentStatus.CALL_AUCTION
    assert indicative(snapshot) == (0, 0, 0)
    output = deep.venue.apply()
    assert output.body == b""
    assert not output.late
    (told,) = status_rows(deep)
    uncrossed = deep.alice.ask(Uncross(deep.alice.next_id(), 1, InstrumentStatus.TRADING))
    assert told[:2] == (uncrossed.price, uncrossed.volume)
    assert told[1] == 2
    deep.venue.check()


def test_the_batch_that_subscribes_says_that_it_is_late(deep):
    deep.venue.wanted.add((1, Channel.STATUS))
    deep.bob.submit(BUY, 120, 1)
    assert status_rows(deep) == [], "found for nobody who only asked"
    subscribe(deep.alice, Channel.STATUS)
    assert deep.venue.apply(wait_ns=1).late is False
    assert len(status_rows(deep)) == 1


def test_a_market_that_is_never_quiet_is_told_when_it_is_time(deep):
    subscribe(deep.alice, Channel.STATUS)
    deep.bob.submit(BUY, 120, 1)
    assert status_rows(deep) == []
    deep.venue.pass_time(LATER_NS)
    deep.bob.submit(BUY, 121, 1)
    assert len(status_rows(deep)) == 1


def test_a_second_subscriber_gets_the_same(deep):
    subscribe(deep.alice, Channel.STATUS)
    assert indicative(subscribe(deep.bob, Channel.STATUS).snapshot) == (0, 0, 0)
    deep.venue.apply()
    (told,) = status_rows(deep)
    assert indicative(subscribe(deep.bob, Channel.STATUS).snapshot) == told
