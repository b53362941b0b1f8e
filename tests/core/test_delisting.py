"""Delisting: what nothing uses is removed, with its symbol, its id forever, and its places."""

import pytest

from hpe.core.state.rows import DumpedAccount, DumpedWork
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import Channel, InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.internal import AssetSetting
from hpe.protocol.listings import (
    AddAsset,
    AddInstrument,
    AssetsReply,
    DelistAsset,
    DelistInstrument,
    GetInstrument,
    InstrumentsReply,
    ListAssets,
    ListInstruments,
    ResolveInstrument,
)
from hpe.protocol.market_data import GetOrderbook, Subscribe
from hpe.protocol.money import Deposit, Transfer, Withdraw
from hpe.protocol.operations import SetStatus
from hpe.protocol.orders import CancelOrder, MassCancel
from tests.support.core_driver import settings_of
from tests.support.core_parts import place
from tests.support.dumps import rows_of

BUY, SELL = Side
IN_USE = RejectReason.IN_USE
BAND = CancelReason.BAND
PAIR, BASE, QUOTE = 2, 3, 4


@pytest.fixture
def in_parts(market):
    """Have stops fire one by one without a turn, and fills and ended orders soon forgotten."""
    market.limit(fired=1, stops=0, recent_fills=0, ended_orders=1)


@pytest.fixture
def operator(market):
    """Return somebody who may list, in a market with a second pair that nothing uses."""
    operator = market.attach(90)
    for symbol in ("NEW", "OLD"):
        operator.get_id(AddAsset(operator.next_id(), symbol, 0))
    operator.get_id(AddInstrument(operator.next_id(), "NEW/OLD", BASE, QUOTE))
    return operator


def reason(client, message, *fields, **named):
    return client.ask(message(client.next_id(), *fields, **named)).reason


def delist_pair(operator):
    assert reason(operator, DelistInstrument, PAIR) == 0


def test_what_nothing_uses_is_gone(market, operator):
    delist_pair(operator)
    assert reason(operator, GetOrderbook, PAIR, 5) == RejectReason.UNKNOWN_INSTRUMENT
    assert reason(operator, GetInstrument, PAIR) == RejectReason.UNKNOWN_INSTRUMENT
    assert reason(operator, DelistInstrument, PAIR) == RejectReason.UNKNOWN_INSTRUMENT
    assert reason(operator, DelistAsset, BASE) == 0
    assert reason(operator, DelistAsset, BASE) == RejectReason.UNKNOWN_ASSET
    assert reason(operator, Deposit, BASE, 5) == RejectReason.UNKNOWN_ASSET
    assets = operator.get(AssetsReply, ListAssets(1)).rows
    assert [row[0] for row in assets] == [1, 2, QUOTE]
    assert [row.instrument for row in operator.get(InstrumentsReply, ListInstruments(1)).rows] == [
        1
    ]
    market.check()


def test_an_id_is_never_used_again_and_a_symbol_is(market, operator):
    delist_pair(operator)
    for asset in (BASE, QUOTE):
        assert reason(operator, DelistAsset, asset) == 0
    market.core = market.restored()
    assert operator.get_id(AddAsset(operator.next_id(), "NEW", 3)) == 5
    assert operator.get_id(AddInstrument(operator.next_id(), "NEW/OLD", 5, 1)) == 3
    assert [row[0] for row in operator.get(AssetsReply, ListAssets(1, 2, 5)).rows] == [5]
    market.core.check()


def test_the_next_instrument_of_a_pair_is_what_it_resolves_to(market, operator):
    operator.get_id(AddInstrument(operator.next_id(), "NEW/OLD.2", BASE, QUOTE))
    resolve = ResolveInstrument(operator.next_id(), "NEW", "OLD")
    assert operator.ask(resolve).id == PAIR
    delist_pair(operator)
    assert operator.ask(ResolveInstrument(operator.next_id(), "NEW", "OLD")).id == 3
    market.configure(auto_create=True)
    assert reason(operator, DelistInstrument, 3) == 0
    assert operator.ask(ResolveInstrument(operator.next_id(), "NEW", "OLD")).id == 4
    market.check()


@pytest.mark.parametrize("use", ["order", "stop", "call", "trade", "ended"])
def test_an_instrument_that_something_uses_stays(market, operator, client, other, use):
    for asset in (BASE, QUOTE):
        operator.deposit(asset, 1_000, 1)
        operator.deposit(asset, 1_000, 2)
    if use == "stop":
        place(client, SELL, 0, 1, OrderType.STOP, instrument=PAIR, stop_price=5)
    else:
        place(client, SELL, 100, 5, instrument=PAIR)
    if use == "trade":
        place(other, BUY, 100, 5, instrument=PAIR)
    elif use == "ended":
        client.ask(MassCancel(client.next_id()))
    assert reason(operator, DelistInstrument, PAIR) == IN_USE
    assert client.book(PAIR) is not None
    market.core = market.restored()
    assert reason(operator, DelistInstrument, PAIR) == IN_USE


def test_an_order_that_came_and_went_is_no_use(market, operator, client):
    operator.deposit(BASE, 1_000, 1)
    order = place(client, SELL, 100, 5, instrument=PAIR)
    assert reason(client, CancelOrder, order.order_id) == 101
    delist_pair(operator)
    assert reason(operator, DelistAsset, BASE) == IN_USE
    assert reason(operator, Withdraw, BASE, 1_000, 1) == 0
    assert reason(operator, DelistAsset, BASE) == 0
    market.check()


def test_what_trades_reached_goes_with_the_instrument(in_parts, market, operator, client, other):
    """Stops that a trade reached are taken out in parts; all may be canceled before the last."""
    for user, asset in ((1, BASE), (2, QUOTE), (1, 1), (2, 2)):
        operator.deposit(asset, 1_000, user)
    stops = [
        place(client, SELL, 0, 1, OrderType.STOP, instrument=PAIR, stop_price=100).order_id
        for _ in range(3)
    ]
    other.submit(BUY, 100, 1, instrument=PAIR)
    client.submit(SELL, 100, 1, instrument=PAIR)
    assert reason(operator, SetStatus, PAIR, InstrumentStatus.CANCEL_ONLY) == 0
    for stop in stops:
        client.cancel(stop)
    client.submit(SELL, 100, 1)
    other.submit(BUY, 100, 1)
    delist_pair(operator)
    market.core = market.restored()
    assert not rows_of(market.core, DumpedWork)
    market.core.check()


def test_an_asset_that_a_pair_or_money_needs_stays(market, operator):
    assert reason(operator, DelistAsset, BASE) == IN_USE
    delist_pair(operator)
    operator.deposit(BASE, 5, 1)
    assert reason(operator, DelistAsset, BASE) == IN_USE
    assert reason(operator, Transfer, BASE, 5, 2, 1) == 0
    assert reason(operator, DelistAsset, BASE) == IN_USE
    assert reason(operator, Withdraw, BASE, 5, 2) == 0
    market.core = market.restored()
    before = len(rows_of(market.core, DumpedAccount))
    assert reason(operator, DelistAsset, BASE) == 0
    assert len(rows_of(market.core, DumpedAccount)) == before - 2, "empty accounts went with it"
    assert operator.balance(BASE, 2).reason == RejectReason.UNKNOWN_ASSET
    market.core.check()


def test_delisted_places_are_free(market, operator):
    market.configure(assets_max=4, instruments_max=2)
    assert reason(operator, AddAsset, "X", 0) == RejectReason.TOO_MANY_ASSETS
    assert reason(operator, AddInstrument, "X", 1, 2) == RejectReason.TOO_MANY_INSTRUMENTS
    delist_pair(operator)
    assert reason(operator, DelistAsset, BASE) == 0
    assert reason(operator, AddAsset, "X", 0) == 0
    assert reason(operator, AddInstrument, "X", 1, 2) == 0
    market.check()


def test_a_configured_listing_comes_again_at_the_next_start(market, operator):
    wanted = settings_of(assets=[AssetSetting("NEW", 0)])
    assert market.core.configuration_differences(wanted) is None
    delist_pair(operator)
    assert reason(operator, DelistAsset, BASE) == 0
    market.internal(market.core.configuration_differences(wanted))
    rows = operator.get(AssetsReply, ListAssets(1)).rows
    assert rows[-1] == (5, "NEW", 0)


def test_market_data_of_a_delisted_instrument_ends(market, operator, client):
    """A row of channel 0 says so; what is wanted of it then is wanted in vain."""
    market.wanted = {(PAIR, Channel.LEVELS), (PAIR, Channel.STATUS), (1, Channel.BEST)}
    operator.deposit(BASE, 1_000, 1)
    order = place(client, SELL, 100, 5, instrument=PAIR)
    assert {row[:2] for row in market.market} == {(PAIR, Channel.LEVELS)}
    market.market.clear()
    cancel = client.run(CancelOrder(client.next_id(), order.order_id))
    subscribe = operator.run(Subscribe(1, PAIR, Channel.BEST))
    delist = operator.run(DelistInstrument(operator.next_id(), PAIR))
    output = market.apply(cancel, subscribe, delist)
    asked, delisted = operator.replies(output)
    assert (asked.reason, asked.snapshot) == (RejectReason.UNKNOWN_INSTRUMENT, None)
    assert delisted.reason == 0
    assert (output.market, output.subscribed) == ([(PAIR, 0, b"")], [])
    client.submit(SELL, 100, 5)
    assert {row[:2] for row in market.market} == {(1, Channel.BEST)}
    market.check()


def test_what_is_listed_as_another_goes_is_watched_at_once(market, operator, client):
    """The number of books is the same before and after."""
    market.wanted = {(3, Channel.BEST)}
    delist = DelistInstrument(operator.next_id(), PAIR)
    market.apply(operator.run(delist, AddInstrument(operator.next_id(), "X", 1, 2)))
    place(client, SELL, 100, 5, instrument=3)
    assert {row[:2] for row in market.market} == {(3, Channel.BEST)}


def test_a_call_that_would_end_by_itself_ends_with_its_instrument(market, operator, client, other):
    """An interruption that left no order and no fill: its timer must find nothing to do."""
    terms = {"band_ppm": 100_000, "reference_price": 100, "volatility_interruption": True}
    add = AddInstrument(operator.next_id(), "WILD", 1, 2, interruption_ms=5, **terms)
    wild = operator.get_id(add)
    far = place(other, SELL, 200, 5, instrument=wild)
    assert place(client, BUY, 200, 5, tif=TimeInForce.IOC, instrument=wild).reason == BAND
    assert operator.ask(GetInstrument(1, wild)).status == InstrumentStatus.CALL_AUCTION
    assert reason(operator, DelistInstrument, wild) == IN_USE
    assert reason(other, CancelOrder, far.order_id) == 101
    assert reason(operator, DelistInstrument, wild) == 0
    market.pass_time(10**9)
    market.check()
