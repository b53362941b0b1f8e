"""What the tests of the compiled core take over from the reference: instruments.

The service never imports it; used by the tests' modules, in one thread, with the interpreter's lock.
"""

from hpe.core.compiled cimport exchange_state, fees, hash_tables, instruments, loading, slabs


cdef inline int take_instrument(exchange_state.Exchange* exchange, instrument) except -1:
    """List a reference's instrument."""
    cdef instruments.Instrument given
    given.instrument_id = instrument.instrument_id
    loading.take_facts(&given, instrument)
    if not (
        slabs.reserve(&exchange.book_slab, 1) and hash_tables.reserve_places(&exchange.books, 1)
    ):
        raise MemoryError
    exchange_state.add_book(
        exchange, &given, fees.rates_of(instrument.maker_fee_ppm, instrument.taker_fee_ppm)
    )
    return 0
