"""Queries: orders, fills, accounts, holds, instruments, and the proofs.

The compiled twin of hpe/core/output/queries.py, with its names, and of `queries_of` in
hpe/core/routing.py; catalogue.pxd has the listings. A query changes nothing but what was asked of
the effort, and costs what it costs there. Each function returns the fields of its reply behind the
flags, for the messages of replies.py; the rows among them are tuples, which are encoded to the
bytes of the messages' rows.
Everything here holds the interpreter's lock. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled.accounts cimport (
    Account,
    Money,
    User,
    find_money,
    account_at,
    find_user,
    peek,
    user_at,
)
from hpe.core.compiled.auction cimport Clearing, clearing, crossing_levels, is_too_deep
from hpe.core.compiled.books cimport Book, price_band, sequence
from hpe.core.compiled.catalogue cimport list_assets, list_instruments
from hpe.core.compiled.codes cimport (
    CALL_AUCTION,
    INVALID_COMBINATION,
    NONE,
    TYPE_GET_BALANCE,
    TYPE_GET_CONSERVATION,
    TYPE_GET_INSTRUMENT,
    TYPE_GET_ORDER,
    TYPE_GET_ORDERBOOK,
    TYPE_GET_STATE_HASH,
    TYPE_LIST_ASSETS,
    TYPE_LIST_BALANCES,
    TYPE_LIST_FILLS,
    TYPE_LIST_HOLDS,
    TYPE_LIST_INSTRUMENTS,
    TYPE_LIST_ORDERS,
    UNKNOWN_ASSET,
    UNKNOWN_INSTRUMENT,
    UNKNOWN_ORDER,
)
from hpe.core.compiled.effort cimport CLEARING, ROW, ask
from hpe.core.compiled.exchange_state cimport Exchange, book_of, order_at, terms_at
from hpe.core.compiled.fees cimport FeeRates, of as rates_for
from hpe.core.compiled.holds cimport Hold, hold_after, hold_at
from hpe.core.compiled.index_records cimport (
    OpenOf,
    fill_at,
    next_of,
    next_open,
    open_after,
    open_of,
)
from hpe.core.compiled.ladders cimport Ladder, Level, best, price_of, worse
from hpe.core.compiled.operations cimport count_orders, count_stops
from hpe.core.compiled.order_index cimport fills_after, find, find_ended, next_fill
from hpe.core.compiled.orders cimport (
    QUEUED,
    WAITING,
    Order,
    Terms,
    Traded,
    status,
    traded_of,
)
from hpe.core.compiled.reports cimport ExecutionReport
from hpe.core.compiled.turns cimport work_of
from hpe.core.compiled.waiting cimport trigger_of
from hpe.core.compiled.wide cimport INT_MAX
from hpe.core.compiled.work cimport Work


cdef inline tuple answer_query(
    Exchange* exchange, object texts, object core, int kind, int64_t user, object query
):
    """Return the fields of the reply to a query of this type; None: a call is too deep for it.

    `core` knows the state's hash; `user` is the session's. Raises ValueError for what is no query.
    """
    if kind == TYPE_LIST_ASSETS:
        return list_assets(exchange, texts, query)
    if kind == TYPE_LIST_INSTRUMENTS:
        return list_instruments(exchange, texts, query)
    if kind == TYPE_GET_BALANCE:
        return get_balance(exchange, texts, user, query)
    if kind == TYPE_GET_CONSERVATION:
        return get_conservation(exchange, texts, query)
    if kind == TYPE_GET_STATE_HASH:
        return get_state_hash(exchange, core)
    return _answer(exchange, kind, user, query)


cdef inline tuple _answer(Exchange* exchange, int kind, int64_t user, object query):
    """Answer a query that names no text."""
    if kind == TYPE_GET_INSTRUMENT:
        return get_instrument(exchange, user, query)
    if kind == TYPE_GET_ORDERBOOK:
        return get_orderbook(exchange, query)
    if kind == TYPE_GET_ORDER:
        return get_order(exchange, user, query)
    if kind == TYPE_LIST_ORDERS:
        return list_orders(exchange, user, query)
    if kind == TYPE_LIST_FILLS:
        return list_fills(exchange, user, query)
    if kind == TYPE_LIST_BALANCES:
        return list_balances(exchange, user, query)
    if kind == TYPE_LIST_HOLDS:
        return list_holds(exchange, user, query)
    raise ValueError(f"nothing answers {query}")


cdef inline int64_t _owner(int64_t user, object query) except -1:
    """Return whom a query is about: whom it names, else the session's user."""
    cdef int64_t named = query.user
    return named if named else user


cdef inline tuple get_orderbook(Exchange* exchange, object query):
    """Return the best levels of a book."""
    cdef int64_t instrument = query.instrument
    cdef const Book* book = book_of(exchange, instrument)
    if book == NULL:
        return exchange.sequence, UNKNOWN_INSTRUMENT, instrument, 0, 0, [], []
    cdef list bids = _depth(&book.bids, query.depth)
    cdef list asks = _depth(&book.asks, query.depth)
    ask(&exchange.effort, ROW, len(bids) + len(asks))
    return exchange.sequence, NONE, instrument, sequence(book), book.last_price, bids, asks


cdef inline list _depth(const Ladder* ladder, int64_t levels_max):
    """Return the best levels of a side as (price, shown quantity, orders)."""
    cdef const Level* level = best(ladder)
    cdef list levels = []
    while level != NULL and levels_max > 0:
        levels.append((price_of(ladder, level), level.quantity, level.count))
        level = worse(ladder, level)
        levels_max -= 1
    return levels


cdef inline tuple get_balance(
    const Exchange* exchange, object texts, int64_t user, object query
):
    """Return one account."""
    cdef int64_t asset = query.asset
    cdef int reason = NONE if asset in texts.assets else UNKNOWN_ASSET
    cdef const Account* account = peek(&exchange.balances, _owner(user, query), asset)
    if account == NULL:
        return exchange.sequence, reason, asset, 0, 0, 0, 0
    return (
        exchange.sequence, reason, asset, account.available, account.reserved + account.held,
        account.reserved, account.held,
    )


cdef inline tuple get_order(Exchange* exchange, int64_t user, object query):
    """Return an order, open or recently ended."""
    cdef int64_t order_id = query.order_id, client_order_id = query.client_order_id
    cdef uint32_t owner = find_user(&exchange.balances, _owner(user, query)), number = 0
    if (order_id == 0) == (client_order_id == 0):
        return exchange.sequence, INVALID_COMBINATION, None
    if owner:
        number = find(&exchange.orders, owner, order_id, client_order_id)
    if number == 0 and order_id <= exchange.last_order_id:
        ask(&exchange.effort, ROW, exchange.orders.ended_count if order_id else 0)
        if owner:
            number = find_ended(&exchange.orders, owner, order_id, client_order_id)
    if number == 0:
        return exchange.sequence, UNKNOWN_ORDER, None
    return exchange.sequence, NONE, order_row(exchange, number)


cdef inline tuple list_orders(Exchange* exchange, int64_t user, object query):
    """Return a page of open orders."""
    cdef int64_t instrument = query.instrument, after = query.after, left = query.limit
    cdef uint32_t mine = find_user(&exchange.balances, _owner(user, query)), number = 0
    cdef OpenOf walk = OpenOf(0, 0)
    cdef list rows = []
    if mine and instrument:
        walk = open_of(&exchange.orders, mine, instrument, after)
        number = next_of(&exchange.orders, &walk)
    elif mine:
        number = open_after(&exchange.orders, mine, after)
    while number and left > 0:
        rows.append(order_row(exchange, number))
        left -= 1
        if instrument:
            number = next_of(&exchange.orders, &walk)
        else:
            number = next_open(&exchange.orders, number)
    ask(&exchange.effort, ROW, len(rows))
    return exchange.sequence, rows


cdef inline tuple list_fills(Exchange* exchange, int64_t user, object query):
    """Return a page of recent fills."""
    cdef int64_t after = query.after, left = query.limit, complete_after = 0
    cdef uint32_t mine = find_user(&exchange.balances, _owner(user, query)), number = 0
    cdef list rows = []
    if mine:
        complete_after = user_at(&exchange.balances, mine).fills_after
        number = fills_after(&exchange.orders, mine, after)
    while number and left > 0:
        rows.append(fill_row(&fill_at(&exchange.orders, number).report))
        left -= 1
        number = next_fill(&exchange.orders, number)
    ask(&exchange.effort, ROW, len(rows))
    return exchange.sequence, rows, complete_after


cdef inline tuple list_balances(Exchange* exchange, int64_t user, object query):
    """Return a page of accounts that are not empty. Cost: all accounts of the user."""
    cdef int64_t after = query.after, count = 0
    cdef uint32_t mine = find_user(&exchange.balances, _owner(user, query)), number = 0
    cdef const Account* account
    cdef list rows = []
    if mine:
        number = user_at(&exchange.balances, mine).accounts
    while number:
        account = account_at(&exchange.balances, number)
        count += 1
        if account.asset > after and _has_money(account):
            rows.append(
                (account.asset, account.available, account.reserved, account.held, account.named)
            )
        number = account.next
    ask(&exchange.effort, ROW, count)
    rows.sort()
    return exchange.sequence, rows[:query.limit]


cdef inline bint _has_money(const Account* account) noexcept nogil:
    return account.available != 0 or account.reserved != 0 or account.held != 0


cdef inline tuple list_holds(Exchange* exchange, int64_t user, object query):
    """Return a page of named holds."""
    cdef int64_t owner = _owner(user, query), after = query.after, left = query.limit
    cdef uint32_t number = hold_after(&exchange.holds, owner, after)
    cdef const Hold* hold
    cdef list rows = []
    while number and left > 0:
        hold = hold_at(&exchange.holds, number)
        if hold.node.first != owner:
            break
        rows.append((hold.node.second, hold.asset, hold.amount, hold.expires_ns))
        left -= 1
        number = hold.node.next
    ask(&exchange.effort, ROW, len(rows))
    return exchange.sequence, rows


cdef inline tuple get_instrument(Exchange* exchange, int64_t user, object query):
    """Return the state of an instrument, None if its call is too deep.

    Cost: in a call, the levels that cross.
    """
    cdef Book* book = book_of(exchange, query.instrument)
    if book == NULL:
        return (exchange.sequence, UNKNOWN_INSTRUMENT, *[0] * 12)
    cdef const Work* work = work_of(&exchange.turns, book)
    cdef Clearing found = Clearing(0, 0, 0)
    cdef const FeeRates* rates = rates_for(&book.fees, user)
    cdef int64_t low = 0, high = 0
    if is_too_deep(book, work, exchange.limits.query_effort):
        return None
    ask(&exchange.effort, CLEARING, crossing_levels(book, work))
    if book.status == CALL_AUCTION:
        found = clearing(book, work)
    if book.instrument.band_ppm:
        price_band(book, &low, &high)
    return (
        exchange.sequence, NONE, book.instrument.instrument_id, book.status, book.last_price, low,
        high, found.price, found.volume, found.surplus, count_orders(exchange, book),
        count_stops(exchange, book), rates.maker, rates.taker,
    )


cdef inline tuple get_conservation(Exchange* exchange, object texts, object query):
    """Return the sum of an asset over all accounts. Cost: all accounts of the asset."""
    cdef int64_t asset = query.asset, available = 0, reserved = 0, held = 0, count = 0, house = 0
    cdef int reason = NONE if asset in texts.assets else UNKNOWN_ASSET
    cdef const Money* money = find_money(&exchange.balances, asset)
    cdef uint32_t number = money.accounts if money != NULL else 0
    cdef const Account* account
    ask(&exchange.effort, ROW, exchange.balances.users.count)
    while number:
        account = account_at(&exchange.balances, number)
        available += account.available
        reserved += account.reserved
        held += account.held
        count += _has_money(account)
        if account.user == INT_MAX:
            house = account.available
        number = account.next_of_asset
    return (
        exchange.sequence, reason, asset, money.net_deposits if money != NULL else 0, available,
        reserved, held, house, count,
    )


cdef inline tuple get_state_hash(Exchange* exchange, object core):
    """Return the digest of the whole state. Cost: all of it."""
    ask(&exchange.effort, ROW, exchange.limits.query_effort)
    return exchange.sequence, core.state_hash().hex()


cdef inline tuple order_row(const Exchange* exchange, uint32_t number):
    """Return an order's row in the answer to a query."""
    cdef const Order* order = order_at(exchange, number)
    cdef Traded traded = traded_of(&exchange.orders.traded, order)
    cdef bint waits = order.state == WAITING or order.state == QUEUED
    cdef Terms terms
    memset(&terms, 0, sizeof(Terms))
    if order.terms:
        terms = terms_at(exchange, order.terms)[0]
    return (
        order.order_id, order.client_order_id, order.instrument, order.side, order.order_type,
        order.time_in_force, order.price, order.quantity, order.leaves, order.cum,
        order.quantity - order.leaves - order.cum, status(order), order.reason,
        traded.quote_total, traded.fee_total, order.reserved, order.flags, order.self_trade, waits,
        trigger_of(&exchange.trigger_slabs, order), terms.trail, terms.display, terms.minimum,
        terms.budget, terms.expires_ns,
        order_at(exchange, terms.partner).order_id if terms.partner else 0,
    )


cdef inline tuple fill_row(const ExecutionReport* report):
    """Return a fill's row in the answer to a query."""
    return (
        report.trade_id, report.private_sequence, report.time_ns, report.instrument,
        report.order_id, report.client_order_id, report.side, report.liquidity,
        report.last_price, report.last_quantity, report.fee, report.contra_order_id,
    )
