"""Every message of the wire by kind; protocol.md and protocol.json are tested against it.

The facts are in the modules beside this one, each in one place: limits, codes, enums, flags, the
ranges of fields, and one module of messages per theme. No sockets, no state, no I/O: any thread may
use it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple, Union

import msgspec

from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.control import (
    Challenge,
    Error,
    Heartbeat,
    HeartbeatReport,
    Hello,
    LoggedOut,
    Logon,
    Logout,
    Ping,
    Pong,
    ServerInfo,
    ServerInfoReply,
    Welcome,
)
from hpe.protocol.enums import (
    BookChange,
    Channel,
    ExecType,
    HoldChange,
    InstrumentStatus,
    Liquidity,
    OrderStatus,
    OrderType,
    Role,
    SelfTrade,
    Side,
    TimeInForce,
)
from hpe.protocol.internal import (
    Configure,
    ConfigureResponse,
    Continue,
    ContinueResponse,
    InternalResponse,
    KeysValid,
    KeysValidResponse,
    SessionAttached,
    SessionAttachedResponse,
    SessionClosed,
    SessionClosedResponse,
    SessionDetached,
    Tick,
    TickResponse,
)
from hpe.protocol.listings import (
    AddAsset,
    AddAssetResponse,
    AddInstrument,
    AddInstrumentResponse,
    AssetRow,
    AssetsReply,
    DelistAsset,
    DelistAssetResponse,
    DelistInstrument,
    DelistInstrumentResponse,
    GetInstrument,
    InstrumentReply,
    InstrumentRow,
    InstrumentsReply,
    ListAssets,
    ListInstruments,
    ResolveInstrument,
    ResolveInstrumentResponse,
)
from hpe.protocol.market_data import (
    BestUpdate,
    BookChangeRow,
    BookLevel,
    BookOrderRow,
    GetOrderbook,
    LevelsUpdate,
    OrderbookReply,
    OrdersSnapshot,
    OrdersUpdate,
    StatusUpdate,
    Subscribe,
    Subscribed,
    TradeRow,
    TradesUpdate,
    Unsubscribe,
    Unsubscribed,
)
from hpe.protocol.money import (
    BalanceReply,
    BalanceRow,
    BalancesReply,
    CaptureHold,
    Deposit,
    DepositResponse,
    GetBalance,
    HoldResponse,
    HoldRow,
    HoldsReply,
    ListBalances,
    ListHolds,
    LockBalance,
    LockResponse,
    ReleaseHold,
    ReleaseHoldResponse,
    Transfer,
    TransferResponse,
    UnlockBalance,
    UnlockResponse,
    Withdraw,
    WithdrawResponse,
)
from hpe.protocol.operations import (
    BlockUser,
    BlockUserResponse,
    ConservationReply,
    GetConservation,
    GetStateHash,
    SetFees,
    SetFeesResponse,
    SetStatus,
    SetStatusResponse,
    StateHashReply,
    Uncross,
    UncrossResponse,
)
from hpe.protocol.orders import (
    CancelOrder,
    CancelResponse,
    FillRow,
    FillsReply,
    GetOrder,
    ListFills,
    ListOrders,
    MassCancel,
    MassCancelResponse,
    OcoResponse,
    OrderReply,
    OrderResponse,
    OrderRow,
    OrdersReply,
    OrderTerms,
    ReplaceOrder,
    ReplaceResponse,
    SubmitOco,
    SubmitOrder,
)
from hpe.protocol.reports import (
    BalanceReport,
    ExecutionReport,
    HoldReport,
    OrderReport,
    PreventedMatch,
    PrivateSubscribed,
    PrivateUnsubscribed,
    PrivateUpdate,
    SubscribePrivate,
    UnsubscribePrivate,
)

CONTROL: Final[tuple[type[Request], ...]] = (
    Hello,
    Ping,
    Logout,
    ServerInfo,
    Logon,
    Heartbeat,
    Unsubscribe,
    SubscribePrivate,
    UnsubscribePrivate,
)
QUERIES: Final[tuple[type[Request], ...]] = (
    GetOrderbook,
    GetBalance,
    ListAssets,
    ListInstruments,
    GetOrder,
    ListOrders,
    ListFills,
    ListBalances,
    ListHolds,
    GetInstrument,
    GetConservation,
    GetStateHash,
    Subscribe,
)
COMMANDS: Final[tuple[type[Request], ...]] = (
    SubmitOrder,
    CancelOrder,
    ReplaceOrder,
    LockBalance,
    UnlockBalance,
    Deposit,
    Withdraw,
    AddAsset,
    AddInstrument,
    ResolveInstrument,
    SubmitOco,
    MassCancel,
    BlockUser,
    SetStatus,
    Uncross,
    SetFees,
    Transfer,
    CaptureHold,
    ReleaseHold,
    DelistAsset,
    DelistInstrument,
)
INTERNAL: Final[tuple[type[Request], ...]] = (
    SessionAttached,
    SessionDetached,
    SessionClosed,
    Tick,
    Configure,
    Continue,
    KeysValid,
)
REPLIES: Final[tuple[type[Reply], ...]] = (
    Welcome,
    Pong,
    LoggedOut,
    ServerInfoReply,
    Challenge,
    HeartbeatReport,
    Unsubscribed,
    PrivateSubscribed,
    PrivateUnsubscribed,
    Error,
    OrderbookReply,
    BalanceReply,
    AssetsReply,
    InstrumentsReply,
    OrderReply,
    OrdersReply,
    FillsReply,
    BalancesReply,
    HoldsReply,
    InstrumentReply,
    ConservationReply,
    StateHashReply,
    Subscribed,
    OrderResponse,
    CancelResponse,
    ReplaceResponse,
    LockResponse,
    UnlockResponse,
    DepositResponse,
    WithdrawResponse,
    AddAssetResponse,
    AddInstrumentResponse,
    ResolveInstrumentResponse,
    OcoResponse,
    MassCancelResponse,
    BlockUserResponse,
    SetStatusResponse,
    UncrossResponse,
    SetFeesResponse,
    TransferResponse,
    HoldResponse,
    ReleaseHoldResponse,
    DelistAssetResponse,
    DelistInstrumentResponse,
    ExecutionReport,
    OrderReport,
    PreventedMatch,
    PrivateUpdate,
    BestUpdate,
    LevelsUpdate,
    OrdersUpdate,
    TradesUpdate,
    StatusUpdate,
)
"""Everything that a client may receive as a frame of its own."""

EMBEDDED: Final[tuple[type[Reply], ...]] = (OrdersSnapshot, HoldReport, BalanceReport)
"""Messages that occur only inside other replies."""

INTERNAL_REPLIES: Final[tuple[type[Reply], ...]] = (
    SessionAttachedResponse,
    InternalResponse,
    SessionClosedResponse,
    TickResponse,
    ConfigureResponse,
    ContinueResponse,
    KeysValidResponse,
)
"""Outcomes of the internal commands: the log's digest covers them, no client receives one."""

AnyReply: Final = Union[REPLIES]  # noqa: UP007 - made of a tuple, which `|` cannot take
"""The same as one type, for a decoder: the type number in the bytes selects the class."""

ENUMS: Final[tuple[type[IntEnum], ...]] = (
    Side,
    OrderType,
    TimeInForce,
    OrderStatus,
    ExecType,
    Liquidity,
    SelfTrade,
    InstrumentStatus,
    Role,
    Channel,
    BookChange,
    HoldChange,
    RejectReason,
    CancelReason,
)
"""The values that clients see; error codes have traits beside them."""

ARRAYS: Final[tuple[type[msgspec.Struct], ...]] = (OrderTerms, OrderRow, FillRow, InstrumentRow)
"""Arrays inside messages that have a name of their own."""


class Row(NamedTuple):
    """A short row of a list: its type, and the names of its columns."""

    kind: object
    columns: tuple[str, ...]


ROWS: Final = {
    "BookLevel": Row(BookLevel, ("price", "quantity", "orders")),
    "AssetRow": Row(AssetRow, ("asset", "symbol", "decimals")),
    "BalanceRow": Row(BalanceRow, ("asset", "available", "reserved", "held", "held_by_id")),
    "HoldRow": Row(HoldRow, ("hold_id", "asset", "remaining", "expires_ns")),
    "BookOrderRow": Row(BookOrderRow, ("order_id", "price", "quantity")),
    "BookChangeRow": Row(BookChangeRow, ("change", "side", "order_id", "price", "quantity")),
    "TradeRow": Row(TradeRow, ("trade_id", "price", "quantity", "side")),
}

SIGNED: Final = (
    "maker_fee_ppm", "fee", "fee_total", "indicative_surplus", "house", "available",
)  # fmt: skip
"""Fields that may be negative, all within 64 bits; every other integer is 0..INT_MAX."""
