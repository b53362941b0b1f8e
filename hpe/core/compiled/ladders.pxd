"""One side of a book: price levels in order, and the queue of each, first in, first out.

The compiled twin of Ladder in hpe/core/trading/orderbook.py, with its names. The levels are an
ordered tree by rank; the best is the greatest. An order's record names its level, so one in the
middle of a queue leaves in O(1). A level appears or disappears in O(log n). Owned by the core, used
by the thread that runs it; a level's record was reserved before the batch.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport ordered
from hpe.core.compiled.codes cimport ADDED, BUY, CHANGED, REMOVED
from hpe.core.compiled.orders cimport Order, Terms, hidden_of, hide, show_slice
from hpe.core.compiled.slabs cimport Slab, give_back, record, take


cdef struct Level:
    # All resting orders of one side at one price. The node's first key is the rank, price x sign,
    # so that a higher one is better. `quantity` is the sum of the shown lots, `hidden` of those that
    # icebergs hide: both within 2^62, since all of them are paid for (hpe/core/money/balances.py).
    ordered.Node node
    int64_t quantity
    int64_t hidden
    uint32_t count
    uint32_t head
    uint32_t tail


ctypedef void (*Notice)(
    void* watcher, int change, const void* ladder, const Order* order
) noexcept nogil


cdef struct Ladder:
    # `changes` counts every visible change of the side, `count` its orders. While the book has
    # subscribers, `notice` is called with each change; 0: only hidden lots changed or, without an
    # order, the book's status.
    ordered.Tree levels
    Slab* level_slab
    Slab* order_slab
    const Slab* terms_slab
    int side
    int sign
    int64_t changes
    int64_t count
    Notice notice
    void* watcher


cdef inline void make_ladder(
    Ladder* ladder, int side, Slab* level_slab, Slab* order_slab, const Slab* terms_slab
) noexcept nogil:
    """Initialize an empty side of a book."""
    ladder.levels = ordered.Tree(0, 0, 0, 0)
    ladder.level_slab = level_slab
    ladder.order_slab = order_slab
    ladder.terms_slab = terms_slab
    ladder.side = side
    ladder.sign = 1 if side == BUY else -1
    ladder.changes = 0
    ladder.count = 0
    ladder.notice = NULL
    ladder.watcher = NULL


cdef inline Level* level_at(const Ladder* ladder, uint32_t number) noexcept nogil:
    """Return the level of a number."""
    return <Level*>record(ladder.level_slab, number)


cdef inline Order* order_at(const Ladder* ladder, uint32_t number) noexcept nogil:
    """Return the order of a number."""
    return <Order*>record(ladder.order_slab, number)


cdef inline int64_t hidden_in(const Ladder* ladder, const Order* order) noexcept nogil:
    """Return the part of a resting order's leaves that it does not show."""
    return hidden_of(ladder.terms_slab, order)


cdef inline Level* best(const Ladder* ladder) noexcept nogil:
    """Return the best level, NULL if the side is empty."""
    if ladder.levels.greatest == 0:
        return NULL
    return level_at(ladder, ladder.levels.greatest)


cdef inline int64_t price_of(const Ladder* ladder, const Level* level) noexcept nogil:
    """Return the price of a level."""
    return level.node.first * ladder.sign


cdef inline Level* worse(const Ladder* ladder, const Level* level) noexcept nogil:
    """Return the next level behind one, NULL if it is the last."""
    return level_at(ladder, level.node.previous) if level.node.previous else NULL


cdef inline void note(Ladder* ladder, int change, const Order* order) noexcept nogil:
    """Notify the watcher of the book, if there is one, of a change."""
    if ladder.notice != NULL:
        ladder.notice(ladder.watcher, change, ladder, order)


cdef inline void add(Ladder* ladder, uint32_t number) noexcept nogil:
    """Append an order to the queue of its price."""
    cdef Order* order = order_at(ladder, number)
    cdef int64_t hidden = hidden_in(ladder, order)
    cdef Level* level
    ladder.changes += 1
    ladder.count += 1
    order.level = _level_of(ladder, order.price)
    level = level_at(ladder, order.level)
    order.previous = level.tail
    order.next = 0
    if level.tail:
        order_at(ladder, level.tail).next = number
    else:
        level.head = number
    level.tail = number
    level.quantity += order.leaves - hidden
    level.hidden += hidden
    level.count += 1
    note(ladder, ADDED, order)


cdef inline uint32_t _level_of(Ladder* ladder, int64_t price) noexcept nogil:
    """Return the level of a price, which appears if it is new."""
    cdef int64_t rank = price * ladder.sign
    cdef uint32_t number = ladder.levels.greatest
    if number and level_at(ladder, number).node.first == rank:
        return number
    number = ordered.find_key(&ladder.levels, ladder.level_slab, rank, 0, 0)
    if number == 0:
        number = take(ladder.level_slab)
        level_at(ladder, number).node.first = rank
        ordered.insert(&ladder.levels, ladder.level_slab, number)
    return number


cdef inline void remove(Ladder* ladder, uint32_t number) noexcept nogil:
    """Remove an order from its queue, with whatever leaves it has."""
    cdef Order* order = order_at(ladder, number)
    cdef int64_t hidden = hidden_in(ladder, order)
    cdef uint32_t of = order.level
    cdef Level* level = level_at(ladder, of)
    ladder.changes += 1
    ladder.count -= 1
    note(ladder, REMOVED, order)
    if order.next:
        order_at(ladder, order.next).previous = order.previous
    else:
        level.tail = order.previous
    if order.previous:
        order_at(ladder, order.previous).next = order.next
    else:
        level.head = order.next
    level.quantity -= order.leaves - hidden
    level.hidden -= hidden
    level.count -= 1
    order.next = 0
    order.previous = 0
    order.level = 0
    if level.count == 0:
        ordered.take_out(&ladder.levels, ladder.level_slab, of)
        give_back(ladder.level_slab, of)


cdef inline void take_lots(Ladder* ladder, Order* order, int64_t quantity) noexcept nogil:
    """Subtract a fill from a resting order that shows more than this; it keeps its place."""
    ladder.changes += 1
    level_at(ladder, order.level).quantity -= quantity
    order.leaves -= quantity
    note(ladder, CHANGED, order)


cdef inline void reduce(Ladder* ladder, Order* order, int64_t leaves) noexcept nogil:
    """Lower a resting order's leaves, hidden ones first; it keeps its place."""
    cdef int64_t hidden = hidden_in(ladder, order) - (order.leaves - leaves)
    reshow(ladder, order, leaves, hidden if hidden > 0 else 0)


cdef inline void reshow(
    Ladder* ladder, Order* order, int64_t leaves, int64_t hidden
) noexcept nogil:
    """Change a resting order's leaves and hidden lots; it keeps its place.

    A change of hidden lots only is not a change of the book: it would reveal an iceberg.
    """
    cdef Level* level = level_at(ladder, order.level)
    cdef int64_t hidden_before = hidden_in(ladder, order)
    cdef int64_t more = leaves - hidden - (order.leaves - hidden_before)
    level.quantity += more
    level.hidden += hidden - hidden_before
    order.leaves = leaves
    hide(ladder.terms_slab, order, hidden)
    if more == 0:
        note(ladder, 0, order)
        return
    ladder.changes += 1
    note(ladder, CHANGED, order)


cdef inline void refill(Ladder* ladder, uint32_t number) noexcept nogil:
    """Show an iceberg's next slice, at the end of its price's queue; it shows nothing now."""
    cdef const Order* order = order_at(ladder, number)
    remove(ladder, number)
    show_slice(order, <Terms*>record(ladder.terms_slab, order.terms))
    add(ladder, number)


cdef inline bint crosses(const Ladder* ladder, int64_t price) noexcept nogil:
    """True if an opposite order at this limit (0: none) would trade."""
    cdef const Level* first = best(ladder)
    if first == NULL:
        return False
    return price == 0 or first.node.first >= price * ladder.sign


cdef inline bint reaches(const Ladder* ladder, const Level* level, int64_t price) noexcept nogil:
    """True if an opposite order at this limit (0: none) would reach a level."""
    return price == 0 or level.node.first >= price * ladder.sign


cdef inline int64_t count_within(const Ladder* ladder, int64_t price) noexcept nogil:
    """Return the number of levels that an opposite order at this limit would reach."""
    return ordered.count_from(&ladder.levels, ladder.level_slab, price * ladder.sign, 0, 0)
