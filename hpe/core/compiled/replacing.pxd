"""Replace: changing quantity, price, trigger or expiry of an open order.

The compiled twin of hpe/core/trading/replacing.py, with its names; what a replace asks for is in
replaces.pxd. A rejected replace leaves a living order unchanged. Owned by the core, used by the thread
that runs it. Nothing here takes memory: what a command may need was reserved before.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t

from hpe.core.compiled cimport order_index, triggers
from hpe.core.compiled._c cimport int128
from hpe.core.compiled.admission cimport barred, beyond_band
from hpe.core.compiled.answers cimport Response, order_rejected
from hpe.core.compiled.books cimport Book, book_crosses, limit_within_band, opposite, side_of
from hpe.core.compiled.codes cimport (
    EXEC_CANCELED,
    EXEC_REPLACED,
    EXPIRY_PASSED,
    FLAG_UNCHANGED,
    HALTED,
    INSUFFICIENT_FUNDS,
    INVALID_COMBINATION,
    NONE,
    NOTIONAL_OUT_OF_RANGE,
    NOT_TRADING,
    ORDER_POST_ONLY,
    POST_ONLY_WOULD_CROSS,
    PRICE_OUT_OF_BAND,
    PRICE_OUT_OF_RANGE,
    QUANTITY_OUT_OF_RANGE,
    REASON_EXPIRED,
    REASON_REPLACED_AWAY,
    TRADING,
    TYPE_REPLACE_ORDER,
    UNKNOWN_ORDER,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.dead cimport time_has_come
from hpe.core.compiled.ending cimport cancel, note_answered, reserve_for, unlink
from hpe.core.compiled.entry cimport answer, end_told, named_order
from hpe.core.compiled.events cimport add_answered
from hpe.core.compiled.exchange_state cimport Exchange, book_of, order_at, terms_of
from hpe.core.compiled.expiry cimport end_named
from hpe.core.compiled.fees cimport worst_rate
from hpe.core.compiled.fields cimport Request, is_nil, value
from hpe.core.compiled.instruments cimport Instrument
from hpe.core.compiled.ladders cimport crosses, reduce, remove
from hpe.core.compiled.market cimport meet, rest, wait
from hpe.core.compiled.matcher cimport Matched
from hpe.core.compiled.new_orders cimport is_blocked
from hpe.core.compiled.orders cimport (
    ARRIVING,
    QUEUED,
    WAITING,
    Order,
    Terms,
    Traded,
    hide,
    order_kind,
    traded_of,
)
from hpe.core.compiled.replaces cimport (
    changes_nothing,
    does_not_fit,
    keeps_trigger,
    leaves_after,
    only_cancels,
    price_after,
)
from hpe.core.compiled.requests cimport (
    REPLACE_ORDER_CLIENT_ORDER_ID,
    REPLACE_ORDER_EXPIRES_NS,
    REPLACE_ORDER_LEAVES_QUANTITY,
    REPLACE_ORDER_ORDER_ID,
    REPLACE_ORDER_QUANTITY,
    REPLACE_ORDER_REQUEST_ID,
    REPLACE_ORDER_REQUEUE,
    REPLACE_ORDER_STOP_PRICE,
    REPLACE_ORDER_USER,
)
from hpe.core.compiled.stops cimport give_turns
from hpe.core.compiled.waiting cimport trigger_of
from hpe.core.compiled.wide cimport AMOUNT_MAX, TOO_MUCH, checked_notional, worst_fee


cdef inline void replace_order(
    Exchange* exchange, const Context* context, const Request* command, Response* response
) noexcept nogil:
    """Change an open order."""
    cdef int64_t user = value(command, REPLACE_ORDER_USER)
    cdef int64_t order_id = value(command, REPLACE_ORDER_ORDER_ID)
    cdef int64_t client_order_id = value(command, REPLACE_ORDER_CLIENT_ORDER_ID)
    cdef uint32_t number = 0
    cdef int reason
    if user == 0:
        user = context.user
    if _contradicts(command) or (order_id == 0) == (client_order_id == 0):
        end_named(exchange, user, order_id, client_order_id, 0)
        reason = INVALID_COMBINATION
    else:
        number = named_order(exchange, user, order_id, client_order_id)
        reason = _refusal(exchange, context, command, number)
    if reason:
        order_rejected(
            response, TYPE_REPLACE_ORDER, value(command, REPLACE_ORDER_REQUEST_ID),
            context.sequence, context.time_ns, reason, 0,
        )
    elif leaves_after(command, order_at(exchange, number)) <= 0:
        end_told(
            exchange, number, REASON_REPLACED_AWAY, value(command, REPLACE_ORDER_REQUEST_ID)
        )
        _answer(exchange, context, command, number, 0, response)
    else:
        _change(exchange, context, command, number, response)


cdef inline bint _contradicts(const Request* command) noexcept nogil:
    """True if a replace names both quantities, or neither and no new expiry."""
    cdef bint has_leaves = not is_nil(command, REPLACE_ORDER_LEAVES_QUANTITY)
    cdef bint has_total = not is_nil(command, REPLACE_ORDER_QUANTITY)
    if has_leaves != has_total:
        return False
    return has_total or not value(command, REPLACE_ORDER_EXPIRES_NS)


cdef inline Terms* _terms_of(const Exchange* exchange, const Order* order) noexcept nogil:
    """Return the terms of an order, NULL if it has none."""
    return terms_of(exchange, order) if order.terms else NULL


cdef inline int _refusal(
    Exchange* exchange, const Context* context, const Request* command, uint32_t number
) noexcept nogil:
    """Return why an order cannot be replaced, NONE if it can; one that is dead ends.

    What the order will need is reserved then, unless the replace leaves nothing of it.
    """
    cdef Order* order
    cdef Book* book
    if number == 0:
        return UNKNOWN_ORDER
    order = order_at(exchange, number)
    book = book_of(exchange, order.instrument)
    if time_has_come(book, order):
        cancel(exchange, book, number, REASON_EXPIRED, 0)
        return UNKNOWN_ORDER
    if does_not_fit(
        command, order, _terms_of(exchange, order), order_kind(order, &exchange.orders.terms)
    ):
        return INVALID_COMBINATION
    if leaves_after(command, order) <= 0:
        return NOT_TRADING if book.status == HALTED else NONE
    return _check(exchange, context, command, book, order)


cdef inline int _check(
    Exchange* exchange, const Context* context, const Request* command, Book* book, Order* order
) noexcept nogil:
    """Check the order as it would be after the replace; reserve what it would then need."""
    cdef int64_t price = price_after(command, order), leaves = leaves_after(command, order)
    cdef int reason = NONE
    if only_cancels(command, order, trigger_of(&exchange.trigger_slabs, order)):
        if book.status == HALTED:
            return NOT_TRADING
        reserve_for(exchange, book, order, price, leaves)  # less never needs more
        return NONE
    if is_blocked(exchange, order.user) or not book.plain:
        reason = barred(book, is_blocked(exchange, order.user), True)
    if reason == NONE:
        reason = _check_bounds(exchange, command, book, order, price, leaves)
    if reason == NONE:
        reason = _check_market(context, command, book, order, price, leaves)
    if reason == NONE and not reserve_for(exchange, book, order, price, leaves):
        reason = INSUFFICIENT_FUNDS
    return reason


cdef inline bint _is_price(const Instrument* instrument, int64_t price) noexcept nogil:
    """True if a price, or 0 for none, is within the instrument's bounds."""
    return price == 0 or instrument.price_min <= price <= instrument.price_max


cdef inline int _check_bounds(
    const Exchange* exchange, const Request* command, const Book* book, const Order* order,
    int64_t price, int64_t leaves
) noexcept nogil:
    """Check prices, quantity and notional against the instrument's bounds."""
    cdef const Instrument* instrument = &book.instrument
    cdef int64_t done = order.quantity - order.leaves, notional
    cdef Traded traded = traded_of(&exchange.orders.traded, order)
    cdef int32_t worst = worst_rate(order.maker_ppm, order.taker_ppm)
    cdef int128 needed
    if not _is_price(instrument, price):
        return PRICE_OUT_OF_RANGE
    if not is_nil(command, REPLACE_ORDER_STOP_PRICE):
        if not _is_price(instrument, value(command, REPLACE_ORDER_STOP_PRICE)):
            return PRICE_OUT_OF_RANGE
    if order.state != WAITING and order.state != QUEUED and beyond_band(book, order.side, price):
        return PRICE_OUT_OF_BAND
    if not instrument.quantity_min - done <= leaves <= instrument.quantity_max - done:
        return QUANTITY_OUT_OF_RANGE
    if price == 0:
        return NONE
    notional = checked_notional(price, leaves, instrument.quote_atoms_per_tick)
    if notional == TOO_MUCH or not (
        instrument.notional_min <= notional <= instrument.notional_max
    ):
        return NOTIONAL_OUT_OF_RANGE
    needed = notional
    if worst:
        needed += worst_fee(notional, worst, traded.fee_rest)
    # With what it has traded included, the order's whole life stays within 64 bits.
    if needed > <int128>AMOUNT_MAX - traded.quote_total - traded.fee_total:
        return NOTIONAL_OUT_OF_RANGE
    return NONE


cdef inline int _check_market(
    const Context* context, const Request* command, Book* book, const Order* order, int64_t price,
    int64_t leaves
) noexcept nogil:
    """Check the new expiry and the present market."""
    cdef int64_t expires_ns = value(command, REPLACE_ORDER_EXPIRES_NS)
    cdef bint stays = price == order.price and (leaves == order.leaves or expires_ns > 0)
    if 0 < expires_ns <= context.time_ns:
        return EXPIRY_PASSED
    if order.flags & ORDER_POST_ONLY and not stays and book_crosses(book, order.side, price):
        return POST_ONLY_WOULD_CROSS
    return NONE


cdef inline void _change(
    Exchange* exchange, const Context* context, const Request* command, uint32_t number,
    Response* response
) noexcept nogil:
    """Change an order as a replace asks for, which was accepted, and answer."""
    cdef Order* order = order_at(exchange, number)
    cdef Book* book = book_of(exchange, order.instrument)
    cdef int64_t price = price_after(command, order), leaves = leaves_after(command, order)
    cdef bint was_finished = book.work == 0, is_unchanged
    cdef int64_t fills = 0
    is_unchanged = changes_nothing(
        command, order, _terms_of(exchange, order), trigger_of(&exchange.trigger_slabs, order)
    )
    order.quantity += leaves - order.leaves
    if value(command, REPLACE_ORDER_EXPIRES_NS):
        order_index.move_end(
            &exchange.orders, number, value(command, REPLACE_ORDER_EXPIRES_NS)
        )
    if order.state == WAITING or order.state == QUEUED:
        _replace_waiting(exchange, context, command, book, number, price, leaves)
    else:
        fills = _replace_resting(exchange, context, command, book, number, price, leaves)
    _answer(exchange, context, command, number, fills, response)
    if is_unchanged:
        response.fields.heading.flags = FLAG_UNCHANGED
    if was_finished and book.work:
        give_turns(exchange, context, book, True, False)


cdef inline void _answer(
    const Exchange* exchange, const Context* context, const Request* command, uint32_t number,
    int64_t fill_count, Response* response
) noexcept nogil:
    answer(
        exchange, context, TYPE_REPLACE_ORDER, value(command, REPLACE_ORDER_REQUEST_ID),
        order_at(exchange, number), fill_count, response,
    )


cdef inline void _replace_waiting(
    Exchange* exchange, const Context* context, const Request* command, Book* book,
    uint32_t number, int64_t price, int64_t leaves
) noexcept nogil:
    """Change a stop that has not fired; if it loses its place, it counts as the newest."""
    cdef Order* order = order_at(exchange, number)
    cdef Terms* terms = terms_of(exchange, order)
    cdef int64_t trigger = trigger_of(&exchange.trigger_slabs, order)
    cdef bint keeps = leaves <= order.leaves and keeps_trigger(command, trigger)
    order.price, order.leaves = price, leaves
    if keeps and not value(command, REPLACE_ORDER_REQUEUE):
        note_answered(exchange, number, EXEC_REPLACED, 0)
        return
    triggers.remove(&book.triggers, order)
    terms.stop_price = trigger
    if not is_nil(command, REPLACE_ORDER_STOP_PRICE):
        terms.stop_price = value(command, REPLACE_ORDER_STOP_PRICE)
    terms.place = context.sequence
    note_answered(exchange, number, EXEC_REPLACED, 0)
    wait(exchange, book, number)


cdef inline int64_t _replace_resting(
    Exchange* exchange, const Context* context, const Request* command, Book* book,
    uint32_t number, int64_t price, int64_t leaves
) noexcept nogil:
    """Change an order in the book, which trades if it crosses now; return its number of fills."""
    cdef Order* order = order_at(exchange, number)
    cdef Matched matched
    if (
        price == order.price and leaves <= order.leaves
        and not value(command, REPLACE_ORDER_REQUEUE)
    ):
        reduce(side_of(book, order.side), order, leaves)
        add_answered(&exchange.events, number, EXEC_REPLACED)
        return 0
    remove(side_of(book, order.side), number)
    order.state = ARRIVING
    order.price, order.leaves = price, leaves
    if not crosses(opposite(book, order.side), price) or book.status != TRADING:
        add_answered(&exchange.events, number, EXEC_REPLACED)
        rest(exchange, book, number)
        return 0
    note_answered(exchange, number, EXEC_REPLACED, 0)
    hide(&exchange.orders.terms, order, 0)
    meet(
        exchange, context, book, number, limit_within_band(book, order.side, price),
        value(command, REPLACE_ORDER_REQUEST_ID), &matched,
    )
    if order.leaves == 0:
        order_index.end(&exchange.orders, number, True)
        if order.reason:
            note_answered(exchange, number, EXEC_CANCELED, 0)
        unlink(exchange, book, number, value(command, REPLACE_ORDER_REQUEST_ID))
    return matched.fill_count
