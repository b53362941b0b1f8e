"""Commands of the service itself, which only connection 0 may send: refused from clients.

Immutable values, as base.py describes them; any thread may use them.
"""

from __future__ import annotations

import msgspec

from hpe.protocol.base import Reply, Request
from hpe.protocol.enums import DetachCause, Role, SelfTrade
from hpe.protocol.fields import (
    Amount,
    AnyInt,
    BandPpm,
    Decimals,
    ExpiryNs,
    GraceMs,
    HelloFlags,
    InterruptionMs,
    KeepNs,
    LogoutFlags,
    MakerPpm,
    PairSymbol,
    PositiveInt,
    Symbol,
    TakerPpm,
    Window,
)
from hpe.protocol.limits import AMOUNT_MAX, INT_MAX


class SessionAttached(Request, frozen=True, tag=112):
    """A connection takes a session; request_id is the attach number."""

    session_id: AnyInt
    user: PositiveInt
    window: Window
    role: Role = Role.ANONYMOUS
    user_first: PositiveInt = 1
    user_last: PositiveInt = INT_MAX
    flags: HelloFlags = 0
    grace_ms: GraceMs = 0
    key: AnyInt = 0


class SessionAttachedResponse(Reply, frozen=True, tag=112):
    """The contents of welcome. `error` is an ErrorCode, 0 if attached; `limit` says whose limit."""

    sequence: int
    error: int
    session_id: int
    window: int
    last_request_id: int
    private_sequence: int
    limit: int = 0
    time_ns: int = 0


class SessionDetached(Request, frozen=True, tag=113):
    """A connection left its session; ignored unless the attach number is current."""

    session_id: PositiveInt
    attach_number: PositiveInt
    cause: DetachCause


class SessionClosed(Request, frozen=True, tag=114):
    """The session is forgotten; ignored unless the attach number is current."""

    session_id: PositiveInt
    attach_number: PositiveInt
    flags: LogoutFlags = 0


class Tick(Request, frozen=True, tag=115):
    """Let due timers act although no client sent a command."""


class AssetSetting(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """An asset in the configuration: added if its symbol is new."""

    symbol: Symbol
    decimals: Decimals


class InstrumentSetting(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """A pair in the configuration, named by its symbols: added if new, else its limits change.

    Fees of nil stay as they are, 0 for a new pair: a command of their own changes them.
    """

    symbol: PairSymbol
    base: Symbol
    quote: Symbol
    base_atoms_per_lot: Amount
    quote_atoms_per_tick: Amount
    price_min: PositiveInt
    price_max: PositiveInt
    quantity_min: PositiveInt
    quantity_max: PositiveInt
    notional_min: AnyInt
    notional_max: Amount = AMOUNT_MAX
    maker_fee_ppm: MakerPpm | None = None
    taker_fee_ppm: TakerPpm | None = None
    self_trade: SelfTrade = SelfTrade.NONE
    band_ppm: BandPpm = 0
    reference_price: AnyInt = 0
    volatility_interruption: bool = False
    interruption_ms: InterruptionMs = 0


class PlaceLimits(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """Bounds of what can run out: in all, per user, and per key in percent.

    For open orders, the first two are fields of `configure` itself.
    """

    users_max: PositiveInt = 1_048_576
    accounts_max: PositiveInt = 4_194_304
    holds_max: PositiveInt = 1_000_000
    holds_per_user_max: PositiveInt = 100_000
    assets_max: PositiveInt = 65_536
    assets_per_user_max: PositiveInt = 16_384
    instruments_max: PositiveInt = 65_536
    instruments_per_user_max: PositiveInt = 16_384
    key_share_percent: PositiveInt = 25


class Configure(Request, frozen=True, tag=116):
    """Every setting that can change an outcome; assets and instruments only where they differ."""

    auto_create: bool
    session_expiry_ns: ExpiryNs
    session_keep_ns: KeepNs
    open_orders_max: PositiveInt
    open_orders_per_user_max: PositiveInt
    assets: list[AssetSetting]
    instruments: list[InstrumentSetting]
    places: PlaceLimits = PlaceLimits()


class Continue(Request, frozen=True, tag=117):
    """Continue what one command left unfinished: an uncross, or stops in the queue."""


class KeySetting(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """A key that may log on: the number that stands for its id, and its role."""

    number: PositiveInt
    role: Role


class KeysValid(Request, frozen=True, tag=118):
    """All keys that are valid from now on; the sessions of other keys are closed."""

    keys: list[KeySetting]


class InternalResponse(Reply, frozen=True, tag=113):
    """Outcome of an internal command that has no result of its own."""

    sequence: int


class SessionClosedResponse(InternalResponse, frozen=True, tag=114):
    """Outcome of session_closed."""


class TickResponse(InternalResponse, frozen=True, tag=115):
    """Outcome of tick."""


class ConfigureResponse(InternalResponse, frozen=True, tag=116):
    """Outcome of configure."""


class ContinueResponse(InternalResponse, frozen=True, tag=117):
    """Outcome of continue."""


class KeysValidResponse(InternalResponse, frozen=True, tag=118):
    """Outcome of keys_valid."""
