"""Listings: ids, symbols, the arithmetic of notional bounds."""

import pytest

from hpe.core.instruments import Instrument, Listings
from hpe.errors import InvariantViolation
from hpe.messages import AMOUNT_MAX, INT_MAX


def pair(number=1, symbol="A/B", base=1, quote=2, *, atoms=1, minimum=0):
    return Instrument(number, symbol, base, quote, 1, atoms, 1, INT_MAX, 1, INT_MAX, minimum)


@pytest.fixture
def listings():
    listings = Listings()
    listings.add_asset("A", 8)
    listings.add_asset("B", 2)
    listings.add_instrument(pair())
    return listings


def test_ids_count_from_one_in_the_order_of_definition(listings):
    assert listings.assets[1].row() == (1, "A", 8)
    assert listings.assets[2].row() == (2, "B", 2)
    assert listings.add_asset("C", 0).asset_id == 3
    listings.check()


def test_things_are_found_by_symbol_and_pair(listings):
    assert listings.asset_named("B") is listings.assets[2]
    assert listings.asset_named("X") is None
    assert listings.instrument_named("A/B") is listings.instruments[1]
    assert listings.instrument_named("B/A") is None
    assert listings.instrument_of_pair(1, 2) is listings.instruments[1]
    assert listings.instrument_of_pair(2, 1) is None


def test_the_first_of_two_instruments_of_a_pair_is_found(listings):
    listings.add_instrument(pair(2, "A/B again"))
    assert listings.instrument_of_pair(1, 2) is listings.instruments[1]


def test_an_id_out_of_order_is_a_bug(listings):
    with pytest.raises(AssertionError):
        listings.add_instrument(pair(3, "later"))


@pytest.mark.parametrize(
    ("price", "quantity", "traded", "admitted"),
    [
        (1, 9, 0, False),
        (1, 10, 0, True),
        (1, AMOUNT_MAX, 0, True),
        (1, AMOUNT_MAX + 1, 0, False),
        (2**31, 2**31, 0, True),
        (2**31, 2**31, 1, False),
        (2**31, 2**30, AMOUNT_MAX // 2, True),
        (INT_MAX, INT_MAX, 0, False),
    ],
)
def test_notional_stays_within_its_bounds(price, quantity, traded, admitted):
    assert pair(minimum=10).admits(price, quantity, traded) is admitted


def test_notional_counts_atoms_per_tick():
    assert pair(atoms=2**32).admits(2**15, 2**15, 0)
    assert not pair(atoms=2**32).admits(2**15, 2**15 + 1, 0)


def test_check_sees_shared_symbols_and_unlisted_assets(listings):
    listings.add_asset("A", 3)
    with pytest.raises(InvariantViolation, match="share a symbol"):
        listings.check()


def test_check_sees_an_instrument_of_nothing(listings):
    listings.add_instrument(pair(2, "A/Z", 1, 26))
    with pytest.raises(InvariantViolation, match="unlisted"):
        listings.check()
