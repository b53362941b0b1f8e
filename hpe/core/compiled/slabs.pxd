"""Slabs: records of one kind, named by 32-bit numbers, in blocks that never move.

Owned by the core, used by the thread that runs it. A number stands for a record until it is given
back; 0 stands for none. Growth adds blocks, at the head of a batch and for all that it may need:
`reserve` alone may fail, and then nothing changed. It counts every record that is taken, even if as
many are returned in between. Pointers to records stay good, since no block moves. A record that was
just taken is all zeros.

With HPE_SANITIZE, every record is an allocation of its own, freed when it is given back, and no
number is used twice: a sanitizer sees the use of a record that is gone. The process is then aborted
where a record is taken, or a key added to a table, that was not reserved (`need`).
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset

cdef extern from *:
    """
    #ifdef HPE_SANITIZE
    #include <stdio.h>
    #include <stdlib.h>
    #define HPE_BLOCK_SHIFT 0
    #define HPE_ALONE 1
    #define HPE_NEED(has_room) do { \\
        if (!(has_room)) { \\
            fprintf(stderr, "%s:%d: nothing was reserved\\n", __FILE__, __LINE__); \\
            abort(); \\
        } \\
    } while (0)
    #else
    #define HPE_BLOCK_SHIFT 9
    #define HPE_ALONE 0
    #define HPE_NEED(has_room) ((void)0)
    #endif
    """
    void need "HPE_NEED"(bint has_room) noexcept nogil
    const int BLOCK_SHIFT "HPE_BLOCK_SHIFT"  # a block has 2^BLOCK_SHIFT records
    const bint ALONE "HPE_ALONE"


cdef struct Slab:
    # `count` records are taken; numbers below `fresh` were used before. `given_back` is the newest
    # record that was given back, and each of them names the one before in its first bytes.
    uint8_t** blocks
    int64_t record_bytes
    uint32_t block_count
    uint32_t count
    uint32_t fresh
    uint32_t given_back


cdef inline void make_slab(Slab* slab, int64_t record_bytes) noexcept nogil:
    """Initialize an empty slab of records of this size, at least 4 bytes."""
    memset(slab, 0, sizeof(Slab))
    slab.record_bytes = record_bytes
    slab.fresh = 1


cdef inline void* record(const Slab* slab, uint32_t number) noexcept nogil:
    """Return the record of a number, which is not 0."""
    return slab.blocks[number >> BLOCK_SHIFT] + (
        number & ((1 << BLOCK_SHIFT) - 1)
    ) * slab.record_bytes


cdef inline int64_t unused(const Slab* slab) noexcept nogil:
    """Return how many records can be taken without growth."""
    cdef int64_t in_all = <int64_t>slab.block_count << BLOCK_SHIFT
    if in_all == 0:
        return 0
    return in_all - slab.fresh if ALONE else in_all - 1 - slab.count


cdef inline bint reserve(Slab* slab, int64_t more) noexcept nogil:
    """Make sure that this many records can be taken; False if there is no memory."""
    cdef uint8_t** blocks
    cdef int64_t missing = more - unused(slab)
    cdef int64_t added, place
    if missing <= 0:
        return True
    added = ((missing + (slab.block_count == 0) - 1) >> BLOCK_SHIFT) + 1
    if (slab.block_count + added) << BLOCK_SHIFT > <int64_t>0xFFFFFFFF:
        return False
    blocks = <uint8_t**>realloc(slab.blocks, (slab.block_count + added) * sizeof(uint8_t*))
    if blocks == NULL:
        return False
    slab.blocks = blocks
    for place in range(added):
        blocks[slab.block_count] = <uint8_t*>malloc(slab.record_bytes << BLOCK_SHIFT)
        if blocks[slab.block_count] == NULL:
            return False
        slab.block_count += 1
    return True


cdef inline uint32_t take(Slab* slab) noexcept nogil:
    """Take a record; it was reserved."""
    cdef uint32_t number = slab.given_back
    need(unused(slab) > 0)
    if number == 0:
        number = slab.fresh
        slab.fresh += 1
    else:
        slab.given_back = (<uint32_t*>record(slab, number))[0]
    memset(record(slab, number), 0, slab.record_bytes)
    slab.count += 1
    return number


cdef inline void give_back(Slab* slab, uint32_t number) noexcept nogil:
    """Return a record to the slab; nothing may use it afterward."""
    if ALONE:
        free(slab.blocks[number])
        slab.blocks[number] = NULL
        slab.count -= 1
        return
    (<uint32_t*>record(slab, number))[0] = slab.given_back
    slab.given_back = number
    slab.count -= 1


cdef inline void free_slab(Slab* slab) noexcept nogil:
    """Free all memory."""
    cdef uint32_t place
    for place in range(slab.block_count):
        free(slab.blocks[place])
    free(slab.blocks)
    make_slab(slab, slab.record_bytes)
