"""The naive exchange's stops: triggers found anew from all trades, and the line of the fired.

Part of the second opinion of naive_exchange.py, nothing shared with the core.
Source: protocol.md, "The rules of the exchange", Stops, Unfinished work and Effort.
"""

from __future__ import annotations

from collections import Counter

from hpe.protocol.enums import ExecType, InstrumentStatus, Side
from hpe.protocol.limits import INT_MAX
from tests.support.naive_matching import arrive
from tests.support.naive_orders import NaiveOrder
from tests.support.naive_outlook import dead_before
from tests.support.naive_state import Concern, NaiveFiring, NaiveState


def reaches(side: Side, price: int, trigger: int) -> bool:
    """True if a price reaches the trigger of a stop of this side."""
    return price >= trigger if side is Side.BUY else price <= trigger


def reached_by_last(state: NaiveState, order: NaiveOrder) -> bool:
    """True if a stop's trigger is reached by the last price, while trading."""
    last_price = state.last_price(order.book)
    if not last_price or state.status(order.book) is not InstrumentStatus.TRADING:
        return False
    return reaches(order.side, last_price, state.trigger_now(order))


# --- what fires -----------------------------------------------------------------------------------


def fire_since(state: NaiveState, book: int, trades: int) -> None:
    """Let the trades after the first `trades` fire stops, if one reaches or moves any."""
    last = len(state.prices.get(book, []))
    if any(_notices(state, order, trades, last) for order in waiting(state, book)):
        _fire(state, book, trades + 1)
    else:
        state.looked.update({(book, side): last for side in Side})


def _notices(state: NaiveState, order: NaiveOrder, before: int, last: int) -> bool:
    if state.trigger_after(order, before) != state.trigger_after(order, last):
        return True
    return any(_is_reached(state, order, number) for number in range(before + 1, last + 1))


def _is_reached(state: NaiveState, order: NaiveOrder, number: int) -> bool:
    price = state.prices[order.book][number - 1]
    return reaches(order.side, price, state.trigger_after(order, number))


def fire_by_last(state: NaiveState, book: int) -> None:
    """Let the last price fire stops: the instrument began to trade, or a stop came."""
    last = len(state.prices.get(book, []))
    if last and state.status(book) is InstrumentStatus.TRADING and waiting(state, book):
        _fire(state, book, last)


def _fire(state: NaiveState, book: int, first: int) -> None:
    state.lines += 1
    firing = NaiveFiring(first, len(state.prices[book]), first, state.lines)
    state.firings.setdefault(book, []).append(firing)
    state.concerned = Concern(book)


def waiting(state: NaiveState, book: int) -> list[NaiveOrder]:
    """List the stops of an instrument that have not fired."""
    return [o for o in state.open if o.book == book and o.waiting and not o.line]


def advance(state: NaiveState, book: int) -> None:
    """Let trailing stops follow the price of an uncross."""
    for side in Side:
        _follow(state, book, side, len(state.prices[book]))


def _follow(state: NaiveState, book: int, side: Side, number: int) -> None:
    """Let trailing stops of a side follow a trade; those of other peaks than most cost effort."""
    trailing = [o for o in waiting(state, book) if o.side is side and o.terms.trail]
    if any(_trigger_at(state, order, number) != state.trigger_now(order) for order in trailing):
        price = state.prices[book][number - 1]
        peaks = Counter(
            peak
            for peak in (state.trigger_now(o) - _away(o) for o in trailing)
            if reaches(side, peak, price)
        )
        state.effort += peaks.total() - max(peaks.values())
    state.looked[book, side] = max(number, state.looked.get((book, side), 0))


def _trigger_at(state: NaiveState, order: NaiveOrder, number: int) -> int:
    looked = state.looked.get((order.book, order.side), 0)
    return state.trigger_after(order, max(number, looked))


def _away(order: NaiveOrder) -> int:
    return order.terms.trail if order.side is Side.BUY else -order.terms.trail


def take_out(state: NaiveState, book: int, left: int) -> int:
    """Line up stops that trades reached; return how many of those `left` still may."""
    room = min(left, max(1, state.effort_max - state.effort))
    firings = state.firings.get(book, [])
    while firings and room > 0:
        taken = _take(state, book, firings[0], room)
        room -= taken
        left -= taken
        state.effort += taken
        if firings[0].at > firings[0].last:
            firings.pop(0)
    return left


def _take(state: NaiveState, book: int, firing: NaiveFiring, room: int) -> int:
    """Line up stops of one side, trade by trade, until one has no room; return how many."""
    taken = 0
    while firing.at <= firing.last:
        _follow(state, book, firing.side, firing.at)
        mine = [o for o in waiting(state, book) if o.side is firing.side]
        reached = [o for o in mine if _is_reached(state, o, firing.at)]
        sign = 1 if firing.side is Side.BUY else -1
        reached.sort(key=lambda o: (sign * state.trigger_now(o), o.priority))
        for order in reached[: room - taken]:
            order.trigger = state.trigger_now(order)
            order.line = firing.line
            state.fired.setdefault(book, []).append(order)
            taken += 1
        if any(not order.line for order in reached):
            return taken
        firing.at += 1
    if firing.side is Side.BUY:
        state.lines += 1
        firing.side, firing.at, firing.line = Side.SELL, firing.first, state.lines
    return taken


# --- turns ----------------------------------------------------------------------------------------


def give_turns(state: NaiveState, concern: Concern) -> None:
    """Let queued stops of an instrument fire, each to its end; those they reach come behind."""
    book, left, state.direct = concern.book, state.limits.fired, False
    if concern.fired:
        left = take_out(state, book, left)
    state.effort += concern.resumed
    for _ in range(state.limits.stops):
        if state.effort >= state.effort_max or book in state.uncrossing:
            break
        if book not in state.unfinished():
            break
        left = take_out(state, book, left)
        line = state.in_line(book)
        if state.firings.get(book) or not line:
            break
        if state.is_dead(line[0]):
            state.expire(line[0])
        elif _waits(state, line[0]):
            break
        else:
            state.fired[book].remove(line[0])
            left = _run(state, line[0], left)


def _waits(state: NaiveState, stop: NaiveOrder) -> bool:
    """True if a stop would come to too many dead orders."""
    if state.in_call(stop.book):
        return False
    lots = stop.leaves if not stop.terms.budget else INT_MAX
    passed = dead_before(state, stop, lots)
    state.effort += passed.rows
    return passed.dead > state.limits.dead


def _run(state: NaiveState, order: NaiveOrder, left: int) -> int:
    trades = len(state.prices.get(order.book, []))
    order.waiting = False
    state.effort += 1
    state.report_order(order, ExecType.TRIGGERED)
    state.cancel_partner(order)
    state.open.remove(order)
    arrive(state, order)
    fire_since(state, order.book, trades)
    return take_out(state, order.book, left)
