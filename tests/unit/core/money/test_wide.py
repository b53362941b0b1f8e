"""Wide products at the ends of their ranges: exact or refused, and within the stated bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.core.money.wide import (
    Budget,
    band,
    base_atoms,
    checked_notional,
    middle,
    notional,
    slices,
    ticks_paid_by,
    trail_trigger,
    worst_fee,
)
from hpe.protocol.enums import Side
from hpe.protocol.limits import AMOUNT_MAX, INT_MAX, PPM
from tests.unit.core.parts import new_book, new_stop

BUY, SELL = Side
fields = st.integers(0, INT_MAX) | st.sampled_from([0, 1, 2**31, AMOUNT_MAX, INT_MAX])
atoms = st.integers(1, AMOUNT_MAX) | st.sampled_from([1, 10, AMOUNT_MAX])


@given(fields, fields, atoms)
def test_a_notional_is_exact_or_refused(price, lots, per_tick):
    exact = price * lots * per_tick
    found = checked_notional(price, lots, per_tick)
    assert found == (exact if exact <= AMOUNT_MAX else None)
    if found is not None:
        assert notional(price, lots, per_tick) == found


@given(fields, st.integers(0, PPM))
def test_a_band_stays_among_the_prices(reference, parts):
    low, high = band(reference, parts)
    assert 0 <= low <= reference <= high <= INT_MAX


@pytest.mark.parametrize(
    ("price", "trail", "sign", "trigger"),
    [
        (INT_MAX, INT_MAX, 1, 0),
        (INT_MAX, 1, 1, 0),
        (INT_MAX - 1, 1, 1, INT_MAX),
        (1, 1, -1, 0),
        (1, INT_MAX, -1, 0),
        (INT_MAX, INT_MAX - 1, -1, 1),
    ],
)
def test_a_trail_that_leaves_the_prices_has_no_trigger(price, trail, sign, trigger):
    assert trail_trigger(price, trail, sign) == trigger


def test_the_largest_of_everything_is_within_128_bits():
    assert base_atoms(INT_MAX, AMOUNT_MAX) < 2**127
    assert middle(INT_MAX - 1, INT_MAX) == INT_MAX - 1
    assert worst_fee(AMOUNT_MAX, PPM - 1) < INT_MAX - AMOUNT_MAX + 1
    assert ticks_paid_by(AMOUNT_MAX, AMOUNT_MAX) == 1
    assert [slices(lots, 3) for lots in (0, 1, 3, 4)] == [0, 1, 1, 2]
    budget = Budget(AMOUNT_MAX, AMOUNT_MAX, PPM - 1)
    assert (budget.lots(1), budget.is_spent(1)) == (0, True)


@pytest.mark.parametrize(("side", "prices"), [(BUY, (1, INT_MAX)), (SELL, (1, INT_MAX))])
def test_stops_at_both_ends_of_the_prices_fire_there_and_not_before(side, prices):
    book = new_book()
    first, last = prices if side is BUY else reversed(prices)
    book.triggers.add(new_stop(book, 1, side, last))
    assert book.triggers.is_quiet(first)
    assert not book.triggers.is_quiet(last)
    stops = book.triggers.side(side)
    assert [order.order_id for _, _, order in stops.reached(last, 9)] == [1]
    assert book.triggers.is_quiet(last)
