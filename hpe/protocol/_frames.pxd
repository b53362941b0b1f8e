"""Heads of frames, read in C: the layout that frames.py draws, for every compiled module.

Owns the functions that look at the bytes of a frame, to be included where they are used: the
compiler then sees one unit. They are pure, hold no lock and allocate nothing; any thread may call
them. They guarantee to read nothing outside the bytes that they are given, and load no word at an
address that is no multiple of its size. They rely on the caller for the classes of types.
"""

from libc.stdint cimport INT64_MAX, int8_t, int16_t, int32_t, int64_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef enum:
    PREFIX_BYTES = 4
    FIXARRAY = 0x90
    ARRAY16 = 0xDC
    UINT8 = 0xCC
    INT64 = 0xD3
    TYPES = 0x80  # types are smaller: positive fixints
    WITHOUT_TYPE = -1
    WITHOUT_CLASS = 0


cdef struct Head:
    int kind  # the type, or WITHOUT_TYPE
    int64_t request_id  # 0 if none can be read


cdef struct Frame:
    Py_ssize_t start  # of the body
    Py_ssize_t end
    Head head
    int admission


cdef inline uint64_t big_endian(const uint8_t* at, int size) noexcept nogil:
    """Return the unsigned number in `size` bytes, the highest byte first."""
    cdef uint64_t number = 0
    cdef int index
    for index in range(size):
        number = number << 8 | at[index]
    return number


cdef inline uint32_t length_at(const uint8_t* at) noexcept nogil:
    """Return the length in a prefix."""
    return <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3]


cdef inline int64_t read_integer(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Return the integer behind a first byte of 0xcc-0xd3; -1 if cut, negative or above 63 bits."""
    cdef int power = (at[0] - UINT8) & 3
    cdef bint signed = at[0] - UINT8 >= 4
    cdef int size = 1 << power
    cdef uint64_t number
    if end - at <= size:
        return -1
    number = big_endian(at + 1, size)
    if signed and number >> (8 * size - 1):
        return -1
    return <int64_t>number if number <= <uint64_t>INT64_MAX else -1


cdef inline int64_t read_request_id(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Return the number at `at` if it can be a request id, else 0."""
    cdef int64_t number
    if at >= end:
        return 0
    if at[0] < TYPES:
        return at[0]
    if at[0] < UINT8 or at[0] > INT64:
        return 0
    number = read_integer(at, end)
    return number if number > 0 else 0


cdef inline Head head_of(const uint8_t* body, const uint8_t* end) noexcept nogil:
    """Return the type and the request id of a body."""
    cdef Head head = Head(WITHOUT_TYPE, 0)
    cdef const uint8_t* type_at
    if body >= end:
        return head
    if body[0] & 0xF0 == FIXARRAY:
        type_at = body + 1
    elif body[0] == ARRAY16 and end - body > 3:
        type_at = body + 3
    else:
        return head
    if type_at >= end or type_at[0] >= TYPES:
        return head
    head.kind = type_at[0]
    head.request_id = read_request_id(type_at + 1, end)
    return head


cdef inline bint find_frame(
    const uint8_t* buffer,
    Py_ssize_t position,
    Py_ssize_t end,
    const int64_t* lengths,
    const uint8_t* classes,
    Frame* found,
) noexcept nogil:
    """Find the frame whose prefix is at `position`.

    Args:
        buffer: the bytes.
        position: where the frame begins.
        end: where the bytes end.
        lengths: the smallest and the largest one of a body.
        classes: the admission classes of types, by number.
        found: where the frame is, and what it is; undefined if there is none.

    Returns:
        False if it is not whole, or has a bad length.
    """
    cdef int64_t length
    if end - position < PREFIX_BYTES:
        return False
    length = length_at(buffer + position)
    if length > end - position - PREFIX_BYTES or not lengths[0] <= length <= lengths[1]:
        return False
    found.start = position + PREFIX_BYTES
    found.end = found.start + <Py_ssize_t>length
    found.head = head_of(buffer + found.start, buffer + found.end)
    found.admission = WITHOUT_CLASS if found.head.kind < 0 else classes[found.head.kind]
    return True
