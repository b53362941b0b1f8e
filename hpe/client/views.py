"""The wire's integers in readable form: balances, orders, markets, events in Decimals.

Owns the immutable values that the client library returns; scales.py makes them from replies, and
market_views.py has those about markets. Pure values; any task may use them. Decimals are exact
and print as plain numbers. `raw` is what the server sent, in the integers of the wire: ticks,
lots, atoms. It has this name everywhere, and is neither compared nor printed.
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
    """An account of list_balances; `in_holds` is the part of `held` in named holds."""

    symbol: str
    balance: BalanceView
    in_holds: Decimal
    raw: BalanceRow = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class HoldView:
    """A named hold; `expires_ns` is 0 if it never expires."""

    hold_id: int
    symbol: str
    amount: Decimal
    expires_ns: int
    raw: HoldRow = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class HoldResultView:
    """What remains of a hold (0: it is gone), and its owner's account."""

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
    """Fills of a user, and how complete they are.

    `sequence` is the newest command that they show. Fills with a private sequence at or below
    `complete_after` may be missing, because the server keeps only the newest ones of all users. 0:
    none of the requested ones is missing.
    """

    sequence: int
    complete_after: int
    fills: list[FillView]


@dataclass(frozen=True, slots=True)
class ExecutionView(FillView):
    """A fill, with the order's quantities after it."""

    leaves: Decimal
    cum: Decimal
    raw: ExecutionReport = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class OrderView:
    """The result of an order command.

    `reason` is why part of it was canceled, None if nothing was. `events` are the matches
    that the self-trade policy prevented and the linked orders that ended. For a repeated request
    `raw.duplicate` is true: the server sends reports once, so `fills` may then be empty.
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

    `waiting` is true for a stop that has not fired; its `stop_price` is its present trigger.
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
    """The result of a mass_cancel; if `remaining` orders also match, cancel again.

    `orders` has the reports of the session's own orders.
    """

    canceled: int
    remaining: int
    orders: tuple[OrderReportView, ...]
    raw: MassCancelResult = field(repr=False, compare=False)


# --- events: with ExecutionView what a private stream tells ---------------------------------------


@dataclass(frozen=True, slots=True)
class OrderReportView:
    """What happened to an order other than fills: accepted, replaced, fired, ended.

    A price is None if the order has none; `reason` is why it ended, None while it lives.
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
    """A trade of a user with itself that the self-trade policy prevented."""

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
    """What happened to a named hold: the amount, and what remains."""

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
    """One account after it changed; `in_holds` is the part of `held` in named holds."""

    private_sequence: int
    time_ns: int
    symbol: str
    available: Decimal
    reserved: Decimal
    held: Decimal
    in_holds: Decimal
    raw: BalanceReport = field(repr=False, compare=False)
