"""Sessions that lost their connection: up to which order theirs end, and from when on.

The compiled twin of the entries of hpe/core/trading/disconnects.py; disconnects.pxd adds and removes
them. Each session has a chain of entries, and each entry a timer. Owned by the core, used by the
thread that runs it. `reserve_lost_sessions` alone may fail.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport hash_tables, slabs


cdef struct LossEntry:
    # Orders of the session up to `newest` end from `due_ns` on; the timer is of `instrument`. `next`
    # was added after it.
    int64_t due_ns
    int64_t newest
    int64_t instrument
    uint32_t next


cdef struct LostSession:
    # It is there while it has entries, from the first to the last that was added.
    int64_t session_id
    uint32_t first
    uint32_t last


cdef struct LostSessions:
    # All sessions of which orders are ending or will end.
    slabs.Slab entries
    slabs.Slab sessions
    hash_tables.HashTable by_id


cdef inline void make_lost_sessions(LostSessions* lost, uint64_t seed) noexcept nogil:
    """Initialize without sessions; it must not move afterward."""
    memset(lost, 0, sizeof(LostSessions))
    slabs.make_slab(&lost.entries, sizeof(LossEntry))
    slabs.make_slab(&lost.sessions, sizeof(LostSession))
    hash_tables.make_table(&lost.by_id, seed, &lost.sessions, hash_tables.begins_with_one)


cdef inline void free_lost_sessions(LostSessions* lost) noexcept nogil:
    """Free all memory."""
    hash_tables.free_table(&lost.by_id)
    slabs.free_slab(&lost.sessions)
    slabs.free_slab(&lost.entries)


cdef inline bint reserve_lost_sessions(LostSessions* lost, int64_t more) noexcept nogil:
    """Make sure that so many entries can be added; False if there is no memory."""
    return (
        slabs.reserve(&lost.entries, more)
        and slabs.reserve(&lost.sessions, more)
        and hash_tables.reserve_places(&lost.by_id, more)
    )


cdef inline LossEntry* entry_at(const LostSessions* lost, uint32_t number) noexcept nogil:
    """Return the entry of a number."""
    return <LossEntry*>slabs.record(&lost.entries, number)


cdef inline LostSession* lost_at(const LostSessions* lost, uint32_t number) noexcept nogil:
    """Return the session of a number."""
    return <LostSession*>slabs.record(&lost.sessions, number)


cdef inline LostSession* find_lost(const LostSessions* lost, int64_t session_id) noexcept nogil:
    """Return a session that has entries, NULL if it has none."""
    cdef uint32_t number = hash_tables.find(&lost.by_id, session_id, 0)
    return lost_at(lost, number) if number else NULL


cdef inline uint32_t find_entry(
    const LostSessions* lost, int64_t session_id, int64_t due_ns, int64_t newest
) noexcept nogil:
    """Return the entry of a session with this time and this order, 0 if there is none."""
    cdef const LostSession* theirs = find_lost(lost, session_id)
    cdef uint32_t number = theirs.first if theirs != NULL else 0
    cdef const LossEntry* entry
    while number:
        entry = entry_at(lost, number)
        if entry.due_ns == due_ns and entry.newest == newest:
            return number
        number = entry.next
    return 0


cdef inline void add_entry(
    LostSessions* lost, int64_t session_id, int64_t due_ns, int64_t newest, int64_t instrument
) noexcept nogil:
    """Append an entry to those of a session."""
    cdef uint32_t number = slabs.take(&lost.entries), of
    cdef LossEntry* entry = entry_at(lost, number)
    cdef LostSession* theirs = find_lost(lost, session_id)
    entry.due_ns, entry.newest, entry.instrument = due_ns, newest, instrument
    if theirs == NULL:
        of = slabs.take(&lost.sessions)
        theirs = lost_at(lost, of)
        theirs.session_id, theirs.first = session_id, number
        hash_tables.add(&lost.by_id, session_id, 0, of)
    else:
        entry_at(lost, theirs.last).next = number
    theirs.last = number


cdef inline void remove_entry(
    LostSessions* lost, int64_t session_id, uint32_t number
) noexcept nogil:
    """Remove an entry of a session, which must be there."""
    cdef uint32_t of = hash_tables.find(&lost.by_id, session_id, 0)
    cdef LostSession* theirs = lost_at(lost, of)
    cdef uint32_t before = 0, at = theirs.first
    while at != number:
        before = at
        at = entry_at(lost, at).next
    if before:
        entry_at(lost, before).next = entry_at(lost, number).next
    else:
        theirs.first = entry_at(lost, number).next
    if theirs.last == number:
        theirs.last = before
    slabs.give_back(&lost.entries, number)
    if theirs.first == 0:
        hash_tables.remove(&lost.by_id, session_id, 0)
        slabs.give_back(&lost.sessions, of)
