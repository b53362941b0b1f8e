"""The compiled core's assets and instruments, as far as they have texts.

Owns symbols, decimals, and who listed what; the books and the counts of places are the compiled
core's own (catalogue.pxd, delisting.pxd). The fees of its rows are old until `refresh_fees`: the
common ones of a book change without the interpreter. Owned by the core, used by the thread that
runs it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

import msgspec

from hpe.core.context.holders import Holder
from hpe.core.context.settings import Settings
from hpe.core.listings.configuration import (
    change_limits,
    configuration_differences,
    listing_of,
)
from hpe.core.listings.instruments import Asset, Instrument, Listings, limits_contradict
from hpe.core.state.rows import DumpedAsset, DumpedInstrument
from hpe.protocol.internal import Configure, InstrumentSetting, PlaceLimits
from hpe.protocol.listings import AddInstrument
from hpe.protocol.scale import is_decimal_scale

_FACTS: Final = len(Instrument.__struct_fields__)


class Texts(Listings):
    """All assets and instruments; keys are numbers, 0 for none, and no places are counted."""

    def take_asset(self, symbol: str, decimals: int, user: int, key: int) -> int:
        """List an asset; return its id."""
        return self.add_asset(symbol, decimals, user, Holder(key)).asset_id

    def take_instrument(self, row: AddInstrument, user: int, key: int) -> Instrument:
        """List a valid pair; return it."""
        fields = msgspec.structs.astuple(row)
        instrument = Instrument(self.last_instrument_id + 1, *fields[1:])
        self.list_instrument(instrument, user, Holder(key))
        return instrument

    def free_asset(self, asset_id: int) -> int:
        """Remove an asset that no instrument needs; return the key that listed it."""
        _, holder = self.asset_takers[asset_id]
        self.remove_asset(self.assets[asset_id])
        return holder.key

    def free_instrument(self, instrument_id: int) -> int:
        """Remove an instrument; return the key that listed it."""
        _, holder = self.instrument_takers[instrument_id]
        self.remove_instrument(self.instruments[instrument_id])
        return holder.key

    def named_ids(self, base: str, quote: str) -> tuple[int, int]:
        """Return the ids of two assets by their symbols, 0 for those that are not listed."""
        found = map(self.asset_named, (base, quote))
        first, second = (asset.asset_id if asset else 0 for asset in found)
        return first, second

    def contradicts(self, row: AddInstrument) -> bool:
        """True if a pair cannot be listed, whatever its assets are."""
        return limits_contradict(row) or not is_decimal_scale(
            row.base_atoms_per_lot, row.quote_atoms_per_tick
        )

    def change(self, listed: Instrument, row: InstrumentSetting) -> None:
        """Change the limits of a listed instrument."""
        change_limits(listed, row)

    def differences(
        self,
        settings: Sequence[int],
        reserved_part: int,
        wanted: Configure,
        bytes_max: int,
        too_low: Container[InstrumentSetting],
    ) -> Configure | None:
        """Return what makes the state match a configuration, None if it matches.

        Args:
            settings: what is set, as in the row of a dump.
            reserved_part: one in so many places is for operators.
            wanted: the whole configuration.
            bytes_max: the most bytes that the differences may take in the log.
            too_low: the instruments whose rates would cost the house money.

        Raises:
            ConfigError: the state cannot be made to match; the text says why.
        """
        auto_create, expiry_ns, keep_ns, orders_max, per_user_max, *places = settings
        present = Settings(reserved_part)
        present.set(
            bool(auto_create), expiry_ns, keep_ns, orders_max, per_user_max, PlaceLimits(*places)
        )
        return configuration_differences(self, present, wanted, bytes_max, too_low.__contains__)

    def row_of_setting(self, row: InstrumentSetting) -> AddInstrument:
        """Return what lists a new pair of a configuration."""
        return listing_of(self, row)

    def row_of_pair(self, base: str, quote: str) -> AddInstrument:
        """Return what lists a pair of assets as resolving does: with scale 1, without limits."""
        return AddInstrument(1, f"{base}/{quote}", *self.named_ids(base, quote))

    # --- rows of the state ------------------------------------------------------------------------

    def asset_fields(self) -> list[tuple[int | str, ...]]:
        """Return the fields of each asset's row: who listed it last."""
        rows: list[tuple[int | str, ...]] = []
        for asset_id, asset in self.assets.items():
            user, holder = self.asset_takers[asset_id]
            rows.append((*asset.row(), user, holder.key))
        return rows

    def instrument_fields(self) -> list[tuple[int | str, ...]]:
        """Return the fields of each instrument's row that come before those of its book."""
        rows = []
        for instrument_id, instrument in self.instruments.items():
            user, holder = self.instrument_takers[instrument_id]
            rows.append((*msgspec.structs.astuple(instrument), user, holder.key))
        return rows

    def check_asset(self, row: DumpedAsset) -> None:
        """Raise ValueError if the asset of a row cannot be listed."""
        if not row.asset or self.asset_named(row.symbol) is not None:
            raise ValueError(f"lists an asset {row.symbol} that cannot be")

    def check_instrument(self, row: DumpedInstrument) -> None:
        """Raise ValueError if the instrument of a row cannot be listed, whatever its assets are."""
        if not row.instrument or self.instrument_named(row.symbol) is not None:
            raise ValueError(f"lists an instrument {row.symbol} that cannot be")

    def load_asset(self, row: DumpedAsset) -> None:
        """List the asset of a row."""
        self.list_asset(Asset(row.asset, row.symbol, row.decimals), row.user, Holder(row.key))

    def load_instrument(self, row: DumpedInstrument) -> None:
        """List the instrument of a row."""
        facts = msgspec.structs.astuple(row)[:_FACTS]
        self.list_instrument(Instrument(*facts), row.user, Holder(row.key))
