"""Assets and instruments: what can be traded, in which units, within which limits.

Owns the two registries. Part of the deterministic core. Ids count from 1 in the order of
definition; a pair is found by its symbol and by its assets.
"""

from __future__ import annotations

from itertools import islice
from typing import TypeVar

import msgspec
from sortedcontainers import SortedDict

from hpe.core.context.holders import Holder
from hpe.errors import InvariantViolation
from hpe.protocol.internal import InstrumentSetting
from hpe.protocol.listings import AddInstrument, AssetRow, InstrumentRow

_T = TypeVar("_T")


class Asset(msgspec.Struct, frozen=True, array_like=True):
    """One asset; an atom is 10^-decimals of it."""

    asset_id: int
    symbol: str
    decimals: int

    def row(self) -> AssetRow:
        """Return the asset's row in a list reply."""
        return (self.asset_id, self.symbol, self.decimals)


class Instrument(msgspec.Struct, array_like=True):
    """One spot pair. Its scale never changes; `configure` and `set_fees` may change the rest.

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
    interruption_ms: int = 0

    def row(self) -> InstrumentRow:
        """Return the instrument's row in a list reply."""
        return InstrumentRow(*msgspec.structs.astuple(self))


class Takers:
    """Who listed the entries of one kind: user and key by id, and how many each user listed."""

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[int, Holder]] = {}
        self._counts: dict[int, int] = {}

    def __getitem__(self, number: int) -> tuple[int, Holder]:
        """Return the user and key that listed an entry."""
        return self._by_id[number]

    def add(self, number: int, user: int, holder: Holder) -> None:
        """Note who listed an entry."""
        self._by_id[number] = user, holder
        self._counts[user] = self.count_of(user) + 1

    def remove(self, number: int) -> Holder:
        """Forget an entry; return the holder of its key."""
        user, holder = self._by_id.pop(number)
        self._counts[user] -= 1
        if not self._counts[user]:
            del self._counts[user]
        return holder

    def count_of(self, user: int) -> int:
        """Return how many entries a user listed."""
        return self._counts.get(user, 0)


class Listings:
    """All assets and instruments, by id and by symbol, and who listed them.

    User 0 stands for the configuration. Ids are never reused, so there may be gaps.
    """

    def __init__(self) -> None:
        self.assets: SortedDict[int, Asset] = SortedDict()
        self.instruments: SortedDict[int, Instrument] = SortedDict()
        self.last_asset_id = 0
        self.last_instrument_id = 0
        self.asset_takers = Takers()
        self.instrument_takers = Takers()
        self._assets_by_symbol: dict[str, Asset] = {}
        self._instruments_by_symbol: dict[str, Instrument] = {}
        self._instruments_by_pair: dict[tuple[int, int], list[Instrument]] = {}
        self._pairs_of: dict[int, int] = {}

    def asset_named(self, symbol: str) -> Asset | None:
        """Return the asset with this symbol, or None."""
        return self._assets_by_symbol.get(symbol)

    def instrument_named(self, symbol: str) -> Instrument | None:
        """Return the instrument with this symbol, or None."""
        return self._instruments_by_symbol.get(symbol)

    def instrument_of_pair(self, base: int, quote: int) -> Instrument | None:
        """Return the first instrument that is listed for a pair of asset ids, or None."""
        found = self._instruments_by_pair.get((base, quote))
        return found[0] if found else None

    def assets_after(self, after: int, count_max: int) -> list[Asset]:
        """Return the first assets with ids above this one."""
        return _page(self.assets, after, count_max)

    def instruments_after(self, after: int, count_max: int) -> list[Instrument]:
        """Return the first instruments with ids above this one."""
        return _page(self.instruments, after, count_max)

    def add_asset(self, symbol: str, decimals: int, user: int, holder: Holder) -> Asset:
        """List a new asset under the next id."""
        asset = Asset(self.last_asset_id + 1, symbol, decimals)
        self.list_asset(asset, user, holder)
        return asset

    def list_asset(self, asset: Asset, user: int, holder: Holder) -> None:
        """List an asset; its id must be above all earlier ones."""
        assert asset.asset_id > self.last_asset_id
        self.last_asset_id = asset.asset_id
        self.assets[asset.asset_id] = asset
        self._assets_by_symbol[asset.symbol] = asset
        self.asset_takers.add(asset.asset_id, user, holder)
        holder.assets += 1

    def list_instrument(self, instrument: Instrument, user: int, holder: Holder) -> None:
        """List an instrument; its id must be above all earlier ones."""
        assert instrument.instrument_id > self.last_instrument_id
        self.last_instrument_id = instrument.instrument_id
        self.instruments[instrument.instrument_id] = instrument
        self._instruments_by_symbol[instrument.symbol] = instrument
        pair = instrument.base, instrument.quote
        self._instruments_by_pair.setdefault(pair, []).append(instrument)
        self._count_pair(instrument, 1)
        self.instrument_takers.add(instrument.instrument_id, user, holder)
        holder.instruments += 1

    def remove_asset(self, asset: Asset) -> None:
        """Remove an asset that no instrument needs."""
        del self.assets[asset.asset_id]
        del self._assets_by_symbol[asset.symbol]
        self.asset_takers.remove(asset.asset_id).assets -= 1

    def remove_instrument(self, instrument: Instrument) -> None:
        """Remove an instrument; its pair then leads to the next instrument, if there is one."""
        del self.instruments[instrument.instrument_id]
        del self._instruments_by_symbol[instrument.symbol]
        pair = instrument.base, instrument.quote
        self._instruments_by_pair[pair].remove(instrument)
        if not self._instruments_by_pair[pair]:
            del self._instruments_by_pair[pair]
        self._count_pair(instrument, -1)
        self.instrument_takers.remove(instrument.instrument_id).instruments -= 1

    def pairs_of(self, asset_id: int) -> int:
        """Return the number of instruments that need an asset."""
        return self._pairs_of.get(asset_id, 0)

    def _count_pair(self, instrument: Instrument, more: int) -> None:
        for asset_id in (instrument.base, instrument.quote):
            self._pairs_of[asset_id] = self.pairs_of(asset_id) + more
            if not self._pairs_of[asset_id]:
                del self._pairs_of[asset_id]

    def check(self) -> None:
        """Check ids and symbols, and that every pair's assets exist."""
        for listed, last_id in (
            (self.assets, self.last_asset_id),
            (self.instruments, self.last_instrument_id),
        ):
            if listed and listed.peekitem(-1)[0] > last_id:
                raise InvariantViolation(f"an id is above the last one, {last_id}")
        if len(self._assets_by_symbol) != len(self.assets):
            raise InvariantViolation("two assets share a symbol")
        if len(self._instruments_by_symbol) != len(self.instruments):
            raise InvariantViolation("two instruments share a symbol")
        for instrument in self.instruments.values():
            if instrument.base not in self.assets or instrument.quote not in self.assets:
                raise InvariantViolation(f"{instrument.symbol} names an unlisted asset")


def _page(listed: SortedDict[int, _T], after: int, count_max: int) -> list[_T]:
    ids = islice(listed.irange(after, inclusive=(False, True)), count_max)
    return [listed[number] for number in ids]


def limits_contradict(row: AddInstrument | InstrumentSetting) -> bool:
    """True if an instrument's limits contradict each other."""
    return (
        row.price_min > row.price_max
        or row.quantity_min > row.quantity_max
        or row.notional_min > row.notional_max
        or (row.band_ppm > 0 and not row.reference_price)
        or (row.volatility_interruption and not row.band_ppm)
        or (row.interruption_ms > 0 and not row.volatility_interruption)
    )
