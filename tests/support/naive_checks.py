"""What the naive exchange tests of an order before it takes it, each rule by itself.

Part of the second opinion of naive_exchange.py, nothing shared with the core. Every function
raises Rejected where its rule is broken. Source: protocol.md, "The rules of the exchange".
"""

from __future__ import annotations

from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.orders import OrderTerms, SubmitOco, SubmitOrder
from tests.support.naive_listings import reject_if
from tests.support.naive_orders import NaiveOrder
from tests.support.naive_places import check_orders, check_parties
from tests.support.naive_state import NaiveState

NO_TERMS = OrderTerms()

_GTC, _IOC, _FOK, _GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD


def check_combination(command: SubmitOrder) -> None:
    """Test a new order against the table of orders."""
    terms = command.terms or NO_TERMS
    tif, quantity = command.time_in_force, command.quantity
    wrong = (tif is _GTD) != (terms.expires_ns != 0)
    wrong |= max(terms.display_quantity, terms.minimum_quantity) > quantity
    wrong |= command.side is Side.SELL and terms.budget != 0
    wrong |= terms.budget != 0 and quantity != 0
    if command.order_type is OrderType.LIMIT:
        wrong |= _limit_is_wrong(command, terms)
    else:
        wrong |= command.flags & ORDER_POST_ONLY != 0 or terms.display_quantity != 0
        if command.order_type is OrderType.MARKET:
            wrong |= _market_is_wrong(command, terms)
        else:
            wrong |= _stop_is_wrong(command, terms)
    reject_if(bool(wrong), RejectReason.INVALID_COMBINATION)


def _limit_is_wrong(command: SubmitOrder, terms: OrderTerms) -> bool:
    may_rest = command.time_in_force in (_GTC, _GTD)
    special = command.flags & ORDER_POST_ONLY or terms.display_quantity
    return bool(
        command.price == 0
        or terms.stop_price
        or terms.trail
        or terms.budget
        or (special and not may_rest)
        or (terms.minimum_quantity and (special or command.time_in_force is _FOK))
    )


def _market_is_wrong(command: SubmitOrder, terms: OrderTerms) -> bool:
    return bool(
        command.price
        or command.time_in_force not in (_IOC, _FOK)
        or terms.stop_price
        or terms.trail
        or (terms.minimum_quantity and (terms.budget or command.time_in_force is _FOK))
    )


def _stop_is_wrong(command: SubmitOrder, terms: OrderTerms) -> bool:
    if command.order_type is OrderType.STOP_LIMIT:
        wrong = not command.price or not terms.stop_price or terms.trail or terms.budget
    else:
        one_trigger = (terms.stop_price == 0) != (terms.trail == 0)
        wrong = command.price or not one_trigger
        wrong = wrong or (command.side is Side.BUY and not terms.budget)
    return bool(wrong or terms.minimum_quantity)


def check_pair(command: SubmitOco) -> None:
    """Test the fields of a pair."""
    plain_stop = not command.stop_limit_price
    wrong = (command.budget != 0) != (plain_stop and command.side is Side.BUY)
    ids = (command.limit_client_order_id, command.stop_client_order_id)
    wrong |= ids[0] == ids[1] != 0
    reject_if(wrong, RejectReason.INVALID_COMBINATION)


def check_state(state: NaiveState, user: int, book: int) -> None:
    """Test whether a user may have orders taken now."""
    reject_if(user in state.blocked, RejectReason.USER_BLOCKED)
    closed = state.status(book) in (InstrumentStatus.CANCEL_ONLY, InstrumentStatus.HALTED)
    reject_if(closed, RejectReason.NOT_TRADING)


def check_call(state: NaiveState, command: SubmitOrder) -> None:
    """Test whether an order can wait for the end of a call."""
    if state.in_call(command.instrument) and command.order_type in (
        OrderType.MARKET,
        OrderType.LIMIT,
    ):
        now = command.order_type is OrderType.MARKET or command.time_in_force in (_IOC, _FOK)
        minimum = command.terms is not None and command.terms.minimum_quantity
        post_only = command.flags & ORDER_POST_ONLY
        reject_if(bool(now or post_only or minimum), RejectReason.NOT_IN_CALL)


def check_price(state: NaiveState, order: NaiveOrder) -> None:
    """Test limit and trigger against the instrument's bounds."""
    listed, prices = order.instrument, []
    if order.is_limit:
        prices.append(order.price)
    last_price = state.last_price(order.book)
    if order.waiting and (not order.terms.trail or last_price):
        prices.append(state.trigger_now(order))
    outside = [p for p in prices if not listed.price_min <= p <= listed.price_max]
    reject_if(bool(outside), RejectReason.PRICE_OUT_OF_RANGE)


def check_band(state: NaiveState, order: NaiveOrder) -> None:
    """Test a limit against the band, while trading."""
    band = state.band(order.book)
    if not order.is_limit or order.waiting or band is None or state.in_call(order.book):
        return
    beyond = order.price > band[1] if order.side is Side.BUY else order.price < band[0]
    joins_calls = order.instrument.volatility_interruption
    reject_if(beyond and not joins_calls, RejectReason.PRICE_OUT_OF_BAND)


def check_quantity(order: NaiveOrder) -> None:
    """Test all lots of an order that has no budget."""
    listed = order.instrument
    outside = not listed.quantity_min <= order.quantity <= listed.quantity_max
    reject_if(outside and not order.terms.budget, RejectReason.QUANTITY_OUT_OF_RANGE)


def check_notional(order: NaiveOrder) -> None:
    """Test the value of the open part, or the budget."""
    listed = order.instrument
    if not order.is_limit and not order.terms.budget:
        return
    value = order.terms.budget or order.notional
    wrong = not listed.notional_min <= value <= listed.notional_max
    wrong |= order.is_limit and order.worst_notional > AMOUNT_MAX
    reject_if(wrong, RejectReason.NOTIONAL_OUT_OF_RANGE)


def check_expiry(state: NaiveState, expires_ns: int) -> None:
    """Test whether the end of an order or a hold is still to come."""
    passed = 0 < expires_ns <= state.time_ns
    reject_if(passed, RejectReason.EXPIRY_PASSED)


def check_room(state: NaiveState, orders: list[NaiveOrder]) -> None:
    """Test whether ids of new orders are free, and whether there are places for them."""
    user, listed = orders[0].user, orders[0].instrument
    mine = [order.client_order_id for order in state.open if order.user == user]
    taken = [o for o in orders if o.client_order_id and o.client_order_id in mine]
    reject_if(bool(taken), RejectReason.DUPLICATE_CLIENT_ORDER_ID)
    check_orders(state, user, len([order for order in orders if order.waiting or order.stays]))
    check_parties(state, user, listed.base, listed.quote)
