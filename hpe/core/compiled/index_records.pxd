"""What the index of orders is made of, and the open orders of one user.

The compiled twin of UserOrders in hpe/core/trading/order_index.py, with its names, and the records
of the index, which order_index.pxd keeps. Orders are found by hash tables; those of a user, and
those of a user in one market, are lists by rising id (paging.pxd), since new orders have the highest
ids: no order comes back. `user` is always the number of a user's record, and orders are named by
the numbers of theirs. An order that ends is no longer in a list: a walk reads the next one before.

Owned by the core, used by the thread that runs it. `make_index` and `reserve_index` alone may fail.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport hash_tables, paging, slabs, timers
from hpe.core.compiled.accounts cimport Balances, user_at
from hpe.core.compiled.codes cimport BUY
from hpe.core.compiled.orders cimport Order, Terms, Traded
from hpe.core.compiled.paging cimport Links, Mark, Rising, Rows
from hpe.core.compiled.reports cimport ExecutionReport
from hpe.core.compiled.users cimport User


cdef struct Shelf:
    # One user's open orders of one side of one instrument; it is there while there are any. `next`
    # and `previous` are other shelves of the user.
    int64_t user
    int64_t market
    Rising orders
    uint32_t next
    uint32_t previous


cdef struct SessionOrders:
    # Orders that a session's lost connection cancels; they are linked through their terms.
    int64_t session_id
    uint32_t oldest
    uint32_t newest


cdef struct KeptFill:
    # A fill that is kept for queries; `next` is the next newer one of all users.
    int64_t private_sequence
    Links links
    ExecutionReport report
    uint32_t user
    uint32_t next


cdef struct OrderIndex:
    # `of_user`, `of_market` and `of_fills` are where the lists have their links. Kept ended orders are
    # a chain, the oldest first, and so are `gone` orders and kept fills.
    slabs.Slab orders
    slabs.Slab terms
    slabs.Slab traded
    slabs.Slab shelves
    slabs.Slab sessions
    slabs.Slab fills
    slabs.Slab marks
    hash_tables.HashTable by_id
    hash_tables.HashTable by_client_id
    hash_tables.HashTable ended_by_client_id
    hash_tables.HashTable by_market
    hash_tables.HashTable by_session
    Rows of_user
    Rows of_market
    Rows of_fills
    Balances* balances
    timers.Timers* timers
    int64_t ended_max
    int64_t fills_max
    int64_t open_count
    int64_t ended_count
    int64_t fill_count
    uint32_t oldest_ended
    uint32_t newest_ended
    uint32_t oldest_fill
    uint32_t newest_fill
    uint32_t gone


cdef struct OpenOf:
    # The next buy and the next sell of a walk over a user's open orders of one instrument.
    uint32_t buy
    uint32_t sell


cdef inline bint _has_client_id(
    const void* slab, uint32_t number, int64_t user, int64_t client_order_id
) noexcept nogil:
    cdef const Order* order = <const Order*>slabs.record(<const slabs.Slab*>slab, number)
    return order.user == user and order.client_order_id == client_order_id


cdef inline bint make_index(
    OrderIndex* index, uint64_t seed, Balances* balances, timers.Timers* of, int64_t ended_max,
    int64_t fills_max
) noexcept nogil:
    """Initialize without orders; False if there is no memory. Both bounds are at least 1."""
    memset(index, 0, sizeof(OrderIndex))
    slabs.make_slab(&index.orders, sizeof(Order))
    slabs.make_slab(&index.terms, sizeof(Terms))
    slabs.make_slab(&index.traded, sizeof(Traded))
    slabs.make_slab(&index.shelves, sizeof(Shelf))
    slabs.make_slab(&index.sessions, sizeof(SessionOrders))
    slabs.make_slab(&index.fills, sizeof(KeptFill))
    slabs.make_slab(&index.marks, sizeof(Mark))
    hash_tables.make_table(&index.by_id, seed, &index.orders, hash_tables.begins_with_one)
    hash_tables.make_table(&index.by_client_id, seed, &index.orders, _has_client_id)
    hash_tables.make_table(&index.ended_by_client_id, seed, &index.orders, _has_client_id)
    hash_tables.make_table(&index.by_market, seed, &index.shelves, hash_tables.begins_with_two)
    hash_tables.make_table(&index.by_session, seed, &index.sessions, hash_tables.begins_with_one)
    index.of_user = Rows(&index.orders, &index.marks, 0)
    index.of_market = Rows(&index.orders, &index.marks, 1)
    index.of_fills = Rows(&index.fills, &index.marks, 0)
    index.balances, index.timers = balances, of
    index.ended_max, index.fills_max = ended_max, fills_max
    return hash_tables.reserve_places(&index.ended_by_client_id, ended_max)


cdef inline void free_index(OrderIndex* index) noexcept nogil:
    """Free all memory."""
    slabs.free_slab(&index.orders)
    slabs.free_slab(&index.terms)
    slabs.free_slab(&index.traded)
    slabs.free_slab(&index.shelves)
    slabs.free_slab(&index.sessions)
    slabs.free_slab(&index.fills)
    slabs.free_slab(&index.marks)
    hash_tables.free_table(&index.by_id)
    hash_tables.free_table(&index.by_client_id)
    hash_tables.free_table(&index.ended_by_client_id)
    hash_tables.free_table(&index.by_market)
    hash_tables.free_table(&index.by_session)


cdef inline bint reserve_index(OrderIndex* index, int64_t orders, int64_t fills) noexcept nogil:
    """Make sure that so much more fits; False if there is no memory.

    `orders` counts the orders that may be accepted and the ends that may be moved, `fills` the
    reports of fills.
    """
    return (
        slabs.reserve(&index.orders, orders)
        and slabs.reserve(&index.terms, orders)
        and slabs.reserve(&index.traded, fills)
        and slabs.reserve(&index.shelves, orders)
        and slabs.reserve(&index.sessions, orders)
        and slabs.reserve(&index.fills, fills)
        and slabs.reserve(&index.marks, 2 * orders + fills)
        and hash_tables.reserve_places(&index.by_id, orders)
        and hash_tables.reserve_places(&index.by_client_id, orders)
        and hash_tables.reserve_places(&index.by_market, orders)
        and hash_tables.reserve_places(&index.by_session, orders)
        and timers.reserve_timers(index.timers, orders)
    )


cdef inline Order* order_at(const OrderIndex* index, uint32_t number) noexcept nogil:
    """Return the order of a number."""
    return <Order*>slabs.record(&index.orders, number)


cdef inline Terms* terms_at(const OrderIndex* index, uint32_t number) noexcept nogil:
    """Return the terms of a number."""
    return <Terms*>slabs.record(&index.terms, number)


cdef inline Terms* terms_of(const OrderIndex* index, const Order* order) noexcept nogil:
    """Return the terms of an order, NULL if it has none."""
    return terms_at(index, order.terms) if order.terms else NULL


cdef inline Shelf* shelf_at(const OrderIndex* index, uint32_t number) noexcept nogil:
    """Return the shelf of a number."""
    return <Shelf*>slabs.record(&index.shelves, number)


cdef inline KeptFill* fill_at(const OrderIndex* index, uint32_t number) noexcept nogil:
    """Return the kept fill of a number."""
    return <KeptFill*>slabs.record(&index.fills, number)


cdef inline SessionOrders* session_at(const OrderIndex* index, uint32_t number) noexcept nogil:
    """Return the orders of a session of a number."""
    return <SessionOrders*>slabs.record(&index.sessions, number)


cdef inline uint32_t open_after(
    const OrderIndex* index, uint32_t user, int64_t after
) noexcept nogil:
    """Return a user's first open order with an id above this one, 0 if there is none."""
    cdef const User* mine = user_at(index.balances, user)
    return paging.first_after(&mine.orders, &index.of_user, after)


cdef inline uint32_t next_open(const OrderIndex* index, uint32_t number) noexcept nogil:
    """Return the user's next open order by id, 0 after the last."""
    return paging.next_row(&index.of_user, number)


cdef inline int64_t market_of(int64_t instrument, int side) noexcept nogil:
    """Return one number for one side of an instrument."""
    return 2 * instrument + (side != BUY)


cdef inline uint32_t find_shelf(
    const OrderIndex* index, uint32_t user, int64_t instrument, int side
) noexcept nogil:
    """Return a user's open orders of one side of an instrument, 0 if there are none."""
    return hash_tables.find(&index.by_market, user, market_of(instrument, side))


cdef inline OpenOf open_of(
    const OrderIndex* index, uint32_t user, int64_t instrument, int64_t after
) noexcept nogil:
    """Begin a walk over a user's open orders of an instrument with ids above this one."""
    cdef uint32_t buys = find_shelf(index, user, instrument, BUY)
    cdef uint32_t sells = find_shelf(index, user, instrument, BUY + 1)
    cdef OpenOf walk = OpenOf(0, 0)
    if buys:
        walk.buy = paging.first_after(&shelf_at(index, buys).orders, &index.of_market, after)
    if sells:
        walk.sell = paging.first_after(&shelf_at(index, sells).orders, &index.of_market, after)
    return walk


cdef inline uint32_t next_of(const OrderIndex* index, OpenOf* walk) noexcept nogil:
    """Return the next order of a walk by id, 0 after the last."""
    cdef uint32_t number = walk.buy
    if number == 0 or (
        walk.sell and order_at(index, walk.sell).order_id < order_at(index, number).order_id
    ):
        number = walk.sell
        if number:
            walk.sell = paging.next_row(&index.of_market, number)
    else:
        walk.buy = paging.next_row(&index.of_market, number)
    return number


cdef inline void shelve(OrderIndex* index, uint32_t number) noexcept nogil:
    """Add an open order to its market."""
    cdef const Order* order = order_at(index, number)
    cdef int64_t market = market_of(order.instrument, order.side)
    cdef uint32_t of = hash_tables.find(&index.by_market, order.user, market)
    cdef User* mine
    cdef Shelf* shelf
    if of == 0:
        of = slabs.take(&index.shelves)
        shelf = shelf_at(index, of)
        shelf.user, shelf.market = order.user, market
        mine = user_at(index.balances, order.user)
        shelf.next = mine.shelves
        if shelf.next:
            shelf_at(index, shelf.next).previous = of
        mine.shelves = of
        hash_tables.add(&index.by_market, order.user, market, of)
    paging.append(&shelf_at(index, of).orders, &index.of_market, number)


cdef inline void unshelve(OrderIndex* index, uint32_t number) noexcept nogil:
    """Remove an order that ends from its market."""
    cdef const Order* order = order_at(index, number)
    cdef uint32_t of = find_shelf(index, order.user, order.instrument, order.side)
    cdef Shelf* shelf = shelf_at(index, of)
    paging.take_out(&shelf.orders, &index.of_market, number)
    if shelf.orders.count:
        return
    hash_tables.remove(&index.by_market, shelf.user, shelf.market)
    if shelf.next:
        shelf_at(index, shelf.next).previous = shelf.previous
    if shelf.previous:
        shelf_at(index, shelf.previous).next = shelf.next
    else:
        user_at(index.balances, order.user).shelves = shelf.next
    slabs.give_back(&index.shelves, of)
