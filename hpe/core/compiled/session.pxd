"""One session: its identity, its permissions, and the responses it remembers.

The compiled twin of hpe/core/sessions/session.py. Owned by the core, used by the thread that runs
it. A session finds its responses by a ring of numbers, oldest first, which doubles as it fills. A
response stands in cells of one slab that all sessions share: whatever their lengths, cells that one
session gives back serve any other, and no response is an allocation of its own.

Bytes per remembered response: 64 for each cell, 4 to 8 of the ring. One cell has a response of up
to 53 bytes, two up to 113, three up to 173, four one of RESPONSE_BYTES_MAX. No command has a
response of more than 113 bytes, and most of those of orders take one cell: 68 to 136 in all,
however the responses came and went.

`reserve_ring` alone may fail; `remember` relies on it, and on CELLS_MAX cells for each response,
which the caller reserves for all sessions of a batch together.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from hpe.core.compiled.buffers cimport Buffer, put_bytes
from hpe.core.compiled.codes cimport ERROR_ID_REUSED, ERROR_NOT_EXECUTED, ERROR_STALE_ID
from hpe.core.compiled.fields cimport Request
from hpe.core.compiled.ordered cimport Node
from hpe.core.compiled.permissions cimport Permissions, permitted
from hpe.core.compiled.slabs cimport Slab, give_back, record, take
from hpe.core.compiled.wellformed cimport Value, read_value

cdef enum:
    RESPONSE_BYTES_MAX = 192
    FIRST_BYTES = 53  # of a response, in its first cell
    MORE_BYTES = 60  # in each further one
    CELLS_MAX = 4
    RING_MIN = 16  # a session's least room

cdef enum:
    ALL_SESSIONS = 0  # the lists that a session is in; see registry.pxd
    REVOKED_SESSIONS = 1
    LISTS = 2


cdef struct Remembered:
    # One executed command, the first cell of its response, which begins with type and request id;
    # length and CRC-32 of its body tell a repeat from a reused id. `more` is the next cell.
    uint32_t more
    uint32_t crc
    uint16_t length
    uint8_t size
    uint8_t[FIRST_BYTES] response


cdef struct More:
    # A further cell of a response.
    uint32_t more
    uint8_t[MORE_BYTES] response


cdef struct Links:
    # The neighbors in a list.
    uint32_t previous
    uint32_t next


cdef struct Ends:
    # The first and the last session of a list.
    uint32_t first
    uint32_t last


cdef struct Session:
    # See Session in hpe/core/sessions/session.py. `place` orders it among those that may give way;
    # `next_operator` and `next_gone` are links of lists in room.pxd, `links` of those in
    # registry.pxd. `ring` has the responses: `count` numbers from `oldest` on, of `ring_size`
    # places, a power of two.
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
    Links[LISTS] links
    int8_t role
    uint8_t flags
    bint is_revoked


cdef inline void append(Slab* sessions, Ends* ends, int of, uint32_t number) noexcept nogil:
    """Add a session, which is in no list of this kind, as the last."""
    cdef Links* links = _links(sessions, of, number)
    links.previous, links.next = ends.last, 0
    if ends.last:
        _links(sessions, of, ends.last).next = number
    else:
        ends.first = number
    ends.last = number


cdef inline void unlink(Slab* sessions, Ends* ends, int of, uint32_t number) noexcept nogil:
    """Remove a session from the list of this kind that it is in."""
    cdef Links* links = _links(sessions, of, number)
    if links.previous:
        _links(sessions, of, links.previous).next = links.next
    else:
        ends.first = links.next
    if links.next:
        _links(sessions, of, links.next).previous = links.previous
    else:
        ends.last = links.previous


cdef inline Links* _links(Slab* sessions, int of, uint32_t number) noexcept nogil:
    return &(<Session*>record(sessions, number)).links[of]


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


cdef inline int64_t request_id_of(const Remembered* entry) noexcept nogil:
    """Return the request id of a remembered response, `[type, request_id, flags, ...]`."""
    cdef Value value
    memset(&value, 0, sizeof(Value))
    read_value(entry.response, FIRST_BYTES, 0, &value)
    read_value(entry.response, FIRST_BYTES, value.end + 1, &value)  # the type is one byte
    return value.number


cdef inline void remember(
    Slab* cells, Session* session, int64_t request_id, uint16_t length, uint32_t crc,
    const uint8_t* response, uint32_t size
) noexcept nogil:
    """Remember the response with this id, of RESPONSE_BYTES_MAX at most.

    A full window forgets its oldest.
    """
    cdef uint32_t number, more, done, part
    cdef Remembered* entry
    cdef uint32_t* link
    if session.count == session.window:
        forget_oldest(cells, session)
    number = take(cells)
    entry = <Remembered*>record(cells, number)
    entry.length, entry.crc, entry.size = length, crc, <uint8_t>size
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
    const Slab* cells, const Session* session, int64_t request_id, int64_t length, uint32_t crc,
    const Remembered** found
) noexcept nogil:
    """Answer a request id at or below the last one: set what is remembered, and return 0.

    Returns the code that says why there is none, if there is none.
    """
    cdef uint32_t low = 0, high = session.count, middle
    if high == 0 or request_id < request_id_of(remembered_at(cells, session, 0)):
        return ERROR_STALE_ID
    while low < high:
        middle = (low + high) // 2
        if request_id_of(remembered_at(cells, session, middle)) < request_id:
            low = middle + 1
        else:
            high = middle
    found[0] = remembered_at(cells, session, low)
    if request_id_of(found[0]) != request_id:
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
