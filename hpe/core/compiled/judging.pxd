"""From bytes to a request, or to the error that says what is wrong with them.

The compiled twin of hpe/core/decoding/judging.py. There the library that decodes is asked first;
here one reading does both, so every request is decoded by what judges it. Pure functions over bytes
that the caller keeps alive; nothing is allocated.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from hpe.core.compiled._c cimport read16, read32, read64
from hpe.core.compiled.fields cimport (
    NO_ROWS,
    TYPES,
    Request,
    Rule,
    Tables,
    is_in_range,
    read_fields,
)
from hpe.core.compiled.wellformed cimport BOOL, INTEGER, Value, read_value, value_end


cdef enum Verdict:
    # The codes of ErrorCode; a test compares them.
    GOOD = 0
    BAD_MESSAGEPACK = 101
    EMPTY_FRAME = 102
    TRAILING_BYTES = 103
    NOT_AN_ARRAY = 104
    UNKNOWN_TYPE = 110
    BAD_FIELD = 111


cdef struct Fault:
    # What is wrong: `code` is GOOD or the error; `request_id` is 0 if there is no usable one;
    # `rule` is the wrong field's, NO_ROWS for none.
    int code
    int rule
    int64_t request_id


cdef inline bint judge(
    const Tables* tables, const uint8_t* body, int64_t size, Request* request, Fault* fault
) noexcept nogil:
    """Decode a body and check every field; False if it is no request, and `fault` says why."""
    cdef Value header
    cdef int64_t end, first
    cdef int kind
    fault.request_id = 0
    fault.rule = NO_ROWS
    fault.code = EMPTY_FRAME
    if size == 0:
        return False
    fault.code = BAD_MESSAGEPACK
    end = value_end(body, size, 0)
    if end < 0:
        return False
    fault.code = TRAILING_BYTES
    if end < size:
        return False
    fault.code = NOT_AN_ARRAY
    if body[0] & 0xF0 != 0x90 and body[0] != 0xDC:
        return False
    fault.code = UNKNOWN_TYPE
    read_value(body, size, 0, &header)
    if header.number == 0:
        return False
    first = value_end(body, size, header.end)
    if header.number > 1:
        fault.request_id = _request_id(body, size, first)
    kind = body[header.end]
    if kind >= TYPES or tables.messages[kind] == NO_ROWS:
        return False
    fault.code = BAD_FIELD
    request[0] = tables.absent[kind]
    if read_fields(
        tables, tables.messages[kind], body, size, first, header.number - 1, request, &fault.rule
    ) < 0:
        return False
    fault.code = GOOD
    return True


cdef inline bint decode_request(
    const Tables* tables, const uint8_t* body, int64_t size, Request* request, Fault* fault
) noexcept nogil:
    """Decode a body and check every field; False if it is no request, and `fault` says why.

    Most requests have integers alone, in their shortest forms; everything else is judged.
    """
    fault.code = GOOD
    if decode_plain(tables, body, size, request):
        return True
    return judge(tables, body, size, request, fault)


cdef inline bint decode_plain(
    const Tables* tables, const uint8_t* body, int64_t size, Request* request
) noexcept nogil:
    """Decode a good request that has integers, bools and nils alone; False if it is another one.

    Never reads beyond the body, and accepts nothing that `judge` refuses.
    """
    cdef int64_t at = 2, number
    cdef int count, slot, first
    cdef const Rule* rule
    cdef const Request* absent
    if size < 2 or body[0] & 0xF0 != 0x90:
        if size < 4 or body[0] != 0xDC or body[1]:
            return False
        at, count = 4, body[2]
    else:
        count = body[0] & 0x0F
    request.kind = body[at - 1]
    if request.kind >= TYPES or tables.messages[request.kind] == NO_ROWS:
        return False
    count -= 1
    if not 0 <= count <= tables.rows[tables.messages[request.kind]].count:
        return False
    absent = &tables.absent[request.kind]
    rule = &tables.rules[tables.rows[tables.messages[request.kind]].first]
    request.nulls = absent.nulls
    request.size = absent.size
    for slot in range(count):
        if at >= size:
            return False
        first = body[at]
        if rule.kind == INTEGER and first != 0xC0:
            at = _read_plain(body, size, at, &number)
            if at < 0 or not is_in_range(rule, number):
                return False
        elif rule.kind == BOOL and first & 0xFE == 0xC2:
            number = first & 1
            at += 1
        elif first == 0xC0 and rule.nullable:
            number = absent.values[slot]
            request.nulls |= <uint64_t>1 << slot
            at += 1
        else:
            return False
        if first != 0xC0:
            request.nulls &= ~(<uint64_t>1 << slot)
        request.values[slot] = number
        rule += 1
    if at != size:
        return False
    for slot in range(count, tables.rows[tables.messages[request.kind]].count):
        if rule.required:
            return False
        request.values[slot] = absent.values[slot]
        rule += 1
    for slot in range(tables.rows[tables.messages[request.kind]].count, absent.size):
        request.values[slot] = absent.values[slot]
    return True


cdef inline int64_t _read_plain(
    const uint8_t* body, int64_t size, int64_t at, int64_t* number
) noexcept nogil:
    """Read an integer from 0 on in an unsigned form; return where it ends, -1 for another value."""
    cdef int first = body[at]
    at += 1
    if first < 0x80:
        number[0] = first
        return at
    if first == 0xCD and at + 2 <= size:
        number[0] = read16(body + at)
        return at + 2
    if first == 0xCE and at + 4 <= size:
        number[0] = read32(body + at)
        return at + 4
    if first == 0xCC and at < size:
        number[0] = body[at]
        return at + 1
    if first == 0xCF and at + 8 <= size and body[at] < 0x80:
        number[0] = <int64_t>read64(body + at)
        return at + 8
    return -1


cdef inline int64_t _request_id(const uint8_t* body, int64_t size, int64_t position) noexcept nogil:
    """Return the request id for the error, 0 if there is no usable one."""
    cdef Value value
    cdef bint usable
    read_value(body, size, position, &value)
    usable = value.kind == INTEGER and not value.beyond and value.number > 0
    return value.number if usable else 0
