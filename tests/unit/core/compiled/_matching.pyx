"""Books and matching of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport (
    accounts,
    auction,
    books,
    busy,
    dead,
    effort,
    events,
    fees,
    fields,
    instruments,
    ladders,
    matcher,
    orders,
    slabs,
    timers,
    turns,
    waiting,
    walks,
    work,
)
from hpe.core.compiled._c cimport int128
from hpe.core.compiled.codes cimport BUY, SELL

NOTHING = books.NOTHING
USERS = (3, 1, 2)  # in the order in which they are opened


cdef void count_notice(
    void* watcher, int change, const void* ladder, const orders.Order* order
) noexcept nogil:
    """Count what concerns a book without a change of an order."""
    if change == 0 and order == NULL:
        (<int64_t*>watcher)[0] += 1


cdef object quantities_of(const slabs.Slab* terms, const orders.Order* order):
    canceled = order.quantity - order.leaves - order.cum
    hidden = orders.hidden_of(terms, order)
    return order.order_id, order.price, order.leaves, hidden, order.cum, canceled


cdef class Book:
    """A book of instrument 1 and what matches against it; orders are named by their ids."""

    cdef accounts.Balances balances
    cdef slabs.Slab order_slab
    cdef slabs.Slab level_slab
    cdef slabs.Slab terms_slab
    cdef timers.Timers timers
    cdef effort.Effort effort
    cdef matcher.Matcher matcher
    cdef books.Book book
    cdef orders.Order aggressor
    cdef fees.OwnRatesTable own_rates
    cdef int64_t notices
    cdef events.Events events
    cdef waiting.TriggerSlabs stops
    cdef work.WorkSlabs work_slabs
    cdef turns.Turns turns
    cdef dict numbers

    def __init__(
        self, int64_t atoms_per_tick, int64_t band_ppm, int64_t reference_price, int64_t fills_max
    ):
        cdef int64_t[timers.KINDS] bounds
        cdef instruments.Instrument instrument
        for kind in range(timers.KINDS):
            bounds[kind] = 1
        accounts.make_balances(&self.balances, 7, NULL)
        if not accounts.reserve_accounts(&self.balances, len(USERS), 0, 0):
            raise MemoryError
        for user in USERS:
            accounts.open_user(&self.balances, user)
        slabs.make_slab(&self.order_slab, sizeof(orders.Order))
        slabs.make_slab(&self.level_slab, sizeof(ladders.Level))
        slabs.make_slab(&self.terms_slab, sizeof(orders.Terms))
        timers.make_timers(&self.timers, 7, bounds)
        effort.make_effort(&self.effort, 7)
        matcher.make_matcher(&self.matcher, &self.effort, fills_max)
        fees.make_own_rates(&self.own_rates, 7)
        memset(&instrument, 0, sizeof(instrument))
        instrument.instrument_id, instrument.quote_atoms_per_tick = 1, atoms_per_tick
        instrument.band_ppm, instrument.reference_price = band_ppm, reference_price
        books.make_book(
            &self.book, &instrument, fees.rates_of(0, 0), &self.own_rates, &self.level_slab,
            &self.order_slab, &self.terms_slab, &self.timers,
        )
        events.make_events(&self.events)
        waiting.make_trigger_slabs(&self.stops, &self.terms_slab)
        work.make_work_slabs(&self.work_slabs, &self.order_slab, &self.terms_slab)
        turns.make_turns(&self.turns, &self.work_slabs)
        self.numbers = {}
        if not timers.reserve_timers(&self.timers, 1):
            raise MemoryError
        timers.add_timer(&self.timers, timers.ORDER, 1, 0, 0, 1)

    def __dealloc__(self):
        matcher.free_matcher(&self.matcher)
        effort.free_effort(&self.effort)
        events.free_events(&self.events)
        turns.free_turns(&self.turns)
        timers.free_timers(&self.timers)
        accounts.free_balances(&self.balances)
        slabs.free_slab(&self.order_slab)
        slabs.free_slab(&self.level_slab)
        slabs.free_slab(&self.terms_slab)

    cdef orders.Order* at(self, uint32_t number):
        return <orders.Order*>slabs.record(&self.order_slab, number)

    cdef int fill_in(self, orders.Order* order, row) except -1:
        """Set the fields of an order, whose terms are taken if it has any."""
        cdef orders.Terms* terms
        memset(order, 0, sizeof(orders.Order))
        order.order_id, order.side, order.price = row.order_id, row.side, row.price
        order.user = accounts.find_user(&self.balances, row.user)
        order.quantity = order.leaves = row.quantity
        order.self_trade, order.taker_ppm = row.self_trade, row.taker_ppm
        if row.display or row.expires_ns or row.budget:
            if not slabs.reserve(&self.terms_slab, 1):
                raise MemoryError
            order.terms = slabs.take(&self.terms_slab)
            terms = <orders.Terms*>slabs.record(&self.terms_slab, order.terms)
            terms.display, terms.expires_ns, terms.budget = row.display, row.expires_ns, row.budget
            orders.show_slice(order, terms)
        return 0

    def rest(self, row):
        """Append a new order to the queue of its price."""
        if not slabs.reserve(&self.order_slab, 1) or not slabs.reserve(&self.level_slab, 1):
            raise MemoryError
        cdef uint32_t number = slabs.take(&self.order_slab)
        self.fill_in(self.at(number), row)
        self.numbers[row.order_id] = number
        ladders.add(books.side_of(&self.book, row.side), number)

    def remove(self, order_id):
        """Remove an order from the book."""
        cdef uint32_t number = self.numbers[order_id]
        ladders.remove(books.side_of(&self.book, self.at(number).side), number)
        self.ended(number)

    cdef object ended(self, uint32_t number):
        """Free the record of an order that left the book, and return its id."""
        cdef orders.Order* order = self.at(number)
        order_id = order.order_id
        if order.terms:
            slabs.give_back(&self.terms_slab, order.terms)
        slabs.give_back(&self.order_slab, number)
        del self.numbers[order_id]
        return order_id

    def set_time(self, int64_t time_ns):
        """Set the time; orders may be dead unless it is 0."""
        timers.begin_body(&self.timers, time_ns)
        timers.review(&self.timers)

    def match(self, row, int64_t limit):
        """Match a new order, and end the makers that have no leaves or were reached.

        Returns:
            Its fills, prevented matches and reached orders, how it ended, its quantities.
        """
        cdef matcher.Matched matched
        cdef const matcher.Fill* fill
        cdef const matcher.Prevented* prevented
        cdef uint32_t number, following
        self.fill_in(&self.aggressor, row)
        if not slabs.reserve(&self.level_slab, self.matcher.fills_max) or not matcher.reserve_trades(
            &self.matcher, 1
        ):
            raise MemoryError
        with nogil:
            matcher.match(&self.matcher, &self.book, &self.aggressor, limit, &matched)
        fills, preventions, reached, gone = [], [], [], {}
        for place in range(matched.fill_count):
            fill = matcher.fill_at(&self.matcher, matched.first_fill + place)
            gone[fill.maker] = self.at(fill.maker).leaves == 0
            fills.append((
                self.at(fill.maker).order_id, fill.price, fill.quantity, fill.maker_leaves,
                fill.maker_cum, fill.taker_leaves, fill.taker_cum, fill.maker_fee, fill.taker_fee,
            ))
        for place in range(matched.prevented_count):
            prevented = matcher.prevented_at(&self.matcher, matched.first_prevented + place)
            gone[prevented.maker] = self.at(prevented.maker).leaves == 0
            preventions.append((
                self.at(prevented.maker).order_id, prevented.price, prevented.maker_canceled,
                prevented.taker_canceled, prevented.maker_leaves, prevented.taker_leaves,
                prevented.fills_before,
            ))
        number = matched.reached
        while number:
            following, level = self.at(number).next, self.at(number).level
            before = self.at(number).previous
            assert following or number == matched.reached_last
            reached.append((self.ended(number), level, before))
            number = following
        for number, is_gone in gone.items():
            if is_gone:
                self.ended(number)
        ways = bool(matched.barred), bool(matched.exhausted), bool(matched.spent)
        return fills, preventions, reached, ways, quantities_of(&self.terms_slab, &self.aggressor)

    def forget_trades(self):
        """Forget the fills and prevented matches so far."""
        matcher.forget_trades(&self.matcher)

    def fillable(self, row, int64_t limit, int64_t quantity):
        """See matcher.py."""
        self.fill_in(&self.aggressor, row)
        return bool(walks.fillable(&self.matcher, &self.book, &self.aggressor, limit, quantity))

    def cost(self, row, int64_t limit, int64_t ticks_lots_max):
        """See matcher.py."""
        self.fill_in(&self.aggressor, row)
        cdef int128 total = walks.cost(
            &self.matcher, &self.book, &self.aggressor, limit, ticks_lots_max
        )
        return (<object>(<uint64_t>(total >> 64)) << 64) + <uint64_t>total

    def spendable(self, row, int64_t limit, int64_t amount):
        """See matcher.py."""
        self.fill_in(&self.aggressor, row)
        return bool(walks.spendable(&self.matcher, &self.book, &self.aggressor, limit, amount))

    def count_dead(self, int side, price, lots, user, self_trade, fills_max, dead_max):
        """Count the dead orders that an order of a side would meet; see dead.py."""
        cdef dead.Search search = dead.Search(
            price, lots, accounts.find_user(&self.balances, user), self_trade
        )
        cdef dead.Bounds bounds = dead.Bounds(fills_max, dead_max)
        passed = dead.count_dead(
            &self.book, books.opposite(&self.book, side), &search, books.book_dead_ns(&self.book),
            bounds,
        )
        return passed.dead, passed.rows

    def dead_before(self, row, int flags, fills_max, dead_max):
        """Count the dead orders that an order would meet; see dead.py."""
        cdef dead.Bounds bounds = dead.Bounds(fills_max, dead_max)
        self.fill_in(&self.aggressor, row)
        self.aggressor.flags = flags
        passed = dead.dead_before(&self.book, &self.aggressor, bounds)
        return passed.dead, passed.rows

    def time_has_come(self, order_id):
        """True if an order is to end; see Expiry.is_dead."""
        return bool(dead.time_has_come(&self.book, self.at(self.numbers[order_id])))

    def pass_over(self, bint value):
        """Pass over the timers of the book, or stop doing so."""
        if not timers.reserve_timers(&self.timers, 1):
            raise MemoryError
        if value:
            timers.pass_over(&self.timers, 1)
        else:
            timers.take_up(&self.timers, 1)

    def uncross(self, bint value, int64_t price, int64_t volume_left, int64_t surplus):
        """Set whether an uncross is in progress."""
        if not turns.reserve_turns(&self.turns, 1):
            raise MemoryError
        cdef work.Work* found = turns.of(&self.turns, &self.book)
        found.is_uncrossing = value
        found.uncrossing = work.UncrossInProgress(price, volume_left, surplus, 1)
        turns.review(&self.turns, &self.book)

    def set_queued(self, int64_t queued):
        """Set how many stops have fired and wait for their turns."""
        if not turns.reserve_turns(&self.turns, 1):
            raise MemoryError
        turns.of(&self.turns, &self.book).queued = queued
        turns.review(&self.turns, &self.book)

    def wait(self, row, int64_t stop_price):
        """Let a new order be a stop that waits."""
        if not slabs.reserve(&self.order_slab, 1):
            raise MemoryError
        cdef uint32_t number = slabs.take(&self.order_slab)
        self.fill_in(self.at(number), row)
        self.at(number).state = orders.WAITING
        (<orders.Terms*>slabs.record(&self.terms_slab, self.at(number).terms)).stop_price = stop_price
        self.numbers[row.order_id] = number

    def set_self_trade(self, int self_trade):
        """Set the instrument's policy."""
        self.book.instrument.self_trade = self_trade

    def set_flags(self, order_id, int flags):
        """Set the flags of an order."""
        self.at(self.numbers[order_id]).flags = flags

    def refuses(self, int kind, values, uint64_t nulls, user, order_id, bint has_book, limits):
        """True if a command has to wait; see busy.py. `order_id` is None if it names no order."""
        cdef fields.Request request
        cdef busy.Busy asked = busy.Busy(
            &self.turns, &self.stops, &self.balances, &self.effort,
            dead.Bounds(limits.fills, limits.dead), limits.effort,
        )
        cdef orders.Order* order = NULL if order_id is None else self.at(self.numbers[order_id])
        memset(&request, 0, sizeof(request))
        request.kind, request.nulls = kind, nulls
        for place, value in enumerate(values):
            request.values[<int>place] = value
        return bool(busy.refuses(&asked, user, &request, &self.book if has_book else NULL, order))

    def begin_batch(self):
        """Reset the effort, after returning what was wasted."""
        wasted = self.effort.wasted
        effort.begin(&self.effort)
        return wasted

    def clearing(self):
        """See auction.py."""
        found = auction.clearing(&self.book, turns.work_of(&self.turns, &self.book))
        return found.price, found.volume, found.surplus

    def crossing_levels(self, int64_t query_effort):
        """Return the number of levels, and whether they are too many for this effort."""
        cdef const work.Work* found = turns.work_of(&self.turns, &self.book)
        levels = auction.crossing_levels(&self.book, found)
        return levels, bool(auction.is_too_deep(&self.book, found, query_effort))

    def fill_auction(self, int64_t price, int64_t volume, int64_t fills_max):
        """Trade a part of a volume; end the orders without leaves.

        Returns:
            The fills, and the volume that is left.
        """
        cdef const events.AuctionFill* fill
        if not events.reserve_events(&self.events, 0, 0, 0, fills_max):
            raise MemoryError
        volume = auction.fill_auction(&self.book, &self.events, price, volume, fills_max)
        fills = []
        for place in range(events.auction_fill_count(&self.events)):
            fill = events.auction_fill_at(&self.events, place)
            fills.append((
                self.at(fill.buy).order_id, self.at(fill.sell).order_id, fill.price, fill.quantity,
                fill.buy_leaves, fill.buy_cum, fill.sell_leaves, fill.sell_cum, fill.buy_fee,
                fill.sell_fee,
            ))
        for place in range(events.auction_fill_count(&self.events)):
            fill = events.auction_fill_at(&self.events, place)
            if fill.buy_leaves == 0:
                self.ended(fill.buy)
            if fill.sell_leaves == 0:
                self.ended(fill.sell)
        events.forget_events(&self.events)
        return fills, volume

    def limit_within_band(self, int side, int64_t price):
        """See orderbook.py; NOTHING for None."""
        return books.limit_within_band(&self.book, side, price)

    def crosses(self, int side, int64_t price):
        """See orderbook.py."""
        return bool(books.book_crosses(&self.book, side, price))

    def watch(self):
        """Count the notices of a changed status."""
        for side in (BUY, SELL):
            books.side_of(&self.book, side).notice = count_notice
            books.side_of(&self.book, side).watcher = &self.notices

    def set_status(self, int status, int64_t band_ppm):
        """Set the status and the band."""
        self.book.instrument.band_ppm = band_ppm
        books.set_status(&self.book, status)

    @property
    def standing(self):
        """The status, whether price and time alone decide, and the number of notices."""
        return self.book.status, bool(self.book.plain), self.notices

    @property
    def spent(self):
        """The effort that was spent."""
        return self.effort.spent

    def state(self):
        """Return the queues of both sides, last price and trade id, and the number of changes."""
        return (
            self.queues(&self.book.bids), self.queues(&self.book.asks), self.book.last_price,
            self.book.last_trade_id, books.sequence(&self.book),
        )

    cdef object queues(self, const ladders.Ladder* ladder):
        cdef const ladders.Level* level = ladders.best(ladder)
        cdef uint32_t number
        found = []
        while level != NULL:
            queue, number = [], level.head
            while number:
                queue.append(quantities_of(&self.terms_slab, self.at(number)))
                number = self.at(number).next
            found.append((ladders.price_of(ladder, level), level.quantity, level.hidden, queue))
            level = ladders.worse(ladder, level)
        return found
