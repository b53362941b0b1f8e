"""Orders: one order's state, and what follows from it.

The compiled twin of hpe/core/trading/orders.py and order_states.py, with their names. A record is
fixed in size, so that a resting order's memory is known. What few orders have is in other records:
terms beyond price and quantity, and what trades came to. References to other records are their
numbers; 0 is none. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t

from hpe.core.compiled.codes cimport (
    BUY,
    CANCELED,
    EXPIRED,
    FILLED,
    NEW,
    PARTIALLY_FILLED,
    REASON_EXPIRED,
)
from hpe.core.compiled.kinds cimport kind_of
from hpe.core.compiled.ordered cimport Node
from hpe.core.compiled.paging cimport Links
from hpe.core.compiled.slabs cimport Slab, record, take

cdef enum OrderState:
    ARRIVING = 0
    WAITING = 1
    QUEUED = 2
    RESTS = 3
    ENDED = 4


cdef struct Order:
    # One accepted order; see Order in hpe/core/trading/orders.py. What is canceled follows:
    # quantity = leaves + cum + canceled. `level`, `next` and `previous` are of its queue. `lists` are
    # its links among the open orders of its user and of its market (order_index.pxd).
    int64_t order_id
    Links[2] lists
    int64_t client_order_id
    int64_t price
    int64_t quantity
    int64_t leaves
    int64_t cum
    int64_t reserved
    int32_t maker_ppm
    int32_t taker_ppm
    uint32_t user
    uint32_t instrument
    uint32_t paying
    uint32_t receiving
    uint32_t holder
    uint32_t level
    uint32_t next
    uint32_t previous
    uint32_t terms
    uint32_t traded
    int8_t side
    int8_t order_type
    int8_t time_in_force
    int8_t state
    int8_t self_trade
    uint8_t flags
    uint8_t reason


cdef struct Traded:
    # What the trades of an order came to: the sum of its fills in quote atoms, what it was charged for
    # them, and by how many millionths of an atom that was too much. An order that never traded names
    # none.
    int64_t quote_total
    int64_t fee_total
    int32_t fee_rest


cdef struct Terms:
    # What an order has beyond price and quantity; an order without any of it names no terms. See
    # Terms in hpe/core/trading/orders.py. The node is that of a stop among those of its side, of its
    # group or of its line; `order` is the order that has these terms. `older` and `newer` are the
    # neighbors among the orders of its session.
    Node node
    int64_t stop_price
    int64_t trail
    int64_t display
    int64_t hidden
    int64_t minimum
    int64_t budget
    int64_t expires_ns
    int64_t place
    int64_t session_id
    uint32_t order
    uint32_t older
    uint32_t newer
    uint32_t partner
    uint32_t group
    uint32_t line
    bint holds_pair


cdef inline int stop_sign(int side) noexcept nogil:
    """Return the factor that turns a price into its rank among the stops of a side."""
    return -1 if side == BUY else 1


cdef inline int status(const Order* order) noexcept nogil:
    """Return the FIX order status that the quantities and the reason imply."""
    if order.leaves:
        return PARTIALLY_FILLED if order.cum else NEW
    if order.reason:
        return EXPIRED if order.reason == REASON_EXPIRED else CANCELED
    if order.state == WAITING or order.state == QUEUED:
        return NEW  # a stop with a budget has no leaves yet
    return FILLED


cdef inline bint may_move(int before, int after) noexcept nogil:
    """True if an order may move from one state to another."""
    if before == ARRIVING:
        return after == WAITING or after == RESTS or after == ENDED
    if before == WAITING:
        return after == QUEUED or after == ENDED
    if before == QUEUED or before == RESTS:
        return after == ARRIVING or after == ENDED
    return False


cdef inline int order_kind(const Order* order, const Slab* terms) noexcept nogil:
    """Return the kind of an order; see kinds.pxd."""
    cdef int64_t budget = 0
    if order.terms:
        budget = (<const Terms*>record(terms, order.terms)).budget
    return kind_of(order.order_type, order.time_in_force, budget)


cdef inline bint is_dead(const Order* order, const Slab* terms, int64_t dead_ns) noexcept nogil:
    """True if the order's time had come at `dead_ns`; with 0, nothing is dead."""
    if order.terms == 0:
        return False
    return 0 < (<const Terms*>record(terms, order.terms)).expires_ns <= dead_ns


cdef inline int64_t hidden_of(const Slab* terms, const Order* order) noexcept nogil:
    """Return the part of the leaves that an iceberg does not show, 0 for any other order."""
    return (<const Terms*>record(terms, order.terms)).hidden if order.terms else 0


cdef inline void hide(const Slab* terms, const Order* order, int64_t hidden) noexcept nogil:
    """Set the part of the leaves that is not shown; an order without terms shows all of it."""
    if order.terms:
        (<Terms*>record(terms, order.terms)).hidden = hidden


cdef inline void show_slice(const Order* order, Terms* terms) noexcept nogil:
    """Hide the part of an iceberg's leaves that it does not show; `terms` are the order's."""
    terms.hidden = 0
    if terms.display and order.leaves > terms.display:
        terms.hidden = order.leaves - terms.display


cdef inline Traded traded_of(const Slab* traded, const Order* order) noexcept nogil:
    """Return what the trades of an order came to so far."""
    if order.traded:
        return (<const Traded*>record(traded, order.traded))[0]
    return Traded(0, 0, 0)


cdef inline Traded* trading(Slab* traded, Order* order) noexcept nogil:
    """Return what the trades of an order came to, to be changed; its first trade takes the record."""
    if order.traded == 0:
        order.traded = take(traded)
    return <Traded*>record(traded, order.traded)
