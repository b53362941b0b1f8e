"""The naive exchange's call auctions: every candidate price is tried, every order counted anew.

Part of the second opinion of naive_exchange.py, nothing shared with the core.
Source: protocol.md, "The rules of the exchange", Market states.
"""

from __future__ import annotations

from typing import NamedTuple

from hpe.protocol.enums import Side
from tests.support.naive_matching import settle
from tests.support.naive_orders import NaiveOrder, rank
from tests.support.naive_state import NaiveState


class Cross(NamedTuple):
    """A price and what trades at it; surplus: bids more than asks, signed."""

    price: int
    volume: int
    surplus: int


NO_CROSS = Cross(0, 0, 0)


def cross_at(resting: list[NaiveOrder], price: int) -> Cross:
    """Return what would trade at a price."""
    bids = sum(o.leaves for o in resting if o.side is Side.BUY and o.price >= price)
    asks = sum(o.leaves for o in resting if o.side is Side.SELL and o.price <= price)
    return Cross(price, min(bids, asks), bids - asks)


def best_cross(resting: list[NaiveOrder]) -> Cross:
    """Return the auction price, its volume and its surplus."""
    candidates = [cross_at(resting, price) for price in {order.price for order in resting}]
    volume = max((candidate.volume for candidate in candidates), default=0)
    if not volume:
        return NO_CROSS
    candidates = [c for c in candidates if c.volume == volume]
    least = min(abs(candidate.surplus) for candidate in candidates)
    candidates = [c for c in candidates if abs(c.surplus) == least]
    pressure = sum(candidate.surplus for candidate in candidates)
    lowest = min(candidate.price for candidate in candidates)
    highest = max(candidate.price for candidate in candidates)
    if pressure > 0:
        return cross_at(resting, highest)
    return cross_at(resting, lowest if pressure < 0 else (lowest + highest) // 2)


def cross_now(state: NaiveState, book: int) -> Cross:
    """Return what an uncross would do, or of one that goes on what is left."""
    if book in state.uncrossing:
        going = state.uncrossing[book]
        return Cross(going.price, going.left, going.surplus)
    return best_cross(state.living(book)) if state.in_call(book) else NO_CROSS


def uncross(state: NaiveState, book: int, cross: Cross, fills_max: int) -> int:
    """Trade what crosses, each time the first two; what is linked with them is canceled.

    Gives the volume that is left for another command.
    """
    resting = state.resting(book)
    before = state.trades
    traded: list[NaiveOrder] = []
    bids = [o for o in resting if o.side is Side.BUY and o.price >= cross.price]
    asks = [o for o in resting if o.side is Side.SELL and o.price <= cross.price]
    left = cross.volume
    while left and len(traded) < 2 * fills_max:
        bid = min((o for o in bids if o.leaves), key=rank)
        ask = min((o for o in asks if o.leaves), key=rank)
        quantity = min(bid.leaves, ask.leaves, left)
        for order in (bid, ask):
            order.leaves -= quantity
            order.cum += quantity
            notional = quantity * cross.price * order.instrument.quote_atoms_per_tick
            order.fills.append((notional, order.taker_ppm))
        settle(state, bid, ask, quantity, cross.price)
        traded += [bid, ask]
        left -= quantity
    state.effort += state.trades - before
    for number, order in enumerate(traded, 1):
        _close(state, order, is_last=order not in traded[number:])
    return left


def _close(state: NaiveState, order: NaiveOrder, *, is_last: bool) -> None:
    if is_last and not order.leaves:
        state.end(order, 0)
    if order.live:
        order.show()
    state.cancel_partner(order)
