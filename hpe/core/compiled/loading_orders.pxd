"""From rows back to orders and fills, and what rows refer to.

The compiled twin of a part of hpe/core/state/loading.py, with its names; loading.pxd has the rest.
Open orders are indexed when all rows are there, by rising id. A row that cannot be raises
ValueError, with what is wrong. Everything here holds the interpreter's lock. Owned by the core, used
by the thread that runs it.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport buffers, hash_tables, ladders, order_index, ordered, slabs, triggers
from hpe.core.compiled.accounts cimport find_account, find_user, user_at
from hpe.core.compiled.books cimport Book, side_of
from hpe.core.compiled.codes cimport BUY
from hpe.core.compiled.exchange_state cimport Exchange, book_of, order_at, terms_at
from hpe.core.compiled.holders cimport holder_at
from hpe.core.compiled.index_records cimport fill_at, reserve_index
from hpe.core.compiled.orders cimport (
    ENDED,
    QUEUED,
    RESTS,
    WAITING,
    Order,
    Terms,
    Traded,
    stop_sign,
    trading,
)
from hpe.core.compiled.places cimport holder_of, reserve_holders
from hpe.core.compiled.reports cimport ExecutionReport
from hpe.core.compiled.sorting cimport Ranked, sort_ranked
from hpe.core.compiled.state_rows cimport ROW_ENDED, ROW_FILL, ROW_QUEUED, ROW_RESTING, ROW_WAITING
from hpe.core.compiled.turns cimport of, reserve_turns
from hpe.core.compiled.waiting cimport WaitingSide, group_at, reserve_triggers
from hpe.core.compiled.work cimport Work, line_at, restore


cdef struct Loading:
    # A load in progress. Open orders by their ids, and orders by the ids of their partners, are
    # Ranked; so are the books by the changes that they had. `opened` finds open orders by id.
    Exchange* exchange
    hash_tables.HashTable opened
    buffers.Buffer orders
    buffers.Buffer partners
    buffers.Buffer sequences
    int64_t last_asset_id
    int64_t last_instrument_id


cdef inline int note(buffers.Buffer* noted, int64_t key, uint32_t number) except -1:
    """Remember a record until all rows are there."""
    if not buffers.make_room(noted, sizeof(Ranked)):
        raise MemoryError
    (<Ranked*>(noted.data + noted.size))[0] = Ranked(key, number)
    noted.size += <int64_t>sizeof(Ranked)
    return 0


cdef inline int has_memory(bint reserved) except -1:
    """Raise MemoryError if a reservation failed."""
    if not reserved:
        raise MemoryError
    return 0


# --- what rows refer to ---------------------------------------------------------------------------


cdef inline uint32_t holder_for(Loading* loading, int64_t key) except 0:
    """Return the holder of a key; it is good until the next call, unless it has a place."""
    has_memory(reserve_holders(&loading.exchange.places, 1))
    return holder_of(&loading.exchange.places, key)


cdef inline Book* book_for(Loading* loading, int64_t instrument) except NULL:
    """Return the book of an instrument, of which a row must have come before."""
    cdef Book* book = book_of(loading.exchange, instrument)
    if book == NULL:
        raise ValueError(f"names instrument {instrument}, of which no row came before")
    return book


cdef inline uint32_t user_for(Loading* loading, int64_t user) except 0:
    """Return the number of a user, of which a row must have come before."""
    cdef uint32_t number = find_user(&loading.exchange.balances, user)
    if number == 0:
        raise ValueError(f"names user {user}, of which no row came before")
    return number


cdef inline uint32_t account_for(Loading* loading, int64_t user, int64_t asset) except 0:
    """Return the number of an account, of which a row must have come before."""
    cdef uint32_t number
    user_for(loading, user)
    number = find_account(&loading.exchange.balances, user, asset)
    if number == 0:
        raise ValueError(
            f"names of user {user} an account of asset {asset}, of which no row came before"
        )
    return number


# --- orders and fills -----------------------------------------------------------------------------


cdef inline int load_order(Loading* loading, int kind, row) except -1:
    """Load a row of an order, or of a fill."""
    if kind == ROW_RESTING:
        _load_resting(loading, row)
    elif kind == ROW_WAITING:
        _load_waiting(loading, row)
    elif kind == ROW_QUEUED:
        _load_queued(loading, row)
    elif kind == ROW_ENDED:
        _load_ended(loading, row)
    elif kind == ROW_FILL:
        _load_fill(loading, row)
    return 0


cdef inline int _load_resting(Loading* loading, row) except -1:
    cdef Book* book = book_for(loading, row.instrument)
    cdef uint32_t number = _open(loading, row, RESTS)
    has_memory(slabs.reserve(&loading.exchange.level_slab, 1))
    ladders.add(side_of(book, row.side), number)
    return 0


cdef inline int _load_waiting(Loading* loading, row) except -1:
    cdef Book* book = book_for(loading, row.instrument)
    cdef const Order* order = order_at(loading.exchange, _open(loading, row, WAITING))
    has_memory(reserve_triggers(&loading.exchange.trigger_slabs, 1))
    if order.terms == 0 or _is_waiting(
        triggers.side_of(&book.triggers, order.side), terms_at(loading.exchange, order.terms)
    ):
        raise ValueError("waits at a trigger where it cannot")
    triggers.add(&book.triggers, order)
    return 0


cdef inline bint _is_waiting(const WaitingSide* waiting, const Terms* terms) noexcept:
    """True if another stop of the same trigger has the same place."""
    cdef int64_t rank = terms.stop_price * waiting.sign
    cdef uint32_t group
    if terms.trail == 0:
        return ordered.find_key(
            &waiting.fixed, waiting.records.terms, -rank, terms.place, 0
        ) != 0
    group = ordered.find_key(
        &waiting.trails, &waiting.records.trails, -(rank + terms.trail), 0, 0
    )
    return group != 0 and ordered.find_key(
        &group_at(waiting, group).stops, waiting.records.terms, terms.trail, terms.place, 0
    ) != 0


cdef inline int _load_queued(Loading* loading, row) except -1:
    cdef Exchange* exchange = loading.exchange
    cdef Book* book = book_for(loading, row.instrument)
    cdef const Order* order = order_at(exchange, _open(loading, row, QUEUED))
    cdef int64_t line = row.line
    cdef const Terms* terms
    cdef Work* work
    has_memory(reserve_turns(&exchange.turns, 1) and slabs.reserve(&exchange.work_slabs.lines, 1))
    work = of(&exchange.turns, book)
    if line == 0 or not work.line_count <= line <= work.line_count + 1:
        raise ValueError(f"stands in line {line} of {work.line_count}")
    terms = terms_at(exchange, order.terms) if order.terms else NULL
    if terms == NULL or line == work.line_count and ordered.find_key(
        &line_at(&exchange.work_slabs, work.last_line).stops, &exchange.orders.terms,
        -terms.stop_price * stop_sign(order.side), terms.place, 0,
    ):
        raise ValueError("stands in a line where it cannot")
    restore(work, &exchange.work_slabs, order.terms, line)
    return 0


cdef inline int _load_ended(Loading* loading, row) except -1:
    cdef Exchange* exchange = loading.exchange
    cdef uint32_t number = _order(loading, row, ENDED)
    if hash_tables.find(&exchange.orders.by_id, row.order_id, 0):
        raise ValueError(f"is a second one of order {row.order_id}")
    order_at(exchange, number).reason = row.reason
    order_index.keep(&exchange.orders, number)
    order_index.free_gone(&exchange.orders)
    return 0


cdef inline uint32_t _open(Loading* loading, row, int state) except 0:
    """Return the order of a row, which is open; its key is kept until it is counted."""
    cdef uint32_t number
    cdef const Order* order
    if hash_tables.find(&loading.opened, row.order_id, 0):
        raise ValueError(f"is a second one of order {row.order_id}")
    number = _order(loading, row, state)
    order = order_at(loading.exchange, number)
    has_memory(hash_tables.reserve_places(&loading.opened, 1))
    hash_tables.add(&loading.opened, order.order_id, 0, number)
    holder_at(&loading.exchange.places.holder_slab, order.holder).kept += 1
    note(&loading.orders, order.order_id, number)
    if row.partner:
        note(&loading.partners, row.partner, number)
    return number


cdef inline uint32_t _order(Loading* loading, row, int state) except 0:
    """Return the order of a row."""
    cdef Exchange* exchange = loading.exchange
    cdef const Book* book = book_for(loading, row.instrument)
    cdef uint32_t base = account_for(loading, row.user, book.instrument.base)
    cdef uint32_t quote = account_for(loading, row.user, book.instrument.quote)
    cdef uint32_t number
    cdef Order* order
    has_memory(reserve_index(&exchange.orders, 1, 1))
    number = slabs.take(&exchange.orders.orders)
    order = order_at(exchange, number)
    order.order_id, order.client_order_id = row.order_id, row.client_order_id
    order.user, order.instrument = user_for(loading, row.user), row.instrument
    order.side, order.order_type, order.time_in_force = (
        row.side, row.order_type, row.time_in_force,
    )
    order.price, order.quantity, order.leaves = row.price, row.quantity, row.leaves
    order.cum, order.reserved = row.cum, row.reserved
    order.flags, order.self_trade, order.state = row.flags, row.self_trade, <int8_t>state
    order.maker_ppm, order.taker_ppm = row.maker_ppm, row.taker_ppm
    order.paying, order.receiving = (quote, base) if order.side == BUY else (base, quote)
    order.holder = holder_for(loading, row.key)
    _take_terms(loading, row, number)
    _take_trades(loading, row, order)
    return number


cdef inline int _take_terms(Loading* loading, row, uint32_t number) except -1:
    """Set the terms of an order from its row, if it has any."""
    cdef Order* order = order_at(loading.exchange, number)
    cdef Terms* terms
    if not (
        row.stop_price or row.trail or row.display or row.minimum or row.budget
        or row.expires_ns or row.place or row.session_id or row.partner or row.holds_pair
    ):
        return 0
    order.terms = slabs.take(&loading.exchange.orders.terms)
    terms = terms_at(loading.exchange, order.terms)
    terms.order = number
    terms.stop_price, terms.trail, terms.display = row.stop_price, row.trail, row.display
    terms.hidden, terms.minimum, terms.budget = row.hidden, row.minimum, row.budget
    terms.expires_ns, terms.place = row.expires_ns, row.place
    terms.session_id, terms.holds_pair = row.session_id, row.holds_pair
    return 0


cdef inline int _take_trades(Loading* loading, row, Order* order) except -1:
    """Set the totals of an order's trades from its row, if it has traded."""
    cdef Traded* traded
    if row.quote_total or row.fee_total or row.fee_rest:
        traded = trading(&loading.exchange.orders.traded, order)
        traded.quote_total, traded.fee_total = row.quote_total, row.fee_total
        traded.fee_rest = row.fee_rest
    return 0


cdef inline int _load_fill(Loading* loading, row) except -1:
    cdef Exchange* exchange = loading.exchange
    cdef uint32_t user = user_for(loading, row.user)
    cdef uint32_t newest = user_at(&exchange.balances, user).fills.last
    cdef ExecutionReport report
    report.request_id, report.flags = row.request_id, row.flags
    report.private_sequence, report.sequence = row.private_sequence, row.sequence
    report.time_ns, report.exec_type, report.status = row.time_ns, row.exec_type, row.status
    report.instrument, report.order_id = row.instrument, row.order_id
    report.client_order_id, report.side = row.client_order_id, row.side
    report.liquidity, report.trade_id = row.liquidity, row.trade_id
    report.last_price, report.last_quantity = row.last_price, row.last_quantity
    report.leaves, report.cum = row.leaves, row.cum
    report.contra_order_id, report.fee = row.contra_order_id, row.fee
    if newest and fill_at(&exchange.orders, newest).private_sequence >= report.private_sequence:
        raise ValueError(f"is not newer than the fill before of user {row.user}")
    has_memory(reserve_index(&exchange.orders, 0, 1))
    order_index.remember_fill(&exchange.orders, user, &report)
    return 0


# --- the index, when all rows are there ------------------------------------------------------------


cdef inline int64_t noted_count(const buffers.Buffer* noted) noexcept:
    """Return how many records were remembered."""
    return noted.size // <int64_t>sizeof(Ranked)


cdef inline int add_orders(Loading* loading) except -1:
    """Index all open orders, by rising id."""
    cdef Exchange* exchange = loading.exchange
    cdef Ranked* rows = <Ranked*>loading.orders.data
    cdef const Order* order
    cdef uint32_t number
    cdef int64_t place
    sort_ranked(rows, noted_count(&loading.orders))
    for place in range(noted_count(&loading.orders)):
        number = <uint32_t>rows[place].place
        order = order_at(exchange, number)
        if hash_tables.find(&exchange.orders.by_id, order.order_id, 0) or (
            order.client_order_id
            and order_index.find(&exchange.orders, order.user, 0, order.client_order_id)
        ):
            raise ValueError(f"is an end, but order {order.order_id} has ids of another one")
        has_memory(reserve_index(&exchange.orders, 1, 0))
        holder_at(&exchange.places.holder_slab, order.holder).kept -= 1
        order_index.add(&exchange.orders, number)
    return 0


cdef inline int link_partners(Loading* loading) except -1:
    """Link the orders of pairs, which are indexed."""
    cdef Exchange* exchange = loading.exchange
    cdef const Ranked* rows = <const Ranked*>loading.partners.data
    cdef uint32_t partner
    cdef int64_t place
    for place in range(noted_count(&loading.partners)):
        partner = hash_tables.find(&exchange.orders.by_id, rows[place].key, 0)
        if partner == 0 or order_at(exchange, partner).state == ENDED:
            raise ValueError(f"names order {rows[place].key}, of which no row came before")
        terms_at(exchange, order_at(exchange, <uint32_t>rows[place].place).terms).partner = partner
    return 0
