"""Snapshots of market data, from which a subscriber starts.

The compiled twin of hpe/core/output/snapshots.py, with its names. A subscribe leaves a place among
the replies (batch_work.pxd), which is filled with the book as it is when the whole batch is over.
Equal requests of a batch share one body. Owned by the core, used by the thread that runs it.
`reserve_snapshots` alone may fail, and `answer_now` where there is no memory for the bytes: then
nothing of the batch may be published.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from hpe.core.compiled cimport hash_tables, slabs
from hpe.core.compiled.auction cimport Clearing
from hpe.core.compiled.batch_work cimport BatchWork, begin_subscription, fill_place
from hpe.core.compiled.books cimport Book, sequence
from hpe.core.compiled.buffers cimport (
    INTEGER_BYTES_MAX,
    PREFIX_BYTES,
    Buffer,
    end_frame,
    free_buffer,
    make_room,
    put_array,
    put_bool,
    put_byte,
    put_integer,
    put_nil,
    write_integer,
)
from hpe.core.compiled.codes cimport (
    CHANNEL_BEST,
    CHANNEL_LEVELS,
    CHANNEL_ORDERS,
    CHANNEL_STATUS,
    CHANNEL_TRADES,
    NONE,
    TYPE_SUBSCRIBE,
    UNKNOWN_INSTRUMENT,
)
from hpe.core.compiled.effort cimport COPIES_PER_ROW, SNAPSHOT, clearing_effort
from hpe.core.compiled.ladders cimport Ladder, Level, best, hidden_in, order_at, price_of, worse
from hpe.core.compiled.market_data cimport MarketFeed, follows_status, indicative
from hpe.core.compiled.market_rows cimport (
    LINE_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    BestRow,
    StatusRow,
    begin_levels,
    begin_orders_snapshot,
    begin_trades,
    best_row,
    checksum,
    put_best,
    put_status,
    put_three,
    status_row,
)
from hpe.core.compiled.orders cimport Order
from hpe.core.compiled.watched cimport crossing, too_deep

cdef enum:
    FIELDS = 10  # of the answer
    HEAD_BYTES_MAX = PREFIX_BYTES + 2 + INTEGER_BYTES_MAX  # before and with the request id


cdef struct SnapshotBody:
    # One snapshot of a batch: the most rows that it may have; later the bytes from behind the
    # request id on, before which there is room for the head. It begins with its two keys: the
    # instrument, and channel and depth.
    int64_t instrument
    int64_t channel_and_depth
    int64_t channel
    int64_t depth
    int64_t rows
    int64_t start
    int64_t end
    uint32_t next
    bint made
    bint known


cdef struct Subscribe:
    # A request, and the place that was left for its reply.
    int64_t connection
    int64_t request_id
    int64_t place
    uint32_t body


cdef struct Snapshots:
    # Those of the running batch: `newest` is the newest, and each names the one before.
    slabs.Slab body_slab
    hash_tables.HashTable bodies
    Buffer subscribes
    Buffer bytes
    uint32_t newest


cdef inline void make_snapshots(Snapshots* snapshots, uint64_t seed) noexcept nogil:
    """Initialize without any; it must not move."""
    memset(snapshots, 0, sizeof(Snapshots))
    slabs.make_slab(&snapshots.body_slab, sizeof(SnapshotBody))
    hash_tables.make_table(
        &snapshots.bodies, seed, &snapshots.body_slab, hash_tables.begins_with_two
    )


cdef inline void free_snapshots(Snapshots* snapshots) noexcept nogil:
    """Free all memory."""
    hash_tables.free_table(&snapshots.bodies)
    slabs.free_slab(&snapshots.body_slab)
    free_buffer(&snapshots.subscribes)
    free_buffer(&snapshots.bytes)


cdef inline bint reserve_snapshots(Snapshots* snapshots, int64_t more) noexcept nogil:
    """Make sure that a batch can have so many subscribes; False if there is no memory."""
    return (
        slabs.reserve(&snapshots.body_slab, more)
        and hash_tables.reserve_places(&snapshots.bodies, more)
        and make_room(&snapshots.subscribes, more * <int64_t>sizeof(Subscribe))
    )


cdef inline SnapshotBody* body_at(const Snapshots* snapshots, uint32_t number) noexcept nogil:
    """Return the snapshot of a number."""
    return <SnapshotBody*>slabs.record(&snapshots.body_slab, number)


cdef inline int64_t answer_later(
    Snapshots* snapshots, const MarketFeed* feed, const Subscribe* request, int64_t instrument,
    int64_t channel, int64_t depth
) noexcept nogil:
    """Note a subscribe, whose body is found here; the other fields are the caller's.

    Returns:
        Its cost in rows; a part of them if it only copies a snapshot that the batch makes anyway.
    """
    cdef int64_t channel_and_depth = channel << 32 | depth
    cdef uint32_t number = hash_tables.find(&snapshots.bodies, instrument, channel_and_depth)
    cdef Subscribe* noted = <Subscribe*>(snapshots.subscribes.data + snapshots.subscribes.size)
    cdef SnapshotBody* body
    snapshots.subscribes.size += sizeof(Subscribe)
    noted[0] = request[0]
    noted.body = number
    if number:
        return SNAPSHOT + body_at(snapshots, number).rows // COPIES_PER_ROW
    number = noted.body = slabs.take(&snapshots.body_slab)
    body = body_at(snapshots, number)
    body.instrument, body.channel_and_depth = instrument, channel_and_depth
    body.channel, body.depth = channel, depth
    body.rows = _rows(feed, feed.find_book(feed.books, instrument), body)
    body.next = snapshots.newest
    snapshots.newest = number
    hash_tables.add(&snapshots.bodies, instrument, channel_and_depth, number)
    return SNAPSHOT + body.rows


cdef inline int64_t _rows(
    const MarketFeed* feed, const Book* book, const SnapshotBody* body
) noexcept nogil:
    """Return the number of rows that a snapshot would have now, or that its cost corresponds to."""
    cdef int64_t levels, orders
    if book == NULL or body.channel == CHANNEL_BEST or body.channel == CHANNEL_TRADES:
        return 0
    if body.channel == CHANNEL_STATUS:
        if follows_status(feed, book) or too_deep(&feed.journal, book):
            return 0
        return clearing_effort(crossing(&feed.journal, book))
    levels = min(body.depth, book.bids.levels.count) + min(body.depth, book.asks.levels.count)
    if body.channel == CHANNEL_LEVELS:
        return levels
    orders = _orders_within(&book.bids, body.depth) + _orders_within(&book.asks, body.depth)
    return min(orders, 2 * feed.journal.limits.snapshot_orders)


cdef inline int64_t _orders_within(const Ladder* ladder, int64_t depth) noexcept nogil:
    """Return how many orders the best levels have."""
    cdef const Level* level = best(ladder)
    cdef int64_t orders = 0
    while level != NULL and depth:
        orders += level.count
        depth -= 1
        level = worse(ladder, level)
    return orders


cdef inline bint answer_now(
    Snapshots* snapshots, MarketFeed* feed, BatchWork* work, int64_t sequence, int64_t time_ns
) noexcept nogil:
    """Fill in the snapshots of a batch that is over; equal requests share one except for the id.

    `sequence` and `time_ns` are those of the newest command.
    """
    cdef const Subscribe* request = <const Subscribe*>snapshots.subscribes.data
    cdef int64_t left = snapshots.subscribes.size // <int64_t>sizeof(Subscribe), start
    cdef SnapshotBody* body
    while left:
        body = body_at(snapshots, request.body)
        if not body.made and not _make(snapshots, feed, body, sequence, time_ns):
            return False
        start = _put_head(&snapshots.bytes, body, request.request_id)
        if not make_room(&work.replies, body.end - start):
            return False
        fill_place(work, request.place, snapshots.bytes.data + start, body.end - start)
        if body.known:
            begin_subscription(
                work, request.connection, request.request_id, body.instrument, body.channel
            )
        request += 1
        left -= 1
    _forget(snapshots)
    return True


cdef inline int64_t _put_head(
    Buffer* out, const SnapshotBody* body, int64_t request_id
) noexcept nogil:
    """Write what stands before a body with this request id; return where the frame begins."""
    cdef uint8_t[INTEGER_BYTES_MAX] encoded
    cdef int64_t size = write_integer(encoded, request_id) - encoded
    cdef Buffer head = Buffer(out.data, body.start - size - 2, out.capacity)
    cdef int64_t start = head.size - PREFIX_BYTES
    put_array(&head, FIELDS)
    put_byte(&head, TYPE_SUBSCRIBE)
    memcpy(head.data + head.size, encoded, size)
    head.size = body.end
    end_frame(&head, start)
    return start


cdef inline void _forget(Snapshots* snapshots) noexcept nogil:
    """Begin the next batch."""
    cdef uint32_t number
    cdef SnapshotBody* body
    while snapshots.newest:
        number = snapshots.newest
        body = body_at(snapshots, number)
        snapshots.newest = body.next
        hash_tables.remove(&snapshots.bodies, body.instrument, body.channel_and_depth)
        slabs.give_back(&snapshots.body_slab, number)
    snapshots.subscribes.size = snapshots.bytes.size = 0


# --- the bodies -----------------------------------------------------------------------------------


cdef inline bint _make(
    Snapshots* snapshots, MarketFeed* feed, SnapshotBody* body, int64_t sequence, int64_t time_ns
) noexcept nogil:
    """Write the answer to a subscribe, from behind the request id on, with its snapshot."""
    cdef Buffer* out = &snapshots.bytes
    cdef Book* book = feed.find_book(feed.books, body.instrument)
    body.known = book != NULL
    if not make_room(out, HEAD_BYTES_MAX + 2 * MESSAGE_BYTES_MAX + _lines(feed, book, body)):
        return False
    out.size += HEAD_BYTES_MAX
    body.start = out.size
    put_byte(out, 0)  # flags
    put_integer(out, sequence)
    put_integer(out, NONE if body.known else UNKNOWN_INSTRUMENT)
    put_integer(out, body.instrument)
    put_integer(out, body.channel)
    if body.known:
        _put_snapshot(out, feed, book, body, time_ns)
    else:
        put_nil(out)
        put_bool(out, False)
        put_bool(out, False)
    body.end = out.size
    body.made = True
    return True


cdef inline int64_t _lines(
    const MarketFeed* feed, const Book* book, const SnapshotBody* body
) noexcept nogil:
    """Return the most bytes that the rows of a snapshot take."""
    if body.channel == CHANNEL_LEVELS:
        return 2 * body.depth * LINE_BYTES_MAX
    if body.channel == CHANNEL_ORDERS and book != NULL:
        return LINE_BYTES_MAX * 2 * min(
            feed.journal.limits.snapshot_orders, book.bids.count + book.asks.count
        )
    return 0


cdef inline void _put_snapshot(
    Buffer* out, MarketFeed* feed, Book* book, const SnapshotBody* body, int64_t time_ns
) noexcept nogil:
    """Append a snapshot, and whether the sides have more."""
    cdef bint more_bids = False, more_asks = False
    cdef int64_t orders_max = feed.journal.limits.snapshot_orders
    cdef BestRow row
    if body.channel == CHANNEL_BEST:
        best_row(book, &row)
        put_best(out, book, time_ns, &row)
    elif body.channel == CHANNEL_LEVELS:
        begin_levels(out, book, 0, sequence(book), time_ns)
        more_bids = _best_levels(out, &book.bids, body.depth)
        more_asks = _best_levels(out, &book.asks, body.depth)
        put_integer(out, checksum(book))
    elif body.channel == CHANNEL_ORDERS:
        begin_orders_snapshot(out, book, time_ns)
        more_bids = _best_orders(out, &book.bids, body.depth, orders_max)
        more_asks = _best_orders(out, &book.asks, body.depth, orders_max)
        put_integer(out, checksum(book))
    elif body.channel == CHANNEL_TRADES:
        begin_trades(out, book, time_ns, book.last_trade_id)
        put_array(out, 0)
    else:
        _put_status_of(out, feed, book, time_ns)
    put_bool(out, more_bids)
    put_bool(out, more_asks)


cdef inline void _put_status_of(
    Buffer* out, MarketFeed* feed, Book* book, int64_t time_ns
) noexcept nogil:
    cdef Clearing found
    cdef StatusRow row
    indicative(feed, book, time_ns, &found)
    status_row(book, &found, &row)
    put_status(out, book, time_ns, &row)


cdef inline bint _best_levels(Buffer* out, const Ladder* ladder, int64_t depth) noexcept nogil:
    """Append the best levels of a side; return whether there are more."""
    cdef const Level* level = best(ladder)
    cdef int64_t count = min(depth, ladder.levels.count)
    cdef bint more = count < ladder.levels.count
    put_array(out, count)
    while count:
        put_three(out, price_of(ladder, level), level.quantity, level.count)
        level = worse(ladder, level)
        count -= 1
    return more


cdef inline bint _best_orders(
    Buffer* out, const Ladder* ladder, int64_t depth, int64_t orders_max
) noexcept nogil:
    """Append the orders of the best levels (whole levels only); return whether there are more."""
    cdef const Level* level = best(ladder)
    cdef const Order* order
    cdef int64_t orders = 0, taken = 0, left
    cdef uint32_t number
    while level != NULL and taken < depth and orders + level.count <= orders_max:
        orders += level.count
        taken += 1
        level = worse(ladder, level)
    put_array(out, orders)
    level = best(ladder)
    left = taken
    while left:
        number = level.head
        while number:
            order = order_at(ladder, number)
            put_three(out, order.order_id, order.price, order.leaves - hidden_in(ladder, order))
            number = order.next
        level = worse(ladder, level)
        left -= 1
    return taken < ladder.levels.count
