"""The naive exchange's market data: what each channel should show, found anew each time.

Part of the second opinion of naive_exchange.py, nothing shared with the core. The count of
changes of a book is not known here. Source: protocol.md, "Market data".
"""

from __future__ import annotations

from zlib import crc32

from hpe.protocol.enums import Side
from hpe.protocol.market_data import BookLevel, BookOrderRow
from tests.support.naive_auction import cross_now
from tests.support.naive_orders import rank
from tests.support.naive_state import NaiveState

CHECKED_LEVELS = 10


def queue(state: NaiveState, book: int, side: Side) -> list[BookOrderRow]:
    """List the orders of one side, best price first, then first come."""
    mine = [order for order in state.resting(book) if order.side is side]
    return [(order.order_id, order.price, order.shown) for order in sorted(mine, key=rank)]


def levels_of(rows: list[BookOrderRow]) -> list[BookLevel]:
    """Add up the orders of each price, in the order in which the prices come."""
    prices = list(dict.fromkeys(price for _, price, _ in rows))
    shown = [[row[2] for row in rows if row[1] == price] for price in prices]
    return [(price, sum(lots), len(lots)) for price, lots in zip(prices, shown, strict=True)]


def levels(state: NaiveState, book: int, side: Side) -> list[BookLevel]:
    """List the price levels of one side, best first."""
    return levels_of(queue(state, book, side))


def checksum(bids: list[BookLevel], asks: list[BookLevel]) -> int:
    """Compute the checksum over the best levels of both sides."""
    numbers: list[int] = []
    for side in (bids, asks):
        best = [(price, quantity) for price, quantity, _ in side[:CHECKED_LEVELS]]
        best += [(0, 0)] * (CHECKED_LEVELS - len(best))
        numbers += [number for level in best for number in level]
    return crc32(b"".join(number.to_bytes(8, "big", signed=True) for number in numbers))


def best(state: NaiveState, book: int) -> tuple[int, int, int, int]:
    """Return price and quantity of the best bid, then of the best ask."""
    sides = [levels(state, book, side)[:1] or [(0, 0, 0)] for side in Side]
    (bid, ask) = (side[0] for side in sides)
    return bid[0], bid[1], ask[0], ask[1]


def status(state: NaiveState, book: int) -> tuple[int, ...]:
    """Return status, last price, band, and price, volume and surplus that a call would trade."""
    cross = cross_now(state, book)
    band = state.band(book) or (0, 0)
    return (state.status(book), state.last_price(book), *band, *cross)
