"""Market data: what one batch changed in the books that have subscribers.

The compiled twin of MarketFeed in hpe/core/output/market_data.py, with its names; watched.pxd has
one watched book, market_rows.pxd the messages. Owned by the core, but not a part of its state, used
by the thread that runs it: it reads books and never changes an outcome. Without subscribers it
costs nothing; a batch costs what it changed in watched books. `watch`, at the head of a batch, and
what writes to buffers return False if there is no memory.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from hpe.core.compiled cimport hash_tables, ordered, slabs
from hpe.core.compiled._c cimport read32
from hpe.core.compiled.auction cimport Clearing, clearing
from hpe.core.compiled.books cimport Book, book_dead_ns
from hpe.core.compiled.buffers cimport Buffer, free_buffer, make_room, put_bytes
from hpe.core.compiled.codes cimport CALL_AUCTION, CHANNEL_STATUS
from hpe.core.compiled.events cimport (
    EVENT_AUCTION,
    EVENT_MATCH,
    AuctionFill,
    Event,
    Events,
    auction_fill_at,
)
from hpe.core.compiled.market_rows cimport status_row
from hpe.core.compiled.market_updates cimport put_row, put_updates
from hpe.core.compiled.matcher cimport Fill, Matcher, fill_at
from hpe.core.compiled.orders cimport Order
from hpe.core.compiled.turns cimport Turns, work_of
from hpe.core.compiled.watched cimport (
    FeedLimits,
    Journal,
    Watched,
    bit,
    crossing,
    find_indicative,
    follow,
    in_call,
    is_late,
    note_trade,
    notice,
    put_off,
    too_deep,
    unfollow,
    want,
    wants,
    watched_at,
)

cdef enum:
    WANTED_BYTES = 5  # an instrument and its mask

ctypedef Book* (*FindBook)(const void* books, int64_t instrument) noexcept nogil


cdef struct MarketFeed:
    # Follows the wanted books, each of which `find_book` finds in `books`. `watched` has what is
    # wanted by instrument, listed or not; `followed` of them are. `ended` were delisted in this
    # batch. `wanted` and `books_seen` are what `watch` knew last, and `batch` is how often it was
    # called.
    Journal journal
    hash_tables.HashTable watched
    Buffer wanted
    FindBook find_book
    const void* books
    int64_t books_seen
    int64_t batch
    int64_t followed
    int64_t ended


cdef inline void make_feed(
    MarketFeed* feed, const FeedLimits* limits, const Turns* turns, FindBook find_book,
    const void* books, uint64_t seed
) noexcept nogil:
    """Initialize a feed for which nothing is wanted; it must not move."""
    cdef Journal* journal = &feed.journal
    memset(feed, 0, sizeof(MarketFeed))
    journal.limits = limits[0]
    journal.turns = turns
    slabs.make_slab(&journal.watched_slab, sizeof(Watched))
    slabs.make_slab(&journal.touched_slab, sizeof(ordered.Node))
    hash_tables.make_table(
        &feed.watched, seed, &journal.watched_slab, hash_tables.begins_with_one
    )
    feed.find_book = find_book
    feed.books = books


cdef inline void free_feed(MarketFeed* feed) noexcept nogil:
    """Free all memory; the books must not change afterward."""
    hash_tables.free_table(&feed.watched)
    slabs.free_slab(&feed.journal.watched_slab)
    slabs.free_slab(&feed.journal.touched_slab)
    free_buffer(&feed.journal.changes)
    free_buffer(&feed.journal.trades)
    free_buffer(&feed.wanted)


cdef inline Watched* watched_of(const MarketFeed* feed, int64_t instrument) noexcept nogil:
    """Return what is wanted of an instrument, NULL if nothing is or it is not listed."""
    cdef uint32_t number = hash_tables.find(&feed.watched, instrument, 0)
    if number == 0 or watched_at(&feed.journal, number).book == NULL:
        return NULL
    return watched_at(&feed.journal, number)


cdef inline bint late(const MarketFeed* feed) noexcept nogil:
    """True if subscribers know an indicative price from before the book changed."""
    cdef uint32_t number = feed.journal.changed.least
    while number:
        if is_late(watched_at(&feed.journal, number)):
            return True
        number = watched_at(&feed.journal, number).node.next
    return False


cdef inline bint active(const MarketFeed* feed) noexcept nogil:
    """True if any book is watched, or was when the batch began."""
    return feed.followed > 0 or feed.ended > 0


cdef inline bint watch(
    MarketFeed* feed, const uint8_t* wanted, int64_t size, int64_t books
) noexcept nogil:
    """Set what is wanted from now on, at the head of a batch; see contract.py for its form.

    `books` is how many are listed. Returns False if there is no memory, and nothing changed.
    """
    cdef int64_t row
    cdef const uint8_t* at
    feed.batch += 1
    if (
        size == feed.wanted.size and books == feed.books_seen
        and (size == 0 or memcmp(wanted, feed.wanted.data, size) == 0)
    ):
        return True
    if not _reserve_wanted(feed, size):
        return False
    for row in range(size // WANTED_BYTES):
        at = wanted + row * WANTED_BYTES
        _want(feed, read32(at), at[4])
    for row in range(feed.wanted.size // WANTED_BYTES):
        _leave(feed, read32(feed.wanted.data + row * WANTED_BYTES))
    feed.wanted.size = 0
    put_bytes(&feed.wanted, wanted, size)
    feed.books_seen = books
    return True


cdef inline bint _reserve_wanted(MarketFeed* feed, int64_t size) noexcept nogil:
    cdef int64_t rows = size // WANTED_BYTES
    return (
        slabs.reserve(&feed.journal.watched_slab, rows)
        and hash_tables.reserve_places(&feed.watched, rows) and make_room(&feed.wanted, size)
    )


cdef inline void _want(MarketFeed* feed, int64_t instrument, int mask) noexcept nogil:
    """Follow the channels of an instrument as soon as it is listed."""
    cdef uint32_t number = hash_tables.find(&feed.watched, instrument, 0)
    cdef Watched* watched
    cdef Book* book
    if number == 0:
        number = slabs.take(&feed.journal.watched_slab)
        watched = watched_at(&feed.journal, number)
        watched.node.first = instrument
        watched.journal = &feed.journal
        watched.number = number
        hash_tables.add(&feed.watched, instrument, 0, number)
    watched = watched_at(&feed.journal, number)
    watched.seen = feed.batch
    if mask & ~watched.wanted & bit(CHANNEL_STATUS):
        watched.status_began = feed.batch
    watched.wanted = mask
    if watched.book == NULL:
        book = feed.find_book(feed.books, instrument)
        if book != NULL:
            follow(watched, book, mask)
            feed.followed += 1
    elif watched.mask != mask:
        want(watched, mask)


cdef inline void _leave(MarketFeed* feed, int64_t instrument) noexcept nogil:
    """Forget an instrument that is not wanted any more."""
    cdef uint32_t number = hash_tables.find(&feed.watched, instrument, 0)
    if number == 0 or watched_at(&feed.journal, number).seen == feed.batch:
        return
    if watched_at(&feed.journal, number).book != NULL:
        unfollow(watched_at(&feed.journal, number))
        feed.followed -= 1
    hash_tables.remove(&feed.watched, instrument, 0)
    slabs.give_back(&feed.journal.watched_slab, number)


cdef inline void delisted(MarketFeed* feed, int64_t instrument) noexcept nogil:
    """End the market data of an instrument that was delisted; `updates` ends the same batch."""
    cdef Watched* watched = watched_of(feed, instrument)
    feed.books_seen = -1  # another book may have taken its place
    if watched == NULL:
        return
    unfollow(watched)
    feed.followed -= 1
    watched.ended = True
    feed.ended += 1
    ordered.insert(&feed.journal.changed, &feed.journal.watched_slab, watched.number)


cdef inline void indicative(
    MarketFeed* feed, Book* book, int64_t time_ns, Clearing* found
) noexcept nogil:
    """Set the indicative price that subscribers know; it is computed now if there are none."""
    cdef Watched* watched = watched_of(feed, book.instrument.instrument_id)
    found[0] = Clearing(0, 0, 0)
    if watched == NULL or not wants(watched, CHANNEL_STATUS):
        if book.status == CALL_AUCTION:
            found[0] = clearing(book, work_of(feed.journal.turns, book))
        return
    if in_call(watched) and not watched.indicative_known:
        if too_deep(&feed.journal, book):
            put_off(watched, time_ns)
            return
        find_indicative(watched, time_ns)
        status_row(book, &watched.indicative, &watched.status)
    found[0] = watched.indicative


cdef inline bint follows_status(const MarketFeed* feed, const Book* book) noexcept nogil:
    """True if its status already had a subscriber before this batch, which has paid for it."""
    cdef const Watched* watched = watched_of(feed, book.instrument.instrument_id)
    return (
        watched != NULL and wants(watched, CHANNEL_STATUS) and watched.status_began != feed.batch
    )


cdef inline void note(
    MarketFeed* feed, const Event* event, const Events* events, const Matcher* matcher,
    const slabs.Slab* order_slab
) noexcept nogil:
    """Add the trades of an event."""
    cdef Watched* watched
    cdef const Order* taker
    cdef const Fill* fill
    cdef const AuctionFill* auction_fill
    cdef int64_t place
    if event.kind == EVENT_MATCH:
        taker = <const Order*>slabs.record(order_slab, event.order)
        watched = watched_of(feed, taker.instrument)
        if watched != NULL:
            for place in range(event.what.match.fill_count):
                fill = fill_at(matcher, event.what.match.first_fill + place)
                note_trade(
                    watched, event.what.match.first_trade_id + place, fill.price, fill.quantity,
                    taker.side,
                )
    elif event.kind == EVENT_AUCTION:
        watched = watched_of(feed, event.what.auction.instrument)
        if watched != NULL:
            for place in range(event.what.auction.fill_count):
                auction_fill = auction_fill_at(events, event.what.auction.first_fill + place)
                note_trade(
                    watched, event.what.auction.first_trade_id + place, auction_fill.price,
                    auction_fill.quantity, 0,
                )


cdef inline void note_dead(MarketFeed* feed) noexcept nogil:
    """Mark indicative prices stale where orders have died: time alone changed them."""
    cdef Watched* watched
    cdef int64_t row
    for row in range(feed.wanted.size // WANTED_BYTES):
        watched = watched_of(feed, read32(feed.wanted.data + row * WANTED_BYTES))
        if watched != NULL and wants(watched, CHANNEL_STATUS) and book_dead_ns(watched.book):
            notice(watched)


cdef inline bint make_up(
    MarketFeed* feed, int64_t time_ns, Buffer* frames, Buffer* rows
) noexcept nogil:
    """Append the rows that were late, in a batch that changes nothing; see `updates`."""
    cdef Journal* journal = &feed.journal
    cdef int64_t room = journal.limits.made_up_levels
    cdef uint32_t number
    cdef Watched* watched
    while room > 0 and journal.changed.least:
        number = journal.changed.least
        watched = watched_at(journal, number)
        ordered.take_out(&journal.changed, &journal.watched_slab, number)
        room -= crossing(journal, watched.book)
        find_indicative(watched, time_ns)
        if not put_updates(watched, time_ns, frames, rows):
            return False
    return True


cdef inline bint updates(
    MarketFeed* feed, int64_t time_ns, Buffer* frames, Buffer* rows
) noexcept nogil:
    """Append the frames of everything that the batch changed, and its rows, sorted.

    Channel 0 stands for all channels of an instrument that was delisted; nothing more follows.
    Returns False if there is no memory: nothing of the batch may be published then.
    """
    cdef Journal* journal = &feed.journal
    cdef uint32_t number = journal.changed.least
    cdef Watched* watched
    journal.changed = ordered.Tree(0, 0, 0, 0)
    while number:
        watched = watched_at(journal, number)
        number = watched.node.next
        if watched.ended:
            watched.ended = False
            if not put_row(rows, watched, 0, frames.size, frames.size):
                return False
        elif not put_updates(watched, time_ns, frames, rows):
            return False
    feed.ended = 0
    journal.changes.size = journal.trades.size = 0
    return True
