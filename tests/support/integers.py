"""Commands of a client in the integers of the wire, as the plays of some tests are written."""

from __future__ import annotations

from typing import Any

from hpe.client.client import Client
from hpe.client.results import result_of
from hpe.protocol.base import Request
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.orders import OrderTerms, SubmitOrder


async def executed(client: Client, command: Request) -> Any:
    """Execute a command and return its result."""
    return result_of(await client.requests.call(command))


def limit_order(
    side: Side,
    quantity: int,
    price: int,
    *,
    instrument: int = 1,
    client_order_id: int = 0,
    display_quantity: int = 0,
    user: int = 0,
) -> SubmitOrder:
    """Make a limit order in lots and ticks."""
    terms = OrderTerms(display_quantity=display_quantity) if display_quantity else None
    kinds = (OrderType.LIMIT, TimeInForce.GTC)
    return SubmitOrder(
        0, instrument, client_order_id, side, *kinds, price, quantity, 0, 0, terms, user
    )
