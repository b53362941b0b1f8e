"""The naive exchange's commands about assets and instruments.

Part of the second opinion of naive_exchange.py, nothing shared with the core.
Source: protocol.md, "Assets and instruments" and "Places".
"""

from __future__ import annotations

from fractions import Fraction

from hpe.protocol.base import Request
from hpe.protocol.codes import RejectReason
from hpe.protocol.listings import (
    AddAsset,
    AddAssetResponse,
    AddInstrument,
    AddInstrumentResponse,
    DelistAsset,
    DelistAssetResponse,
    DelistInstrument,
    DelistInstrumentResponse,
    ResolveInstrument,
    ResolveInstrumentResponse,
)
from tests.support.naive_listings import Rejected, reject_if
from tests.support.naive_places import check_assets, check_instruments
from tests.support.naive_state import NaiveState


def execute_listing(
    state: NaiveState, user: int, command: Request
) -> AddAssetResponse | DelistAssetResponse:
    """Execute a listing or delisting command of a user's session and return its response."""
    if isinstance(command, DelistAsset | DelistInstrument):
        return _execute_delisting(state, command)
    assert isinstance(command, AddAsset | AddInstrument | ResolveInstrument)
    kinds = {AddAsset: AddAssetResponse, AddInstrument: AddInstrumentResponse}
    kind = kinds.get(type(command), ResolveInstrumentResponse)
    reason, flags, new_id = RejectReason.NONE, 0, 0
    try:
        if isinstance(command, AddAsset):
            new_id = _add_asset(state, user, command.symbol)
        elif isinstance(command, AddInstrument):
            new_id = _add_instrument(state, user, command)
        else:
            new_id = _resolve(state, user, command.base, command.quote)
    except Rejected as rejected:
        reason, flags = rejected.reason, rejected.flags
    return kind(command.request_id, flags, state.sequence, reason, new_id)


def _execute_delisting(
    state: NaiveState, command: DelistAsset | DelistInstrument
) -> DelistAssetResponse:
    reason = RejectReason.NONE
    state.effort += 1
    try:
        if isinstance(command, DelistAsset):
            state.effort += _looked_through(state, command.asset)
            _delist_asset(state, command.asset)
        else:
            _delist_instrument(state, command.instrument)
    except Rejected as rejected:
        reason = rejected.reason
    kind = DelistAssetResponse if isinstance(command, DelistAsset) else DelistInstrumentResponse
    return kind(command.request_id, 0, state.sequence, reason)


def _looked_through(state: NaiveState, asset: int) -> int:
    """Count the users, the house among them, that are looked at for money of an asset."""
    known = any(of == asset for _, of in (*state.account_keys, *state.owned))
    return len(state.users) + 1 if known else 0


def _delist_asset(state: NaiveState, asset: int) -> None:
    listings = state.listings
    reject_if(asset not in listings.assets, RejectReason.UNKNOWN_ASSET)
    needed = any(asset in (row.base, row.quote) for row in listings.instruments.values())
    owned = any(of == asset for _, of in state.accounts())
    reject_if(needed or owned, RejectReason.IN_USE)
    del listings.assets[asset], listings.asset_takers[asset]
    state.net_deposits.pop(asset, None)
    for key in [key for key in state.account_keys if key[1] == asset]:
        del state.account_keys[key]


def _delist_instrument(state: NaiveState, book: int) -> None:
    state.instrument(book)
    reject_if(any(order.book == book for order in state.open), RejectReason.IN_USE)
    state.effort += len(state.known_ended())
    reject_if(any(order.book == book for order in state.known_ended()), RejectReason.IN_USE)
    if state.last_price(book):
        state.effort += len(state.known_fills())
    fills = [row for _, row in state.known_fills() if row.instrument == book]
    reject_if(bool(fills), RejectReason.IN_USE)
    del state.listings.instruments[book], state.listings.instrument_takers[book]
    for kept in (state.statuses, state.interruptions, state.prices, state.trade_rows):
        kept.pop(book, None)
    for key in [key for key in state.own_rates if key[0] == book]:
        del state.own_rates[key]


def _add_asset(state: NaiveState, user: int, symbol: str) -> int:
    reject_if(state.listings.asset_of(symbol) > 0, RejectReason.DUPLICATE_SYMBOL)
    check_assets(state, user, 1)
    return state.listings.list_asset(symbol, (user, state.key))


def _add_instrument(state: NaiveState, user: int, command: AddInstrument) -> int:
    wrong = command.price_min > command.price_max
    wrong |= command.quantity_min > command.quantity_max
    wrong |= command.notional_min > command.notional_max
    wrong |= command.band_ppm > 0 and command.reference_price == 0
    wrong |= command.volatility_interruption and command.band_ppm == 0
    # No decimals of its assets, 18 at most, change what 100 places more cannot write down.
    tick = Fraction(command.quote_atoms_per_tick, command.base_atoms_per_lot)
    wrong |= (tick * 10**100).denominator != 1
    wrong |= command.interruption_ms > 0 and not command.volatility_interruption
    reject_if(wrong, RejectReason.INVALID_COMBINATION)
    unlisted = {command.base, command.quote} - state.listings.assets.keys()
    reject_if(bool(unlisted), RejectReason.UNKNOWN_ASSET)
    reject_if(command.base == command.quote, RejectReason.SAME_ASSET)
    reject_if(state.listings.is_listed(command.symbol), RejectReason.DUPLICATE_SYMBOL)
    check_instruments(state, user)
    below_zero = command.maker_fee_ppm + command.taker_fee_ppm < 0
    reject_if(below_zero, RejectReason.FEES_BELOW_ZERO)
    return state.listings.list_instrument(command, (user, state.key))


def _resolve(state: NaiveState, user: int, base: str, quote: str) -> int:
    listings = state.listings
    for number, listed in sorted(listings.instruments.items()):
        if (listings.assets[listed.base], listings.assets[listed.quote]) == (base, quote):
            return number
    reject_if(base == quote, RejectReason.SAME_ASSET)
    reject_if(not listings.auto_create, RejectReason.UNKNOWN_PAIR)
    reject_if(listings.is_listed(f"{base}/{quote}"), RejectReason.DUPLICATE_SYMBOL)
    new = [symbol for symbol in (base, quote) if not listings.asset_of(symbol)]
    check_assets(state, user, len(new))
    check_instruments(state, user)
    for symbol in new:
        listings.list_asset(symbol, (user, state.key))
    base_id, quote_id = (listings.asset_of(symbol) for symbol in (base, quote))
    pair = AddInstrument(1, f"{base}/{quote}", base_id, quote_id)
    return listings.list_instrument(pair, (user, state.key))
