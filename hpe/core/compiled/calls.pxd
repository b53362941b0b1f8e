"""Call auctions: how a call is uncrossed (in parts if it has many fills), and ends.

The compiled twin of hpe/core/trading/calls.py, with its names; auction.pxd computes the price, and
interruptions.pxd begins calls. Owned by the core, used by the thread that runs it. Nothing here
takes memory: what a command may need was reserved before it.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport books, order_index, triggers
from hpe.core.compiled.auction cimport Clearing, clearing, fill_auction
from hpe.core.compiled.books cimport Book, book_dead_ns
from hpe.core.compiled.codes cimport TRADING
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.effort cimport FILL, LEVEL, MOVED, UNCROSS, charge
from hpe.core.compiled.ending cimport unlink
from hpe.core.compiled.events cimport (
    AuctionFill,
    AuctionMatch,
    add_auction,
    auction_fill_at,
    auction_fill_count,
)
from hpe.core.compiled.exchange_state cimport Exchange, book_of
from hpe.core.compiled.executor cimport settle_auction
from hpe.core.compiled.interruptions cimport keep_call
from hpe.core.compiled.market cimport fire_last
from hpe.core.compiled.stops cimport give_turns
from hpe.core.compiled.timers cimport pass_over, take_up
from hpe.core.compiled.turns cimport next_served, of, review, work_at, work_of
from hpe.core.compiled.work cimport UncrossInProgress, Work, goes_on, is_empty


cdef inline void set_status(
    Exchange* exchange, const Context* context, Book* book, int status
) noexcept nogil:
    """Set an instrument's status; stops that were reached meanwhile fire.

    Stops that fired earlier and had to wait go first.
    """
    cdef const Work* work = work_of(&exchange.turns, book)
    cdef bint waited = work != NULL and not is_empty(work) and not goes_on(work, book.status)
    cdef bint fired, resumed
    books.set_status(book, status)
    fired = status == TRADING and book.last_price > 0 and book.triggers.count > 0
    if fired:
        fire_last(exchange, book)
    resumed = waited and goes_on(work, status)
    review(&exchange.turns, book)
    if fired or resumed:
        give_turns(exchange, context, book, fired, resumed)


cdef inline void uncross(
    Exchange* exchange, const Context* context, Book* book, int next_status, Clearing* found
) noexcept nogil:
    """Trade what crosses at one price, then go on in the next status."""
    cdef UncrossInProgress state
    keep_call(exchange, book)
    found[0] = clearing(book, work_of(&exchange.turns, book))
    charge(&exchange.effort, UNCROSS, 1)
    charge(&exchange.effort, LEVEL, book.bids.levels.count + book.asks.levels.count)
    state.price = found.price
    state.volume_left = found.volume
    state.surplus = found.surplus
    state.next_status = next_status
    _uncross(exchange, context, book, &state, exchange.limits.uncross_fills)


cdef inline void _uncross(
    Exchange* exchange, const Context* context, Book* book, const UncrossInProgress* state,
    int64_t fills_max
) noexcept nogil:
    """Do a part of an uncross; after the last part, the market continues."""
    cdef const Work* work
    cdef UncrossInProgress rest = state[0]
    cdef int64_t first = auction_fill_count(&exchange.events)
    rest.volume_left = fill_auction(
        book, &exchange.events, rest.price, rest.volume_left, fills_max
    )
    if auction_fill_count(&exchange.events) > first:
        _settle_auction(exchange, book, first)
    if rest.volume_left:
        keep_uncrossing(exchange, book, &rest)
        return
    work = work_of(&exchange.turns, book)
    if work != NULL and work.is_uncrossing:
        of(&exchange.turns, book).is_uncrossing = False
        take_up(&exchange.timers, book.instrument.instrument_id)
    if rest.price:
        charge(&exchange.effort, MOVED, triggers.advance(&book.triggers, rest.price))
    set_status(exchange, context, book, rest.next_status)


cdef inline void keep_uncrossing(
    Exchange* exchange, Book* book, const UncrossInProgress* state
) noexcept nogil:
    """Leave the rest of an uncross for later; the orders that it counts on stay alive."""
    cdef Work* work = of(&exchange.turns, book)
    if not work.is_uncrossing:
        pass_over(&exchange.timers, book.instrument.instrument_id)
    work.is_uncrossing = True
    work.uncrossing = state[0]
    review(&exchange.turns, book)


cdef inline void _settle_auction(Exchange* exchange, Book* book, int64_t first) noexcept nogil:
    """Settle and number the trades of an uncross; forget the filled orders."""
    cdef int64_t end = auction_fill_count(&exchange.events), place
    cdef AuctionMatch* match = add_auction(&exchange.events, book.instrument.instrument_id)
    cdef AuctionFill* fill
    charge(&exchange.effort, FILL, end - first)
    match.first_trade_id = exchange.last_trade_id + 1
    match.first_fill = first
    match.fill_count = end - first
    exchange.last_trade_id += end - first
    book.last_trade_id = exchange.last_trade_id
    for place in range(first, end):
        settle_auction(
            &exchange.executor, &book.instrument, auction_fill_at(&exchange.events, place)
        )
    for place in range(first, end):
        fill = auction_fill_at(&exchange.events, place)
        _end_side(exchange, book, fill.buy, fill.buy_leaves)
        _end_side(exchange, book, fill.sell, fill.sell_leaves)


cdef inline void _end_side(
    Exchange* exchange, Book* book, uint32_t number, int64_t leaves
) noexcept nogil:
    if leaves == 0:
        order_index.end(&exchange.orders, number, False)
    unlink(exchange, book, number, 0)


cdef inline void go_on(Exchange* exchange, const Context* context) noexcept nogil:
    """Do the next part of the unfinished instrument whose turn it is."""
    cdef Work* work = work_at(&exchange.turns, next_served(&exchange.turns))
    cdef Book* book = book_of(exchange, work.node.first)
    cdef UncrossInProgress state
    cdef Clearing found
    charge(&exchange.effort, exchange.limits.continue_effort, 1)
    if work.is_uncrossing:
        state = work.uncrossing
        _uncross(exchange, context, book, &state, exchange.limits.part_fills)
    elif work.interrupted and not (work.queued or work.first_firing or book_dead_ns(book)):
        work.interrupted = False
        uncross(exchange, context, book, TRADING, &found)
    else:
        give_turns(exchange, context, book, False, False)
