"""Decode the fields of requests by table: find the wrong one, or store all values.

The compiled twin of hpe/core/decoding/fields.py; its order of judgment is the reference's. The
tables are made from the registry of messages (tables.py) and never change afterwards; everything
else is a pure function over bytes that the caller keeps alive. Nothing is allocated.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint64_t

from hpe.core.compiled.wellformed cimport (
    ARRAY,
    BINARY,
    BOOL,
    INTEGER,
    NIL,
    STRING,
    Value,
    code_points,
    read_value,
)

cdef enum:
    TYPES = 128
    RULES_MAX = 400  # of all messages together
    ROWS_MAX = 64
    SLOTS_MAX = 32  # values of one request
    NAME_BYTES_MAX = 56  # of a field, with the array that it stands in
    NO_ROWS = -1


cdef struct Rule:
    # What one element may be; see Rule in hpe/core/decoding/fields.py. `allowed` has a bit for each
    # number that an integer may be, 0 if `low` and `high` bound it. `rows` are the fields of an
    # array, `item` the rule of a list's elements; NO_ROWS for none. The value goes to `slot`; inside
    # a list nothing is stored: slot -1.
    int64_t low
    int64_t high
    uint64_t allowed
    int32_t multiple_of
    int16_t rows
    int16_t item
    int16_t slot
    int8_t kind
    uint8_t nullable
    uint8_t required
    uint8_t printable


cdef struct Name:
    # Of a field, with the array's before it: "terms.trail".
    int size
    uint8_t[NAME_BYTES_MAX] text


cdef struct Rows:
    # Consecutive rules: the fields of one message, or of one array inside a message.
    int first
    int count


cdef struct Request:
    # A decoded request of `size` values, first those of its own fields, in order, then those of the
    # arrays inside. An integer or a bool is its value; a string or a binary is where it stands,
    # start << 32 | end; an array is where its first element stands, and how many it has, likewise.
    # `nulls` has a bit for each slot whose value is nil.
    int kind
    int size
    uint64_t nulls
    int64_t[SLOTS_MAX] values


cdef struct Tables:
    # `names` are those of the rules' fields. `messages` has the rows of each type, NO_ROWS for none,
    # and `absent` the request whose fields are all missing.
    Rule[RULES_MAX] rules
    Name[RULES_MAX] names
    Rows[ROWS_MAX] rows
    int[TYPES] messages
    Request[TYPES] absent


cdef inline int64_t value(const Request* request, int slot) noexcept nogil:
    """Return the value of a slot; those of commands are named in requests.pxd."""
    return request.values[slot]


cdef inline bint is_nil(const Request* request, int slot) noexcept nogil:
    """True if the value of a slot is nil."""
    return request.nulls >> slot & 1


cdef inline int64_t read_fields(
    const Tables* tables, int rows, const uint8_t* body, int64_t size, int64_t position,
    int64_t count, Request* request, int* wrong
) noexcept nogil:
    """Read `count` consecutive values of a well-formed body into a request.

    Returns the offset after the last one, or -1: `wrong` is then the number of the wrong field's
    rule, or NO_ROWS for an excess one.
    """
    cdef int number = tables.rows[rows].first
    cdef int after = number + tables.rows[rows].count
    cdef int64_t left = count
    while number < after and left > 0:
        position = _read(tables, number, body, size, position, request, wrong)
        if position < 0:
            return -1
        number += 1
        left -= 1
    while number < after:
        if tables.rules[number].required:
            wrong[0] = number
            return -1
        number += 1
    if left > 0:
        wrong[0] = NO_ROWS
        return -1
    return position


cdef inline int64_t _read(
    const Tables* tables, int number, const uint8_t* body, int64_t size, int64_t position,
    Request* request, int* wrong
) noexcept nogil:
    """Read one field: check its type, then its range, then its content."""
    cdef const Rule* rule = &tables.rules[number]
    cdef Value value
    cdef int64_t stored
    wrong[0] = number
    if not read_value(body, size, position, &value):
        return -1  # not reached: the body is well-formed
    if value.kind == NIL and rule.nullable:
        if rule.slot >= 0:
            request.nulls |= <uint64_t>1 << rule.slot
        return value.end
    if value.kind != rule.kind:
        return -1
    if value.kind == ARRAY:
        return _read_array(tables, rule, body, size, &value, request, wrong)
    if value.kind == STRING or value.kind == BINARY:
        if not _is_good_text(rule, body, &value):
            return -1
        stored = value.start << 32 | value.end
    else:
        if value.kind == INTEGER and (value.beyond or not is_in_range(rule, value.number)):
            return -1
        stored = value.number
    if rule.slot >= 0:
        request.values[rule.slot] = stored
        request.nulls &= ~(<uint64_t>1 << rule.slot)
    return value.end


cdef inline int64_t _read_array(
    const Tables* tables, const Rule* rule, const uint8_t* body, int64_t size, const Value* value,
    Request* request, int* wrong
) noexcept nogil:
    """Read an array of fields, or a list; `wrong` is the array's own rule for excess fields."""
    cdef int own = wrong[0]
    cdef int64_t position = value.end, left = value.number
    if rule.slot >= 0:
        request.values[rule.slot] = value.end << 32 | value.number
        request.nulls &= ~(<uint64_t>1 << rule.slot)
    if rule.rows != NO_ROWS:
        position = read_fields(tables, rule.rows, body, size, position, left, request, wrong)
        if position < 0 and wrong[0] == NO_ROWS:
            wrong[0] = own
        return position
    while left > 0 and position >= 0:
        position = _read(tables, rule.item, body, size, position, request, wrong)
        left -= 1
    return position


cdef inline bint is_in_range(const Rule* rule, int64_t number) noexcept nogil:
    """True if an integer is in its range, or is one of those allowed."""
    if rule.allowed:
        return 0 <= number < 64 and rule.allowed >> number & 1
    if not rule.low <= number <= rule.high:
        return False
    return rule.multiple_of == 1 or number % rule.multiple_of == 0


cdef inline bint _is_good_text(
    const Rule* rule, const uint8_t* body, const Value* value
) noexcept nogil:
    """True if a string has the right number of code points and characters, a binary of bytes."""
    cdef int64_t at, length = value.end - value.start
    if value.kind == STRING:
        length = code_points(body + value.start, length)
    if not rule.low <= length <= rule.high:
        return False
    if rule.printable:
        for at in range(value.start, value.end):
            if not 0x21 <= body[at] <= 0x7E:
                return False
    return True
