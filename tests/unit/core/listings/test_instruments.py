"""Listings: ids, symbols, and what a pair is made of."""

import pytest

from hpe.core.context.holders import NOBODY
from hpe.core.listings.instruments import Listings
from hpe.errors import InvariantViolation
from tests.unit.core.parts import new_instrument


@pytest.fixture
def listings():
    listings = Listings()
    add_asset(listings, "A", 8)
    add_asset(listings, "B", 2)
    listings.list_instrument(new_instrument(), 0, NOBODY)
    return listings


def add_asset(listings, symbol, decimals):
    return listings.add_asset(symbol, decimals, 0, NOBODY)


def test_ids_count_from_one_in_the_order_of_definition(listings):
    assert listings.assets[1].row() == (1, "A", 8)
    assert listings.assets[2].row() == (2, "B", 2)
    assert add_asset(listings, "C", 0).asset_id == 3
    listings.check()


def test_things_are_found_by_symbol_and_pair(listings):
    assert listings.asset_named("B") is listings.assets[2]
    assert listings.asset_named("X") is None
    assert listings.instrument_named("A/B") is listings.instruments[1]
    assert listings.instrument_named("B/A") is None
    assert listings.instrument_of_pair(1, 2) is listings.instruments[1]
    assert listings.instrument_of_pair(2, 1) is None


def test_the_first_of_two_instruments_of_a_pair_is_found(listings):
    listings.list_instrument(new_instrument(2, "A/B again"), 0, NOBODY)
    assert listings.instrument_of_pair(1, 2) is listings.instruments[1]


def test_an_id_out_of_order_is_a_bug(listings):
    with pytest.raises(AssertionError):
        listings.list_instrument(new_instrument(1, "earlier"), 0, NOBODY)


def test_check_sees_shared_symbols_and_unlisted_assets(listings):
    add_asset(listings, "A", 3)
    with pytest.raises(InvariantViolation, match="share a symbol"):
        listings.check()


def test_check_sees_an_instrument_of_nothing(listings):
    listings.list_instrument(new_instrument(2, "A/Z", quote=26), 0, NOBODY)
    with pytest.raises(InvariantViolation, match="unlisted"):
        listings.check()
