"""Effort: the one meter of what a batch has done, and what is charged for it.

The compiled twin of hpe/core/context/effort.py, with its names; the charges are a rule of the
exchange, and a test compares them. Owned by the core, used by the thread that runs it.
`reserve_effort` alone may fail; `note_taken_off` relies on it.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport hash_tables, slabs

cdef enum Charge:
    FILL = 1
    MATCH = 1
    REACHED = 1
    LEVEL = 1
    ROW = 1
    REPORT = 1
    FIRED = 1
    MOVED = 1
    ACT = 1
    RESUMED = 1
    UNCROSS = 1
    REVOKED = 1
    DELISTING = 1
    CONTINUE = 8
    CLEARING = 8
    PASSED_PER_ROW = 8
    SNAPSHOT = 1
    COPIES_PER_ROW = 8


cdef inline int64_t clearing_effort(int64_t levels) noexcept nogil:
    """Return the cost of computing the price of a call in which this many levels cross."""
    return CLEARING * levels


cdef inline int64_t rows_passed(int64_t orders) noexcept nogil:
    """Return the cost of this many orders that a search for dead ones passes."""
    return orders // PASSED_PER_ROW


cdef struct TakenOff:
    # How many orders the mass cancels of a key canceled, or of a user without one; it begins with
    # its two keys. `next` was noted before it.
    int64_t key
    int64_t user
    int64_t count
    uint32_t next


cdef struct Effort:
    # Of the current batch; see Effort in hpe/core/context/effort.py. `newest` is the newest of those
    # whose orders were taken off. There is `room` for so many more commands, until `room_until` is
    # spent: see reserving.pxd.
    int64_t spent
    int64_t asked
    int64_t wasted
    int64_t room
    int64_t room_until
    slabs.Slab taken_off_slab
    hash_tables.HashTable taken_off
    uint32_t newest


cdef inline void make_effort(Effort* effort, uint64_t seed) noexcept nogil:
    """Initialize a meter that has counted nothing."""
    memset(effort, 0, sizeof(Effort))
    slabs.make_slab(&effort.taken_off_slab, sizeof(TakenOff))
    hash_tables.make_table(
        &effort.taken_off, seed, &effort.taken_off_slab, hash_tables.begins_with_two
    )


cdef inline void free_effort(Effort* effort) noexcept nogil:
    """Free all memory."""
    hash_tables.free_table(&effort.taken_off)
    slabs.free_slab(&effort.taken_off_slab)


cdef inline bint reserve_effort(Effort* effort, int64_t mass_cancels) noexcept nogil:
    """Make sure that a batch can have so many mass cancels; False if there is no memory."""
    return slabs.reserve(&effort.taken_off_slab, mass_cancels) and hash_tables.reserve_places(
        &effort.taken_off, mass_cancels
    )


cdef inline bint has_room(Effort* effort) noexcept nogil:
    """True if there is still room for one more command, which begins now."""
    if effort.room == 0 or effort.spent > effort.room_until:
        return False
    effort.room -= 1
    return True


cdef inline void end_room(Effort* effort) noexcept nogil:
    """Let the next command reserve anew."""
    effort.room = 0


cdef inline TakenOff* _taken_off_at(const Effort* effort, uint32_t number) noexcept nogil:
    return <TakenOff*>slabs.record(&effort.taken_off_slab, number)


cdef inline void begin(Effort* effort) noexcept nogil:
    """Begin a batch. Cost: the mass cancels of the last one."""
    cdef uint32_t number
    cdef TakenOff* noted
    effort.spent = effort.asked = effort.wasted = effort.room = 0
    while effort.newest:
        number = effort.newest
        noted = _taken_off_at(effort, number)
        effort.newest = noted.next
        hash_tables.remove(&effort.taken_off, noted.key, noted.user)
        slabs.give_back(&effort.taken_off_slab, number)


cdef inline void charge(Effort* effort, int64_t each, int64_t count) noexcept nogil:
    """Charge commands or timers for `count` things at `each`."""
    effort.spent += each * count


cdef inline void ask(Effort* effort, int64_t each, int64_t count) noexcept nogil:
    """Charge queries for `count` things at `each`."""
    effort.asked += each * count


cdef inline void waste(Effort* effort, int64_t each, int64_t count) noexcept nogil:
    """Charge a command that is then refused for `count` things at `each`."""
    effort.wasted += each * count


cdef inline int64_t taken_off(const Effort* effort, int64_t key, int64_t user) noexcept nogil:
    """Return how many orders mass cancels canceled for a key, or with key 0 for a user."""
    cdef uint32_t number = hash_tables.find(&effort.taken_off, key, 0 if key else user)
    return _taken_off_at(effort, number).count if number else 0


cdef inline void note_taken_off(
    Effort* effort, int64_t key, int64_t user, int64_t more
) noexcept nogil:
    """Count orders that a mass cancel cancels, as `taken_off` returns them."""
    cdef uint32_t number
    cdef TakenOff* noted
    if key:
        user = 0
    number = hash_tables.find(&effort.taken_off, key, user)
    if number == 0:
        number = slabs.take(&effort.taken_off_slab)
        noted = _taken_off_at(effort, number)
        noted.key, noted.user, noted.next = key, user, effort.newest
        effort.newest = number
        hash_tables.add(&effort.taken_off, key, user, number)
    _taken_off_at(effort, number).count += more
