"""The state that every command of the exchange may read and change.

The compiled twin of hpe/core/trading/exchange_state.py, with its names. All records are in slabs
that are here or in one of the parts, so one pointer leads to everything. Owned by the core, used by
the thread that runs it. `make_exchange` alone may fail here; the parts point at each other, so an
exchange never moves.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport hash_tables, index_records, slabs
from hpe.core.compiled.accounts cimport Balances, free_balances, make_balances
from hpe.core.compiled.books cimport Book, make_book
from hpe.core.compiled.buffers cimport Buffer, free_buffer
from hpe.core.compiled.context cimport Settings, make_settings
from hpe.core.compiled.effort cimport ACT, Effort, charge, free_effort, make_effort
from hpe.core.compiled.events cimport Events, free_events, make_events
from hpe.core.compiled.executor cimport Executor, make_executor
from hpe.core.compiled.fees cimport FeeRates, OwnRatesTable, free_own_rates, make_own_rates
from hpe.core.compiled.index_records cimport OrderIndex, free_index, make_index
from hpe.core.compiled.holds cimport Holds, free_holds, make_holds
from hpe.core.compiled.instruments cimport Instrument
from hpe.core.compiled.ladders cimport Level
from hpe.core.compiled.lost_sessions cimport (
    LostSessions,
    free_lost_sessions,
    make_lost_sessions,
)
from hpe.core.compiled.matcher cimport Matcher, free_matcher, make_matcher
from hpe.core.compiled.orders cimport Order, Terms
from hpe.core.compiled.parties cimport Parties, make_parties
from hpe.core.compiled.places cimport Places, free_places, make_places
from hpe.core.compiled.timers cimport KINDS, Timers, free_timers, make_timers
from hpe.core.compiled.treasury cimport Treasury, make_treasury
from hpe.core.compiled.triggers cimport make_triggers
from hpe.core.compiled.turns cimport Turns, free_turns, make_turns
from hpe.core.compiled.waiting cimport TriggerSlabs, free_trigger_slabs, make_trigger_slabs
from hpe.core.compiled.work cimport WorkSlabs, free_work_slabs, make_work_slabs


cdef struct Limits:
    # What trading needs of Limits in hpe/core/contract.py, with its names.
    int64_t fills
    int64_t stops
    int64_t fired
    int64_t uncross_fills
    int64_t part_fills
    int64_t dead
    int64_t mass_cancel
    int64_t mass_cancel_all
    int64_t effort
    int64_t turns_effort
    int64_t continue_effort
    int64_t query_effort
    int64_t[KINDS] acts
    int64_t ended_orders
    int64_t recent_fills
    int64_t reserved_part


cdef struct Exchange:
    # All books and all balances, and what counts and bounds them. Books are found by instrument.
    # `mass_canceled` has room for the orders of a mass cancel. `gone_book` is the book that was delisted
    # last, which events may still name.
    Limits limits
    Settings settings
    int64_t sequence
    int64_t last_order_id
    int64_t last_trade_id
    slabs.Slab level_slab
    slabs.Slab book_slab
    hash_tables.HashTable books
    OwnRatesTable own_rates
    TriggerSlabs trigger_slabs
    WorkSlabs work_slabs
    Balances balances
    Timers timers
    Places places
    Parties parties
    Holds holds
    Treasury treasury
    OrderIndex orders
    LostSessions lost_sessions
    Effort effort
    Matcher matcher
    Executor executor
    Events events
    Turns turns
    Buffer mass_canceled
    uint32_t gone_book


cdef inline bint _has_instrument(
    const void* slab, uint32_t number, int64_t instrument, int64_t zero
) noexcept nogil:
    cdef const Book* book = <const Book*>slabs.record(<const slabs.Slab*>slab, number)
    return book.instrument.instrument_id == instrument and zero == 0


cdef inline bint make_exchange(
    Exchange* exchange, const Limits* limits, uint64_t seed
) noexcept nogil:
    """Initialize an exchange without instruments; False if there is no memory.

    `seed` is that of all hash tables.
    """
    memset(exchange, 0, sizeof(Exchange))
    exchange.limits = limits[0]
    make_settings(&exchange.settings, limits.reserved_part)
    slabs.make_slab(&exchange.level_slab, sizeof(Level))
    slabs.make_slab(&exchange.book_slab, sizeof(Book))
    hash_tables.make_table(&exchange.books, seed, &exchange.book_slab, _has_instrument)
    make_own_rates(&exchange.own_rates, seed)
    make_trigger_slabs(&exchange.trigger_slabs, &exchange.orders.terms)
    make_work_slabs(&exchange.work_slabs, &exchange.orders.orders, &exchange.orders.terms)
    make_timers(&exchange.timers, seed, limits.acts)
    make_places(&exchange.places, seed, &exchange.settings)
    make_balances(&exchange.balances, seed, &exchange.places.holder_slab)
    make_holds(
        &exchange.holds, seed, &exchange.settings, &exchange.balances, &exchange.timers,
        &exchange.places,
    )
    make_lost_sessions(&exchange.lost_sessions, seed)
    make_effort(&exchange.effort, seed)
    make_matcher(&exchange.matcher, &exchange.effort, limits.fills)
    make_executor(
        &exchange.executor, &exchange.balances, &exchange.orders.orders, &exchange.orders.terms,
        &exchange.orders.traded,
    )
    make_events(&exchange.events)
    make_treasury(
        &exchange.treasury, &exchange.balances, &exchange.holds, &exchange.parties,
        &exchange.events,
    )
    make_turns(&exchange.turns, &exchange.work_slabs)
    return make_parties(
        &exchange.parties, &exchange.settings, &exchange.balances, &exchange.places
    ) and make_index(
        &exchange.orders, seed, &exchange.balances, &exchange.timers, limits.ended_orders,
        limits.recent_fills,
    )


cdef inline void free_exchange(Exchange* exchange) noexcept nogil:
    """Free all memory."""
    free_buffer(&exchange.mass_canceled)
    free_turns(&exchange.turns)
    free_events(&exchange.events)
    free_matcher(&exchange.matcher)
    free_effort(&exchange.effort)
    free_lost_sessions(&exchange.lost_sessions)
    free_index(&exchange.orders)
    free_holds(&exchange.holds)
    free_balances(&exchange.balances)
    free_places(&exchange.places)
    free_timers(&exchange.timers)
    free_work_slabs(&exchange.work_slabs)
    free_trigger_slabs(&exchange.trigger_slabs)
    free_own_rates(&exchange.own_rates)
    hash_tables.free_table(&exchange.books)
    slabs.free_slab(&exchange.book_slab)
    slabs.free_slab(&exchange.level_slab)


cdef inline Order* order_at(const Exchange* exchange, uint32_t number) noexcept nogil:
    """Return the order of a number."""
    return index_records.order_at(&exchange.orders, number)


cdef inline Terms* terms_at(const Exchange* exchange, uint32_t number) noexcept nogil:
    """Return the terms of a number."""
    return index_records.terms_at(&exchange.orders, number)


cdef inline Terms* terms_of(const Exchange* exchange, const Order* order) noexcept nogil:
    """Return the terms of an order that has some."""
    return terms_at(exchange, order.terms)


cdef inline Book* book_of(const Exchange* exchange, int64_t instrument) noexcept nogil:
    """Return the book of an instrument, NULL if it is not listed."""
    cdef uint32_t number = hash_tables.find(&exchange.books, instrument, 0)
    return <Book*>slabs.record(&exchange.book_slab, number) if number else NULL


cdef inline Book* add_book(
    Exchange* exchange, const Instrument* instrument, FeeRates common
) noexcept nogil:
    """List an instrument; a book was reserved."""
    cdef uint32_t number = slabs.take(&exchange.book_slab)
    cdef Book* book = <Book*>slabs.record(&exchange.book_slab, number)
    make_book(
        book, instrument, common, &exchange.own_rates, &exchange.level_slab,
        &exchange.orders.orders, &exchange.orders.terms, &exchange.timers,
    )
    make_triggers(&book.triggers, &exchange.trigger_slabs)
    hash_tables.add(&exchange.books, instrument.instrument_id, 0, number)
    return book


cdef inline void count_act(Exchange* exchange, int kind) noexcept nogil:
    """Count a timer entry that acts: it uses a place of its kind's bound, and is effort."""
    exchange.timers.room[kind] -= 1
    charge(&exchange.effort, ACT, 1)
