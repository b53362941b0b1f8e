"""What happened in a command, in order: what the reports and the log's trade rows are made of.

Part of the deterministic core; plain values. A Match (matcher.py) is one, too.
"""

from __future__ import annotations

import msgspec

from hpe.core.trading.executor import AuctionFill
from hpe.core.trading.matcher import Match
from hpe.core.trading.orders import Order
from hpe.protocol.enums import ExecType, HoldChange, OrderStatus


class OrderChange(msgspec.Struct, frozen=True, gc=False):
    """What happened to an order besides trades; quantities and prices right after it."""

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


class HoldEvent(msgspec.Struct, frozen=True, gc=False):
    """A named hold changed: by how much, and what is left; amounts in atoms."""

    user: int
    hold_id: int
    asset: int
    change: HoldChange
    amount: int
    remaining: int
    expires_ns: int


class AuctionMatch(msgspec.Struct, frozen=True, gc=False):
    """Trades of an uncross: they have consecutive trade ids."""

    instrument_id: int
    first_trade_id: int
    fills: list[AuctionFill]


class Delisted(msgspec.Struct, frozen=True, gc=False):
    """An instrument is gone, and so is its market data. Nobody is told of it in private."""

    instrument: int


Event = Match | OrderChange | AuctionMatch | HoldEvent | Delisted | Order | tuple[Order, ExecType]
"""Two that need no copy of the order, as they are reported before it can change again: an Order
alone was accepted with its whole quantity, one with `canceled` or `replaced` is as it is now."""


def order_change(order: Order, exec_type: ExecType, request_id: int) -> OrderChange:
    """Note what an order is now; one that was just accepted is new, whatever it asks for."""
    status = OrderStatus.NEW if exec_type is ExecType.NEW else order.status()
    return OrderChange(
        order, exec_type, request_id, status, order.leaves, order.cum, order.canceled,
        order.reason, order.price, order.trigger(),
    )  # fmt: skip
