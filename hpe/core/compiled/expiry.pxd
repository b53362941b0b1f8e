"""Ends orders whose time has come.

The compiled twin of hpe/core/trading/expiry.py, with its names. Timers end them, within a bound per
batch; until its timer acts, such an order is *dead*: it is still there, but counts for nothing. A
command that names it ends it first. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport order_index
from hpe.core.compiled.accounts cimport find_user
from hpe.core.compiled.codes cimport REASON_EXPIRED
from hpe.core.compiled.dead cimport time_has_come
from hpe.core.compiled.ending cimport cancel
from hpe.core.compiled.exchange_state cimport Exchange, book_of, order_at
from hpe.core.compiled.orders cimport Order
from hpe.core.compiled.timers cimport TimerEntry


cdef inline void act_on_order(Exchange* exchange, const TimerEntry* entry) noexcept nogil:
    """End the order of a timer entry."""
    cdef uint32_t mine = find_user(&exchange.balances, entry.node.third)
    _end(exchange, order_index.find(&exchange.orders, mine, entry.node.second, 0))


cdef inline void _end(Exchange* exchange, uint32_t number) noexcept nogil:
    cancel(
        exchange, book_of(exchange, order_at(exchange, number).instrument), number, REASON_EXPIRED, 0
    )


cdef inline void end_named(
    Exchange* exchange, int64_t user, int64_t order_id, int64_t client_order_id,
    int64_t other_client_order_id
) noexcept nogil:
    """End a user's dead orders that a command names by any id; 0 names none."""
    cdef uint32_t mine = find_user(&exchange.balances, user)
    cdef uint32_t[3] found
    cdef int place
    if mine == 0:
        return
    found[0] = order_index.find(&exchange.orders, mine, order_id, 0) if order_id else 0
    found[1] = _named(exchange, mine, client_order_id)
    found[2] = _named(exchange, mine, other_client_order_id)
    for place in range(3):
        if found[place]:
            _end_if_dead(exchange, found[place])


cdef inline uint32_t _named(
    const Exchange* exchange, uint32_t mine, int64_t client_order_id
) noexcept nogil:
    if client_order_id == 0:
        return 0
    return order_index.find(&exchange.orders, mine, 0, client_order_id)


cdef inline void _end_if_dead(Exchange* exchange, uint32_t number) noexcept nogil:
    cdef const Order* order = order_at(exchange, number)
    # An order with a reason ended with the other leg of its pair.
    if order.reason == 0 and time_has_come(book_of(exchange, order.instrument), order):
        _end(exchange, number)
