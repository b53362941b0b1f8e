"""The checks that an order must pass before it is accepted, as far as they are not in entry.py.

Part of the deterministic core; pure functions of a command and the current state. entry.py and
replacing.py make the checks in protocol.md's order.
"""

from __future__ import annotations

from typing import Final

from hpe.core.money.fees import FeeRates
from hpe.core.money.wide import checked_notional, worst_fee
from hpe.core.trading.kinds import Kind, is_for, kind_of
from hpe.core.trading.order_index import UserOrders
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.orders import OrderTerms, SubmitOrder

_NO_TERMS: Final = OrderTerms()


def contradicts(command: SubmitOrder) -> bool:
    """True if the fields of an order contradict each other."""
    terms = command.terms or _NO_TERMS
    if (command.time_in_force is TimeInForce.GTD) is not (terms.expires_ns > 0):
        return True
    kind = kind_of(command.order_type, command.time_in_force, terms.budget)
    if kind is None or kind.needs_price is not (command.price > 0):
        return True
    if not is_for(kind, command.side) or (terms.budget and command.quantity):
        return True
    match command.order_type:
        case OrderType.LIMIT:
            return _limit_contradicts(command, terms, kind)
        case OrderType.MARKET:
            return _market_contradicts(command, terms)
        case OrderType.STOP:
            wrong = (terms.stop_price > 0) is (terms.trail > 0)
        case OrderType.STOP_LIMIT:
            wrong = not terms.stop_price or terms.trail > 0
    return wrong or _post_only(command) or max(terms.display_quantity, terms.minimum_quantity) > 0


def _post_only(command: SubmitOrder) -> bool:
    return command.flags & ORDER_POST_ONLY > 0


def _limit_contradicts(command: SubmitOrder, terms: OrderTerms, kind: Kind) -> bool:
    display, minimum = terms.display_quantity, terms.minimum_quantity
    if terms.stop_price or terms.trail:
        return True
    post_only = _post_only(command)
    if (post_only or display) and not kind.may_rest:
        return True
    if minimum and (post_only or display or command.time_in_force is TimeInForce.FOK):
        return True
    return display > command.quantity or minimum > command.quantity


def _market_contradicts(command: SubmitOrder, terms: OrderTerms) -> bool:
    budget, minimum = terms.budget, terms.minimum_quantity
    if _post_only(command):
        return True
    if terms.stop_price or terms.trail or terms.display_quantity:
        return True
    if budget:
        return minimum > 0
    return minimum > command.quantity or (
        minimum > 0 and command.time_in_force is not TimeInForce.IOC
    )


def barred(book: OrderBook, mine: UserOrders, in_call: bool) -> RejectReason:
    """Return the reject reason if the kill switch or the instrument's status refuses an order.

    `in_call`: True for kinds of orders that a call accepts.
    """
    if mine.blocked:
        return RejectReason.USER_BLOCKED
    if book.status is InstrumentStatus.TRADING:
        return RejectReason.NONE
    if book.status is not InstrumentStatus.CALL_AUCTION:
        return RejectReason.NOT_TRADING
    return RejectReason.NONE if in_call else RejectReason.NOT_IN_CALL


def admitted_to_call(command: SubmitOrder) -> bool:
    """True if a call accepts an order like this one."""
    terms = command.terms or _NO_TERMS
    kind = kind_of(command.order_type, command.time_in_force, terms.budget)
    collected = not _post_only(command) and not terms.minimum_quantity
    return collected and kind is not None and kind.in_call


def check_price(book: OrderBook, order: Order, time_ns: int) -> RejectReason:
    """Return the reject reason if limit or trigger is outside the instrument's price bounds."""
    instrument, terms = book.instrument, order.terms
    prices = [order.price] if order.price else []
    if terms is not None and (terms.stop_price or (terms.trail and book.last_price)):
        prices.append(terms.stop_price)
    if all(instrument.price_min <= price <= instrument.price_max for price in prices):
        return RejectReason.NONE
    return RejectReason.PRICE_OUT_OF_RANGE


def check_band(book: OrderBook, order: Order, time_ns: int) -> RejectReason:
    """Return the reject reason of a limit order beyond the band; stops are not checked."""
    limited = order.kind.needs_price and not order.kind.waits
    if limited and beyond_band(book, order.side, order.price):
        return RejectReason.PRICE_OUT_OF_BAND
    return RejectReason.NONE


def check_quantity(book: OrderBook, order: Order, time_ns: int) -> RejectReason:
    """Return the reject reason of a quantity; an order with a budget has none."""
    instrument = book.instrument
    if order.terms is not None and order.terms.budget:
        return RejectReason.NONE
    if not instrument.quantity_min <= order.quantity <= instrument.quantity_max:
        return RejectReason.QUANTITY_OUT_OF_RANGE
    return RejectReason.NONE


def check_notional(book: OrderBook, order: Order, time_ns: int) -> RejectReason:
    """Return the reject reason of a limit's notional with its worst fee, or of a budget."""
    instrument, admitted = book.instrument, True
    if order.price:
        admitted = admits_notional(book, order.rates, order.price, order.leaves)
    elif order.terms is not None and order.terms.budget:
        admitted = instrument.notional_min <= order.terms.budget <= instrument.notional_max
    return RejectReason.NONE if admitted else RejectReason.NOTIONAL_OUT_OF_RANGE


def check_expiry(book: OrderBook, order: Order, time_ns: int) -> RejectReason:
    """Return the reject reason of an order that would already be expired."""
    if order.terms is not None and 0 < order.terms.expires_ns <= time_ns:
        return RejectReason.EXPIRY_PASSED
    return RejectReason.NONE


ORDER_CHECKS: Final = (check_price, check_band, check_quantity, check_notional, check_expiry)
"""Checks of one order by itself, in the order of precedence."""


def beyond_band(book: OrderBook, side: Side, price: int) -> bool:
    """True if a limit is refused because it is above the band for a buy, below it for a sell.

    With volatility interruption nothing is refused here: matching decides.
    """
    instrument = book.instrument
    if (
        not instrument.band_ppm
        or instrument.volatility_interruption
        or book.status is not InstrumentStatus.TRADING
    ):
        return False
    low, high = book.band()
    return price > high if side is Side.BUY else price < low


def admits_notional(book: OrderBook, rates: FeeRates, price: int, leaves: int) -> bool:
    """True if a new limit order is within the notional bounds, including its worst fee."""
    instrument = book.instrument
    notional = checked_notional(price, leaves, instrument.quote_atoms_per_tick)
    if notional is None or not instrument.notional_min <= notional <= instrument.notional_max:
        return False
    return notional + worst_fee(notional, rates.worst) <= AMOUNT_MAX
