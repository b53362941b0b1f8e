"""The life of accepted orders: arrive, trade, rest and end.

The compiled twin of hpe/core/trading/market.py, with its names; the turns of stops are in stops.pxd,
and calls in calls.pxd. Commands decide whether an order is accepted; everything after that happens
here, in the order that protocol.md defines under "Order of events". Owned by the core, used by the
thread that runs it. Nothing here takes memory: what a command may need was reserved before it.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport order_index, triggers
from hpe.core.compiled.books cimport (
    NOTHING,
    Book,
    book_dead_ns,
    limit_within_band,
    opposite,
    side_of,
)
from hpe.core.compiled.codes cimport (
    EXEC_CANCELED,
    EXEC_EXPIRED,
    FOK,
    REASON_BAND,
    REASON_EXPIRED,
    REASON_FILL_LIMIT,
    REASON_FOK_NOT_FILLABLE,
    REASON_IOC_REMAINDER,
    REASON_MINIMUM_NOT_FILLABLE,
    REASON_NO_LIQUIDITY,
    REASON_SELF_TRADE,
    TRADING,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.effort cimport MATCH, charge
from hpe.core.compiled.ending cimport cancel, close, note, reserve_for, unlink
from hpe.core.compiled.events cimport Match, add_match
from hpe.core.compiled.exchange_state cimport Exchange, order_at, terms_of
from hpe.core.compiled.executor cimport release, settle
from hpe.core.compiled.interruptions cimport interrupt
from hpe.core.compiled.kinds cimport MAY_REST, NEEDS_PRICE
from hpe.core.compiled.ladders cimport Ladder, add, crosses
from hpe.core.compiled.matcher cimport (
    Fill,
    Matched,
    Prevented,
    begin_match,
    fill_at,
    match,
    next_maker,
    prevented_at,
)
from hpe.core.compiled.orders cimport (
    ENDED,
    RESTS,
    WAITING,
    Order,
    is_dead,
    order_kind,
    show_slice,
)
from hpe.core.compiled.triggers cimport Firing, add_price, is_quiet
from hpe.core.compiled.turns cimport of
from hpe.core.compiled.walks cimport fillable, spendable
from hpe.core.compiled.work cimport add_firing


# --- arriving -------------------------------------------------------------------------------------


cdef inline void arrive(
    Exchange* exchange, const Context* context, Book* book, uint32_t number, int64_t request_id,
    Matched* matched
) noexcept nogil:
    """Execute an accepted order that has reserved what it needs: trade, then rest or end.

    An order without leaves afterwards has ended; `reason` says why. The caller adds it to the index
    or removes it. `matched` has its fills.
    """
    cdef Order* order = order_at(exchange, number)
    cdef int64_t limit, minimum
    begin_match(&exchange.matcher, matched)
    if book.status != TRADING:
        _join_call(exchange, book, number)
        return
    limit = limit_within_band(book, order.side, order.price)
    if order.terms and terms_of(exchange, order).budget:
        _spend(exchange, context, book, number, limit, request_id, matched)
        return
    if order.time_in_force == FOK:
        if not fillable(&exchange.matcher, book, order, limit, order.leaves):
            close(exchange, number, REASON_FOK_NOT_FILLABLE)
            return
    elif order.terms:
        minimum = terms_of(exchange, order).minimum
        if minimum and not fillable(&exchange.matcher, book, order, limit, minimum):
            close(exchange, number, REASON_MINIMUM_NOT_FILLABLE)
            return
    meet(exchange, context, book, number, limit, request_id, matched)


cdef inline void meet(
    Exchange* exchange, const Context* context, Book* book, uint32_t number, int64_t limit,
    int64_t request_id, Matched* matched
) noexcept nogil:
    """Trade within a limit (0: none), the order's or the band's, then rest or end.

    With NOTHING, nothing trades.
    """
    cdef Order* order = order_at(exchange, number)
    cdef int reason
    _trade(exchange, book, number, limit, request_id, matched)
    if order.leaves:
        if matched.barred or matched.exhausted or limit != order.price:
            reason = _what_ends(exchange, context, book, order, limit, matched)
        else:
            reason = 0 if may_rest(exchange, order) else remainder_reason(exchange, order)
        if reason:
            close(exchange, number, reason)
        else:
            rest(exchange, book, number)
        return
    order.state = ENDED
    if order.reserved:
        release(&exchange.executor, order)


cdef inline int _what_ends(
    Exchange* exchange, const Context* context, Book* book, const Order* order, int64_t limit,
    const Matched* matched
) noexcept nogil:
    """Return why an order that could not trade further must end, 0 if it rests."""
    cdef const Ladder* ladder = opposite(book, order.side)  # its next order is not a dead one
    if matched.barred:
        return REASON_SELF_TRADE
    if matched.exhausted and limit != NOTHING and crosses(ladder, limit):
        return REASON_FILL_LIMIT
    if limit != order.price and crosses(ladder, order.price):
        return _meet_band(exchange, context, book, order)
    return 0 if may_rest(exchange, order) else remainder_reason(exchange, order)


cdef inline int _meet_band(
    Exchange* exchange, const Context* context, Book* book, const Order* order
) noexcept nogil:
    """Refuse to trade beyond the band; interrupt trading if the instrument wants that.

    The next maker decides: a user that has emptied a side, or found it empty, must not be able to
    begin a call with its own order at no cost.
    """
    cdef const Order* maker
    if book.instrument.volatility_interruption:
        maker = order_at(exchange, next_maker(opposite(book, order.side)))
        if maker.user != order.user:
            interrupt(exchange, context, book)
            if may_rest(exchange, order):
                return 0
    return REASON_BAND


cdef inline void _join_call(Exchange* exchange, Book* book, uint32_t number) noexcept nogil:
    if may_rest(exchange, order_at(exchange, number)):
        rest(exchange, book, number)
    else:
        close(exchange, number, REASON_BAND)


cdef inline void _spend(
    Exchange* exchange, const Context* context, Book* book, uint32_t number, int64_t limit,
    int64_t request_id, Matched* matched
) noexcept nogil:
    """Buy as many whole lots as a budget pays for."""
    cdef Order* order = order_at(exchange, number)
    cdef int reason = 0
    if order.time_in_force == FOK and not spendable(
        &exchange.matcher, book, order, limit, terms_of(exchange, order).budget
    ):
        close(exchange, number, REASON_FOK_NOT_FILLABLE)
        return
    _trade(exchange, book, number, limit, request_id, matched)
    if not matched.spent:
        reason = _what_ends(exchange, context, book, order, limit, matched)
    elif matched.fill_count == 0:
        reason = REASON_NO_LIQUIDITY  # the budget does not pay for a single lot
    close(exchange, number, reason)


cdef inline void rest(Exchange* exchange, Book* book, uint32_t number) noexcept nogil:
    """Put an order at the end of its price's queue."""
    cdef Order* order = order_at(exchange, number)
    if order.terms:
        show_slice(order, terms_of(exchange, order))
    order.state = RESTS
    add(side_of(book, order.side), number)


cdef inline bint may_rest(const Exchange* exchange, const Order* order) noexcept nogil:
    """True if the part that does not trade at once stays in the book."""
    return order_kind(order, &exchange.orders.terms) & MAY_REST != 0


cdef inline int remainder_reason(const Exchange* exchange, const Order* order) noexcept nogil:
    """Return why the rest of an order that may not rest is canceled."""
    if order.time_in_force == FOK:
        return REASON_FOK_NOT_FILLABLE
    if order_kind(order, &exchange.orders.terms) & NEEDS_PRICE:
        return REASON_IOC_REMAINDER
    return REASON_NO_LIQUIDITY


# --- trading --------------------------------------------------------------------------------------


cdef inline void _trade(
    Exchange* exchange, Book* book, uint32_t number, int64_t limit, int64_t request_id,
    Matched* matched
) noexcept nogil:
    """Match an order, settle and number its fills, and do everything that follows."""
    cdef Order* order = order_at(exchange, number)
    match(&exchange.matcher, book, order, limit, matched)
    if not (matched.fill_count or matched.prevented_count or matched.reached):
        return
    settle(
        &exchange.executor, &book.instrument, order,
        fill_at(&exchange.matcher, matched.first_fill), matched.fill_count,
    )
    if matched.reached:
        _note_in_parts(exchange, book, number, request_id, matched)
    else:
        _note_match(
            exchange, number, request_id, matched, 0, matched.fill_count, 0, matched.prevented_count
        )
    charge(&exchange.effort, MATCH, 1)
    exchange.last_trade_id += matched.fill_count
    if matched.fill_count:
        book.last_trade_id = exchange.last_trade_id
    _end_makers(exchange, book, order, request_id, matched)
    if matched.prevented_count:
        _after_prevention(exchange, book, order, request_id, matched)
    if matched.fill_count:
        if order.terms:
            unlink(exchange, book, number, request_id)
        _fire_fills(exchange, book, matched)


cdef inline void _note_match(
    Exchange* exchange, uint32_t taker, int64_t request_id, const Matched* matched,
    int64_t fill, int64_t fill_end, int64_t prevented, int64_t prevented_end
) noexcept nogil:
    """Report a match, or a part of it: fills and prevented matches from one place to another."""
    cdef Match* noted = add_match(&exchange.events, taker, request_id)
    noted.first_trade_id = exchange.last_trade_id + 1 + fill
    noted.first_fill = matched.first_fill + fill
    noted.fill_count = fill_end - fill
    noted.first_prevented = matched.first_prevented + prevented
    noted.prevented_count = prevented_end - prevented


cdef inline void _note_in_parts(
    Exchange* exchange, Book* book, uint32_t taker, int64_t request_id, Matched* matched
) noexcept nogil:
    """Report a match, and in their places the ends of dead orders that it met."""
    cdef int64_t done = 0, prevented_done = 0, place, fill_end, prevented_end
    cdef uint32_t reached = matched.reached, number = 1
    cdef Order* order
    while number:
        number = reached
        fill_end, prevented_end = matched.fill_count, matched.prevented_count
        if number:
            order = order_at(exchange, number)
            fill_end, prevented_end = order.level, order.previous
            reached = order.next
            order.level = order.previous = order.next = 0
        for place in range(prevented_done, prevented_end):
            prevented_at(
                &exchange.matcher, matched.first_prevented + place
            ).fills_before -= <uint32_t>done
        if fill_end > done or prevented_end > prevented_done:
            _note_match(
                exchange, taker, request_id, matched, done, fill_end, prevented_done, prevented_end
            )
        if number:
            _end_reached(exchange, book, number)
        done, prevented_done = fill_end, prevented_end


cdef inline void _end_reached(Exchange* exchange, Book* book, uint32_t number) noexcept nogil:
    """End a dead order that is already out of its book."""
    close(exchange, number, REASON_EXPIRED)
    order_index.end(&exchange.orders, number, False)
    note(exchange, number, EXEC_EXPIRED, 0)
    unlink(exchange, book, number, 0)


cdef inline void _end_makers(
    Exchange* exchange, Book* book, const Order* taker, int64_t request_id, const Matched* matched
) noexcept nogil:
    """End the makers that were filled, and the other legs of those that traded."""
    cdef int64_t place
    cdef const Fill* fill
    cdef const Order* maker
    for place in range(matched.fill_count):
        fill = fill_at(&exchange.matcher, matched.first_fill + place)
        maker = order_at(exchange, fill.maker)
        if fill.maker_leaves == 0:
            order_index.end(&exchange.orders, fill.maker, False)
        if maker.terms:
            unlink(exchange, book, fill.maker, request_id if maker.user == taker.user else 0)


cdef inline void clear_way(Exchange* exchange, Book* book, const Order* order) noexcept nogil:
    """End the dead orders that a resting order would cross."""
    cdef int64_t until_ns = book_dead_ns(book)
    cdef const Ladder* ladder = opposite(book, order.side)
    cdef uint32_t maker
    while until_ns and crosses(ladder, order.price):
        maker = next_maker(ladder)
        if not is_dead(order_at(exchange, maker), &exchange.orders.terms, until_ns):
            return
        cancel(exchange, book, maker, REASON_EXPIRED, 0)


cdef inline void _after_prevention(
    Exchange* exchange, Book* book, Order* taker, int64_t request_id, const Matched* matched
) noexcept nogil:
    """Release the money of what self-trade prevention canceled; end orders without leaves."""
    cdef const Prevented* each = NULL
    cdef int64_t place
    cdef Order* maker
    for place in range(matched.prevented_count):
        each = prevented_at(&exchange.matcher, matched.first_prevented + place)
        maker = order_at(exchange, each.maker)
        if each.maker_canceled and maker.leaves == 0:
            release(&exchange.executor, maker)
            maker.reason = REASON_SELF_TRADE
            order_index.end(&exchange.orders, each.maker, False)
            note(exchange, each.maker, EXEC_CANCELED, 0)
            unlink(exchange, book, each.maker, request_id)
        elif each.maker_canceled:
            reserve_for(exchange, book, maker, maker.price, maker.leaves)
    if taker.leaves == 0:
        if each.taker_leaves == 0 and each.taker_canceled:
            taker.reason = REASON_SELF_TRADE
    elif taker.price:
        reserve_for(exchange, book, taker, taker.price, taker.leaves)


# --- stops ----------------------------------------------------------------------------------------


cdef inline void wait(Exchange* exchange, Book* book, uint32_t number) noexcept nogil:
    """Let an accepted stop wait for its trigger, which may already be reached.

    The caller answers the command first, then gives stops their turns.
    """
    cdef Order* order = order_at(exchange, number)
    order.state = WAITING
    triggers.add(&book.triggers, order)
    if book.status == TRADING and book.last_price:
        fire_last(exchange, book)


cdef inline void fire_last(Exchange* exchange, Book* book) noexcept nogil:
    """Note the last price; `give_turns` takes out the stops that it reaches."""
    add_price(add_firing(of(&exchange.turns, book), &exchange.work_slabs), book.last_price)


cdef inline void _fire_fills(Exchange* exchange, Book* book, const Matched* matched) noexcept nogil:
    """Note the prices of trades, unless they reach no stop."""
    cdef const Fill* first = fill_at(&exchange.matcher, matched.first_fill)
    cdef int64_t place
    cdef Firing* firing
    if book.triggers.count == 0 or (
        # From the first to the last, prices only rise or only fall.
        is_quiet(&book.triggers, first.price)
        and is_quiet(&book.triggers, first[matched.fill_count - 1].price)
    ):
        return
    firing = add_firing(of(&exchange.turns, book), &exchange.work_slabs)
    for place in range(matched.fill_count):
        add_price(firing, first[place].price)
