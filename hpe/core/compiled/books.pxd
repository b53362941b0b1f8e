"""Both sides of one instrument, its last price, and what may be done with it.

The compiled twin of OrderBook in hpe/core/trading/orderbook.py, with its names, as far as matching
and settling need it; the sides are those of ladders.pxd. Owned by the core, used by the thread that
runs it. Nothing here takes memory.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport wide
from hpe.core.compiled.ladders cimport (
    Ladder,
    Level,
    Notice,
    best,
    crosses,
    make_ladder,
    note,
    order_at,
    reaches,
    worse,
)
from hpe.core.compiled.codes cimport BUY, SELL, TRADING
from hpe.core.compiled.fees cimport FeeRates, FeeSchedule, OwnRatesTable, make_schedule
from hpe.core.compiled.instruments cimport Instrument
from hpe.core.compiled.orders cimport Order, Terms, is_dead
from hpe.core.compiled.slabs cimport Slab, record
from hpe.core.compiled.timers cimport Timers, dead_ns
from hpe.core.compiled.triggers cimport Triggers
from hpe.core.compiled.wide cimport INT_MAX

cdef enum:
    NOTHING = -1  # as a limit: nothing may trade


cdef struct Book:
    # `terms_slab` has the terms of the orders of all books. `plain` is true while nothing but price
    # and time decides trades: trading, and no band. `work` is its unfinished work (turns.pxd), 0 for
    # none.
    Ladder bids
    Ladder asks
    const Timers* timers
    const Slab* terms_slab
    Triggers triggers
    int64_t last_price
    int64_t last_trade_id
    int64_t interruption_due_ns
    uint32_t work
    int status
    bint plain
    Instrument instrument
    FeeSchedule fees


cdef inline void make_book(
    Book* book, const Instrument* instrument, FeeRates common, OwnRatesTable* own_rates,
    Slab* level_slab, Slab* order_slab, const Slab* terms_slab, const Timers* timers
) noexcept nogil:
    """Initialize the book of an instrument with these common rates, trading and without orders."""
    make_ladder(&book.bids, BUY, level_slab, order_slab, terms_slab)
    make_ladder(&book.asks, SELL, level_slab, order_slab, terms_slab)
    book.timers = timers
    book.terms_slab = terms_slab
    book.last_price = book.last_trade_id = book.interruption_due_ns = 0
    book.work = 0
    book.instrument = instrument[0]
    make_schedule(&book.fees, common, instrument.instrument_id, own_rates)
    set_status(book, TRADING)


cdef inline void set_status(Book* book, int status) noexcept nogil:
    """Set the status, or apply a changed instrument."""
    book.status = status
    book.plain = status == TRADING and not book.instrument.band_ppm
    note(&book.bids, 0, NULL)


cdef inline const Terms* terms_of(const Book* book, const Order* order) noexcept nogil:
    """Return the terms of an order that has some."""
    return <const Terms*>record(book.terms_slab, order.terms)


cdef inline void price_band(const Book* book, int64_t* lowest, int64_t* highest) noexcept nogil:
    """Set the lowest and highest price of a trade now, 0 and INT_MAX without a band."""
    lowest[0] = 0
    highest[0] = INT_MAX
    if book.instrument.band_ppm:
        wide.band(
            book.last_price if book.last_price else book.instrument.reference_price,
            book.instrument.band_ppm, lowest, highest,
        )


cdef inline int64_t book_dead_ns(const Book* book) noexcept nogil:
    """Return the time up to which its orders are dead, 0 if none are."""
    return dead_ns(book.timers, book.instrument.instrument_id) if book.timers.overdue else 0


cdef inline bint book_crosses(Book* book, int side, int64_t price) noexcept nogil:
    """True if an order of a side at this limit (0: none) would trade with a living one."""
    cdef int64_t until_ns = book_dead_ns(book)
    if until_ns == 0:
        return crosses(opposite(book, side), price)
    return first_living(book, opposite(book, side), price, until_ns) != 0


cdef inline uint32_t first_living(
    const Book* book, const Ladder* ladder, int64_t price, int64_t until_ns
) noexcept nogil:
    """Return the first living order that an order at this limit (0: none) would meet, else 0."""
    cdef const Level* level = best(ladder)
    cdef uint32_t number
    while level != NULL and reaches(ladder, level, price):
        number = level.head
        while number:
            if not is_dead(order_at(ladder, number), book.terms_slab, until_ns):
                return number
            number = order_at(ladder, number).next
        level = worse(ladder, level)
    return 0


cdef inline int64_t limit_within_band(Book* book, int side, int64_t price) noexcept nogil:
    """Return the limit that an order at this price (0: none) may trade at now; 0 for none.

    If the best opposite price is outside the band on the near side, the limit is NOTHING: priority
    is not skipped.
    """
    cdef int64_t lowest, highest, limit, near
    if not book.instrument.band_ppm:
        return price
    price_band(book, &lowest, &highest)
    if side == BUY:
        limit = min(price, highest) if price else highest
        near = min(price, lowest - 1) if price else lowest - 1
    else:
        limit = max(price, lowest, <int64_t>1)
        near = 0
        if highest < INT_MAX:
            near = max(price, highest + 1)
    if near > 0 and book_crosses(book, side, near):
        return NOTHING
    return limit


cdef inline void watch_book(Book* book, Notice notice, void* watcher) noexcept nogil:
    """Notify a watcher of every change of both sides and of the status; NULL: nobody any more."""
    book.bids.notice = book.asks.notice = notice
    book.bids.watcher = book.asks.watcher = watcher


cdef inline int64_t sequence(const Book* book) noexcept nogil:
    """Return the number of changes of the book, for market data."""
    return book.bids.changes + book.asks.changes


cdef inline Ladder* side_of(Book* book, int side) noexcept nogil:
    """Return the ladder that orders of this side rest in."""
    return &book.bids if side == BUY else &book.asks


cdef inline Ladder* opposite(Book* book, int side) noexcept nogil:
    """Return the ladder that orders of this side trade against."""
    return &book.asks if side == BUY else &book.bids
