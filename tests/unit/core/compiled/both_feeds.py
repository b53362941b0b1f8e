"""The market data of some books in both cores, for tests of the compiled one.

Owns the reference's exchange, whose books change as the compiled ones do, and compares what each
batch puts out, byte by byte. One thread. Relies on hpe.core and on what _feeds.pyx shows.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from struct import Struct

from hpe.core.contract import MARKET_ROW, Limits
from hpe.core.output.batch import BatchWork
from hpe.core.output.market_data import MarketFeed
from hpe.core.output.snapshots import answer_later, answer_now
from hpe.core.timers import ORDER
from hpe.core.trading.auction import crossing_levels, is_too_deep
from hpe.core.trading.events import AuctionMatch
from hpe.core.trading.exchange import Exchange
from hpe.core.trading.executor import AuctionFill
from hpe.core.trading.matcher import Fill, Match
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Terms
from hpe.core.trading.work import UncrossInProgress, Work
from hpe.protocol.enums import Channel, InstrumentStatus
from hpe.protocol.market_data import Subscribe
from tests.unit.core.parts import new_instrument, new_order

WANTED = Struct(">IB")
CHANGES_MAX, TRADES_MAX, SUBSCRIBES_MAX = 1_000, 200, 50


class BothFeeds:
    """Both feeds, over the same books."""

    def __init__(self, feeds, limits: Limits) -> None:
        self.exchange = Exchange(limits)
        self.feed = MarketFeed(self.exchange.books, limits)
        self.compiled = feeds.Feed(limits)
        self.limits = limits
        self.live = {}
        self.seen = Counter()
        self.work = BatchWork(0, 1, limits.reports)
        self.time_ns = self.timers = 0

    # --- what changes books -----------------------------------------------------------------------

    def list_book(self, number, band_ppm, reference_price):
        instrument = new_instrument(number, band_ppm=band_ppm, reference_price=reference_price)
        self.exchange.books[number] = OrderBook(instrument, self.exchange.timers)
        self.compiled.list_book(number, band_ppm, reference_price)

    def delist(self, number):
        del self.exchange.books[number]
        self.live = {
            key: order for key, order in self.live.items() if order.instrument_id != number
        }
        self.feed.delisted(number)
        self.compiled.delist(number)

    def book_of(self, order):
        return self.exchange.books[order.instrument_id]

    def add(self, number, order_id, side, price, leaves, display=0, expires_ns=0):
        book = self.exchange.books[number]
        order = new_order(book, order_id, side, price, leaves)
        if display or expires_ns:
            order.terms = Terms(display=display, expires_ns=expires_ns)
        order.show_slice()
        self.live[order_id] = order
        book.side(side).add(order)
        self.compiled.add(order, display)

    def remove(self, order):
        self.book_of(order).side(order.side).remove(order)
        self.compiled.remove(order.order_id)
        del self.live[order.order_id]

    def reduce(self, order, leaves):
        self.book_of(order).side(order.side).reduce(order, leaves)
        self.compiled.reduce(order.order_id, leaves)

    def take(self, order, quantity):
        """Fill a part of an order; an iceberg then shows its next slice if it has to."""
        ladder = self.book_of(order).side(order.side)
        is_slice = quantity == order.leaves - order.hidden
        ladder.take(order, quantity)
        self.compiled.take(order.order_id, quantity)
        if is_slice:
            ladder.refill(order)
            self.compiled.refill(order.order_id)
            self.seen["slices"] += 1

    def set_status(self, number, status, band_ppm):
        book = self.exchange.books[number]
        reference = book.instrument.reference_price
        book.instrument = new_instrument(number, band_ppm=band_ppm, reference_price=reference)
        book.set_status(status)
        self.compiled.set_status(number, status, band_ppm)

    def keep_uncross(self, number, row):
        """Leave an uncross unfinished, or end it with None."""
        book = self.exchange.books[number]
        book.work = Work()
        if row is not None:
            book.work.uncrossing = UncrossInProgress(*row, InstrumentStatus.TRADING)
        self.compiled.uncross(number, row is not None, *(row or (0, 0, 0)))

    def trade(self, number, side, fills):
        """Report fills (price, quantity), which also set the last price; no side: an uncross."""
        book = self.exchange.books[number]
        first = book.last_trade_id + 1
        book.last_trade_id += len(fills)
        book.last_price = fills[-1][0]
        if side is None:
            made = [AuctionFill(None, None, *fill, 0, 0, 0, 0) for fill in fills]
            event = AuctionMatch(number, first, made)
        else:
            taker = new_order(book, 0, side)
            event = Match(taker, 5, first, [Fill(None, *fill, 0, 0, 0, 0) for fill in fills], [])
        self.feed.note(event)
        self.compiled.match(number, side or 0, fills)

    def let_die(self, number, due_ns):
        """Let orders of an instrument be dead from a time on."""
        self.timers += 1  # no two have the same key
        self.exchange.timers.add((due_ns, ORDER, self.timers, 0), number)
        self.exchange.timers.review()
        self.compiled.add_timer(due_ns, self.timers, number)

    # --- batches ----------------------------------------------------------------------------------

    def begin(self, time_ns, masks):
        """Begin a batch for which these masks by instrument are wanted."""
        wanted = b"".join(WANTED.pack(*row) for row in sorted(masks.items()))
        self.feed.watch(wanted)
        self.compiled.begin(
            wanted, len(self.exchange.books), SUBSCRIBES_MAX, CHANGES_MAX, TRADES_MAX
        )
        self.work = BatchWork(time_ns, 1, self.limits.reports)
        self.time_ns = time_ns

    def let_time_pass(self):
        """Let the body of the batch begin: it has a command."""
        timers = self.exchange.timers
        timers.begin_body(self.time_ns)
        timers.review()
        self.exchange.sequence += 1
        self.compiled.set_time(self.time_ns)

    def subscribe(self, connection, request_id, instrument, channel, depth):
        request = Subscribe(request_id, instrument, channel, depth)
        cost = answer_later(self.feed, request, self.work, connection)
        self.work.replies_to(connection).append(b"")
        assert self.compiled.subscribe(connection, request_id, *request_key(request)) == cost
        self.seen[f"subscribe {channel.name}"] += 1
        book = self.exchange.books.get(instrument)
        if book is not None and channel is Channel.STATUS and crossing_levels(book):
            self.seen["costs" if cost > 1 else "known"] += 1
            self.seen["too deep"] += is_too_deep(book, self.limits)

    def end(self, *, begun, makes_up=False):
        """End a batch in both, and compare what it puts out; return the frames of market data."""
        rows = []
        self.compiled.forget_events()
        if begun:
            if self.exchange.timers.overdue:
                self.feed.note_dead()
                self.compiled.note_dead()
            rows = self.feed.updates(self.time_ns)
            self.compiled.updates(self.time_ns)
        elif makes_up:
            rows = self.feed.make_up(self.time_ns)
            self.compiled.make_up(self.time_ns)
            self.seen["made up"] += len(rows)
        if self.work.subscribes:
            answer_now(self.exchange, self.feed, self.work)
        output = self.work.output(0, self.exchange.sequence, 0, rows, self.feed.late)
        expected = (
            output.replies, output.reply_rows, output.subscribed, output.market, output.market_rows
        )  # fmt: skip
        found = self.compiled.end(self.exchange.sequence, self.exchange.time_ns)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours == bytes(theirs)
        assert self.compiled.standing == (self.feed.late, self.feed.active)
        assert self.compiled.records_kept[1:] == (0, 0, 0, 0) or not begun
        self.note_seen(rows)
        return rows

    def note_seen(self, rows):
        """Count what the batch had: channels, messages in parts, late prices."""
        self.seen["late"] += self.feed.late
        for _, channel, frames in rows:
            self.seen[f"channel {channel}"] += 1
            self.seen[f"parts {channel}"] += len(lengths(frames)) > 1
        for one, other in pairwise(MARKET_ROW.iter_unpack(self.work_rows(rows))):
            assert one < other

    def work_rows(self, rows):
        """Return rows of market data as they are packed, without their frames."""
        return b"".join(MARKET_ROW.pack(number, channel, 0, 0) for number, channel, _ in rows)


def request_key(request):
    return request.instrument, request.channel, request.depth


def lengths(frames):
    """Return the length of each frame."""
    found, at = [], 0
    while at < len(frames):
        found.append(int.from_bytes(frames[at : at + 4], "big"))
        at += 4 + found[-1]
    return found
