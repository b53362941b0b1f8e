"""Mass cancel: end all open orders of a user or of all users, of an instrument or a side.

The compiled twin of hpe/core/trading/mass_cancel.py, with its names. The orders with the lowest ids
are on the shelves that begin with the lowest ids: so no more shelves are kept at hand than orders
may end, in a buffer that was reserved. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hpe.core.compiled cimport hash_tables, paging
from hpe.core.compiled.accounts cimport find_user, user_at
from hpe.core.compiled.answers cimport Response, begin_response
from hpe.core.compiled.books cimport Book
from hpe.core.compiled.buffers cimport Buffer, make_room
from hpe.core.compiled.codes cimport (
    BUY,
    HALTED,
    INVALID_COMBINATION,
    NONE,
    REASON_MASS_CANCEL,
    SELL,
    TYPE_MASS_CANCEL,
    UNKNOWN_INSTRUMENT,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.effort cimport ROW, charge, note_taken_off, taken_off
from hpe.core.compiled.ending cimport cancel, part, partner_of
from hpe.core.compiled.exchange_state cimport Exchange, book_of, order_at
from hpe.core.compiled.fields cimport Request, value
from hpe.core.compiled.holders cimport holder_at
from hpe.core.compiled.index_records cimport Shelf, find_shelf, shelf_at
from hpe.core.compiled.orders cimport Order
from hpe.core.compiled.requests cimport (
    MASS_CANCEL_ALL_USERS,
    MASS_CANCEL_INSTRUMENT,
    MASS_CANCEL_REQUEST_ID,
    MASS_CANCEL_SIDE,
    MASS_CANCEL_USER,
)
from hpe.core.compiled.sorting cimport Ranked, make_heap, sink
from hpe.core.compiled.turns cimport work_of
from hpe.core.compiled.work cimport Work


cdef struct Markets:
    # The markets that match, each the open orders of one user on one side of a book: `seen` of them,
    # with `open_count` orders in those that are not halted, and `endable` in those that are not
    # uncrossing either. `first` has the next order of each that may be among the lowest `room`
    # orders, by id: at first a heap with the highest on top, `count` of them.
    int64_t seen
    int64_t open_count
    int64_t endable
    int64_t room
    int64_t count
    Ranked* first


cdef inline bint reserve_mass_cancel(Buffer* buffer, int64_t orders) noexcept nogil:
    """Make sure that a mass cancel can end so many orders; False if there is no memory."""
    return make_room(buffer, orders * <int64_t>sizeof(Ranked))


cdef inline void mass_cancel(
    Exchange* exchange, const Context* context, const Request* command, Response* response
) noexcept nogil:
    """Cancel the matching open orders in ascending order id, up to the limit."""
    cdef int reason = _refusal(exchange, command)
    cdef int64_t canceled = 0, remaining = 0, before = exchange.orders.open_count
    cdef Markets markets
    if reason == NONE:
        markets.first = <Ranked*>exchange.mass_canceled.data
        markets.room = _orders_max(exchange, context, command)
        _find_markets(exchange, context, command, &markets)
        canceled = _cancel_lowest(exchange, context, command, &markets)
        if not value(command, MASS_CANCEL_ALL_USERS):
            note_taken_off(
                &exchange.effort, _key_of(exchange, context), _user_of(context, command), canceled
            )
        remaining = markets.open_count - (before - exchange.orders.open_count)
    begin_response(
        response, TYPE_MASS_CANCEL, value(command, MASS_CANCEL_REQUEST_ID), context.sequence,
        reason, 0,
    )
    response.fields.mass_cancel.canceled = canceled
    response.fields.mass_cancel.remaining = remaining


cdef inline int _refusal(const Exchange* exchange, const Request* command) noexcept nogil:
    cdef int64_t instrument = value(command, MASS_CANCEL_INSTRUMENT)
    if value(command, MASS_CANCEL_USER) and value(command, MASS_CANCEL_ALL_USERS):
        return INVALID_COMBINATION
    if instrument and book_of(exchange, instrument) == NULL:
        return UNKNOWN_INSTRUMENT
    return NONE


cdef inline int64_t _user_of(const Context* context, const Request* command) noexcept nogil:
    cdef int64_t user = value(command, MASS_CANCEL_USER)
    return user if user else context.user


cdef inline int64_t _key_of(const Exchange* exchange, const Context* context) noexcept nogil:
    return holder_at(&exchange.places.holder_slab, context.holder).key


cdef inline int64_t _orders_max(
    const Exchange* exchange, const Context* context, const Request* command
) noexcept nogil:
    """Return how many orders may end now."""
    if value(command, MASS_CANCEL_ALL_USERS):
        return exchange.limits.mass_cancel_all
    return exchange.limits.mass_cancel - taken_off(
        &exchange.effort, _key_of(exchange, context), _user_of(context, command)
    )


cdef inline void _find_markets(
    Exchange* exchange, const Context* context, const Request* command, Markets* markets
) noexcept nogil:
    """Find the matching markets; a halted instrument's orders stay.

    Cost: the markets in which a user has orders; for all users, all of them.
    """
    cdef const hash_tables.HashTable* users = &exchange.balances.users
    cdef int64_t rows = 0
    cdef uint64_t place
    cdef uint32_t number
    markets.seen = markets.open_count = markets.endable = markets.count = 0
    if value(command, MASS_CANCEL_ALL_USERS):
        for place in range(hash_tables.place_count(users)):
            number = hash_tables.number_at(users, place)
            if number:
                _add_user(exchange, command, markets, number)
        rows = <int64_t>users.count + markets.endable
    else:
        number = find_user(&exchange.balances, _user_of(context, command))
        if number:
            _add_user(exchange, command, markets, number)
    charge(&exchange.effort, ROW, markets.seen + rows)


cdef inline void _add_user(
    const Exchange* exchange, const Request* command, Markets* markets, uint32_t user
) noexcept nogil:
    """Add the matching markets of one user."""
    cdef int64_t instrument = value(command, MASS_CANCEL_INSTRUMENT)
    cdef uint32_t number
    if instrument:
        _add_shelf(
            exchange, command, markets, find_shelf(&exchange.orders, user, instrument, BUY)
        )
        _add_shelf(
            exchange, command, markets, find_shelf(&exchange.orders, user, instrument, SELL)
        )
        return
    number = user_at(&exchange.balances, user).shelves
    while number:
        _add_shelf(exchange, command, markets, number)
        number = shelf_at(&exchange.orders, number).next


cdef inline void _add_shelf(
    const Exchange* exchange, const Request* command, Markets* markets, uint32_t number
) noexcept nogil:
    """Add one market, if it is there and of the right side."""
    cdef int64_t side = value(command, MASS_CANCEL_SIDE)
    cdef const Shelf* shelf
    cdef const Order* order
    cdef const Book* book
    cdef const Work* work
    if number == 0:
        return
    shelf = shelf_at(&exchange.orders, number)
    order = order_at(exchange, shelf.orders.first)
    if side and side != order.side:
        return
    markets.seen += 1
    book = book_of(exchange, order.instrument)
    if book.status == HALTED:
        return
    markets.open_count += shelf.orders.count
    work = work_of(&exchange.turns, book)
    if work == NULL or not work.is_uncrossing:
        markets.endable += shelf.orders.count
        _add_first(markets, order.order_id, shelf.orders.first)


cdef inline void _add_first(Markets* markets, int64_t order_id, uint32_t number) noexcept nogil:
    """Note the first order of a market, unless so many lower ones begin others."""
    if markets.count < markets.room:
        markets.first[markets.count] = Ranked(order_id, number)
        markets.count += 1
        if markets.count == markets.room:
            make_heap(markets.first, markets.count)
    elif markets.room and order_id < markets.first[0].key:
        markets.first[0] = Ranked(order_id, number)
        sink(markets.first, 0, markets.count)


cdef inline int64_t _cancel_lowest(
    Exchange* exchange, const Context* context, const Request* command, Markets* markets
) noexcept nogil:
    """Cancel up to `room` orders by id; return how many. Legs that both end do not end each other."""
    cdef int64_t canceled = 0, request_id
    cdef uint32_t number, following
    cdef uint32_t mine = find_user(&exchange.balances, _user_of(context, command))
    cdef Order* order
    _turn(markets)
    while markets.count and canceled < markets.room:
        number = <uint32_t>markets.first[0].place
        following = _pass(exchange, markets)
        order = order_at(exchange, number)
        canceled += 1
        # The legs of a pair are neighbors on their shelf.
        if following and canceled < markets.room and partner_of(exchange, order) == following:
            part(exchange, order)
        request_id = value(command, MASS_CANCEL_REQUEST_ID) if order.user == mine else 0
        cancel(
            exchange, book_of(exchange, order.instrument), number, REASON_MASS_CANCEL, request_id
        )
    return canceled


cdef inline void _turn(Markets* markets) noexcept nogil:
    """Let the lowest order stand on top of the heap, by negative ids."""
    cdef int64_t place
    for place in range(markets.count):
        markets.first[place].key = -markets.first[place].key
    make_heap(markets.first, markets.count)


cdef inline uint32_t _pass(const Exchange* exchange, Markets* markets) noexcept nogil:
    """Let the order after the lowest one stand for their market; return it, 0 if there is none."""
    cdef uint32_t following = paging.next_row(
        &exchange.orders.of_market, <uint32_t>markets.first[0].place
    )
    if following:
        markets.first[0] = Ranked(-order_at(exchange, following).order_id, following)
    else:
        markets.count -= 1
        markets.first[0] = markets.first[markets.count]
    sink(markets.first, 0, markets.count)
    return following
