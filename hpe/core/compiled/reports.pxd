"""Private reports: what happened to a user's orders, holds and accounts, numbered per user.

The compiled twin of hpe/core/output/private_reports.py, with its names. Every event is counted,
whether or not anyone subscribed; the counters are in the records of the users. A report is written
at once as the bytes that its message in hpe/protocol/reports.py has, into what the digest covers.
Owned by the core, used by the thread that runs it; it relies on `reserve_command` (batch_work.pxd):
two reports for each fill, one for everything else.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled.accounts cimport (
    Account,
    Balances,
    Touched,
    User,
    account_at,
    find_user,
    user_at,
)
from hpe.core.compiled.batch_work cimport BatchWork, reply, report as add_report
from hpe.core.compiled.buffers cimport put_message
from hpe.core.compiled.codes cimport (
    AUCTION,
    CANCELED,
    EXEC_TRADE,
    FILLED,
    FLAG_SELF_TRADE,
    MAKER,
    NEW,
    PARTIALLY_FILLED,
    TAKER,
    TYPE_BALANCE_REPORT,
    TYPE_EXECUTION_REPORT,
    TYPE_HOLD_REPORT,
    TYPE_ORDER_REPORT,
    TYPE_PREVENTED_MATCH,
)
from hpe.core.compiled.events cimport (
    EVENT_ACCEPTED,
    EVENT_ANSWERED,
    EVENT_AUCTION,
    EVENT_CHANGE,
    EVENT_HOLD,
    EVENT_MATCH,
    AuctionFill,
    AuctionMatch,
    Event,
    Events,
    HoldEvent,
    Match,
    OrderChange,
    auction_fill_at,
)
from hpe.core.compiled.matcher cimport Fill, Matcher, Prevented, fill_at, prevented_at
from hpe.core.compiled.orders cimport Order, status
from hpe.core.compiled.slabs cimport Slab, record
from hpe.core.compiled.waiting cimport TriggerSlabs, trigger_of


cdef struct ExecutionReport:
    # One fill, as one of its two sides sees it: the fields of the message, in their order. So are
    # those of the other reports.
    int64_t request_id
    int64_t flags
    int64_t private_sequence
    int64_t sequence
    int64_t time_ns
    int64_t exec_type
    int64_t status
    int64_t instrument
    int64_t order_id
    int64_t client_order_id
    int64_t side
    int64_t liquidity
    int64_t trade_id
    int64_t last_price
    int64_t last_quantity
    int64_t leaves
    int64_t cum
    int64_t contra_order_id
    int64_t fee


cdef struct OrderReport:
    int64_t request_id
    int64_t flags
    int64_t private_sequence
    int64_t sequence
    int64_t time_ns
    int64_t exec_type
    int64_t status
    int64_t instrument
    int64_t order_id
    int64_t client_order_id
    int64_t side
    int64_t leaves
    int64_t cum
    int64_t canceled
    int64_t reason
    int64_t order_type
    int64_t price
    int64_t stop_price


cdef struct PreventedMatch:
    int64_t request_id
    int64_t flags
    int64_t private_sequence
    int64_t sequence
    int64_t time_ns
    int64_t instrument
    int64_t policy
    int64_t price
    int64_t maker_order_id
    int64_t taker_order_id
    int64_t maker_canceled
    int64_t taker_canceled
    int64_t maker_leaves
    int64_t taker_leaves


cdef struct HoldReport:
    int64_t request_id
    int64_t flags
    int64_t private_sequence
    int64_t sequence
    int64_t time_ns
    int64_t hold_id
    int64_t asset
    int64_t change
    int64_t amount
    int64_t remaining
    int64_t expires_ns


cdef struct BalanceReport:
    int64_t request_id
    int64_t flags
    int64_t private_sequence
    int64_t sequence
    int64_t time_ns
    int64_t asset
    int64_t available
    int64_t reserved
    int64_t held
    int64_t named


ctypedef void (*RememberFill)(
    void* index, uint32_t user, const ExecutionReport* fill
) noexcept nogil


cdef struct PrivateFeed:
    # Numbers and makes the reports of every user. `remember_fill` keeps the fills for queries, in
    # `index`; the fills and prevented matches that events name are the matcher's and the events'.
    Balances* balances
    const Slab* order_slab
    const TriggerSlabs* stops
    const Matcher* matcher
    const Events* events
    RememberFill remember_fill
    void* index


cdef struct Moment:
    # When something happened: the sequence of the command and the time of its batch. If `told`, the
    # reports with a request id also go to the connection of the command.
    int64_t sequence
    int64_t time_ns
    bint told


cdef inline void report(
    PrivateFeed* feed, BatchWork* work, const Event* event, const Moment* moment
) noexcept nogil:
    """Report everything in an event, in order."""
    if event.kind == EVENT_ACCEPTED or event.kind == EVENT_ANSWERED:
        _report_as_it_is(feed, work, event, moment)
    elif event.kind == EVENT_MATCH:
        _report_match(feed, work, event.order, &event.what.match, moment)
    elif event.kind == EVENT_CHANGE:
        _change(feed, work, event, moment)
    elif event.kind == EVENT_HOLD:
        _hold(feed, work, &event.what.hold, moment)
    elif event.kind == EVENT_AUCTION:
        _auction(feed, work, &event.what.auction, moment)


cdef inline Order* _order(const PrivateFeed* feed, uint32_t number) noexcept nogil:
    return <Order*>record(feed.order_slab, number)


cdef inline void _add(
    BatchWork* work, User* user, int kind, int64_t* values, int64_t count, const Moment* moment
) noexcept nogil:
    """Number a report, set when it is, and add its bytes; `values` are its fields."""
    cdef int64_t start = work.digested.size
    user.private_sequence += 1
    values[2] = user.private_sequence
    values[3] = moment.sequence
    values[4] = moment.time_ns
    put_message(&work.digested, kind, values, count)
    add_report(work, user, start)
    if values[0] and moment.told:
        reply(work, work.digested.data + start, work.digested.size - start)


cdef inline void _order_report(
    PrivateFeed* feed, BatchWork* work, const Order* order, OrderReport* made, const Moment* moment
) noexcept nogil:
    """Add a report about an order, of which the caller set what may have changed since."""
    made.flags = 0
    made.instrument = order.instrument
    made.order_id, made.client_order_id = order.order_id, order.client_order_id
    made.side, made.order_type = order.side, order.order_type
    _add(
        work, user_at(feed.balances, order.user), TYPE_ORDER_REPORT, <int64_t*>made,
        sizeof(OrderReport) // sizeof(int64_t), moment,
    )


cdef inline void _report_as_it_is(
    PrivateFeed* feed, BatchWork* work, const Event* event, const Moment* moment
) noexcept nogil:
    """Report that an order was accepted with its whole quantity, or canceled or replaced."""
    cdef const Order* order = _order(feed, event.order)
    cdef OrderReport made
    made.request_id = 0
    made.exec_type = event.exec_type
    if event.kind == EVENT_ACCEPTED:
        made.status, made.leaves = NEW, order.quantity
        made.cum = made.canceled = made.reason = 0
    else:
        made.status = status(order) if order.leaves else CANCELED
        made.leaves, made.cum, made.reason = order.leaves, order.cum, order.reason
        made.canceled = order.quantity - order.leaves - order.cum
    made.price, made.stop_price = order.price, trigger_of(feed.stops, order)
    _order_report(feed, work, order, &made, moment)


cdef inline void _change(
    PrivateFeed* feed, BatchWork* work, const Event* event, const Moment* moment
) noexcept nogil:
    """Report what happened to an order, with quantities and prices right after it."""
    cdef const OrderChange* change = &event.what.change
    cdef OrderReport made
    made.request_id = change.request_id
    made.exec_type, made.status = event.exec_type, change.status
    made.leaves, made.cum, made.canceled = change.leaves, change.cum, change.canceled
    made.reason = change.reason
    made.price, made.stop_price = change.price, change.stop_price
    _order_report(feed, work, _order(feed, event.order), &made, moment)


cdef inline void report_accounts(
    PrivateFeed* feed, BatchWork* work, const Touched* changed, int64_t count,
    const Moment* moment
) noexcept nogil:
    """Report the accounts that a batch changed, sorted by user, after all its other reports."""
    cdef const Account* account
    cdef User* user = NULL
    cdef BalanceReport made
    cdef int64_t place
    for place in range(count):
        account = account_at(feed.balances, changed[place].account)
        if user == NULL or user.user != account.user:
            user = user_at(feed.balances, find_user(feed.balances, account.user))
        made.request_id = made.flags = 0
        made.asset, made.available = account.asset, account.available
        made.reserved, made.held, made.named = account.reserved, account.held, account.named
        _add(
            work, user, TYPE_BALANCE_REPORT, <int64_t*>&made,
            sizeof(BalanceReport) // sizeof(int64_t), moment,
        )


cdef inline void _hold(
    PrivateFeed* feed, BatchWork* work, const HoldEvent* hold, const Moment* moment
) noexcept nogil:
    """Report what happened to a hold."""
    cdef HoldReport made
    made.request_id = made.flags = 0
    made.hold_id, made.asset, made.change = hold.hold_id, hold.asset, hold.change
    made.amount, made.remaining, made.expires_ns = hold.amount, hold.remaining, hold.expires_ns
    _add(
        work, user_at(feed.balances, find_user(feed.balances, hold.user)), TYPE_HOLD_REPORT,
        <int64_t*>&made, sizeof(HoldReport) // sizeof(int64_t), moment,
    )


cdef inline void _report_match(
    PrivateFeed* feed, BatchWork* work, uint32_t taker, const Match* match, const Moment* moment
) noexcept nogil:
    """Report fills and prevented matches, each of these in its place among the fills."""
    cdef int64_t done = 0, place
    cdef const Prevented* prevented
    for place in range(match.prevented_count):
        prevented = prevented_at(feed.matcher, match.first_prevented + place)
        _fills(feed, work, taker, match, done, prevented.fills_before, moment)
        _prevented(feed, work, taker, match, prevented, moment)
        done = prevented.fills_before
    _fills(feed, work, taker, match, done, match.fill_count, moment)


cdef inline void _fills(
    PrivateFeed* feed, BatchWork* work, uint32_t number, const Match* match, int64_t start,
    int64_t stop, const Moment* moment
) noexcept nogil:
    """Report some of the fills, each to its taker, then to its maker."""
    cdef const Order* taker = _order(feed, number)
    cdef const Order* maker
    cdef const Fill* fill
    cdef ExecutionReport made
    cdef int64_t place
    made.instrument = taker.instrument
    for place in range(start, stop):
        fill = fill_at(feed.matcher, match.first_fill + place)
        maker = _order(feed, fill.maker)
        made.flags = FLAG_SELF_TRADE if maker.user == taker.user else 0
        made.trade_id = match.first_trade_id + place
        made.last_price, made.last_quantity = fill.price, fill.quantity
        made.request_id, made.liquidity = match.request_id, TAKER
        made.leaves, made.cum, made.fee = fill.taker_leaves, fill.taker_cum, fill.taker_fee
        _execution_report(feed, work, taker, maker, &made, moment)
        made.request_id, made.liquidity = 0, MAKER
        made.leaves, made.cum, made.fee = fill.maker_leaves, fill.maker_cum, fill.maker_fee
        _execution_report(feed, work, maker, taker, &made, moment)


cdef inline void _execution_report(
    PrivateFeed* feed, BatchWork* work, const Order* order, const Order* contra,
    ExecutionReport* made, const Moment* moment
) noexcept nogil:
    """Add the report of one side of a fill, of which the caller set what the fill says."""
    made.exec_type = EXEC_TRADE
    made.status = PARTIALLY_FILLED if made.leaves else FILLED
    made.order_id, made.client_order_id = order.order_id, order.client_order_id
    made.side, made.contra_order_id = order.side, contra.order_id
    _add(
        work, user_at(feed.balances, order.user), TYPE_EXECUTION_REPORT, <int64_t*>made,
        sizeof(ExecutionReport) // sizeof(int64_t), moment,
    )
    feed.remember_fill(feed.index, order.user, made)


cdef inline void _prevented(
    PrivateFeed* feed, BatchWork* work, uint32_t number, const Match* match,
    const Prevented* prevented, const Moment* moment
) noexcept nogil:
    """Report a match that did not happen."""
    cdef const Order* taker = _order(feed, number)
    cdef PreventedMatch made
    made.request_id, made.flags = match.request_id, 0
    made.instrument, made.policy, made.price = taker.instrument, taker.self_trade, prevented.price
    made.maker_order_id = _order(feed, prevented.maker).order_id
    made.taker_order_id = taker.order_id
    made.maker_canceled, made.taker_canceled = prevented.maker_canceled, prevented.taker_canceled
    made.maker_leaves, made.taker_leaves = prevented.maker_leaves, prevented.taker_leaves
    _add(
        work, user_at(feed.balances, taker.user), TYPE_PREVENTED_MATCH, <int64_t*>&made,
        sizeof(PreventedMatch) // sizeof(int64_t), moment,
    )


cdef inline void _auction(
    PrivateFeed* feed, BatchWork* work, const AuctionMatch* match, const Moment* moment
) noexcept nogil:
    """Report the trades of an uncross, each to its buyer, then to its seller."""
    cdef const AuctionFill* fill
    cdef const Order* buy
    cdef const Order* sell
    cdef ExecutionReport made
    cdef int64_t place
    made.request_id, made.liquidity, made.instrument = 0, AUCTION, match.instrument
    for place in range(match.fill_count):
        fill = auction_fill_at(feed.events, match.first_fill + place)
        buy, sell = _order(feed, fill.buy), _order(feed, fill.sell)
        made.flags = FLAG_SELF_TRADE if buy.user == sell.user else 0
        made.trade_id = match.first_trade_id + place
        made.last_price, made.last_quantity = fill.price, fill.quantity
        made.leaves, made.cum, made.fee = fill.buy_leaves, fill.buy_cum, fill.buy_fee
        _execution_report(feed, work, buy, sell, &made, moment)
        made.leaves, made.cum, made.fee = fill.sell_leaves, fill.sell_cum, fill.sell_fee
        _execution_report(feed, work, sell, buy, &made, moment)
