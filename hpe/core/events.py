"""What happened in a command, in order: what the reports and the log's trade rows are made of.

Part of the deterministic core; plain values. A Match (matcher.py) is the third kind of event.
"""

from __future__ import annotations

import msgspec

from hpe.core.executor import AuctionFill
from hpe.core.matcher import Match
from hpe.core.orderbook import OrderBook
from hpe.core.orders import Order
from hpe.messages import ExecType, OrderStatus


class OrderChange(msgspec.Struct, frozen=True, gc=False):
    """An order ended or fired without its own command saying so; quantities right after it."""

    order: Order
    exec_type: ExecType
    request_id: int
    status: OrderStatus
    leaves: int
    cum: int
    canceled: int
    reason: int


class AuctionMatch(msgspec.Struct, frozen=True, gc=False):
    """Trades of an uncross: they have consecutive trade ids."""

    book: OrderBook
    first_trade_id: int
    fills: list[AuctionFill]


Event = Match | OrderChange | AuctionMatch


def order_change(order: Order, exec_type: ExecType, request_id: int) -> OrderChange:
    """Note what an order is now."""
    return OrderChange(
        order, exec_type, request_id, order.status(), order.leaves, order.cum, order.canceled,
        order.reason,
    )  # fmt: skip
