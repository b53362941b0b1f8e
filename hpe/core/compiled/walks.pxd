"""What an order would trade with, level by level, without trading.

The compiled twin of Matcher's searches and of Walk in hpe/core/trading/matcher.py, with their
names. Owned by the core, used by the thread that runs it. Nothing here takes memory or changes a
book; every search is charged like the reference's.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport wide
from hpe.core.compiled._c cimport int128
from hpe.core.compiled.books cimport (
    NOTHING,
    Book,
    book_dead_ns,
    first_living,
    opposite,
    terms_of,
)
from hpe.core.compiled.codes cimport ALLOWED, CANCEL_MAKER, DECREMENT
from hpe.core.compiled.effort cimport LEVEL, ROW, charge
from hpe.core.compiled.ladders cimport (
    Ladder,
    Level,
    best,
    hidden_in,
    order_at,
    price_of,
    reaches,
    worse,
)
from hpe.core.compiled.matcher cimport (
    Matcher,
    new_budget,
)
from hpe.core.compiled.orders cimport Order, is_dead


cdef struct Walk:
    # `level` is the next one, NULL behind the last; `upward`: always count what icebergs hide.
    const Matcher* matcher
    const Book* book
    const Ladder* ladder
    const Order* order
    const Level* level
    int64_t limit
    int64_t leaves
    int64_t room
    int64_t dead_ns
    bint upward
    bint ended


cdef struct Part:
    # What an order would trade at one price. `own_last`: the last order that it met there belongs
    # to its own user. `beyond`: it reached this price and trades nothing there or after it; the
    # price is 0 if there is none.
    int64_t price
    int64_t quantity
    bint own_last
    bint beyond


cdef struct Hidden:
    # The lots that others' icebergs of one level hide, and how many slices they are.
    int64_t lots
    int64_t slices


cdef inline bint fillable(
    const Matcher* matcher, Book* book, const Order* order, int64_t limit, int64_t quantity
) noexcept nogil:
    """True if this much of an order would trade at once within a limit (0: none)."""
    cdef Walk walk
    cdef Part part
    cdef int64_t total = 0
    _begin(&walk, matcher, book, order, limit, order.leaves, False)
    while next_part(&walk, &part):
        total += part.quantity
    return total >= quantity


cdef inline int128 cost(
    const Matcher* matcher, Book* book, const Order* order, int64_t limit, int64_t ticks_lots_max
) noexcept nogil:
    """Return price x quantity (ticks x lots) of what an order would trade now, or more.

    It is slightly more if the bound of fills ends it among hidden lots. Stops once the sum exceeds
    `ticks_lots_max`, because more than that cannot be paid anyway.
    """
    cdef Walk walk
    cdef Part part
    cdef int128 total = 0
    _begin(&walk, matcher, book, order, limit, order.leaves, True)
    while total <= ticks_lots_max and next_part(&walk, &part):
        total += wide.ticks_of(part.price, part.quantity)
    return total


cdef inline bint spendable(
    const Matcher* matcher, Book* book, const Order* order, int64_t limit, int64_t amount
) noexcept nogil:
    """True if a budget would be used up now, and buy something."""
    cdef Walk walk
    cdef Part part
    cdef wide.Budget budget
    cdef int64_t lots, quantity = 0
    new_budget(book, order, amount, &budget)
    _begin(&walk, matcher, book, order, limit, _lots_max(book, &budget), False)
    part.price = 0
    while next_part(&walk, &part) and not part.beyond:
        lots = wide.budget_lots(&budget, part.price)
        lots = min(part.quantity, lots)
        quantity += lots
        wide.budget_spend(&budget, part.price, lots)
        if lots < part.quantity or (
            part.own_last and not wide.budget_lots(&budget, part.price)
        ):
            return quantity > 0
    return quantity > 0 and wide.budget_is_spent(&budget, part.price)


cdef inline int64_t _lots_max(const Book* book, const wide.Budget* budget) noexcept nogil:
    """Return one lot more than a budget can buy."""
    cdef int64_t until_ns = book_dead_ns(book)
    cdef const Level* first = best(&book.asks)
    cdef uint32_t living
    if until_ns:
        living = first_living(book, &book.asks, 0, until_ns)
        if living == 0:
            return 1
        return wide.budget_lots(budget, order_at(&book.asks, living).price) + 1
    return wide.budget_lots(budget, price_of(&book.asks, first)) + 1 if first != NULL else 1


cdef inline void _begin(
    Walk* walk, const Matcher* matcher, Book* book, const Order* order, int64_t limit,
    int64_t leaves, bint upward
) noexcept nogil:
    """Begin a walk."""
    walk.matcher = matcher
    walk.book = book
    walk.ladder = opposite(book, order.side)
    walk.order = order
    walk.level = best(walk.ladder)
    walk.limit = limit
    walk.leaves = leaves
    walk.room = matcher.fills_max
    walk.dead_ns = book_dead_ns(book)
    walk.upward = upward
    walk.ended = False


cdef inline bint next_part(Walk* walk, Part* part) noexcept nogil:
    """Set what the order would trade next, best price first; False if there is nothing more.

    Ends after `fills_max` makers. An iceberg counts once per slice, and its hidden part is included
    only if all slices of its level fit. After False, the part is that of before.
    """
    cdef const Level* level
    if walk.ended:
        return False
    level = _next_level(walk)
    part.price = price_of(walk.ladder, level) if level != NULL else 0
    part.quantity = 0
    part.own_last = False
    part.beyond = level == NULL or walk.room == 0 or walk.limit == NOTHING or not reaches(
        walk.ladder, level, walk.limit
    )
    if part.beyond:
        walk.ended = True
        return True
    charge(walk.matcher.effort, LEVEL, 1)
    if (
        walk.order.self_trade != ALLOWED or level.hidden or level.count > walk.room
        or walk.dead_ns
    ):
        walk.ended = _share_of(walk, level, part)
    else:
        part.quantity = min(level.quantity, walk.leaves)
        walk.leaves -= part.quantity
        walk.room -= level.count
    walk.ended = walk.ended or walk.leaves == 0
    return True


cdef inline const Level* _next_level(Walk* walk) noexcept nogil:
    """Return the next level that the order would reach and that is not dead, NULL for none."""
    cdef const Level* level = NULL
    while walk.level != NULL and reaches(walk.ladder, walk.level, walk.order.price):
        level = walk.level
        walk.level = worse(walk.ladder, level)
        if walk.dead_ns == 0 or not _is_all_dead(walk, level):
            return level
    return NULL


cdef inline bint _is_all_dead(const Walk* walk, const Level* level) noexcept nogil:
    """True if every order of a level is dead."""
    cdef uint32_t number = level.head
    while number:
        if not is_dead(order_at(walk.ladder, number), walk.book.terms_slab, walk.dead_ns):
            return False
        number = order_at(walk.ladder, number).next
    return True


cdef inline bint _share_of(Walk* walk, const Level* level, Part* part) noexcept nogil:
    """Set what would trade at one level, order by order; True if part of the level remains.

    First come every order's shown lots in queue order, where a self-trade policy applies to orders
    of the same user; then the slices of others' icebergs, one after the other.
    """
    cdef Hidden hidden = Hidden(0, 0)
    cdef const Order* maker
    cdef uint32_t number = level.head
    cdef bint is_left
    while number:
        if walk.leaves == 0 or walk.room == 0:
            return True
        charge(walk.matcher.effort, ROW, 1)
        maker = order_at(walk.ladder, number)
        number = maker.next
        if is_dead(maker, walk.book.terms_slab, walk.dead_ns):
            continue
        walk.room -= 1
        if not _share_of_one(walk, maker, part, &hidden):
            return True
    if hidden.lots == 0 or walk.leaves == 0:
        return False
    part.own_last = False
    hidden.lots = min(hidden.lots, walk.leaves)
    # Every fill takes at least one lot.
    hidden.slices = min(hidden.slices, walk.leaves)
    is_left = hidden.slices > walk.room
    if not is_left or walk.upward:
        part.quantity += hidden.lots
        walk.leaves -= hidden.lots
    walk.room = 0 if is_left else walk.room - hidden.slices
    return is_left


cdef inline bint _share_of_one(
    Walk* walk, const Order* maker, Part* part, Hidden* hidden
) noexcept nogil:
    """Add what would trade with one order's shown lots; False if the order would end there."""
    cdef int policy = walk.order.self_trade
    cdef int64_t kept_back = hidden_in(walk.ladder, maker), lots = maker.leaves - kept_back
    part.own_last = maker.user == walk.order.user and policy != ALLOWED
    if not part.own_last:
        lots = min(lots, walk.leaves)
        part.quantity += lots
        walk.leaves -= lots
        hidden.lots += kept_back
        if kept_back:
            hidden.slices += wide.slices(kept_back, terms_of(walk.book, maker).display)
    elif policy == DECREMENT:
        walk.leaves -= min(maker.leaves, walk.leaves)
    else:
        return policy == CANCEL_MAKER
    return True
