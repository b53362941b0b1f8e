"""Snapshots of market data, from which a subscriber starts.

Part of the deterministic core, but not of its state. A subscribe is answered in its place among
the replies, but with the book as it is when the whole batch is over, because the updates of that
batch go to the subscribers from before it. Source: protocol.md, "Market data".
"""

from __future__ import annotations

from itertools import islice

from hpe.core.codec import encode
from hpe.core.context.effort import COPIES_PER_ROW, SNAPSHOT, clearing_effort
from hpe.core.contract import Limits
from hpe.core.output.batch import BatchWork, SnapshotBody
from hpe.core.output.market_data import MarketFeed, best_row, checksum, status_row
from hpe.core.trading.auction import crossing_levels, is_too_deep
from hpe.core.trading.exchange import Exchange
from hpe.core.trading.orderbook import Ladder, OrderBook
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import Channel
from hpe.protocol.frames import frame
from hpe.protocol.market_data import (
    BestUpdate,
    BookLevel,
    BookOrderRow,
    LevelsUpdate,
    MarketUpdate,
    OrdersSnapshot,
    StatusUpdate,
    Subscribe,
    Subscribed,
    TradesUpdate,
)


def answer_later(
    feed: MarketFeed,
    request: Subscribe,
    work: BatchWork,
    connection: int,
) -> int:
    """Reserve the place of a snapshot, the next reply to the connection.

    Returns:
        Its cost in rows; a part of them if it only copies a snapshot that the batch makes anyway.
    """
    out = work.replies_to(connection)
    work.subscribes.append((connection, out, len(out), request))
    key = (request.instrument, request.channel, request.depth)
    snapshot = work.snapshots.get(key)
    if snapshot is not None:
        return SNAPSHOT + snapshot.rows // COPIES_PER_ROW
    rows = _rows(feed.books.get(request.instrument), feed, request)
    work.snapshots[key] = SnapshotBody(rows)
    return SNAPSHOT + rows


def _rows(book: OrderBook | None, feed: MarketFeed, request: Subscribe) -> int:
    """Return the number of rows that a snapshot would have now, or that its cost corresponds to."""
    if book is None or request.channel in (Channel.BEST, Channel.TRADES):
        return 0
    if request.channel is Channel.STATUS:
        known = feed.follows_status(book) or is_too_deep(book, feed.limits)
        return 0 if known else clearing_effort(crossing_levels(book))
    sides = (book.bids.levels(), book.asks.levels())
    levels = [level for side in sides for level in islice(side, request.depth)]
    if request.channel is Channel.LEVELS:
        return len(levels)
    return min(sum(level.count for level in levels), 2 * feed.limits.snapshot_orders)


def answer_now(exchange: Exchange, feed: MarketFeed, work: BatchWork) -> None:
    """Fill in the snapshots of a batch that is over; equal requests share one except for the id."""
    for connection, out, index, request in work.subscribes:
        snapshot = work.snapshots[request.instrument, request.channel, request.depth]
        if not snapshot.body:
            reply = subscribed(exchange, feed, request)
            snapshot.body, snapshot.known = encode(reply), reply.snapshot is not None
        # Array header and type take one byte each; the request id follows.
        head, rest = snapshot.body[:2], snapshot.body[3:]
        out[index] = frame(head + encode(request.request_id) + rest)
        if snapshot.known:
            work.begin_subscription(connection, request)


def subscribed(exchange: Exchange, feed: MarketFeed, request: Subscribe) -> Subscribed:
    """Return the answer to a subscribe, under request id 0, with a snapshot of the book."""
    sequence, time_ns = exchange.sequence, exchange.time_ns
    book = exchange.books.get(request.instrument)
    if book is None:
        reason = RejectReason.UNKNOWN_INSTRUMENT
        return Subscribed(
            0, 0, sequence, reason, request.instrument, request.channel, None,
            False, False,
        )  # fmt: skip
    more_bids = more_asks = False
    update: MarketUpdate
    head = (0, 0, request.instrument)
    match request.channel:
        case Channel.BEST:
            update = BestUpdate(*head, book.sequence, time_ns, *best_row(book))
        case Channel.LEVELS:
            bids, more_bids = _best_levels(book.bids, request.depth)
            asks, more_asks = _best_levels(book.asks, request.depth)
            update = LevelsUpdate(*head, 0, book.sequence, time_ns, bids, asks, checksum(book))
        case Channel.ORDERS:
            bid_orders, more_bids = _best_orders(book.bids, request.depth, feed.limits)
            ask_orders, more_asks = _best_orders(book.asks, request.depth, feed.limits)
            update = OrdersSnapshot(
                *head, book.sequence, time_ns, bid_orders, ask_orders, checksum(book)
            )
        case Channel.TRADES:
            update = TradesUpdate(*head, book.sequence, time_ns, book.last_trade_id, [])
        case Channel.STATUS:
            row = status_row(book, feed.indicative(book, time_ns))
            update = StatusUpdate(*head, book.sequence, time_ns, *row)
    return Subscribed(
        0, 0, sequence, RejectReason.NONE, request.instrument, request.channel,
        update, more_bids, more_asks,
    )  # fmt: skip


def _best_levels(ladder: Ladder, depth: int) -> tuple[list[BookLevel], bool]:
    """Return the best levels of a side, and whether there are more."""
    rows = [(level.price, level.quantity, level.count) for level in islice(ladder.levels(), depth)]
    return rows, len(rows) < ladder.level_count()


def _best_orders(ladder: Ladder, depth: int, limits: Limits) -> tuple[list[BookOrderRow], bool]:
    """Return the orders of the best levels (whole levels only), and whether there are more."""
    rows: list[BookOrderRow] = []
    taken = 0
    for level in islice(ladder.levels(), depth):
        if len(rows) + level.count > limits.snapshot_orders:
            break
        taken += 1
        rows += [
            (order.order_id, order.price, order.leaves - order.hidden) for order in level.orders()
        ]
    return rows, taken < ladder.level_count()
