"""The kinds of orders: one table of what each of them needs and may do.

The compiled twin of hpe/core/trading/kinds.py, with its names. A kind is a set of bits. Constants
and pure functions; any thread may use them.
"""

from libc.stdint cimport int64_t

from hpe.core.compiled.codes cimport BUY, GTC, GTD, LIMIT, MARKET, STOP, STOP_LIMIT

cdef enum KindBit:
    # `WAITS` to `IN_CALL`: see Kind in kinds.py. Then come what a replace may change, and what a
    # buy of a kind reserves: nothing, since there are only sells; the notional at the limit and the
    # worst fee; the present cost, fee included; the budget, and there are only buys.
    WAITS = 1
    NEEDS_PRICE = 2
    MAY_REST = 4
    IN_CALL = 8
    CHANGES_QUANTITY = 16
    CHANGES_PRICE = 32
    CHANGES_TRIGGER = 64
    RESERVES_BASE = 128
    RESERVES_NOTIONAL = 256
    RESERVES_COST = 512
    RESERVES_BUDGET = 1024

cdef enum Kind:
    # Each combination of type, whether it rests, and whether it has a budget.
    INVALID = 0
    LIMIT_RESTING = (
        NEEDS_PRICE | MAY_REST | IN_CALL | RESERVES_NOTIONAL | CHANGES_QUANTITY | CHANGES_PRICE
    )
    LIMIT_AT_ONCE = NEEDS_PRICE | RESERVES_NOTIONAL
    MARKET_LOTS = RESERVES_COST
    MARKET_BUDGET = RESERVES_BUDGET
    STOP_LOTS = WAITS | IN_CALL | RESERVES_BASE | CHANGES_QUANTITY | CHANGES_TRIGGER
    STOP_BUDGET = WAITS | IN_CALL | RESERVES_BUDGET
    STOP_LIMIT_AT_ONCE = (
        WAITS | NEEDS_PRICE | IN_CALL | RESERVES_NOTIONAL
        | CHANGES_QUANTITY | CHANGES_PRICE | CHANGES_TRIGGER
    )
    STOP_LIMIT_RESTING = STOP_LIMIT_AT_ONCE | MAY_REST


cdef inline bint is_resting(int time_in_force) noexcept nogil:
    """True if the part that does not trade at once rests with this time in force."""
    return time_in_force == GTC or time_in_force == GTD


cdef inline int kind_of(int order_type, int time_in_force, int64_t budget) noexcept nogil:
    """Return the kind of an order, INVALID if its combination is invalid."""
    cdef bint stays = is_resting(time_in_force)
    if order_type == LIMIT and not budget:
        return LIMIT_RESTING if stays else LIMIT_AT_ONCE
    if order_type == STOP_LIMIT and not budget:
        return STOP_LIMIT_RESTING if stays else STOP_LIMIT_AT_ONCE
    if order_type == STOP:
        return STOP_BUDGET if budget else STOP_LOTS
    if order_type == MARKET and not stays:
        return MARKET_BUDGET if budget else MARKET_LOTS
    return INVALID


cdef inline bint is_for(int kind, int side) noexcept nogil:
    """True if there are orders of a kind on a side."""
    return not kind & (RESERVES_BASE if side == BUY else RESERVES_BUDGET)


cdef inline bint is_stop(int order_type) noexcept nogil:
    """True if orders of a type wait, or waited, for a trigger."""
    return order_type == STOP or order_type == STOP_LIMIT
