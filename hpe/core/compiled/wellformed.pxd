"""What is well-formed MessagePack: one walk over the bytes, without a schema.

The compiled twin of hpe/core/decoding/wellformed.py, with its names in its order. Pure functions
over bytes that the caller keeps alive; nothing is allocated, and no function calls itself.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint64_t

from hpe.core.compiled._c cimport read16, read32, read64

cdef enum:
    DEPTH_MAX = 8

cdef enum ValueKind:
    NIL = 0
    BOOL = 1
    INTEGER = 2
    FLOAT = 3
    STRING = 4
    BINARY = 5
    EXTENSION = 6
    ARRAY = 7
    MAP = 8


cdef struct Value:
    # `number` is the integer (0 or 1 for a bool), the elements of an array, the keys and values of
    # a map. `beyond`: the integer is above the signed 64-bit range, and `number` means nothing.
    # `start` to `end` is the content of a string, a binary or an extension; else `end` is the
    # offset after the header.
    int kind
    bint beyond
    int64_t number
    int64_t start
    int64_t end


cdef inline bint read_value(
    const uint8_t* body, int64_t size, int64_t position, Value* value
) noexcept nogil:
    """Read the value at a position, of a container its header; False if it is malformed."""
    cdef int first, form
    cdef int64_t start = position + 1
    value.beyond = False
    value.number = 0
    if position >= size:
        return False
    first = body[position]
    if first < 0x80 or first >= 0xE0:
        value.kind = INTEGER
        value.number = first if first < 0x80 else first - 256
    elif first < 0x90:
        value.kind = MAP
        value.number = 2 * (first & 0x0F)
    elif first < 0xA0:
        value.kind = ARRAY
        value.number = first & 0x0F
    elif first < 0xC0:
        return _content(body, size, STRING, start, first & 0x1F, value)
    elif first == 0xC0:
        value.kind = NIL
    elif first == 0xC1:
        return False
    elif first < 0xC4:
        value.kind = BOOL
        value.number = first & 1
    elif first == 0xCA or first == 0xCB:
        return _content(body, size, FLOAT, start, 4 << (first - 0xCA), value)
    elif 0xD4 <= first <= 0xD8:
        return _content(body, size, EXTENSION, start + 1, 1 << (first - 0xD4), value)
    else:
        return _read_long(body, size, first, start, value)
    value.start = value.end = start
    return True


cdef inline bint _read_long(
    const uint8_t* body, int64_t size, int first, int64_t start, Value* value
) noexcept nogil:
    """Read a value whose number or length stands behind its first byte."""
    cdef int power
    cdef int64_t number
    if first <= 0xC9:
        power = (first - 0xC4) % 3
    elif first <= 0xD3:
        power = first & 3
    elif first <= 0xDB:
        power = first - 0xD9
    else:
        power = 1 + (first & 1)
    if start + (1 << power) > size:
        return False
    number = _unsigned(body + start, power)
    start += 1 << power
    if first <= 0xC6:
        return _content(body, size, BINARY, start, number, value)
    if first <= 0xC9:
        return _content(body, size, EXTENSION, start + 1, number, value)
    if 0xD9 <= first <= 0xDB:
        return _content(body, size, STRING, start, number, value)
    if first <= 0xCF:
        value.kind = INTEGER
        value.beyond = power == 3 and number < 0
    elif first <= 0xD3:
        value.kind = INTEGER
        number = _signed(number, power)
    elif first <= 0xDD:
        value.kind = ARRAY
    else:
        value.kind = MAP
        number *= 2
    value.number = number
    value.start = value.end = start
    return True


cdef inline int64_t _unsigned(const uint8_t* at, int power) noexcept nogil:
    """Return the number of 2^power bytes; of eight bytes, the same bits."""
    if power == 0:
        return at[0]
    if power == 1:
        return read16(at)
    if power == 2:
        return read32(at)
    return <int64_t>read64(at)


cdef inline int64_t _signed(int64_t number, int power) noexcept nogil:
    if power == 0:
        return <int8_t>number
    if power == 1:
        return <int16_t>number
    if power == 2:
        return <int32_t>number
    return number


cdef inline bint _content(
    const uint8_t* body, int64_t size, int kind, int64_t start, int64_t length, Value* value
) noexcept nogil:
    value.kind = kind
    value.start = start
    value.end = start + length
    if value.end > size:
        return False
    return kind != STRING or _is_utf8(body + start, length)


cdef inline int64_t value_end(const uint8_t* body, int64_t size, int64_t position) noexcept nogil:
    """Return the offset after the value at a position and all in it, -1 if it is not well-formed.

    Nested deeper than DEPTH_MAX is not well-formed.
    """
    cdef int64_t[DEPTH_MAX + 1] missing  # for each open container, the values still to come
    cdef int depth = 1
    cdef Value value
    missing[0] = 1
    while depth:
        if missing[depth - 1] == 0:
            depth -= 1
            continue
        missing[depth - 1] -= 1
        if not read_value(body, size, position, &value):
            return -1
        position = value.end
        if value.kind >= ARRAY:
            if depth > DEPTH_MAX:
                return -1
            missing[depth] = value.number
            depth += 1
    return position


cdef inline bint _is_utf8(const uint8_t* text, int64_t size) noexcept nogil:
    """True for UTF-8 as RFC 3629 has it: shortest forms, no surrogates, up to U+10FFFF."""
    cdef int64_t at = 0
    cdef int more, low, high
    while at < size:
        if text[at] < 0x80:
            at += 1
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= text[at] <= 0xDF:
            more = 1
        elif 0xE0 <= text[at] <= 0xEF:
            more = 2
            if text[at] == 0xE0:
                low = 0xA0
            elif text[at] == 0xED:
                high = 0x9F
        elif 0xF0 <= text[at] <= 0xF4:
            more = 3
            if text[at] == 0xF0:
                low = 0x90
            elif text[at] == 0xF4:
                high = 0x8F
        else:
            return False
        if at + more >= size or not low <= text[at + 1] <= high:
            return False
        at += 2
        while more > 1:
            if text[at] & 0xC0 != 0x80:
                return False
            at += 1
            more -= 1
    return True


cdef inline int64_t code_points(const uint8_t* text, int64_t size) noexcept nogil:
    """Return the number of code points of UTF-8."""
    cdef int64_t at, count = 0
    for at in range(size):
        count += text[at] & 0xC0 != 0x80
    return count
