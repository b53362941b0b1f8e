"""Small helpers for tests that drive a core: orders of any kind, and reject precedence.

Plain functions without state; rely on core_driver.py alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.orders import OrderResponse, OrderTerms, SubmitOrder
from tests.support.core_driver import VenueClient


def place(
    client: VenueClient,
    side: Side,
    price: int,
    quantity: int,
    kind: OrderType = OrderType.LIMIT,
    tif: TimeInForce = TimeInForce.GTC,
    *,
    instrument: int = 1,
    client_order_id: int = 0,
    flags: int = 0,
    self_trade: int = 0,
    user: int = 0,
    **terms: int,
) -> OrderResponse:
    """Submit an order of any kind; `terms` are the fields of OrderTerms."""
    order = SubmitOrder(
        client.next_id(), instrument, client_order_id, side, kind, tif, price, quantity, flags,
        self_trade, OrderTerms(**terms) if terms else None, user,
    )  # fmt: skip
    return client.get(OrderResponse, order)


def climb(
    ask: Callable[..., Any],
    wrong: dict[str, Any],
    repairs: list[tuple[RejectReason, dict[str, Any] | Callable[[], Any]]],
) -> Any:
    """Start with everything wrong, and repair one fault at a time.

    Each reason appears while all later ones apply too, so this shows their precedence.
    `repairs` are (expected reason, what removes that reason: fields or a callable).
    """
    fields = dict(wrong)
    for expected, repair in repairs:
        assert ask(**fields).reason == expected
        if callable(repair):
            repair()
        else:
            fields.update(repair)
    return ask(**fields)
