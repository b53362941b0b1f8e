"""The money side of orders: reserve on acceptance, settle on trade, release on end.

The compiled twin of hpe/core/trading/executor.py, with its names; the rules are stated there.
Nothing else changes `reserved`. Owned by the core, used by the thread that runs it. Nothing here
fails: touches were reserved (`reserve_accounts`), two for each order that trades and one for each
that reserves or is released, one account for each settlement, the house's, and a record of totals
for each order that trades.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t

from hpe.core.compiled cimport wide
from hpe.core.compiled._c cimport int128
from hpe.core.compiled.accounts cimport Account, Balances, account_at, house, touch
from hpe.core.compiled.codes cimport BUY
from hpe.core.compiled.events cimport AuctionFill
from hpe.core.compiled.fees cimport worst_rate
from hpe.core.compiled.instruments cimport Instrument
from hpe.core.compiled.kinds cimport RESERVES_BUDGET
from hpe.core.compiled.matcher cimport Fill
from hpe.core.compiled.orders cimport Order, Terms, Traded, order_kind, traded_of, trading
from hpe.core.compiled.slabs cimport Slab, record


cdef struct Executor:
    # Moves money between available and reserved, and between users on a trade.
    Balances* balances
    const Slab* order_slab
    const Slab* terms_slab
    Slab* traded_slab


cdef inline void make_executor(
    Executor* executor, Balances* balances, const Slab* order_slab, const Slab* terms_slab,
    Slab* traded_slab
) noexcept nogil:
    """Initialize over these balances, in which the house is opened as a user."""
    executor.balances = balances
    executor.order_slab = order_slab
    executor.terms_slab = terms_slab
    executor.traded_slab = traded_slab


cdef inline Order* _order_at(const Executor* executor, uint32_t number) noexcept nogil:
    """Return the order of a number."""
    return <Order*>record(executor.order_slab, number)


cdef inline const Terms* _terms_of(const Executor* executor, const Order* order) noexcept nogil:
    """Return the terms of an order that has some."""
    return <const Terms*>record(executor.terms_slab, order.terms)


cdef inline bint reserve(const Executor* executor, Order* order, int128 amount) noexcept nogil:
    """Set what an order reserves, taking the difference from available or giving it back.

    Returns:
        False if it is not available; nothing has changed then.
    """
    cdef Account* account = account_at(executor.balances, order.paying)
    cdef int128 more = amount - order.reserved
    if more > account.available:
        return False
    touch(executor.balances, order.paying)
    account.available -= <int64_t>more
    account.reserved += <int64_t>more
    order.reserved = <int64_t>amount
    return True


cdef inline int128 requirement(
    const Executor* executor, const Instrument* instrument, const Order* order, int64_t price,
    int64_t leaves
) noexcept nogil:
    """Return what an order with this limit and these leaves reserves, in the atoms it pays.

    The matcher computes what a market buy by quantity costs.
    """
    cdef int64_t needed
    cdef int32_t worst
    if order.side != BUY:
        return wide.base_atoms(leaves, instrument.base_atoms_per_lot)
    if order_kind(order, executor.terms_slab) & RESERVES_BUDGET:
        return _terms_of(executor, order).budget
    needed = wide.notional(price, leaves, instrument.quote_atoms_per_tick)
    worst = worst_rate(order.maker_ppm, order.taker_ppm)
    if worst:
        needed += wide.worst_fee(needed, worst, traded_of(executor.traded_slab, order).fee_rest)
    return needed


cdef inline int128 pair_requirement(
    const Executor* executor, const Instrument* instrument, const Order* order, int64_t price,
    int64_t leaves
) noexcept nogil:
    """Return what an order needs together with its pair's other leg: the larger need."""
    cdef int128 needed = requirement(executor, instrument, order, price, leaves), other
    cdef const Order* partner
    if order.terms == 0 or _terms_of(executor, order).partner == 0:
        return needed
    partner = _order_at(executor, _terms_of(executor, order).partner)
    other = requirement(executor, instrument, partner, partner.price, partner.leaves)
    return other if other > needed else needed


cdef inline void release(const Executor* executor, Order* order) noexcept nogil:
    """Release everything that an ending order still reserves."""
    cdef Account* account = account_at(executor.balances, order.paying)
    touch(executor.balances, order.paying)
    account.available += order.reserved
    account.reserved -= order.reserved
    order.reserved = 0


cdef inline void settle(
    const Executor* executor, const Instrument* instrument, Order* taker, Fill* fills,
    int64_t count
) noexcept nogil:
    """Move base and quote between the two sides of each trade, from what they reserved."""
    cdef int64_t quote_sum = 0, base_sum = 0, fee_sum = 0, income = 0, quote, base, place
    cdef bint is_charged = count and taker.taker_ppm  # any rate of the trades is not 0
    cdef Fill* fill
    cdef Order* maker
    for place in range(count):
        fill = &fills[place]
        maker = _order_at(executor, fill.maker)
        quote = wide.notional(fill.price, fill.quantity, instrument.quote_atoms_per_tick)
        base = <int64_t>wide.base_atoms(fill.quantity, instrument.base_atoms_per_lot)
        quote_sum += quote
        base_sum += base
        if maker.maker_ppm:
            is_charged = True
            fill.maker_fee = _charge(executor, maker, quote, maker.maker_ppm)
            income += fill.maker_fee
        _settle_maker(executor, instrument, maker, fill, quote, base)
        if taker.taker_ppm:
            fill.taker_fee = _charge(executor, taker, quote, taker.taker_ppm)
            fee_sum += fill.taker_fee
    if count:
        trading(executor.traded_slab, taker).quote_total += quote_sum
    if is_charged:  # opens the account, even if all fees are 0
        house(executor.balances, instrument.quote).available += income + fee_sum
    if taker.side != BUY:
        _exchange(executor, taker, base_sum, quote_sum - fee_sum)
        return
    _exchange(executor, taker, quote_sum + fee_sum, base_sum)
    if taker.price:
        reserve(
            executor, taker,
            requirement(executor, instrument, taker, taker.price, taker.leaves),
        )


cdef inline void _settle_maker(
    const Executor* executor, const Instrument* instrument, Order* maker, const Fill* fill,
    int64_t quote, int64_t base
) noexcept nogil:
    """Settle one trade, of so many atoms, for the maker, whose fee is known."""
    trading(executor.traded_slab, maker).quote_total += quote
    if maker.side != BUY:
        _exchange(executor, maker, base, quote - fill.maker_fee)
        return
    _exchange(executor, maker, quote + fill.maker_fee, base)
    if worst_rate(maker.maker_ppm, maker.taker_ppm):
        reserve(
            executor, maker,
            requirement(executor, instrument, maker, maker.price, fill.maker_leaves),
        )


cdef inline void settle_auction(
    const Executor* executor, const Instrument* instrument, AuctionFill* fill
) noexcept nogil:
    """Settle one trade of an uncross; both sides pay the taker rate."""
    cdef Order* buy = _order_at(executor, fill.buy)
    cdef Order* sell = _order_at(executor, fill.sell)
    cdef int64_t quote = wide.notional(
        fill.price, fill.quantity, instrument.quote_atoms_per_tick
    )
    cdef int64_t base = <int64_t>wide.base_atoms(fill.quantity, instrument.base_atoms_per_lot)
    fill.buy_fee = _charge(executor, buy, quote, buy.taker_ppm)
    fill.sell_fee = _charge(executor, sell, quote, sell.taker_ppm)
    trading(executor.traded_slab, buy).quote_total += quote
    trading(executor.traded_slab, sell).quote_total += quote
    if buy.taker_ppm or sell.taker_ppm:
        house(executor.balances, instrument.quote).available += fill.buy_fee + fill.sell_fee
    _exchange(executor, buy, quote + fill.buy_fee, base)
    _exchange(executor, sell, base, quote - fill.sell_fee)
    reserve(
        executor, buy, requirement(executor, instrument, buy, buy.price, fill.buy_leaves)
    )


cdef inline int64_t _charge(
    const Executor* executor, Order* order, int64_t notional, int32_t rate_ppm
) noexcept nogil:
    """Charge an order for one fill; return the atoms, negative for a rebate."""
    cdef Traded* totals = trading(executor.traded_slab, order)
    cdef int64_t rest = totals.fee_rest
    cdef int64_t fee = wide.charge(notional, rate_ppm, &rest)
    totals.fee_rest = <int32_t>rest
    totals.fee_total += fee
    return fee


cdef inline void _exchange(
    const Executor* executor, Order* order, int64_t paid, int64_t received
) noexcept nogil:
    """Pay from what an order reserves and credit what it receives."""
    touch(executor.balances, order.paying)
    touch(executor.balances, order.receiving)
    order.reserved -= paid
    account_at(executor.balances, order.paying).reserved -= paid
    account_at(executor.balances, order.receiving).available += received
