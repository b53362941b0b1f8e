"""The whole state of the compiled core, and what one batch gives it.

The compiled twin of what ReferenceCore in hpe/core/driver.py keeps. Owned by whoever made it, used by
the thread that runs it. `make_core` alone may fail; the parts point at each other, so a core never
moves.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled._c cimport write32
from hpe.core.compiled.answers cimport Response
from hpe.core.compiled.batch_work cimport BatchWork, free_work, make_work
from hpe.core.compiled.books cimport Book
from hpe.core.compiled.buffers cimport INTEGER_BYTES_MAX, PREFIX_BYTES, Buffer, free_buffer
from hpe.core.compiled.codes cimport TYPE_CONTINUE, TYPE_TICK
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.exchange_state cimport (
    Exchange,
    Limits,
    book_of,
    free_exchange,
    make_exchange,
)
from hpe.core.compiled.fields cimport Tables
from hpe.core.compiled.market_data cimport MarketFeed, free_feed, make_feed
from hpe.core.compiled.order_index cimport remember_fill
from hpe.core.compiled.packing cimport Output, free_output
from hpe.core.compiled.permissions cimport Permissions
from hpe.core.compiled.refusals cimport Refusals
from hpe.core.compiled.registry cimport (
    Sessions,
    free_sessions,
    make_sessions,
    reserve_times,
    set_times,
)
from hpe.core.compiled.reports cimport PrivateFeed
from hpe.core.compiled.room cimport RoomSizes
from hpe.core.compiled.session cimport REVOKED_SESSIONS
from hpe.core.compiled.snapshots cimport Snapshots, free_snapshots, make_snapshots
from hpe.core.compiled.timers cimport next_due_ns as next_timer_ns
from hpe.core.compiled.watched cimport FeedLimits

cdef enum:
    DUE_AT_ONCE = 1  # see hpe/core/contract.py
    CONTINUE_MARKET = 1  # what continues: see hpe/core/internal.py
    CONTINUE_CLOSING = 2
    OWN_FRAME_BYTES = PREFIX_BYTES + 3
    LOST_FRAME_BYTES_MAX = PREFIX_BYTES + 2 + 4 * INTEGER_BYTES_MAX


cdef struct CoreLimits:
    # All of Limits in hpe/core/contract.py, in the parts that use them.
    Limits trading
    FeedLimits market_data
    RoomSizes room
    int64_t revocations
    int64_t reports


cdef struct CoreTables:
    # What never changes, made before any core; the service's own requests have tables of their own.
    const Tables* requests
    const Tables* internal
    const Permissions* permissions
    const Refusals* refusals


ctypedef bint (*ExecuteTexts)(
    void* owner, const Context* context, const uint8_t* body, int64_t size, Response* response
) noexcept nogil

ctypedef bint (*AnswerQuery)(
    void* owner, int64_t user, const uint8_t* body, int64_t size
) noexcept nogil


cdef struct Interpreter:
    # What is rare, handles texts, and therefore takes the interpreter's lock: commands about what is
    # listed, and queries, whose answers go to the replies of the work. False: something was raised.
    void* owner
    ExecuteTexts execute
    AnswerQuery answer


cdef enum Broken:
    # What ended the core, if it was not the memory.
    NOTHING_BROKEN = 0
    BROKEN_TIME = 1  # a batch's time is not after the last logged one
    BROKEN_FRAME = 2  # a frame of the service is no command


cdef struct Core:
    # See ReferenceCore in hpe/core/driver.py. `tick`, `go_on` and `close_more` are the frames of
    # commands that the core makes by itself; `lost_frames` are those of the running batch about
    # connections that broke the protocol. `broken` is a Broken.
    CoreLimits limits
    CoreTables tables
    Interpreter interpreter
    Exchange exchange
    Sessions sessions
    PrivateFeed feed
    MarketFeed market_feed
    Snapshots snapshots
    BatchWork work
    Output output
    Buffer lost_frames
    uint8_t[OWN_FRAME_BYTES] tick
    uint8_t[OWN_FRAME_BYTES] go_on
    uint8_t[OWN_FRAME_BYTES] close_more
    uint32_t digest
    int broken


cdef struct Row:
    # Where the body of a frame is.
    int64_t start
    int64_t end


cdef struct Run:
    # See Run in hpe/core/contract.py.
    int64_t connection
    int64_t attach
    const uint8_t* frames
    int64_t size
    const Row* rows
    int64_t count
    int admit


cdef struct Batch:
    # See Batch in hpe/core/contract.py; the sums are those of its runs.
    int64_t time_ns
    const uint8_t* wanted
    int64_t wanted_size
    const Run* runs
    int64_t run_count
    int64_t frame_count
    int64_t subscribe_count


cdef inline Book* _find_book(const void* exchange, int64_t instrument) noexcept nogil:
    return book_of(<const Exchange*>exchange, instrument)


cdef inline void _make_own(uint8_t* frame, int kind, int request_id) noexcept nogil:
    write32(frame, OWN_FRAME_BYTES - PREFIX_BYTES)
    frame[PREFIX_BYTES] = 0x92
    frame[PREFIX_BYTES + 1] = <uint8_t>kind
    frame[PREFIX_BYTES + 2] = <uint8_t>request_id


cdef inline bint make_core(
    Core* core, const CoreLimits* limits, const CoreTables* tables,
    const Interpreter* interpreter, uint64_t seed
) noexcept nogil:
    """Initialize a core without instruments and sessions; False if there is no memory.

    `seed` is that of all hash tables.
    """
    cdef Exchange* exchange = &core.exchange
    memset(core, 0, sizeof(Core))
    core.limits, core.tables, core.interpreter = limits[0], tables[0], interpreter[0]
    if not make_exchange(exchange, &limits.trading, seed):
        return False
    make_sessions(&core.sessions, &limits.room, seed, &exchange.timers)
    make_feed(
        &core.market_feed, &limits.market_data, &exchange.turns, _find_book, exchange, seed
    )
    make_snapshots(&core.snapshots, seed)
    make_work(&core.work, limits.reports)
    core.feed = PrivateFeed(
        &exchange.balances, &exchange.orders.orders, &exchange.trigger_slabs, &exchange.matcher,
        &exchange.events, remember_fill, &exchange.orders,
    )
    _make_own(core.tick, TYPE_TICK, 1)
    _make_own(core.go_on, TYPE_CONTINUE, CONTINUE_MARKET)
    _make_own(core.close_more, TYPE_CONTINUE, CONTINUE_CLOSING)
    if not reserve_times(&core.sessions):
        return False
    set_times(
        &core.sessions, exchange.settings.session_expiry_ns, exchange.settings.session_keep_ns
    )
    return True


cdef inline void free_core(Core* core) noexcept nogil:
    """Free all memory, except that of an output that was handed on."""
    free_buffer(&core.lost_frames)
    free_output(&core.output)
    free_work(&core.work)
    free_snapshots(&core.snapshots)
    free_feed(&core.market_feed)
    free_sessions(&core.sessions)
    free_exchange(&core.exchange)


cdef inline bint has_revoked(const Core* core) noexcept nogil:
    """True if sessions are still to be closed because their key is not valid any more."""
    return core.sessions.lists[<int>REVOKED_SESSIONS].first != 0


cdef inline bint unfinished(const Core* core) noexcept nogil:
    """True if work continues by itself; see hpe/core/contract.py."""
    return core.exchange.turns.listed.count > 0 or has_revoked(core)


cdef inline int64_t next_due_ns(const Core* core) noexcept nogil:
    """Return when the core has work of its own; see hpe/core/contract.py."""
    cdef int64_t due_ns
    if unfinished(core):
        return DUE_AT_ONCE
    due_ns = next_timer_ns(&core.exchange.timers)
    return DUE_AT_ONCE if 0 < due_ns <= core.exchange.timers.now_ns else due_ns
