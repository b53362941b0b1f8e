"""Whether a command is refused as busy: what it names is found, and busy.pxd decides.

The compiled twin of what hpe/core/trading/busy.py looks up. Nothing here takes memory or changes
anything but the effort. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled.books cimport Book
from hpe.core.compiled.busy cimport Busy, refuses
from hpe.core.compiled.codes cimport (
    TYPE_CANCEL_ORDER,
    TYPE_DELIST_INSTRUMENT,
    TYPE_MASS_CANCEL,
    TYPE_REPLACE_ORDER,
    TYPE_SET_FEES,
    TYPE_SET_STATUS,
    TYPE_SUBMIT_OCO,
    TYPE_SUBMIT_ORDER,
    TYPE_UNCROSS,
)
from hpe.core.compiled.dead cimport Bounds
from hpe.core.compiled.entry cimport named_order
from hpe.core.compiled.exchange_state cimport Exchange, Limits, book_of, order_at
from hpe.core.compiled.fields cimport Request, value
from hpe.core.compiled.orders cimport Order
from hpe.core.compiled.requests cimport (
    CANCEL_ORDER_CLIENT_ORDER_ID,
    CANCEL_ORDER_ORDER_ID,
    CANCEL_ORDER_USER,
    DELIST_INSTRUMENT_INSTRUMENT,
    MASS_CANCEL_INSTRUMENT,
    REPLACE_ORDER_CLIENT_ORDER_ID,
    REPLACE_ORDER_ORDER_ID,
    REPLACE_ORDER_USER,
    SET_FEES_INSTRUMENT,
    SET_STATUS_INSTRUMENT,
    SUBMIT_OCO_INSTRUMENT,
    SUBMIT_ORDER_INSTRUMENT,
    UNCROSS_INSTRUMENT,
)


cdef inline bint is_busy(
    Exchange* exchange, int64_t user, const Request* request
) noexcept nogil:
    """True if a command cannot be executed now; `user` is the session's."""
    cdef const Limits* limits = &exchange.limits
    cdef Busy busy = Busy(
        &exchange.turns, &exchange.trigger_slabs, &exchange.balances, &exchange.effort,
        Bounds(limits.fills, limits.dead), limits.effort,
    )
    cdef uint32_t number = 0
    cdef const Order* order = NULL
    cdef Book* book = NULL
    if request.kind == TYPE_CANCEL_ORDER or request.kind == TYPE_REPLACE_ORDER:
        number = _order_of(exchange, user, request)
        if number:
            order = order_at(exchange, number)
            book = book_of(exchange, order.instrument)
    else:
        book = book_of(exchange, _instrument_of(request))
    return refuses(&busy, user, request, book, order)


cdef inline uint32_t _order_of(
    const Exchange* exchange, int64_t user, const Request* request
) noexcept nogil:
    """Return the open order that a cancel or a replace names, 0 if there is none."""
    cdef int64_t owner, order_id, client_order_id
    if request.kind == TYPE_CANCEL_ORDER:
        owner = value(request, CANCEL_ORDER_USER)
        order_id = value(request, CANCEL_ORDER_ORDER_ID)
        client_order_id = value(request, CANCEL_ORDER_CLIENT_ORDER_ID)
    else:
        owner = value(request, REPLACE_ORDER_USER)
        order_id = value(request, REPLACE_ORDER_ORDER_ID)
        client_order_id = value(request, REPLACE_ORDER_CLIENT_ORDER_ID)
    return named_order(exchange, owner if owner else user, order_id, client_order_id)


cdef inline int64_t _instrument_of(const Request* request) noexcept nogil:
    """Return the instrument that a command names, 0 if it cannot be busy."""
    cdef int kind = request.kind
    if kind == TYPE_SUBMIT_ORDER:
        return value(request, SUBMIT_ORDER_INSTRUMENT)
    if kind == TYPE_SUBMIT_OCO:
        return value(request, SUBMIT_OCO_INSTRUMENT)
    if kind == TYPE_MASS_CANCEL:
        return value(request, MASS_CANCEL_INSTRUMENT)
    if kind == TYPE_SET_STATUS:
        return value(request, SET_STATUS_INSTRUMENT)
    if kind == TYPE_UNCROSS:
        return value(request, UNCROSS_INSTRUMENT)
    if kind == TYPE_SET_FEES:
        return value(request, SET_FEES_INSTRUMENT)
    if kind == TYPE_DELIST_INSTRUMENT:
        return value(request, DELIST_INSTRUMENT_INSTRUMENT)
    return 0
