"""New orders: made from what a command says, checked by themselves, and given accounts.

The compiled twin of the part of hpe/core/trading/entry.py that pairs use, too, with its names. Owned
by the core, used by the thread that runs it. Nothing here takes memory: what a command may need was
reserved before.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t

from hpe.core.compiled cimport order_index, slabs
from hpe.core.compiled.accounts cimport account_at, find_account, find_user, user_at
from hpe.core.compiled.admission cimport ORDER_CHECKS, check_order
from hpe.core.compiled.books cimport Book
from hpe.core.compiled.codes cimport (
    BUY,
    CANCEL_BOTH,
    CANCEL_TAKER,
    DECREMENT,
    DUPLICATE_CLIENT_ORDER_ID,
    NONE,
    ORDER_CANCEL_ON_DISCONNECT,
    TOO_MANY_ORDERS,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.exchange_state cimport Exchange, order_at, terms_of
from hpe.core.compiled.fees cimport FeeRates
from hpe.core.compiled.fees cimport of as rates_for
from hpe.core.compiled.fields cimport Request, value
from hpe.core.compiled.holders cimport Refusal, holder_at
from hpe.core.compiled.kinds cimport is_stop
from hpe.core.compiled.market cimport may_rest
from hpe.core.compiled.orders cimport Order, Terms
from hpe.core.compiled.parties cimport admit, party_refusal
from hpe.core.compiled.places cimport Taken, place_refusal
from hpe.core.compiled.requests cimport (
    SUBMIT_ORDER_CLIENT_ORDER_ID,
    SUBMIT_ORDER_FLAGS,
    SUBMIT_ORDER_ORDER_TYPE,
    SUBMIT_ORDER_PRICE,
    SUBMIT_ORDER_QUANTITY,
    SUBMIT_ORDER_SELF_TRADE,
    SUBMIT_ORDER_SIDE,
    SUBMIT_ORDER_TERMS,
    SUBMIT_ORDER_TERMS_BUDGET,
    SUBMIT_ORDER_TERMS_DISPLAY_QUANTITY,
    SUBMIT_ORDER_TERMS_EXPIRES_NS,
    SUBMIT_ORDER_TERMS_MINIMUM_QUANTITY,
    SUBMIT_ORDER_TERMS_STOP_PRICE,
    SUBMIT_ORDER_TERMS_TRAIL,
    SUBMIT_ORDER_TIME_IN_FORCE,
)
from hpe.core.compiled.wide cimport trail_trigger

cdef inline bint is_blocked(const Exchange* exchange, uint32_t mine) noexcept nogil:
    """True if the kill switch refuses a user's orders; `mine` 0: there is no such user."""
    return mine != 0 and user_at(&exchange.balances, mine).blocked != 0


cdef inline int64_t available_to(const Exchange* exchange, const Order* order) noexcept nogil:
    """Return what an order may reserve; there may be no account yet."""
    return account_at(&exchange.balances, order.paying).available if order.paying else 0


cdef inline uint32_t made(
    Exchange* exchange, const Context* context, int64_t user, const Request* command, Book* book
) noexcept nogil:
    """Return the order that a command describes, not yet accepted and without new accounts."""
    cdef uint32_t number = slabs.take(&exchange.orders.orders)
    cdef Order* order = order_at(exchange, number)
    cdef int64_t self_trade = value(command, SUBMIT_ORDER_SELF_TRADE)
    order.order_id = exchange.last_order_id + 1
    order.client_order_id = value(command, SUBMIT_ORDER_CLIENT_ORDER_ID)
    order.instrument = <uint32_t>book.instrument.instrument_id
    order.side = <int8_t>value(command, SUBMIT_ORDER_SIDE)
    order.order_type = <int8_t>value(command, SUBMIT_ORDER_ORDER_TYPE)
    order.time_in_force = <int8_t>value(command, SUBMIT_ORDER_TIME_IN_FORCE)
    order.price = value(command, SUBMIT_ORDER_PRICE)
    order.quantity = order.leaves = value(command, SUBMIT_ORDER_QUANTITY)
    order.flags = <uint8_t>value(command, SUBMIT_ORDER_FLAGS)
    order.self_trade = <int8_t>(self_trade if self_trade else book.instrument.self_trade)
    take_party(exchange, context, user, book, order)
    if not command.nulls >> SUBMIT_ORDER_TERMS & 1:
        _take_terms(exchange, context, command, book, number)
    if may_rest(exchange, order) or is_stop(order.order_type):
        take_session(exchange, context, number)
    return number


cdef inline void take_party(
    const Exchange* exchange, const Context* context, int64_t user, const Book* book, Order* order
) noexcept nogil:
    """Set whose a new order is, what it pays with, and at which rates."""
    cdef uint32_t base = find_account(&exchange.balances, user, book.instrument.base)
    cdef uint32_t quote = find_account(&exchange.balances, user, book.instrument.quote)
    cdef const FeeRates* rates = rates_for(&book.fees, user)
    order.user = find_user(&exchange.balances, user)
    order.holder = context.holder
    order.paying, order.receiving = (quote, base) if order.side == BUY else (base, quote)
    order.maker_ppm, order.taker_ppm = rates.maker, rates.taker


cdef inline void take_session(
    Exchange* exchange, const Context* context, uint32_t number
) noexcept nogil:
    """Bind an order to its session, if the order or the session asks for that."""
    cdef Order* order = order_at(exchange, number)
    if not (context.cancel_on_disconnect or order.flags & ORDER_CANCEL_ON_DISCONNECT):
        return
    order.flags |= ORDER_CANCEL_ON_DISCONNECT
    if order.terms == 0:
        new_terms(exchange, context, number)
    terms_of(exchange, order).session_id = context.session_id


cdef inline Terms* new_terms(
    Exchange* exchange, const Context* context, uint32_t number
) noexcept nogil:
    """Add empty terms to a new order; return them."""
    cdef Order* order = order_at(exchange, number)
    cdef Terms* terms
    order.terms = slabs.take(&exchange.orders.terms)
    terms = terms_of(exchange, order)
    terms.order, terms.place = number, context.sequence
    return terms


cdef inline void _take_terms(
    Exchange* exchange, const Context* context, const Request* command, const Book* book,
    uint32_t number
) noexcept nogil:
    """Set the fields of an order beyond price and quantity."""
    cdef Terms* terms = new_terms(exchange, context, number)
    cdef Order* order = order_at(exchange, number)
    terms.stop_price = value(command, SUBMIT_ORDER_TERMS_STOP_PRICE)
    terms.trail = value(command, SUBMIT_ORDER_TERMS_TRAIL)
    terms.display = value(command, SUBMIT_ORDER_TERMS_DISPLAY_QUANTITY)
    terms.minimum = value(command, SUBMIT_ORDER_TERMS_MINIMUM_QUANTITY)
    terms.budget = value(command, SUBMIT_ORDER_TERMS_BUDGET)
    terms.expires_ns = value(command, SUBMIT_ORDER_TERMS_EXPIRES_NS)
    if terms.trail and book.last_price:
        terms.stop_price = trail_trigger(
            book.last_price, terms.trail, 1 if order.side == BUY else -1
        )
    if terms.budget and (order.self_trade == CANCEL_BOTH or order.self_trade == DECREMENT):
        order.self_trade = CANCEL_TAKER


cdef inline void unmake(Exchange* exchange, uint32_t number) noexcept nogil:
    """Forget an order that was not accepted."""
    cdef const Order* order = order_at(exchange, number)
    if order.terms:
        slabs.give_back(&exchange.orders.terms, order.terms)
    slabs.give_back(&exchange.orders.orders, number)


cdef inline Refusal check(
    const Exchange* exchange, const Context* context, int64_t user, const Book* book,
    const uint32_t* legs, int count
) noexcept nogil:
    """Check new orders of one user by themselves, and that there is room for them."""
    cdef Refusal no = Refusal(NONE, 0)
    cdef int leg
    cdef int which
    cdef const Order* order = order_at(exchange, legs[0])
    for which in range(<int>ORDER_CHECKS):
        for leg in range(count):
            no.reason = check_order(book, order_at(exchange, legs[leg]), which, context.time_ns)
            if no.reason:
                return no
    for leg in range(count):
        order = order_at(exchange, legs[leg])
        if order.user and order.client_order_id and order_index.find(
            &exchange.orders, order.user, 0, order.client_order_id
        ):
            return Refusal(DUPLICATE_CLIENT_ORDER_ID, 0)
    no = _check_room(exchange, context, legs, count)
    if no.reason:
        return no
    return party_refusal(
        &exchange.parties, context, user, book.instrument.base, book.instrument.quote, False
    )


cdef inline Refusal _check_room(
    const Exchange* exchange, const Context* context, const uint32_t* legs, int count
) noexcept nogil:
    """Check that there are places for new orders; without rest and trigger an order needs none."""
    cdef int64_t more = 0
    cdef int leg
    cdef const Order* order = NULL
    cdef Taken taken
    for leg in range(count):
        order = order_at(exchange, legs[leg])
        more += may_rest(exchange, order) or is_stop(order.order_type)
    if more == 0:
        return Refusal(NONE, 0)
    taken.all = exchange.orders.open_count
    taken.user = user_at(&exchange.balances, order.user).orders.count if order.user else 0
    taken.key = holder_at(&exchange.places.holder_slab, context.holder).orders
    return place_refusal(
        &exchange.places, context, TOO_MANY_ORDERS, more, &taken,
        exchange.settings.open_orders_max, exchange.settings.open_orders_per_user_max, False,
    )


cdef inline void open_accounts(
    Exchange* exchange, int64_t user, const Book* book, const uint32_t* legs, int count
) noexcept nogil:
    """Create the owner of accepted orders and the accounts that they use, where new."""
    cdef int64_t base = book.instrument.base, quote = book.instrument.quote
    cdef uint32_t base_account, quote_account
    cdef Order* order
    cdef int leg
    for leg in range(count):
        order = order_at(exchange, legs[leg])
        if order.side == BUY:
            order.user = admit(&exchange.parties, order.holder, user, quote, base)
        else:
            order.user = admit(&exchange.parties, order.holder, user, base, quote)
        base_account = find_account(&exchange.balances, user, base)
        quote_account = find_account(&exchange.balances, user, quote)
        if order.side == BUY:
            order.paying, order.receiving = quote_account, base_account
        else:
            order.paying, order.receiving = base_account, quote_account
