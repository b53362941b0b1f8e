"""Small parts of the reference core for tests of one module: a book, plain orders in no exchange.

Owns how such tests build an Order, so that a new field of it is named in one place. Plain
functions without state; relies on hpe.core alone.
"""

from __future__ import annotations

from typing import Any

from hpe.core.context.holders import NOBODY
from hpe.core.listings.instruments import Instrument
from hpe.core.money.balances import Account
from hpe.core.money.fees import FeeRates, rates_of
from hpe.core.trading.order_states import OrderState
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order, Terms
from hpe.protocol.enums import OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.limits import INT_MAX

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
    rates: FeeRates = FREE,
    display: int = 0,
) -> Order:
    """Make a limit order (at market for price 0) as if it rested, with its slice shown."""
    kind, tif = OrderType.LIMIT, TimeInForce.GTC
    if not price:
        kind, tif = OrderType.MARKET, TimeInForce.IOC
    order = Order(
        order_id, user, client_order_id, book.instrument.instrument_id, side, kind, tif, price,
        quantity, quantity, 0, self_trade, rates, paying or Account(user, 1),
        receiving or Account(user, 2), NOBODY, state=OrderState.RESTING,
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
