"""Waiting stops of an instrument: what a series of trades reached is removed in parts.

The compiled twin of Firing and Triggers in hpe/core/trading/triggers.py, with their names. Owned by
the core, used by the thread that runs it; `reserve_triggers` and `reserve_prices` were called before
the batch.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport slabs
from hpe.core.compiled.codes cimport BUY, SELL
from hpe.core.compiled.orders cimport Order
from hpe.core.compiled.waiting cimport (
    Fired,
    TriggerSlabs,
    WaitingSide,
    add_stop,
    advance_side,
    make_side,
    reached,
    remove_stop,
)


cdef enum:
    PIECE_PRICES = 15  # a piece has 128 bytes


cdef struct Piece:
    # Some prices of a firing; `next` is the piece with those after them.
    int64_t[PIECE_PRICES] prices
    uint32_t next


cdef struct Firing:
    # The stops that a series of trades reached, while they are being removed: `side` is the next
    # one, 0 for buys, 1 for sells, 2 when all is done; `index` is the next of its prices, in the
    # piece `present`. The pieces are a chain from `first` to `last`.
    slabs.Slab* pieces
    int64_t count
    int64_t index
    uint32_t first
    uint32_t last
    uint32_t present
    int side


cdef struct Triggers:
    # The waiting stops of one instrument.
    WaitingSide buys
    WaitingSide sells
    int64_t count


cdef inline bint reserve_prices(slabs.Slab* pieces, int64_t firings, int64_t prices) noexcept nogil:
    """Make sure that firings with so many prices in all can be made; False if there is no memory."""
    return slabs.reserve(pieces, firings + prices // PIECE_PRICES)


cdef inline Piece* piece_at(const Firing* firing, uint32_t number) noexcept nogil:
    """Return the piece of a number."""
    return <Piece*>slabs.record(firing.pieces, number)


cdef inline void make_firing(Firing* firing, slabs.Slab* pieces) noexcept nogil:
    """Initialize a firing without prices."""
    memset(firing, 0, sizeof(Firing))
    firing.pieces = pieces


cdef inline void add_price(Firing* firing, int64_t price) noexcept nogil:
    """Append the price of a trade."""
    cdef int64_t place = firing.count % PIECE_PRICES
    cdef uint32_t number
    if place == 0:
        number = slabs.take(firing.pieces)
        if firing.last:
            piece_at(firing, firing.last).next = number
        else:
            firing.first = firing.present = number
        firing.last = number
    piece_at(firing, firing.last).prices[place] = price
    firing.count += 1


cdef inline void go_to(Firing* firing, int side, int64_t index) noexcept nogil:
    """Set the next side and price."""
    cdef int64_t passed
    firing.side = side
    firing.index = index
    firing.present = firing.first
    for passed in range(index // PIECE_PRICES):
        if firing.present == 0:
            return
        firing.present = piece_at(firing, firing.present).next


cdef inline void _pass_price(Firing* firing) noexcept nogil:
    firing.index += 1
    if firing.index % PIECE_PRICES == 0:
        firing.present = piece_at(firing, firing.present).next


cdef inline void free_prices(Firing* firing) noexcept nogil:
    """Return the pieces; the firing has no prices then."""
    cdef uint32_t number = firing.first, following
    while number:
        following = piece_at(firing, number).next
        slabs.give_back(firing.pieces, number)
        number = following
    make_firing(firing, firing.pieces)


cdef inline bint is_done(const Firing* firing) noexcept nogil:
    """True if everything that was reached has been removed."""
    return firing.side > 1


cdef inline void make_triggers(Triggers* triggers, TriggerSlabs* records) noexcept nogil:
    """Initialize the triggers of an instrument without stops."""
    make_side(&triggers.buys, BUY, records)
    make_side(&triggers.sells, SELL, records)
    triggers.count = 0


cdef inline WaitingSide* side_of(Triggers* triggers, int side) noexcept nogil:
    """Return the stops of one side."""
    return &triggers.buys if side == BUY else &triggers.sells


cdef inline void add(Triggers* triggers, const Order* order) noexcept nogil:
    """Add a stop."""
    add_stop(side_of(triggers, order.side), order.terms)
    triggers.count += 1


cdef inline void remove(Triggers* triggers, const Order* order) noexcept nogil:
    """Remove a waiting stop."""
    remove_stop(side_of(triggers, order.side), order.terms)
    triggers.count -= 1


cdef inline bint is_quiet(const Triggers* triggers, int64_t price) noexcept nogil:
    """True if a trade at this price neither fires nor moves a stop."""
    return (
        triggers.sells.quiet_low < price <= triggers.sells.quiet_high
        and triggers.buys.quiet_low < -price <= triggers.buys.quiet_high
    )


cdef inline int64_t advance(Triggers* triggers, int64_t price) noexcept nogil:
    """Let trailing stops follow a trade; return how many changed their group."""
    return advance_side(&triggers.buys, price) + advance_side(&triggers.sells, price)


cdef inline int64_t take(
    Triggers* triggers, Firing* firing, int64_t room, Fired* fired
) noexcept nogil:
    """Chain what a series of trades reached on its present side, at most `room` stops.

    Each trade moves the trails first. A price that repeats has no effect the second time. `fired`
    is empty before.

    Returns:
        How many trailing stops changed their group.
    """
    cdef WaitingSide* waiting = &triggers.sells if firing.side else &triggers.buys
    cdef int64_t moved = 0, rank, price
    while firing.index < firing.count:
        price = piece_at(firing, firing.present).prices[firing.index % PIECE_PRICES]
        rank = price * waiting.sign
        if rank > waiting.quiet_high:
            moved += advance_side(waiting, price)
        if rank <= waiting.quiet_low:
            reached(waiting, price, room, fired)
            if rank <= waiting.quiet_low:
                break  # more remain
        _pass_price(firing)
    else:
        go_to(firing, firing.side + 1, 0)
    triggers.count -= fired.count
    return moved
