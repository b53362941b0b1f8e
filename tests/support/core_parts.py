"""Small parts of a core for tests of one module: a book, plain orders in no exchange, a climb.

Owns how such tests build an Order, so that a new field of it is named in one place. Plain
functions without state; relies on hpe.core alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpe.core.balances import Account
from hpe.core.fees import Rates, rates_of
from hpe.core.instruments import Instrument
from hpe.core.order_states import OrderState
from hpe.core.orderbook import OrderBook
from hpe.core.orders import Order, Terms
from hpe.core.places import NOBODY
from hpe.messages import (
    INT_MAX,
    OrderResponse,
    OrderTerms,
    OrderType,
    RejectReason,
    SelfTrade,
    Side,
    SubmitOrder,
    TimeInForce,
)
from tests.support.core_driver import Client

FREE = rates_of(0, 0)
"""The rates of whoever pays no fees."""


def new_instrument(number: int = 1, symbol: str = "A/B", **changes: Any) -> Instrument:
    """Make an instrument of assets 1 and 2 that bounds and costs nothing."""
    fields = {
        "base": 1, "quote": 2, "base_atoms_per_lot": 1, "quote_atoms_per_tick": 1,
        "price_min": 1, "price_max": INT_MAX, "quantity_min": 1, "quantity_max": INT_MAX,
        "notional_min": 0, "notional_max": 2**62, "maker_fee_ppm": 0, "taker_fee_ppm": 0,
        "self_trade": SelfTrade.NONE, "band_ppm": 0, "reference_price": 0,
        "volatility_interruption": False,
    }  # fmt: skip
    return Instrument(number, symbol, **{**fields, **changes})


def new_book(**changes: Any) -> OrderBook:
    """Make an empty book."""
    return OrderBook(new_instrument(**changes))


def new_order(
    book: OrderBook,
    order_id: int = 1,
    side: Side = Side.BUY,
    price: int = 100,
    quantity: int = 10,
    *,
    user: int = 1,
    client_order_id: int = 0,
    paying: Account | None = None,
    receiving: Account | None = None,
    self_trade: SelfTrade = SelfTrade.NONE,
    rates: Rates = FREE,
    display: int = 0,
) -> Order:
    """Make a limit order (at market for price 0) as if it rested, with its slice shown."""
    kind, tif = OrderType.LIMIT, TimeInForce.GTC
    if not price:
        kind, tif = OrderType.MARKET, TimeInForce.IOC
    order = Order(
        order_id, user, client_order_id, book, side, kind, tif, price, quantity, quantity, 0,
        self_trade, rates, paying or Account(user, 1), receiving or Account(user, 2), NOBODY,
        state=OrderState.RESTING,
    )  # fmt: skip
    if display:
        order.terms = Terms(display=display)
        order.show_slice()
    return order


def new_stop(
    book: OrderBook, order_id: int, side: Side, trigger: int, *, trail: int = 0, place: int = 0
) -> Order:
    """Make a stop that waits nowhere yet; its place is its id unless it is given."""
    order = new_order(book, order_id, side, 0)
    order.order_type = OrderType.STOP
    order.terms = Terms(trigger, trail, place=place or order_id)
    order.state = OrderState.WAITING
    return order


def place(
    client: Client,
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
    """Start with everything wrong and repair one thing at a time.

    Each reason is seen while all later ones apply too, so it is their precedence that shows.
    `repairs` are (expected reason, what makes that reason go away: fields or a callable).
    """
    fields = dict(wrong)
    for expected, repair in repairs:
        assert ask(**fields).reason == expected
        if callable(repair):
            repair()
        else:
            fields.update(repair)
    return ask(**fields)
