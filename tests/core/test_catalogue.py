"""Listing commands and lists through frames: rejects in their documented order, limits, pages."""

import pytest

from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import Side
from hpe.protocol.limits import INT_MAX
from hpe.protocol.listings import (
    AddAsset,
    AddInstrument,
    AddInstrumentResponse,
    AssetsReply,
    InstrumentsReply,
    ListAssets,
    ListInstruments,
    ResolveInstrument,
)
from tests.support.core_parts import climb

SELL = Side.SELL


def test_add_asset_rejects_a_used_symbol(client):
    duplicate = client.ask(AddAsset(client.next_id(), "BASE", 5))
    assert (duplicate.reason, duplicate.id) == (RejectReason.DUPLICATE_SYMBOL, 0)
    assert client.ask(AddAsset(client.next_id(), "base", 5)).id == 3


def test_add_instrument_rejects_in_the_documented_order(client):
    def add(**fields):
        command = AddInstrument(request_id=client.next_id(), **fields)
        return client.get(AddInstrumentResponse, command)

    wrong = {
        "symbol": "BASE/QUOTE", "base": 9, "quote": 9, "price_min": 5, "price_max": 4,
        "quantity_min": 2, "quantity_max": 1,
    }  # fmt: skip
    added = climb(
        add,
        wrong,
        [
            (RejectReason.INVALID_COMBINATION, {"price_max": 5}),
            (RejectReason.INVALID_COMBINATION, {"quantity_max": 2}),
            (RejectReason.UNKNOWN_ASSET, {"base": 1}),
            (RejectReason.UNKNOWN_ASSET, {"quote": 1}),
            (RejectReason.SAME_ASSET, {"quote": 2}),
            (RejectReason.DUPLICATE_SYMBOL, {"symbol": "again"}),
        ],
    )
    assert (added.reason, added.id) == (0, 2)


def test_listings_end_at_their_limits(market, client):
    market.configure(auto_create=True, assets_max=3, instruments_max=2)

    def reason(message, *fields):
        return client.ask(message(client.next_id(), *fields)).reason

    assert reason(ResolveInstrument, "ONE", "TWO") == RejectReason.TOO_MANY_ASSETS
    assert reason(AddAsset, "ONE", 0) == 0
    assert reason(AddAsset, "BASE", 0) == RejectReason.DUPLICATE_SYMBOL
    assert reason(AddAsset, "TWO", 0) == RejectReason.TOO_MANY_ASSETS
    assert reason(ResolveInstrument, "ONE", "TWO") == RejectReason.TOO_MANY_ASSETS
    assert reason(ResolveInstrument, "ONE", "BASE") == 0
    assert reason(AddInstrument, "BASE/QUOTE", 1, 2) == RejectReason.DUPLICATE_SYMBOL
    assert reason(AddInstrument, "X", 1, 2) == RejectReason.TOO_MANY_INSTRUMENTS
    assert reason(ResolveInstrument, "ONE", "QUOTE") == RejectReason.TOO_MANY_INSTRUMENTS
    assert client.ask(ResolveInstrument(client.next_id(), "BASE", "QUOTE")).id == 1


def test_resolve_finds_and_under_auto_create_makes(market, client):
    def resolve(base, quote):
        response = client.ask(ResolveInstrument(client.next_id(), base, quote))
        return response.reason, response.id

    assert resolve("BASE", "QUOTE") == (0, 1)
    assert resolve("QUOTE", "BASE") == (RejectReason.UNKNOWN_PAIR, 0)
    assert resolve("NEW", "NEW") == (RejectReason.SAME_ASSET, 0)
    assert resolve("NEW", "QUOTE") == (RejectReason.UNKNOWN_PAIR, 0)
    market.configure(auto_create=True)
    assert resolve("NEW", "NEW") == (RejectReason.SAME_ASSET, 0)
    assert resolve("NEW", "QUOTE") == (0, 2)
    assert resolve("NEW", "QUOTE") == (0, 2)
    client.deposit(3, 5)
    assert client.submit(SELL, 1, 5, instrument=2).reason == 0
    assert client.submit(SELL, 1, 5, instrument=3).reason == RejectReason.UNKNOWN_INSTRUMENT


def test_a_pair_whose_symbol_is_taken_makes_nothing(market, client):
    client.get_id(AddInstrument(client.next_id(), "NEW/QUOTE", 1, 2))
    market.configure(auto_create=True)
    response = client.ask(ResolveInstrument(client.next_id(), "NEW", "QUOTE"))
    assert response.reason == RejectReason.DUPLICATE_SYMBOL
    assert client.ask(AddAsset(client.next_id(), "NEW", 0)).id == 3


@pytest.mark.parametrize(
    ("after", "limit", "ids"),
    [(0, 1_000, [1, 2, 3, 4]), (0, 2, [1, 2]), (2, 1, [3]), (3, 5, [4]), (4, 5, []), (99, 5, [])],
)
def test_lists_come_in_pages(market, client, after, limit, ids):
    client.list_pair()
    reply = client.get(AssetsReply, ListAssets(1, after, limit))
    assert [row[0] for row in reply.rows] == ids
    instruments = client.get(InstrumentsReply, ListInstruments(1, after, limit))
    assert [row.instrument for row in instruments.rows] == [n for n in ids if n <= 2]


def test_rows_say_everything(client):
    row = client.get(InstrumentsReply, ListInstruments(1)).rows[0]
    assert (row.symbol, row.base, row.quote, row.price_max) == ("BASE/QUOTE", 1, 2, INT_MAX)
    assert client.get(AssetsReply, ListAssets(1)).rows[1] == (2, "QUOTE", 2)


@pytest.mark.parametrize(
    "limits", [{"price_min": 5, "price_max": 4}, {"quantity_min": 2, "quantity_max": 1}]
)
def test_an_instrument_whose_minimum_is_above_its_maximum(client, limits):
    command = AddInstrument(client.next_id(), "X", 1, 2, **limits)
    assert client.ask(command).reason == RejectReason.INVALID_COMBINATION
