"""Fees to the atom: rounded up once in an order's whole life, and never above what was reserved."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.core.money.fees import FeeSchedule, can_go_below_zero, rates_of
from hpe.core.money.wide import charge, worst_fee
from hpe.protocol.limits import AMOUNT_MAX, PPM
from tests.unit.core.parts import FREE

any_rate = st.integers(1 - PPM, PPM - 1)
taker_rate = st.integers(0, PPM - 1)
notionals = st.lists(st.integers(1, 10**9) | st.integers(1, AMOUNT_MAX // 16), max_size=12)


def charged(fills):
    """Charge (notional, rate) fills one after the other; return the charges and the last rest."""
    rest, fees = 0, []
    for notional, rate in fills:
        atoms, rest = charge(notional, rate, rest)
        assert 0 <= rest < PPM
        fees.append(atoms)
    return fees, rest


def exact(fills):
    return sum((Fraction(notional * rate, PPM) for notional, rate in fills), Fraction())


@given(notionals, any_rate)
def test_the_charges_of_any_split_add_up_to_that_of_the_whole(parts, rate):
    fees, _ = charged([(part, rate) for part in parts])
    assert sum(fees) == ceil(Fraction(sum(parts) * rate, PPM))


@given(st.lists(st.tuples(st.integers(1, 10**12), any_rate), max_size=12))
def test_rates_of_one_order_may_differ_from_fill_to_fill(fills):
    fees, rest = charged(fills)
    assert sum(fees) == ceil(exact(fills))
    assert Fraction(rest, PPM) == sum(fees) - exact(fills), "the rest is what is too much"


@given(st.integers(1, AMOUNT_MAX), any_rate, st.integers(0, PPM - 1))
def test_one_charge_never_takes_more_than_the_notional(notional, rate, rest):
    atoms, _ = charge(notional, rate, rest)
    assert -notional <= atoms <= notional


@given(any_rate, taker_rate, st.lists(st.tuples(st.integers(1, 10**12), st.booleans()), max_size=9))
def test_the_worst_fee_covers_whatever_fills_come(maker_ppm, taker_ppm, plan):
    """At every moment of an order's life: for all fills that are still to come."""
    rates, rest = rates_of(maker_ppm, taker_ppm), 0
    for number, (notional, making) in enumerate(plan):
        to_come = [(amount, maker_ppm if makes else taker_ppm) for amount, makes in plan[number:]]
        reserved = worst_fee(sum(amount for amount, _ in to_come), rates.worst, rest)
        assert reserved >= 0
        later_rest, later = rest, 0
        for amount, rate in to_come:
            atoms, later_rest = charge(amount, rate, later_rest)
            later += atoms
            assert later <= reserved
        _, rest = charge(notional, maker_ppm if making else taker_ppm, rest)


@pytest.mark.parametrize(
    ("notional", "rate", "rest", "atoms", "new_rest"),
    [
        (1, 0, 0, 0, 0),
        (1, 1, 0, 1, PPM - 1),
        (1, 1, PPM - 1, 0, PPM - 2),
        (1, -1, 0, 0, 1),
        (PPM, -1, 0, -1, 0),
        (1, -1, PPM - 1, -1, 0),
        (1, PPM - 1, 0, 1, 1),
        (AMOUNT_MAX, PPM - 1, 0, AMOUNT_MAX - AMOUNT_MAX // PPM, AMOUNT_MAX % PPM),
    ],
)
def test_the_bounds_of_one_charge(notional, rate, rest, atoms, new_rest):
    assert charge(notional, rate, rest) == (atoms, new_rest)


@pytest.mark.parametrize(
    ("maker", "taker", "worst"), [(-5, 3, 3), (7, 3, 7), (-5, 0, 0), (0, 0, 0), (4, 4, 4)]
)
def test_the_worst_rate_is_never_a_rebate(maker, taker, worst):
    assert rates_of(maker, taker).worst == worst


def test_the_worst_fee_of_nothing_left_is_nothing():
    assert [worst_fee(0, 9, rest) for rest in (0, 1, PPM - 1)] == [0, 0, 0]


def test_a_users_own_rates_go_before_those_of_everybody():
    schedule = FeeSchedule(rates_of(1, 2))
    schedule.own[7] = rates_of(0, 0)
    assert schedule.of(7) == FREE
    assert schedule.of(8) == rates_of(1, 2)


@pytest.mark.parametrize(
    ("pairs", "below"),
    [
        ([(-3, 3)], False),
        ([(-4, 3)], True),
        ([(0, 5), (-3, 3)], False),
        ([(0, 2), (-3, 3)], True),  # the one user's taker rate against the other's rebate
        ([(0, 0)], False),
    ],
)
def test_the_lowest_rates_of_two_users_may_meet(pairs, below):
    assert can_go_below_zero([rates_of(*pair) for pair in pairs]) is below
