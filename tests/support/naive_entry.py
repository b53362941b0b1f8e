"""The naive exchange's order commands: submit, submit_oco, replace, cancel, mass_cancel.

Part of the second opinion of naive_exchange.py, nothing shared with the core. Every function
returns the order with its response's reason, or raises Rejected.
Source: protocol.md, "The rules of the exchange".
"""

from __future__ import annotations

from msgspec.structs import replace

from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import ExecType, InstrumentStatus, OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.flags import ORDER_CANCEL_ON_DISCONNECT
from hpe.protocol.orders import (
    CancelOrder,
    MassCancel,
    OrderTerms,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from tests.support import naive_checks as checks
from tests.support.naive_listings import Rejected, reject_if
from tests.support.naive_matching import arrive, trade
from tests.support.naive_meeting import makers_for
from tests.support.naive_orders import NaiveOrder
from tests.support.naive_outlook import cost_ahead
from tests.support.naive_places import admit
from tests.support.naive_state import NaiveState
from tests.support.naive_stops import fire_by_last, fire_since, reached_by_last

_STOPS = (OrderType.STOP, OrderType.STOP_LIMIT)


def _new_order(state: NaiveState, user: int, command: SubmitOrder) -> NaiveOrder:
    listed = state.instrument(command.instrument)
    maker_ppm, taker_ppm = state.rates(command.instrument, user)
    terms = command.terms or checks.NO_TERMS
    policy = SelfTrade(command.self_trade or listed.self_trade)
    if terms.budget and policy in (SelfTrade.CANCEL_BOTH, SelfTrade.DECREMENT):
        policy = SelfTrade.CANCEL_TAKER
    order = NaiveOrder(
        0, user, command.client_order_id, command.instrument, listed, command.side,
        command.order_type, command.time_in_force, command.price, command.quantity,
        command.flags, policy, maker_ppm, taker_ppm, terms,
        waiting=command.order_type in _STOPS,
        trades_before=len(state.prices.get(command.instrument, [])),
    )  # fmt: skip
    if order.waiting or order.stays:
        order.flags |= state.session_flags
    order.session = state.session if order.flags & ORDER_CANCEL_ON_DISCONNECT else 0
    return order


def _accept(state: NaiveState, order: NaiveOrder) -> None:
    state.orders += 1
    order.order_id, order.key = state.orders, state.key
    admit(state, order.user, order.instrument.base, order.instrument.quote)
    state.report_order(order, ExecType.NEW)
    if order.waiting:
        order.priority = state.newest_priority()
        state.open.append(order)


def submit(state: NaiveState, user: int, command: SubmitOrder) -> NaiveOrder:
    """Take a new order, and let it trade or wait."""
    checks.check_combination(command)
    state.instrument(command.instrument)
    order = _new_order(state, user, command)
    checks.check_state(state, user, order.book)
    checks.check_call(state, command)
    checks.check_price(state, order)
    checks.check_band(state, order)
    checks.check_quantity(order)
    checks.check_notional(order)
    checks.check_expiry(state, order.terms.expires_ns)
    checks.check_room(state, [order])
    unknown = order.terms.trail and not state.last_price(order.book)
    reject_if(bool(unknown), RejectReason.NO_LAST_PRICE)
    crosses = order.post_only and _crosses(state, order)
    reject_if(crosses, RejectReason.POST_ONLY_WOULD_CROSS)
    needed = order.needs()
    if order.order_type is OrderType.MARKET and order.side is Side.BUY and not order.terms.budget:
        needed = cost_ahead(state, order)
    short = needed > state.account(user, order.asset())[0]
    reject_if(short, RejectReason.INSUFFICIENT_FUNDS)
    _accept(state, order)
    state.answered = order
    if order.waiting:
        fire_by_last(state, order.book)
    else:
        _run(state, order)
    return order


def _crosses(state: NaiveState, order: NaiveOrder) -> bool:
    return bool(makers_for(order, state.living(order.book)))


def _run(state: NaiveState, order: NaiveOrder) -> None:
    trades = len(state.prices.get(order.book, []))
    arrive(state, order)
    fire_since(state, order.book, trades)


def submit_pair(state: NaiveState, user: int, command: SubmitOco) -> tuple[int, int]:
    """Take a limit order and a stop; return their ids."""
    checks.check_pair(command)
    state.instrument(command.instrument)
    legs = [_new_order(state, user, leg) for leg in _legs(command)]
    limit, stop = legs
    checks.check_state(state, user, limit.book)
    reject_if(state.in_call(limit.book), RejectReason.NOT_IN_CALL)
    for leg in legs:
        checks.check_price(state, leg)
    checks.check_band(state, limit)
    for leg in legs:
        checks.check_quantity(leg)
    for leg in legs:
        checks.check_notional(leg)
    checks.check_expiry(state, command.expires_ns)
    checks.check_room(state, legs)
    reject_if(reached_by_last(state, stop), RejectReason.STOP_WOULD_TRIGGER)
    reject_if(_crosses(state, limit), RejectReason.POST_ONLY_WOULD_CROSS)
    needed = max(leg.needs() for leg in legs)
    short = needed > state.account(user, limit.asset())[0]
    reject_if(short, RejectReason.INSUFFICIENT_FUNDS)
    for leg in legs:
        _accept(state, leg)
    for dead in makers_for(limit, state.resting(limit.book)):
        state.expire(dead)
    state.rest(limit)
    limit.partner, stop.partner = stop, limit
    return limit.order_id, stop.order_id


def _legs(command: SubmitOco) -> tuple[SubmitOrder, SubmitOrder]:
    tif = TimeInForce.GTD if command.expires_ns else TimeInForce.GTC
    terms = OrderTerms(expires_ns=command.expires_ns)
    limit = SubmitOrder(
        1, command.instrument, command.limit_client_order_id, command.side, OrderType.LIMIT, tif,
        command.price, command.quantity, command.flags, command.self_trade, terms,
    )  # fmt: skip
    stop = SubmitOrder(
        1, command.instrument, command.stop_client_order_id, command.side,
        OrderType.STOP_LIMIT if command.stop_limit_price else OrderType.STOP, tif,
        command.stop_limit_price, 0 if command.budget else command.quantity, command.flags,
        command.self_trade,
        replace(terms, stop_price=command.stop_price, budget=command.budget),
    )  # fmt: skip
    return limit, stop


def find(state: NaiveState, user: int, order_id: int, client_order_id: int) -> NaiveOrder:
    """Find an open order of a user by one of its ids."""
    for order in state.open:
        named = order.client_order_id if client_order_id else order.order_id
        if order.user == user and named == (client_order_id or order_id):
            return order
    raise Rejected(RejectReason.UNKNOWN_ORDER)


def cancel(state: NaiveState, user: int, command: CancelOrder) -> NaiveOrder:
    """Cancel one order."""
    named_once = (command.order_id == 0) != (command.client_order_id == 0)
    reject_if(not named_once, RejectReason.INVALID_COMBINATION)
    order = find(state, user, command.order_id, command.client_order_id)
    _reject_if_halted(state, order)
    state.answered = order
    state.end(order, CancelReason.REQUESTED)
    state.cancel_partner(order)
    return order


def _reject_if_halted(state: NaiveState, order: NaiveOrder) -> None:
    halted = state.status(order.book) is InstrumentStatus.HALTED
    reject_if(halted, RejectReason.NOT_TRADING)


def mass_cancel(state: NaiveState, user: int, command: MassCancel) -> tuple[int, int]:
    """Cancel what matches; return how many, and how many are left."""
    both = command.user != 0 and command.all_users
    reject_if(both, RejectReason.INVALID_COMBINATION)
    if command.instrument:
        state.instrument(command.instrument)
    meant = [
        order
        for order in sorted(state.open, key=lambda order: order.order_id)
        if (command.all_users or order.user == user)
        and command.instrument in (0, order.book)
        and command.side in (0, order.side)
    ]
    state.effort += len({(order.user, order.book, order.side) for order in meant})
    matching = [o for o in meant if state.status(o.book) is not InstrumentStatus.HALTED]
    chosen = [order for order in matching if order.book not in state.uncrossing]
    if command.all_users:
        state.effort += len(state.users) + 1 + len(chosen)  # the house is a user
        chosen = chosen[: state.limits.mass_cancel_all]
    else:
        owner = ("key", state.key) if state.key else ("user", user)
        chosen = chosen[: state.limits.mass_cancel - state.taken_off[owner]]
        state.taken_off[owner] += len(chosen)
    end_all(state, chosen, CancelReason.MASS_CANCEL)
    return len(chosen), sum(order.live for order in matching)


def end_all(state: NaiveState, orders: list[NaiveOrder], reason: CancelReason) -> None:
    """Cancel orders by ascending id; two that are linked both end by the same reason."""
    for order in sorted(orders, key=lambda order: order.order_id):
        partner = order.partner
        if partner is not None and partner in orders:
            order.partner = partner.partner = None
        state.end(order, reason, bare=True)
        state.cancel_partner(order)


def replace_order(state: NaiveState, user: int, command: ReplaceOrder) -> NaiveOrder:
    """Change an order, which may lose its place and trade."""
    named_once = (command.order_id == 0) != (command.client_order_id == 0)
    given = [n for n in (command.quantity, command.leaves_quantity) if n is not None]
    enough = len(given) == 1 or (not given and command.expires_ns)
    reject_if(not (named_once and enough), RejectReason.INVALID_COMBINATION)
    order = find(state, user, command.order_id, command.client_order_id)
    wrong = order.terms.budget or (command.price and not order.is_limit)
    own_trigger = order.waiting and not order.terms.trail
    wrong = wrong or (command.stop_price and not own_trigger)
    wrong = wrong or (command.expires_ns and order.time_in_force is not TimeInForce.GTD)
    reject_if(bool(wrong), RejectReason.INVALID_COMBINATION)
    leaves = given[0] if given else order.leaves
    if command.quantity is not None:
        leaves -= order.cum + order.canceled
    state.answered = order
    if leaves <= 0:
        _reject_if_halted(state, order)
        state.end(order, CancelReason.REPLACED_AWAY)
        state.cancel_partner(order)
        return order
    if _only_takes_off(order, command, leaves):
        _reject_if_halted(state, order)
        order.leaves = leaves
        state.report_order(order, ExecType.REPLACED)
        order.shown = min(order.shown, leaves)
        return order
    checks.check_state(state, user, order.book)
    _change(state, order, command, leaves)
    return order


def new_leaves(order: NaiveOrder, command: ReplaceOrder) -> int:
    """Return what a replace leaves of an order."""
    if command.leaves_quantity is not None:
        return command.leaves_quantity
    whole = order.quantity if command.quantity is None else command.quantity
    return whole - order.cum - order.canceled


def takes_off(order: NaiveOrder, command: ReplaceOrder) -> bool:
    """True if a replace takes lots off an order and changes nothing else, or leaves nothing."""
    leaves = new_leaves(order, command)
    return leaves <= 0 or _only_takes_off(order, command, leaves)


def order_like(state: NaiveState, user: int, command: SubmitOrder | SubmitOco) -> NaiveOrder:
    """Return an order as it would arrive, taken or not; of a pair the limit leg."""
    leg = command if isinstance(command, SubmitOrder) else _legs(command)[0]
    order = _new_order(state, user, leg)
    if not order.waiting:
        order.order_type = OrderType.LIMIT if order.price else OrderType.MARKET
    return order


def _only_takes_off(order: NaiveOrder, command: ReplaceOrder, leaves: int) -> bool:
    if command.requeue or command.expires_ns or leaves >= order.leaves:
        return False
    same_price = command.price in (None, order.price)
    return same_price and command.stop_price in (None, order.terms.stop_price)


def _change(state: NaiveState, order: NaiveOrder, command: ReplaceOrder, leaves: int) -> None:
    before = (order.price, order.leaves, order.terms)
    order.price, order.leaves = command.price or order.price, leaves
    if command.stop_price:
        order.terms = replace(order.terms, stop_price=command.stop_price)
    trigger = order.terms.stop_price
    if command.expires_ns:
        order.terms = replace(order.terms, expires_ns=command.expires_ns)
    stays = order.price == before[0] and (leaves == before[1] or command.expires_ns > 0)
    try:
        _check_changed(state, order, command, stays)
    except Rejected:
        order.price, order.leaves, order.terms = before
        raise
    state.report_order(order, ExecType.REPLACED)
    same = trigger == before[2].stop_price and (order.waiting or order.price == before[0])
    if same and leaves <= before[1] and not command.requeue:
        order.shown = min(order.shown, leaves)
    elif order.waiting:
        state.open.remove(order)
        order.priority = state.newest_priority()
        state.open.append(order)
        fire_by_last(state, order.book)
    else:
        _lose_place(state, order)


def _check_changed(
    state: NaiveState, order: NaiveOrder, command: ReplaceOrder, stays: bool
) -> None:
    checks.check_price(state, order)
    checks.check_band(state, order)
    checks.check_quantity(order)
    checks.check_notional(order)
    checks.check_expiry(state, command.expires_ns)
    crosses = order.post_only and not stays and _crosses(state, order)
    reject_if(crosses, RejectReason.POST_ONLY_WOULD_CROSS)
    short = state.account(order.user, order.asset())[0] < 0
    reject_if(short, RejectReason.INSUFFICIENT_FUNDS)


def _lose_place(state: NaiveState, order: NaiveOrder) -> None:
    trades = len(state.prices.get(order.book, []))
    state.open.remove(order)
    if state.in_call(order.book):
        state.rest(order)
    else:
        trade(state, order)
        fire_since(state, order.book, trades)
