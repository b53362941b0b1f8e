"""The naive exchange's matching: which orders an order meets, what it does to both, who pays what.

Part of the second opinion of naive_exchange.py, nothing shared with the core. What an order would
do is found by letting copies do it. Source: protocol.md, "The rules of the exchange".
"""

from __future__ import annotations

from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import InstrumentStatus, Liquidity, Side, TimeInForce
from hpe.protocol.limits import HOUSE_USER
from tests.support.naive_meeting import Dead, NaiveFill, NaivePrevented, makers_for, meet
from tests.support.naive_orders import NaiveOrder, ceil_ppm
from tests.support.naive_outlook import looks_ahead, outlook, uses_up_budget
from tests.support.naive_state import NaiveState


def arrive(state: NaiveState, order: NaiveOrder) -> None:
    """Let a new limit or market order, or a stop that fired, run to its end."""
    if state.in_call(order.book):
        join_call(state, order)
        return
    terms, whole = order.terms, order.time_in_force is TimeInForce.FOK
    if terms.budget:
        if whole and not uses_up_budget(state, order):
            state.end(order, CancelReason.FOK_NOT_FILLABLE)
            return
        order.leaves = outlook(state, order).quantity
    elif whole or terms.minimum_quantity:
        seen = sum(part.lots for part in looks_ahead(state, order, order.leaves))
        if seen < (order.leaves if whole else terms.minimum_quantity):
            reason = CancelReason.FOK_NOT_FILLABLE if whole else CancelReason.MINIMUM_NOT_FILLABLE
            state.end(order, reason)
            return
    trade(state, order)


def join_call(state: NaiveState, order: NaiveOrder) -> None:
    """Let an order into a call, if it is one that can wait there."""
    if order.stays:
        state.rest(order)
    else:
        state.end(order, CancelReason.BAND)


def trade(state: NaiveState, taker: NaiveOrder) -> None:
    """Steps 1 to 3: trade, cancel who is linked, rest or end."""
    band = state.band(taker.book)
    resting = state.resting(taker.book)
    filled: list[NaiveOrder] = []
    prevented: list[NaivePrevented] = []
    reached = 0
    meeting = meet(taker, resting, band, state.limits.fills, state.is_dead)
    while True:
        try:
            event = next(meeting)
        except StopIteration as stopped:
            reason: int = stopped.value
            break
        state.effort += 1 if filled or prevented or reached else 2  # to trade at all costs as well
        if isinstance(event, NaiveFill):
            settle(state, taker, event.maker, event.quantity, event.price)
            filled.append(event.maker)
        elif isinstance(event, Dead):
            reached += 1
            state.expire(event.maker)
        else:
            prevented.append(event)
            state.report_prevented(event.maker, taker, event.price, event.numbers)
    for number, maker in enumerate(filled, 1):
        if maker not in filled[number:]:
            _end_if_done(state, maker, 0)
        state.cancel_partner(maker)
    for match in prevented:
        _end_if_done(state, match.maker, CancelReason.SELF_TRADE)
        if not match.maker.live:
            state.cancel_partner(match.maker)
    _finish(state, taker, reason, traded=bool(filled))


def _end_if_done(state: NaiveState, maker: NaiveOrder, reason: int) -> None:
    if maker.live and not maker.leaves:
        state.end(maker, reason)


def _interrupt(state: NaiveState, taker: NaiveOrder) -> None:
    state.statuses[taker.book] = InstrumentStatus.CALL_AUCTION
    if taker.instrument.interruption_ms:
        end_ns = state.time_ns + taker.instrument.interruption_ms * 1_000_000
        state.interruptions[taker.book] = end_ns


def _finish(state: NaiveState, taker: NaiveOrder, reason: int, traded: bool) -> None:
    rests = taker.stays and reason == CancelReason.NO_LIQUIDITY
    if reason == CancelReason.BAND and taker.instrument.volatility_interruption:
        next_maker = makers_for(taker, state.living(taker.book))[0]
        if next_maker.user != taker.user:
            _interrupt(state, taker)
            rests = taker.stays
    if traded:
        state.cancel_partner(taker)
    if rests:
        state.rest(taker)
        return
    if reason == CancelReason.NO_LIQUIDITY and taker.is_limit:
        reason = CancelReason.IOC_REMAINDER
    state.end(taker, reason)
    state.cancel_partner(taker)


def settle(
    state: NaiveState, taker: NaiveOrder, maker: NaiveOrder, quantity: int, price: int
) -> None:
    """Move the money of a trade that both orders know of already, and tell both."""
    first, second = (Liquidity.TAKER, Liquidity.MAKER)
    if state.in_call(taker.book):
        first = second = Liquidity.AUCTION
    state.trades += 1
    state.prices.setdefault(taker.book, []).append(price)
    side = 0 if first is Liquidity.AUCTION else taker.side
    row = (state.trades, price, quantity, side)
    state.trade_rows.setdefault(taker.book, []).append(row)
    fees = [move_money(state, order, quantity) for order in (taker, maker)]
    state.report_fill(taker, maker, quantity, price, fees[0], first)
    state.report_fill(maker, taker, quantity, price, fees[1], second)


def move_money(state: NaiveState, order: NaiveOrder, quantity: int) -> int:
    """Pay one side of its newest fill; return the fee."""
    listed = order.instrument
    notional, rate = order.fills[-1]
    before = sum(value * rate for value, rate in order.fills[:-1])
    fee = order.fee_total - ceil_ppm(before)
    sign = 1 if order.side is Side.BUY else -1
    state.move(order.user, listed.base, sign * quantity * listed.base_atoms_per_lot)
    state.move(order.user, listed.quote, -sign * notional - fee)
    if rate:
        state.move(HOUSE_USER, listed.quote, fee)
    return fee
