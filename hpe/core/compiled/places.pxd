"""Places: the things that can run out, who took how many, and whether there is room for more.

The compiled twin of hpe/core/context/places.py, with its names. Owned by the core, used by the
thread that runs it. `reserve_holders` alone may fail; `holder_of` relies on it. The number of a holder
that has a place, or is kept, stays good; any other only until the next call of `holder_of`.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport hash_tables, slabs
from hpe.core.compiled.codes cimport FLAG_KEY_LIMIT, FLAG_USER_LIMIT, NONE
from hpe.core.compiled.context cimport Context, Settings, share_of, unreserved
from hpe.core.compiled.holders cimport (
    NOBODY,
    PLACE_KINDS,
    Holder,
    Refusal,
    count_of,
    has_any,
    holder_at,
)

cdef enum:
    HOLDERS_SLACK = 64  # keys without a place that are remembered beyond those that have some


cdef struct Taken:
    # How many places of one kind are taken: in total, by the user, by the key.
    int64_t all
    int64_t user
    int64_t key


cdef struct Places:
    # The places that everyone has taken, by key. `newest` is the newest of all holders. `strays` are
    # the places that a check found with holders that are not there.
    const Settings* settings
    slabs.Slab holder_slab
    hash_tables.HashTable holders
    uint64_t holders_max
    int64_t strays
    uint32_t newest


cdef inline void make_places(
    Places* places, uint64_t seed, const Settings* settings
) noexcept nogil:
    """Initialize without holders."""
    memset(places, 0, sizeof(Places))
    places.settings = settings
    slabs.make_slab(&places.holder_slab, sizeof(Holder))
    hash_tables.make_table(
        &places.holders, seed, &places.holder_slab, hash_tables.begins_with_one
    )
    places.holders_max = HOLDERS_SLACK


cdef inline void free_places(Places* places) noexcept nogil:
    """Free all memory."""
    hash_tables.free_table(&places.holders)
    slabs.free_slab(&places.holder_slab)


cdef inline bint reserve_holders(Places* places, int64_t more) noexcept nogil:
    """Make sure that so many new keys can take places; False if there is no memory."""
    return slabs.reserve(&places.holder_slab, more) and hash_tables.reserve_places(
        &places.holders, more
    )


cdef inline uint32_t holder_of(Places* places, int64_t key) noexcept nogil:
    """Return the number of a key's holder; it may forget others that have no place."""
    cdef uint32_t number = hash_tables.find(&places.holders, key, 0)
    cdef Holder* holder
    if number == 0:
        if places.holders.count >= places.holders_max:
            _forget_idle(places)
        number = slabs.take(&places.holder_slab)
        holder = holder_at(&places.holder_slab, number)
        holder.key, holder.next = key, places.newest
        places.newest = number
        hash_tables.add(&places.holders, key, 0, number)
    return number


cdef inline void _forget_idle(Places* places) noexcept nogil:
    cdef uint32_t* link = &places.newest
    cdef uint32_t number
    cdef Holder* holder
    while link[0]:
        number = link[0]
        holder = holder_at(&places.holder_slab, number)
        if holder.key == 0 or holder.kept or has_any(holder):
            link = &holder.next
            continue
        link[0] = holder.next
        hash_tables.remove(&places.holders, holder.key, 0)
        slabs.give_back(&places.holder_slab, number)
    places.holders_max = 2 * places.holders.count + HOLDERS_SLACK


cdef inline Refusal place_refusal(
    const Places* places, const Context* context, int reason, int64_t more, const Taken* taken,
    int64_t count_max, int64_t of_user_max, bint reserve
) noexcept nogil:
    """Return why so many more places are not available, NONE if they are.

    See Places.refusal in the reference; `of_user_max` is INT_MAX if no user is bounded.
    """
    cdef const Settings* settings = places.settings
    if context.operator:
        return Refusal(reason if taken.all + more > count_max else NONE, 0)
    if taken.user + more > of_user_max:
        return Refusal(reason, FLAG_USER_LIMIT)
    if (
        holder_at(&places.holder_slab, context.holder).key
        and taken.key + more > share_of(settings, count_max)
    ):
        return Refusal(reason, FLAG_KEY_LIMIT)
    if taken.all + more > (count_max if reserve else unreserved(settings, count_max)):
        return Refusal(reason, 0)
    return Refusal(NONE, 0)


cdef inline void begin_check(Places* places) noexcept nogil:
    """Begin to compare the counts of all keys with the places that `find_place` counts."""
    cdef uint32_t number = places.newest
    cdef Holder* holder
    places.strays = 0
    while number:
        holder = holder_at(&places.holder_slab, number)
        memset(holder.found, 0, sizeof(holder.found))
        number = holder.next


cdef inline void find_place(Places* places, int kind, uint32_t holder) noexcept nogil:
    """Count a place that was found, and whose it is."""
    if _is_there(places, holder):
        holder_at(&places.holder_slab, holder).found[kind] += 1
    else:
        places.strays += 1


cdef inline bint _is_there(const Places* places, uint32_t holder) noexcept nogil:
    cdef const slabs.Slab* slab = &places.holder_slab
    if holder == NOBODY or holder >= slab.fresh or (slabs.ALONE and slab.blocks[holder] == NULL):
        return False
    # The key of a holder that was forgotten leads to another one, if to any.
    return hash_tables.find(&places.holders, holder_at(slab, holder).key, 0) == holder


cdef inline bint check_places(const Places* places) noexcept nogil:
    """True if each key has as many places as were found, of every kind, and no other has any."""
    cdef uint32_t number = places.newest
    cdef const Holder* holder
    cdef int kind
    while number:
        holder = holder_at(&places.holder_slab, number)
        for kind in range(PLACE_KINDS):
            if count_of(holder, kind) != holder.found[kind]:
                return False
        number = holder.next
    return places.strays == 0
