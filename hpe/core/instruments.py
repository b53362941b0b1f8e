"""Assets and instruments: what can be traded, in which units, within which limits.

Owns the two registries. Part of the deterministic core. Ids count from 1 in the order of
definition; a pair is found by its symbol and by its assets.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hpe.errors import InvariantViolation
from hpe.messages import AssetRow, InstrumentRow

ASSETS_MAX: Final = 65_536
"""Bounds memory that clients can claim; far above any listed market."""

INSTRUMENTS_MAX: Final = 65_536


class Asset(msgspec.Struct, frozen=True, array_like=True):
    """One asset; an atom is 10^-decimals of it."""

    asset_id: int
    symbol: str
    decimals: int

    def row(self) -> AssetRow:
        """Give the asset as a list reply shows it."""
        return (self.asset_id, self.symbol, self.decimals)


class Instrument(msgspec.Struct, array_like=True):
    """One spot pair. Scale never changes; limits and fees may, by `configure` and `set_fees`.

    notional in quote atoms = price_ticks x quantity_lots x quote_atoms_per_tick, exact.
    """

    instrument_id: int
    symbol: str
    base: int
    quote: int
    base_atoms_per_lot: int
    quote_atoms_per_tick: int
    price_min: int
    price_max: int
    quantity_min: int
    quantity_max: int
    notional_min: int
    notional_max: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    self_trade: int
    band_ppm: int
    reference_price: int
    volatility_interruption: bool

    def row(self) -> InstrumentRow:
        """Give the instrument as a list reply shows it."""
        return InstrumentRow(*msgspec.structs.astuple(self))


class Listings:
    """All assets and instruments, by id and by symbol."""

    def __init__(self) -> None:
        self.assets: dict[int, Asset] = {}
        self.instruments: dict[int, Instrument] = {}
        self._assets_by_symbol: dict[str, Asset] = {}
        self._instruments_by_symbol: dict[str, Instrument] = {}
        self._instruments_by_pair: dict[tuple[int, int], Instrument] = {}

    def asset_named(self, symbol: str) -> Asset | None:
        """Find an asset by symbol."""
        return self._assets_by_symbol.get(symbol)

    def instrument_named(self, symbol: str) -> Instrument | None:
        """Find an instrument by symbol."""
        return self._instruments_by_symbol.get(symbol)

    def instrument_of_pair(self, base: int, quote: int) -> Instrument | None:
        """Find the first instrument that was listed for a pair of asset ids."""
        return self._instruments_by_pair.get((base, quote))

    def add_asset(self, symbol: str, decimals: int) -> Asset:
        """List a new asset under the next id."""
        asset = Asset(len(self.assets) + 1, symbol, decimals)
        self.assets[asset.asset_id] = asset
        self._assets_by_symbol[symbol] = asset
        return asset

    def add_instrument(self, instrument: Instrument) -> None:
        """List a new instrument; its id must be the next one."""
        assert instrument.instrument_id == len(self.instruments) + 1
        self.instruments[instrument.instrument_id] = instrument
        self._instruments_by_symbol[instrument.symbol] = instrument
        self._instruments_by_pair.setdefault((instrument.base, instrument.quote), instrument)

    def check(self) -> None:
        """Check ids, symbols and that every pair's assets exist."""
        if list(self.assets) != list(range(1, len(self.assets) + 1)):
            raise InvariantViolation("asset ids have gaps")
        if list(self.instruments) != list(range(1, len(self.instruments) + 1)):
            raise InvariantViolation("instrument ids have gaps")
        if len(self._assets_by_symbol) != len(self.assets):
            raise InvariantViolation("two assets share a symbol")
        if len(self._instruments_by_symbol) != len(self.instruments):
            raise InvariantViolation("two instruments share a symbol")
        for instrument in self.instruments.values():
            if instrument.base not in self.assets or instrument.quote not in self.assets:
                raise InvariantViolation(f"{instrument.symbol} names an unlisted asset")
