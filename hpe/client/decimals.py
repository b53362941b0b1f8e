"""Exact conversion between Decimal and the integers of the wire: ticks, lots, atoms.

Owns the only arithmetic with Decimal in the project: at the client's edge. Pure; any thread may
use it. Guarantees: a conversion is exact or refused, whatever the decimal context is; floats are
refused by type; results print as plain numbers.
Definitions, with `base` and `quote` for the decimals of the two assets:

    amount   = atoms / 10^decimals
    quantity = lots x base_atoms_per_lot / 10^base
    price    = ticks x quote_atoms_per_tick x 10^base / (base_atoms_per_lot x 10^quote)
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import wraps
from operator import index
from typing import Any, Final, SupportsIndex

from hpe.client.arguments import shown
from hpe.protocol.limits import INT_MAX

PLACES_MAX: Final = 100
"""Digits before and after the point that a value may have: more than any grid of the wire needs,
and few enough: turning 1E+999999999 into an integer would take all memory."""


_PRESENTATIONS: Final = "eEfFgGn%"


class PlainDecimal(Decimal):
    """A Decimal that prints without an exponent: 0.00000012 and not 1.2E-7.

    In everything else it is the Decimal that it looks like. Results computed with it print the same
    way: a balance of which all was spent is 0.00000000 and not 0E-8.
    """

    __slots__ = ()

    def __str__(self) -> str:
        """Return the number, digit by digit."""
        return super().__format__("f")

    def __repr__(self) -> str:
        """Return what Decimal would, digit by digit."""
        return f"Decimal('{self}')"

    def __format__(self, specifier: str, *context: Any) -> str:
        """Format as Decimal does, without an exponent unless it or a precision is asked for."""
        if "." not in specifier and specifier[-1:] not in [*_PRESENTATIONS]:
            specifier += "f"
        return super().__format__(specifier, *context)


def _plain(name: str) -> Callable[..., Any]:
    """Return a method like one of Decimal's whose result prints without an exponent."""
    method = getattr(Decimal, name)

    @wraps(method)
    def call(self: PlainDecimal, *arguments: Any, **options: Any) -> Any:
        result = method(self, *arguments, **options)
        return PlainDecimal(result) if type(result) is Decimal else result

    return call


for _name in (
    *("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__mod__", "__rmod__"),
    *("__truediv__", "__rtruediv__", "__floordiv__", "__rfloordiv__", "__pow__", "__rpow__"),
    *("__neg__", "__pos__", "__abs__", "__round__", "quantize", "normalize"),
):
    setattr(PlainDecimal, _name, _plain(_name))


class Grid:
    """The multiples of one step: every value that an integer number of steps can represent.

    Args:
        kind: the kind of the values, for messages ("price").
        symbol: the symbol of the asset or instrument.
        step: the value of one step.
    """

    __slots__ = ("_exponent", "kind", "step", "symbol")

    def __init__(self, kind: str, symbol: str, step: Fraction) -> None:
        assert step > 0
        self.kind = kind
        self.symbol = symbol
        self.step = step
        self._exponent = _decimal_places(step.denominator)

    def count(self, value: Decimal | SupportsIndex, argument: str = "") -> int:
        """Return the number of steps in a value.

        Args:
            value: a multiple of the step.
            argument: the caller's name for it, for messages; by default the kind of the grid.

        Raises:
            TypeError: it is a float or anything else that is neither Decimal nor an integer.
            ValueError: it is negative, not finite, not a multiple of the step, or beyond 64 bits.
        """
        name = f"{argument or self.kind} of {self.symbol}"
        if isinstance(value, Decimal):
            _check_size(name, value)
            steps = Fraction(value) / self.step
        elif isinstance(value, bool) or not hasattr(value, "__index__"):
            kind = type(value).__name__
            raise TypeError(f"{name}: found {kind} {value!r}, allowed Decimal or int")
        else:
            steps = index(value) / self.step
        if steps.denominator != 1:
            allowed = f"multiples of {self._text()}"
        elif not 0 <= steps.numerator <= INT_MAX:
            allowed = f"0 to {self._largest()}"
        else:
            return steps.numerator
        found = shown(value) if isinstance(value, int) else value
        raise ValueError(f"{name}: found {found}, allowed {allowed}")

    def value(self, count: int) -> Decimal:
        """Return the value of a number of steps, with as many decimal places as the step has.

        The count may be negative: fees (as rebates) and surpluses may.

        Raises:
            ValueError: the step is not a finite decimal (one third), so its multiples are not.
        """
        if self._exponent is None:
            raise ValueError(
                f"{self.kind} of {self.symbol}: its step {self.step} is not a finite decimal"
            )
        numerator = count * self.step.numerator * 10**self._exponent // self.step.denominator
        # From text and not by arithmetic, which would round to the context's precision.
        return PlainDecimal(f"{numerator}E-{self._exponent}")

    def _largest(self) -> str:
        return (
            f"{INT_MAX} times {self.step}" if self._exponent is None else str(self.value(INT_MAX))
        )

    def _text(self) -> str:
        return str(self.step) if self._exponent is None else str(self.value(1))


class UnknownGrid(Grid):
    """The grid of something delisted before this client saw its scale: no value is known.

    NaN stands for every value: it prints as what it is, it cannot be the price of an order, and
    results computed with it are NaN again, where any number would be wrong.
    """

    __slots__ = ()

    def __init__(self, kind: str, symbol: str) -> None:
        super().__init__(kind, symbol, Fraction(1))

    def count(self, value: Decimal | SupportsIndex, argument: str = "") -> int:
        """Refuse: nothing can be counted in steps of unknown size.

        Raises:
            ValueError: always.
        """
        name = argument or self.kind
        raise ValueError(f"{name} of {self.symbol}: its scale is not known, it was delisted")

    def value(self, count: int) -> Decimal:
        """Return NaN."""
        return PlainDecimal("NaN")


def _check_size(name: str, value: Decimal) -> None:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):  # for NaN and infinities it is a letter
        raise ValueError(f"{name}: found {value}, allowed finite values")
    if exponent < -PLACES_MAX or value.adjusted() > PLACES_MAX:
        raise ValueError(f"{name}: found {value}, allowed {PLACES_MAX} places")


def amount_grid(symbol: str, decimals: int) -> Grid:
    """Return the grid of an asset's amounts: its atoms."""
    return Grid("amount", symbol, Fraction(1, 10**decimals))


def quantity_grid(symbol: str, base_atoms_per_lot: int, base_decimals: int) -> Grid:
    """Return the grid of an instrument's quantities: its lots."""
    return Grid("quantity", symbol, Fraction(base_atoms_per_lot, 10**base_decimals))


def price_grid(
    symbol: str,
    *,
    base_atoms_per_lot: int,
    quote_atoms_per_tick: int,
    base_decimals: int,
    quote_decimals: int,
) -> Grid:
    """Return the grid of an instrument's prices: its ticks."""
    step = Fraction(
        quote_atoms_per_tick * 10**base_decimals, base_atoms_per_lot * 10**quote_decimals
    )
    return Grid("price", symbol, step)


def _decimal_places(denominator: int) -> int | None:
    """Return the decimal places that 1/denominator needs, None if no number suffices."""
    places = 0
    for prime in (2, 5):
        power = 0
        while denominator % prime == 0:
            denominator //= prime
            power += 1
        places = max(places, power)
    return places if denominator == 1 else None
