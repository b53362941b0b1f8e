"""One session: its identity, its permissions, and the responses it remembers.

The compiled twin of hpe/core/sessions/session.py. Owned by the core, used by the thread that runs
it. A session finds its responses by a ring of numbers, oldest first, which doubles as it fills. A
response stands in cells of one slab that all sessions share: whatever their lengths, cells that one
session gives back serve any other, and no response is an allocation of its own.

Bytes per remembered response: 64 for each cell, 4 to 8 of the ring. One cell has a response of up
to 40 bytes, two up to 100, three up to 160, four one of RESPONSE_BYTES_MAX: 68 to 264 in all. For
1,048,576 responses that is at most 264 MiB, however they came and went.

`reserve_ring` alone may fail; `remember` relies on it, and on CELLS_MAX cells for each response, which
the caller reserves for all sessions of a batch together.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from hpe.core.compiled.buffers cimport Buffer, put_bytes
from hpe.core.compiled.codes cimport ERROR_ID_REUSED, ERROR_NOT_EXECUTED, ERROR_STALE_ID
from hpe.core.compiled.fields cimport Request
from hpe.core.compiled.ordered cimport Node
from hpe.core.compiled.permissions cimport Permissions, permitted
from hpe.core.compiled.slabs cimport Slab, give_back, record, take

cdef enum:
    RESPONSE_BYTES_MAX = 192
    FIRST_BYTES = 40  # of a response, in its first cell
    MORE_BYTES = 60  # in each further one
    CELLS_MAX = 4
    RING_MIN = 16  # a session's least room


cdef struct Remembered:
    # One executed command, the first cell of its response; length and CRC-32 of its body tell a
    # repeat from a reused id. `more` is the next cell.
    int64_t request_id
    uint32_t length
    uint32_t crc
    uint32_t more
    uint32_t size
    uint8_t[FIRST_BYTES] response


cdef struct More:
    # A further cell of a response.
    uint32_t more
    uint8_t[MORE_BYTES] response


cdef struct Session:
    # See Session in hpe/core/sessions/session.py. `place` orders it among those that may give way;
    # `next_operator` and `next_gone` are links of lists in room.pxd. `ring` has the responses:
    # `count` numbers from `oldest` on, of `ring_size` places, a power of two.
    Node place
    int64_t session_id
    int64_t user
    int64_t user_first
    int64_t user_last
    int64_t key
    int64_t last_request_id
    int64_t attach_number
    int64_t detached_ns
    int64_t grace_ms
    uint32_t* ring
    uint32_t ring_size
    uint32_t oldest
    uint32_t count
    uint32_t window
    uint32_t next_operator
    uint32_t next_gone
    int8_t role


cdef inline bint may(
    const Session* session, const Permissions* permissions, const Request* request
) noexcept nogil:
    """True if its role and its users permit a request."""
    return permitted(
        permissions, session.role, session.user_first, session.user_last, session.user, request
    )


cdef inline int64_t grace_ns(const Session* session) noexcept nogil:
    """Return how long a connection may be lost before the session's orders are canceled."""
    return session.grace_ms * 1_000_000


cdef inline bint reserve_ring(Session* session, int64_t more) noexcept nogil:
    """Make sure that the ring has places for this many more; False if there is no memory."""
    cdef int64_t needed = min(session.count + more, <int64_t>session.window)
    cdef int64_t size = session.ring_size if session.ring_size else RING_MIN
    cdef uint32_t* ring
    cdef uint32_t at
    while size < needed:
        size *= 2
    if size == session.ring_size:
        return True
    ring = <uint32_t*>malloc(size * sizeof(uint32_t))
    if ring == NULL:
        return False
    for at in range(session.count):
        ring[at] = number_at(session, at)
    free(session.ring)
    session.ring = ring
    session.ring_size = <uint32_t>size
    session.oldest = 0
    return True


cdef inline uint32_t number_at(const Session* session, uint32_t index) noexcept nogil:
    """Return the number of a remembered response, by its place from the oldest on."""
    return session.ring[(session.oldest + index) & (session.ring_size - 1)]


cdef inline Remembered* remembered_at(
    const Slab* cells, const Session* session, uint32_t index
) noexcept nogil:
    """Return a remembered response, by its place from the oldest on."""
    return <Remembered*>record(cells, number_at(session, index))


cdef inline void remember(
    Slab* cells, Session* session, int64_t request_id, uint32_t length, uint32_t crc,
    const uint8_t* response, uint32_t size
) noexcept nogil:
    """Remember a response of at most RESPONSE_BYTES_MAX; a full window forgets its oldest."""
    cdef uint32_t number, more, done, part
    cdef Remembered* entry
    cdef uint32_t* link
    if session.count == session.window:
        forget_oldest(cells, session)
    number = take(cells)
    entry = <Remembered*>record(cells, number)
    entry.request_id, entry.length, entry.crc, entry.size = request_id, length, crc, size
    done = min(size, <uint32_t>FIRST_BYTES)
    memcpy(entry.response, response, done)
    link = &entry.more
    while done < size:
        more = take(cells)
        part = min(size - done, <uint32_t>MORE_BYTES)
        memcpy((<More*>record(cells, more)).response, response + done, part)
        link[0] = more
        link = &(<More*>record(cells, more)).more
        done += part
    session.ring[(session.oldest + session.count) & (session.ring_size - 1)] = number
    session.count += 1
    session.last_request_id = request_id


cdef inline void forget_oldest(Slab* cells, Session* session) noexcept nogil:
    """Return the cells of the oldest response, which exists, to the slab."""
    cdef uint32_t number = number_at(session, 0)
    cdef uint32_t more = (<Remembered*>record(cells, number)).more
    give_back(cells, number)
    while more:
        number = more
        more = (<More*>record(cells, number)).more
        give_back(cells, number)
    session.oldest = (session.oldest + 1) & (session.ring_size - 1)
    session.count -= 1


cdef inline void forget_all(Slab* cells, Session* session) noexcept nogil:
    """Return everything that a session remembers to the slab; its record goes next."""
    while session.count:
        forget_oldest(cells, session)
    free(session.ring)
    session.ring = NULL
    session.ring_size = session.oldest = 0


cdef inline int recall(
    const Slab* cells, const Session* session, int64_t request_id, uint32_t length, uint32_t crc,
    const Remembered** found
) noexcept nogil:
    """Answer a request id at or below the last one: set what is remembered, and return 0.

    Returns the code that says why there is none, if there is none.
    """
    cdef uint32_t low = 0, high = session.count, middle
    if high == 0 or request_id < remembered_at(cells, session, 0).request_id:
        return ERROR_STALE_ID
    while low < high:
        middle = (low + high) // 2
        if remembered_at(cells, session, middle).request_id < request_id:
            low = middle + 1
        else:
            high = middle
    found[0] = remembered_at(cells, session, low)
    if found[0].request_id != request_id:
        return ERROR_NOT_EXECUTED
    if found[0].length != length or found[0].crc != crc:
        return ERROR_ID_REUSED
    return 0


cdef inline void put_response(
    Buffer* buffer, const Slab* cells, const Remembered* entry
) noexcept nogil:
    """Append a remembered response; there is room for RESPONSE_BYTES_MAX."""
    cdef uint32_t left = entry.size, more = entry.more
    cdef uint32_t part = min(left, <uint32_t>FIRST_BYTES)
    put_bytes(buffer, entry.response, part)
    left -= part
    while left:
        part = min(left, <uint32_t>MORE_BYTES)
        put_bytes(buffer, (<const More*>record(cells, more)).response, part)
        more = (<const More*>record(cells, more)).more
        left -= part
