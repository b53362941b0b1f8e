"""Order entry: submit and cancel.

The compiled twin of hpe/core/trading/entry.py, with its names. Decides whether a command is
accepted, in the order of protocol.md's lists; a reject changes nothing, except that dead orders that
the command names are expired. Owned by the core, used by the thread that runs it. Nothing here takes
memory: `reserve_command` (reserving.pxd) was called before.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport order_index
from hpe.core.compiled._c cimport int128
from hpe.core.compiled.accounts cimport find_user
from hpe.core.compiled.admission cimport admitted_to_call, barred, contradicts
from hpe.core.compiled.answers cimport Response, order_rejected, order_response
from hpe.core.compiled.books cimport Book, book_crosses, limit_within_band
from hpe.core.compiled.codes cimport (
    BUY,
    EXEC_CANCELED,
    EXEC_NEW,
    HALTED,
    INSUFFICIENT_FUNDS,
    INVALID_COMBINATION,
    NONE,
    NOT_TRADING,
    NO_LAST_PRICE,
    ORDER_POST_ONLY,
    POST_ONLY_WOULD_CROSS,
    REASON_EXPIRED,
    REASON_REQUESTED,
    TYPE_CANCEL_ORDER,
    TYPE_SUBMIT_ORDER,
    UNKNOWN_INSTRUMENT,
    UNKNOWN_ORDER,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.dead cimport time_has_come
from hpe.core.compiled.ending cimport cancel, close, note_answered, take_out, unlink
from hpe.core.compiled.events cimport add_answered
from hpe.core.compiled.exchange_state cimport Exchange, book_of, order_at, terms_of
from hpe.core.compiled.executor cimport requirement, reserve
from hpe.core.compiled.expiry cimport end_named
from hpe.core.compiled.fields cimport Request, value
from hpe.core.compiled.holders cimport Refusal
from hpe.core.compiled.kinds cimport RESERVES_COST, is_stop
from hpe.core.compiled.market cimport arrive, wait
from hpe.core.compiled.matcher cimport Matched
from hpe.core.compiled.new_orders cimport (
    available_to,
    check,
    is_blocked,
    made,
    open_accounts,
    unmake,
)
from hpe.core.compiled.orders cimport Order, order_kind
from hpe.core.compiled.requests cimport (
    CANCEL_ORDER_CLIENT_ORDER_ID,
    CANCEL_ORDER_ORDER_ID,
    CANCEL_ORDER_REQUEST_ID,
    CANCEL_ORDER_USER,
    SUBMIT_ORDER_CLIENT_ORDER_ID,
    SUBMIT_ORDER_INSTRUMENT,
    SUBMIT_ORDER_REQUEST_ID,
    SUBMIT_ORDER_USER,
)
from hpe.core.compiled.stops cimport give_turns
from hpe.core.compiled.walks cimport cost
from hpe.core.compiled.wide cimport charge, notional, ticks_paid_by


# --- submit ---------------------------------------------------------------------------------------


cdef inline void submit_order(
    Exchange* exchange, const Context* context, const Request* command, Response* response
) noexcept nogil:
    """Accept a new order and execute it, or let it wait for its trigger."""
    cdef int64_t user = value(command, SUBMIT_ORDER_USER)
    cdef Book* book = book_of(exchange, value(command, SUBMIT_ORDER_INSTRUMENT))
    cdef uint32_t number = 0
    cdef Refusal no
    if user == 0:
        user = context.user
    end_named(exchange, user, 0, value(command, SUBMIT_ORDER_CLIENT_ORDER_ID), 0)
    if contradicts(command):
        no = Refusal(INVALID_COMBINATION, 0)
    elif book == NULL:
        no = Refusal(UNKNOWN_INSTRUMENT, 0)
    else:
        number = made(exchange, context, user, command, book)
        no = _accept(exchange, context, user, command, book, number)
    if no.reason:
        if number:
            unmake(exchange, number)
        order_rejected(
            response, TYPE_SUBMIT_ORDER, value(command, SUBMIT_ORDER_REQUEST_ID), context.sequence,
            context.time_ns, no.reason, no.flags,
        )
        return
    _carry_out(exchange, context, command, book, number, response)


cdef inline Refusal _accept(
    Exchange* exchange, const Context* context, int64_t user, const Request* command, Book* book,
    uint32_t number
) noexcept nogil:
    """Run all checks of an order in order of precedence, and reserve what it needs."""
    cdef Order* order = order_at(exchange, number)
    cdef Refusal no = Refusal(
        barred(book, is_blocked(exchange, order.user), admitted_to_call(command)), 0
    )
    cdef int128 needed
    if no.reason == NONE:
        no = check(exchange, context, user, book, &number, 1)
    if no.reason == NONE:
        no.reason = _check_market(exchange, book, order)
    if no.reason:
        return no
    needed = _needed(exchange, book, order)
    if needed > available_to(exchange, order):
        return Refusal(INSUFFICIENT_FUNDS, 0)
    open_accounts(exchange, user, book, &number, 1)
    reserve(&exchange.executor, order, needed)
    exchange.last_order_id += 1
    return no


cdef inline int _check_market(
    const Exchange* exchange, Book* book, const Order* order
) noexcept nogil:
    """Check a new order against the present market."""
    if order.terms and terms_of(exchange, order).trail and book.last_price == 0:
        return NO_LAST_PRICE
    if order.flags & ORDER_POST_ONLY and book_crosses(book, order.side, order.price):
        return POST_ONLY_WOULD_CROSS
    return NONE


cdef inline int128 _needed(Exchange* exchange, Book* book, const Order* order) noexcept nogil:
    """Return what a new order must reserve."""
    if order.side == BUY and order_kind(order, &exchange.orders.terms) & RESERVES_COST:
        return _market_cost(exchange, book, order)
    return requirement(&exchange.executor, &book.instrument, order, order.price, order.leaves)


cdef inline int128 _market_cost(
    const Exchange* exchange, Book* book, const Order* order
) noexcept nogil:
    """Return what a market buy by quantity costs now, or an amount above what is available."""
    cdef int64_t available = available_to(exchange, order)
    cdef int64_t atoms = book.instrument.quote_atoms_per_tick, rest = 0, paid
    cdef int64_t ticks_max = ticks_paid_by(available, atoms)
    cdef int128 ticks = cost(
        &exchange.matcher, book, order, limit_within_band(book, BUY, 0), ticks_max
    )
    if ticks > ticks_max:
        return <int128>available + 1
    paid = notional(1, <int64_t>ticks, atoms)
    return <int128>paid + charge(paid, order.taker_ppm, &rest)


cdef inline void _carry_out(
    Exchange* exchange, const Context* context, const Request* command, Book* book,
    uint32_t number, Response* response
) noexcept nogil:
    """Start an accepted order: it arrives or, if it is a stop, waits."""
    cdef const Order* order = order_at(exchange, number)
    cdef Matched matched
    note_answered(exchange, number, EXEC_NEW, 0)
    if is_stop(order.order_type):
        order_index.add(&exchange.orders, number)
        wait(exchange, book, number)
        answer(
            exchange, context, TYPE_SUBMIT_ORDER, value(command, SUBMIT_ORDER_REQUEST_ID), order, 0,
            response,
        )
        give_turns(exchange, context, book, True, False)
        return
    arrive(
        exchange, context, book, number, value(command, SUBMIT_ORDER_REQUEST_ID), &matched
    )
    if order.leaves:
        order_index.add(&exchange.orders, number)
    elif order.cum or order_index.reuses_id(&exchange.orders, order):
        order_index.keep(&exchange.orders, number)
    else:
        order_index.let_go(&exchange.orders, number)
    if order.reason:
        add_answered(&exchange.events, number, EXEC_CANCELED)
    answer(
        exchange, context, TYPE_SUBMIT_ORDER, value(command, SUBMIT_ORDER_REQUEST_ID), order,
        matched.fill_count, response,
    )
    if book.work:
        give_turns(exchange, context, book, True, False)


cdef inline void answer(
    const Exchange* exchange, const Context* context, int kind, int64_t request_id,
    const Order* order, int64_t fill_count, Response* response
) noexcept nogil:
    """Answer a command about an order with the order as it is now."""
    order_response(
        response, kind, request_id, context.sequence, context.time_ns, order,
        &exchange.orders.traded, fill_count,
        book_of(exchange, order.instrument).last_trade_id,
    )


# --- cancel ---------------------------------------------------------------------------------------


cdef inline void cancel_order(
    Exchange* exchange, const Context* context, const Request* command, Response* response
) noexcept nogil:
    """Remove an open order and release its money."""
    cdef int64_t order_id = value(command, CANCEL_ORDER_ORDER_ID)
    cdef int64_t client_order_id = value(command, CANCEL_ORDER_CLIENT_ORDER_ID)
    cdef int64_t user = value(command, CANCEL_ORDER_USER)
    cdef uint32_t number
    cdef int reason
    if user == 0:
        user = context.user
    if (order_id == 0) == (client_order_id == 0):
        end_named(exchange, user, order_id, client_order_id, 0)
        number, reason = 0, INVALID_COMBINATION
    else:
        number = named_order(exchange, user, order_id, client_order_id)
        reason = _cancel_refusal(exchange, number)
    if reason:
        order_rejected(
            response, TYPE_CANCEL_ORDER, value(command, CANCEL_ORDER_REQUEST_ID), context.sequence,
            context.time_ns, reason, 0,
        )
        return
    end_told(
        exchange, number, REASON_REQUESTED, value(command, CANCEL_ORDER_REQUEST_ID)
    )
    answer(
        exchange, context, TYPE_CANCEL_ORDER, value(command, CANCEL_ORDER_REQUEST_ID),
        order_at(exchange, number), 0, response,
    )


cdef inline uint32_t named_order(
    const Exchange* exchange, int64_t user, int64_t order_id, int64_t client_order_id
) noexcept nogil:
    """Return the open order that a command names, 0 if there is none."""
    cdef uint32_t mine = find_user(&exchange.balances, user)
    return order_index.find(&exchange.orders, mine, order_id, client_order_id) if mine else 0


cdef inline int _cancel_refusal(Exchange* exchange, uint32_t number) noexcept nogil:
    """Return why an order cannot be canceled; one that is dead ends."""
    cdef const Order* order
    cdef Book* book
    if number == 0:
        return UNKNOWN_ORDER
    order = order_at(exchange, number)
    book = book_of(exchange, order.instrument)
    if time_has_come(book, order):
        cancel(exchange, book, number, REASON_EXPIRED, 0)
        return UNKNOWN_ORDER
    return NOT_TRADING if book.status == HALTED else NONE


cdef inline void end_told(
    Exchange* exchange, uint32_t number, int reason, int64_t request_id
) noexcept nogil:
    """End an open order for a command whose response says so."""
    cdef Book* book = book_of(exchange, order_at(exchange, number).instrument)
    take_out(exchange, book, number)
    close(exchange, number, reason)
    order_index.end(&exchange.orders, number, True)
    note_answered(exchange, number, EXEC_CANCELED, 0)
    unlink(exchange, book, number, request_id)
