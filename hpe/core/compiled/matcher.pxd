"""Price-time priority: which resting orders an incoming order trades with, and at what price.

The compiled twin of Matcher in hpe/core/trading/matcher.py, with its names; what would trade is in
walks.pxd. Owned by the core, used by the thread that runs it. `reserve_trades` alone may fail; a
match relies on it, and on as many reserved levels, since an iceberg's next slice may need one.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport wide
from hpe.core.compiled.books cimport NOTHING, Book, book_dead_ns, opposite, terms_of
from hpe.core.compiled.buffers cimport Buffer, free_buffer, make_room
from hpe.core.compiled.codes cimport ALLOWED, CANCEL_BOTH, CANCEL_MAKER, CANCEL_TAKER, DECREMENT
from hpe.core.compiled.effort cimport FILL, REACHED, Effort, charge
from hpe.core.compiled.ladders cimport (
    Ladder,
    best,
    crosses,
    hidden_in,
    level_at,
    order_at,
    price_of,
    reduce,
    refill,
    remove,
    take_lots,
)
from hpe.core.compiled.orders cimport Order, hide, is_dead
from hpe.core.compiled.wide cimport INT_MAX, Budget


cdef struct Fill:
    # One trade of the aggressor with one maker; see Fill in hpe/core/trading/matcher.py.
    int64_t price
    int64_t quantity
    int64_t maker_leaves
    int64_t maker_cum
    int64_t taker_leaves
    int64_t taker_cum
    int64_t maker_fee
    int64_t taker_fee
    uint32_t maker


cdef struct Prevented:
    # A match of a user with itself that did not happen, and what was canceled for it.
    # `fills_before`: the number of its order's fills before it.
    int64_t price
    int64_t maker_canceled
    int64_t taker_canceled
    int64_t maker_leaves
    int64_t taker_leaves
    uint32_t maker
    uint32_t fills_before


cdef struct Matched:
    # The result of matching one aggressor, apart from its own leaves and cum. Its fills and
    # prevented matches are the newest of the matcher's, from `first_fill` and `first_prevented` on.
    # The dead orders that were removed from the book are chained by `next` from `reached` to
    # `reached_last`; the `level` of each is the number of fills before it, its `previous` that of
    # prevented matches: neither means anything else for an order outside the book. `barred`: it
    # ended at a prevented match; `exhausted`: it met as many orders as it may; `spent`: it used up
    # its budget.
    int64_t first_fill
    int64_t fill_count
    int64_t first_prevented
    int64_t prevented_count
    uint32_t reached
    uint32_t reached_last
    bint barred
    bint exhausted
    bint spent


cdef struct Matcher:
    # Each walk ends after at most `fills_max` fills; all of it is charged to `effort`. `fills` and
    # `prevented` are those of all matches since `forget_trades`.
    Effort* effort
    int64_t fills_max
    Buffer fills
    Buffer prevented


cdef inline void make_matcher(Matcher* matcher, Effort* effort, int64_t fills_max) noexcept nogil:
    """Initialize a matcher."""
    matcher.effort = effort
    matcher.fills_max = fills_max
    matcher.fills = Buffer(NULL, 0, 0)
    matcher.prevented = Buffer(NULL, 0, 0)


cdef inline void free_matcher(Matcher* matcher) noexcept nogil:
    """Free all memory."""
    free_buffer(&matcher.fills)
    free_buffer(&matcher.prevented)


cdef inline bint reserve_trades(Matcher* matcher, int64_t more) noexcept nogil:
    """Make sure that so many matches fit, each of `fills_max`; False if there is no memory."""
    more *= matcher.fills_max
    return make_room(&matcher.fills, more * <int64_t>sizeof(Fill)) and make_room(
        &matcher.prevented, more * <int64_t>sizeof(Prevented)
    )


cdef inline void forget_trades(Matcher* matcher) noexcept nogil:
    """Forget all fills and prevented matches so far."""
    matcher.fills.size = 0
    matcher.prevented.size = 0


cdef inline int64_t fill_count(const Matcher* matcher) noexcept nogil:
    """Return how many fills there are."""
    return matcher.fills.size // <int64_t>sizeof(Fill)


cdef inline int64_t prevented_count(const Matcher* matcher) noexcept nogil:
    """Return how many prevented matches there are."""
    return matcher.prevented.size // <int64_t>sizeof(Prevented)


cdef inline Fill* fill_at(const Matcher* matcher, int64_t place) noexcept nogil:
    """Return a fill."""
    return <Fill*>matcher.fills.data + place


cdef inline Prevented* prevented_at(const Matcher* matcher, int64_t place) noexcept nogil:
    """Return a prevented match."""
    return <Prevented*>matcher.prevented.data + place


cdef inline void match(
    Matcher* matcher, Book* book, Order* aggressor, int64_t limit, Matched* matched
) noexcept nogil:
    """Trade as much of the aggressor as the limit (0: none) and its bound of fills allow.

    With NOTHING nothing trades. Filled makers leave the book. The aggressor is not in the book, and
    the caller rests or cancels its remainder. With a budget, it buys the lots that this pays for,
    taker fee included, and has no leaves then. Its leaves and cum are updated. Cost: O(fills), plus
    O(log levels) per level that is used up.
    """
    cdef Ladder* ladder = opposite(book, aggressor.side)
    cdef int64_t until_ns = book_dead_ns(book), room = matcher.fills_max
    cdef int64_t leaves = aggressor.leaves, cum = aggressor.cum, quantity, price
    cdef Budget budget
    cdef bint has_budget = _budget_of(book, aggressor, &budget)
    cdef uint32_t number
    cdef Order* maker
    begin_match(matcher, matched)
    if has_budget:
        leaves = INT_MAX
    while leaves and room and limit != NOTHING and crosses(ladder, limit):
        number = next_maker(ladder)
        maker = order_at(ladder, number)
        if until_ns and is_dead(maker, book.terms_slab, until_ns):
            _reach(matcher, ladder, number, matched)
            continue
        price = maker.price
        if has_budget:
            leaves = wide.budget_lots(&budget, price)
            if not leaves:
                break
        room -= 1
        if aggressor.self_trade != ALLOWED and maker.user == aggressor.user:
            leaves -= _prevent(matcher, ladder, aggressor, number, leaves, matched)
            if matched.barred:
                break
            continue
        quantity = _fill(matcher, book, ladder, number, leaves, cum, matched)
        leaves -= quantity
        cum += quantity
        book.last_price = price
        if has_budget:
            wide.budget_spend(&budget, price, quantity)
            leaves = INT_MAX
    if until_ns and leaves and not matched.barred:
        _clear_way(matcher, book, ladder, aggressor.price, until_ns, matched)
    if has_budget:
        leaves = 0
        matched.spent = _end_budget(matcher, &budget, ladder, aggressor, cum, matched)
    aggressor.leaves = leaves
    aggressor.cum = cum
    matched.exhausted = room == 0
    charge(matcher.effort, FILL, matcher.fills_max - room)


cdef inline void begin_match(const Matcher* matcher, Matched* matched) noexcept nogil:
    """Begin a result: nothing has happened yet."""
    matched.first_fill = fill_count(matcher)
    matched.first_prevented = prevented_count(matcher)
    matched.fill_count = matched.prevented_count = 0
    matched.reached = matched.reached_last = 0
    matched.barred = matched.exhausted = matched.spent = False


cdef inline int64_t _fill(
    Matcher* matcher, const Book* book, Ladder* ladder, uint32_t number, int64_t leaves,
    int64_t cum, Matched* matched
) noexcept nogil:
    """Trade with one maker, at most the aggressor's leaves; return how many lots."""
    cdef Order* maker = order_at(ladder, number)
    cdef Fill* fill = fill_at(matcher, matched.first_fill + matched.fill_count)
    cdef int64_t hidden = hidden_in(ladder, maker), shown = maker.leaves - hidden
    cdef int64_t quantity = min(shown, leaves)
    fill.maker = number
    fill.price = maker.price
    fill.quantity = quantity
    maker.cum += quantity
    if quantity < shown or hidden:
        take_lots(ladder, maker, quantity)
        if quantity == shown:
            refill(ladder, number)
    else:
        remove(ladder, number)
        maker.leaves = 0
    fill.maker_leaves = maker.leaves
    fill.maker_cum = maker.cum
    fill.taker_leaves = leaves - quantity
    fill.taker_cum = cum + quantity
    fill.maker_fee = fill.taker_fee = 0
    matcher.fills.size += sizeof(Fill)
    matched.fill_count += 1
    return quantity


cdef inline void _clear_way(
    Matcher* matcher, const Book* book, Ladder* ladder, int64_t price, int64_t until_ns,
    Matched* matched
) noexcept nogil:
    """Remove the dead orders at the front of the book, even those beyond the band."""
    cdef uint32_t number
    while crosses(ladder, price):
        number = next_maker(ladder)
        if not is_dead(order_at(ladder, number), book.terms_slab, until_ns):
            break
        _reach(matcher, ladder, number, matched)


cdef inline uint32_t next_maker(const Ladder* ladder) noexcept nogil:
    """Return the oldest order at the best price."""
    return level_at(ladder, ladder.levels.greatest).head


cdef inline void _reach(
    Matcher* matcher, Ladder* ladder, uint32_t number, Matched* matched
) noexcept nogil:
    """Remove an order whose time has come from the book; the caller ends it."""
    cdef Order* order = order_at(ladder, number)
    remove(ladder, number)
    order.level = <uint32_t>matched.fill_count
    order.previous = <uint32_t>matched.prevented_count
    if matched.reached:
        order_at(ladder, matched.reached_last).next = number
    else:
        matched.reached = number
    matched.reached_last = number
    charge(matcher.effort, REACHED, 1)


cdef inline int64_t _prevent(
    Matcher* matcher, Ladder* ladder, const Order* aggressor, uint32_t number, int64_t leaves,
    Matched* matched
) noexcept nogil:
    """Apply the aggressor's policy to a match with its own user.

    If the policy ends the aggressor, `taker_canceled` is for the report: the caller ends the order.

    Returns:
        The lots of the aggressor that were canceled.
    """
    cdef Order* maker = order_at(ladder, number)
    cdef Prevented* here = prevented_at(matcher, matched.first_prevented + matched.prevented_count)
    cdef int policy = aggressor.self_trade
    here.maker = number
    here.price = maker.price
    here.fills_before = <uint32_t>matched.fill_count
    here.maker_canceled = maker.leaves
    if policy == CANCEL_TAKER:
        here.maker_canceled = 0
    elif policy == DECREMENT and leaves < maker.leaves:
        here.maker_canceled = leaves
    if here.maker_canceled:
        _cancel_of(ladder, number, here.maker_canceled)
    matched.barred = policy != CANCEL_MAKER and policy != DECREMENT
    here.taker_canceled = 0
    if matched.barred:
        # A budget has no lots to cancel.
        here.taker_canceled = leaves if aggressor.quantity else 0
    elif policy == DECREMENT:
        here.taker_canceled = here.maker_canceled
    here.maker_leaves = maker.leaves
    here.taker_leaves = 0
    if not matched.barred and aggressor.quantity:
        here.taker_leaves = leaves - here.taker_canceled
    matcher.prevented.size += sizeof(Prevented)
    matched.prevented_count += 1
    return 0 if matched.barred else here.taker_canceled


cdef inline bint _end_budget(
    const Matcher* matcher, const Budget* budget, const Ladder* ladder, Order* aggressor,
    int64_t cum, const Matched* matched
) noexcept nogil:
    """Set the quantity of a budget order to what it bought; True if the budget is used up."""
    cdef int64_t place
    cdef Fill* fill
    aggressor.quantity = cum
    for place in range(matched.fill_count):
        fill = fill_at(matcher, matched.first_fill + place)
        fill.taker_leaves = cum - fill.taker_cum
    return wide.budget_is_spent(
        budget, price_of(ladder, best(ladder)) if best(ladder) != NULL else 0
    )


cdef inline void _cancel_of(Ladder* ladder, uint32_t number, int64_t quantity) noexcept nogil:
    """Cancel lots of a resting order; remove it from the book if none remain."""
    cdef Order* maker = order_at(ladder, number)
    if quantity < maker.leaves:
        reduce(ladder, maker, maker.leaves - quantity)
    else:
        remove(ladder, number)
        maker.leaves = 0
        hide(ladder.terms_slab, maker, 0)


cdef inline bint _budget_of(const Book* book, const Order* order, Budget* budget) noexcept nogil:
    """Set the budget of an order; False if it has none."""
    cdef int64_t amount = terms_of(book, order).budget if order.terms else 0
    new_budget(book, order, amount, budget)
    return amount != 0


cdef inline void new_budget(
    const Book* book, const Order* order, int64_t amount, Budget* budget
) noexcept nogil:
    """Set the budget of an order that may spend this much."""
    wide.budget_of(budget, amount, book.instrument.quote_atoms_per_tick, order.taker_ppm)
