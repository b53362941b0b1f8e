"""Whose places are taken: what the sessions of one key hold, and why they may take no more.

The compiled twin of hpe/core/context/holders.py, with its names. Owned by the core, used by the
thread that runs it. Holder 0 is nobody: the house's accounts take no place.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled.slabs cimport Slab, record

cdef enum:
    NOBODY = 0

cdef enum PlaceKind:
    USERS = 0
    ACCOUNTS = 1
    ORDERS = 2
    HOLDS = 3
    ASSETS = 4
    INSTRUMENTS = 5

cdef enum:
    PLACE_KINDS = 6


cdef struct Refusal:
    # Why a command is rejected, NONE if it is not; `flags` of the response says whose limit it is.
    int reason
    int flags


cdef struct Holder:
    # The places that sessions with one key have taken; key 0 is for sessions without a key. `next`
    # is another holder; `found` are the places that a check found so far. `kept` are the things
    # that name it and take no place: ended orders, accounts of the house. It is not forgotten meanwhile.
    int64_t key
    int64_t users
    int64_t accounts
    int64_t orders
    int64_t holds
    int64_t assets
    int64_t instruments
    int64_t kept
    int64_t[PLACE_KINDS] found
    uint32_t next


cdef inline Holder* holder_at(const Slab* holders, uint32_t number) noexcept nogil:
    """Return the holder of a number, which is not NOBODY."""
    return <Holder*>record(holders, number)


cdef inline int64_t count_of(const Holder* holder, int kind) noexcept nogil:
    """Return the number of places taken, of one kind."""
    if kind == USERS:
        return holder.users
    if kind == ACCOUNTS:
        return holder.accounts
    if kind == ORDERS:
        return holder.orders
    if kind == HOLDS:
        return holder.holds
    return holder.assets if kind == ASSETS else holder.instruments


cdef inline bint has_any(const Holder* holder) noexcept nogil:
    """True if it has taken any place."""
    return (
        holder.orders != 0
        or holder.holds != 0
        or holder.users != 0
        or holder.accounts != 0
        or holder.assets != 0
        or holder.instruments != 0
    )
