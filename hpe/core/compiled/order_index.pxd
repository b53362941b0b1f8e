"""The index of orders: open ones of every user by both ids and by market, and the newest ended.

The compiled twin of OrderIndex in hpe/core/trading/order_index.py, with its names. It owns the
records of all orders and of what belongs to them (index_records.pxd). An order that ended stays in
the table of ids while it is kept: its state tells. So the ids of all these are different. An order
that is not kept (any more) waits in `gone` until the events that name it were reported. A new user has
no orders by itself (parties.pxd). Owned by the core, used by the thread that runs it;
`reserve_index` was called before.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport hash_tables, paging, slabs, timers
from hpe.core.compiled.accounts cimport user_at
from hpe.core.compiled.holders cimport holder_at
from hpe.core.compiled.index_records cimport (
    KeptFill,
    OrderIndex,
    SessionOrders,
    fill_at,
    order_at,
    session_at,
    shelve,
    terms_at,
    terms_of,
    unshelve,
)
from hpe.core.compiled.orders cimport ENDED, Order, Terms
from hpe.core.compiled.reports cimport ExecutionReport
from hpe.core.compiled.users cimport User


cdef inline void add(OrderIndex* index, uint32_t number) noexcept nogil:
    """Index an order that stays open."""
    cdef const Order* order = order_at(index, number)
    cdef const Terms* terms = terms_of(index, order)
    hash_tables.add(&index.by_id, order.order_id, 0, number)
    paging.append(&user_at(index.balances, order.user).orders, &index.of_user, number)
    shelve(index, number)
    if order.client_order_id:
        hash_tables.add(&index.by_client_id, order.user, order.client_order_id, number)
    index.open_count += 1
    holder_at(index.balances.holders, order.holder).orders += 1
    if terms != NULL and terms.expires_ns:
        _add_timer(index, order, terms)
    if terms != NULL and terms.session_id:
        _own(index, order.terms)


cdef inline void end(OrderIndex* index, uint32_t number, bint told) noexcept nogil:
    """Move an indexed order to the ended ones; `told`: the response says that it ended."""
    cdef Order* order = order_at(index, number)
    cdef const Terms* terms = terms_of(index, order)
    order.state = ENDED
    paging.take_out(&user_at(index.balances, order.user).orders, &index.of_user, number)
    unshelve(index, number)
    if order.client_order_id:
        hash_tables.remove(&index.by_client_id, order.user, order.client_order_id)
    index.open_count -= 1
    holder_at(index.balances.holders, order.holder).orders -= 1
    if terms != NULL and terms.expires_ns:
        _remove_timer(index, order, terms)
    if terms != NULL and terms.session_id:
        _disown(index, order.terms)
    if order.cum or not told or reuses_id(index, order):
        _keep(index, number)
    else:
        hash_tables.remove(&index.by_id, order.order_id, 0)
        let_go(index, number)


cdef inline bint reuses_id(const OrderIndex* index, const Order* order) noexcept nogil:
    """True if an older kept order has the client order id of one that ended."""
    return order.client_order_id != 0 and hash_tables.find(
        &index.ended_by_client_id, order.user, order.client_order_id
    ) != 0


cdef inline void keep(OrderIndex* index, uint32_t number) noexcept nogil:
    """Keep an order that ended and was never open; forget the oldest if there are too many."""
    hash_tables.add(&index.by_id, order_at(index, number).order_id, 0, number)
    _keep(index, number)


cdef inline void _keep(OrderIndex* index, uint32_t number) noexcept nogil:
    cdef const Order* order = order_at(index, number)
    if index.ended_count >= index.ended_max:
        _forget_oldest(index)
    paging.links_of(&index.of_user, number).next = 0
    if index.newest_ended:
        paging.links_of(&index.of_user, index.newest_ended).next = number
    else:
        index.oldest_ended = number
    index.newest_ended = number
    index.ended_count += 1
    holder_at(index.balances.holders, order.holder).kept += 1
    if order.client_order_id == 0:
        return
    if reuses_id(index, order):
        hash_tables.remove(&index.ended_by_client_id, order.user, order.client_order_id)
    hash_tables.add(&index.ended_by_client_id, order.user, order.client_order_id, number)


cdef inline void _forget_oldest(OrderIndex* index) noexcept nogil:
    """Forget the kept order that ended first."""
    cdef uint32_t number = index.oldest_ended
    cdef const Order* order = order_at(index, number)
    index.oldest_ended = next_ended(index, number)
    if index.oldest_ended == 0:
        index.newest_ended = 0
    index.ended_count -= 1
    holder_at(index.balances.holders, order.holder).kept -= 1
    if order.client_order_id and number == hash_tables.find(
        &index.ended_by_client_id, order.user, order.client_order_id
    ):
        hash_tables.remove(&index.ended_by_client_id, order.user, order.client_order_id)
    hash_tables.remove(&index.by_id, order.order_id, 0)
    let_go(index, number)


cdef inline uint32_t next_ended(const OrderIndex* index, uint32_t number) noexcept nogil:
    """Return the kept order that ended after one, 0 after the newest."""
    return paging.next_row(&index.of_user, number)


cdef inline void let_go(OrderIndex* index, uint32_t number) noexcept nogil:
    """Let an order that is not indexed be freed when the events that name it were reported."""
    paging.links_of(&index.of_user, number).next = index.gone
    index.gone = number


cdef inline void free_gone(OrderIndex* index) noexcept nogil:
    """Free the orders that ended and are not kept: their events were reported."""
    cdef uint32_t number = index.gone, following
    cdef const Order* order
    while number:
        order = order_at(index, number)
        following = next_ended(index, number)
        if order.terms:
            slabs.give_back(&index.terms, order.terms)
        if order.traded:
            slabs.give_back(&index.traded, order.traded)
        slabs.give_back(&index.orders, number)
        number = following
    index.gone = 0


cdef inline void move_end(OrderIndex* index, uint32_t number, int64_t expires_ns) noexcept nogil:
    """Change the end of an indexed order that has one."""
    cdef const Order* order = order_at(index, number)
    cdef Terms* terms = terms_of(index, order)
    _remove_timer(index, order, terms)
    terms.expires_ns = expires_ns
    _add_timer(index, order, terms)


cdef inline void _add_timer(
    OrderIndex* index, const Order* order, const Terms* terms
) noexcept nogil:
    timers.add_timer(
        index.timers, timers.ORDER, terms.expires_ns, order.order_id,
        user_at(index.balances, order.user).user, order.instrument,
    )


cdef inline void _remove_timer(
    OrderIndex* index, const Order* order, const Terms* terms
) noexcept nogil:
    timers.remove_timer(
        index.timers, timers.ORDER, terms.expires_ns, order.order_id,
        user_at(index.balances, order.user).user, order.instrument,
    )


cdef inline void _own(OrderIndex* index, uint32_t number) noexcept nogil:
    """Add the terms of an order to its session, as the newest."""
    cdef Terms* terms = terms_at(index, number)
    cdef SessionOrders* theirs
    cdef uint32_t of = hash_tables.find(&index.by_session, terms.session_id, 0)
    if of == 0:
        of = slabs.take(&index.sessions)
        session_at(index, of).session_id = terms.session_id
        hash_tables.add(&index.by_session, terms.session_id, 0, of)
    theirs = session_at(index, of)
    terms.newer = 0
    terms.older = theirs.newest
    if theirs.newest:
        terms_at(index, theirs.newest).newer = number
    else:
        theirs.oldest = number
    theirs.newest = number


cdef inline void _disown(OrderIndex* index, uint32_t number) noexcept nogil:
    """Remove the terms of an ended order from its session, which may be gone."""
    cdef const Terms* terms = terms_at(index, number)
    cdef uint32_t of = hash_tables.find(&index.by_session, terms.session_id, 0)
    cdef SessionOrders* theirs
    if of == 0:
        return
    theirs = session_at(index, of)
    if terms.newer:
        terms_at(index, terms.newer).older = terms.older
    else:
        theirs.newest = terms.older
    if terms.older:
        terms_at(index, terms.older).newer = terms.newer
    else:
        theirs.oldest = terms.newer
    if theirs.oldest == 0:
        forget_session(index, terms.session_id)


cdef inline const SessionOrders* of_session(
    const OrderIndex* index, int64_t session_id
) noexcept nogil:
    """Return the orders that a session's lost connection cancels, NULL if there are none."""
    cdef uint32_t of = hash_tables.find(&index.by_session, session_id, 0)
    return session_at(index, of) if of else NULL


cdef inline void forget_session(OrderIndex* index, int64_t session_id) noexcept nogil:
    """Make the orders of a session ordinary ones; it gets no new ones."""
    cdef uint32_t of = hash_tables.find(&index.by_session, session_id, 0)
    if of:
        hash_tables.remove(&index.by_session, session_id, 0)
        slabs.give_back(&index.sessions, of)


cdef inline void remember_fill(
    void* of, uint32_t user, const ExecutionReport* report
) noexcept nogil:
    """Keep a fill in an index for queries; forget the oldest if there are too many."""
    cdef OrderIndex* index = <OrderIndex*>of
    cdef uint32_t number
    cdef KeptFill* fill
    if index.fills_max == 0:
        user_at(index.balances, user).fills_after = report.private_sequence
        return
    if index.fill_count >= index.fills_max:
        _forget_fill(index)
    number = slabs.take(&index.fills)
    fill = fill_at(index, number)
    fill.private_sequence = report.private_sequence
    fill.report = report[0]
    fill.user = user
    paging.append(&user_at(index.balances, user).fills, &index.of_fills, number)
    if index.newest_fill:
        fill_at(index, index.newest_fill).next = number
    else:
        index.oldest_fill = number
    index.newest_fill = number
    index.fill_count += 1


cdef inline void _forget_fill(OrderIndex* index) noexcept nogil:
    """Forget the oldest fill, which is also the oldest of its user."""
    cdef uint32_t number = index.oldest_fill
    cdef const KeptFill* fill = fill_at(index, number)
    cdef User* theirs = user_at(index.balances, fill.user)
    theirs.fills_after = fill.private_sequence
    paging.take_out(&theirs.fills, &index.of_fills, number)
    index.oldest_fill = fill.next
    if index.oldest_fill == 0:
        index.newest_fill = 0
    index.fill_count -= 1
    slabs.give_back(&index.fills, number)


cdef inline uint32_t fills_after(
    const OrderIndex* index, uint32_t user, int64_t sequence
) noexcept nogil:
    """Return a user's oldest kept fill after a private sequence, 0 if there is none."""
    return paging.first_after(
        &user_at(index.balances, user).fills, &index.of_fills, sequence
    )


cdef inline uint32_t next_fill(const OrderIndex* index, uint32_t number) noexcept nogil:
    """Return the user's next kept fill, 0 after the newest."""
    return paging.next_row(&index.of_fills, number)


cdef inline uint32_t find(
    const OrderIndex* index, uint32_t user, int64_t order_id, int64_t client_order_id
) noexcept nogil:
    """Return an open order of this user; 0 for another user's order, as for no order."""
    cdef uint32_t number
    if order_id == 0:
        return hash_tables.find(&index.by_client_id, user, client_order_id)
    number = _by_id(index, user, order_id)
    return number if number and order_at(index, number).state != ENDED else 0


cdef inline uint32_t find_ended(
    const OrderIndex* index, uint32_t user, int64_t order_id, int64_t client_order_id
) noexcept nogil:
    """Return the newest ended order of this user under an id, 0 if it is not kept."""
    cdef uint32_t number
    if client_order_id:
        return hash_tables.find(&index.ended_by_client_id, user, client_order_id)
    number = _by_id(index, user, order_id)
    return number if number and order_at(index, number).state == ENDED else 0


cdef inline uint32_t _by_id(
    const OrderIndex* index, uint32_t user, int64_t order_id
) noexcept nogil:
    cdef uint32_t number = hash_tables.find(&index.by_id, order_id, 0)
    return number if number and order_at(index, number).user == user else 0
