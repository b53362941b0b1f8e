"""Whose places are taken: what the sessions of one key hold, and why they may take no more.

The compiled twin of hpe/core/context/holders.py, with its names. Owned by the core, used by the
thread that runs it. Holder 0 is nobody: the house's accounts take no place.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled.slabs cimport Slab, record

cdef enum:
    NOBODY = 0


cdef struct Holder:
    # The places that sessions with one key have taken; key 0 is for sessions without a key.
    int64_t key
    int64_t users
    int64_t accounts
    int64_t orders
    int64_t holds
    int64_t assets
    int64_t instruments


cdef inline Holder* holder_at(const Slab* holders, uint32_t number) noexcept nogil:
    """Return the holder of a number, which is not NOBODY."""
    return <Holder*>record(holders, number)
