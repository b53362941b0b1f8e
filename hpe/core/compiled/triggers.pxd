"""Waiting stops of an instrument: what a series of trades reached is removed in parts.

The compiled twin of Firing and Triggers in hpe/core/trading/triggers.py, with their names. Owned by
the core, used by the thread that runs it; `reserve_triggers` was called before the batch.
"""

from libc.stdint cimport int64_t

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


cdef struct Firing:
    # The stops that a series of trades reached, while they are being removed: `side` is the next
    # one, 0 for buys, 1 for sells, 2 when all is done; `index` is the next of its prices.
    const int64_t* prices
    int64_t count
    int64_t index
    int side


cdef struct Triggers:
    # The waiting stops of one instrument.
    WaitingSide buys
    WaitingSide sells
    int64_t count


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
        price = firing.prices[firing.index]
        rank = price * waiting.sign
        if rank > waiting.quiet_high:
            moved += advance_side(waiting, price)
        if rank <= waiting.quiet_low:
            reached(waiting, price, room, fired)
            if rank <= waiting.quiet_low:
                break  # more remain
        firing.index += 1
    else:
        firing.side += 1
        firing.index = 0
    triggers.count -= fired.count
    return moved
