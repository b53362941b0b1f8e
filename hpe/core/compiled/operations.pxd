"""Operator commands: market states and auctions, fees, the kill switch.

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
    FEES_BELOW_ZERO,
    INVALID_COMBINATION,
    NONE,
    NO_CALL,
    TYPE_BLOCK_USER,
    TYPE_SET_FEES,
    TYPE_SET_STATUS,
    TYPE_UNCROSS,
    UNKNOWN_INSTRUMENT,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.effort cimport ROW, charge
from hpe.core.compiled.exchange_state cimport Exchange, book_of, order_at, terms_at
from hpe.core.compiled.fees cimport (
    FeeRates,
    LowestRates,
    can_go_below_zero,
    include_own_rates,
    include_rates,
    rates_of,
    remove_own,
    set_own,
)
from hpe.core.compiled.fields cimport Request, is_nil, value
from hpe.core.compiled.holders cimport Refusal
from hpe.core.compiled.interruptions cimport keep_call
from hpe.core.compiled.ladders cimport Ladder, Level, best, worse
from hpe.core.compiled.ordered cimport Tree
from hpe.core.compiled.orders cimport Order, Terms
from hpe.core.compiled.parties cimport NO_ASSET, admit, party_refusal
from hpe.core.compiled.requests cimport (
    BLOCK_USER_BLOCKED,
    BLOCK_USER_REQUEST_ID,
    BLOCK_USER_USER,
    SET_FEES_INSTRUMENT,
    SET_FEES_MAKER_FEE_PPM,
    SET_FEES_REQUEST_ID,
    SET_FEES_TAKER_FEE_PPM,
    SET_FEES_USER,
    SET_STATUS_INSTRUMENT,
    SET_STATUS_REQUEST_ID,
    SET_STATUS_STATUS,
    UNCROSS_INSTRUMENT,
    UNCROSS_NEXT_STATUS,
    UNCROSS_REQUEST_ID,
)
from hpe.core.compiled.turns cimport work_of
from hpe.core.compiled.waiting cimport Trail, WaitingSide, group_at
from hpe.core.compiled.work cimport Work, next_queued


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


# --- fees -----------------------------------------------------------------------------------------


cdef inline void set_fees(
    Exchange* exchange, const Context* context, const Request* command, Response* response
) noexcept nogil:
    """Set the rates of an instrument, or of one user on it, for orders accepted from now on."""
    cdef Refusal no = _set_fees(exchange, context, command)
    begin_response(
        response, TYPE_SET_FEES, value(command, SET_FEES_REQUEST_ID), context.sequence, no.reason,
        no.flags,
    )


cdef inline Refusal _set_fees(
    Exchange* exchange, const Context* context, const Request* command
) noexcept nogil:
    cdef bint removes = is_nil(command, SET_FEES_MAKER_FEE_PPM)
    cdef int64_t user = value(command, SET_FEES_USER)
    cdef Book* book = book_of(exchange, value(command, SET_FEES_INSTRUMENT))
    cdef Refusal no = Refusal(NONE, 0)
    cdef FeeRates rates
    if removes != is_nil(command, SET_FEES_TAKER_FEE_PPM) or (removes and user == 0):
        return Refusal(INVALID_COMBINATION, 0)
    if book == NULL:
        return Refusal(UNKNOWN_INSTRUMENT, 0)
    if removes:
        remove_own(&book.fees, user)
        return no
    rates = rates_of(
        value(command, SET_FEES_MAKER_FEE_PPM), value(command, SET_FEES_TAKER_FEE_PPM)
    )
    charge(&exchange.effort, ROW, count_orders(exchange, book) + book.fees.own_count)
    if rates_go_below_zero(exchange, book, rates, user):
        return Refusal(FEES_BELOW_ZERO, 0)
    if user == 0:
        book.fees.common = rates
        return no
    no = party_refusal(&exchange.parties, context, user, NO_ASSET, NO_ASSET, False)
    if no.reason == NONE:  # users are bounded, and so are their rates
        admit(&exchange.parties, context.holder, user, NO_ASSET, NO_ASSET)
        set_own(&book.fees, user, rates)
    return no


cdef inline bint rates_go_below_zero(
    const Exchange* exchange, const Book* book, FeeRates rates, int64_t user
) noexcept nogil:
    """True if new rates (user 0: the common ones), with others, could cost the house money.

    The rates of open orders count as well. Cost: O(open orders) of the instrument.
    """
    cdef LowestRates lowest = LowestRates(rates.maker, rates.taker)
    cdef const Work* work = work_of(&exchange.turns, book)
    cdef uint32_t number
    if user:
        include_rates(&lowest, book.fees.common.maker, book.fees.common.taker)
    include_own_rates(&lowest, &book.fees, user)
    _include_resting(exchange, &lowest, &book.bids)
    _include_resting(exchange, &lowest, &book.asks)
    _include_waiting(exchange, &lowest, &book.triggers.buys)
    _include_waiting(exchange, &lowest, &book.triggers.sells)
    number = next_queued(work, &exchange.work_slabs, 0) if work != NULL else 0
    while number:
        _include_order(exchange, &lowest, terms_at(exchange, number).order)
        number = next_queued(work, &exchange.work_slabs, number)
    return can_go_below_zero(&lowest)


cdef inline void _include_order(
    const Exchange* exchange, LowestRates* lowest, uint32_t number
) noexcept nogil:
    cdef const Order* order = order_at(exchange, number)
    include_rates(lowest, order.maker_ppm, order.taker_ppm)


cdef inline void _include_resting(
    const Exchange* exchange, LowestRates* lowest, const Ladder* ladder
) noexcept nogil:
    """Let the rates of a side's orders count."""
    cdef const Level* level = best(ladder)
    cdef uint32_t number
    while level != NULL:
        number = level.head
        while number:
            _include_order(exchange, lowest, number)
            number = order_at(exchange, number).next
        level = worse(ladder, level)


cdef inline void _include_waiting(
    const Exchange* exchange, LowestRates* lowest, const WaitingSide* waiting
) noexcept nogil:
    """Let the rates of a side's stops count: the fixed ones, and those that trail."""
    cdef uint32_t number = waiting.trails.least
    cdef const Trail* group
    _include_stops(exchange, lowest, &waiting.fixed)
    while number:
        group = group_at(waiting, number)
        _include_stops(exchange, lowest, &group.stops)
        number = group.node.next


cdef inline void _include_stops(
    const Exchange* exchange, LowestRates* lowest, const Tree* stops
) noexcept nogil:
    cdef uint32_t number = stops.least
    cdef const Terms* terms
    while number:
        terms = terms_at(exchange, number)
        _include_order(exchange, lowest, terms.order)
        number = terms.node.next


cdef inline int64_t count_orders(const Exchange* exchange, const Book* book) noexcept nogil:
    """Return the number of open orders of an instrument, stops included."""
    return book.bids.count + book.asks.count + count_stops(exchange, book)


cdef inline int64_t count_stops(const Exchange* exchange, const Book* book) noexcept nogil:
    """Return the number of an instrument's stops that have not had their turn."""
    cdef const Work* work = work_of(&exchange.turns, book)
    return book.triggers.count + (work.queued if work != NULL else 0)
