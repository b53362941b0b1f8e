"""Volatility interruptions: calls that a trade beyond the band begins, and their time.

The compiled twin of the first part of hpe/core/trading/calls.py, with its names. Owned by the core,
used by the thread that runs it; a timer for each call that may begin was reserved before.
"""

from libc.stdint cimport int64_t

from hpe.core.compiled.books cimport Book, set_status
from hpe.core.compiled.codes cimport CALL_AUCTION
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.exchange_state cimport Exchange
from hpe.core.compiled.timers cimport INTERRUPTION, add_timer, remove_timer
from hpe.core.compiled.turns cimport of, review, work_at
from hpe.core.compiled.work cimport Work

cdef enum:
    NS_PER_MS = 1_000_000


cdef inline void interrupt(Exchange* exchange, const Context* context, Book* book) noexcept nogil:
    """Begin a call; set a timer to end it if its instrument has a time for that."""
    set_status(book, CALL_AUCTION)
    if book.instrument.interruption_ms:
        time_interruption(
            exchange, book, context.time_ns + book.instrument.interruption_ms * NS_PER_MS
        )


cdef inline void time_interruption(Exchange* exchange, Book* book, int64_t due_ns) noexcept nogil:
    """Set the time at which a call ends by itself."""
    cdef int64_t instrument = book.instrument.instrument_id
    book.interruption_due_ns = due_ns
    add_timer(&exchange.timers, INTERRUPTION, due_ns, instrument, 0, instrument)


cdef inline void keep_call(Exchange* exchange, Book* book) noexcept nogil:
    """Remove the timer of a call, if it has one: an operator must end it."""
    cdef int64_t instrument = book.instrument.instrument_id
    cdef Work* work
    if book.interruption_due_ns:
        remove_timer(
            &exchange.timers, INTERRUPTION, book.interruption_due_ns, instrument, 0, instrument
        )
        book.interruption_due_ns = 0
    if book.work:
        work = work_at(&exchange.turns, book.work)
        if work.interrupted:
            work.interrupted = False
            review(&exchange.turns, book)


cdef inline void end_interruption(Exchange* exchange, Book* book) noexcept nogil:
    """Note that a call's time has come: it is uncrossed when its turn comes."""
    keep_call(exchange, book)
    of(&exchange.turns, book).interrupted = True
    review(&exchange.turns, book)
