"""Events: what happened in a command, in order; the source of reports and of logged trades.

The compiled twin of hpe/core/trading/events.py. Orders are named by their numbers: those that ended
stay until the events of the command were reported, and so do the fills of the matcher.
Owned by the core, used by the thread that runs it: trading appends, the output reports and forgets.
`reserve_events` alone may fail; every append relies on it.

The worst case: of an arrival (an order that is accepted, replaced, or has its turn as a stop) the
order itself, its trades, its end, and that of its pair's other leg; of every order that it meets, or
that ends otherwise, its end, that of its pair's other leg, and a part of the trades before it.
Everything else that a command does to holds or listings is one event.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t

from hpe.core.compiled.buffers cimport Buffer, free_buffer, make_room
from hpe.core.compiled.codes cimport EXEC_NEW, NEW
from hpe.core.compiled.orders cimport Order, status

cdef enum:
    EVENTS_PER_ARRIVAL = 4
    EVENTS_PER_END = 3

cdef enum EventKind:
    # EVENT_ACCEPTED: the order was accepted with its whole quantity; EVENT_ANSWERED: it was canceled
    # or replaced, as `exec_type` says. Both are reported as the order is then: no copy is needed.
    EVENT_ACCEPTED
    EVENT_ANSWERED
    EVENT_CHANGE
    EVENT_MATCH
    EVENT_AUCTION
    EVENT_HOLD
    EVENT_DELISTED


cdef struct OrderChange:
    # What happened to an order other than trades; quantities and prices right after it.
    int64_t request_id
    int64_t leaves
    int64_t cum
    int64_t canceled
    int64_t price
    int64_t stop_price
    int8_t status
    uint8_t reason


cdef struct Match:
    # What one order, the taker, traded on one arrival: fills and prevented matches of the matcher,
    # by their places. Trade ids are consecutive. `fills_before` of each prevented match counts the
    # fills of this event.
    int64_t request_id
    int64_t first_trade_id
    int64_t first_fill
    int64_t fill_count
    int64_t first_prevented
    int64_t prevented_count


cdef struct AuctionFill:
    # One trade of an uncross; see AuctionFill in hpe/core/trading/executor.py.
    int64_t price
    int64_t quantity
    int64_t buy_leaves
    int64_t buy_cum
    int64_t sell_leaves
    int64_t sell_cum
    int64_t buy_fee
    int64_t sell_fee
    uint32_t buy
    uint32_t sell


cdef struct AuctionMatch:
    # Trades of an uncross, by the place of the first: they have consecutive trade ids.
    int64_t instrument
    int64_t first_trade_id
    int64_t first_fill
    int64_t fill_count


cdef struct HoldEvent:
    # A named hold changed: by how much, and what is left; amounts in atoms.
    int64_t user
    int64_t hold_id
    int64_t asset
    int64_t amount
    int64_t remaining
    int64_t expires_ns
    int change


cdef union Happened:
    OrderChange change
    Match match
    AuctionMatch auction
    HoldEvent hold
    int64_t delisted


cdef struct Event:
    # `order` is that of the first three kinds, and the taker of a match; `exec_type` is for the
    # second and the third.
    uint32_t order
    int8_t kind
    int8_t exec_type
    Happened what


cdef struct Events:
    # The events of the running command, and the fills of its uncross.
    Buffer happened
    Buffer auction_fills


cdef inline void make_events(Events* events) noexcept nogil:
    """Initialize without events."""
    events.happened = events.auction_fills = Buffer(NULL, 0, 0)


cdef inline void free_events(Events* events) noexcept nogil:
    """Free all memory."""
    free_buffer(&events.happened)
    free_buffer(&events.auction_fills)


cdef inline bint reserve_events(
    Events* events, int64_t arrivals, int64_t ends, int64_t others, int64_t auction_fills
) noexcept nogil:
    """Make sure that so many events and fills fit; False if there is no memory."""
    cdef int64_t count = arrivals * EVENTS_PER_ARRIVAL + ends * EVENTS_PER_END + others
    return make_room(&events.happened, count * <int64_t>sizeof(Event)) and make_room(
        &events.auction_fills, auction_fills * <int64_t>sizeof(AuctionFill)
    )


cdef inline void forget_events(Events* events) noexcept nogil:
    """Forget all events and the fills of an uncross: they were reported."""
    events.happened.size = 0
    events.auction_fills.size = 0


cdef inline int64_t event_count(const Events* events) noexcept nogil:
    """Return how many events there are."""
    return events.happened.size // <int64_t>sizeof(Event)


cdef inline Event* event_at(const Events* events, int64_t place) noexcept nogil:
    """Return an event."""
    return <Event*>events.happened.data + place


cdef inline int64_t auction_fill_count(const Events* events) noexcept nogil:
    """Return how many fills of an uncross there are."""
    return events.auction_fills.size // <int64_t>sizeof(AuctionFill)


cdef inline AuctionFill* auction_fill_at(const Events* events, int64_t place) noexcept nogil:
    """Return a fill of an uncross."""
    return <AuctionFill*>events.auction_fills.data + place


cdef inline AuctionFill* add_auction_fill(Events* events) noexcept nogil:
    """Append a fill of an uncross, which the caller fills in: all of it."""
    cdef int64_t place = auction_fill_count(events)
    events.auction_fills.size += sizeof(AuctionFill)
    return auction_fill_at(events, place)


cdef inline Event* _add(Events* events, int kind, uint32_t order, int exec_type) noexcept nogil:
    cdef Event* event = event_at(events, event_count(events))
    events.happened.size += sizeof(Event)
    event.kind = <int8_t>kind
    event.order = order
    event.exec_type = <int8_t>exec_type
    return event


cdef inline void add_accepted(Events* events, uint32_t order) noexcept nogil:
    """Append that an order was accepted."""
    _add(events, EVENT_ACCEPTED, order, EXEC_NEW)


cdef inline void add_answered(Events* events, uint32_t order, int exec_type) noexcept nogil:
    """Append that an order was canceled or replaced; it does not change again before the report."""
    _add(events, EVENT_ANSWERED, order, exec_type)


cdef inline void order_change(
    Events* events, uint32_t number, const Order* order, int64_t stop_price, int exec_type,
    int64_t request_id
) noexcept nogil:
    """Append an event about an order as it is now; a just accepted order is always new.

    `stop_price` is the order's trigger now.
    """
    cdef OrderChange* change = &_add(events, EVENT_CHANGE, number, exec_type).what.change
    change.request_id = request_id
    change.status = NEW if exec_type == EXEC_NEW else <int8_t>status(order)
    change.leaves = order.leaves
    change.cum = order.cum
    change.canceled = order.quantity - order.leaves - order.cum
    change.reason = order.reason
    change.price = order.price
    change.stop_price = stop_price


cdef inline Match* add_match(Events* events, uint32_t taker, int64_t request_id) noexcept nogil:
    """Append a match, whose ids and places the caller fills in: all of them."""
    cdef Match* match = &_add(events, EVENT_MATCH, taker, 0).what.match
    match.request_id = request_id
    return match


cdef inline AuctionMatch* add_auction(Events* events, int64_t instrument) noexcept nogil:
    """Append trades of an uncross, whose id and places the caller fills in: all of them."""
    cdef AuctionMatch* match = &_add(events, EVENT_AUCTION, 0, 0).what.auction
    match.instrument = instrument
    return match


cdef inline void add_hold(Events* events, const HoldEvent* hold) noexcept nogil:
    """Append what happened to a hold."""
    _add(events, EVENT_HOLD, 0, 0).what.hold = hold[0]


cdef inline void add_delisted(Events* events, int64_t instrument) noexcept nogil:
    """Append that an instrument was delisted."""
    _add(events, EVENT_DELISTED, 0, 0).what.delisted = instrument
