"""Fees and kinds of orders of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t

from hpe.core.compiled cimport fees, kinds

cdef enum:
    SCHEDULES = 3


RESERVES = {
    kinds.RESERVES_BASE: "BASE", kinds.RESERVES_NOTIONAL: "NOTIONAL",
    kinds.RESERVES_COST: "COST", kinds.RESERVES_BUDGET: "BUDGET",
}


def kind_of(int order_type, int time_in_force, int64_t budget):
    """Return the fields of a kind of orders, as kinds.py has them; None if it is invalid."""
    cdef int kind = kinds.kind_of(order_type, time_in_force, budget)
    if kind == kinds.INVALID:
        return None
    (reserves,) = [name for bit, name in RESERVES.items() if kind & bit]
    bits = (
        kinds.WAITS, kinds.NEEDS_PRICE, kinds.MAY_REST, kinds.IN_CALL, kinds.CHANGES_QUANTITY,
        kinds.CHANGES_PRICE, kinds.CHANGES_TRIGGER,
    )
    fields = [kind & bit > 0 for bit in bits]
    return *fields[:4], reserves, *fields[4:]


def is_for(int order_type, int time_in_force, int64_t budget, int side):
    """True if there are orders of this kind on a side; see kinds.py."""
    return bool(kinds.is_for(kinds.kind_of(order_type, time_in_force, budget), side))


def is_stop(int order_type):
    """True if orders of this type wait for a trigger."""
    return bool(kinds.is_stop(order_type))


def is_resting(int time_in_force):
    """True if orders with this time in force may rest."""
    return bool(kinds.is_resting(time_in_force))


cdef class Fees:
    """The rates of instruments 1 to SCHEDULES; see hpe/core/money/fees.py."""

    cdef fees.OwnRatesTable records
    cdef fees.FeeSchedule[SCHEDULES + 1] schedules

    def __init__(self, int64_t maker_ppm, int64_t taker_ppm):
        fees.make_own_rates(&self.records, 7)
        for instrument in range(1, SCHEDULES + 1):
            fees.make_schedule(
                &self.schedules[instrument], fees.rates_of(maker_ppm, taker_ppm), instrument,
                &self.records,
            )

    def __dealloc__(self):
        fees.free_own_rates(&self.records)

    def set_rates(self, int instrument, int64_t user, int64_t maker_ppm, int64_t taker_ppm):
        """Set the rates of a user; user 0: the common ones."""
        cdef fees.FeeRates rates = fees.rates_of(maker_ppm, taker_ppm)
        if user == 0:
            self.schedules[instrument].common = rates
            return
        if not fees.reserve_own_rates(&self.records, 1):
            raise MemoryError
        fees.set_own(&self.schedules[instrument], user, rates)

    def remove_own(self, int instrument, int64_t user):
        """Remove a user's own rates, if it has any."""
        fees.remove_own(&self.schedules[instrument], user)

    def clear_own(self, int instrument):
        """Remove all own rates of an instrument."""
        fees.clear_own(&self.schedules[instrument])

    def of(self, int instrument, int64_t user):
        """See fees.py."""
        cdef const fees.FeeRates* rates = fees.of(&self.schedules[instrument], user)
        return rates.maker, rates.taker, rates.worst

    def own(self, int instrument):
        """Return all own rates of an instrument by user, as their list has them."""
        cdef const fees.FeeSchedule* schedule = &self.schedules[instrument]
        cdef uint32_t number = schedule.own, before = 0
        cdef const fees.OwnRates* each
        found = {}
        while number:
            each = fees.own_rates_at(schedule, number)
            assert each.previous == before
            assert fees.find_own_rates(schedule, each.user) == number
            found[each.user] = each.rates.maker, each.rates.taker, each.rates.worst
            before, number = number, each.next
        assert len(found) == schedule.own_count
        return found

    def go_below_zero(self, int instrument, int64_t user, int32_t maker_ppm, int32_t taker_ppm):
        """True if new rates of a user (0: the common ones) and the others could cost the house."""
        cdef fees.LowestRates lowest = fees.LowestRates(maker_ppm, taker_ppm)
        cdef const fees.FeeSchedule* schedule = &self.schedules[instrument]
        if user:
            fees.include_rates(&lowest, schedule.common.maker, schedule.common.taker)
        fees.include_own_rates(&lowest, schedule, user)
        return bool(fees.can_go_below_zero(&lowest))

    @property
    def records_used(self):
        """The number of own rates of all instruments, in the slab and in the table."""
        return self.records.slab.count, self.records.table.count
