"""Keys that may log on: which are valid, and in which roles.

The compiled twin of `valid_keys` in hpe/core/sessions/registry.py. Owned by the core, used by the
thread that runs it. `reserve_keys` alone may fail; `allow_key` relies on it. `keys_differ` alone
holds the interpreter's lock.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport hash_tables, slabs


cdef struct ValidKey:
    # A key that may log on, in its role; `next` is another one.
    int64_t number
    int role
    uint32_t next


cdef struct Keys:
    # `known`: False until a command has said which keys are valid; until then all are.
    slabs.Slab slab
    hash_tables.HashTable by_number
    uint32_t first
    bint known


cdef inline void make_keys(Keys* keys, uint64_t seed) noexcept nogil:
    """Initialize without keys; they must not move afterwards."""
    memset(keys, 0, sizeof(Keys))
    slabs.make_slab(&keys.slab, sizeof(ValidKey))
    hash_tables.make_table(&keys.by_number, seed, &keys.slab, hash_tables.begins_with_one)


cdef inline void free_keys(Keys* keys) noexcept nogil:
    """Free all memory."""
    hash_tables.free_table(&keys.by_number)
    slabs.free_slab(&keys.slab)


cdef inline bint reserve_keys(Keys* keys, int64_t more) noexcept nogil:
    """Make sure that so many keys can be allowed; False if there is no memory."""
    return slabs.reserve(&keys.slab, more) and hash_tables.reserve_places(&keys.by_number, more)


cdef inline ValidKey* _key_at(const Keys* keys, uint32_t number) noexcept nogil:
    return <ValidKey*>slabs.record(&keys.slab, number)


cdef inline bint is_valid(const Keys* keys, int64_t key, int role) noexcept nogil:
    """True if a key may log on in a role; 0 stands for none where no keys are required."""
    cdef uint32_t number
    if key == 0 or not keys.known:
        return True
    number = hash_tables.find(&keys.by_number, key, 0)
    return number != 0 and _key_at(keys, number).role == role


cdef inline bint keys_differ(const Keys* keys, dict wanted) except -1:
    """True if other keys than these, with their roles by number, are valid so far."""
    if not keys.known or keys.slab.count != len(wanted):
        return True
    for number, role in wanted.items():
        if not is_valid(keys, number, role):
            return True
    return False


cdef inline void forget_keys(Keys* keys) noexcept nogil:
    """Let no key be valid; those that are follow."""
    cdef uint32_t number
    while keys.first:
        number = keys.first
        keys.first = _key_at(keys, number).next
        hash_tables.remove(&keys.by_number, _key_at(keys, number).number, 0)
        slabs.give_back(&keys.slab, number)
    keys.known = True


cdef inline void allow_key(Keys* keys, int64_t key, int role) noexcept nogil:
    """Let a key be valid in a role, and in no other one."""
    cdef uint32_t number = hash_tables.find(&keys.by_number, key, 0)
    cdef ValidKey* allowed
    if number == 0:
        number = slabs.take(&keys.slab)
        allowed = _key_at(keys, number)
        allowed.number, allowed.next = key, keys.first
        keys.first = number
        hash_tables.add(&keys.by_number, key, 0, number)
    _key_at(keys, number).role = role
