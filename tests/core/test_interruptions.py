"""Interruptions that end by themselves: when they do, after dumps and under `configure`."""

import pytest
from msgspec.structs import replace

from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.internal import InstrumentSetting
from hpe.protocol.listings import AddInstrument, GetInstrument, InstrumentReply
from hpe.protocol.operations import SetStatus
from tests.support.core_parts import place

BUY, SELL = Side
TRADING, CALL = InstrumentStatus.TRADING, InstrumentStatus.CALL_AUCTION
SECOND_NS = 10**9

BANDED = {
    "band_ppm": 50_000,
    "reference_price": 100,
    "volatility_interruption": True,
    "interruption_ms": 1_000,
}
SETTING = InstrumentSetting("C2", "BASE", "QUOTE", 1, 1, 1, 10**9, 1, 10**9, 0, **BANDED)


@pytest.fixture
def pairs(market, client):
    """List two instruments that an order outside their band interrupts for a second."""
    return [
        client.get_id(AddInstrument(client.next_id(), symbol, 1, 2, **BANDED))
        for symbol in ("C2", "C3")
    ]


def interrupt(client, other, pair):
    """Begin a call that would trade 1 at 120, and return the time at which it will end."""
    other.submit(SELL, 120, 1, instrument=pair)
    client.submit(BUY, 120, 1, instrument=pair)
    due_ns = client.venue.time_ns + SECOND_NS
    assert status(client, pair) == CALL
    return due_ns


def status(client, pair):
    return client.get(InstrumentReply, GetInstrument(1, pair)).status


def test_the_core_says_when_it_ends(market, client, other, pairs):
    due_ns = interrupt(client, other, pairs[0])
    for core in (market.core, market.restored(), market.replayed()):
        assert core.next_due_ns == due_ns
        core.check()
    market.pass_time(due_ns - 2 - market.time_ns)
    assert (market.core.next_due_ns, status(client, pairs[0])) == (due_ns, CALL)
    market.pass_time(1)
    assert (market.core.next_due_ns, status(client, pairs[0])) == (0, TRADING)
    market.check()


def test_a_core_that_loaded_a_dump_ends_it_alike(market, client, other, pairs):
    interrupt(client, other, pairs[0])
    market.core = market.restored()
    market.pass_time(SECOND_NS)
    assert status(client, pairs[0]) == TRADING
    assert client.get(InstrumentReply, GetInstrument(1, pairs[0])).last_price == 120
    market.check()


def test_each_ends_in_a_command_of_its_own(market, client, other, pairs):
    for pair in reversed(pairs):
        interrupt(client, other, pair)
    before = market.core.last_sequence
    market.pass_time(SECOND_NS)
    assert [status(client, pair) for pair in pairs] == [TRADING, TRADING]
    assert market.core.last_sequence == before + len(pairs) + 1  # and the tick
    fills = [report for report in market.private[1] if report.request_id == 0]
    assert [report.sequence for report in fills[-2:]] == [before + 1, before + 2]
    assert [report.instrument for report in fills[-2:]] == pairs
    market.check()


def test_a_changed_time_is_that_of_the_next_one(market, client, other, pairs):
    interrupt(client, other, pairs[0])
    market.configure(instruments=[replace(SETTING, interruption_ms=5)])
    market.pass_time(SECOND_NS // 2)
    assert status(client, pairs[0]) == CALL
    market.pass_time(SECOND_NS // 2)
    assert status(client, pairs[0]) == TRADING
    other.submit(SELL, 150, 1, instrument=pairs[0])
    client.submit(BUY, 150, 1, instrument=pairs[0])
    assert status(client, pairs[0]) == CALL
    market.pass_time(5_000_000)
    assert status(client, pairs[0]) == TRADING
    market.check()


def test_an_operator_may_take_over_a_call_whose_end_waits_for_stops(market, client, other, pairs):
    market.limit(stops=1)
    for price in (104, 120):
        other.submit(SELL, price, 1, instrument=pairs[0])
    for _ in range(8):
        place(client, BUY, 125, 1, OrderType.STOP_LIMIT, instrument=pairs[0], stop_price=104)
    client.submit(BUY, 125, 2, instrument=pairs[0])
    assert (status(client, pairs[0]), market.core.next_due_ns) == (CALL, 1)
    market.pass_time(SECOND_NS)  # stops have their turns, more wait
    client.ask(SetStatus(client.next_id(), pairs[0], CALL))
    for _ in range(8):
        market.pass_time(1)
    assert (status(client, pairs[0]), market.core.next_due_ns) == (CALL, 0)


def test_an_order_that_cannot_rest_begins_it_too(market, client, other, pairs):
    other.submit(SELL, 120, 1, instrument=pairs[0])
    place(client, BUY, 120, 1, tif=TimeInForce.IOC, instrument=pairs[0])
    assert status(client, pairs[0]) == CALL
    market.pass_time(SECOND_NS)
    assert status(client, pairs[0]) == TRADING
    assert client.get(InstrumentReply, GetInstrument(1, pairs[0])).last_price == 0
