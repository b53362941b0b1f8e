"""Operator commands: market states and auctions, the kill switch.

The compiled twin of hpe/core/trading/operations.py, with its names. Rejects are tested in the order
of protocol.md's lists, and a rejected command changes nothing. Owned by the core, used by the thread
that runs it. Nothing here takes memory: what a command may need was reserved before.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport calls
from hpe.core.compiled.accounts cimport find_user, user_at
from hpe.core.compiled.answers cimport Response, begin_response
from hpe.core.compiled.auction cimport Clearing
from hpe.core.compiled.books cimport Book
from hpe.core.compiled.codes cimport (
    CALL_AUCTION,
    CALL_OPEN,
    NONE,
    NO_CALL,
    TYPE_BLOCK_USER,
    TYPE_SET_STATUS,
    TYPE_UNCROSS,
    UNKNOWN_INSTRUMENT,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.exchange_state cimport Exchange, book_of
from hpe.core.compiled.fields cimport Request, value
from hpe.core.compiled.holders cimport Refusal
from hpe.core.compiled.interruptions cimport keep_call
from hpe.core.compiled.parties cimport NO_ASSET, admit, party_refusal
from hpe.core.compiled.requests cimport (
    BLOCK_USER_BLOCKED,
    BLOCK_USER_REQUEST_ID,
    BLOCK_USER_USER,
    SET_STATUS_INSTRUMENT,
    SET_STATUS_REQUEST_ID,
    SET_STATUS_STATUS,
    UNCROSS_INSTRUMENT,
    UNCROSS_NEXT_STATUS,
    UNCROSS_REQUEST_ID,
)


cdef inline void set_status(
    Exchange* exchange, const Context* context, const Request* command, Response* response
) noexcept nogil:
    """Set what may be done with an instrument's orders; a call ends only by uncross."""
    cdef Book* book = book_of(exchange, value(command, SET_STATUS_INSTRUMENT))
    cdef int wanted = <int>value(command, SET_STATUS_STATUS), reason = NONE, status = 0
    if book == NULL:
        reason = UNKNOWN_INSTRUMENT
    elif book.status == CALL_AUCTION and wanted != CALL_AUCTION:
        reason, status = CALL_OPEN, CALL_AUCTION
    else:
        status = wanted
        keep_call(exchange, book)
        if book.status != wanted:
            calls.set_status(exchange, context, book, wanted)
    begin_response(
        response, TYPE_SET_STATUS, value(command, SET_STATUS_REQUEST_ID), context.sequence, reason, 0
    )
    response.fields.number.number = status


cdef inline void uncross(
    Exchange* exchange, const Context* context, const Request* command, Response* response
) noexcept nogil:
    """End a call: trade what crosses at one price, then go on in the next status."""
    cdef Book* book = book_of(exchange, value(command, UNCROSS_INSTRUMENT))
    cdef Clearing found = Clearing(0, 0, 0)
    cdef int reason = NONE
    if book == NULL:
        reason = UNKNOWN_INSTRUMENT
    elif book.status != CALL_AUCTION:
        reason = NO_CALL
    else:
        calls.uncross(
            exchange, context, book, <int>value(command, UNCROSS_NEXT_STATUS), &found
        )
    begin_response(
        response, TYPE_UNCROSS, value(command, UNCROSS_REQUEST_ID), context.sequence, reason, 0
    )
    response.fields.uncross.time_ns = context.time_ns
    response.fields.uncross.price = found.price
    response.fields.uncross.volume = found.volume


cdef inline void block_user(
    Exchange* exchange, const Context* context, const Request* command, Response* response
) noexcept nogil:
    """Refuse new orders of a user, or allow them again."""
    cdef int64_t user = value(command, BLOCK_USER_USER), count = 0
    cdef bint blocked = value(command, BLOCK_USER_BLOCKED) != 0
    cdef uint32_t theirs = find_user(&exchange.balances, user)
    cdef Refusal no = Refusal(NONE, 0)
    if theirs == 0 and blocked:
        no = party_refusal(&exchange.parties, context, user, NO_ASSET, NO_ASSET, False)
        if no.reason == NONE:
            theirs = admit(&exchange.parties, context.holder, user, NO_ASSET, NO_ASSET)
    if theirs:
        user_at(&exchange.balances, theirs).blocked = blocked
        count = user_at(&exchange.balances, theirs).orders.count
    begin_response(
        response, TYPE_BLOCK_USER, value(command, BLOCK_USER_REQUEST_ID), context.sequence,
        no.reason, no.flags,
    )
    response.fields.number.number = count
