"""How open orders end: canceled wherever they are, with their pair's other leg, and reported.

The compiled twin of a part of hpe/core/trading/market.py, with its names. Owned by the core, used by
the thread that runs it. Nothing here takes memory: what a command may need was reserved before it.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport order_index, triggers
from hpe.core.compiled._c cimport int128
from hpe.core.compiled.books cimport Book, side_of
from hpe.core.compiled.codes cimport EXEC_CANCELED, EXEC_EXPIRED, REASON_EXPIRED, REASON_LINKED
from hpe.core.compiled.effort cimport REPORT, charge
from hpe.core.compiled.events cimport order_change
from hpe.core.compiled.exchange_state cimport Exchange, order_at, terms_of
from hpe.core.compiled.executor cimport pair_requirement, release, requirement, reserve
from hpe.core.compiled.ladders cimport remove
from hpe.core.compiled.orders cimport ENDED, QUEUED, RESTS, WAITING, Order, Terms, hide
from hpe.core.compiled.turns cimport review, work_at
from hpe.core.compiled.waiting cimport trigger_of
from hpe.core.compiled.work cimport remove_queued


cdef inline void close(Exchange* exchange, uint32_t number, int reason) noexcept nogil:
    """End an order that is in no queue: cancel its leaves, release what it reserved."""
    cdef Order* order = order_at(exchange, number)
    release(&exchange.executor, order)
    order.leaves = 0
    hide(&exchange.orders.terms, order, 0)
    order.reason = reason
    order.state = ENDED


cdef inline void cancel(
    Exchange* exchange, Book* book, uint32_t number, int reason, int64_t request_id
) noexcept nogil:
    """Cancel an open order wherever it is, and its pair's other leg; report it."""
    take_out(exchange, book, number)
    close(exchange, number, reason)
    order_index.end(&exchange.orders, number, False)
    note(exchange, number, EXEC_EXPIRED if reason == REASON_EXPIRED else EXEC_CANCELED, request_id)
    unlink(exchange, book, number, request_id)


cdef inline void take_out(Exchange* exchange, Book* book, uint32_t number) noexcept nogil:
    """Remove an open order from its book, or from where it waits."""
    cdef const Order* order = order_at(exchange, number)
    if order.state == RESTS:
        remove(side_of(book, order.side), number)
    elif order.state == QUEUED:
        remove_queued(work_at(&exchange.turns, book.work), &exchange.work_slabs, order.terms)
        review(&exchange.turns, book)
    else:
        triggers.remove(&book.triggers, order)


cdef inline uint32_t partner_of(const Exchange* exchange, const Order* order) noexcept nogil:
    """Return the other leg of an OCO pair, 0 if there is none."""
    return terms_of(exchange, order).partner if order.terms else 0


cdef inline uint32_t part(Exchange* exchange, const Order* order) noexcept nogil:
    """Separate the legs of an OCO pair; return the other one, 0 if there is none."""
    cdef uint32_t partner = partner_of(exchange, order)
    cdef Terms* terms
    if partner:
        terms = terms_of(exchange, order)
        terms.partner, terms.holds_pair = 0, False
        terms = terms_of(exchange, order_at(exchange, partner))
        terms.partner, terms.holds_pair = 0, False
    return partner


cdef inline void unlink(
    Exchange* exchange, Book* book, uint32_t number, int64_t request_id
) noexcept nogil:
    """Dissolve an OCO pair, if the order belongs to one: the other leg ends."""
    cdef Order* order = order_at(exchange, number)
    cdef uint32_t partner = part(exchange, order)
    cdef int128 needed
    if partner == 0:
        return
    cancel(exchange, book, partner, REASON_LINKED, request_id)
    if order.leaves or order.state == WAITING or order.state == QUEUED:
        needed = requirement(
            &exchange.executor, &book.instrument, order, order.price, order.leaves
        )
        reserve(&exchange.executor, order, needed)
    else:
        release(&exchange.executor, order)


cdef inline void note(
    Exchange* exchange, uint32_t number, int exec_type, int64_t request_id
) noexcept nogil:
    """Report what happened to an order."""
    note_answered(exchange, number, exec_type, request_id)
    charge(&exchange.effort, REPORT, 1)


cdef inline void note_answered(
    Exchange* exchange, uint32_t number, int exec_type, int64_t request_id
) noexcept nogil:
    """Report what the command's response also says: that costs nothing on any path."""
    cdef const Order* order = order_at(exchange, number)
    order_change(
        &exchange.events, number, order, trigger_of(&exchange.trigger_slabs, order), exec_type, request_id
    )


cdef inline bint reserve_for(
    Exchange* exchange, const Book* book, Order* order, int64_t price, int64_t leaves
) noexcept nogil:
    """Reserve what an order (or its pair) needs with this limit and these leaves.

    Returns:
        False if it is not available; nothing has changed then.
    """
    cdef uint32_t partner = partner_of(exchange, order)
    cdef Order* holder = order
    if partner and terms_of(exchange, order_at(exchange, partner)).holds_pair:
        holder = order_at(exchange, partner)
    return reserve(
        &exchange.executor, holder,
        pair_requirement(&exchange.executor, &book.instrument, order, price, leaves),
    )
