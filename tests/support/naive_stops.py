"""The naive exchange's stops: triggers found anew from all trades, and the queue of the fired.

Part of the second opinion of naive_exchange.py, nothing shared with the core.
Source: protocol.md, "The rules of the exchange", Stops.
"""

from __future__ import annotations

from hpe.protocol.enums import ExecType, InstrumentStatus, Side
from hpe.protocol.limits import INT_MAX
from tests.support.naive_matching import arrive, dead_before
from tests.support.naive_orders import NaiveOrder
from tests.support.naive_state import NaiveState


def reaches(side: Side, price: int, trigger: int) -> bool:
    """True if a price reaches the trigger of a stop of this side."""
    return price >= trigger if side is Side.BUY else price <= trigger


def reached_by_last(state: NaiveState, order: NaiveOrder) -> bool:
    """True if a stop's trigger is reached by the last price, while trading."""
    last_price = state.last_price(order.book)
    if not last_price or state.status(order.book) is not InstrumentStatus.TRADING:
        return False
    return reaches(order.side, last_price, state.trigger_now(order))


def queue_reached_since(state: NaiveState, book: int, trades: int) -> None:
    """Queue the stops that one of the trades after the first `trades` reached."""
    prices = state.prices.get(book, [])
    for order in _waiting(state, book):
        for number in range(trades, len(prices)):
            trigger = state.trigger_after(order, number + 1)
            if reaches(order.side, prices[number], trigger):
                order.trigger = trigger
                break
        else:
            order.trigger = 0
    _queue(state, [order for order in _waiting(state, book) if order.trigger])


def queue_reached_by_last(state: NaiveState, book: int) -> None:
    """Queue the stops that the last price has reached: the instrument began to trade."""
    reached = [order for order in _waiting(state, book) if reached_by_last(state, order)]
    for order in reached:
        order.trigger = state.trigger_now(order)
    _queue(state, reached)


def queue_arrived(state: NaiveState, order: NaiveOrder) -> None:
    """Queue a stop that came, or was changed, so that it fires at once."""
    if reached_by_last(state, order):
        order.trigger = state.trigger_now(order)
        _queue(state, [order])


def _waiting(state: NaiveState, book: int) -> list[NaiveOrder]:
    queued = set(state.in_line(book))
    return [o for o in state.open if o.book == book and o.waiting and o not in queued]


def _queue(state: NaiveState, orders: list[NaiveOrder]) -> None:
    buys = [order for order in orders if order.side is Side.BUY]
    sells = [order for order in orders if order.side is Side.SELL]
    for order in orders[:1]:
        state.concerned = order.book
    line = [order for book in {o.book for o in orders} for order in state.fired.get(book, [])]
    line += sorted(buys, key=lambda order: (order.trigger, order.priority))
    line += sorted(sells, key=lambda order: (-order.trigger, order.priority))
    for order in orders[:1]:
        state.fired[order.book] = line


def run_fired(state: NaiveState, book: int) -> None:
    """Let fired stops of an instrument run, each to its end; those that they fire come behind."""
    state.direct = False
    for _ in range(state.limits.stops):
        line = state.in_line(book)
        if not line or book not in state.unfinished() or book in state.uncrossing:
            break
        stop = line[0]
        lots = stop.leaves if not stop.terms.budget else INT_MAX
        if state.is_dead(stop):
            state.expire(stop)
            continue
        waits = dead_before(state, stop, lots) > state.limits.dead and not state.in_call(book)
        if waits:
            break
        state.fired[book] = line[1:]
        _run(state, stop)


def _run(state: NaiveState, order: NaiveOrder) -> None:
    trades = len(state.prices.get(order.book, []))
    order.waiting = False
    state.report_order(order, ExecType.TRIGGERED)
    state.cancel_partner(order)
    state.open.remove(order)
    arrive(state, order)
    queue_reached_since(state, order.book, trades)
