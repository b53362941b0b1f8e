"""Fees: which rates an order gets.

The compiled twin of hpe/core/money/fees.py, with its names; wide.pxd computes the amounts. The own
rates of users on all instruments share one slab and one table, and those of an instrument are
linked. Owned by the core, used by the thread that runs it; `reserve_own_rates` alone may fail, at
the head of a batch, for one user in each command that sets rates.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from hpe.core.compiled cimport hash_tables, slabs


cdef struct FeeRates:
    # The rates of one order, in ppm. `worst` is the most that any of its fills can cost.
    int32_t maker
    int32_t taker
    int32_t worst


cdef struct OwnRates:
    # The rates of one user on one instrument, behind the two keys. `next` and `previous` are those
    # of other users on the instrument.
    int64_t instrument
    int64_t user
    FeeRates rates
    uint32_t next
    uint32_t previous


cdef struct OwnRatesTable:
    # The own rates of all users on all instruments.
    slabs.Slab slab
    hash_tables.HashTable table


cdef struct FeeSchedule:
    # The rates of one instrument: the common ones, and those of individual users, which are
    # `own_count`, from `own` on.
    FeeRates common
    int64_t instrument
    int64_t own_count
    OwnRatesTable* records
    uint32_t own


cdef struct LowestRates:
    # The lowest maker and the lowest taker rate that could meet in a trade.
    int32_t maker
    int32_t taker


cdef inline void make_own_rates(OwnRatesTable* records, uint64_t seed) noexcept nogil:
    """Initialize without rates."""
    slabs.make_slab(&records.slab, sizeof(OwnRates))
    hash_tables.make_table(&records.table, seed, &records.slab, hash_tables.begins_with_two)


cdef inline void free_own_rates(OwnRatesTable* records) noexcept nogil:
    """Free all memory."""
    hash_tables.free_table(&records.table)
    slabs.free_slab(&records.slab)


cdef inline bint reserve_own_rates(OwnRatesTable* records, int64_t more) noexcept nogil:
    """Make sure that the rates of so many more users fit; False if there is no memory."""
    return slabs.reserve(&records.slab, more) and hash_tables.reserve_places(&records.table, more)


cdef inline FeeRates rates_of(int64_t maker_ppm, int64_t taker_ppm) noexcept nogil:
    """Return the rates for new orders; a negative maker rate is a rebate."""
    cdef FeeRates rates
    rates.maker = <int32_t>maker_ppm
    rates.taker = <int32_t>taker_ppm
    rates.worst = worst_rate(rates.maker, rates.taker)
    return rates


cdef inline int32_t worst_rate(int32_t maker_ppm, int32_t taker_ppm) noexcept nogil:
    """Return the higher of two rates; a taker's rate is never below 0."""
    return maker_ppm if maker_ppm > taker_ppm else taker_ppm


cdef inline void make_schedule(
    FeeSchedule* fees, FeeRates common, int64_t instrument, OwnRatesTable* records
) noexcept nogil:
    """Initialize the rates of an instrument, without those of individual users."""
    fees.common = common
    fees.instrument = instrument
    fees.own_count = 0
    fees.records = records
    fees.own = 0


cdef inline OwnRates* own_rates_at(const FeeSchedule* fees, uint32_t number) noexcept nogil:
    """Return the own rates of a number."""
    return <OwnRates*>slabs.record(&fees.records.slab, number)


cdef inline uint32_t find_own_rates(const FeeSchedule* fees, int64_t user) noexcept nogil:
    """Return the number of a user's own rates, 0 if it has none."""
    if fees.own_count == 0:
        return 0
    return hash_tables.find(&fees.records.table, fees.instrument, user)


cdef inline const FeeRates* of(const FeeSchedule* fees, int64_t user) noexcept nogil:
    """Return the rates that a new order of this user gets; good until rates are set."""
    cdef uint32_t number = find_own_rates(fees, user)
    if number:
        return &own_rates_at(fees, number).rates
    return &fees.common


cdef inline void set_own(FeeSchedule* fees, int64_t user, FeeRates rates) noexcept nogil:
    """Set the own rates of a user; a record was reserved."""
    cdef uint32_t number = find_own_rates(fees, user)
    cdef OwnRates* own
    if number == 0:
        number = slabs.take(&fees.records.slab)
        own = own_rates_at(fees, number)
        own.instrument = fees.instrument
        own.user = user
        own.next = fees.own
        if own.next:
            own_rates_at(fees, own.next).previous = number
        fees.own = number
        fees.own_count += 1
        hash_tables.add(&fees.records.table, fees.instrument, user, number)
    own_rates_at(fees, number).rates = rates


cdef inline void remove_own(FeeSchedule* fees, int64_t user) noexcept nogil:
    """Remove the own rates of a user, if it has any."""
    cdef uint32_t number = find_own_rates(fees, user)
    cdef OwnRates* own
    if number == 0:
        return
    own = own_rates_at(fees, number)
    hash_tables.remove(&fees.records.table, fees.instrument, user)
    if own.next:
        own_rates_at(fees, own.next).previous = own.previous
    if own.previous:
        own_rates_at(fees, own.previous).next = own.next
    else:
        fees.own = own.next
    fees.own_count -= 1
    slabs.give_back(&fees.records.slab, number)


cdef inline void clear_own(FeeSchedule* fees) noexcept nogil:
    """Remove all own rates of an instrument, which is no longer listed. Cost: all of them."""
    while fees.own:
        remove_own(fees, own_rates_at(fees, fees.own).user)


cdef inline void include_rates(LowestRates* lowest, int32_t maker_ppm, int32_t taker_ppm) noexcept nogil:
    """Let further rates count among the lowest."""
    if maker_ppm < lowest.maker:
        lowest.maker = maker_ppm
    if taker_ppm < lowest.taker:
        lowest.taker = taker_ppm


cdef inline void include_own_rates(
    LowestRates* lowest, const FeeSchedule* fees, int64_t except_user
) noexcept nogil:
    """Let the own rates of all users but one count among the lowest. Cost: all of them."""
    cdef uint32_t number = fees.own
    cdef const OwnRates* own
    while number:
        own = own_rates_at(fees, number)
        if own.user != except_user:
            include_rates(lowest, own.rates.maker, own.rates.taker)
        number = own.next


cdef inline bint can_go_below_zero(const LowestRates* lowest) noexcept nogil:
    """True if two of the rates could meet in a trade that costs the house money."""
    return lowest.maker + lowest.taker < 0
