"""OCO pairs: a limit order and a stop, of which one cancels the other.

The compiled twin of hpe/core/trading/pairs.py, with its names. Accepts both legs or none, checks them
like order entry in protocol.md's order; market.pxd executes the legs. Owned by the core, used by the
thread that runs it. Nothing here takes memory: what a command may need was reserved before.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport order_index
from hpe.core.compiled._c cimport int128
from hpe.core.compiled.admission cimport barred
from hpe.core.compiled.answers cimport Response, begin_response
from hpe.core.compiled.books cimport Book, book_crosses
from hpe.core.compiled.codes cimport (
    BUY,
    EXEC_NEW,
    GTC,
    GTD,
    INSUFFICIENT_FUNDS,
    INVALID_COMBINATION,
    LIMIT,
    NONE,
    POST_ONLY_WOULD_CROSS,
    STOP,
    STOP_LIMIT,
    STOP_WOULD_TRIGGER,
    TYPE_SUBMIT_OCO,
    UNKNOWN_INSTRUMENT,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.ending cimport note_answered, part
from hpe.core.compiled.exchange_state cimport Exchange, book_of, order_at, terms_of
from hpe.core.compiled.executor cimport pair_requirement, reserve
from hpe.core.compiled.expiry cimport end_named
from hpe.core.compiled.fields cimport Request, value
from hpe.core.compiled.holders cimport Refusal
from hpe.core.compiled.kinds cimport INVALID, is_for, kind_of
from hpe.core.compiled.market cimport clear_way, rest, wait
from hpe.core.compiled.new_orders cimport (
    available_to,
    check,
    is_blocked,
    made,
    open_accounts,
    unmake,
)
from hpe.core.compiled.orders cimport Order
from hpe.core.compiled.requests cimport (
    SUBMIT_OCO_BUDGET,
    SUBMIT_OCO_EXPIRES_NS,
    SUBMIT_OCO_FLAGS,
    SUBMIT_OCO_INSTRUMENT,
    SUBMIT_OCO_LIMIT_CLIENT_ORDER_ID,
    SUBMIT_OCO_PRICE,
    SUBMIT_OCO_QUANTITY,
    SUBMIT_OCO_REQUEST_ID,
    SUBMIT_OCO_SELF_TRADE,
    SUBMIT_OCO_SIDE,
    SUBMIT_OCO_STOP_CLIENT_ORDER_ID,
    SUBMIT_OCO_STOP_LIMIT_PRICE,
    SUBMIT_OCO_STOP_PRICE,
    SUBMIT_OCO_USER,
    SUBMIT_ORDER_CLIENT_ORDER_ID,
    SUBMIT_ORDER_FLAGS,
    SUBMIT_ORDER_ORDER_TYPE,
    SUBMIT_ORDER_PRICE,
    SUBMIT_ORDER_QUANTITY,
    SUBMIT_ORDER_SELF_TRADE,
    SUBMIT_ORDER_SIDE,
    SUBMIT_ORDER_TERMS_BUDGET,
    SUBMIT_ORDER_TERMS_EXPIRES_NS,
    SUBMIT_ORDER_TERMS_STOP_PRICE,
    SUBMIT_ORDER_TIME_IN_FORCE,
)
from hpe.core.compiled.stops cimport give_turns


cdef inline void submit_oco(
    Exchange* exchange, const Context* context, const Request* command, Response* response
) noexcept nogil:
    """Accept a limit order and a stop, of which one cancels the other."""
    cdef int64_t user = value(command, SUBMIT_OCO_USER)
    cdef Book* book = book_of(exchange, value(command, SUBMIT_OCO_INSTRUMENT))
    cdef uint32_t[2] legs
    cdef Refusal no
    legs[0] = legs[1] = 0
    if user == 0:
        user = context.user
    end_named(
        exchange, user, 0, value(command, SUBMIT_OCO_LIMIT_CLIENT_ORDER_ID),
        value(command, SUBMIT_OCO_STOP_CLIENT_ORDER_ID),
    )
    if _contradicts(command):
        no = Refusal(INVALID_COMBINATION, 0)
    elif book == NULL:
        no = Refusal(UNKNOWN_INSTRUMENT, 0)
    else:
        _make_legs(exchange, context, user, command, book, legs)
        no = _accept(exchange, context, user, book, legs)
    if no.reason and legs[0]:
        unmake(exchange, legs[1])
        unmake(exchange, legs[0])
    begin_response(
        response, TYPE_SUBMIT_OCO, value(command, SUBMIT_OCO_REQUEST_ID), context.sequence,
        no.reason, no.flags,
    )
    response.fields.oco.time_ns = context.time_ns
    if no.reason == NONE:
        response.fields.oco.limit_order_id = order_at(exchange, legs[0]).order_id
        response.fields.oco.stop_order_id = order_at(exchange, legs[1]).order_id
        _carry_out(exchange, context, book, legs)


cdef inline int _stop_type(const Request* command) noexcept nogil:
    return STOP_LIMIT if value(command, SUBMIT_OCO_STOP_LIMIT_PRICE) else STOP


cdef inline int _time_in_force(const Request* command) noexcept nogil:
    return GTD if value(command, SUBMIT_OCO_EXPIRES_NS) else GTC


cdef inline bint _contradicts(const Request* command) noexcept nogil:
    """True if the fields of a pair contradict each other."""
    cdef int64_t client_order_id = value(command, SUBMIT_OCO_LIMIT_CLIENT_ORDER_ID)
    cdef int stop = kind_of(
        _stop_type(command), _time_in_force(command), value(command, SUBMIT_OCO_BUDGET)
    )
    if client_order_id and client_order_id == value(command, SUBMIT_OCO_STOP_CLIENT_ORDER_ID):
        return True
    return stop == INVALID or not is_for(stop, <int>value(command, SUBMIT_OCO_SIDE))


cdef inline void _make_legs(
    Exchange* exchange, const Context* context, int64_t user, const Request* command, Book* book,
    uint32_t* legs
) noexcept nogil:
    """Make the two orders of a pair, not yet accepted."""
    cdef Request leg
    memset(&leg, 0, sizeof(Request))
    leg.values[<int>SUBMIT_ORDER_CLIENT_ORDER_ID] = value(
        command, SUBMIT_OCO_LIMIT_CLIENT_ORDER_ID
    )
    leg.values[<int>SUBMIT_ORDER_SIDE] = value(command, SUBMIT_OCO_SIDE)
    leg.values[<int>SUBMIT_ORDER_ORDER_TYPE] = LIMIT
    leg.values[<int>SUBMIT_ORDER_TIME_IN_FORCE] = _time_in_force(command)
    leg.values[<int>SUBMIT_ORDER_PRICE] = value(command, SUBMIT_OCO_PRICE)
    leg.values[<int>SUBMIT_ORDER_QUANTITY] = value(command, SUBMIT_OCO_QUANTITY)
    leg.values[<int>SUBMIT_ORDER_FLAGS] = value(command, SUBMIT_OCO_FLAGS)
    leg.values[<int>SUBMIT_ORDER_SELF_TRADE] = value(command, SUBMIT_OCO_SELF_TRADE)
    leg.values[<int>SUBMIT_ORDER_TERMS_EXPIRES_NS] = value(command, SUBMIT_OCO_EXPIRES_NS)
    legs[0] = made(exchange, context, user, &leg, book)
    leg.values[<int>SUBMIT_ORDER_CLIENT_ORDER_ID] = value(command, SUBMIT_OCO_STOP_CLIENT_ORDER_ID)
    leg.values[<int>SUBMIT_ORDER_ORDER_TYPE] = _stop_type(command)
    leg.values[<int>SUBMIT_ORDER_PRICE] = value(command, SUBMIT_OCO_STOP_LIMIT_PRICE)
    leg.values[<int>SUBMIT_ORDER_TERMS_STOP_PRICE] = value(command, SUBMIT_OCO_STOP_PRICE)
    leg.values[<int>SUBMIT_ORDER_TERMS_BUDGET] = value(command, SUBMIT_OCO_BUDGET)
    if value(command, SUBMIT_OCO_BUDGET):
        leg.values[<int>SUBMIT_ORDER_QUANTITY] = 0
    legs[1] = made(exchange, context, user, &leg, book)
    order_at(exchange, legs[1]).order_id += 1


cdef inline Refusal _accept(
    Exchange* exchange, const Context* context, int64_t user, Book* book, const uint32_t* legs
) noexcept nogil:
    """Run all checks of a pair in order of precedence, and reserve what it needs."""
    cdef Order* limit = order_at(exchange, legs[0])
    cdef Refusal no = Refusal(barred(book, is_blocked(exchange, limit.user), False), 0)
    cdef int128 needed
    if no.reason == NONE:
        no = check(exchange, context, user, book, legs, 2)
    if no.reason == NONE:
        no.reason = _check_pair(exchange, book, limit, order_at(exchange, legs[1]))
    if no.reason:
        return no
    terms_of(exchange, limit).partner = legs[1]
    terms_of(exchange, limit).holds_pair = True
    terms_of(exchange, order_at(exchange, legs[1])).partner = legs[0]
    needed = pair_requirement(
        &exchange.executor, &book.instrument, limit, limit.price, limit.leaves
    )
    if needed > available_to(exchange, limit):
        part(exchange, limit)
        return Refusal(INSUFFICIENT_FUNDS, 0)
    open_accounts(exchange, user, book, legs, 2)
    reserve(&exchange.executor, limit, needed)
    exchange.last_order_id += 2
    return no


cdef inline int _check_pair(
    const Exchange* exchange, Book* book, const Order* limit, const Order* stop
) noexcept nogil:
    """Return the reject reason of a pair of which a leg would fire or trade on arrival."""
    cdef int64_t trigger = terms_of(exchange, stop).stop_price, last_price = book.last_price
    if last_price and (last_price >= trigger if stop.side == BUY else last_price <= trigger):
        return STOP_WOULD_TRIGGER
    if book_crosses(book, limit.side, limit.price):
        return POST_ONLY_WOULD_CROSS
    return NONE


cdef inline void _carry_out(
    Exchange* exchange, const Context* context, Book* book, const uint32_t* legs
) noexcept nogil:
    """Start both legs of an accepted pair: one rests, the other one waits."""
    cdef int leg
    for leg in range(2):
        order_index.add(&exchange.orders, legs[leg])
        note_answered(exchange, legs[leg], EXEC_NEW, 0)
    clear_way(exchange, book, order_at(exchange, legs[0]))
    rest(exchange, book, legs[0])
    wait(exchange, book, legs[1])
    give_turns(exchange, context, book, True, False)
