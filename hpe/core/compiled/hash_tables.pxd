"""Hash tables: from one or two integers to the number of a record, growing a little at a time.

Owned by the core, used by the thread that runs it. The keys stand in the records alone; a place of
the table has the key's hash and the record's number, 8 bytes: 10 to 15 bytes a key, because a table
grows by half when four fifths of its places are taken. Every change afterwards moves a few of the
old places, so no single change waits for all of them, and while it does, there are both.
`reserve_places` alone may fail, and then nothing changed. Nothing here has an order that anyone
sees.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from hpe.core.compiled.slabs cimport Slab, need, record

cdef enum:
    PLACES_MIN = 16
    MOVED_PER_CHANGE = 8  # three times what is needed to be done before the next growth


cdef struct Place:
    uint32_t hashed  # the hash of the key, 0 for a place that ends a search
    uint32_t number  # of the record, 0 for none


ctypedef bint (*HasKey)(const void* records, uint32_t number, int64_t first, int64_t second) noexcept nogil


cdef struct HashTable:
    # `old` has the places that were not moved yet: those below `moved` are empty. `has_key`
    # returns whether a record of `records` has a key. `seed` differs between processes, so that no
    # client can choose keys that collide; no output depends on it.
    Place* places
    Place* old
    uint64_t size
    uint64_t old_size
    uint64_t moved
    uint64_t count
    uint64_t seed
    const void* records
    HasKey has_key


cdef inline bint begins_with_one(
    const void* slab, uint32_t number, int64_t first, int64_t second
) noexcept nogil:
    """True if a record of a slab begins with this key, the only one; `second` is 0."""
    return (<const int64_t*>record(<const Slab*>slab, number))[0] == first and second == 0


cdef inline bint begins_with_two(
    const void* slab, uint32_t number, int64_t first, int64_t second
) noexcept nogil:
    """True if a record of a slab begins with these two keys."""
    cdef const int64_t* keys = <const int64_t*>record(<const Slab*>slab, number)
    return keys[0] == first and keys[1] == second


cdef inline uint32_t hash_of(uint64_t seed, int64_t first, int64_t second) noexcept nogil:
    """Return a hash that depends on every bit of a key and of the seed, and is not 0."""
    cdef uint64_t mixed = (<uint64_t>first ^ seed) * <uint64_t>0x9E3779B97F4A7C15
    mixed ^= <uint64_t>second + <uint64_t>0xD1B54A32D192ED03 + (mixed << 6) + (mixed >> 2)
    mixed = (mixed ^ (mixed >> 32)) * <uint64_t>0xD6E8FEB86659FD93
    mixed = (mixed ^ (mixed >> 32)) * <uint64_t>0xD6E8FEB86659FD93
    mixed ^= mixed >> 32
    return <uint32_t>mixed if <uint32_t>mixed else 1


cdef inline void make_table(
    HashTable* table, uint64_t seed, const void* records, HasKey has_key
) noexcept nogil:
    """Initialize an empty table, which has no memory until places are reserved."""
    table.places = table.old = NULL
    table.size = table.old_size = table.moved = table.count = 0
    table.seed = seed
    table.records = records
    table.has_key = has_key


cdef inline void free_table(HashTable* table) noexcept nogil:
    """Free all memory; the table is then empty."""
    free(table.places)
    free(table.old)
    make_table(table, table.seed, table.records, table.has_key)


cdef inline bint reserve_places(HashTable* table, int64_t more) noexcept nogil:
    """Make sure that this many keys can be added; False if there is no memory."""
    cdef uint64_t size = table.size if table.size else PLACES_MIN
    cdef Place* places
    while (table.count + more) * 5 > size * 4:
        size += size // 2
    if size == table.size:
        return True
    places = <Place*>calloc(size, sizeof(Place))
    if places == NULL:
        return False
    while table.old != NULL:
        _move_some(table)  # rarely: the old ones are moved long before
    table.old, table.old_size = table.places, table.size
    table.places, table.size = places, size
    table.moved = 0
    if table.old_size == 0:
        table.old = NULL
    return True


cdef inline uint32_t find(
    const HashTable* table, int64_t first, int64_t second
) noexcept nogil:
    """Return the number of the record with a key, 0 if there is none."""
    cdef Place* found = _place_of(table, first, second)
    return found.number if found != NULL else 0


cdef inline void add(
    HashTable* table, int64_t first, int64_t second, uint32_t number
) noexcept nogil:
    """Add a key that is not there; a place was reserved for it."""
    need((table.count + 1) * 5 <= table.size * 4)
    _move_some(table)
    _put(table, hash_of(table.seed, first, second), number)
    table.count += 1


cdef inline void remove(HashTable* table, int64_t first, int64_t second) noexcept nogil:
    """Remove a key that is there, while its record still has it."""
    cdef Place* found = _place_of(table, first, second)
    table.count -= 1
    if table.places <= found < table.places + table.size:
        _close_gap(table, found - table.places)
    else:
        found.number = 0  # searches go on past it, until all old places were moved
    _move_some(table)


cdef inline uint64_t place_count(const HashTable* table) noexcept nogil:
    """Return how many places a walk over the whole table visits."""
    return table.size + (table.old_size if table.old != NULL else 0)


cdef inline uint32_t number_at(const HashTable* table, uint64_t at) noexcept nogil:
    """Return the number of the record at a place, 0 if there is none; in no order."""
    return table.places[at].number if at < table.size else table.old[at - table.size].number


cdef inline uint64_t _home(uint32_t hashed, uint64_t size) noexcept nogil:
    """Return the place at which the search for a hash begins."""
    return (<uint64_t>hashed * size) >> 32


cdef inline uint64_t _distance(uint64_t start, uint64_t end, uint64_t size) noexcept nogil:
    """Return how many places a search goes on from one to another."""
    return end - start if end >= start else end + size - start


cdef inline Place* _place_of(
    const HashTable* table, int64_t first, int64_t second
) noexcept nogil:
    cdef uint32_t hashed = hash_of(table.seed, first, second)
    cdef Place* found = NULL
    if table.size:
        found = _search(table, table.places, table.size, hashed, first, second)
    if found == NULL and table.old != NULL:
        found = _search(table, table.old, table.old_size, hashed, first, second)
    return found


cdef inline Place* _search(
    const HashTable* table, Place* places, uint64_t size, uint32_t hashed, int64_t first,
    int64_t second
) noexcept nogil:
    cdef uint64_t at = _home(hashed, size)
    while places[at].hashed:
        if (
            places[at].hashed == hashed and places[at].number
            and table.has_key(table.records, places[at].number, first, second)
        ):
            return &places[at]
        at = at + 1 if at + 1 < size else 0
    return NULL


cdef inline void _put(HashTable* table, uint32_t hashed, uint32_t number) noexcept nogil:
    cdef uint64_t at = _home(hashed, table.size)
    while table.places[at].hashed:
        at = at + 1 if at + 1 < table.size else 0
    table.places[at].hashed = hashed
    table.places[at].number = number


cdef inline void _close_gap(HashTable* table, uint64_t gap) noexcept nogil:
    """Empty a place, and move those behind it that would be searched for through it."""
    cdef uint64_t size = table.size, at = gap, home
    while True:
        at = at + 1 if at + 1 < size else 0
        if table.places[at].hashed == 0:
            break
        # How far a place is from where its search begins: it may move back that far.
        home = _home(table.places[at].hashed, size)
        if _distance(home, at, size) >= _distance(gap, at, size):
            table.places[gap] = table.places[at]
            gap = at
    table.places[gap].hashed = 0
    table.places[gap].number = 0


cdef inline void _move_some(HashTable* table) noexcept nogil:
    """Move a few of the old places."""
    cdef uint64_t end
    cdef Place* place
    if table.old == NULL:
        return
    end = min(table.moved + MOVED_PER_CHANGE, table.old_size)
    while table.moved < end:
        place = &table.old[table.moved]
        if place.number:
            _put(table, place.hashed, place.number)
            place.number = 0
        table.moved += 1
    if table.moved == table.old_size:
        free(table.old)
        table.old = NULL
