"""The catalogue: commands and queries that list assets and instruments.

Part of the deterministic core. Every reject is tested in the order in which protocol.md lists
it and changes nothing. The registries themselves are instruments.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hpe.core.instruments import ASSETS_MAX, INSTRUMENTS_MAX, Instrument
from hpe.core.orderbook import OrderBook
from hpe.messages import (
    AddAsset,
    AddAssetResponse,
    AddInstrument,
    AddInstrumentResponse,
    AssetsReply,
    InstrumentSetting,
    InstrumentsReply,
    ListAssets,
    ListInstruments,
    RejectReason,
    ResolveInstrument,
    ResolveInstrumentResponse,
)

if TYPE_CHECKING:
    from hpe.core.exchange import Exchange

_NONE: Final = RejectReason.NONE


class Catalogue:
    """Adds to and shows the listings of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._listings = exchange.listings

    def add_asset(self, user: int, command: AddAsset) -> AddAssetResponse:
        """List an asset."""
        reason, asset_id = _NONE, 0
        if self._listings.asset_named(command.symbol) is not None:
            reason = RejectReason.DUPLICATE_SYMBOL
        elif len(self._listings.assets) >= ASSETS_MAX:
            reason = RejectReason.TOO_MANY_ASSETS
        else:
            asset_id = self._listings.add_asset(command.symbol, command.decimals).asset_id
        return AddAssetResponse(command.request_id, 0, self._exchange.sequence, reason, asset_id)

    def add_instrument(self, user: int, command: AddInstrument) -> AddAssetResponse:
        """List a pair and open its book."""
        reason = self._listing_refusal(command)
        instrument_id = 0
        if not reason:
            instrument_id = self.list_instrument(command)
        return AddInstrumentResponse(
            command.request_id, 0, self._exchange.sequence, reason, instrument_id
        )

    def _listing_refusal(self, command: AddInstrument) -> RejectReason:
        listings = self._listings
        if limits_contradict(command):
            return RejectReason.INVALID_COMBINATION
        if command.base not in listings.assets or command.quote not in listings.assets:
            return RejectReason.UNKNOWN_ASSET
        if command.base == command.quote:
            return RejectReason.SAME_ASSET
        if listings.instrument_named(command.symbol) is not None:
            return RejectReason.DUPLICATE_SYMBOL
        if len(listings.instruments) >= INSTRUMENTS_MAX:
            return RejectReason.TOO_MANY_INSTRUMENTS
        if command.maker_fee_ppm + command.taker_fee_ppm < 0:
            return RejectReason.FEES_BELOW_ZERO
        return _NONE

    def list_instrument(self, row: AddInstrument) -> int:
        """List a pair that was found valid; returns its id."""
        instrument_id = len(self._listings.instruments) + 1
        fields = msgspec.structs.astuple(row)
        self._listings.add_instrument(Instrument(instrument_id, *fields[1:]))
        self._exchange.books[instrument_id] = OrderBook(self._listings.instruments[instrument_id])
        return instrument_id

    def resolve_instrument(self, user: int, command: ResolveInstrument) -> AddAssetResponse:
        """Find a pair by asset symbols; under auto_create make what is missing, scale 1."""
        base, quote = map(self._listings.asset_named, (command.base, command.quote))
        known = None
        if base is not None and quote is not None:
            known = self._listings.instrument_of_pair(base.asset_id, quote.asset_id)
        reason, instrument_id = _NONE, 0
        if known is not None:
            instrument_id = known.instrument_id
        elif command.base == command.quote:
            reason = RejectReason.SAME_ASSET
        elif not self._exchange.settings.auto_create:
            reason = RejectReason.UNKNOWN_PAIR
        else:
            reason, instrument_id = self._create_pair(command.base, command.quote)
        return ResolveInstrumentResponse(
            command.request_id, 0, self._exchange.sequence, reason, instrument_id
        )

    def _create_pair(self, base: str, quote: str) -> tuple[RejectReason, int]:
        """Make a pair and those of its assets that are new; all of it or nothing."""
        listings = self._listings
        new = [symbol for symbol in (base, quote) if listings.asset_named(symbol) is None]
        symbol = f"{base}/{quote}"
        if listings.instrument_named(symbol) is not None:
            return RejectReason.DUPLICATE_SYMBOL, 0
        if len(listings.assets) + len(new) > ASSETS_MAX:
            return RejectReason.TOO_MANY_ASSETS, 0
        if len(listings.instruments) >= INSTRUMENTS_MAX:
            return RejectReason.TOO_MANY_INSTRUMENTS, 0
        for missing in new:
            listings.add_asset(missing, 0)
        ids = [asset.asset_id for asset in map(listings.asset_named, (base, quote)) if asset]
        return _NONE, self.list_instrument(AddInstrument(1, symbol, ids[0], ids[1]))

    def list_assets(self, user: int, query: ListAssets) -> AssetsReply:
        """Show a page of assets."""
        assets = self._listings.assets
        last = min(query.after + query.limit, len(assets))
        rows = [assets[asset_id].row() for asset_id in range(query.after + 1, last + 1)]
        return AssetsReply(query.request_id, 0, self._exchange.sequence, rows)

    def list_instruments(self, user: int, query: ListInstruments) -> InstrumentsReply:
        """Show a page of instruments."""
        instruments = self._listings.instruments
        last = min(query.after + query.limit, len(instruments))
        rows = [instruments[key].row() for key in range(query.after + 1, last + 1)]
        return InstrumentsReply(query.request_id, 0, self._exchange.sequence, rows)


def limits_contradict(row: AddInstrument | InstrumentSetting) -> bool:
    """Tell whether an instrument's limits contradict each other."""
    return (
        row.price_min > row.price_max
        or row.quantity_min > row.quantity_max
        or row.notional_min > row.notional_max
        or (row.band_ppm > 0 and not row.reference_price)
        or (row.volatility_interruption and not row.band_ppm)
    )
