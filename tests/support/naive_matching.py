"""The naive exchange's matching: whom an order meets, what it does to both, who pays what.

Part of the second opinion of naive_exchange.py, nothing shared with the core. What an order would
do is found by letting copies do it. Source: protocol.md, "The rules of the exchange".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator
from itertools import groupby
from typing import NamedTuple

from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import InstrumentStatus, Liquidity, SelfTrade, Side, TimeInForce
from hpe.protocol.limits import HOUSE_USER
from tests.support.naive_orders import NaiveOrder, ceil_ppm, rank
from tests.support.naive_state import NaiveState

Band = tuple[int, int] | None


class Fill(NamedTuple):
    """Two orders traded."""

    maker: NaiveOrder
    quantity: int
    price: int


class Prevented(NamedTuple):
    """Two orders of one user met; canceled of maker and taker, leaves of maker and taker."""

    maker: NaiveOrder
    price: int
    numbers: tuple[int, int, int, int]


class Dead(NamedTuple):
    """An order came to one whose time was over; who is told of it ends that."""

    maker: NaiveOrder


Meeting = Generator[Fill | Prevented | Dead, None, int]


def makers_for(order: NaiveOrder, resting: list[NaiveOrder]) -> list[NaiveOrder]:
    """List the resting orders within an order's limit, best first."""
    opposite = [o for o in resting if o.side is not order.side and o.leaves]
    if order.is_limit and order.side is Side.BUY:
        opposite = [o for o in opposite if o.price <= order.price]
    elif order.is_limit:
        opposite = [o for o in opposite if o.price >= order.price]
    return sorted(opposite, key=rank)


def nobody_is_dead(order: NaiveOrder) -> bool:
    """Return False, whatever the order."""
    return False


def dead_before(state: NaiveState, order: NaiveOrder, lots: int, looks_only: bool = False) -> int:
    """Count the dead that an order comes to within this many lots; one that only looks ends at any.

    What icebergs hide comes behind all others of their price. One's own lots are none.
    """
    count = 0
    for _, level in groupby(makers_for(order, state.resting(order.book)), lambda o: o.price):
        hidden = 0
        for maker in level:
            if lots <= 0:
                return count
            if state.is_dead(maker):
                count += 1
            elif looks_only or maker.user != order.user or order.policy is SelfTrade.NONE:
                lots, hidden = lots - maker.shown, hidden + maker.leaves - maker.shown
            elif order.policy is SelfTrade.DECREMENT and not order.terms.budget:
                lots -= maker.leaves
            elif order.policy is not SelfTrade.CANCEL_MAKER:
                return count
        lots -= hidden
    return count


def meet(
    taker: NaiveOrder,
    resting: list[NaiveOrder],
    band: Band,
    most: int,
    is_dead: Callable[[NaiveOrder], bool] = nobody_is_dead,
) -> Meeting:
    """Let an order meet the book, one maker at a time; returns why it went no further.

    0: it is filled, or its budget is used up. No_liquidity: nothing is left within its limit.
    It trades with, or meets of its own user, so many orders at `most`.
    """
    met = 0
    while taker.leaves or taker.terms.budget:
        maker = next(iter(makers_for(taker, resting)), None)
        if maker is None:
            spent_exactly = taker.terms.budget and taker.needs() == 0
            return 0 if spent_exactly else CancelReason.NO_LIQUIDITY
        if is_dead(maker):
            yield Dead(maker)
            continue
        price, wanted = maker.price, _wanted(taker, maker.price)
        if not wanted:
            return 0 if taker.cum else CancelReason.NO_LIQUIDITY
        if band and not band[0] <= price <= band[1]:
            return CancelReason.BAND
        if met == most:
            return CancelReason.FILL_LIMIT
        met += 1
        if maker.user == taker.user and taker.policy is not SelfTrade.NONE:
            yield _prevent(maker, taker)
            if _stops_at_oneself(taker):
                return CancelReason.SELF_TRADE
            continue
        quantity = min(wanted, maker.shown)
        _trade_both(maker, taker, quantity, price)
        _next_slice(maker, resting)
        yield Fill(maker, quantity, price)
    return 0


def _wanted(taker: NaiveOrder, price: int) -> int:
    """Return the lots that an order wants at a price: as many as its budget pays, if it has one."""
    if not taker.terms.budget:
        return taker.leaves
    atoms = price * taker.instrument.quote_atoms_per_tick
    most = taker.needs() // atoms
    return bisect_right(
        range(1, most + 1), taker.terms.budget, key=lambda n: _cost(taker, n * atoms)
    )


def _cost(taker: NaiveOrder, notional: int) -> int:
    """Return what an order will have paid when it has traded so much more."""
    fee = ceil_ppm(taker.fee_micro + notional * taker.taker_ppm)
    return taker.quote_total + notional + fee


def _prevent(maker: NaiveOrder, taker: NaiveOrder) -> Prevented:
    policy, maker_canceled, taker_canceled = taker.policy, 0, 0
    price = maker.price
    if taker.terms.budget and policy is SelfTrade.CANCEL_TAKER:
        return Prevented(maker, price, (0, 0, maker.leaves, 0))
    if policy is SelfTrade.DECREMENT:
        maker_canceled = taker_canceled = min(maker.leaves, taker.leaves)
    if policy in (SelfTrade.CANCEL_MAKER, SelfTrade.CANCEL_BOTH):
        maker_canceled = maker.leaves
    if policy in (SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_BOTH):
        taker_canceled = taker.leaves
    for order, canceled in ((maker, maker_canceled), (taker, taker_canceled)):
        order.leaves -= canceled
        order.canceled += canceled
        order.shown = min(order.shown, order.leaves)
    taker_leaves = 0 if taker.terms.budget else taker.leaves
    return Prevented(maker, price, (maker_canceled, taker_canceled, maker.leaves, taker_leaves))


def _stops_at_oneself(taker: NaiveOrder) -> bool:
    if taker.policy is SelfTrade.CANCEL_MAKER:
        return False
    return bool(taker.terms.budget) or not taker.leaves


def _trade_both(maker: NaiveOrder, taker: NaiveOrder, quantity: int, price: int) -> None:
    notional = quantity * price * taker.instrument.quote_atoms_per_tick
    for order, rate in ((taker, taker.taker_ppm), (maker, maker.maker_ppm)):
        order.leaves -= quantity
        order.cum += quantity
        order.fills.append((notional, rate))
    maker.shown -= quantity


def _next_slice(maker: NaiveOrder, resting: list[NaiveOrder]) -> None:
    if maker.leaves and not maker.shown:
        maker.show()
        maker.priority = 1 + max(order.priority for order in resting)


class Outlook(NamedTuple):
    """What an order would do now."""

    quantity: int
    cost: int
    reason: int


def outlook(state: NaiveState, order: NaiveOrder) -> Outlook:
    """Let copies do what an order would do."""
    copies = [o.copied() for o in state.living(order.book)]
    taker = order.copied()
    reason = _exhausted(meet(taker, copies, state.band(order.book), state.limits.fills))
    cost = taker.quote_total + taker.fee_total
    return Outlook(taker.cum - order.cum, cost, reason)


class Looked(NamedTuple):
    """What an order would take at a price; `own_last`: then it comes to one of its own user."""

    price: int
    lots: int
    own_last: bool = False


def looks_ahead(
    state: NaiveState, order: NaiveOrder, lots: int, *, all_hidden: bool = False
) -> list[Looked]:
    """List what an order of so many lots would take, as one looks that may not trade first.

    It counts as many makers as it could trade with. What is hidden at a price it counts only if
    all slices of it that it would need are among those; `all_hidden`: also if they are not.
    The last row is that where it gets no further, of price 0 if there is no more.
    """
    found: list[Looked] = []
    makers_left, band = state.limits.fills, state.band(order.book)
    for price, level in groupby(makers_for(order, state.living(order.book)), lambda o: o.price):
        if not makers_left or (band and not band[0] <= price <= band[1]):
            return [*found, Looked(price, 0)]
        taken = hidden = slices = 0
        own_last = False
        for maker in level:
            if not lots or not makers_left:
                return [*found, Looked(price, taken, own_last), Looked(price, 0)]
            makers_left -= 1
            own_last = maker.user == order.user and order.policy is not SelfTrade.NONE
            if not own_last:
                part = min(maker.shown, lots)
                taken, lots = taken + part, lots - part
                hidden += maker.leaves - maker.shown
                slices += -((maker.shown - maker.leaves) // max(maker.terms.display_quantity, 1))
            elif order.policy is SelfTrade.DECREMENT:
                lots -= min(maker.leaves, lots)
            elif order.policy is not SelfTrade.CANCEL_MAKER:
                return [*found, Looked(price, taken, own_last), Looked(price, 0)]
        part = min(hidden, lots)
        cut = min(slices, lots) > makers_left
        if cut and not all_hidden:
            part = 0
        found.append(Looked(price, taken + part, own_last and not part))
        makers_left, lots = max(0, makers_left - min(slices, lots)), lots - part
        if cut:
            return [*found, Looked(price, 0)]
    return [*found, Looked(0, 0)]


def cost_ahead(state: NaiveState, order: NaiveOrder) -> int:
    """Return what a market buy by quantity would pay, with the fee, as far as it looks ahead."""
    atoms = order.instrument.quote_atoms_per_tick
    seen = looks_ahead(state, order, order.leaves, all_hidden=True)
    return _cost(order, sum(part.price * part.lots for part in seen) * atoms)


def uses_up_budget(state: NaiveState, order: NaiveOrder) -> bool:
    """True if an order would use up its budget and buy something, as it looks before it trades."""
    taker, asks = order.copied(), makers_for(order, state.living(order.book))
    lots = _wanted(taker, asks[0].price) + 1 if asks else 0
    *parts, end = looks_ahead(state, order, lots)
    for price, there, own_last in parts:
        taken = min(there, _wanted(taker, price))
        if taken:
            taker.cum += taken
            notional = taken * price * taker.instrument.quote_atoms_per_tick
            taker.fills.append((notional, taker.taker_ppm))
        if taken < there or (own_last and not _wanted(taker, price)):
            return taker.cum > 0
    used_up = taker.needs() == 0 or (end.price > 0 and not _wanted(taker, end.price))
    return taker.cum > 0 and used_up


def _exhausted(meeting: Meeting) -> int:
    while True:
        try:
            next(meeting)
        except StopIteration as stopped:
            reason: int = stopped.value
            return reason


def arrive(state: NaiveState, order: NaiveOrder) -> None:
    """Let a new limit or market order, or a stop that fired, run to its end."""
    if state.in_call(order.book):
        join_call(state, order)
        return
    terms, whole = order.terms, order.time_in_force is TimeInForce.FOK
    if whole or terms.minimum_quantity or terms.budget:
        if terms.budget:
            whole = whole and not uses_up_budget(state, order)
        seen = sum(part.lots for part in looks_ahead(state, order, order.leaves))
        if whole and seen < (order.leaves or 1):
            state.end(order, CancelReason.FOK_NOT_FILLABLE)
            return
        if seen < terms.minimum_quantity:
            state.end(order, CancelReason.MINIMUM_NOT_FILLABLE)
            return
        if terms.budget:
            order.leaves = outlook(state, order).quantity
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
    prevented: list[Prevented] = []
    meeting = meet(taker, resting, band, state.limits.fills, state.is_dead)
    while True:
        try:
            event = next(meeting)
        except StopIteration as stopped:
            reason: int = stopped.value
            break
        if isinstance(event, Fill):
            settle(state, taker, event.maker, event.quantity, event.price)
            filled.append(event.maker)
        elif isinstance(event, Dead):
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
    notional, _ = order.fills[-1]
    before = sum(value * rate for value, rate in order.fills[:-1])
    fee = order.fee_total - ceil_ppm(before)
    sign = 1 if order.side is Side.BUY else -1
    state.move(order.user, listed.base, sign * quantity * listed.base_atoms_per_lot)
    state.move(order.user, listed.quote, -sign * notional - fee)
    state.move(HOUSE_USER, listed.quote, fee)
    return fee
