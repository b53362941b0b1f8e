"""The log body of a batch: what is written to the log, and read again to replay it.

The compiled twin of `encode_body` in hpe/core/codec.py, which says what is in it. Owned by the core,
used by the thread that runs it. It fails only where there is no memory; then nothing was appended.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled.batch_work cimport BatchWork, Logged
from hpe.core.compiled.buffers cimport (
    INTEGER_BYTES_MAX,
    Buffer,
    make_room,
    put_array,
    put_binary_header,
    put_bytes,
    put_integer,
)

cdef enum:
    BODY_BYTES_MAX = 1 + 5 * INTEGER_BYTES_MAX  # without groups and trades: numbers and headers
    GROUP_BYTES_MAX = 1 + 3 * INTEGER_BYTES_MAX  # without the frames


cdef inline int64_t logged_count(const BatchWork* work) noexcept nogil:
    """Return how many stretches of frames were logged."""
    return work.logged.size // <int64_t>sizeof(Logged)


cdef inline int64_t group_end(const BatchWork* work, int64_t first, int64_t* size) noexcept nogil:
    """Return the end of the group that begins with a stretch: neighbors of one session share it.

    `size` is set to that of its frames.
    """
    cdef const Logged* logged = <const Logged*>work.logged.data
    cdef int64_t place = first, count = logged_count(work)
    size[0] = 0
    while place < count and logged[place].session_id == logged[first].session_id:
        size[0] += logged[place].size
        place += 1
    return place


cdef inline bint encode_body(
    Buffer* body, const BatchWork* work, uint32_t output_digest
) noexcept nogil:
    """Append the log body of a batch; False if there is no memory."""
    cdef int64_t place = 0, groups = 0, size = 0, frames = 0, count = logged_count(work)
    while place < count:
        place = group_end(work, place, &size)
        groups += 1
        frames += size
    size = BODY_BYTES_MAX + groups * GROUP_BYTES_MAX + frames + work.trades.size
    if not make_room(body, size):
        return False
    put_array(body, 5)
    put_integer(body, work.first_sequence)
    put_integer(body, work.time_ns)
    put_array(body, groups)
    place = 0
    while place < count:
        place = _put_group(body, work, place)
    put_array(body, work.trade_count)
    put_bytes(body, work.trades.data, work.trades.size)
    put_integer(body, output_digest)
    return True


cdef inline int64_t _put_group(
    Buffer* body, const BatchWork* work, int64_t first
) noexcept nogil:
    """Append the group that begins with a stretch of frames; return the next one's first."""
    cdef const Logged* logged = <const Logged*>work.logged.data
    cdef int64_t size = 0, place
    cdef int64_t end = group_end(work, first, &size)
    put_array(body, 3)
    put_integer(body, logged[first].session_id)
    put_integer(body, logged[first].user)
    put_binary_header(body, size)
    for place in range(first, end):
        put_bytes(body, logged[place].frames, logged[place].size)
    return end
