"""Which commands an instrument cannot execute now, because it has unfinished work.

The compiled twin of hpe/core/trading/busy.py, with its names. Such a command is refused as busy
before any part of it is executed. The caller (refusing.pxd) finds what a command names; nothing here
takes memory or changes anything but the effort. Used by the thread that runs the core.
"""

from libc.stdint cimport int64_t

from hpe.core.compiled.accounts cimport Balances, find_user
from hpe.core.compiled.books cimport Book, book_dead_ns, opposite
from hpe.core.compiled.codes cimport (
    ALLOWED,
    CANCEL_TAKER,
    DECREMENT,
    ORDER_POST_ONLY,
    TRADING,
    TYPE_CANCEL_ORDER,
    TYPE_DELIST_INSTRUMENT,
    TYPE_MASS_CANCEL,
    TYPE_REPLACE_ORDER,
    TYPE_SET_FEES,
    TYPE_SET_STATUS,
    TYPE_SUBMIT_OCO,
    TYPE_SUBMIT_ORDER,
    TYPE_UNCROSS,
)
from hpe.core.compiled.dead cimport Bounds, Passed, Search, count_dead
from hpe.core.compiled.effort cimport ROW, Effort, charge, waste
from hpe.core.compiled.fields cimport Request, is_nil, value
from hpe.core.compiled.kinds cimport is_stop
from hpe.core.compiled.orders cimport QUEUED, WAITING, Order, is_dead
from hpe.core.compiled.replaces cimport leaves_after, only_cancels
from hpe.core.compiled.requests cimport (
    REPLACE_ORDER_PRICE,
    SUBMIT_OCO_PRICE,
    SUBMIT_OCO_SIDE,
    SUBMIT_ORDER_FLAGS,
    SUBMIT_ORDER_ORDER_TYPE,
    SUBMIT_ORDER_PRICE,
    SUBMIT_ORDER_QUANTITY,
    SUBMIT_ORDER_SELF_TRADE,
    SUBMIT_ORDER_SIDE,
    SUBMIT_ORDER_USER,
)
from hpe.core.compiled.turns cimport Turns, work_of
from hpe.core.compiled.waiting cimport TriggerSlabs, trigger_of
from hpe.core.compiled.wide cimport INT_MAX
from hpe.core.compiled.work cimport Work


cdef struct Busy:
    # Knows what is unfinished on one exchange. Once searches for refused commands have cost
    # `effort_max`, `effort` of Limits, no further search is made.
    const Turns* turns
    const TriggerSlabs* stops
    const Balances* balances
    Effort* effort
    Bounds bounds
    int64_t effort_max


cdef inline bint refuses(
    Busy* busy, int64_t user, const Request* request, Book* book, const Order* order
) noexcept nogil:
    """True if a command has to wait until its instrument is finished.

    `order` is the open order that a cancel or a replace names, `book` that of this order or of the
    instrument that the command names; NULL if there is none. `user` is the session's.
    """
    cdef int kind = request.kind
    if book == NULL:
        return False
    if kind == TYPE_SUBMIT_ORDER:
        return _comes(busy, user, request, book)
    if kind == TYPE_SUBMIT_OCO:
        return _comes_in_pairs(busy, request, book)
    if kind == TYPE_REPLACE_ORDER:
        return _replaces(busy, request, book, order)
    if kind == TYPE_CANCEL_ORDER or kind == TYPE_MASS_CANCEL or kind == TYPE_SET_STATUS:
        return _is_uncrossing(busy, book)
    if kind == TYPE_UNCROSS:
        return _is_listed(busy, book) or book_dead_ns(book) > 0
    if kind == TYPE_SET_FEES or kind == TYPE_DELIST_INSTRUMENT:
        return _is_listed(busy, book)
    return False


cdef inline bint _is_listed(const Busy* busy, const Book* book) noexcept nogil:
    cdef const Work* work = work_of(busy.turns, book)
    return work != NULL and work.listed


cdef inline bint _is_uncrossing(const Busy* busy, const Book* book) noexcept nogil:
    cdef const Work* work = work_of(busy.turns, book)
    return work != NULL and work.is_uncrossing


cdef inline bint _comes(
    Busy* busy, int64_t user, const Request* request, Book* book
) noexcept nogil:
    cdef int64_t lots = value(request, SUBMIT_ORDER_QUANTITY)
    cdef int64_t owner = value(request, SUBMIT_ORDER_USER)
    cdef int self_trade = <int>value(request, SUBMIT_ORDER_SELF_TRADE)
    cdef Search search = Search(value(request, SUBMIT_ORDER_PRICE), 1, 0, ALLOWED)
    if _is_listed(busy, book):
        return True
    if is_stop(<int>value(request, SUBMIT_ORDER_ORDER_TYPE)):
        return False
    if value(request, SUBMIT_ORDER_FLAGS) & ORDER_POST_ONLY == 0:
        if self_trade == 0:
            self_trade = book.instrument.self_trade
        if lots == 0 and self_trade == DECREMENT:
            self_trade = CANCEL_TAKER  # a budget has no lots to cancel
        search.lots = lots if lots else INT_MAX
        search.user = find_user(busy.balances, owner if owner else user)
        search.self_trade = self_trade
    return _passes_many(busy, book, <int>value(request, SUBMIT_ORDER_SIDE), &search)


cdef inline bint _comes_in_pairs(Busy* busy, const Request* request, Book* book) noexcept nogil:
    cdef Search search = Search(value(request, SUBMIT_OCO_PRICE), 1, 0, ALLOWED)
    if _is_listed(busy, book):
        return True
    return _passes_many(busy, book, <int>value(request, SUBMIT_OCO_SIDE), &search)


cdef inline bint _passes_many(
    Busy* busy, Book* book, int side, const Search* search
) noexcept nogil:
    """True if an order would meet more dead orders than a command may.

    The cost of finding out is charged to the command. If it is refused, and so is not logged, it is
    charged separately: once that is as much as fills a batch, no search is made.
    """
    cdef int64_t until_ns = book_dead_ns(book)
    cdef Passed passed
    if until_ns == 0 or book.status != TRADING:
        return False
    if busy.effort.wasted >= busy.effort_max:
        return True
    passed = count_dead(book, opposite(book, side), search, until_ns, busy.bounds)
    if passed.dead > busy.bounds.dead:
        waste(busy.effort, ROW, passed.rows)
        return True
    charge(busy.effort, ROW, passed.rows)
    return False


cdef inline bint _replaces(
    Busy* busy, const Request* request, Book* book, const Order* order
) noexcept nogil:
    cdef bint cancels = only_cancels(request, order, trigger_of(busy.stops, order))
    cdef Search search
    if _is_listed(busy, book) and (_is_uncrossing(busy, book) or not cancels):
        return True
    if cancels or order.state == WAITING or order.state == QUEUED:
        return False
    if is_dead(order, book.terms_slab, book_dead_ns(book)):
        return False
    search = Search(order.price, 1, 0, ALLOWED)
    if value(request, REPLACE_ORDER_PRICE) and not is_nil(request, REPLACE_ORDER_PRICE):
        search.price = value(request, REPLACE_ORDER_PRICE)
    if order.flags & ORDER_POST_ONLY == 0:
        search.lots = leaves_after(request, order)
        search.user = order.user
        search.self_trade = order.self_trade
    return _passes_many(busy, book, order.side, &search)
