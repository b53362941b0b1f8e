"""Tests of new orders by the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from hpe.core.compiled cimport (
    admission,
    books,
    fees,
    fields,
    instruments,
    ladders,
    orders,
    slabs,
    timers,
)


cdef int fill_in(fields.Request* request, values) except -1:
    memset(request, 0, sizeof(fields.Request))
    for place, value in enumerate(values):
        request.values[<int>place] = value
    return 0


def contradicts(values):
    """True if the values of a command contradict each other; see admission.py."""
    cdef fields.Request request
    fill_in(&request, values)
    return bool(admission.contradicts(&request))


def admitted_to_call(values):
    """True if a call accepts an order like this command's."""
    cdef fields.Request request
    fill_in(&request, values)
    return bool(admission.admitted_to_call(&request))


cdef class Book:
    """The book of an instrument, which tests orders by themselves."""

    cdef slabs.Slab order_slab
    cdef slabs.Slab level_slab
    cdef slabs.Slab terms_slab
    cdef timers.Timers timers
    cdef fees.OwnRatesTable own_rates
    cdef books.Book book
    cdef orders.Order order

    def __init__(self, instrument, int status, int64_t last_price):
        cdef instruments.Instrument given
        memset(&given, 0, sizeof(given))
        given.instrument_id = 1
        given.quote_atoms_per_tick = instrument.quote_atoms_per_tick
        given.price_min, given.price_max = instrument.price_min, instrument.price_max
        given.quantity_min, given.quantity_max = instrument.quantity_min, instrument.quantity_max
        given.notional_min, given.notional_max = instrument.notional_min, instrument.notional_max
        given.band_ppm, given.reference_price = instrument.band_ppm, instrument.reference_price
        given.volatility_interruption = instrument.volatility_interruption
        slabs.make_slab(&self.order_slab, sizeof(orders.Order))
        slabs.make_slab(&self.level_slab, sizeof(ladders.Level))
        slabs.make_slab(&self.terms_slab, sizeof(orders.Terms))
        fees.make_own_rates(&self.own_rates, 7)
        books.make_book(
            &self.book, &given, fees.rates_of(0, 0), &self.own_rates, &self.level_slab,
            &self.order_slab, &self.terms_slab, &self.timers,
        )
        books.set_status(&self.book, status)
        self.book.last_price = last_price
        if not slabs.reserve(&self.terms_slab, 1):
            raise MemoryError
        slabs.take(&self.terms_slab)

    def __dealloc__(self):
        slabs.free_slab(&self.terms_slab)

    def barred(self, bint blocked, bint in_call):
        """See admission.py."""
        return admission.barred(&self.book, blocked, in_call)

    def check(self, order, int64_t time_ns):
        """Return the results of all tests of a reference's order, in order."""
        cdef orders.Order* here = &self.order
        cdef orders.Terms* terms = <orders.Terms*>slabs.record(&self.terms_slab, 1)
        memset(here, 0, sizeof(orders.Order))
        here.side, here.order_type, here.time_in_force = (
            order.side, order.order_type, order.time_in_force,
        )
        here.price, here.quantity, here.leaves = order.price, order.quantity, order.leaves
        here.maker_ppm, here.taker_ppm = order.rates.maker, order.rates.taker
        if order.terms is not None:
            here.terms = 1
            terms.stop_price, terms.trail = order.terms.stop_price, order.terms.trail
            terms.budget, terms.expires_ns = order.terms.budget, order.terms.expires_ns
        return [
            admission.check_order(&self.book, here, check, time_ns)
            for check in range(admission.ORDER_CHECKS)
        ]

    def beyond_band(self, int side, int64_t price):
        """See admission.py."""
        return bool(admission.beyond_band(&self.book, side, price))
