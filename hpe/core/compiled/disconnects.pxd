"""Cancel on disconnect: orders of a session that has lost its connection end after its grace.

The compiled twin of hpe/core/trading/disconnects.py, with its names. An entry (lost_sessions.pxd)
remains due until all of its orders have ended, one after the other. Owned by the core, used by the
thread that runs it. `reserve_losses` was called before (reserving.pxd).
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled.books cimport Book
from hpe.core.compiled.codes cimport REASON_DISCONNECTED
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.ending cimport cancel, part
from hpe.core.compiled.exchange_state cimport Exchange, book_of, count_act, order_at, terms_at
from hpe.core.compiled.index_records cimport SessionOrders
from hpe.core.compiled.lost_sessions cimport (
    LossEntry,
    LostSession,
    add_entry,
    entry_at,
    find_entry,
    find_lost,
    remove_entry,
)
from hpe.core.compiled.order_index cimport forget_session, of_session
from hpe.core.compiled.orders cimport Order
from hpe.core.compiled.timers cimport ENDING, TimerEntry, add_timer, is_passed, remove_timer


cdef inline void lost(
    Exchange* exchange, const Context* context, int64_t session_id, int64_t grace_ns
) noexcept nogil:
    """Start the grace of a session's orders; without grace they begin to end at once."""
    cdef const SessionOrders* theirs = of_session(&exchange.orders, session_id)
    cdef int64_t due_ns = context.time_ns + grace_ns, newest
    if theirs == NULL:
        return
    newest = order_at(exchange, terms_at(exchange, theirs.newest).order).order_id
    if find_entry(&exchange.lost_sessions, session_id, due_ns, newest) == 0:
        restore(exchange, session_id, due_ns, newest, 0)
    if grace_ns == 0:
        end_now(exchange, context, session_id)


cdef inline void restore(
    Exchange* exchange, int64_t session_id, int64_t due_ns, int64_t newest, int64_t instrument
) noexcept nogil:
    """Add an entry, also one from a dump."""
    add_entry(&exchange.lost_sessions, session_id, due_ns, newest, instrument)
    add_timer(&exchange.timers, ENDING, due_ns, session_id, newest, instrument)


cdef inline bint is_ending(const Exchange* exchange, int64_t session_id) noexcept nogil:
    """True if orders of a session are ending, or will end when its grace is over."""
    return find_lost(&exchange.lost_sessions, session_id) != NULL


cdef inline void back(
    Exchange* exchange, const Context* context, int64_t session_id
) noexcept nogil:
    """Keep the orders of a session that is back, unless its time came before."""
    cdef const LostSession* theirs = find_lost(&exchange.lost_sessions, session_id)
    if theirs != NULL and (
        entry_at(&exchange.lost_sessions, theirs.last).due_ns > context.time_ns
    ):
        _forget(exchange, session_id, theirs.last)


cdef inline void left_for_good(Exchange* exchange, int64_t session_id) noexcept nogil:
    """Make the orders of a session ordinary ones, except those that have begun to end."""
    if not is_ending(exchange, session_id):
        forget_session(&exchange.orders, session_id)


cdef inline void end_now(
    Exchange* exchange, const Context* context, int64_t session_id
) noexcept nogil:
    """Cancel what is due of one session, within the bound; other sessions wait."""
    cdef const LostSession* theirs
    cdef const LossEntry* entry
    while exchange.timers.room[<int>ENDING] > 0:
        theirs = find_lost(&exchange.lost_sessions, session_id)
        if theirs == NULL:
            return
        entry = entry_at(&exchange.lost_sessions, theirs.first)
        if entry.due_ns > context.time_ns or is_passed(&exchange.timers, entry.instrument):
            return
        count_act(exchange, ENDING)
        _act(exchange, session_id, theirs.first)


cdef inline void act_on_ending(Exchange* exchange, const TimerEntry* entry) noexcept nogil:
    """Cancel the oldest order of a timer entry; remove the entry after the last one."""
    cdef int64_t session_id = entry.node.second
    _act(
        exchange, session_id,
        find_entry(&exchange.lost_sessions, session_id, entry.node.first, entry.node.third),
    )


cdef inline void _act(Exchange* exchange, int64_t session_id, uint32_t entry) noexcept nogil:
    """Cancel the oldest order of an entry.

    If its next order is of an instrument that is passed over, the entry waits there.
    """
    cdef uint32_t number = _next_to_end(exchange, session_id, entry), partner
    cdef const Order* order
    cdef Book* book
    if number == 0:  # the others ended otherwise
        _forget(exchange, session_id, entry)
        return
    order = order_at(exchange, number)
    if is_passed(&exchange.timers, order.instrument):
        _move(exchange, session_id, entry, order.instrument)
        return
    book = book_of(exchange, order.instrument)
    partner = part(exchange, order)
    cancel(exchange, book, number, REASON_DISCONNECTED, 0)
    if partner:
        cancel(exchange, book, partner, REASON_DISCONNECTED, 0)
    if _next_to_end(exchange, session_id, entry) == 0:
        _forget(exchange, session_id, entry)


cdef inline uint32_t _next_to_end(
    const Exchange* exchange, int64_t session_id, uint32_t entry
) noexcept nogil:
    """Return the oldest order that an entry is about, 0 if all have ended."""
    cdef const SessionOrders* theirs = of_session(&exchange.orders, session_id)
    cdef uint32_t number
    if theirs == NULL:
        return 0
    number = terms_at(exchange, theirs.oldest).order
    if order_at(exchange, number).order_id > entry_at(&exchange.lost_sessions, entry).newest:
        return 0
    return number


cdef inline void _move(
    Exchange* exchange, int64_t session_id, uint32_t number, int64_t instrument
) noexcept nogil:
    """Move an entry to the instrument that it waits for."""
    cdef LossEntry* entry = entry_at(&exchange.lost_sessions, number)
    _remove_timer(exchange, session_id, entry)
    entry.instrument = instrument
    add_timer(
        &exchange.timers, ENDING, entry.due_ns, session_id, entry.newest, entry.instrument
    )


cdef inline void _forget(Exchange* exchange, int64_t session_id, uint32_t number) noexcept nogil:
    _remove_timer(exchange, session_id, entry_at(&exchange.lost_sessions, number))
    remove_entry(&exchange.lost_sessions, session_id, number)


cdef inline void _remove_timer(
    Exchange* exchange, int64_t session_id, const LossEntry* entry
) noexcept nogil:
    remove_timer(
        &exchange.timers, ENDING, entry.due_ns, session_id, entry.newest, entry.instrument
    )
