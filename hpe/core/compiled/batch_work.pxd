"""The output of a batch while it is being executed: replies, reports, logged frames, trades.

The compiled twin of BatchWork in hpe/core/output/batch.py, with its names; packing.pxd makes the
output of it. Everything is appended to buffers that keep their memory from batch to batch:
what the digest covers is one stretch of bytes, of which a user's reports are a chain of parts, and
the replies are one stretch of pieces. Owned by the core, used by the thread that runs it.

What is reserved may fail, everything else relies on it. `reserve_runs`, at the head of a batch, is
for its runs, subscribes and frames; `reserve_own`, before each command of the service, is for its
frame, and keeps the room of the others. `reserve_command`, before each command, is for its response
and for as many reports and trades as it may make. Whoever appends a longer reply makes room for it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled.accounts cimport User
from hpe.core.compiled.buffers cimport (
    INTEGER_BYTES_MAX,
    PREFIX_BYTES,
    Buffer,
    free_buffer,
    make_room,
    put_array,
    put_bytes,
    put_frame,
    put_integer,
)
from hpe.core.compiled.events cimport (
    EVENT_AUCTION,
    EVENT_MATCH,
    AuctionFill,
    Event,
    Events,
    auction_fill_at,
)
from hpe.core.compiled.matcher cimport Fill, Matcher, fill_at
from hpe.core.compiled.orders cimport Order
from hpe.core.compiled.session cimport RESPONSE_BYTES_MAX
from hpe.core.compiled.slabs cimport Slab, record

cdef enum:
    REPORT_BYTES_MAX = 176  # of an execution report whose integers are all as long as they can be
    TRADE_BYTES_MAX = 1 + 6 * INTEGER_BYTES_MAX
    ROW_BYTES_MAX = 5 * 8  # of each table of an output


cdef struct Piece:
    # Consecutive replies to one connection, and the credits that go back with them.
    int64_t connection
    int64_t start
    int64_t end
    int64_t frames
    int64_t bytes


cdef struct Report:
    # A private report: a part of `digested`. `next` is the user's next one, 0 for none: their places,
    # counted from 1.
    int64_t start
    uint32_t size
    uint32_t next


cdef struct Reported:
    # A user with reports: the private sequence of the first, and the chain of all.
    User* user
    int64_t first
    int64_t count
    uint32_t head
    uint32_t tail


cdef struct Logged:
    # Executed frames of one session, which stay where they are until the batch is packed.
    int64_t session_id
    int64_t user
    const uint8_t* frames
    int64_t size


cdef struct BatchWork:
    # See BatchWork in hpe/core/output/batch.py. `frames` is how many of the batch may still be logged,
    # at most; `trades` are encoded; the rows of `cut`, `subscribed`
    # and `progress` are those of the output's tables. `market` and `market_rows` are for market data,
    # `ranked` is for sorting.
    int64_t reports_max
    int64_t time_ns
    int64_t first_sequence
    int64_t effort
    int64_t idle
    int64_t idle_cancels
    int64_t trade_count
    int64_t frames
    bint begun
    bint full
    bint careful
    Buffer digested
    Buffer reports
    Buffer reported
    Buffer replies
    Buffer pieces
    Buffer logged
    Buffer trades
    Buffer cut
    Buffer subscribed
    Buffer progress
    Buffer market
    Buffer market_rows
    Buffer ranked


cdef inline void make_work(BatchWork* work, int64_t reports_max) noexcept nogil:
    """Initialize without memory."""
    memset(work, 0, sizeof(BatchWork))
    work.reports_max = reports_max


cdef inline void free_work(BatchWork* work) noexcept nogil:
    """Free all memory."""
    cdef Buffer* each = &work.digested
    while each <= &work.ranked:
        free_buffer(each)
        each += 1


cdef inline void begin_work(
    BatchWork* work, int64_t time_ns, int64_t first_sequence
) noexcept nogil:
    """Begin a batch, after the one before was packed."""
    cdef Buffer* each = &work.digested
    while each <= &work.ranked:
        each.size = 0
        each += 1
    work.time_ns = time_ns
    work.first_sequence = first_sequence
    work.effort = work.idle = work.idle_cancels = work.trade_count = 0
    work.begun = work.full = work.careful = False


cdef inline bint reserve_runs(
    BatchWork* work, int64_t runs, int64_t subscribes, int64_t frames
) noexcept nogil:
    """Make sure that the rows of a batch fit, of internal commands too; False: no memory."""
    cdef int64_t pieces = runs + 2 * subscribes
    work.frames = frames
    return (
        make_room(&work.pieces, pieces * <int64_t>sizeof(Piece))
        and make_room(&work.logged, frames * <int64_t>sizeof(Logged))
        and make_room(&work.cut, runs * ROW_BYTES_MAX)
        and make_room(&work.subscribed, subscribes * ROW_BYTES_MAX)
        and make_room(&work.progress, runs * ROW_BYTES_MAX)
    )


cdef inline bint reserve_own(BatchWork* work) noexcept nogil:
    """Make sure that a command of the service can be logged, and all frames of the batch as well.

    A batch begins with commands that no one counted: they must not take the room of its frames.
    """
    return make_room(&work.logged, (work.frames + 1) * <int64_t>sizeof(Logged))


cdef inline bint reserve_command(BatchWork* work, int64_t reports, int64_t trades) noexcept nogil:
    """Make sure that so many reports and trades and a response fit; False if there is no memory."""
    cdef int64_t bodies = reports * REPORT_BYTES_MAX + RESPONSE_BYTES_MAX
    return (
        make_room(&work.digested, bodies)
        and make_room(&work.replies, bodies + (reports + 1) * PREFIX_BYTES)
        and make_room(&work.reports, reports * <int64_t>sizeof(Report))
        and make_room(&work.reported, reports * <int64_t>sizeof(Reported))
        and make_room(&work.trades, trades * TRADE_BYTES_MAX)
    )


cdef inline int64_t piece_count(const BatchWork* work) noexcept nogil:
    """Return how many pieces the replies have."""
    return work.pieces.size // <int64_t>sizeof(Piece)


cdef inline Piece* piece_at(const BatchWork* work, int64_t place) noexcept nogil:
    """Return a piece of the replies."""
    return <Piece*>work.pieces.data + place


cdef inline void replies_to(
    BatchWork* work, int64_t connection, int64_t frames, int64_t size
) noexcept nogil:
    """Let what follows be replies to a connection, whose run of so many frames and bytes begins.

    The service itself has no credits: 0 and 0.
    """
    cdef Piece* piece
    if work.pieces.size:
        end_replies(work)
    piece = piece_at(work, piece_count(work))
    work.pieces.size += sizeof(Piece)
    piece.connection = connection
    piece.start = piece.end = work.replies.size
    piece.frames = frames
    piece.bytes = size


cdef inline void end_replies(BatchWork* work) noexcept nogil:
    """Note where the replies to a connection end: before others, or those of the last run."""
    piece_at(work, piece_count(work) - 1).end = work.replies.size


cdef inline int64_t leave_place(BatchWork* work) noexcept nogil:
    """Leave a place for a reply that is made when the batch is over; return its number."""
    cdef int64_t connection = piece_at(work, piece_count(work) - 1).connection
    cdef int64_t place = piece_count(work)
    replies_to(work, connection, 0, 0)
    replies_to(work, connection, 0, 0)
    return place


cdef inline void fill_place(
    BatchWork* work, int64_t place, const uint8_t* frame, int64_t size
) noexcept nogil:
    """Put a frame in a place that was left; the replies of the last run have ended."""
    piece_at(work, place).start = work.replies.size
    put_bytes(&work.replies, frame, size)
    piece_at(work, place).end = work.replies.size


cdef inline void reply(BatchWork* work, const uint8_t* body, int64_t size) noexcept nogil:
    """Append a reply to the connection whose run this is."""
    put_frame(&work.replies, body, size)


cdef inline void count_idle(BatchWork* work, bint is_cancel) noexcept nogil:
    """Count a command that changed nothing that lasts."""
    if is_cancel:
        work.idle_cancels += 1
    else:
        work.idle += 1


cdef inline void advance(BatchWork* work, int64_t connection, int64_t highest_id) noexcept nogil:
    """Note that a run has been executed."""
    cdef int64_t[4] row
    row[0], row[1] = connection, highest_id
    row[2], row[3] = work.idle, work.idle_cancels
    put_bytes(&work.progress, <const uint8_t*>row, sizeof(row))
    work.idle = work.idle_cancels = 0


cdef inline void cut(BatchWork* work, int64_t connection) noexcept nogil:
    """Note that a connection's bytes were not frames of the protocol."""
    put_bytes(&work.cut, <const uint8_t*>&connection, sizeof(connection))


cdef inline void begin_subscription(
    BatchWork* work, int64_t connection, int64_t request_id, int64_t instrument, int64_t channel
) noexcept nogil:
    """Note that a subscribe was answered with a snapshot."""
    cdef int64_t[4] row
    row[0], row[1] = connection, request_id
    row[2], row[3] = instrument, channel
    put_bytes(&work.subscribed, <const uint8_t*>row, sizeof(row))


cdef inline Report* report_at(const BatchWork* work, int64_t place) noexcept nogil:
    """Return a report, by its place from 1 on."""
    return <Report*>work.reports.data + place - 1


cdef inline Reported* reported_at(const BatchWork* work, int64_t place) noexcept nogil:
    """Return a user with reports, by its place from 1 on."""
    return <Reported*>work.reported.data + place - 1


cdef inline void report(BatchWork* work, User* user, int64_t start) noexcept nogil:
    """Add one private report, which was appended to `digested` from `start` on."""
    cdef uint32_t place
    cdef Report* new
    cdef Reported* mine
    work.reports.size += sizeof(Report)
    place = <uint32_t>(work.reports.size // <int64_t>sizeof(Report))
    new = report_at(work, place)
    new.start, new.size, new.next = start, <uint32_t>(work.digested.size - start), 0
    if user.reported:
        mine = reported_at(work, user.reported)
        report_at(work, mine.tail).next = place
    else:
        work.reported.size += sizeof(Reported)
        user.reported = <uint32_t>(work.reported.size // <int64_t>sizeof(Reported))
        mine = reported_at(work, user.reported)
        mine.user, mine.first, mine.count, mine.head = user, user.private_sequence, 0, place
    mine.tail = place
    mine.count += 1


cdef inline void log(
    BatchWork* work, int64_t session_id, int64_t user, const uint8_t* frames, int64_t size
) noexcept nogil:
    """Add executed frames to the log body; they stay where they are until the batch is packed."""
    cdef Logged* logged = <Logged*>(work.logged.data + work.logged.size)
    logged.session_id, logged.user = session_id, user
    logged.frames, logged.size = frames, size
    work.logged.size += sizeof(Logged)


cdef inline void add_trade(
    BatchWork* work, int64_t trade_id, int64_t instrument, int64_t price, int64_t quantity,
    int64_t maker_order_id, int64_t taker_order_id
) noexcept nogil:
    """Add the log's row of a trade."""
    put_array(&work.trades, 6)
    put_integer(&work.trades, trade_id)
    put_integer(&work.trades, instrument)
    put_integer(&work.trades, price)
    put_integer(&work.trades, quantity)
    put_integer(&work.trades, maker_order_id)
    put_integer(&work.trades, taker_order_id)
    work.trade_count += 1


cdef inline void add_trades(
    BatchWork* work, const Event* event, const Events* events, const Matcher* matcher,
    const Slab* order_slab
) noexcept nogil:
    """Add the log's rows of an event's trades; in an uncross, the buyer counts as the taker."""
    cdef const Order* taker
    cdef const Fill* fill
    cdef const AuctionFill* cross
    cdef int64_t place
    if event.kind == EVENT_MATCH:
        taker = <const Order*>record(order_slab, event.order)
        for place in range(event.what.match.fill_count):
            fill = fill_at(matcher, event.what.match.first_fill + place)
            add_trade(
                work, event.what.match.first_trade_id + place, taker.instrument, fill.price,
                fill.quantity, (<const Order*>record(order_slab, fill.maker)).order_id,
                taker.order_id,
            )
    elif event.kind == EVENT_AUCTION:
        for place in range(event.what.auction.fill_count):
            cross = auction_fill_at(events, event.what.auction.first_fill + place)
            add_trade(
                work, event.what.auction.first_trade_id + place, event.what.auction.instrument,
                cross.price, cross.quantity,
                (<const Order*>record(order_slab, cross.sell)).order_id,
                (<const Order*>record(order_slab, cross.buy)).order_id,
            )
