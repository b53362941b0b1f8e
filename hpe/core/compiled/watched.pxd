"""A book that has subscribers: what a batch changed in it, and the indicative price they know.

The compiled twin of _Watched in hpe/core/output/market_data.py, with its names. The changes and
trades of all watched books are two buffers; those of one book are a chain through them. A watched
book notices its first change of a batch, so a batch costs nothing for books that it does not
change. Owned by the feed (market_data.pxd), used by the thread that runs the core. `reserve_notes`
alone may fail; every change and every trade relies on it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hpe.core.compiled cimport ordered
from hpe.core.compiled.auction cimport Clearing, clearing, crossing_levels, is_too_deep
from hpe.core.compiled.books cimport Book, sequence, watch_book
from hpe.core.compiled.buffers cimport Buffer, make_room
from hpe.core.compiled.codes cimport (
    CALL_AUCTION,
    CHANNEL_BEST,
    CHANNEL_LEVELS,
    CHANNEL_ORDERS,
    CHANNEL_STATUS,
    CHANNEL_TRADES,
    REMOVED,
)
from hpe.core.compiled.ladders cimport Ladder, hidden_in
from hpe.core.compiled.market_rows cimport BestRow, StatusRow, best_row, status_row
from hpe.core.compiled.orders cimport Order
from hpe.core.compiled.slabs cimport Slab, record
from hpe.core.compiled.turns cimport Turns, work_of


cdef struct FeedLimits:
    # The limits of market data; see Limits in hpe/core/contract.py.
    int64_t changes
    int64_t snapshot_orders
    int64_t indicative_levels
    int64_t indicative_ns_per_level
    int64_t made_up_levels
    int64_t query_effort


cdef struct ChangeNote:
    # One change of a book; `next` is the next one of the same book, counted from 1.
    uint32_t next
    uint8_t change
    uint8_t side
    int64_t order_id
    int64_t price
    int64_t shown


cdef struct TradeNote:
    # One trade of a book, with `next` like a change; `side` is the taker's, 0 in an uncross.
    uint32_t next
    uint8_t side
    int64_t trade_id
    int64_t price
    int64_t quantity


cdef struct Chain:
    # The notes of one book, counted from 1; 0: it has none. Of changes that no subscriber sees one
    # by one, only the number is kept.
    uint32_t first
    uint32_t last
    int64_t count


cdef struct Journal:
    # What all watched books share. `changed` has those that the batch changed, by instrument;
    # `changes` and `trades` are the notes of the batch. `touched_slab` is for the levels that
    # changed in one book, while they are written.
    FeedLimits limits
    const Turns* turns
    Slab watched_slab
    Slab touched_slab
    ordered.Tree changed
    Buffer changes
    Buffer trades


cdef struct Watched:
    # An instrument that is wanted: the first key of the node. `book` is NULL until it is listed
    # and after it was delisted, which `ended` tells the batch. `wanted` is the mask that was asked
    # for, `mask` that of the channels that are followed; `seen` and `status_began` are batches of
    # the feed. The rest is the book when the batch began: see _Watched in
    # hpe/core/output/market_data.py.
    ordered.Node node
    Journal* journal
    Book* book
    int64_t seen
    int64_t status_began
    int64_t sequence
    int64_t last_trade_id
    int64_t indicative_due_ns
    BestRow best
    StatusRow status
    Clearing indicative
    Chain changes
    Chain trades
    uint32_t number
    int wanted
    int mask
    bint is_changed
    bint ended
    bint indicative_known
    bint indicative_stale


cdef inline bint reserve_notes(Journal* journal, int64_t changes, int64_t trades) noexcept nogil:
    """Make sure that so many changes and trades can be noted; False if there is no memory.

    The worst case: a fill changes a book three times (an iceberg is taken from, removed and added),
    and every order that is added, reduced or removed otherwise once.
    """
    return make_room(&journal.changes, changes * <int64_t>sizeof(ChangeNote)) and make_room(
        &journal.trades, trades * <int64_t>sizeof(TradeNote)
    )


cdef inline Watched* watched_at(const Journal* journal, uint32_t number) noexcept nogil:
    """Return the watched book of a number."""
    return <Watched*>record(&journal.watched_slab, number)


cdef inline ChangeNote* change_at(const Journal* journal, uint32_t place) noexcept nogil:
    """Return a change, counted from 1."""
    return <ChangeNote*>journal.changes.data + (place - 1)


cdef inline TradeNote* trade_at(const Journal* journal, uint32_t place) noexcept nogil:
    """Return a trade, counted from 1."""
    return <TradeNote*>journal.trades.data + (place - 1)


cdef inline int bit(int channel) noexcept nogil:
    """Return the bit of a channel in a mask."""
    return 1 << (channel - 1)


cdef inline int64_t crossing(const Journal* journal, const Book* book) noexcept nogil:
    """Return the number of price levels that computing a clearing reads."""
    return crossing_levels(book, work_of(journal.turns, book))


cdef inline bint too_deep(const Journal* journal, const Book* book) noexcept nogil:
    """True if computing a clearing alone costs more than the queries of one batch may."""
    return is_too_deep(book, work_of(journal.turns, book), journal.limits.query_effort)


cdef inline void follow(Watched* watched, Book* book, int mask) noexcept nogil:
    """Begin to watch a book."""
    watched.book = book
    watched.mask = 0
    watched.is_changed = False
    watched.changes = watched.trades = Chain(0, 0, 0)
    forget_indicative(watched)
    watch_book(book, note_change, watched)
    watched.sequence = sequence(book)
    watched.last_trade_id = book.last_trade_id
    best_row(book, &watched.best)
    status_row(book, &watched.indicative, &watched.status)
    want(watched, mask)


cdef inline void unfollow(Watched* watched) noexcept nogil:
    """Stop watching a book."""
    watch_book(watched.book, NULL, NULL)
    if watched.is_changed:
        ordered.take_out(
            &watched.journal.changed, &watched.journal.watched_slab, watched.number
        )
    watched.is_changed = False
    watched.book = NULL
    watched.mask = 0


cdef inline void notice(Watched* watched) noexcept nogil:
    """Note that the book changes, so that it is read when the batch is over."""
    if not watched.is_changed:
        watched.is_changed = watched.indicative_stale = True
        ordered.insert(&watched.journal.changed, &watched.journal.watched_slab, watched.number)


cdef inline void note_change(
    void* watcher, int change, const void* ladder, const Order* order
) noexcept nogil:
    """Note a change of the book, or that only hidden lots or the status changed."""
    cdef const Ladder* side = <const Ladder*>ladder
    cdef Watched* watched = <Watched*>watcher
    cdef Journal* journal = watched.journal
    cdef ChangeNote* noted
    notice(watched)
    if change == 0:
        return
    if not sees_details(watched):
        watched.changes.count += 1
        return
    noted = <ChangeNote*>_append(&journal.changes, sizeof(ChangeNote), &watched.changes)
    noted.change = <uint8_t>change
    noted.side = <uint8_t>side.side
    noted.order_id = order.order_id
    noted.price = order.price
    noted.shown = order.leaves - hidden_in(side, order) if change != REMOVED else 0


cdef inline void note_trade(
    Watched* watched, int64_t trade_id, int64_t price, int64_t quantity, int side
) noexcept nogil:
    """Note a trade of the book, which it has changed; `side` is the taker's, 0 in an uncross."""
    cdef TradeNote* noted
    if not wants(watched, CHANNEL_TRADES):
        return
    noted = <TradeNote*>_append(
        &watched.journal.trades, sizeof(TradeNote), &watched.trades
    )
    noted.side = <uint8_t>side
    noted.trade_id = trade_id
    noted.price = price
    noted.quantity = quantity


cdef inline void* _append(Buffer* notes, int64_t note_bytes, Chain* chain) noexcept nogil:
    """Append a note to a chain; return it, to be filled in."""
    cdef uint8_t* added = notes.data + notes.size
    cdef uint32_t place
    notes.size += note_bytes
    place = <uint32_t>(notes.size // note_bytes)
    if chain.last:
        (<uint32_t*>(notes.data + (chain.last - 1) * note_bytes))[0] = place
    else:
        chain.first = place
    chain.last = place
    chain.count += 1
    (<uint32_t*>added)[0] = 0
    return added


cdef inline void settle(Watched* watched) noexcept nogil:
    """Begin the next batch."""
    watched.is_changed = False
    watched.changes = watched.trades = Chain(0, 0, 0)
    watched.sequence = sequence(watched.book)
    watched.last_trade_id = watched.book.last_trade_id


cdef inline bint is_late(const Watched* watched) noexcept nogil:
    """True if the indicative price must be computed again."""
    if not (watched.indicative_stale and in_call(watched) and wants(watched, CHANNEL_STATUS)):
        return False
    return asked_for(watched) or too_deep(watched.journal, watched.book)


cdef inline bint asked_for(const Watched* watched) noexcept nogil:
    """True if subscribers were told the indicative price, or that it comes later."""
    return watched.indicative_known or watched.indicative_due_ns > 0


cdef inline bint in_call(const Watched* watched) noexcept nogil:
    """True if the book has an indicative price."""
    return watched.book.status == CALL_AUCTION


cdef inline void want(Watched* watched, int mask) noexcept nogil:
    """Change the channels; new ones begin with the book as it is.

    If many levels cross, the snapshot computes the indicative price: the subscriber pays.
    """
    cdef Journal* journal = watched.journal
    cdef int new = mask & ~watched.mask
    watched.mask = mask
    if new & bit(CHANNEL_BEST):
        best_row(watched.book, &watched.best)
    if new & bit(CHANNEL_STATUS):
        forget_indicative(watched)
        if crossing(journal, watched.book) <= journal.limits.indicative_levels:
            find_indicative(watched, 0)
        status_row(watched.book, &watched.indicative, &watched.status)


cdef inline void forget_indicative(Watched* watched) noexcept nogil:
    """Drop the indicative price: there is no call, or no subscriber was told."""
    watched.indicative = Clearing(0, 0, 0)
    watched.indicative_due_ns = 0
    watched.indicative_known = False
    watched.indicative_stale = True


cdef inline void find_indicative(Watched* watched, int64_t time_ns) noexcept nogil:
    """Compute what an uncross would do now, and set when it may be computed again."""
    cdef const Journal* journal = watched.journal
    cdef int64_t levels
    if not in_call(watched):
        forget_indicative(watched)
        return
    watched.indicative = clearing(watched.book, work_of(journal.turns, watched.book))
    watched.indicative_known = True
    watched.indicative_stale = False
    levels = crossing(journal, watched.book)
    if levels > journal.limits.indicative_levels:
        watched.indicative_due_ns = time_ns + levels * journal.limits.indicative_ns_per_level


cdef inline void put_off(Watched* watched, int64_t time_ns) noexcept nogil:
    """Leave computing it for the first time to a later batch or to one without other work."""
    cdef const Journal* journal = watched.journal
    notice(watched)
    watched.indicative_due_ns = (
        time_ns + crossing(journal, watched.book) * journal.limits.indicative_ns_per_level
    )


cdef inline bint is_due(const Watched* watched, int64_t time_ns) noexcept nogil:
    """True if a batch at this time is to compute what an uncross would do."""
    if not watched.indicative_stale or time_ns < watched.indicative_due_ns:
        return False
    return asked_for(watched) or not too_deep(watched.journal, watched.book)


cdef inline bint wants(const Watched* watched, int channel) noexcept nogil:
    """True if a channel has subscribers."""
    return watched.mask & bit(channel) != 0


cdef inline bint sees_details(const Watched* watched) noexcept nogil:
    """True if a channel has subscribers that are told which levels or orders changed."""
    return wants(watched, CHANNEL_LEVELS) or wants(watched, CHANNEL_ORDERS)
