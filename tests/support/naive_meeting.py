"""The naive exchange's meetings: which orders an order meets, and what that does to both.

Part of the second opinion of naive_exchange.py, nothing shared with the core; nobody is told here.
Source: protocol.md, "The rules of the exchange".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator
from typing import NamedTuple

from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import SelfTrade, Side
from tests.support.naive_orders import NaiveOrder, ceil_ppm, rank

Band = tuple[int, int] | None


class NaiveFill(NamedTuple):
    """Two orders traded."""

    maker: NaiveOrder
    quantity: int
    price: int


class NaivePrevented(NamedTuple):
    """Two orders of one user met; canceled of maker and taker, leaves of maker and taker."""

    maker: NaiveOrder
    price: int
    numbers: tuple[int, int, int, int]


class Dead(NamedTuple):
    """An order came to one whose time was over; who is told of it ends that."""

    maker: NaiveOrder


Meeting = Generator[NaiveFill | NaivePrevented | Dead, None, int]


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
        price, wanted = maker.price, wanted_by(taker, maker.price)
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
        yield NaiveFill(maker, quantity, price)
    return 0


def wanted_by(taker: NaiveOrder, price: int) -> int:
    """Return the lots that an order wants at a price: as many as its budget pays, if it has one."""
    if not taker.terms.budget:
        return taker.leaves
    atoms = price * taker.instrument.quote_atoms_per_tick
    most = taker.needs() // atoms
    return bisect_right(
        range(1, most + 1), taker.terms.budget, key=lambda n: cost_of(taker, n * atoms)
    )


def cost_of(taker: NaiveOrder, notional: int) -> int:
    """Return what an order will have paid when it has traded so much more."""
    fee = ceil_ppm(taker.fee_micro + notional * taker.taker_ppm)
    return taker.quote_total + notional + fee


def _prevent(maker: NaiveOrder, taker: NaiveOrder) -> NaivePrevented:
    policy, maker_canceled, taker_canceled = taker.policy, 0, 0
    price = maker.price
    if taker.terms.budget and policy is SelfTrade.CANCEL_TAKER:
        return NaivePrevented(maker, price, (0, 0, maker.leaves, 0))
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
    return NaivePrevented(
        maker, price, (maker_canceled, taker_canceled, maker.leaves, taker_leaves)
    )


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
