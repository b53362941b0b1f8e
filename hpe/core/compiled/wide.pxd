"""Products and sums of money and trading that exceed 64 bits, each a function here.

The compiled twin of hpe/core/money/wide.py; the bounds are stated there. Pure arithmetic; any
thread may call it.
"""

from libc.stdint cimport int64_t

from hpe.core.compiled._c cimport floor_divide, int128, product

cdef enum:
    PPM = 1_000_000

cdef extern from *:
    """
    #define HPE_INT_MAX INT64_MAX
    #define HPE_AMOUNT_MAX (INT64_C(1) << 62)
    """
    const int64_t INT_MAX "HPE_INT_MAX"
    const int64_t AMOUNT_MAX "HPE_AMOUNT_MAX"

cdef enum:
    TOO_MUCH = -1


cdef inline int64_t checked_notional(
    int64_t price, int64_t lots, int64_t atoms_per_tick
) noexcept nogil:
    """Return price x lots x atoms, TOO_MUCH if it is more than AMOUNT_MAX."""
    cdef int128 amount = product(price, lots)
    if amount > AMOUNT_MAX:
        return TOO_MUCH
    amount = product(<int64_t>amount, atoms_per_tick)
    return <int64_t>amount if amount <= AMOUNT_MAX else TOO_MUCH


cdef inline int64_t notional(int64_t price, int64_t lots, int64_t atoms_per_tick) noexcept nogil:
    """Return price x lots x atoms of an accepted order, which is at most AMOUNT_MAX."""
    return price * lots * atoms_per_tick


cdef inline int128 base_atoms(int64_t lots, int64_t atoms_per_lot) noexcept nogil:
    """Return lots x atoms, within 64 bits once it was found available."""
    return product(lots, atoms_per_lot)


cdef inline int128 ticks_of(int64_t price, int64_t lots) noexcept nogil:
    """Return price x lots."""
    return product(price, lots)


cdef inline int64_t ticks_paid_by(int64_t amount, int64_t atoms_per_tick) noexcept nogil:
    """Return how many ticks x lots an amount pays for, rounded down; both are positive or 0."""
    return amount // atoms_per_tick


cdef inline int64_t worst_fee(int64_t notional, int64_t rate_ppm, int64_t rest) noexcept nogil:
    """Return the most that further fills of this notional can be charged; `rest` as in `charge`."""
    return <int64_t>-floor_divide(rest - product(notional, rate_ppm), PPM)


cdef inline int64_t charge(int64_t notional, int64_t rate_ppm, int64_t* rest) noexcept nogil:
    """Charge one fill, in whole atoms; `rest` is what earlier fills were overcharged, and is set.

    Returns the atoms, negative for a rebate.
    """
    cdef int128 micro = product(notional, rate_ppm) - rest[0]
    cdef int64_t atoms = <int64_t>-floor_divide(-micro, PPM)
    rest[0] = <int64_t>(product(atoms, PPM) - micro)
    return atoms


cdef inline void band(
    int64_t reference, int64_t parts_ppm, int64_t* lowest, int64_t* highest
) noexcept nogil:
    """Set the lowest and highest price within `parts_ppm` millionths of a reference."""
    cdef int64_t away = <int64_t>(product(reference, parts_ppm) // PPM)
    lowest[0] = reference - away
    highest[0] = INT_MAX if away > INT_MAX - reference else reference + away


cdef inline int64_t middle(int64_t lowest, int64_t highest) noexcept nogil:
    """Return the middle of two prices, which are positive, rounded down."""
    return lowest + (highest - lowest) // 2


cdef inline int64_t trail_trigger(int64_t price, int64_t trail, int sign) noexcept nogil:
    """Return the trigger at a distance from a price, 0 if it is not a price."""
    if sign > 0:
        return 0 if trail > INT_MAX - price else price + trail
    return price - trail if price > trail else 0


cdef inline int64_t slices(int64_t lots, int64_t display) noexcept nogil:
    """Return lots / display, rounded up; both are positive, or the lots 0."""
    return lots // display + (lots % display != 0)


cdef struct Budget:
    # What remains of the quote atoms that a market buy may spend; see Budget in
    # hpe/core/money/wide.py.
    int128 lot_micro_per_tick
    int128 rest_micro


cdef inline void budget_of(
    Budget* budget, int64_t amount, int64_t atoms_per_tick, int64_t rate_ppm
) noexcept nogil:
    """Initialize a budget of this amount."""
    budget.lot_micro_per_tick = product(atoms_per_tick, PPM + rate_ppm)
    budget.rest_micro = product(amount, PPM)


cdef inline int64_t budget_lots(const Budget* budget, int64_t price) noexcept nogil:
    """Return how many lots it pays for at a price."""
    return <int64_t>(budget.rest_micro // (price * budget.lot_micro_per_tick))


cdef inline void budget_spend(Budget* budget, int64_t price, int64_t lots) noexcept nogil:
    """Subtract the cost of lots."""
    budget.rest_micro -= price * budget.lot_micro_per_tick * lots


cdef inline bint budget_is_spent(const Budget* budget, int64_t price) noexcept nogil:
    """True if it does not pay for one more lot at the next price (0: there is none)."""
    cdef int128 lot = price * budget.lot_micro_per_tick
    return budget.rest_micro < (lot if lot > PPM else PPM)
