"""Answers: the responses of commands, what they say, and recalled ones.

The compiled twin of hpe/core/trading/answers.py, and of the responses in hpe/protocol. A response is
a small value: whoever executes a command begins it and sets its fields, the core then reports what
happened, and appends the response's bytes after that. Owned by the core, used by the thread that runs
it. Nothing is allocated: there is room for RESPONSE_BYTES_MAX, and for ERROR_BYTES_MAX where a command
may be refused.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

from hpe.core.compiled._c cimport crc32
from hpe.core.compiled.buffers cimport Buffer, put_message
from hpe.core.compiled.codes cimport (
    FLAG_DUPLICATE,
    FLAG_UNCHANGED,
    REJECTED,
    TYPE_ADD_ASSET,
    TYPE_ADD_INSTRUMENT,
    TYPE_BLOCK_USER,
    TYPE_CANCEL_ORDER,
    TYPE_CAPTURE_HOLD,
    TYPE_DELIST_ASSET,
    TYPE_DELIST_INSTRUMENT,
    TYPE_DEPOSIT,
    TYPE_LOCK_BALANCE,
    TYPE_MASS_CANCEL,
    TYPE_RELEASE_HOLD,
    TYPE_REPLACE_ORDER,
    TYPE_RESOLVE_INSTRUMENT,
    TYPE_SESSION_ATTACHED,
    TYPE_SET_FEES,
    TYPE_SET_STATUS,
    TYPE_SUBMIT_OCO,
    TYPE_SUBMIT_ORDER,
    TYPE_TRANSFER,
    TYPE_UNCROSS,
    TYPE_UNLOCK_BALANCE,
    TYPE_WITHDRAW,
)
from hpe.core.compiled.orders cimport Order, Traded, status, traded_of
from hpe.core.compiled.refusals cimport (
    REFUSED_BATCH_FULL,
    REFUSED_UNFINISHED,
    Refusals,
    put_refusal,
)
from hpe.core.compiled.session cimport Remembered, Session, put_response, recall
from hpe.core.compiled.slabs cimport Slab

cdef enum:
    REJECT_REASON_MAX = 100  # higher reasons say why an accepted order was canceled
    RESPONSE_FIELDS_MAX = 14


cdef struct Heading:
    # What every response begins with. Like all structs of responses here, it has the fields of the
    # message, in their order.
    int64_t request_id
    int64_t flags
    int64_t sequence
    int64_t reason


cdef struct OrderResponse:
    Heading heading
    int64_t time_ns
    int64_t status
    int64_t order_id
    int64_t leaves
    int64_t cum
    int64_t canceled
    int64_t quote_total
    int64_t fill_count
    int64_t first_trade_id
    int64_t fee_total


cdef struct OcoResponse:
    Heading heading
    int64_t time_ns
    int64_t limit_order_id
    int64_t stop_order_id


cdef struct MassCancelResponse:
    Heading heading
    int64_t canceled
    int64_t remaining


cdef struct LockResponse:
    # Also of the other commands that move money.
    Heading heading
    int64_t asset
    int64_t available
    int64_t reserved
    int64_t held


cdef struct HoldResponse:
    # Of capture_hold and release_hold.
    Heading heading
    int64_t hold_id
    int64_t asset
    int64_t remaining
    int64_t available
    int64_t reserved
    int64_t held


cdef struct UncrossResponse:
    Heading heading
    int64_t time_ns
    int64_t price
    int64_t volume


cdef struct NumberResponse:
    # Of commands that answer with one number: the id of an asset or an instrument, open orders of a
    # user, a status.
    Heading heading
    int64_t number


cdef struct SessionAttachedResponse:
    # The error stands in the place of the reason.
    Heading heading
    int64_t session_id
    int64_t window
    int64_t last_request_id
    int64_t private_sequence
    int64_t limit
    int64_t time_ns


cdef union Fields:
    Heading heading
    OrderResponse order
    OcoResponse oco
    MassCancelResponse mass_cancel
    LockResponse lock
    HoldResponse hold
    UncrossResponse uncross
    NumberResponse number
    SessionAttachedResponse attached
    int64_t[RESPONSE_FIELDS_MAX] values


cdef struct Response:
    # A response of a type of command.
    int kind
    Fields fields


cdef inline int field_count(int kind) noexcept nogil:
    """Return how many fields the response to a type of command has."""
    if kind == TYPE_SUBMIT_ORDER or kind == TYPE_CANCEL_ORDER or kind == TYPE_REPLACE_ORDER:
        return 14
    if kind == TYPE_CAPTURE_HOLD or kind == TYPE_RELEASE_HOLD or kind == TYPE_SESSION_ATTACHED:
        return 10
    if (
        kind == TYPE_LOCK_BALANCE or kind == TYPE_UNLOCK_BALANCE or kind == TYPE_DEPOSIT
        or kind == TYPE_WITHDRAW or kind == TYPE_TRANSFER
    ):
        return 8
    if kind == TYPE_SUBMIT_OCO or kind == TYPE_UNCROSS:
        return 7
    if kind == TYPE_MASS_CANCEL:
        return 6
    if (
        kind == TYPE_ADD_ASSET or kind == TYPE_ADD_INSTRUMENT or kind == TYPE_RESOLVE_INSTRUMENT
        or kind == TYPE_BLOCK_USER or kind == TYPE_SET_STATUS
    ):
        return 5
    if kind == TYPE_SET_FEES or kind == TYPE_DELIST_ASSET or kind == TYPE_DELIST_INSTRUMENT:
        return 4
    return 3  # internal commands have no reason


cdef inline void begin_response(
    Response* response, int kind, int64_t request_id, int64_t sequence, int reason, int flags
) noexcept nogil:
    """Begin a response to a type of command; every field that is its own is 0."""
    memset(&response.fields, 0, sizeof(Fields))
    response.kind = kind
    response.fields.heading.request_id = request_id
    response.fields.heading.flags = flags
    response.fields.heading.sequence = sequence
    response.fields.heading.reason = reason


cdef inline void encode_response(Buffer* buffer, const Response* response) noexcept nogil:
    """Append the body of a response."""
    put_message(buffer, response.kind, response.fields.values, field_count(response.kind))


cdef inline bint is_cancel(const Response* response) noexcept nogil:
    """True if it is a response to a cancel: those that change nothing are counted apart."""
    return response.kind == TYPE_CANCEL_ORDER or response.kind == TYPE_MASS_CANCEL


cdef inline bint changed_nothing(const Response* response) noexcept nogil:
    """True if an executed command changed nothing that lasts.

    That is: it was rejected, its order ended at once without a fill, or it was a mass cancel of
    nothing or a replace that changed nothing. Creating instruments by resolving is bounded
    elsewhere, so it always counts as a change.
    """
    cdef const OrderResponse* order = &response.fields.order
    cdef int64_t reason = response.fields.heading.reason
    if 0 < reason <= REJECT_REASON_MAX:
        return True
    if response.kind == TYPE_SUBMIT_ORDER:
        return reason > 0 and order.leaves == 0 and order.cum == 0
    if response.kind == TYPE_REPLACE_ORDER:
        return response.fields.heading.flags & FLAG_UNCHANGED != 0
    if response.kind == TYPE_MASS_CANCEL:
        return response.fields.mass_cancel.canceled == 0
    return response.kind == TYPE_RESOLVE_INSTRUMENT


cdef inline void order_rejected(
    Response* response, int kind, int64_t request_id, int64_t sequence, int64_t time_ns, int reason,
    int flags
) noexcept nogil:
    """Set a rejection, which changes nothing."""
    begin_response(response, kind, request_id, sequence, reason, flags)
    response.fields.order.time_ns = time_ns
    response.fields.order.status = REJECTED


cdef inline void order_response(
    Response* response, int kind, int64_t request_id, int64_t sequence, int64_t time_ns,
    const Order* order, const Slab* traded, int64_t fill_count, int64_t last_trade_id
) noexcept nogil:
    """Set a response with the order as it is now and the fills of this command.

    `last_trade_id` is the book's.
    """
    cdef OrderResponse* said = &response.fields.order
    cdef Traded totals = traded_of(traded, order)
    begin_response(response, kind, request_id, sequence, order.reason, 0)
    said.time_ns, said.status, said.order_id = time_ns, status(order), order.order_id
    said.leaves, said.cum = order.leaves, order.cum
    said.canceled = order.quantity - order.leaves - order.cum
    said.quote_total, said.fee_total = totals.quote_total, totals.fee_total
    said.fill_count = fill_count
    said.first_trade_id = last_trade_id - fill_count + 1 if fill_count else 0


cdef inline void put_not_executed(
    Buffer* buffer, const Refusals* refusals, const Slab* cells, const Session* session,
    int64_t request_id, const uint8_t* body, int64_t size, int admit, bint full
) noexcept nogil:
    """Append the answer to a command that is not executed now: a repeat, or a refused one.

    A command that was executed is never refused: that would say that it was not executed.
    """
    if request_id <= session.last_request_id:
        _put_recalled(buffer, refusals, cells, session, request_id, body, size)
    elif admit:
        put_refusal(buffer, refusals, request_id, admit)
    else:
        put_refusal(
            buffer, refusals, request_id, REFUSED_BATCH_FULL if full else REFUSED_UNFINISHED
        )


cdef inline void _put_recalled(
    Buffer* buffer, const Refusals* refusals, const Slab* cells, const Session* session,
    int64_t request_id, const uint8_t* body, int64_t size
) noexcept nogil:
    """Append the answer to a request id that was already used or skipped."""
    cdef const Remembered* found
    cdef int64_t start = buffer.size
    cdef int code = recall(cells, session, request_id, size, crc32(body, size, 0), &found)
    if code:
        put_refusal(buffer, refusals, request_id, code)
        return
    put_response(buffer, cells, found)
    set_flag(buffer.data + start, FLAG_DUPLICATE)


cdef inline void set_flag(uint8_t* body, int flag) noexcept nogil:
    """Set a flag of an encoded response and change nothing else."""
    cdef int form = body[2]  # of the request id, behind header and type: fewer than 16 fields
    if form < 0x80:
        body[3] |= flag
    else:
        body[3 + (1 << (form & 3))] |= flag
