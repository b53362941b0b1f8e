"""What a replace asks for: how many lots it leaves, and whether it changes anything else.

The compiled twin of the functions of commands in hpe/core/trading/replacing.py, with their names.
Pure functions of a decoded replace and the order that it names; `trigger` is the order's present one.
Used by the thread that runs the core.
"""

from libc.stdint cimport int64_t

from hpe.core.compiled.codes cimport GTD
from hpe.core.compiled.fields cimport Request, is_nil, value
from hpe.core.compiled.kinds cimport CHANGES_PRICE, CHANGES_QUANTITY, CHANGES_TRIGGER
from hpe.core.compiled.orders cimport QUEUED, WAITING, Order, Terms
from hpe.core.compiled.requests cimport (
    REPLACE_ORDER_EXPIRES_NS,
    REPLACE_ORDER_LEAVES_QUANTITY,
    REPLACE_ORDER_PRICE,
    REPLACE_ORDER_QUANTITY,
    REPLACE_ORDER_REQUEUE,
    REPLACE_ORDER_STOP_PRICE,
)


cdef inline int64_t leaves_after(const Request* request, const Order* order) noexcept nogil:
    """Return the leaves that a replace gives to an order; 0 or less ends it."""
    if not is_nil(request, REPLACE_ORDER_LEAVES_QUANTITY):
        return value(request, REPLACE_ORDER_LEAVES_QUANTITY)
    if is_nil(request, REPLACE_ORDER_QUANTITY):
        return order.leaves
    return value(request, REPLACE_ORDER_QUANTITY) - (order.quantity - order.leaves)


cdef inline int64_t price_after(const Request* request, const Order* order) noexcept nogil:
    """Return the price that a replace gives to an order."""
    return order.price if is_nil(request, REPLACE_ORDER_PRICE) else value(request, REPLACE_ORDER_PRICE)


cdef inline bint keeps_trigger(const Request* request, int64_t trigger) noexcept nogil:
    """True if a replace leaves the trigger as it is."""
    return (
        is_nil(request, REPLACE_ORDER_STOP_PRICE)
        or value(request, REPLACE_ORDER_STOP_PRICE) == trigger
    )


cdef inline bint only_cancels(
    const Request* request, const Order* order, int64_t trigger
) noexcept nogil:
    """True if a replace only cancels lots of an order, or leaves nothing of it."""
    cdef int64_t leaves = leaves_after(request, order)
    if leaves <= 0:
        return True
    return (
        leaves < order.leaves
        and price_after(request, order) == order.price
        and not value(request, REPLACE_ORDER_REQUEUE)
        and not value(request, REPLACE_ORDER_EXPIRES_NS)
        and keeps_trigger(request, trigger)
    )


cdef inline bint changes_nothing(
    const Request* request, const Order* order, const Terms* terms, int64_t trigger
) noexcept nogil:
    """True if a replace leaves an order as it is; `terms` are the order's, NULL if it has none."""
    cdef int64_t expires_ns = value(request, REPLACE_ORDER_EXPIRES_NS)
    if leaves_after(request, order) != order.leaves or price_after(request, order) != order.price:
        return False
    if value(request, REPLACE_ORDER_REQUEUE):
        return False
    if expires_ns and (terms == NULL or expires_ns != terms.expires_ns):
        return False
    return keeps_trigger(request, trigger)


cdef inline bint does_not_fit(
    const Request* request, const Order* order, const Terms* terms, int kind
) noexcept nogil:
    """True if a replace sets a field that this kind of order does not have."""
    if not kind & CHANGES_QUANTITY:
        return True
    if not is_nil(request, REPLACE_ORDER_PRICE) and not kind & CHANGES_PRICE:
        return True
    if value(request, REPLACE_ORDER_EXPIRES_NS) and order.time_in_force != GTD:
        return True
    if is_nil(request, REPLACE_ORDER_STOP_PRICE):
        return False
    return (
        not kind & CHANGES_TRIGGER
        or terms == NULL
        or (order.state != WAITING and order.state != QUEUED)
        or terms.trail > 0
    )
