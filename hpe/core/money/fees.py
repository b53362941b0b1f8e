"""Fees: which rates an order gets.

Part of the deterministic core; values and one small registry. Rates are parts per million of a
fill's notional, in the quote asset, for both sides; wide.py computes the amounts. Source:
protocol.md, "Fees and reservations".
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class FeeRates(msgspec.Struct, frozen=True, gc=False):
    """The rates of one order, in ppm. `worst` is the most that any of its fills can cost."""

    maker: int
    taker: int
    worst: int


def rates_of(maker_ppm: int, taker_ppm: int) -> FeeRates:
    """Return the rates for new orders; a negative maker rate is a rebate."""
    return FeeRates(maker_ppm, taker_ppm, max(maker_ppm, taker_ppm, 0))


class FeeSchedule:
    """The rates of one instrument: the common ones, and those of individual users."""

    __slots__ = ("common", "own")

    def __init__(self, common: FeeRates) -> None:
        self.common = common
        self.own: dict[int, FeeRates] = {}

    def of(self, user: int) -> FeeRates:
        """Return the rates that a new order of this user gets."""
        return self.own.get(user, self.common)


def can_go_below_zero(rates: Iterable[FeeRates]) -> bool:
    """True if two of these rates could meet in a trade that costs the house money."""
    every = list(rates)
    return min(each.maker for each in every) + min(each.taker for each in every) < 0
