"""The catalogue: commands and queries that list assets and instruments.

Part of the deterministic core. Rejects are checked in the order of protocol.md's lists, and a
rejected command changes nothing. instruments.py owns the registries themselves.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hpe.core.context.command import Context
from hpe.core.context.effort import ROW
from hpe.core.context.holders import No, told
from hpe.core.context.places import Taken
from hpe.core.listings.instruments import Instrument, limits_contradict
from hpe.core.trading.exchange_state import ExchangeState
from hpe.core.trading.orderbook import OrderBook
from hpe.protocol.codes import RejectReason
from hpe.protocol.listings import (
    AddAsset,
    AddAssetResponse,
    AddInstrument,
    AddInstrumentResponse,
    AssetsReply,
    InstrumentsReply,
    ListAssets,
    ListInstruments,
    ResolveInstrument,
    ResolveInstrumentResponse,
)
from hpe.protocol.scale import is_decimal_scale

_NONE: Final = RejectReason.NONE
_Listing = AddAsset | AddInstrument | ResolveInstrument


class Catalogue:
    """Adds to and returns the listings of one exchange."""

    def __init__(self, exchange: ExchangeState) -> None:
        self._exchange = exchange
        self._listings = exchange.listings

    def add_asset(self, context: Context, command: AddAsset) -> AddAssetResponse:
        """List an asset."""
        asset_id = 0
        no: No = RejectReason.DUPLICATE_SYMBOL
        if self._listings.asset_named(command.symbol) is None:
            no = self._assets_refusal(context, 1)
        if not no:
            asset = self._listings.add_asset(
                command.symbol, command.decimals, context.user, context.holder
            )
            asset_id = asset.asset_id
        return self._answer(context, command, AddAssetResponse, no, asset_id)

    def _answer(
        self,
        context: Context,
        command: _Listing,
        response: type[AddAssetResponse],
        no: No,
        new_id: int,
    ) -> AddAssetResponse:
        reason, flags = told(no)
        return response(command.request_id, flags, context.sequence, reason, new_id)

    def _assets_refusal(self, context: Context, more: int) -> No:
        """Return why a user's session may not list this many more assets, NONE if it may."""
        listings, limits = self._listings, self._exchange.settings.places
        places = self._exchange.places
        taken = Taken(
            len(listings.assets),
            listings.asset_takers.count_of(context.user),
            context.holder.assets,
        )
        return places.refusal(
            context, RejectReason.TOO_MANY_ASSETS, more, taken, limits.assets_max,
            limits.assets_per_user_max,
        )  # fmt: skip

    def _instruments_refusal(self, context: Context) -> No:
        """Return why a user's session may not list one more instrument, NONE if it may."""
        listings, limits = self._listings, self._exchange.settings.places
        places = self._exchange.places
        of_user = listings.instrument_takers.count_of(context.user)
        taken = Taken(len(listings.instruments), of_user, context.holder.instruments)
        return places.refusal(
            context, RejectReason.TOO_MANY_INSTRUMENTS, 1, taken, limits.instruments_max,
            limits.instruments_per_user_max,
        )  # fmt: skip

    def add_instrument(self, context: Context, command: AddInstrument) -> AddAssetResponse:
        """List a pair and open its book."""
        no, instrument_id = self._listing_refusal(context, command), 0
        if not no:
            instrument_id = self.list_instrument(context, command)
        return self._answer(context, command, AddInstrumentResponse, no, instrument_id)

    def _listing_refusal(self, context: Context, command: AddInstrument) -> No:
        listings = self._listings
        if limits_contradict(command) or not is_decimal_scale(
            command.base_atoms_per_lot, command.quote_atoms_per_tick
        ):
            return RejectReason.INVALID_COMBINATION
        if command.base not in listings.assets or command.quote not in listings.assets:
            return RejectReason.UNKNOWN_ASSET
        if command.base == command.quote:
            return RejectReason.SAME_ASSET
        if listings.instrument_named(command.symbol) is not None:
            return RejectReason.DUPLICATE_SYMBOL
        no = self._instruments_refusal(context)
        if no:
            return no
        if command.maker_fee_ppm + command.taker_fee_ppm < 0:
            return RejectReason.FEES_BELOW_ZERO
        return _NONE

    def list_instrument(self, context: Context, row: AddInstrument) -> int:
        """List a valid pair and return its id; user 0 stands for the configuration."""
        instrument_id = self._listings.last_instrument_id + 1
        fields = msgspec.structs.astuple(row)
        instrument = Instrument(instrument_id, *fields[1:])
        self._listings.list_instrument(instrument, context.user, context.holder)
        self._exchange.books[instrument_id] = OrderBook(instrument, self._exchange.timers)
        return instrument_id

    def resolve_instrument(self, context: Context, command: ResolveInstrument) -> AddAssetResponse:
        """Find a pair by asset symbols; under auto_create, list what is missing with scale 1."""
        base, quote = map(self._listings.asset_named, (command.base, command.quote))
        known = None
        if base is not None and quote is not None:
            known = self._listings.instrument_of_pair(base.asset_id, quote.asset_id)
        instrument_id = 0
        no: No = _NONE
        if known is not None:
            instrument_id = known.instrument_id
        elif command.base == command.quote:
            no = RejectReason.SAME_ASSET
        elif not self._exchange.settings.auto_create:
            no = RejectReason.UNKNOWN_PAIR
        else:
            no, instrument_id = self._create_pair(context, command.base, command.quote)
        return self._answer(context, command, ResolveInstrumentResponse, no, instrument_id)

    def _create_pair(self, context: Context, base: str, quote: str) -> tuple[No, int]:
        """List a pair and its new assets: all of them or none."""
        listings = self._listings
        new = [symbol for symbol in (base, quote) if listings.asset_named(symbol) is None]
        symbol = f"{base}/{quote}"
        if listings.instrument_named(symbol) is not None:
            return RejectReason.DUPLICATE_SYMBOL, 0
        no = self._assets_refusal(context, len(new)) if new else _NONE
        no = no or self._instruments_refusal(context)
        if no:
            return no, 0
        for missing in new:
            listings.add_asset(missing, 0, context.user, context.holder)
        ids = [asset.asset_id for asset in map(listings.asset_named, (base, quote)) if asset]
        return _NONE, self.list_instrument(context, AddInstrument(1, symbol, ids[0], ids[1]))

    def list_assets(self, user: int, query: ListAssets) -> AssetsReply:
        """Return a page of assets."""
        rows = [asset.row() for asset in self._listings.assets_after(query.after, query.limit)]
        self._exchange.market.effort.ask(ROW, len(rows))
        return AssetsReply(query.request_id, 0, self._exchange.sequence, rows)

    def list_instruments(self, user: int, query: ListInstruments) -> InstrumentsReply:
        """Return a page of instruments."""
        page = self._listings.instruments_after(query.after, query.limit)
        rows = [listed.row() for listed in page]
        self._exchange.market.effort.ask(ROW, len(rows))
        return InstrumentsReply(query.request_id, 0, self._exchange.sequence, rows)
