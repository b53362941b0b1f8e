"""Events: what happened in a command, in order; the source of reports and of logged trades.

Part of the deterministic core; plain values. A Match (matcher.py) and a HoldEvent
(money/holds.py) are also events.
"""

from __future__ import annotations

import msgspec

from hpe.core.money.holds import HoldEvent
from hpe.core.trading.executor import AuctionFill
from hpe.core.trading.matcher import Match
from hpe.core.trading.orders import Order
from hpe.protocol.enums import ExecType, OrderStatus


class OrderChange(msgspec.Struct, frozen=True, gc=False):
    """What happened to an order other than trades; quantities and prices right after it."""

    order: Order
    exec_type: ExecType
    request_id: int
    status: OrderStatus
    leaves: int
    cum: int
    canceled: int
    reason: int
    price: int
    stop_price: int


class AuctionMatch(msgspec.Struct, frozen=True, gc=False):
    """Trades of an uncross: they have consecutive trade ids."""

    instrument_id: int
    first_trade_id: int
    fills: list[AuctionFill]


class Delisted(msgspec.Struct, frozen=True, gc=False):
    """An instrument was delisted, and its market data ends. No private report is made."""

    instrument: int


Event = Match | OrderChange | AuctionMatch | HoldEvent | Delisted | Order | tuple[Order, ExecType]
"""Two kinds need no copy of the order, because they are reported before it can change again: a bare
Order was accepted with its whole quantity; in a pair it was canceled or replaced."""


def order_change(order: Order, exec_type: ExecType, request_id: int) -> OrderChange:
    """Return an event about an order as it is now; a just accepted order is always new."""
    status = OrderStatus.NEW if exec_type is ExecType.NEW else order.status()
    return OrderChange(
        order, exec_type, request_id, status, order.leaves, order.cum, order.canceled,
        order.reason, order.price, order.trigger(),
    )  # fmt: skip
