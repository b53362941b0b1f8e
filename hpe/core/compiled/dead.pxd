"""The number of dead orders ahead of the living ones that an order would trade with.

The compiled twin of hpe/core/trading/dead.py, with its names, and of Expiry.is_dead in expiry.py
there. Pure functions of a book; nothing here takes memory. Used by the thread that runs the core.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled.books cimport Book, book_dead_ns, opposite, terms_of
from hpe.core.compiled.codes cimport ALLOWED, CANCEL_MAKER, DECREMENT, ORDER_POST_ONLY, TRADING
from hpe.core.compiled.effort cimport rows_passed
from hpe.core.compiled.ladders cimport Ladder, Level, best, hidden_in, order_at, reaches, worse
from hpe.core.compiled.orders cimport Order, is_dead
from hpe.core.compiled.timers cimport is_passed
from hpe.core.compiled.wide cimport INT_MAX


cdef struct Search:
    # How far an order would go: to `lots` within a price (0: any), and past whose own orders; `user`
    # is as in Order. With `self_trade` ALLOWED, no order counts as its own.
    int64_t price
    int64_t lots
    uint32_t user
    int self_trade


cdef struct Bounds:
    # `fills` and `dead` of Limits in hpe/core/contract.py.
    int64_t fills
    int64_t dead


cdef struct Passed:
    # The result of a search for dead orders: how many there are, and what it cost in rows.
    int64_t dead
    int64_t rows


cdef struct Counting:
    # What a search has passed so far, what it still looks for, and how many living orders it may
    # pass.
    int64_t dead
    int64_t lots
    int64_t room


cdef inline bint time_has_come(const Book* book, const Order* order) noexcept nogil:
    """True if an order's time has come; False while an uncross counts on it."""
    if not is_dead(order, book.terms_slab, book.timers.now_ns):
        return False
    return not is_passed(book.timers, book.instrument.instrument_id)


cdef inline Passed dead_before(Book* book, const Order* order, Bounds bounds) noexcept nogil:
    """Count the dead orders that an order would meet before it is filled or gives up."""
    cdef int64_t until_ns = book_dead_ns(book)
    cdef Search search
    if until_ns == 0 or book.status != TRADING:
        return Passed(0, 0)
    if order.flags & ORDER_POST_ONLY:
        search = Search(order.price, 1, 0, ALLOWED)
    else:
        search = Search(order.price, order.leaves, order.user, order.self_trade)
        if order.terms and terms_of(book, order).budget:
            search.lots = INT_MAX
    return count_dead(book, opposite(book, order.side), &search, until_ns, bounds)


cdef inline Passed count_dead(
    const Book* book, const Ladder* ladder, const Search* search, int64_t until_ns, Bounds bounds
) noexcept nogil:
    """Count the dead orders ahead of what a search is for, in the order of a match.

    If there are more than `bounds.dead`, not all of them are counted. Cost: as many orders, plus
    `bounds.fills`, because a match gives up after that many.
    """
    cdef Counting counting = Counting(0, search.lots, bounds.fills)
    cdef const Level* level = best(ladder)
    while level != NULL and reaches(ladder, level, search.price):
        if not _count_level(book, ladder, level, search, until_ns, bounds.dead, &counting):
            break
        level = worse(ladder, level)
    return Passed(counting.dead, rows_passed(counting.dead + bounds.fills - counting.room))


cdef inline bint _count_level(
    const Book* book, const Ladder* ladder, const Level* level, const Search* search,
    int64_t until_ns, int64_t dead_max, Counting* counting
) noexcept nogil:
    """Count the dead and the living orders that a search passes at a level; False if it ends."""
    cdef uint32_t number = level.head
    cdef int64_t hidden = 0
    cdef const Order* order
    while number:
        if counting.lots <= 0 or counting.dead > dead_max:
            return False
        order = order_at(ladder, number)
        number = order.next
        if is_dead(order, book.terms_slab, until_ns):
            counting.dead += 1
            continue
        if counting.room == 0:
            return False
        counting.room -= 1
        if search.self_trade == ALLOWED or order.user != search.user:
            counting.lots -= order.leaves - hidden_in(ladder, order)
            hidden += hidden_in(ladder, order)
        elif search.self_trade == DECREMENT:
            counting.lots -= order.leaves
        elif search.self_trade != CANCEL_MAKER:
            return False
    counting.lots -= hidden  # slices come after all orders that were there
    return True
