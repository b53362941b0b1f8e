"""The state of the exchange, row by row, from which its hash and its snapshots are made.

The compiled twin of the part of hpe/core/state/dump.py about the exchange: the same rows in the same
order. What is sorted is numbers of records only, and rows are made a few at a time, however many
orders there are. Everything here holds the interpreter's lock, and memory may be missing at any
point. Owned by the core, used by the thread that runs it; nothing may change the exchange between
`begin_dump` and the last rows.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport buffers, hash_tables, slabs
from hpe.core.compiled.accounts cimport Money, user_at
from hpe.core.compiled.books cimport Book
from hpe.core.compiled.exchange_state cimport Exchange, order_at, terms_at
from hpe.core.compiled.holds cimport Hold, hold_at
from hpe.core.compiled.index_records cimport KeptFill, fill_at
from hpe.core.compiled.ladders cimport level_at
from hpe.core.compiled.order_index cimport next_ended
from hpe.core.compiled.orders cimport Order, Terms
from hpe.core.compiled.sorting cimport Ranked, sort_ranked
from hpe.core.compiled.state_rows cimport (
    ROW_ACCOUNT,
    ROW_ENDED,
    ROW_FEES,
    ROW_FILL,
    ROW_FIRING,
    ROW_HOLD,
    ROW_NET,
    ROW_QUEUED,
    ROW_RESTING,
    ROW_UNCROSS,
    ROW_USER,
    ROW_WAITING,
    ROW_WORK,
    account_rows,
    fee_rows,
    fill_row,
    firing_rows,
    hold_row,
    order_row,
    uncross_row,
    user_row,
    work_row,
)
from hpe.core.compiled.turns cimport next_work, work_at
from hpe.core.compiled.waiting cimport WaitingSide, group_at
from hpe.core.compiled.work cimport Work, next_queued

cdef enum:
    ROWS_AT_ONCE = 256


cdef struct Dump:
    # A dump in progress: `kind` is that of the next rows. If these belong to records that were
    # sorted, `sorted` has them as Ranked, and `at` is the next; `number` is the next record of a
    # chain, or the newest one. `line` is the number of the line of a queued stop.
    const Exchange* exchange
    buffers.Buffer sorted
    int64_t at
    int64_t line
    int kind
    uint32_t number


cdef inline int begin_dump(Dump* dump, const Exchange* exchange) except -1:
    """Begin with the rows of an exchange, from its fees on."""
    memset(dump, 0, sizeof(Dump))
    dump.exchange, dump.kind = exchange, ROW_FEES
    _begin_kind(dump)
    return 0


cdef inline void end_dump(Dump* dump) noexcept:
    """Free the memory, also of a dump that was not finished."""
    buffers.free_buffer(&dump.sorted)


cdef inline list next_rows(Dump* dump):
    """Return the next rows, none after the last."""
    cdef list rows = []
    while dump.kind <= ROW_UNCROSS and len(rows) < ROWS_AT_ONCE:
        if not _add_next(dump, rows):
            dump.kind += 1
            _begin_kind(dump)
    return rows


# --- what each kind begins with -------------------------------------------------------------------


cdef inline int _begin_kind(Dump* dump) except -1:
    """Find the records that the rows of a kind belong to."""
    cdef const Exchange* exchange = dump.exchange
    dump.at = dump.line = dump.number = dump.sorted.size = 0
    if dump.kind == ROW_FEES or dump.kind == ROW_RESTING:
        _sort_keys(dump, &exchange.books, _instrument_of)
    elif dump.kind == ROW_NET:
        _sort_keys(dump, &exchange.balances.money, _first_key)
    elif dump.kind == ROW_USER or dump.kind == ROW_ACCOUNT:
        _sort_keys(dump, &exchange.balances.users, _first_key)
    elif dump.kind == ROW_HOLD:
        dump.number = exchange.holds.sorted.least
    elif dump.kind == ROW_WAITING:
        _sort_waiting(dump)
    elif dump.kind == ROW_ENDED:
        dump.number = exchange.orders.oldest_ended
    elif dump.kind == ROW_FILL:
        dump.number = exchange.orders.oldest_fill
    else:
        _list_works(dump)
    return 0


ctypedef int64_t (*KeyOf)(const void* record) noexcept


cdef inline int64_t _instrument_of(const void* record) noexcept:
    return (<const Book*>record).instrument.instrument_id


cdef inline int64_t _first_key(const void* record) noexcept:
    return (<const int64_t*>record)[0]


cdef inline int _sort_keys(Dump* dump, const hash_tables.HashTable* table, KeyOf key_of) except -1:
    """Sort all records of a table by their key."""
    cdef uint64_t place
    cdef uint32_t number
    for place in range(hash_tables.place_count(table)):
        number = hash_tables.number_at(table, place)
        if number:
            _add_ranked(dump, key_of(slabs.record(<const slabs.Slab*>table.records, number)), number)
    _sort(dump)
    return 0


cdef inline int _add_ranked(Dump* dump, int64_t key, uint32_t number) except -1:
    if not buffers.make_room(&dump.sorted, sizeof(Ranked)):
        raise MemoryError
    (<Ranked*>(dump.sorted.data + dump.sorted.size))[0] = Ranked(key, number)
    dump.sorted.size += <int64_t>sizeof(Ranked)
    return 0


cdef inline void _sort(Dump* dump) noexcept:
    sort_ranked(<Ranked*>dump.sorted.data, dump.sorted.size // <int64_t>sizeof(Ranked))


cdef inline int _sort_waiting(Dump* dump) except -1:
    """Sort all waiting stops by their order ids."""
    cdef const hash_tables.HashTable* books = &dump.exchange.books
    cdef const Book* book
    cdef uint64_t place
    cdef uint32_t number
    for place in range(hash_tables.place_count(books)):
        number = hash_tables.number_at(books, place)
        if number:
            book = <const Book*>slabs.record(&dump.exchange.book_slab, number)
            _add_waiting(dump, &book.triggers.buys)
            _add_waiting(dump, &book.triggers.sells)
    _sort(dump)
    return 0


cdef inline int _add_waiting(Dump* dump, const WaitingSide* waiting) except -1:
    cdef uint32_t group = waiting.trails.least
    _add_stops(dump, waiting.fixed.least)
    while group:
        _add_stops(dump, group_at(waiting, group).stops.least)
        group = group_at(waiting, group).node.next
    return 0


cdef inline int _add_stops(Dump* dump, uint32_t number) except -1:
    """Add the stops of a tree, from the terms of its first one on."""
    cdef const Terms* terms
    while number:
        terms = terms_at(dump.exchange, number)
        _add_ranked(dump, order_at(dump.exchange, terms.order).order_id, terms.order)
        number = terms.node.next
    return 0


cdef inline int _list_works(Dump* dump) except -1:
    """List all unfinished work by instrument."""
    cdef int64_t instrument = 0
    cdef uint32_t number
    while True:
        number = next_work(&dump.exchange.turns, instrument)
        if number == 0:
            return 0
        instrument = work_at(&dump.exchange.turns, number).node.first
        _add_ranked(dump, instrument, number)


# --- rows, kind by kind ---------------------------------------------------------------------------


cdef inline bint _add_next(Dump* dump, list rows) except -1:
    """Add the rows of the next record, or its next row; False if there is none left."""
    if dump.kind == ROW_HOLD:
        return _add_hold(dump, rows)
    if dump.kind == ROW_ENDED:
        return _add_ended(dump, rows)
    if dump.kind == ROW_FILL:
        return _add_fill(dump, rows)
    if dump.at * <int64_t>sizeof(Ranked) >= dump.sorted.size:
        return False
    if dump.kind == ROW_RESTING:
        return _add_resting(dump, rows)
    if dump.kind == ROW_QUEUED:
        return _add_queued(dump, rows)
    _add_all_of(dump, <uint32_t>(<const Ranked*>dump.sorted.data)[dump.at].place, rows)
    dump.at += 1
    return True


cdef inline int _add_all_of(Dump* dump, uint32_t number, list rows) except -1:
    """Add all rows of a record that was sorted."""
    cdef const Exchange* exchange = dump.exchange
    cdef const Money* money
    if dump.kind == ROW_FEES:
        rows += fee_rows(<const Book*>slabs.record(&exchange.book_slab, number))
    elif dump.kind == ROW_NET:
        money = <const Money*>slabs.record(&exchange.balances.money_slab, number)
        if money.deposited:
            rows.append((ROW_NET, money.asset, money.net_deposits))
    elif dump.kind == ROW_USER:
        rows.append(user_row(exchange, user_at(&exchange.balances, number)))
    elif dump.kind == ROW_ACCOUNT:
        rows += account_rows(exchange, user_at(&exchange.balances, number))
    elif dump.kind == ROW_WAITING:
        rows.append(order_row(exchange, ROW_WAITING, number))
    elif dump.kind == ROW_WORK:
        rows.append(work_row(exchange, work_at(&exchange.turns, number)))
    elif dump.kind == ROW_FIRING:
        rows += firing_rows(exchange, work_at(&exchange.turns, number))
    elif work_at(&exchange.turns, number).is_uncrossing:
        rows.append(uncross_row(work_at(&exchange.turns, number)))
    return 0


cdef inline bint _add_hold(Dump* dump, list rows) except -1:
    cdef const Hold* hold
    if dump.number == 0:
        return False
    hold = hold_at(&dump.exchange.holds, dump.number)
    rows.append(hold_row(dump.exchange, hold))
    dump.number = hold.node.next
    return True


cdef inline bint _add_resting(Dump* dump, list rows) except -1:
    """Add the next order of a book; after its last one, go on to the next book."""
    cdef const Book* book = <const Book*>slabs.record(
        &dump.exchange.book_slab, <uint32_t>(<const Ranked*>dump.sorted.data)[dump.at].place
    )
    dump.number = next_resting(dump.exchange, book, dump.number)
    if dump.number:
        rows.append(order_row(dump.exchange, ROW_RESTING, dump.number))
    else:
        dump.at += 1
    return True


cdef inline uint32_t next_resting(
    const Exchange* exchange, const Book* book, uint32_t number
) noexcept:
    """Return the order after one (0: the first), by side, price and place in its queue, else 0."""
    cdef const Order* order
    cdef uint32_t level
    if number == 0:
        level = book.bids.levels.least
        return level_at(&book.bids, level).head if level else _first_ask(book)
    order = order_at(exchange, number)
    if order.next:
        return order.next
    if order.side == book.bids.side:
        level = level_at(&book.bids, order.level).node.next
        return level_at(&book.bids, level).head if level else _first_ask(book)
    level = level_at(&book.asks, order.level).node.previous
    return level_at(&book.asks, level).head if level else 0


cdef inline uint32_t _first_ask(const Book* book) noexcept:
    cdef uint32_t level = book.asks.levels.greatest
    return level_at(&book.asks, level).head if level else 0


cdef inline bint _add_queued(Dump* dump, list rows) except -1:
    """Add the next queued stop of an instrument; after its last one, go on to the next one."""
    cdef const Exchange* exchange = dump.exchange
    cdef const Work* work = work_at(
        &exchange.turns, <uint32_t>(<const Ranked*>dump.sorted.data)[dump.at].place
    )
    cdef uint32_t number = next_queued(work, &exchange.work_slabs, dump.number)
    if number == 0:
        dump.at += 1
        dump.number = dump.line = 0
        return True
    if dump.number == 0 or (
        terms_at(exchange, number).line != terms_at(exchange, dump.number).line
    ):
        dump.line += 1
    dump.number = number
    rows.append(
        order_row(exchange, ROW_QUEUED, terms_at(exchange, number).order) + (dump.line,)
    )
    return True


cdef inline bint _add_ended(Dump* dump, list rows) except -1:
    cdef int reason
    if dump.number == 0:
        return False
    reason = order_at(dump.exchange, dump.number).reason
    rows.append(order_row(dump.exchange, ROW_ENDED, dump.number) + (reason,))
    dump.number = next_ended(&dump.exchange.orders, dump.number)
    return True


cdef inline bint _add_fill(Dump* dump, list rows) except -1:
    cdef const KeptFill* fill
    if dump.number == 0:
        return False
    fill = fill_at(&dump.exchange.orders, dump.number)
    rows.append(fill_row(dump.exchange, fill))
    dump.number = fill.next
    return True
