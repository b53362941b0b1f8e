"""Decimals at the edge: exact both ways, and refused by name where they cannot be."""

import copy
import pickle
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.client.decimals import Grid, amount_grid, price_grid, quantity_grid
from hpe.protocol.limits import AMOUNT_MAX, INT_MAX

# BTC has 8 decimals, USD 6; a lot is 0.0001 BTC, one lot at one tick is 1 atom of USD.
PRICES = price_grid(
    "BTC/USD", base_atoms_per_lot=10_000, quote_atoms_per_tick=1, base_decimals=8, quote_decimals=6
)
QUANTITIES = quantity_grid("BTC/USD", 10_000, 8)
AMOUNTS = amount_grid("USD", 6)


def test_the_documented_scale() -> None:
    assert str(PRICES.value(1)) == "0.01"
    assert str(QUANTITIES.value(1)) == "0.0001"
    assert str(AMOUNTS.value(1)) == "0.000001"
    assert PRICES.count(Decimal("65123.45")) == 6_512_345
    assert QUANTITIES.count(Decimal("0.0125")) == 125
    # notional of the wire = notional of a person
    assert AMOUNTS.count(Decimal("65123.45") * Decimal("0.0125")) == 6_512_345 * 125 * 1


def test_values_keep_the_places_of_their_step() -> None:
    assert str(PRICES.value(6_512_300)) == "65123.00"
    assert str(quantity_grid("X/Y", 1_000_000, 2).value(3)) == "30000"
    assert str(amount_grid("YEN", 0).value(0)) == "0"


def test_an_integer_of_any_length_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="amount of USD: found an integer of thousands of digits"):
        AMOUNTS.count(10**5_000)


def test_rebates_and_surpluses_below_zero_are_exact_too() -> None:
    assert str(AMOUNTS.value(-1)) == "-0.000001"
    assert str(quantity_grid("X/Y", 1_000_000, 2).value(-3)) == "-30000"
    assert str(PRICES.value(-6_512_345)) == "-65123.45"


@pytest.mark.parametrize(
    "value", [65123.45, 1.0, float("nan"), "65123.45", True, None, Fraction(1)]
)
def test_what_is_no_decimal_is_refused_by_type(value: object) -> None:
    with pytest.raises(TypeError, match=r"price of BTC/USD: found .* allowed Decimal or int"):
        PRICES.count(value)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("65123.455", "multiples of 0.01"),
        ("0.001", "multiples of 0.01"),
        ("-1", f"0 to {Decimal(INT_MAX).scaleb(-2)}"),
        (f"{INT_MAX + 1}E-2", f"0 to {Decimal(INT_MAX).scaleb(-2)}"),
        ("NaN", "finite"),
        ("-Infinity", "finite"),
        ("1E+999999999", "100 places"),
        ("1E-999999999", "100 places"),
    ],
)
def test_what_is_off_the_grid_is_refused_with_found_and_allowed(value: str, allowed: str) -> None:
    with pytest.raises(ValueError, match="price of BTC/USD: found") as caught:
        PRICES.count(Decimal(value))
    assert str(Decimal(value)) in str(caught.value)
    assert allowed in str(caught.value)


def test_the_ends_of_the_range_are_exact() -> None:
    assert PRICES.count(Decimal(f"{INT_MAX}E-2")) == INT_MAX
    assert PRICES.count(PRICES.value(INT_MAX)) == INT_MAX
    assert PRICES.count(0) == 0


def test_a_step_that_is_no_finite_decimal_still_takes_what_is_exact() -> None:
    thirds = price_grid(
        "A/B", base_atoms_per_lot=3, quote_atoms_per_tick=1, base_decimals=0, quote_decimals=0
    )
    assert thirds.count(2) == 6
    with pytest.raises(ValueError, match="multiples of 1/3"):
        thirds.count(Decimal("0.3"))
    with pytest.raises(ValueError, match="its step 1/3 is not a finite decimal"):
        thirds.value(1)


scales = st.one_of(st.sampled_from([1, 2, 5, 10, 2**40, 5**20]), st.integers(1, AMOUNT_MAX))


@given(scales, scales, st.integers(0, 18), st.integers(0, 18), st.integers(0, INT_MAX))
def test_every_count_comes_back_whatever_the_context_says(
    per_lot: int, per_tick: int, base: int, quote: int, count: int
) -> None:
    prices = price_grid(
        "A/B",
        base_atoms_per_lot=per_lot,
        quote_atoms_per_tick=per_tick,
        base_decimals=base,
        quote_decimals=quote,
    )
    step = Fraction(per_tick * 10**base, per_lot * 10**quote)
    assert prices.step == step
    with localcontext(prec=3):
        for grid in (prices, quantity_grid("A/B", per_lot, base), amount_grid("B", quote)):
            if _is_finite_decimal(grid):
                assert Fraction(grid.value(count)) == count * grid.step
                assert grid.count(grid.value(count)) == count


def _is_finite_decimal(grid: Grid) -> bool:
    return 10**200 % grid.step.denominator == 0


@pytest.mark.parametrize("atoms", [0, 12, -12, 10**8, 10**20])
def test_values_print_as_plain_numbers(atoms: int) -> None:
    value = amount_grid("BTC", 8).value(atoms)
    plain = format(Decimal(atoms).scaleb(-8), ".8f")
    assert (str(value), f"{value}", f"{value:f}", f"{value:>30}".strip()) == (plain,) * 4
    assert repr(value) == f"Decimal('{plain}')"
    assert f"{value:,}" == format(Decimal(plain), ",f")
    assert f"{value:.2f}" == format(Decimal(plain), ".2f")
    assert f"{value:e}" == format(Decimal(plain), "e")


def test_a_plain_number_is_the_decimal_that_it_is() -> None:
    value = amount_grid("BTC", 8).value(12)
    assert value == Decimal("0.00000012")
    assert hash(value) == hash(Decimal("0.00000012"))
    assert isinstance(value, Decimal)
    assert copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value
    assert str(pickle.loads(pickle.dumps(value))) == "0.00000012"


def test_what_is_computed_with_a_value_prints_as_a_plain_number_too() -> None:
    """As a program does that prints what it has left, or what a fill cost."""
    grid = amount_grid("BTC", 8)
    one, twelve = grid.value(1), grid.value(12)
    shown = [
        (twelve - twelve, "0.00000000"),
        (Decimal("0.00000013") - twelve, "0.00000001"),
        (one * 3, "0.00000003"),
        (3 * one, "0.00000003"),
        (Decimal("0.1") * one, "0.000000001"),
        (sum([one, twelve]), "0.00000013"),
        (-one, "-0.00000001"),
        (abs(-one), "0.00000001"),
        (one / 2, "0.000000005"),
        (round(grid.value(123), 7), "0.0000012"),
        (max(one - one, twelve * one), "0.0000000000000012"),
        (grid.value(10**10).normalize(), "100"),
        (one.quantize(Decimal("1E-9")), "0.000000010"),
    ]
    assert [str(value) for value, _ in shown] == [text for _, text in shown]
    assert round(grid.value(10**8)) == 1
    assert (one == Decimal("1E-8"), hash(one)) == (True, hash(Decimal("1E-8")))
    with pytest.raises(TypeError):
        one + 0.5  # type: ignore[operator]  # wrong on purpose


class _Int64:
    """An integer that is none of Python's, as numpy's are."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def test_anything_with_an_index_is_an_integer() -> None:
    assert PRICES.count(_Int64(65_123)) == 6_512_300
