"""Which scales have prices and quantities that are finite decimals."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.config.settings import Config, InstrumentConfig
from hpe.errors import ConfigError
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.scale import is_decimal_scale

POWERS = st.integers(0, 62).map(lambda exponent: 2**exponent)
ATOMS = st.one_of(st.integers(1, 60), st.integers(1, AMOUNT_MAX), POWERS)
DECIMALS = st.integers(0, 18)


@given(ATOMS, ATOMS, DECIMALS, DECIMALS)
def test_it_is_a_scale_of_finite_decimals(lot: int, tick: int, base: int, quote: int) -> None:
    """10^100 has every power of 2 and 5 that a lot and its asset's decimals can have."""
    price = Fraction(tick * 10**base, lot * 10**quote)
    assert is_decimal_scale(lot, tick) == ((price * 10**100).denominator == 1)


def test_the_configuration_refuses_what_could_not_be_shown() -> None:
    with pytest.raises(
        ConfigError, match="found 12 with quote_atoms_per_tick 1; allowed: values that make"
    ):
        Config(instruments=(InstrumentConfig("A/B", "A", "B", base_atoms_per_lot=12),))
