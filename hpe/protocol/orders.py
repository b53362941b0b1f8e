"""Messages about orders: submit, cancel, replace, and the orders and fills of a user.

Immutable values, as base.py describes them; any thread may use them.
"""

from __future__ import annotations

import msgspec

from hpe.protocol.base import Reply, Request
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.fields import (
    AmountOrZero,
    AnyInt,
    EntityId,
    EntityIdOrZero,
    OcoFlags,
    OrderFlags,
    Page,
    PositiveInt,
    SelfTradeOrZero,
    SideOrZero,
    TraderIdOrZero,
)
from hpe.protocol.limits import PAGE_MAX


class OrderRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An order as it is, or as it ended."""

    order_id: int
    client_order_id: int
    instrument: int
    side: int
    order_type: int
    time_in_force: int
    price: int
    quantity: int
    leaves: int
    cum: int
    canceled: int
    status: int
    reason: int
    quote_total: int
    fee_total: int
    reserved: int
    flags: int
    self_trade: int
    waiting: bool
    stop_price: int
    trail: int
    display_quantity: int
    minimum_quantity: int
    budget: int
    expires_ns: int
    linked_order_id: int


class GetOrder(Request, frozen=True, tag=36):
    """Ask for an order by exactly one of its ids (the other is 0)."""

    order_id: AnyInt
    client_order_id: AnyInt = 0
    user: AnyInt = 0


class OrderReply(Reply, frozen=True, tag=36):
    """The order; nil if it is unknown or ended too long ago."""

    sequence: int
    reason: int
    order: OrderRow | None


class ListOrders(Request, frozen=True, tag=37):
    """Ask for open orders with ids above `after`, in order."""

    instrument: EntityIdOrZero = 0
    after: AnyInt = 0
    limit: Page = PAGE_MAX
    user: AnyInt = 0


class OrdersReply(Reply, frozen=True, tag=37):
    """A page of open orders; a page shorter than the limit is the last."""

    sequence: int
    rows: list[OrderRow]


class FillRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One fill of a user, as its execution report showed it."""

    trade_id: int
    private_sequence: int
    time_ns: int
    instrument: int
    order_id: int
    client_order_id: int
    side: int
    liquidity: int
    price: int
    quantity: int
    fee: int
    contra_order_id: int


class ListFills(Request, frozen=True, tag=38):
    """Ask for recent fills with private sequences above `after`, oldest first."""

    after: AnyInt = 0
    limit: Page = PAGE_MAX
    user: AnyInt = 0


class FillsReply(Reply, frozen=True, tag=38):
    """A page of fills; a page shorter than the limit is the last.

    Every fill with a private sequence above `complete_after` is known.
    """

    sequence: int
    rows: list[FillRow]
    complete_after: int = 0


class OrderTerms(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """What an order may have beyond price, quantity and time in force; 0: not used."""

    stop_price: AnyInt = 0
    trail: AnyInt = 0
    display_quantity: AnyInt = 0
    minimum_quantity: AnyInt = 0
    budget: AmountOrZero = 0
    expires_ns: AnyInt = 0


class SubmitOrder(Request, frozen=True, tag=64):
    """Submit an order."""

    instrument: EntityId
    client_order_id: AnyInt
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price: AnyInt
    quantity: AnyInt
    flags: OrderFlags = 0
    self_trade: SelfTradeOrZero = 0
    terms: OrderTerms | None = None
    user: TraderIdOrZero = 0


class CancelOrder(Request, frozen=True, tag=65):
    """Cancel an order, named by exactly one of its two ids (the other is 0)."""

    order_id: AnyInt
    client_order_id: AnyInt = 0
    user: TraderIdOrZero = 0


class ReplaceOrder(Request, frozen=True, tag=66):
    """Change an order's quantity, prices or expiry; nil (0 for the expiry) leaves one unchanged."""

    order_id: AnyInt
    client_order_id: AnyInt
    quantity: AnyInt | None = None
    leaves_quantity: AnyInt | None = None
    price: PositiveInt | None = None
    requeue: bool = False
    stop_price: PositiveInt | None = None
    user: TraderIdOrZero = 0
    expires_ns: AnyInt = 0


class OrderResponse(Reply, frozen=True, tag=64):
    """Outcome of submit_order. Its fills came before it as execution reports."""

    sequence: int
    reason: int
    time_ns: int
    status: int
    order_id: int
    leaves: int
    cum: int
    canceled: int
    quote_total: int
    fill_count: int
    first_trade_id: int
    fee_total: int


class CancelResponse(OrderResponse, frozen=True, tag=65):
    """Outcome of cancel_order: the order as it ended."""


class ReplaceResponse(OrderResponse, frozen=True, tag=66):
    """Outcome of replace_order; fill_count and first_trade_id belong to this command."""


class SubmitOco(Request, frozen=True, tag=74):
    """Submit a limit order and a stop, of which one cancels the other."""

    instrument: EntityId
    side: Side
    quantity: PositiveInt
    price: PositiveInt
    stop_price: PositiveInt
    stop_limit_price: AnyInt = 0
    budget: AmountOrZero = 0
    limit_client_order_id: AnyInt = 0
    stop_client_order_id: AnyInt = 0
    expires_ns: AnyInt = 0
    self_trade: SelfTradeOrZero = 0
    user: TraderIdOrZero = 0
    flags: OcoFlags = 0


class OcoResponse(Reply, frozen=True, tag=74):
    """Outcome of submit_oco: the two orders, both open; 0 if rejected."""

    sequence: int
    reason: int
    time_ns: int
    limit_order_id: int
    stop_order_id: int


class MassCancel(Request, frozen=True, tag=75):
    """Cancel many orders: of one user or all, on one instrument or all, on one side or both."""

    instrument: EntityIdOrZero = 0
    side: SideOrZero = 0
    user: AnyInt = 0
    all_users: bool = False


class MassCancelResponse(Reply, frozen=True, tag=75):
    """Outcome of mass_cancel; if `remaining` orders also match, send it again."""

    sequence: int
    reason: int
    canceled: int
    remaining: int
