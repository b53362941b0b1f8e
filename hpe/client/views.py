"""What the wire's integers look like to a person: balances, orders, markets, events in Decimals.

Owns the immutable values that the client library gives out; scales.py makes them of replies, and
market_views.py has those about markets. Pure values; any task may use them. Decimals are exact
and print as plain numbers. `raw` is what the server said, in the integers of the wire: ticks,
lots, atoms. It is the one name of them everywhere, and is neither compared nor printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from hpe.client.results import Balance, HoldResult, MassCancelResult, OrderResult
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import (
    ExecType,
    HoldChange,
    Liquidity,
    OrderStatus,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)
from hpe.protocol.money import BalanceRow, HoldRow
from hpe.protocol.operations import ConservationReply
from hpe.protocol.orders import FillRow, OrderRow
from hpe.protocol.reports import (
    BalanceReport,
    ExecutionReport,
    HoldReport,
    OrderReport,
    PreventedMatch,
)


@dataclass(frozen=True, slots=True)
class BalanceView:
    """One account; locked = reserved (by open orders) + held (by lock_balance)."""

    available: Decimal
    locked: Decimal
    reserved: Decimal
    held: Decimal
    raw: Balance = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account of list_balances; `in_holds` is what of `held` is in named holds."""

    symbol: str
    balance: BalanceView
    in_holds: Decimal
    raw: BalanceRow = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class HoldView:
    """A named hold; `expires_ns` is 0 when it never does."""

    hold_id: int
    symbol: str
    amount: Decimal
    expires_ns: int
    raw: HoldRow = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class HoldResultView:
    """What is left of a hold (0: it is gone), and its owner's account."""

    hold_id: int
    symbol: str
    remaining: Decimal
    balance: BalanceView
    raw: HoldResult = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ConservationView:
    """net_deposits = available + reserved + held over all accounts; `house` is one of them."""

    symbol: str
    net_deposits: Decimal
    available: Decimal
    reserved: Decimal
    held: Decimal
    house: Decimal
    accounts: int
    raw: ConservationReply = field(repr=False, compare=False)


# --- orders ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FillView:
    """One fill, as one of its two sides sees it. A negative fee is a rebate."""

    private_sequence: int
    time_ns: int
    trade_id: int
    symbol: str
    order_id: int
    client_order_id: int
    side: Side
    liquidity: Liquidity
    price: Decimal
    quantity: Decimal
    fee: Decimal
    raw: FillRow | ExecutionReport = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class FillsView:
    """Fills of a user, and how whole that is.

    `sequence` is the newest command that they show. Fills with a private sequence at or below
    `complete_after` may be missing: the server keeps the newest ones of all users only. 0: none
    of those that were asked for is missing.
    """

    sequence: int
    complete_after: int
    fills: list[FillView]


@dataclass(frozen=True, slots=True)
class ExecutionView(FillView):
    """A fill with what it left of the order."""

    leaves: Decimal
    cum: Decimal
    raw: ExecutionReport = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class OrderView:
    """How an order command ended.

    `reason` is why something of it was canceled, None if nothing was. `events` are the matches
    that the self-trade policy prevented and the linked orders that ended. Of a repeated request
    `raw.duplicate` is true: the server sends reports once, so that `fills` may be empty then.
    """

    order_id: int
    symbol: str
    status: OrderStatus
    reason: CancelReason | int | None
    leaves: Decimal
    cum: Decimal
    canceled: Decimal
    quote_total: Decimal
    fee_total: Decimal
    fills: tuple[ExecutionView, ...]
    events: tuple[OrderReportView | PreventedMatchView, ...]
    raw: OrderResult = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class OrderStateView:
    """An order as it is, or as it ended.

    `waiting` is a stop that has not fired; its `stop_price` is where it fires now.
    """

    order_id: int
    client_order_id: int
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    status: OrderStatus
    waiting: bool
    price: Decimal | None
    stop_price: Decimal | None
    quantity: Decimal
    leaves: Decimal
    cum: Decimal
    canceled: Decimal
    quote_total: Decimal
    fee_total: Decimal
    reserved: Decimal
    raw: OrderRow = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class MassCancelView:
    """What a mass_cancel took off; `remaining` orders match too: cancel again.

    `orders` has the reports of those that are one's own.
    """

    canceled: int
    remaining: int
    orders: tuple[OrderReportView, ...]
    raw: MassCancelResult = field(repr=False, compare=False)


# --- events: with ExecutionView what a private stream tells ---------------------------------------


@dataclass(frozen=True, slots=True)
class OrderReportView:
    """What happened to an order besides fills: accepted, replaced, fired, ended.

    A price is None where the order has none; `reason` is why it ended, None while it lives.
    """

    private_sequence: int
    time_ns: int
    symbol: str
    order_id: int
    client_order_id: int
    exec_type: ExecType
    status: OrderStatus
    reason: CancelReason | int | None
    side: Side
    order_type: OrderType
    price: Decimal | None
    stop_price: Decimal | None
    leaves: Decimal
    cum: Decimal
    canceled: Decimal
    raw: OrderReport = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PreventedMatchView:
    """A trade of a user with itself that its self-trade policy prevented."""

    private_sequence: int
    time_ns: int
    symbol: str
    policy: SelfTrade
    price: Decimal
    maker_order_id: int
    taker_order_id: int
    maker_canceled: Decimal
    taker_canceled: Decimal
    maker_leaves: Decimal
    taker_leaves: Decimal
    raw: PreventedMatch = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class HoldReportView:
    """What happened to a named hold: how much, and what is left of it."""

    private_sequence: int
    time_ns: int
    symbol: str
    hold_id: int
    change: HoldChange
    amount: Decimal
    remaining: Decimal
    expires_ns: int
    raw: HoldReport = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class BalanceReportView:
    """One account after something changed it; `in_holds` is what of `held` is in named holds."""

    private_sequence: int
    time_ns: int
    symbol: str
    available: Decimal
    reserved: Decimal
    held: Decimal
    in_holds: Decimal
    raw: BalanceReport = field(repr=False, compare=False)
