"""Output bytes: a buffer that grows, and MessagePack in its shortest forms.

Owned by the core, used by the thread that runs it; the allocator is the C library's, so nothing
here needs the interpreter's lock. `make_room` alone may fail; every `put` relies on the room that
was made before it. With HPE_SANITIZE, a buffer has no byte more than the most room that was ever
made in it: a sanitizer sees what is put behind that.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from hpe.core.compiled._c cimport write16, write32, write64
from hpe.core.compiled.slabs cimport ALONE

cdef enum:
    INTEGER_BYTES_MAX = 9  # of any integer, and of an array's header
    PREFIX_BYTES = 4  # of a frame
    BUFFER_BYTES_MIN = 4096


cdef struct Buffer:
    uint8_t* data
    int64_t size
    int64_t capacity


cdef inline bint make_room(Buffer* buffer, int64_t more) noexcept nogil:
    """Make room for this many bytes; False if there is no memory, and nothing changed."""
    cdef int64_t capacity = buffer.capacity
    cdef uint8_t* data
    if buffer.size + more <= capacity:
        return True
    if capacity < BUFFER_BYTES_MIN:
        capacity = BUFFER_BYTES_MIN
    while capacity < buffer.size + more:
        capacity *= 2
    if ALONE:
        capacity = buffer.size + more
    data = <uint8_t*>realloc(buffer.data, capacity)
    if data == NULL:
        return False
    buffer.data = data
    buffer.capacity = capacity
    return True


cdef inline void free_buffer(Buffer* buffer) noexcept nogil:
    """Free the memory; the buffer is then empty and can be used again."""
    free(buffer.data)
    buffer.data = NULL
    buffer.size = 0
    buffer.capacity = 0


cdef inline void put_bytes(Buffer* buffer, const uint8_t* data, int64_t size) noexcept nogil:
    """Append bytes as they are; without any, there need be no memory."""
    if size:
        memcpy(buffer.data + buffer.size, data, size)
        buffer.size += size


cdef inline void put_byte(Buffer* buffer, int byte) noexcept nogil:
    """Append one byte: nil, a bool, a fixint or an array's header of up to 15 elements."""
    buffer.data[buffer.size] = <uint8_t>byte
    buffer.size += 1


cdef inline void put_nil(Buffer* buffer) noexcept nogil:
    """Append nil."""
    put_byte(buffer, 0xC0)


cdef inline void put_bool(Buffer* buffer, bint value) noexcept nogil:
    """Append a bool."""
    put_byte(buffer, 0xC2 | value)


cdef inline uint8_t* write_integer(uint8_t* at, int64_t number) noexcept nogil:
    """Write an integer in its shortest form; return where it ends."""
    if number < 0:
        return _write_negative(at, number)
    if number < 0x80:
        at[0] = <uint8_t>number
        return at + 1
    if number <= 0xFF:
        at[0] = 0xCC
        at[1] = <uint8_t>number
        return at + 2
    if number <= 0xFFFF:
        at[0] = 0xCD
        write16(at + 1, <uint16_t>number)
        return at + 3
    if number <= <int64_t>0xFFFFFFFF:
        at[0] = 0xCE
        write32(at + 1, <uint32_t>number)
        return at + 5
    at[0] = 0xCF
    write64(at + 1, <uint64_t>number)
    return at + 9


cdef inline uint8_t* _write_negative(uint8_t* at, int64_t number) noexcept nogil:
    if number >= -0x20:
        at[0] = <uint8_t>number
        return at + 1
    if number >= -0x80:
        at[0] = 0xD0
        at[1] = <uint8_t>number
        return at + 2
    if number >= -0x8000:
        at[0] = 0xD1
        write16(at + 1, <uint16_t>number)
        return at + 3
    if number >= -<int64_t>0x80000000:
        at[0] = 0xD2
        write32(at + 1, <uint32_t>number)
        return at + 5
    at[0] = 0xD3
    write64(at + 1, <uint64_t>number)
    return at + 9


cdef inline void put_integer(Buffer* buffer, int64_t number) noexcept nogil:
    """Append an integer in its shortest form."""
    buffer.size = write_integer(buffer.data + buffer.size, number) - buffer.data


cdef inline void put_message(
    Buffer* buffer, int kind, const int64_t* values, int64_t count
) noexcept nogil:
    """Append a message that has integers alone: its type, then these."""
    cdef int64_t place
    cdef uint8_t* at
    put_array(buffer, count + 1)
    put_byte(buffer, kind)
    at = buffer.data + buffer.size
    for place in range(count):
        at = write_integer(at, values[place])
    buffer.size = at - buffer.data


cdef inline void put_frame(Buffer* buffer, const uint8_t* body, int64_t size) noexcept nogil:
    """Append a frame: the length of a body, and the body."""
    write32(buffer.data + buffer.size, <uint32_t>size)
    buffer.size += PREFIX_BYTES
    put_bytes(buffer, body, size)


cdef inline int64_t begin_frame(Buffer* buffer) noexcept nogil:
    """Leave room for the length of a frame, whose body follows; return where it begins."""
    buffer.size += PREFIX_BYTES
    return buffer.size - PREFIX_BYTES


cdef inline void end_frame(Buffer* buffer, int64_t start) noexcept nogil:
    """Write the length of the frame that began there."""
    write32(buffer.data + start, <uint32_t>(buffer.size - start - PREFIX_BYTES))


cdef inline void put_array(Buffer* buffer, int64_t count) noexcept nogil:
    """Append the header of an array."""
    cdef uint8_t* at = buffer.data + buffer.size
    if count < 16:
        at[0] = 0x90 | <uint8_t>count
        buffer.size += 1
    elif count <= 0xFFFF:
        at[0] = 0xDC
        write16(at + 1, <uint16_t>count)
        buffer.size += 3
    else:
        at[0] = 0xDD
        write32(at + 1, <uint32_t>count)
        buffer.size += 5


cdef inline void put_text(Buffer* buffer, const uint8_t* text, int64_t size) noexcept nogil:
    """Append a string of at most 65,535 bytes of UTF-8."""
    cdef uint8_t* at = buffer.data + buffer.size
    if size < 32:
        at[0] = 0xA0 | <uint8_t>size
        buffer.size += 1
    elif size <= 0xFF:
        at[0] = 0xD9
        at[1] = <uint8_t>size
        buffer.size += 2
    else:
        at[0] = 0xDA
        write16(at + 1, <uint16_t>size)
        buffer.size += 3
    put_bytes(buffer, text, size)


cdef inline void put_binary_header(Buffer* buffer, int64_t size) noexcept nogil:
    """Append the header of a value of so many bytes, which follow."""
    cdef uint8_t* at = buffer.data + buffer.size
    if size <= 0xFF:
        at[0] = 0xC4
        at[1] = <uint8_t>size
        buffer.size += 2
    elif size <= 0xFFFF:
        at[0] = 0xC5
        write16(at + 1, <uint16_t>size)
        buffer.size += 3
    else:
        at[0] = 0xC6
        write32(at + 1, <uint32_t>size)
        buffer.size += 5
