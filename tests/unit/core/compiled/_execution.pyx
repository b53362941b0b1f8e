"""Money of orders in the compiled core (fees, kinds, reserving, settling), for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport (
    accounts,
    books,
    effort,
    events,
    executor,
    fees,
    instruments,
    kinds,
    ladders,
    matcher,
    orders,
    slabs,
    timers,
)
from hpe.core.compiled._c cimport int128
from hpe.core.compiled.wide cimport INT_MAX

cdef enum:
    SCHEDULES = 3


RESERVES = {
    kinds.RESERVES_BASE: "BASE", kinds.RESERVES_NOTIONAL: "NOTIONAL",
    kinds.RESERVES_COST: "COST", kinds.RESERVES_BUDGET: "BUDGET",
}


def kind_of(int order_type, int time_in_force, int64_t budget):
    """Return the fields of a kind of orders, as kinds.py has them; None if it is invalid."""
    cdef int kind = kinds.kind_of(order_type, time_in_force, budget)
    if kind == kinds.INVALID:
        return None
    (reserves,) = [name for bit, name in RESERVES.items() if kind & bit]
    bits = (
        kinds.WAITS, kinds.NEEDS_PRICE, kinds.MAY_REST, kinds.IN_CALL, kinds.CHANGES_QUANTITY,
        kinds.CHANGES_PRICE, kinds.CHANGES_TRIGGER,
    )
    fields = [kind & bit > 0 for bit in bits]
    return *fields[:4], reserves, *fields[4:]


def is_for(int order_type, int time_in_force, int64_t budget, int side):
    """True if there are orders of this kind on a side; see kinds.py."""
    return bool(kinds.is_for(kinds.kind_of(order_type, time_in_force, budget), side))


def is_stop(int order_type):
    """True if orders of this type wait for a trigger."""
    return bool(kinds.is_stop(order_type))


def is_resting(int time_in_force):
    """True if orders with this time in force may rest."""
    return bool(kinds.is_resting(time_in_force))


cdef class Fees:
    """The rates of instruments 1 to SCHEDULES; see hpe/core/money/fees.py."""

    cdef fees.OwnRatesTable records
    cdef fees.FeeSchedule[SCHEDULES + 1] schedules

    def __init__(self, int64_t maker_ppm, int64_t taker_ppm):
        fees.make_own_rates(&self.records, 7)
        for instrument in range(1, SCHEDULES + 1):
            fees.make_schedule(
                &self.schedules[instrument], fees.rates_of(maker_ppm, taker_ppm), instrument,
                &self.records,
            )

    def __dealloc__(self):
        fees.free_own_rates(&self.records)

    def set_rates(self, int instrument, int64_t user, int64_t maker_ppm, int64_t taker_ppm):
        """Set the rates of a user; user 0: the common ones."""
        cdef fees.FeeRates rates = fees.rates_of(maker_ppm, taker_ppm)
        if user == 0:
            self.schedules[instrument].common = rates
            return
        if not fees.reserve_own_rates(&self.records, 1):
            raise MemoryError
        fees.set_own(&self.schedules[instrument], user, rates)

    def remove_own(self, int instrument, int64_t user):
        """Remove a user's own rates, if it has any."""
        fees.remove_own(&self.schedules[instrument], user)

    def clear_own(self, int instrument):
        """Remove all own rates of an instrument."""
        fees.clear_own(&self.schedules[instrument])

    def of(self, int instrument, int64_t user):
        """See fees.py."""
        cdef const fees.FeeRates* rates = fees.of(&self.schedules[instrument], user)
        return rates.maker, rates.taker, rates.worst

    def own(self, int instrument):
        """Return all own rates of an instrument by user, as their list has them."""
        cdef const fees.FeeSchedule* schedule = &self.schedules[instrument]
        cdef uint32_t number = schedule.own, before = 0
        cdef const fees.OwnRates* each
        found = {}
        while number:
            each = fees.own_rates_at(schedule, number)
            assert each.previous == before
            assert fees.find_own_rates(schedule, each.user) == number
            found[each.user] = each.rates.maker, each.rates.taker, each.rates.worst
            before, number = number, each.next
        assert len(found) == schedule.own_count
        return found

    def go_below_zero(self, int instrument, int64_t user, int32_t maker_ppm, int32_t taker_ppm):
        """True if new rates of a user (0: the common ones) and the others could cost the house."""
        cdef fees.LowestRates lowest = fees.LowestRates(maker_ppm, taker_ppm)
        cdef const fees.FeeSchedule* schedule = &self.schedules[instrument]
        if user:
            fees.include_rates(&lowest, schedule.common.maker, schedule.common.taker)
        fees.include_own_rates(&lowest, schedule, user)
        return bool(fees.can_go_below_zero(&lowest))

    @property
    def records_used(self):
        """The number of own rates of all instruments, in the slab and in the table."""
        return self.records.slab.count, self.records.table.count


cdef object whole(int128 number):
    """Return a number that is not negative as Python's."""
    return (<object>(<uint64_t>(number >> 64)) << 64) + <uint64_t>number


cdef int128 wide_of(object number):
    """Return a number of Python's that is not negative."""
    cdef int128 high = <uint64_t>(number >> 64)
    return (high << 64) + <uint64_t>(number & 0xFFFFFFFFFFFFFFFF)


cdef class Market:
    """The book of an instrument of assets 1 and 2, what matches and settles there, and all money.

    Orders are named by their ids.
    """

    cdef slabs.Slab order_slab
    cdef slabs.Slab level_slab
    cdef slabs.Slab terms_slab
    cdef slabs.Slab traded_slab
    cdef timers.Timers timers
    cdef effort.Effort effort
    cdef matcher.Matcher matcher
    cdef fees.OwnRatesTable own_rates
    cdef books.Book book
    cdef accounts.Balances balances
    cdef executor.Executor executor
    cdef dict numbers

    def __init__(self, int64_t lot, int64_t tick, int64_t maker_ppm, int64_t taker_ppm, int64_t fills_max):
        cdef int64_t[timers.KINDS] bounds
        cdef instruments.Instrument instrument
        for kind in range(timers.KINDS):
            bounds[kind] = 1
        slabs.make_slab(&self.order_slab, sizeof(orders.Order))
        slabs.make_slab(&self.level_slab, sizeof(ladders.Level))
        slabs.make_slab(&self.terms_slab, sizeof(orders.Terms))
        slabs.make_slab(&self.traded_slab, sizeof(orders.Traded))
        timers.make_timers(&self.timers, 7, bounds)
        effort.begin(&self.effort)
        matcher.make_matcher(&self.matcher, &self.effort, fills_max)
        fees.make_own_rates(&self.own_rates, 7)
        memset(&instrument, 0, sizeof(instrument))
        instrument.instrument_id, instrument.base, instrument.quote = 1, 1, 2
        instrument.base_atoms_per_lot, instrument.quote_atoms_per_tick = lot, tick
        books.make_book(
            &self.book, &instrument, fees.rates_of(maker_ppm, taker_ppm), &self.own_rates,
            &self.level_slab, &self.order_slab, &self.terms_slab, &self.timers,
        )
        accounts.make_balances(&self.balances, 7, NULL)
        executor.make_executor(
            &self.executor, &self.balances, &self.order_slab, &self.terms_slab, &self.traded_slab
        )
        self.numbers = {}
        self._reserve(1)
        accounts.open_user(&self.balances, INT_MAX)

    def __dealloc__(self):
        matcher.free_matcher(&self.matcher)
        timers.free_timers(&self.timers)
        fees.free_own_rates(&self.own_rates)
        accounts.free_balances(&self.balances)
        slabs.free_slab(&self.order_slab)
        slabs.free_slab(&self.level_slab)
        slabs.free_slab(&self.terms_slab)
        slabs.free_slab(&self.traded_slab)

    cdef int _reserve(self, int64_t trades) except -1:
        """Reserve whatever an order needs that trades so often, and an account and a user."""
        if not (
            accounts.reserve_accounts(&self.balances, 1, 1, 2 * trades + 2)
            and slabs.reserve(&self.order_slab, 1)
            and slabs.reserve(&self.terms_slab, 1)
            and slabs.reserve(&self.level_slab, trades + 1)
            and slabs.reserve(&self.traded_slab, trades + 1)
            and matcher.reserve_trades(&self.matcher, 1)
            and fees.reserve_own_rates(&self.own_rates, 1)
        ):
            raise MemoryError
        return 0

    cdef orders.Order* at(self, order_id):
        return <orders.Order*>slabs.record(&self.order_slab, self.numbers[order_id])

    cdef orders.Terms* terms_at(self, order_id):
        return <orders.Terms*>slabs.record(&self.terms_slab, self.at(order_id).terms)

    # --- users ----------------------------------------------------------------------------------

    def deposit(self, int64_t user, int64_t asset, int64_t amount):
        """Credit money; create the user and the account if they are new."""
        self._reserve(1)
        cdef uint32_t of = accounts.find_user(&self.balances, user)
        cdef uint32_t number = accounts.find_account(&self.balances, user, asset)
        if of == 0:
            of = accounts.open_user(&self.balances, user)
        if number == 0:
            number = accounts.open_account(&self.balances, of, asset, 0)
        accounts.deposit(&self.balances, number, amount)

    def set_rates(self, int64_t user, int64_t maker_ppm, int64_t taker_ppm):
        """Set the rates of a user; user 0: the common ones."""
        self._reserve(1)
        cdef fees.FeeRates rates = fees.rates_of(maker_ppm, taker_ppm)
        if user:
            fees.set_own(&self.book.fees, user, rates)
        else:
            self.book.fees.common = rates

    def row(self, int64_t user, int64_t asset):
        """Return the amounts of an account, None if there is none."""
        cdef const accounts.Account* account = accounts.peek(&self.balances, user, asset)
        if account == NULL:
            return None
        return account.available, account.reserved, account.held

    def take_changed(self):
        """Return user and asset of the accounts that changed."""
        cdef const accounts.Touched* changed
        cdef const accounts.Account* account
        rows = []
        for place in range(accounts.take_changed(&self.balances, &changed)):
            account = accounts.account_at(&self.balances, changed[place].account)
            rows.append((account.user, account.asset))
        return rows

    # --- orders ---------------------------------------------------------------------------------

    def add(self, order):
        """Add what is like an order of the reference, which has reserved nothing yet.

        Its rates are those of its user.
        """
        self._reserve(1)
        cdef uint32_t number = slabs.take(&self.order_slab)
        cdef orders.Terms* terms
        cdef const fees.FeeRates* rates = fees.of(&self.book.fees, order.user)
        self.numbers[order.order_id] = number
        cdef orders.Order* made = self.at(order.order_id)
        made.order_id, made.user, made.side, made.price = (
            order.order_id, order.user, order.side, order.price
        )
        made.order_type, made.time_in_force = order.order_type, order.time_in_force
        made.quantity, made.leaves, made.self_trade = order.quantity, order.leaves, order.self_trade
        made.maker_ppm, made.taker_ppm = rates.maker, rates.taker
        made.paying = accounts.find_account(&self.balances, order.user, order.paying.asset)
        made.receiving = accounts.find_account(&self.balances, order.user, order.receiving.asset)
        if order.terms is not None:
            made.terms = slabs.take(&self.terms_slab)
            terms = self.terms_at(order.order_id)
            terms.display, terms.budget = order.terms.display, order.terms.budget

    def end(self, order_id):
        """Forget an order that is in no queue and has no partner."""
        cdef orders.Order* order = self.at(order_id)
        if order.terms:
            slabs.give_back(&self.terms_slab, order.terms)
        if order.traded:
            slabs.give_back(&self.traded_slab, order.traded)
        slabs.give_back(&self.order_slab, self.numbers.pop(order_id))

    def link(self, limit_id, stop_id):
        """Link two orders as a pair, for which the first reserves."""
        self.terms_at(limit_id).partner = self.numbers[stop_id]
        self.terms_at(stop_id).partner = self.numbers[limit_id]
        self.terms_at(limit_id).holds_pair = True

    def part(self, *order_ids):
        """Separate the legs of a pair."""
        for order_id in order_ids:
            self.terms_at(order_id).partner = 0
            self.terms_at(order_id).holds_pair = False

    def rest(self, order_id):
        """Append an order to the queue of its price."""
        self._reserve(1)
        cdef orders.Order* order = self.at(order_id)
        if order.terms:
            orders.show_slice(order, self.terms_at(order_id))
        ladders.add(books.side_of(&self.book, order.side), self.numbers[order_id])

    def take_out(self, order_id):
        """Remove an order from the book."""
        ladders.remove(books.side_of(&self.book, self.at(order_id).side), self.numbers[order_id])

    def reduce(self, order_id, int64_t leaves):
        """Lower a resting order's leaves."""
        cdef orders.Order* order = self.at(order_id)
        ladders.reduce(books.side_of(&self.book, order.side), order, leaves)

    def order_rows(self):
        """Return what concerns money of every order, by id."""
        cdef const orders.Order* order
        cdef orders.Traded totals
        rows = {}
        for order_id in self.numbers:
            order = self.at(order_id)
            totals = orders.traded_of(&self.traded_slab, order)
            rows[order_id] = (
                order.leaves, order.cum, order.reserved, totals.quote_total, totals.fee_total,
                totals.fee_rest, order.maker_ppm, order.taker_ppm,
            )
        return rows

    # --- executor -------------------------------------------------------------------------------

    def reserve(self, order_id, amount):
        """See executor.py."""
        self._reserve(1)
        return bool(executor.reserve(&self.executor, self.at(order_id), wide_of(amount)))

    def release(self, order_id):
        """See executor.py."""
        self._reserve(1)
        executor.release(&self.executor, self.at(order_id))

    def requirement(self, order_id, int64_t price, int64_t leaves):
        """See executor.py."""
        return whole(executor.requirement(
            &self.executor, &self.book.instrument, self.at(order_id), price, leaves
        ))

    def pair_requirement(self, order_id, int64_t price, int64_t leaves):
        """See executor.py."""
        return whole(executor.pair_requirement(
            &self.executor, &self.book.instrument, self.at(order_id), price, leaves
        ))

    def trade(self, order_id, int64_t limit):
        """Match an order and settle its fills.

        Returns:
            Each fill's maker, price, quantity and two fees.
        """
        cdef matcher.Matched matched
        cdef matcher.Fill* fills
        cdef orders.Order* order = self.at(order_id)
        self._reserve(self.matcher.fills_max)
        with nogil:
            matcher.match(&self.matcher, &self.book, order, limit, &matched)
            fills = matcher.fill_at(&self.matcher, matched.first_fill)
            executor.settle(
                &self.executor, &self.book.instrument, order, fills, matched.fill_count
            )
        return [
            (
                (<orders.Order*>slabs.record(&self.order_slab, fills[place].maker)).order_id,
                fills[place].price, fills[place].quantity, fills[place].maker_fee,
                fills[place].taker_fee,
            )
            for place in range(matched.fill_count)
        ]

    def forget_trades(self):
        """Forget all fills so far."""
        matcher.forget_trades(&self.matcher)

    def settle_auction(self, buy_id, sell_id, int64_t price, int64_t quantity):
        """Let two orders in the book trade in an uncross; return both fees."""
        self._reserve(2)
        cdef events.AuctionFill fill
        fill.price, fill.quantity = price, quantity
        fill.buy, fill.sell = self.numbers[buy_id], self.numbers[sell_id]
        fill.buy_leaves, fill.buy_cum = self._take(buy_id, quantity)
        fill.sell_leaves, fill.sell_cum = self._take(sell_id, quantity)
        executor.settle_auction(&self.executor, &self.book.instrument, &fill)
        return fill.buy_fee, fill.sell_fee

    cdef tuple _take(self, order_id, int64_t quantity):
        """Apply a fill to an order's whole leaves; return its leaves and cum."""
        cdef orders.Order* order = self.at(order_id)
        cdef ladders.Ladder* ladder = books.side_of(&self.book, order.side)
        cdef int64_t leaves = order.leaves - quantity, display = 0
        order.cum += quantity
        if order.terms:
            display = self.terms_at(order_id).display
        if leaves:
            hidden = max(leaves - display, 0) if display else 0
            ladders.reshow(ladder, order, leaves, hidden)
        else:
            ladders.remove(ladder, self.numbers[order_id])
            order.leaves = 0
            orders.hide(&self.terms_slab, order, 0)
        return order.leaves, order.cum
