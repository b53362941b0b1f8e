"""Instruments: what can be traded, in which units, within which limits.

The compiled twin of Instrument in hpe/core/listings/instruments.py, with its names, as far as
trading needs it: integers only. Symbols belong to the listings; the fees of its row are the common
ones of its book (fees.pxd). Owned by the core, each as a part of its book (books.pxd), used by the
thread that runs it.
"""

from libc.stdint cimport int64_t


cdef struct Instrument:
    # One spot pair. Its scale (`base_atoms_per_lot`, `quote_atoms_per_tick`) never changes; the
    # configuration may change what follows. `self_trade` is the policy of orders that name none.
    # notional in quote atoms = price_ticks x quantity_lots x quote_atoms_per_tick, exact.
    int64_t instrument_id
    int64_t base
    int64_t quote
    int64_t base_atoms_per_lot
    int64_t quote_atoms_per_tick
    int64_t price_min
    int64_t price_max
    int64_t quantity_min
    int64_t quantity_max
    int64_t notional_min
    int64_t notional_max
    int64_t band_ppm
    int64_t reference_price
    int64_t interruption_ms
    int self_trade
    bint volatility_interruption
