"""The turns of stops: what trades reached leaves its triggers, lines up, and arrives.

The compiled twin of the stops' part of hpe/core/trading/market.py, with its names. Owned by the
core, used by the thread that runs it. Nothing here takes memory: what a command may need was
reserved before it.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport order_index, triggers
from hpe.core.compiled.books cimport Book, book_dead_ns
from hpe.core.compiled.codes cimport EXEC_CANCELED, EXEC_TRIGGERED, REASON_EXPIRED
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.dead cimport Bounds, Passed, dead_before
from hpe.core.compiled.effort cimport FIRED, MOVED, RESUMED, ROW, charge
from hpe.core.compiled.ending cimport cancel, note, unlink
from hpe.core.compiled.exchange_state cimport Exchange, order_at, terms_at
from hpe.core.compiled.market cimport arrive
from hpe.core.compiled.matcher cimport Matched
from hpe.core.compiled.orders cimport ARRIVING, Order, is_dead
from hpe.core.compiled.triggers cimport Firing
from hpe.core.compiled.turns cimport review, work_of
from hpe.core.compiled.waiting cimport Fired
from hpe.core.compiled.work cimport (
    Work,
    end_firing,
    file,
    firing_at,
    first_stop,
    goes_on,
    remove_queued,
)


cdef inline int64_t take_out_fired(
    Exchange* exchange, const Context* context, Book* book, int64_t left
) noexcept nogil:
    """Line up stops that were reached; return how many of `left` still may be."""
    cdef Work* work = work_of(&exchange.turns, book)
    cdef int64_t effort_left = context.effort_max - exchange.effort.spent
    cdef int64_t room = min(left, max(<int64_t>1, effort_left)), moved
    cdef Firing* firing
    cdef Fired fired
    cdef int side
    while work != NULL and work.first_firing and room > 0:
        firing = &firing_at(&exchange.work_slabs, work.first_firing).firing
        side = firing.side
        fired = Fired(0, 0, 0)
        moved = triggers.take(&book.triggers, firing, room, &fired)
        file(work, &exchange.work_slabs, &fired, firing.side != side)
        room -= fired.count
        left -= fired.count
        charge(&exchange.effort, FIRED, fired.count)
        charge(&exchange.effort, MOVED, moved)
        if firing.side == 2:
            end_firing(work, &exchange.work_slabs)
    review(&exchange.turns, book)
    return left


cdef inline void give_turns(
    Exchange* exchange, const Context* context, Book* book, bint fired, bint resumed
) noexcept nogil:
    """Run the turns of an instrument's stops, after a command that was answered.

    `fired`: the command reached them, so they leave their triggers even in a full batch. `resumed`:
    stops that fired before and had to wait may continue.
    """
    cdef int64_t turns = 0, left = exchange.limits.fired
    cdef Work* work
    cdef uint32_t terms
    cdef uint32_t stop
    if fired:
        left = take_out_fired(exchange, context, book, left)
    if resumed:
        charge(&exchange.effort, RESUMED, 1)
    while turns < exchange.limits.stops and exchange.effort.spent < context.effort_max:
        work = work_of(&exchange.turns, book)
        if work == NULL or work.is_uncrossing or not goes_on(work, book.status):
            break
        left = take_out_fired(exchange, context, book, left)
        # Its work may be gone now: what was fired reached nothing.
        work = work_of(&exchange.turns, book)
        if work == NULL or work.first_firing or work.queued == 0:
            break
        turns += 1
        terms = first_stop(work, &exchange.work_slabs)
        stop = terms_at(exchange, terms).order
        if is_dead(order_at(exchange, stop), &exchange.orders.terms, book_dead_ns(book)):
            cancel(exchange, book, stop, REASON_EXPIRED, 0)
        elif exchange.timers.overdue and _many_dead_before(exchange, book, stop):
            break  # the rest continues in a `continue`
        else:
            remove_queued(work, &exchange.work_slabs, terms)
            left = _take_turn(exchange, context, book, stop, left)
    review(&exchange.turns, book)


cdef inline bint _many_dead_before(
    Exchange* exchange, Book* book, uint32_t number
) noexcept nogil:
    """True if an order would meet more dead orders than one turn may."""
    cdef Bounds bounds = Bounds(exchange.limits.fills, exchange.limits.dead)
    cdef Passed passed = dead_before(book, order_at(exchange, number), bounds)
    charge(&exchange.effort, ROW, passed.rows)
    return passed.dead > exchange.limits.dead


cdef inline int64_t _take_turn(
    Exchange* exchange, const Context* context, Book* book, uint32_t number, int64_t left
) noexcept nogil:
    """Turn a stop into the order that it stands for; its pair's other leg ends first.

    `left` is used and returned as in `take_out_fired`, for the stops that it reaches.
    """
    cdef Order* order = order_at(exchange, number)
    cdef Matched matched
    note(exchange, number, EXEC_TRIGGERED, 0)
    unlink(exchange, book, number, 0)
    order.state = ARRIVING
    arrive(exchange, context, book, number, 0, &matched)
    if order.reason:
        note(exchange, number, EXEC_CANCELED, 0)
    if order.leaves == 0:
        order_index.end(&exchange.orders, number, False)
    return take_out_fired(exchange, context, book, left)
