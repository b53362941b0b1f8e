"""Market data and snapshots of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport (
    batch_work,
    books,
    buffers,
    events,
    fees,
    instruments,
    ladders,
    market_data,
    matcher,
    orders,
    packing,
    slabs,
    snapshots,
    timers,
    turns,
    watched,
    work,
)

cdef enum:
    BOOKS_MAX = 200


cdef struct Shelf:
    # All books, listed or not any more.
    books.Book[BOOKS_MAX] books
    bint[BOOKS_MAX] listed
    int64_t count


cdef books.Book* find_book(const void* shelf, int64_t instrument) noexcept nogil:
    """Return the book of an instrument, NULL if it is not listed."""
    cdef Shelf* mine = <Shelf*>shelf
    cdef int64_t place
    for place in range(mine.count):
        if mine.listed[place] and mine.books[place].instrument.instrument_id == instrument:
            return &mine.books[place]
    return NULL


cdef bytes bytes_of(const buffers.Buffer* buffer):
    return bytes(buffer.data[: buffer.size])


cdef class Feed:
    """Books, their market data, and the batches that have it; orders are named by their ids."""

    cdef slabs.Slab order_slab
    cdef slabs.Slab level_slab
    cdef slabs.Slab terms_slab
    cdef timers.Timers timers
    cdef work.WorkSlabs records
    cdef turns.Turns turns
    cdef fees.OwnRatesTable own_rates
    cdef matcher.Matcher matcher
    cdef events.Events events
    cdef Shelf shelf
    cdef market_data.MarketFeed feed
    cdef snapshots.Snapshots snapshots
    cdef batch_work.BatchWork work
    cdef packing.Output output
    cdef dict numbers

    def __init__(self, limits):
        cdef watched.FeedLimits bounds = watched.FeedLimits(
            limits.changes, limits.snapshot_orders, limits.indicative_levels,
            limits.indicative_ns_per_level, limits.made_up_levels, limits.query_effort,
        )
        cdef int64_t[timers.KINDS] acts
        for kind in range(timers.KINDS):
            acts[kind] = 1
        slabs.make_slab(&self.order_slab, sizeof(orders.Order))
        slabs.make_slab(&self.level_slab, sizeof(ladders.Level))
        slabs.make_slab(&self.terms_slab, sizeof(orders.Terms))
        timers.make_timers(&self.timers, 7, acts)
        work.make_work_slabs(&self.records, &self.order_slab, &self.terms_slab)
        turns.make_turns(&self.turns, &self.records)
        fees.make_own_rates(&self.own_rates, 7)
        matcher.make_matcher(&self.matcher, NULL, limits.fills)
        events.make_events(&self.events)
        market_data.make_feed(&self.feed, &bounds, &self.turns, find_book, &self.shelf, 7)
        snapshots.make_snapshots(&self.snapshots, 7)
        batch_work.make_work(&self.work, limits.reports)
        self.numbers = {}

    def __dealloc__(self):
        packing.free_output(&self.output)
        batch_work.free_work(&self.work)
        snapshots.free_snapshots(&self.snapshots)
        market_data.free_feed(&self.feed)
        events.free_events(&self.events)
        matcher.free_matcher(&self.matcher)
        turns.free_turns(&self.turns)
        work.free_work_slabs(&self.records)
        timers.free_timers(&self.timers)
        slabs.free_slab(&self.terms_slab)
        slabs.free_slab(&self.level_slab)
        slabs.free_slab(&self.order_slab)

    # --- books ------------------------------------------------------------------------------------

    def list_book(self, int64_t number, int64_t band_ppm, int64_t reference_price):
        """Add an empty book."""
        cdef instruments.Instrument instrument
        assert self.shelf.count < BOOKS_MAX
        memset(&instrument, 0, sizeof(instrument))
        instrument.instrument_id, instrument.band_ppm = number, band_ppm
        instrument.reference_price = reference_price
        books.make_book(
            &self.shelf.books[self.shelf.count], &instrument, fees.rates_of(0, 0),
            &self.own_rates, &self.level_slab, &self.order_slab, &self.terms_slab, &self.timers,
        )
        self.shelf.listed[self.shelf.count] = True
        self.shelf.count += 1

    def delist(self, int64_t number):
        """Remove a book, and end its market data."""
        for place in range(self.shelf.count):
            if self.shelf.books[place].instrument.instrument_id == number:
                self.shelf.listed[place] = False
        market_data.delisted(&self.feed, number)

    cdef books.Book* book(self, int64_t number) except NULL:
        return find_book(&self.shelf, number)

    cdef orders.Order* at(self, uint32_t number):
        return <orders.Order*>slabs.record(&self.order_slab, number)

    def add(self, other, int64_t display):
        """Append an order like a reference's to the queue of its price."""
        cdef uint32_t number
        cdef orders.Order* order
        cdef orders.Terms* terms
        if not (
            slabs.reserve(&self.order_slab, 1) and slabs.reserve(&self.level_slab, 1)
            and slabs.reserve(&self.terms_slab, 1)
        ):
            raise MemoryError
        number = self.numbers[other.order_id] = slabs.take(&self.order_slab)
        order = self.at(number)
        order.order_id, order.side, order.price = other.order_id, other.side, other.price
        order.quantity = order.leaves = other.quantity
        order.instrument = other.instrument_id
        if other.terms is not None:
            order.terms = slabs.take(&self.terms_slab)
            terms = <orders.Terms*>slabs.record(&self.terms_slab, order.terms)
            terms.display, terms.expires_ns = display, other.terms.expires_ns
            orders.show_slice(order, terms)
        ladders.add(books.side_of(self.book(other.instrument_id), order.side), number)

    cdef ladders.Ladder* side(self, uint32_t number) except NULL:
        cdef orders.Order* order = self.at(number)
        return books.side_of(self.book(order.instrument), order.side)

    def remove(self, order_id):
        """Remove an order, whose record is free then."""
        cdef uint32_t number = self.numbers.pop(order_id)
        ladders.remove(self.side(number), number)
        if self.at(number).terms:
            slabs.give_back(&self.terms_slab, self.at(number).terms)
        slabs.give_back(&self.order_slab, number)

    def take(self, order_id, int64_t quantity):
        """Subtract a fill."""
        cdef uint32_t number = self.numbers[order_id]
        ladders.take_lots(self.side(number), self.at(number), quantity)

    def reduce(self, order_id, int64_t leaves):
        """Lower the leaves."""
        cdef uint32_t number = self.numbers[order_id]
        ladders.reduce(self.side(number), self.at(number), leaves)

    def refill(self, order_id):
        """Show an iceberg's next slice."""
        cdef uint32_t number = self.numbers[order_id]
        if not slabs.reserve(&self.level_slab, 1):
            raise MemoryError
        ladders.refill(self.side(number), number)

    def set_status(self, int64_t number, int status, int64_t band_ppm):
        """Set status and band."""
        self.book(number).instrument.band_ppm = band_ppm
        books.set_status(self.book(number), status)

    def uncross(self, int64_t number, bint value, price, volume_left, surplus):
        """Set whether an uncross is in progress."""
        cdef work.Work* here
        if not turns.reserve_turns(&self.turns, 1):
            raise MemoryError
        here = turns.of(&self.turns, self.book(number))
        here.is_uncrossing = value
        here.uncrossing = work.UncrossInProgress(price, volume_left, surplus, 1)

    # --- trades and time --------------------------------------------------------------------------

    def match(self, int64_t number, int side, list fills):
        """Note fills (price, quantity) of an order; side 0: of an uncross."""
        cdef books.Book* book = self.book(number)
        cdef orders.Order* taker
        cdef events.Match* match
        cdef events.AuctionMatch* auction
        if not (
            slabs.reserve(&self.order_slab, 1) and matcher.reserve_trades(&self.matcher, 1)
            and events.reserve_events(&self.events, 1, 0, 1, len(fills))
        ):
            raise MemoryError
        cdef uint32_t order = slabs.take(&self.order_slab)
        taker = self.at(order)
        taker.instrument, taker.side = number, side
        if side:
            match = events.add_match(&self.events, order, 5)
            match.first_trade_id, match.fill_count = book.last_trade_id + 1, len(fills)
            match.first_prevented = match.prevented_count = 0
            match.first_fill = self.matcher.fills.size // <int64_t>sizeof(matcher.Fill)
        else:
            auction = events.add_auction(&self.events, number)
            auction.first_trade_id, auction.fill_count = book.last_trade_id + 1, len(fills)
            auction.first_fill = events.auction_fill_count(&self.events)
        for price, quantity in fills:
            self.add_fill(side, price, quantity)
            book.last_price = price
        book.last_trade_id += len(fills)
        market_data.note(
            &self.feed, events.event_at(&self.events, events.event_count(&self.events) - 1),
            &self.events, &self.matcher, &self.order_slab,
        )
        slabs.give_back(&self.order_slab, order)

    cdef int add_fill(self, int side, int64_t price, int64_t quantity) except -1:
        cdef matcher.Fill* fill = <matcher.Fill*>(
            self.matcher.fills.data + self.matcher.fills.size
        )
        cdef events.AuctionFill* auction_fill
        if side:
            self.matcher.fills.size += sizeof(matcher.Fill)
            fill.price, fill.quantity = price, quantity
        else:
            auction_fill = events.add_auction_fill(&self.events)
            auction_fill.price, auction_fill.quantity = price, quantity
        return 0

    def forget_events(self):
        """End a command."""
        events.forget_events(&self.events)
        matcher.forget_trades(&self.matcher)

    def set_time(self, int64_t time_ns):
        """Begin a body."""
        timers.begin_body(&self.timers, time_ns)
        timers.review(&self.timers)

    def add_timer(self, int64_t due_ns, int64_t order_id, int64_t number):
        """Let orders of an instrument be dead from a time on."""
        if not timers.reserve_timers(&self.timers, 1):
            raise MemoryError
        timers.add_timer(&self.timers, timers.ORDER, due_ns, order_id, 0, number)
        timers.review(&self.timers)

    # --- batches ----------------------------------------------------------------------------------

    def begin(self, bytes wanted, int64_t books, int64_t subscribes, changes, trades):
        """Begin a batch with so many subscribes, changes and trades at most."""
        batch_work.begin_work(&self.work, 0, 1)
        if not (
            market_data.watch(&self.feed, wanted, len(wanted), books)
            and snapshots.reserve_snapshots(&self.snapshots, subscribes)
            and batch_work.reserve_runs(&self.work, subscribes, subscribes, 0)
            and watched.reserve_notes(&self.feed.journal, changes, trades)
        ):
            raise MemoryError

    def subscribe(self, int64_t connection, int64_t request_id, instrument, channel, depth):
        """Leave a place for a snapshot; return the cost."""
        cdef snapshots.Subscribe request
        batch_work.replies_to(&self.work, connection, 0, 0)
        request.connection, request.request_id = connection, request_id
        request.place = batch_work.leave_place(&self.work)
        request.body = 0
        return snapshots.answer_later(
            &self.snapshots, &self.feed, &request, instrument, channel, depth
        )

    def note_dead(self):
        """See market_data.py."""
        market_data.note_dead(&self.feed)

    def updates(self, int64_t time_ns):
        """See market_data.py."""
        if not market_data.updates(
            &self.feed, time_ns, &self.work.market, &self.work.market_rows
        ):
            raise MemoryError

    def make_up(self, int64_t time_ns):
        """See market_data.py."""
        if not market_data.make_up(
            &self.feed, time_ns, &self.work.market, &self.work.market_rows
        ):
            raise MemoryError

    def end(self, int64_t sequence, int64_t time_ns):
        """Answer the subscribes of the batch.

        Returns:
            Replies, their rows, those of subscriptions, market data, its rows.
        """
        if self.work.pieces.size:
            batch_work.end_replies(&self.work)
        if not snapshots.answer_now(
            &self.snapshots, &self.feed, &self.work, sequence, time_ns
        ) or not packing.pack(&self.work, 0, &self.output):
            raise MemoryError
        return (
            bytes_of(&self.output.replies), bytes_of(&self.output.reply_rows),
            bytes_of(&self.output.subscribed), bytes_of(&self.output.market),
            bytes_of(&self.output.market_rows),
        )

    @property
    def standing(self):
        """Whether it is late, whether it is active."""
        return bool(market_data.late(&self.feed)), bool(market_data.active(&self.feed))

    @property
    def records_kept(self):
        """How many instruments, touched levels, changes and trades are kept."""
        return (
            self.feed.journal.watched_slab.count, self.feed.journal.touched_slab.count,
            self.feed.journal.changes.size, self.feed.journal.trades.size,
            self.snapshots.body_slab.count,
        )
