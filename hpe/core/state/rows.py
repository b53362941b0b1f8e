"""The rows of a dumped state: every kind with its number, its fields in order, and its key.

Part of the deterministic core. This is the one table: dump.py and loading.py follow it, and a test
compares docs/state-format.md with it. A row is a MessagePack array that begins with its kind. Rows
are ordered by kind, and within a kind by ascending `KEY`; where `QUEUED` is true, rows with equal
keys follow each other as in their queue.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from hpe.protocol.enums import InstrumentStatus, OrderType, Role, Side, TimeInForce
from hpe.protocol.fields import AnyInt
from hpe.protocol.limits import INT_MAX

Signed = Annotated[int, Meta(ge=-INT_MAX, le=INT_MAX)]
"""An integer that may be negative."""

Crc = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""A CRC-32."""


class DumpedRow(msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """Base of all rows."""

    KEY: ClassVar[tuple[str, ...]] = ()
    QUEUED: ClassVar[bool] = False


class DumpedHead(DumpedRow, frozen=True, tag=1):
    """The version, and all single values."""

    version: AnyInt
    sequence: AnyInt
    time_ns: AnyInt
    digest: Crc
    last_order_id: AnyInt
    last_trade_id: AnyInt
    last_session_id: AnyInt
    last_attach_number: AnyInt
    last_asset_id: AnyInt
    last_instrument_id: AnyInt
    last_served: AnyInt
    keys_known: bool


class DumpedSettings(DumpedRow, frozen=True, tag=2):
    """The settings that decide about outcomes."""

    auto_create: bool
    session_expiry_ns: AnyInt
    session_keep_ns: AnyInt
    open_orders_max: AnyInt
    open_orders_per_user_max: AnyInt
    users_max: AnyInt
    accounts_max: AnyInt
    holds_max: AnyInt
    holds_per_user_max: AnyInt
    assets_max: AnyInt
    assets_per_user_max: AnyInt
    instruments_max: AnyInt
    instruments_per_user_max: AnyInt
    key_share_percent: AnyInt


class DumpedKey(DumpedRow, frozen=True, tag=3):
    """A key that may log on."""

    KEY = ("number",)

    number: AnyInt
    role: Role


class DumpedAsset(DumpedRow, frozen=True, tag=4):
    """An asset, and whose place it takes."""

    KEY = ("asset",)

    asset: AnyInt
    symbol: str
    decimals: AnyInt
    user: AnyInt
    key: AnyInt


class DumpedInstrument(DumpedRow, frozen=True, tag=5):
    """An instrument, whose place it takes, and the state of its book apart from orders."""

    KEY = ("instrument",)

    instrument: AnyInt
    symbol: str
    base: AnyInt
    quote: AnyInt
    base_atoms_per_lot: AnyInt
    quote_atoms_per_tick: AnyInt
    price_min: AnyInt
    price_max: AnyInt
    quantity_min: AnyInt
    quantity_max: AnyInt
    notional_min: AnyInt
    notional_max: AnyInt
    maker_fee_ppm: Signed
    taker_fee_ppm: Signed
    self_trade: AnyInt
    band_ppm: AnyInt
    reference_price: AnyInt
    volatility_interruption: bool
    interruption_ms: AnyInt
    user: AnyInt
    key: AnyInt
    status: InstrumentStatus
    book_sequence: AnyInt
    last_price: AnyInt
    last_trade_id: AnyInt
    interruption_due_ns: AnyInt


class DumpedFees(DumpedRow, frozen=True, tag=6):
    """One user's own rates for an instrument."""

    KEY = ("instrument", "user")

    instrument: AnyInt
    user: AnyInt
    maker_ppm: Signed
    taker_ppm: Signed


class DumpedNet(DumpedRow, frozen=True, tag=7):
    """Deposits minus withdrawals of an asset."""

    KEY = ("asset",)

    asset: AnyInt
    amount: AnyInt


class DumpedUser(DumpedRow, frozen=True, tag=8):
    """A user."""

    KEY = ("user",)

    user: AnyInt
    key: AnyInt
    blocked: bool
    private_sequence: AnyInt
    fills_after: AnyInt


class DumpedAccount(DumpedRow, frozen=True, tag=9):
    """A user's balance of an asset."""

    KEY = ("user", "asset")

    user: AnyInt
    asset: AnyInt
    key: AnyInt
    available: Signed
    reserved: AnyInt
    held: AnyInt


class DumpedHold(DumpedRow, frozen=True, tag=10):
    """A named hold."""

    KEY = ("user", "hold_id")

    user: AnyInt
    hold_id: AnyInt
    key: AnyInt
    asset: AnyInt
    amount: AnyInt
    expires_ns: AnyInt


class DumpedOrder(DumpedRow, frozen=True):
    """The common fields of all order rows; a row's kind is the order's state."""

    instrument: AnyInt
    side: Side
    price: AnyInt
    order_id: AnyInt
    user: AnyInt
    client_order_id: AnyInt
    key: AnyInt
    order_type: OrderType
    time_in_force: TimeInForce
    flags: AnyInt
    self_trade: AnyInt
    quantity: AnyInt
    leaves: AnyInt
    cum: AnyInt
    canceled: AnyInt
    hidden: AnyInt
    reserved: AnyInt
    maker_ppm: Signed
    taker_ppm: Signed
    quote_total: AnyInt
    fee_total: Signed
    fee_rest: AnyInt
    stop_price: Signed
    trail: AnyInt
    display: AnyInt
    minimum: AnyInt
    budget: AnyInt
    expires_ns: AnyInt
    place: AnyInt
    session_id: AnyInt
    partner: AnyInt
    holds_pair: bool


class DumpedResting(DumpedOrder, frozen=True, tag=11):
    """An order in the book."""

    KEY = ("instrument", "side", "price")
    QUEUED = True


class DumpedWaiting(DumpedOrder, frozen=True, tag=12):
    """A stop that waits for its trigger."""

    KEY = ("order_id",)


class DumpedQueued(DumpedOrder, frozen=True, tag=13):
    """A stop that waits for its turn; `line` counts its instrument's lines from 1."""

    KEY = ("instrument", "line")
    QUEUED = True

    line: AnyInt


class DumpedEnded(DumpedOrder, frozen=True, tag=14):
    """An order that ended, while it is kept for queries."""

    QUEUED = True

    reason: AnyInt


class DumpedFill(DumpedRow, frozen=True, tag=15):
    """A fill, as it was reported to one side, while it is kept for queries."""

    QUEUED = True

    user: AnyInt
    request_id: AnyInt
    flags: AnyInt
    private_sequence: AnyInt
    sequence: AnyInt
    time_ns: AnyInt
    exec_type: AnyInt
    status: AnyInt
    instrument: AnyInt
    order_id: AnyInt
    client_order_id: AnyInt
    side: AnyInt
    liquidity: AnyInt
    trade_id: AnyInt
    last_price: AnyInt
    last_quantity: AnyInt
    leaves: AnyInt
    cum: AnyInt
    contra_order_id: AnyInt
    fee: Signed


class DumpedWork(DumpedRow, frozen=True, tag=16):
    """An instrument with unfinished work."""

    KEY = ("instrument",)

    instrument: AnyInt
    line_is_open: bool
    interrupted: bool


class DumpedFiring(DumpedRow, frozen=True, tag=17):
    """Triggers that a series of trades reached, while their stops are being taken out."""

    KEY = ("instrument",)
    QUEUED = True

    instrument: AnyInt
    prices: list[AnyInt]
    sides_done: AnyInt
    prices_done: AnyInt


class DumpedUncross(DumpedRow, frozen=True, tag=18):
    """An uncross that is done in parts."""

    KEY = ("instrument",)

    instrument: AnyInt
    price: AnyInt
    volume_left: AnyInt
    surplus: Signed
    next_status: InstrumentStatus


class DumpedEnding(DumpedRow, frozen=True, tag=19):
    """Orders of a lost session that are ending, or will end when its grace is over."""

    KEY = ("due_ns", "session_id", "newest_order_id")

    due_ns: AnyInt
    session_id: AnyInt
    newest_order_id: AnyInt
    instrument: AnyInt


class DumpedSession(DumpedRow, frozen=True, tag=20):
    """A session."""

    KEY = ("session_id",)

    session_id: AnyInt
    user: AnyInt
    window: AnyInt
    role: Role
    user_first: AnyInt
    user_last: AnyInt
    flags: AnyInt
    grace_ms: AnyInt
    key: AnyInt
    last_request_id: AnyInt
    attach_number: AnyInt
    detached_ns: AnyInt


class DumpedResponse(DumpedRow, frozen=True, tag=21):
    """A response that a session remembers."""

    KEY = ("session_id", "request_id")

    session_id: AnyInt
    request_id: AnyInt
    length: AnyInt
    crc: Crc
    response: bytes


class DumpedEnd(DumpedRow, frozen=True, tag=22):
    """The end; a dump without it is truncated."""

    rows: AnyInt


Dumped = (
    DumpedHead | DumpedSettings | DumpedKey | DumpedAsset | DumpedInstrument | DumpedFees
    | DumpedNet | DumpedUser | DumpedAccount | DumpedHold | DumpedResting | DumpedWaiting
    | DumpedQueued | DumpedEnded | DumpedFill | DumpedWork | DumpedFiring | DumpedUncross
    | DumpedEnding | DumpedSession | DumpedResponse | DumpedEnd
)  # fmt: skip

KINDS: Final[tuple[type[DumpedRow], ...]] = Dumped.__args__
"""All kinds of rows, by ascending number."""

ONCE: Final = (DumpedHead, DumpedSettings, DumpedEnd)
"""The kinds of which every dump has exactly one row."""
