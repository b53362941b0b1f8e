"""Refusals: the errors that answer what is not executed, made ahead but for the request id.

The compiled twin of `error_body` in hpe/core/codec.py and of `refusal` in hpe/core/decoding/judging.py:
in an overload, most answers are refusals. The table is made once, from the codes and their texts
(tables.py), and never changes; then any thread may read it. Nothing is allocated: whoever appends a
refusal made room for ERROR_BYTES_MAX.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memcpy, memset

from hpe.core.compiled.buffers cimport (
    INTEGER_BYTES_MAX,
    Buffer,
    put_array,
    put_byte,
    put_bytes,
    put_integer,
    put_text,
)
from hpe.core.compiled.codes cimport TYPE_ERROR
from hpe.core.compiled.fields cimport NAME_BYTES_MAX, NO_ROWS, Tables
from hpe.core.compiled.judging cimport Fault

cdef enum:
    CODES = 513  # as many as the highest error code, and 0
    REFUSALS_MAX = 64
    TAIL_BYTES_MAX = 124
    ERROR_FIELDS = 10
    ERROR_BYTES_MAX = 2 + INTEGER_BYTES_MAX + TAIL_BYTES_MAX + 3 + NAME_BYTES_MAX

cdef enum RefusalCase:
    # Refusals with a text that says more than their code: ErrorCase in hpe/protocol/codes.py.
    REFUSED_BATCH_FULL = 513
    REFUSED_UNFINISHED = 514
    REFUSED_QUERIES_FULL = 515
    REFUSED_CALL_TOO_DEEP = 516
    REFUSED_LAST = 516


cdef struct RefusalText:
    # What follows the request id; an empty string at its end names no field. `fatal`: the connection
    # ends.
    uint16_t size
    uint8_t fatal
    uint8_t[TAIL_BYTES_MAX] tail


cdef struct Refusals:
    # `places` has the place of each code's and each case's text, 0 for what is none.
    RefusalText[REFUSALS_MAX] texts
    uint8_t[REFUSED_LAST + 1] places
    int count


cdef inline void make_refusals(Refusals* refusals) noexcept nogil:
    """Initialize without texts."""
    memset(refusals, 0, sizeof(Refusals))


cdef inline bint add_refusal(
    Refusals* refusals, int which, const uint8_t* tail, int64_t size, bint fatal
) noexcept nogil:
    """Add the text of a code or a case; False if there is no place for it."""
    cdef RefusalText* text
    if refusals.count + 1 >= REFUSALS_MAX or size > TAIL_BYTES_MAX or not 0 < which <= REFUSED_LAST:
        return False
    refusals.count += 1
    refusals.places[which] = <uint8_t>refusals.count
    text = &refusals.texts[refusals.count]
    text.size = <uint16_t>size
    text.fatal = fatal
    memcpy(text.tail, tail, size)
    return True


cdef inline const RefusalText* _text_of(const Refusals* refusals, int which) noexcept nogil:
    return &refusals.texts[refusals.places[which]]


cdef inline void put_refusal(
    Buffer* buffer, const Refusals* refusals, int64_t request_id, int which
) noexcept nogil:
    """Append the error that refuses a frame, of a code or a case."""
    cdef const RefusalText* text = _text_of(refusals, which)
    put_array(buffer, ERROR_FIELDS)
    put_byte(buffer, TYPE_ERROR)
    put_integer(buffer, request_id)
    put_bytes(buffer, text.tail, text.size)


cdef inline bint put_fault(
    Buffer* buffer, const Refusals* refusals, const Tables* tables, const Fault* fault
) noexcept nogil:
    """Append the error that answers a body; True if the connection goes on after it."""
    put_refusal(buffer, refusals, fault.request_id, fault.code)
    if fault.rule != NO_ROWS:
        buffer.size -= 1  # the empty string
        put_text(buffer, tables.names[fault.rule].text, tables.names[fault.rule].size)
    return not _text_of(refusals, fault.code).fatal
