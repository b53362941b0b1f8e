"""From the rows of a dump back to the state of the exchange.

The compiled twin of the part of hpe/core/state/loading.py about the exchange, with its names. It is
given the rows of hpe/core/state/rows.py in the order of a dump, by a caller that checks this order
and has all other rows; loading_orders.pxd has those of orders. A row that cannot be raises
ValueError, or OverflowError, with what is wrong; whatever is raised, the exchange cannot be used any
more. Everything here holds the interpreter's lock. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport buffers, hash_tables, slabs
from hpe.core.compiled.accounts cimport (
    Account,
    Money,
    User,
    find_money,
    account_at,
    find_user,
    open_account,
    reserve_accounts,
    user_at,
)
from hpe.core.compiled.books cimport Book, sequence, set_status
from hpe.core.compiled.calls cimport keep_uncrossing
from hpe.core.compiled.context cimport PlaceLimits, set_settings
from hpe.core.compiled.disconnects cimport restore as restore_ending
from hpe.core.compiled.exchange_state cimport Exchange, add_book, book_of
from hpe.core.compiled.fees cimport rates_of, reserve_own_rates, set_own
from hpe.core.compiled.holds cimport Hold, reserve_holds, restore_hold
from hpe.core.compiled.instruments cimport Instrument
from hpe.core.compiled.interruptions cimport time_interruption
from hpe.core.compiled.loading_orders cimport (
    Loading,
    account_for,
    add_orders,
    book_for,
    has_memory,
    holder_for,
    link_partners,
    load_order,
    note,
    noted_count,
    user_for,
)
from hpe.core.compiled.parties cimport open_user
from hpe.core.compiled.reserving cimport reserve_losses
from hpe.core.compiled.sorting cimport Ranked
from hpe.core.compiled.state_rows cimport (
    ROW_ACCOUNT,
    ROW_ASSET,
    ROW_ENDING,
    ROW_FEES,
    ROW_FIRING,
    ROW_HEAD,
    ROW_HOLD,
    ROW_INSTRUMENT,
    ROW_NET,
    ROW_SETTINGS,
    ROW_UNCROSS,
    ROW_USER,
    ROW_WORK,
)
from hpe.core.compiled.timers cimport reserve_timers
from hpe.core.compiled.timers cimport review as review_timers
from hpe.core.compiled.treasury cimport list_asset
from hpe.core.compiled.triggers cimport Firing, add_price, go_to, reserve_prices
from hpe.core.compiled.turns cimport next_work, of, reserve_turns, review, work_at, work_of
from hpe.core.compiled.work cimport UncrossInProgress, Work, add_firing


cdef inline void begin_loading(Loading* loading, Exchange* exchange) noexcept:
    """Begin to load rows into a new exchange."""
    memset(loading, 0, sizeof(Loading))
    loading.exchange = exchange
    hash_tables.make_table(
        &loading.opened, exchange.orders.by_id.seed, &exchange.orders.orders,
        hash_tables.begins_with_one,
    )


cdef inline void end_loading(Loading* loading) noexcept:
    """Free the memory, also after a fault."""
    hash_tables.free_table(&loading.opened)
    buffers.free_buffer(&loading.orders)
    buffers.free_buffer(&loading.partners)
    buffers.free_buffer(&loading.sequences)


cdef inline int load_row(Loading* loading, row) except -1:
    """Load a row, as far as it is about the exchange."""
    cdef int kind = row.__struct_config__.tag
    if kind == ROW_HEAD:
        _load_head(loading.exchange, row)
    elif kind == ROW_SETTINGS:
        take_settings(loading.exchange, row, row)
    elif kind == ROW_ASSET:
        has_memory(reserve_accounts(&loading.exchange.balances, 0, 1, 0))
        list_asset(&loading.exchange.treasury, row.asset)
    elif kind == ROW_INSTRUMENT:
        _load_instrument(loading, row)
    elif kind == ROW_FEES:
        has_memory(reserve_own_rates(&loading.exchange.own_rates, 1))
        set_own(
            &book_for(loading, row.instrument).fees, row.user,
            rates_of(row.maker_ppm, row.taker_ppm),
        )
    elif kind == ROW_NET:
        _load_net(loading, row)
    elif kind == ROW_USER:
        _load_user(loading, row)
    elif kind == ROW_ACCOUNT:
        _load_account(loading, row)
    elif kind == ROW_HOLD:
        _load_hold(loading, row)
    elif kind == ROW_WORK:
        _load_work(loading, row)
    elif kind == ROW_FIRING:
        _load_firing(loading, row)
    elif kind == ROW_UNCROSS:
        _load_uncross(loading, row)
    elif kind == ROW_ENDING:
        has_memory(reserve_losses(loading.exchange, 1))
        restore_ending(
            loading.exchange, row.session_id, row.due_ns, row.newest_order_id, row.instrument
        )
    else:
        load_order(loading, kind, row)
    return 0


# --- rows of which there is one, listings, money --------------------------------------------------


cdef inline int _load_head(Exchange* exchange, row) except -1:
    exchange.sequence, exchange.timers.now_ns = row.sequence, row.time_ns
    exchange.last_order_id, exchange.last_trade_id = row.last_order_id, row.last_trade_id
    exchange.turns.last_served = row.last_served
    return 0


cdef inline int take_settings(Exchange* exchange, given, limits) except -1:
    """Set all settings from a row or a `configure`; `limits` has the limits of places."""
    cdef PlaceLimits places
    places.users_max, places.accounts_max = limits.users_max, limits.accounts_max
    places.holds_max, places.holds_per_user_max = limits.holds_max, limits.holds_per_user_max
    places.assets_max, places.assets_per_user_max = limits.assets_max, limits.assets_per_user_max
    places.instruments_max = limits.instruments_max
    places.instruments_per_user_max = limits.instruments_per_user_max
    places.key_share_percent = limits.key_share_percent
    set_settings(
        &exchange.settings, given.auto_create, given.session_expiry_ns, given.session_keep_ns,
        given.open_orders_max, given.open_orders_per_user_max, &places,
    )
    return 0


cdef inline int take_facts(Instrument* instrument, row) except -1:
    """Set what an instrument is, apart from its id, from its row or from the reference's one."""
    instrument.base, instrument.quote = row.base, row.quote
    instrument.base_atoms_per_lot = row.base_atoms_per_lot
    instrument.quote_atoms_per_tick = row.quote_atoms_per_tick
    instrument.price_min, instrument.price_max = row.price_min, row.price_max
    instrument.quantity_min, instrument.quantity_max = row.quantity_min, row.quantity_max
    instrument.notional_min, instrument.notional_max = row.notional_min, row.notional_max
    instrument.band_ppm, instrument.reference_price = row.band_ppm, row.reference_price
    instrument.interruption_ms, instrument.self_trade = row.interruption_ms, row.self_trade
    instrument.volatility_interruption = row.volatility_interruption
    return 0


cdef inline int _load_instrument(Loading* loading, row) except -1:
    cdef Exchange* exchange = loading.exchange
    cdef Instrument facts
    cdef Book* book
    facts.instrument_id = row.instrument
    take_facts(&facts, row)
    _listed(loading, facts.base)
    _listed(loading, facts.quote)
    has_memory(
        slabs.reserve(&exchange.book_slab, 1)
        and hash_tables.reserve_places(&exchange.books, 1)
        and reserve_timers(&exchange.timers, 1)
    )
    book = add_book(exchange, &facts, rates_of(row.maker_fee_ppm, row.taker_fee_ppm))
    book.last_price, book.last_trade_id = row.last_price, row.last_trade_id
    set_status(book, row.status)
    note(
        &loading.sequences, row.book_sequence,
        hash_tables.find(&exchange.books, facts.instrument_id, 0),
    )
    if row.interruption_due_ns:
        time_interruption(exchange, book, row.interruption_due_ns)
    return 0


cdef inline Money* _listed(Loading* loading, int64_t asset) except NULL:
    """Return what is known of an asset, of which a row must have come before."""
    cdef Money* money = find_money(&loading.exchange.balances, asset)
    if money == NULL or not money.listed:
        raise ValueError(f"names asset {asset}, of which no row came before")
    return money


cdef inline int _load_net(Loading* loading, row) except -1:
    cdef Money* money = _listed(loading, row.asset)
    money.net_deposits, money.deposited = row.amount, True
    return 0


cdef inline int _load_user(Loading* loading, row) except -1:
    cdef Exchange* exchange = loading.exchange
    cdef uint32_t number = find_user(&exchange.balances, row.user)
    cdef User* user
    if number == 0:  # the house exists already
        has_memory(reserve_accounts(&exchange.balances, 1, 0, 0))
        number = open_user(&exchange.parties, row.user, holder_for(loading, row.key))
    user = user_at(&exchange.balances, number)
    user.blocked, user.fills_after = row.blocked, row.fills_after
    user.private_sequence = row.private_sequence
    return 0


cdef inline int _load_account(Loading* loading, row) except -1:
    cdef Exchange* exchange = loading.exchange
    cdef uint32_t user = user_for(loading, row.user), number
    cdef Account* account
    _listed(loading, row.asset)
    has_memory(reserve_accounts(&exchange.balances, 0, 1, 0))
    number = open_account(&exchange.balances, user, row.asset, holder_for(loading, row.key))
    account = account_at(&exchange.balances, number)
    account.available, account.reserved, account.held = row.available, row.reserved, row.held
    return 0


cdef inline int _load_hold(Loading* loading, row) except -1:
    cdef Exchange* exchange = loading.exchange
    cdef uint32_t number = account_for(loading, row.user, row.asset)
    cdef Hold hold
    memset(&hold, 0, sizeof(Hold))
    hold.asset, hold.amount, hold.expires_ns = row.asset, row.amount, row.expires_ns
    hold.holder = holder_for(loading, row.key)
    has_memory(reserve_holds(&exchange.holds, 1) and reserve_timers(&exchange.timers, 1))
    account_at(&exchange.balances, number).named += hold.amount
    restore_hold(&exchange.holds, row.user, row.hold_id, &hold)
    return 0


# --- unfinished work ------------------------------------------------------------------------------


cdef inline int _load_work(Loading* loading, row) except -1:
    cdef Book* book = book_for(loading, row.instrument)
    cdef Work* work
    has_memory(reserve_turns(&loading.exchange.turns, 1))
    work = of(&loading.exchange.turns, book)
    if row.line_is_open and work.line_count == 0:
        raise ValueError("has an open line, but no line")
    work.is_open, work.interrupted = row.line_is_open, row.interrupted
    return 0


cdef inline Work* _work(Loading* loading, int64_t instrument) except NULL:
    """Return unfinished work, of which a row must have come before."""
    cdef Work* work = work_of(&loading.exchange.turns, book_for(loading, instrument))
    if work == NULL:
        raise ValueError(f"names unfinished instrument {instrument}, of which no row came before")
    return work


cdef inline int _load_firing(Loading* loading, row) except -1:
    cdef Exchange* exchange = loading.exchange
    cdef Work* work = _work(loading, row.instrument)
    cdef Firing* firing
    cdef int64_t price
    if row.sides_done > 1 or row.prices_done > len(row.prices):
        raise ValueError("fires what it does not have")
    has_memory(
        slabs.reserve(&exchange.work_slabs.firings, 1)
        and reserve_prices(&exchange.work_slabs.pieces, 1, len(row.prices))
    )
    firing = add_firing(work, &exchange.work_slabs)
    for price in row.prices:
        add_price(firing, price)
    go_to(firing, row.sides_done, row.prices_done)
    return 0


cdef inline int _load_uncross(Loading* loading, row) except -1:
    cdef UncrossInProgress state
    state.price, state.volume_left = row.price, row.volume_left
    state.surplus, state.next_status = row.surplus, row.next_status
    _work(loading, row.instrument)
    has_memory(reserve_timers(&loading.exchange.timers, 1))
    keep_uncrossing(loading.exchange, book_for(loading, row.instrument), &state)
    return 0


# --- the end --------------------------------------------------------------------------------------


cdef inline int finish_loading(Loading* loading) except -1:
    """Complete what needs all rows: the index, pairs, the counts of changes."""
    cdef Exchange* exchange = loading.exchange
    cdef int64_t instrument = 0
    cdef uint32_t work
    add_orders(loading)
    link_partners(loading)
    _set_sequences(loading)
    while True:
        work = next_work(&exchange.turns, instrument)
        if work == 0:
            break
        instrument = work_at(&exchange.turns, work).node.first
        review(&exchange.turns, book_of(exchange, instrument))
    review_timers(&exchange.timers)
    return 0


cdef inline int _set_sequences(Loading* loading) except -1:
    """Let books have changed as often as they had: only the sum of both sides counts."""
    cdef const Ranked* rows = <const Ranked*>loading.sequences.data
    cdef Book* book
    cdef int64_t place
    for place in range(noted_count(&loading.sequences)):
        book = <Book*>slabs.record(
            &loading.exchange.book_slab, <uint32_t>rows[place].place
        )
        book.bids.changes += rows[place].key - sequence(book)
    return 0
