"""Where the frames of a run are: its rows, made from the lengths before them.

Owned by the core, used by the thread that runs it. `make_room` for the rows is the caller's.
"""

from libc.stdint cimport int64_t, uint8_t

from hpe.core.compiled.codes cimport TYPE_SUBSCRIBE
from hpe.core.compiled.core_state cimport Row
from hpe.protocol._frames cimport PREFIX_BYTES, head_of, length_at

cdef enum:
    NOT_WHOLE = -1


cdef inline int64_t count_frames(const uint8_t* frames, int64_t size) noexcept nogil:
    """Return how many frames there are, NOT_WHOLE if the bytes end inside one."""
    cdef int64_t position = 0, count = 0
    while size - position >= PREFIX_BYTES:
        position += PREFIX_BYTES + <int64_t>length_at(frames + position)
        count += 1
    return count if position == size else NOT_WHOLE


cdef inline int64_t cut_frames(const uint8_t* frames, int64_t count, Row* rows) noexcept nogil:
    """Set the rows of so many whole frames; return how many of them subscribe."""
    cdef int64_t position = 0, place, subscribes = 0
    for place in range(count):
        rows[place].start = position + PREFIX_BYTES
        rows[place].end = rows[place].start + <int64_t>length_at(frames + position)
        position = rows[place].end
        if head_of(frames + rows[place].start, frames + position).kind == TYPE_SUBSCRIBE:
            subscribes += 1
    return subscribes
