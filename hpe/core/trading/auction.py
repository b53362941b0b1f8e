"""Call auctions: the price at which most of a book can trade, and which orders trade at it.

Part of the deterministic core. The price is a pure function of the book. Filling follows the
price-time order of both sides and changes quantities and queues; executor.py moves the money.
Source of the rule: protocol.md, "Call auctions".
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hpe.core.context.effort import clearing_effort
from hpe.core.contract import Limits
from hpe.core.money.wide import middle, pressure
from hpe.core.trading.executor import AuctionFill
from hpe.core.trading.orderbook import Ladder, OrderBook
from hpe.core.trading.orders import Order
from hpe.protocol.enums import InstrumentStatus


class Clearing(NamedTuple):
    """Price in ticks, volume and signed surplus in lots; all 0 if nothing crosses."""

    price: int
    volume: int
    surplus: int


NO_CLEARING: Final = Clearing(0, 0, 0)


def clearing(book: OrderBook) -> Clearing:
    """Return the price of an uncross.

    Candidates are the limit prices in the book. Of those with most volume, then least |surplus|:
    the highest if their surpluses sum to more bids, the lowest if to more asks, else the middle.
    Only prices from the best ask to the best bid can have volume. Cost: O(n log n) of these. While
    an uncross is unfinished, return its price and remaining volume.
    """
    if book.work is not None and book.work.uncrossing is not None:
        price, volume_left, surplus, _ = book.work.uncrossing
        return Clearing(price, volume_left, surplus)
    dead_ns, bid, ask = book.dead_ns(), 0, 0
    if book.bids.best is not None and book.asks.crosses(book.bids.best.price):
        bid, ask = _best(book.bids, dead_ns), _best(book.asks, dead_ns)
    if not bid or not ask or bid < ask:
        return NO_CLEARING
    demand, supply = _lots(book.bids, ask, dead_ns), _lots(book.asks, bid, dead_ns)
    candidates = sorted({*demand, *supply})
    bids_at_or_above, asks_at_or_below = sum(demand.values()), 0
    best: list[tuple[int, int]] = []  # price and surplus of those with equal volume and |surplus|
    volume_max = surplus_min = 0
    for price in candidates:
        asks_at_or_below += supply.get(price, 0)
        surplus = bids_at_or_above - asks_at_or_below
        volume = asks_at_or_below if surplus > 0 else bids_at_or_above
        if volume > volume_max or (volume == volume_max and abs(surplus) < surplus_min):
            volume_max, surplus_min, best = volume, abs(surplus), [(price, surplus)]
        elif volume == volume_max and abs(surplus) == surplus_min:
            best.append((price, surplus))
        bids_at_or_above -= demand.get(price, 0)
    price = _chosen(best)
    above = sum(quantity for bid_price, quantity in demand.items() if bid_price >= price)
    below = sum(quantity for ask_price, quantity in supply.items() if ask_price <= price)
    return Clearing(price, min(above, below), above - below)


def _best(ladder: Ladder, dead_ns: int) -> int:
    """Return the best price of a side with a living order, 0 for none."""
    if dead_ns:
        return next((order.price for order in ladder.living(0, dead_ns)), 0)
    return ladder.best.price if ladder.best is not None else 0


def _lots(ladder: Ladder, price: int, dead_ns: int) -> dict[int, int]:
    """Return the lots at each price within a limit, hidden ones included, without dead orders."""
    if not dead_ns:
        return {lv.price: lv.quantity + lv.hidden for lv in ladder.levels_within(price)}
    lots: dict[int, int] = {}
    for order in ladder.living(price, dead_ns):
        lots[order.price] = lots.get(order.price, 0) + order.leaves
    return lots


def crossing_levels(book: OrderBook) -> int:
    """Return how many price levels computing a clearing would read; 0 if it is known.

    While orders are dead, it would read every order, and these are counted instead. Cost: far less
    than computing it.
    """
    bid, ask = book.bids.best, book.asks.best
    in_call = book.status is InstrumentStatus.CALL_AUCTION
    known = book.work is not None and book.work.uncrossing is not None
    if not in_call or known or bid is None or ask is None or bid.price < ask.price:
        return 0
    if book.dead_ns():
        return book.bids.count + book.asks.count
    return book.bids.count_within(ask.price) + book.asks.count_within(bid.price)


def is_too_deep(book: OrderBook, limits: Limits) -> bool:
    """True if computing a clearing alone costs more than the queries of one batch may."""
    return clearing_effort(crossing_levels(book)) > limits.query_effort


def _chosen(best: list[tuple[int, int]]) -> int:
    """Return the price among candidates of equal volume and surplus, by market pressure."""
    sign, lowest, highest = pressure([surplus for _, surplus in best]), best[0][0], best[-1][0]
    if sign > 0:
        return highest
    if sign < 0:
        return lowest
    return middle(lowest, highest)


def fill_auction(book: OrderBook, price: int, volume: int, fills_max: int) -> list[AuctionFill]:
    """Trade a volume at one price, in at most this many fills; filled orders leave the book."""
    fills: list[AuctionFill] = []
    while volume and len(fills) < fills_max:
        bid, ask = book.bids.best, book.asks.best
        assert bid is not None
        assert ask is not None
        buy, sell = bid.head, ask.head
        quantity = min(buy.leaves, sell.leaves, volume)
        for order in (buy, sell):
            _take(book, order, quantity)
        volume -= quantity
        fills.append(
            AuctionFill(buy, sell, price, quantity, buy.leaves, buy.cum, sell.leaves, sell.cum)
        )
        book.last_price = price
    return fills


def _take(book: OrderBook, order: Order, quantity: int) -> None:
    """Apply a fill to an order's whole leaves; an iceberg then shows a new slice of the rest."""
    order.cum += quantity
    leaves, ladder = order.leaves - quantity, book.side(order.side)
    if leaves:
        display = order.terms.display if order.terms is not None else 0
        ladder.reshow(order, leaves, max(leaves - display, 0) if display else 0)
    else:
        ladder.remove(order)
        order.leaves = order.hidden = 0
