"""Messages about what is listed: assets and instruments.

Immutable values, as base.py describes them; any thread may use them.
"""

from __future__ import annotations

import msgspec

from hpe.protocol.base import Reply, Request
from hpe.protocol.enums import SelfTrade
from hpe.protocol.fields import (
    Amount,
    AnyInt,
    BandPpm,
    Decimals,
    EntityId,
    EntityIdOrZero,
    InterruptionMs,
    MakerPpm,
    Page,
    PairSymbol,
    PositiveInt,
    Symbol,
    TakerPpm,
)
from hpe.protocol.limits import AMOUNT_MAX, INT_MAX, PAGE_MAX


class ListAssets(Request, frozen=True, tag=34):
    """Ask for assets with ids above `after`, in order."""

    after: EntityIdOrZero = 0
    limit: Page = PAGE_MAX


AssetRow = tuple[int, str, int]
"""Asset id, symbol, decimals."""


class AssetsReply(Reply, frozen=True, tag=34):
    """A page of assets; a page shorter than the limit is the last."""

    sequence: int
    rows: list[AssetRow]


class ListInstruments(Request, frozen=True, tag=35):
    """Ask for instruments with ids above `after`, in order."""

    after: EntityIdOrZero = 0
    limit: Page = PAGE_MAX


class InstrumentRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One spot pair: ids, symbol, scale and limits."""

    instrument: int
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


class InstrumentsReply(Reply, frozen=True, tag=35):
    """A page of instruments; a page shorter than the limit is the last."""

    sequence: int
    rows: list[InstrumentRow]


class GetInstrument(Request, frozen=True, tag=41):
    """Ask for the state of an instrument."""

    instrument: EntityId


class InstrumentReply(Reply, frozen=True, tag=41):
    """State of an instrument; with `reason` unknown_instrument, all other fields are 0."""

    sequence: int
    reason: int
    instrument: int
    status: int
    last_price: int
    band_low: int
    band_high: int
    indicative_price: int
    indicative_volume: int
    indicative_surplus: int
    open_orders: int
    waiting_stops: int
    maker_fee_ppm: int
    taker_fee_ppm: int


class AddAsset(Request, frozen=True, tag=71):
    """Define an asset. One atom is 10^-decimals of it."""

    symbol: Symbol
    decimals: Decimals


class AddInstrument(Request, frozen=True, tag=72):
    """Define a spot pair of two assets. Its scale (atoms per lot and tick) never changes."""

    symbol: PairSymbol
    base: EntityId
    quote: EntityId
    base_atoms_per_lot: Amount = 1
    quote_atoms_per_tick: Amount = 1
    price_min: PositiveInt = 1
    price_max: PositiveInt = INT_MAX
    quantity_min: PositiveInt = 1
    quantity_max: PositiveInt = INT_MAX
    notional_min: AnyInt = 0
    notional_max: Amount = AMOUNT_MAX
    maker_fee_ppm: MakerPpm = 0
    taker_fee_ppm: TakerPpm = 0
    self_trade: SelfTrade = SelfTrade.NONE
    band_ppm: BandPpm = 0
    reference_price: AnyInt = 0
    volatility_interruption: bool = False
    interruption_ms: InterruptionMs = 0


class ResolveInstrument(Request, frozen=True, tag=73):
    """Find the instrument of a pair of asset symbols; create it if auto_create is on."""

    base: Symbol
    quote: Symbol


class AddAssetResponse(Reply, frozen=True, tag=71):
    """Outcome of add_asset: the new id, 0 when rejected."""

    sequence: int
    reason: int
    id: int


class AddInstrumentResponse(AddAssetResponse, frozen=True, tag=72):
    """Outcome of add_instrument."""


class ResolveInstrumentResponse(AddAssetResponse, frozen=True, tag=73):
    """Outcome of resolve_instrument."""


class DelistAsset(Request, frozen=True, tag=83):
    """Remove an asset that nothing uses from the list."""

    asset: EntityId


class DelistAssetResponse(Reply, frozen=True, tag=83):
    """Outcome of delist_asset."""

    sequence: int
    reason: int


class DelistInstrument(Request, frozen=True, tag=84):
    """Remove an instrument that nothing uses from the list."""

    instrument: EntityId


class DelistInstrumentResponse(DelistAssetResponse, frozen=True, tag=84):
    """Outcome of delist_instrument."""
