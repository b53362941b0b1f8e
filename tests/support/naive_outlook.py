"""The naive exchange's looks ahead: what an order would do, and what finding that out costs.

Part of the second opinion of naive_exchange.py, nothing shared with the core. Source: protocol.md,
"The rules of the exchange", Order types, Bounds of an order and Effort.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from hpe.protocol.enums import SelfTrade
from tests.support.naive_meeting import Meeting, cost_of, makers_for, meet, wanted_by
from tests.support.naive_orders import NaiveOrder
from tests.support.naive_state import NaiveState


class NaivePassed(NamedTuple):
    """The dead that an order comes to, and what it costs to find that out."""

    dead: int
    rows: int


def dead_before(
    state: NaiveState, order: NaiveOrder, lots: int, looks_only: bool = False
) -> NaivePassed:
    """Count the dead that an order comes to within this many lots; one that only looks ends at any.

    What icebergs hide comes behind all others of their price. One's own lots are none.
    """
    if not state.has_dead(order.book):
        return NaivePassed(0, 0)
    passed = [state.is_dead(maker) for maker in _passed_by(state, order, lots, looks_only)]
    return NaivePassed(sum(passed), len(passed) // 8)


def _passed_by(
    state: NaiveState, order: NaiveOrder, lots: int, looks_only: bool
) -> Iterator[NaiveOrder]:
    dead = living = 0
    for _, level in groupby(makers_for(order, state.resting(order.book)), lambda o: o.price):
        hidden = 0
        for maker in level:
            if lots <= 0 or dead > state.limits.dead:
                return
            if state.is_dead(maker):
                dead += 1
                yield maker
                continue
            if living == state.limits.fills:
                return
            living += 1
            yield maker
            if looks_only or maker.user != order.user or order.policy is SelfTrade.NONE:
                lots, hidden = lots - maker.shown, hidden + maker.leaves - maker.shown
            elif order.policy is SelfTrade.DECREMENT and not order.terms.budget:
                lots -= maker.leaves
            elif order.policy is not SelfTrade.CANCEL_MAKER:
                return
        lots -= hidden


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
    """What an order would take at a price; `own_last`: then it comes to one of its own user.

    `is_end`: it gets no further than to this price, 0 if there is no more.
    """

    price: int
    lots: int
    own_last: bool = False
    is_end: bool = False


def looks_ahead(
    state: NaiveState, order: NaiveOrder, lots: int, *, all_hidden: bool = False
) -> Iterator[Looked]:
    """Tell what an order of so many lots would take, as one looks that may not trade first.

    It counts as many makers as it could trade with. What is hidden at a price it counts only if
    all slices of it that it would need are among those; `all_hidden`: also if they are not.
    The last row is that where it gets no further. Every level that it looks at costs effort, and
    every order of one that it does not take as a whole.
    """
    makers_left, band = state.limits.fills, state.band(order.book)
    resting = makers_for(order, state.resting(order.book))
    for price, those in groupby(resting, lambda o: o.price):
        level = list(those)
        if all(map(state.is_dead, level)):
            continue
        if not lots or not makers_left or (band and not band[0] <= price <= band[1]):
            yield Looked(price, 0, is_end=True)
            return
        state.effort += 1
        one_by_one = _takes_one_by_one(state, order, level, makers_left)
        taken = hidden = slices = 0
        own_last = False
        for maker in level:
            if not lots or not makers_left:
                yield Looked(price, taken, own_last)
                yield Looked(price, 0, is_end=True)
                return
            state.effort += one_by_one
            if state.is_dead(maker):
                continue
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
                yield Looked(price, taken, own_last)
                yield Looked(price, 0, is_end=True)
                return
        part = min(hidden, lots)
        cut = min(slices, lots) > makers_left
        if cut and not all_hidden:
            part = 0
        yield Looked(price, taken + part, own_last and not part)
        makers_left, lots = max(0, makers_left - min(slices, lots)), lots - part
        if cut:
            yield Looked(price, 0, is_end=True)
            return
    yield Looked(0, 0, is_end=True)


def _takes_one_by_one(
    state: NaiveState, order: NaiveOrder, level: list[NaiveOrder], makers_left: int
) -> bool:
    hides = any(maker.leaves > maker.shown for maker in level)
    careful = order.policy is not SelfTrade.NONE or state.has_dead(order.book)
    return hides or careful or len(level) > makers_left


def cost_ahead(state: NaiveState, order: NaiveOrder) -> int:
    """Return what a market buy by quantity would pay, with the fee, as far as it looks ahead.

    It looks no further when that is more than there is.
    """
    atoms, notional = order.instrument.quote_atoms_per_tick, 0
    available = state.account(order.user, order.asset())[0]
    for part in looks_ahead(state, order, order.leaves, all_hidden=True):
        notional += part.price * part.lots * atoms
        if notional > available:
            break
    return cost_of(order, notional)


def uses_up_budget(state: NaiveState, order: NaiveOrder) -> bool:
    """True if an order would use up its budget and buy something, as it looks before it trades."""
    taker, asks = order.copied(), makers_for(order, state.living(order.book))
    lots = wanted_by(taker, asks[0].price) + 1 if asks else 0
    for price, there, own_last, is_end in looks_ahead(state, order, lots):
        if is_end:
            break
        taken = min(there, wanted_by(taker, price))
        if taken:
            taker.cum += taken
            notional = taken * price * taker.instrument.quote_atoms_per_tick
            taker.fills.append((notional, taker.taker_ppm))
        if taken < there or (own_last and not wanted_by(taker, price)):
            return taker.cum > 0
    used_up = taker.needs() == 0 or (price > 0 and not wanted_by(taker, price))
    return taker.cum > 0 and used_up


def _exhausted(meeting: Meeting) -> int:
    while True:
        try:
            next(meeting)
        except StopIteration as stopped:
            reason: int = stopped.value
            return reason
