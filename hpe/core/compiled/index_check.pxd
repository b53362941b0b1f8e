"""Whether the index of orders agrees with itself: what would be a broken invariant.

The compiled twin of the checks in hpe/core/trading/order_index.py and paging.py. It changes nothing
and looks at everything, as rarely as the reference's. Owned by the core, used by the thread that
runs it.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hpe.core.compiled cimport hash_tables, order_index, paging, slabs
from hpe.core.compiled.accounts cimport user_at
from hpe.core.compiled.codes cimport BUY
from hpe.core.compiled.index_records cimport (
    OrderIndex,
    SessionOrders,
    Shelf,
    fill_at,
    find_shelf,
    order_at,
    session_at,
    shelf_at,
    terms_at,
    terms_of,
)
from hpe.core.compiled.orders cimport ENDED, QUEUED, RESTS, WAITING, Order, Terms, hidden_of
from hpe.core.compiled.paging cimport PIECE, Rising, Rows
from hpe.core.compiled.users cimport User

cdef enum IndexFault:
    INDEX_IS_SOUND
    LIST_IS_BROKEN
    MARKS_ARE_WRONG
    ORDER_IS_WRONG
    ORDER_IS_LOST
    MARKET_IS_WRONG
    COUNT_IS_WRONG
    SESSION_IS_WRONG
    ENDED_IS_WRONG
    FILLS_ARE_WRONG


cdef inline int check_index(const OrderIndex* index) noexcept nogil:
    """Return what is wrong first, INDEX_IS_SOUND if nothing is."""
    cdef const hash_tables.HashTable* users = &index.balances.users
    cdef int64_t named = 0, fills = 0, orders = 0
    cdef uint64_t place
    cdef uint32_t user
    cdef int fault
    for place in range(hash_tables.place_count(users)):
        user = hash_tables.number_at(users, place)
        if user:
            fault = _check_user(index, user, &named)
            if fault:
                return fault
            orders += user_at(index.balances, user).orders.count
            fills += user_at(index.balances, user).fills.count
    if orders != index.open_count or named != <int64_t>index.by_client_id.count:
        return COUNT_IS_WRONG
    if <int64_t>index.by_id.count != index.open_count + index.ended_count:
        return COUNT_IS_WRONG
    if fills != index.fill_count:
        return FILLS_ARE_WRONG
    fault = _check_sessions(index)
    return fault if fault else _check_ended(index)


cdef inline int _check_user(
    const OrderIndex* index, uint32_t user, int64_t* named
) noexcept nogil:
    """Check one user's lists, and add its orders with a client order id to `named`."""
    cdef const User* mine = user_at(index.balances, user)
    cdef uint32_t number = mine.orders.first
    cdef const Order* order
    cdef int fault = check_rising(&mine.orders, &index.of_user)
    if fault == INDEX_IS_SOUND:
        fault = check_rising(&mine.fills, &index.of_fills)
    while number and fault == INDEX_IS_SOUND:
        order = order_at(index, number)
        if order.user != user or _is_wrong(index, order):
            return ORDER_IS_WRONG
        if order_index.find(index, user, order.order_id, 0) != number:
            return ORDER_IS_LOST
        if order.client_order_id:
            named[0] += 1
            if order_index.find(index, user, 0, order.client_order_id) != number:
                return ORDER_IS_LOST
        number = paging.next_row(&index.of_user, number)
    number = mine.fills.first
    while number:
        if fill_at(index, number).user != user:
            return FILLS_ARE_WRONG
        number = paging.next_row(&index.of_fills, number)
    return fault if fault else _check_shelves(index, mine)


cdef inline bint _is_wrong(const OrderIndex* index, const Order* order) noexcept nogil:
    """True if an open order's quantities, reason and state do not fit together."""
    cdef const Terms* terms = terms_of(index, order)
    cdef bint waits = order.state == WAITING or order.state == QUEUED
    cdef bint waits_for_budget = waits and terms != NULL and terms.budget > 0
    if (order.state != RESTS and not waits) or order.reason:
        return True
    if (order.leaves <= 0) != waits_for_budget or order.cum < 0:
        return True
    if order.quantity < order.leaves + order.cum:
        return True
    return not 0 <= hidden_of(&index.terms, order) < max(order.leaves, <int64_t>1)


cdef inline int _check_shelves(const OrderIndex* index, const User* mine) noexcept nogil:
    """Check that a user's markets have its orders, each its own."""
    cdef uint32_t of = mine.shelves, before = 0, number, count = 0
    cdef const Shelf* shelf
    cdef const Order* order
    while of:
        shelf = shelf_at(index, of)
        if shelf.previous != before or shelf.orders.count == 0:
            return MARKET_IS_WRONG
        if check_rising(&shelf.orders, &index.of_market):
            return MARKET_IS_WRONG
        count += shelf.orders.count
        number = shelf.orders.first
        while number:
            order = order_at(index, number)
            if find_shelf(index, order.user, order.instrument, order.side) != of:
                return MARKET_IS_WRONG
            number = paging.next_row(&index.of_market, number)
        before, of = of, shelf.next
    return INDEX_IS_SOUND if count == mine.orders.count else MARKET_IS_WRONG


cdef inline int check_rising(const Rising* rising, const Rows* rows) noexcept nogil:
    """Check that rows come in the order of their numbers, and that pieces are short enough."""
    cdef uint32_t row = rising.first, before = 0, count = 0, marks = 0, piece = 0
    cdef uint32_t mark = rising.marks.least
    while row:
        if paging.previous_row(rows, row) != before:
            return LIST_IS_BROKEN
        if before and paging.number_of(rows, before) >= paging.number_of(rows, row):
            return LIST_IS_BROKEN
        piece += 1
        if paging.is_marked(rows, row):
            if mark == 0 or paging.mark_at(rows, mark).row != row:
                return MARKS_ARE_WRONG
            if paging.mark_at(rows, mark).node.first != paging.number_of(rows, row):
                return MARKS_ARE_WRONG
            mark = paging.mark_at(rows, mark).node.next
            marks += 1
            piece = 1
        if piece > PIECE:
            return MARKS_ARE_WRONG
        count += 1
        before, row = row, paging.next_row(rows, row)
    if count != rising.count or before != rising.last:
        return LIST_IS_BROKEN
    return INDEX_IS_SOUND if mark == 0 and piece <= rising.since else MARKS_ARE_WRONG


cdef inline int _check_sessions(const OrderIndex* index) noexcept nogil:
    """Check that the orders of sessions are open ones, and theirs."""
    cdef const SessionOrders* theirs
    cdef const Terms* terms
    cdef const Order* order
    cdef uint64_t place
    cdef uint32_t of, number, before
    for place in range(hash_tables.place_count(&index.by_session)):
        of = hash_tables.number_at(&index.by_session, place)
        if of == 0:
            continue
        theirs = session_at(index, of)
        number, before = theirs.oldest, 0
        while number:
            terms = terms_at(index, number)
            order = order_at(index, terms.order)
            if terms.session_id != theirs.session_id or terms.older != before:
                return SESSION_IS_WRONG
            if order_index.find(index, order.user, order.order_id, 0) != terms.order:
                return SESSION_IS_WRONG
            before, number = number, terms.newer
        if before == 0 or before != theirs.newest:
            return SESSION_IS_WRONG
    return INDEX_IS_SOUND


cdef inline int _check_ended(const OrderIndex* index) noexcept nogil:
    """Check that kept ended orders have ended, and that the newest of each client id is found."""
    cdef uint32_t number = index.oldest_ended, newest
    cdef int64_t count = 0, found = 0
    cdef const Order* order
    cdef const Terms* terms
    while number:
        order = order_at(index, number)
        terms = terms_of(index, order)
        count += 1
        if order.leaves or order.reserved or order.state != ENDED:
            return ENDED_IS_WRONG
        if terms != NULL and terms.partner:
            return ENDED_IS_WRONG
        if order_index.find_ended(index, order.user, order.order_id, 0) != number:
            return ENDED_IS_WRONG
        if order.client_order_id:
            newest = order_index.find_ended(index, order.user, 0, order.client_order_id)
            if newest == 0:
                return ENDED_IS_WRONG
            found += newest == number
        number = order_index.next_ended(index, number)
    if found != <int64_t>index.ended_by_client_id.count:
        return ENDED_IS_WRONG
    return INDEX_IS_SOUND if count == index.ended_count else ENDED_IS_WRONG
