"""Rows of the state: what the records of the exchange are in a dump.

The compiled twin of the rows in hpe/core/state/dump.py, as tuples that begin with the number of their
kind (hpe/core/state/rows.py), so that they are encoded to the same bytes. Everything here holds the
interpreter's lock and only reads. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled.accounts cimport Account, account_at, user_at
from hpe.core.compiled.books cimport Book, sequence
from hpe.core.compiled.context cimport Settings
from hpe.core.compiled.exchange_state cimport Exchange, book_of, order_at, terms_at
from hpe.core.compiled.fees cimport OwnRates, own_rates_at
from hpe.core.compiled.holders cimport NOBODY, holder_at
from hpe.core.compiled.holds cimport Hold
from hpe.core.compiled.index_records cimport KeptFill
from hpe.core.compiled.kinds cimport is_stop
from hpe.core.compiled.orders cimport Order, Terms, Traded, traded_of
from hpe.core.compiled.reports cimport ExecutionReport
from hpe.core.compiled.triggers cimport PIECE_PRICES, Firing, piece_at
from hpe.core.compiled.users cimport User
from hpe.core.compiled.waiting cimport trigger_of
from hpe.core.compiled.work cimport Work, firing_at, line_at

cdef enum RowKind:
    ROW_HEAD = 1
    ROW_SETTINGS = 2
    ROW_KEY = 3
    ROW_ASSET = 4
    ROW_INSTRUMENT = 5
    ROW_FEES = 6
    ROW_NET = 7
    ROW_USER = 8
    ROW_ACCOUNT = 9
    ROW_HOLD = 10
    ROW_RESTING = 11
    ROW_WAITING = 12
    ROW_QUEUED = 13
    ROW_ENDED = 14
    ROW_FILL = 15
    ROW_WORK = 16
    ROW_FIRING = 17
    ROW_UNCROSS = 18
    ROW_ENDING = 19
    ROW_SESSION = 20
    ROW_RESPONSE = 21


cdef inline tuple settings_row(const Settings* settings):
    """Return the row of the settings."""
    return (
        ROW_SETTINGS, settings.auto_create, settings.session_expiry_ns, settings.session_keep_ns,
        settings.open_orders_max, settings.open_orders_per_user_max, settings.places.users_max,
        settings.places.accounts_max, settings.places.holds_max, settings.places.holds_per_user_max,
        settings.places.assets_max, settings.places.assets_per_user_max,
        settings.places.instruments_max, settings.places.instruments_per_user_max,
        settings.places.key_share_percent,
    )


cdef inline tuple book_fields(const Exchange* exchange, int64_t instrument):
    """Return the last fields of a listed instrument's row, from its status on."""
    cdef const Book* book = book_of(exchange, instrument)
    return (
        book.status, sequence(book), book.last_price, book.last_trade_id, book.interruption_due_ns,
    )


cdef inline int64_t key_of(const Exchange* exchange, uint32_t holder) noexcept:
    """Return the number of the key whose place a thing takes; 0: none."""
    return 0 if holder == NOBODY else holder_at(&exchange.places.holder_slab, holder).key


cdef inline list fee_rows(const Book* book):
    """Return the rows of the own rates on an instrument, by user."""
    cdef uint32_t number = book.fees.own
    cdef const OwnRates* own
    cdef list rows = []
    while number:
        own = own_rates_at(&book.fees, number)
        rows.append((ROW_FEES, own.instrument, own.user, own.rates.maker, own.rates.taker))
        number = own.next
    rows.sort()
    return rows


cdef inline tuple user_row(const Exchange* exchange, const User* user):
    """Return the row of a user."""
    return (
        ROW_USER, user.user, key_of(exchange, user.holder), user.blocked != 0,
        user.private_sequence, user.fills_after,
    )


cdef inline list account_rows(const Exchange* exchange, const User* user):
    """Return the rows of a user's accounts, by asset."""
    cdef uint32_t number = user.accounts
    cdef const Account* account
    cdef list rows = []
    while number:
        account = account_at(&exchange.balances, number)
        rows.append((
            ROW_ACCOUNT, account.user, account.asset, key_of(exchange, account.holder),
            account.available, account.reserved, account.held,
        ))
        number = account.next
    rows.sort()
    return rows


cdef inline tuple hold_row(const Exchange* exchange, const Hold* hold):
    """Return the row of a named hold."""
    return (
        ROW_HOLD, hold.node.first, hold.node.second, key_of(exchange, hold.holder), hold.asset,
        hold.amount, hold.expires_ns,
    )


cdef inline tuple order_row(const Exchange* exchange, int kind, uint32_t number):
    """Return the row of an order; of a trailing stop, with its present trigger."""
    cdef const Order* order = order_at(exchange, number)
    cdef Traded traded = traded_of(&exchange.orders.traded, order)
    cdef Terms terms
    memset(&terms, 0, sizeof(Terms))
    if order.terms:
        terms = terms_at(exchange, order.terms)[0]
    return (
        kind, order.instrument, order.side, order.price, order.order_id,
        user_at(&exchange.balances, order.user).user, order.client_order_id,
        key_of(exchange, order.holder), order.order_type, order.time_in_force, order.flags,
        order.self_trade, order.quantity, order.leaves, order.cum,
        order.quantity - order.leaves - order.cum, terms.hidden, order.reserved, order.maker_ppm,
        order.taker_ppm, traded.quote_total, traded.fee_total, traded.fee_rest,
        trigger_of(&exchange.trigger_slabs, order), terms.trail, terms.display, terms.minimum,
        terms.budget, terms.expires_ns, terms.place if is_stop(order.order_type) else 0,
        terms.session_id,
        order_at(exchange, terms.partner).order_id if terms.partner else 0, terms.holds_pair,
    )


cdef inline tuple fill_row(const Exchange* exchange, const KeptFill* fill):
    """Return the row of a kept fill."""
    cdef const ExecutionReport* report = &fill.report
    return (
        ROW_FILL, user_at(&exchange.balances, fill.user).user, report.request_id, report.flags,
        report.private_sequence, report.sequence, report.time_ns, report.exec_type, report.status,
        report.instrument, report.order_id, report.client_order_id, report.side, report.liquidity,
        report.trade_id, report.last_price, report.last_quantity, report.leaves, report.cum,
        report.contra_order_id, report.fee,
    )


cdef inline tuple work_row(const Exchange* exchange, const Work* work):
    """Return the row of unfinished work."""
    cdef bint is_open = work.is_open  # an empty line counts as none
    if is_open and line_at(&exchange.work_slabs, work.last_line).stops.count == 0:
        is_open = False
    return (ROW_WORK, work.node.first, is_open, work.interrupted)


cdef inline list firing_rows(const Exchange* exchange, const Work* work):
    """Return the rows of the firings of unfinished work, the oldest first."""
    cdef uint32_t number = work.first_firing
    cdef const Firing* firing
    cdef list rows = []
    while number:
        firing = &firing_at(&exchange.work_slabs, number).firing
        rows.append(
            (ROW_FIRING, work.node.first, _prices_of(firing), firing.side, firing.index)
        )
        number = firing_at(&exchange.work_slabs, number).next
    return rows


cdef inline list _prices_of(const Firing* firing):
    cdef uint32_t piece = firing.first
    cdef int64_t place
    cdef list prices = []
    for place in range(firing.count):
        if place and place % PIECE_PRICES == 0:
            piece = piece_at(firing, piece).next
        prices.append(piece_at(firing, piece).prices[place % PIECE_PRICES])
    return prices


cdef inline tuple uncross_row(const Work* work):
    """Return the row of an uncross that is executed in parts."""
    return (
        ROW_UNCROSS, work.node.first, work.uncrossing.price, work.uncrossing.volume_left,
        work.uncrossing.surplus, work.uncrossing.next_status,
    )
