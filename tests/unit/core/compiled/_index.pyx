"""The index of orders of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport (
    accounts,
    hash_tables,
    holders,
    index_check,
    index_records,
    ladders,
    order_index,
    orders,
    paging,
    reports,
    slabs,
    timers,
    users,
)

BYTES = {
    "account": sizeof(accounts.Account), "fill": sizeof(index_records.KeptFill),
    "level": sizeof(ladders.Level), "mark": sizeof(paging.Mark), "order": sizeof(orders.Order), "terms": sizeof(orders.Terms),
    "shelf": sizeof(index_records.Shelf), "traded": sizeof(orders.Traded),
    "user": sizeof(users.User),
}
PIECE = paging.PIECE


cdef class Index:
    """See OrderIndex in hpe/core/trading/order_index.py; orders are named by their ids."""

    cdef slabs.Slab holder_slab
    cdef accounts.Balances balances
    cdef timers.Timers timers
    cdef index_records.OrderIndex index
    cdef slabs.Slab level_slab
    cdef ladders.Ladder[2] sides
    cdef dict numbers

    def __init__(self, int holder_count, int64_t ended_max, int64_t fills_max):
        cdef int64_t[timers.KINDS] bounds
        for kind in range(timers.KINDS):
            bounds[kind] = 1
        slabs.make_slab(&self.holder_slab, sizeof(holders.Holder))
        accounts.make_balances(&self.balances, 7, &self.holder_slab)
        timers.make_timers(&self.timers, 7, bounds)
        if not index_records.make_index(
            &self.index, 7, &self.balances, &self.timers, ended_max, fills_max
        ) or not slabs.reserve(&self.holder_slab, holder_count):
            raise MemoryError
        for _ in range(holder_count):
            slabs.take(&self.holder_slab)
        slabs.make_slab(&self.level_slab, sizeof(ladders.Level))
        for side in range(2):
            ladders.make_ladder(
                &self.sides[side], side + 1, &self.level_slab, &self.index.orders,
                &self.index.terms,
            )
        self.numbers = {}

    def __dealloc__(self):
        index_records.free_index(&self.index)
        slabs.free_slab(&self.level_slab)
        timers.free_timers(&self.timers)
        accounts.free_balances(&self.balances)
        slabs.free_slab(&self.holder_slab)

    cdef orders.Order* at(self, uint32_t number):
        return index_records.order_at(&self.index, number)

    cdef uint32_t user(self, int64_t user):
        return accounts.find_user(&self.balances, user)

    cdef int64_t id_of(self, uint32_t number):
        return self.at(number).order_id if number else 0

    def open_user(self, int64_t user):
        """Begin with a new user."""
        if not accounts.reserve_accounts(&self.balances, 1, 0, 0):
            raise MemoryError
        accounts.open_user(&self.balances, user)

    def accept(self, other, uint32_t holder):
        """Make a record of a reference's order as it is now."""
        if not index_records.reserve_index(&self.index, 1, 0):
            raise MemoryError
        cdef uint32_t number = slabs.take(&self.index.orders)
        cdef orders.Order* order = self.at(number)
        cdef orders.Terms* terms
        order.order_id, order.client_order_id = other.order_id, other.client_order_id
        order.user, order.instrument = self.user(other.user), other.instrument_id
        order.side, order.state, order.holder = other.side, other.state, holder
        order.quantity, order.leaves = other.quantity, other.leaves
        self.numbers[other.order_id] = number
        if other.terms is not None:
            order.terms = slabs.take(&self.index.terms)
            terms = index_records.terms_at(&self.index, order.terms)
            terms.order, terms.budget = number, other.terms.budget
            terms.expires_ns, terms.session_id = other.terms.expires_ns, other.terms.session_id

    def trade(self, int64_t order_id, int64_t quantity):
        """Subtract a fill from an order's leaves."""
        cdef orders.Order* order = self.at(self.numbers[order_id])
        if not slabs.reserve(&self.index.traded, 1):
            raise MemoryError
        orders.trading(&self.index.traded, order).quote_total += quantity
        order.leaves -= quantity
        order.cum += quantity

    def close(self, int64_t order_id):
        """End what remains of an order, before it is told to the index."""
        cdef orders.Order* order = self.at(self.numbers[order_id])
        order.leaves = 0
        order.state = orders.ENDED

    def add(self, int64_t order_id):
        """See order_index.py."""
        order_index.add(&self.index, self.numbers[order_id])

    def end(self, int64_t order_id, bint told):
        """See order_index.py."""
        order_index.end(&self.index, self.numbers.pop(order_id), told)

    def keep(self, int64_t order_id):
        """See order_index.py."""
        order_index.keep(&self.index, self.numbers.pop(order_id))

    def let_go(self, int64_t order_id):
        """Free an order that was never indexed, with the next `free_gone`."""
        order_index.let_go(&self.index, self.numbers.pop(order_id))

    def free_gone(self):
        """Free the orders that ended and are not kept."""
        order_index.free_gone(&self.index)

    def move_end(self, int64_t order_id, int64_t expires_ns):
        """See order_index.py."""
        if not index_records.reserve_index(&self.index, 1, 0):
            raise MemoryError
        order_index.move_end(&self.index, self.numbers[order_id], expires_ns)

    def forget_session(self, int64_t session_id):
        """Make the orders of a session ordinary ones."""
        order_index.forget_session(&self.index, session_id)

    def remember_fill(self, int64_t user, report):
        """See order_index.py."""
        cdef reports.ExecutionReport made
        if not index_records.reserve_index(&self.index, 0, 1):
            raise MemoryError
        memset(&made, 0, sizeof(made))
        made.private_sequence, made.trade_id = report.private_sequence, report.trade_id
        made.fee = report.fee
        order_index.remember_fill(&self.index, self.user(user), &made)

    def find(self, int64_t user, int64_t order_id, int64_t client_order_id):
        """Return the id of an open order, 0 if there is none."""
        return self.id_of(
            order_index.find(&self.index, self.user(user), order_id, client_order_id)
        )

    def find_ended(self, int64_t user, int64_t order_id, int64_t client_order_id):
        """Return the id of a kept ended order, 0 if there is none."""
        return self.id_of(
            order_index.find_ended(&self.index, self.user(user), order_id, client_order_id)
        )

    def open_after(self, int64_t user, int64_t after, int limit):
        """Return the ids of a page of open orders."""
        cdef uint32_t number = index_records.open_after(&self.index, self.user(user), after)
        found = []
        while number and len(found) < limit:
            found.append(self.id_of(number))
            number = index_records.next_open(&self.index, number)
        return found

    def open_of(self, int64_t user, int64_t instrument, int64_t after, int limit):
        """Return the ids of a page of open orders of an instrument."""
        cdef index_records.OpenOf walk = index_records.open_of(
            &self.index, self.user(user), instrument, after
        )
        cdef uint32_t number
        found = []
        while len(found) < limit:
            number = index_records.next_of(&self.index, &walk)
            if number == 0:
                break
            found.append(self.id_of(number))
        return found

    def shelves(self, int64_t user):
        """Return the ids of a user's open orders by instrument and side (2 x instrument + side)."""
        cdef uint32_t of = accounts.user_at(&self.balances, self.user(user)).shelves, number
        cdef const index_records.Shelf* shelf
        found = {}
        while of:
            shelf = index_records.shelf_at(&self.index, of)
            number, ids = shelf.orders.first, []
            while number:
                ids.append(self.id_of(number))
                number = paging.next_row(&self.index.of_market, number)
            found[shelf.market] = ids
            of = shelf.next
        return found

    def of_session(self, int64_t session_id):
        """Return the ids of the orders that a session's lost connection cancels."""
        cdef const index_records.SessionOrders* theirs = order_index.of_session(
            &self.index, session_id
        )
        cdef uint32_t number = theirs.oldest if theirs != NULL else 0
        found = []
        while number:
            found.append(self.id_of(index_records.terms_at(&self.index, number).order))
            number = index_records.terms_at(&self.index, number).newer
        return found

    def ended(self):
        """Return the ids of the kept ended orders, the oldest first."""
        cdef uint32_t number = self.index.oldest_ended
        found = []
        while number:
            found.append(self.id_of(number))
            number = order_index.next_ended(&self.index, number)
        return found

    def fills_after(self, int64_t user, int64_t sequence, int limit):
        """Return (private sequence, trade id, fee) of a page of a user's kept fills."""
        cdef uint32_t number = order_index.fills_after(&self.index, self.user(user), sequence)
        cdef const reports.ExecutionReport* report
        found = []
        while number and len(found) < limit:
            report = &index_records.fill_at(&self.index, number).report
            found.append((report.private_sequence, report.trade_id, report.fee))
            number = order_index.next_fill(&self.index, number)
        return found

    def fills(self):
        """Return (user, trade id) of all kept fills, the oldest first, and each user's bound."""
        cdef uint32_t number = self.index.oldest_fill
        cdef const index_records.KeptFill* fill
        found = []
        while number:
            fill = index_records.fill_at(&self.index, number)
            user = accounts.user_at(&self.balances, fill.user).user
            found.append((user, fill.report.trade_id))
            number = fill.next
        return found

    def fills_forgotten(self, int64_t user):
        """Return the private sequence of a user's newest fill that is no longer kept."""
        return accounts.user_at(&self.balances, self.user(user)).fills_after

    def next_due(self):
        """Return (time, order id, user) and instrument of the first timer, None without."""
        cdef uint32_t number = timers.first_entry(&self.timers, timers.ORDER)
        if number == 0:
            return None
        cdef const timers.TimerEntry* found = timers.entry_at(&self.timers, number)
        return (found.node.first, found.node.second, found.node.third), found.instrument

    def of_holder(self, uint32_t holder):
        """Return how many open orders a holder has."""
        return holders.holder_at(&self.holder_slab, holder).orders

    @property
    def open_count(self):
        """The number of open orders."""
        return self.index.open_count

    @property
    def records(self):
        """How many records of each kind are in use."""
        return {
            "orders": self.index.orders.count, "terms": self.index.terms.count, "traded": self.index.traded.count,
            "shelves": self.index.shelves.count, "sessions": self.index.sessions.count,
            "fills": self.index.fills.count, "marks": self.index.marks.count,
            "timers": self.timers.entry_slab.count,
        }

    def check(self):
        """Return what is wrong, 0 if nothing is."""
        return index_check.check_index(&self.index)

    def open_users(self, int64_t count):
        """Open users 1 to `count`, each with accounts of two assets."""
        if not accounts.reserve_accounts(&self.balances, count, 2 * count, 0):
            raise MemoryError
        for user in range(1, count + 1):
            number = accounts.open_user(&self.balances, user)
            for asset in (1, 2):
                accounts.open_account(&self.balances, number, asset, 1)

    def rest(self, int64_t order_id, int64_t user, int side, int64_t price):
        """Let a plain order of instrument 1 with a client order id rest in its book."""
        if not index_records.reserve_index(&self.index, 1, 0) or not slabs.reserve(
            &self.level_slab, 1
        ):
            raise MemoryError
        cdef uint32_t number = slabs.take(&self.index.orders)
        cdef orders.Order* order = self.at(number)
        order.order_id = order.client_order_id = order_id
        order.user, order.instrument, order.holder = self.user(user), 1, 1
        order.side, order.price, order.state = side, price, orders.RESTS
        order.quantity = order.leaves = 10
        ladders.add(&self.sides[side - 1], number)
        order_index.add(&self.index, number)

    def bytes_held(self):
        """Return the bytes of all records in use, and of the places of all tables."""
        cdef int64_t total = 0
        total += _records(&self.index.orders) + _records(&self.index.terms)
        total += _records(&self.index.traded) + _records(&self.index.shelves)
        total += _records(&self.index.marks) + _records(&self.level_slab)
        total += _records(&self.balances.account_slab) + _records(&self.balances.user_slab)
        total += _places(&self.index.by_id) + _places(&self.index.by_client_id)
        total += _places(&self.index.by_market) + _places(&self.index.by_session)
        total += _places(&self.balances.accounts) + _places(&self.balances.users)
        return total


cdef int64_t _records(const slabs.Slab* slab):
    return slab.record_bytes * slab.count


cdef int64_t _places(const hash_tables.HashTable* table):
    return hash_tables.place_count(table) * sizeof(hash_tables.Place)


cdef struct Row:
    int64_t number
    paging.Links links


cdef class Rising:
    """One list of rows that have nothing but their numbers."""

    cdef slabs.Slab records
    cdef slabs.Slab marks
    cdef paging.Rows rows
    cdef paging.Rising rising
    cdef dict numbers

    def __init__(self):
        slabs.make_slab(&self.records, sizeof(Row))
        slabs.make_slab(&self.marks, sizeof(paging.Mark))
        self.rows = paging.Rows(&self.records, &self.marks, 0)
        memset(&self.rising, 0, sizeof(self.rising))
        self.numbers = {}

    def __dealloc__(self):
        slabs.free_slab(&self.records)
        slabs.free_slab(&self.marks)

    def append(self, int64_t number):
        """Add a row whose number is the highest."""
        if not slabs.reserve(&self.records, 1) or not slabs.reserve(&self.marks, 1):
            raise MemoryError
        cdef uint32_t row = slabs.take(&self.records)
        (<Row*>slabs.record(&self.records, row)).number = number
        self.numbers[number] = row
        paging.append(&self.rising, &self.rows, row)

    def take_out(self, int64_t number):
        """Remove a row."""
        cdef uint32_t row = self.numbers.pop(number)
        paging.take_out(&self.rising, &self.rows, row)
        slabs.give_back(&self.records, row)

    def first_after(self, int64_t number):
        """Return the next number that is there, 0 if there is none."""
        cdef uint32_t row = paging.first_after(&self.rising, &self.rows, number)
        return paging.number_of(&self.rows, row) if row else 0

    def is_marked(self, int64_t number):
        """True if a walk can begin at a row."""
        return bool(paging.is_marked(&self.rows, self.numbers[number]))

    @property
    def mark_count(self):
        """The number of marks."""
        assert self.marks.count == self.rising.marks.count
        return self.marks.count

    def check(self):
        """Return what is wrong, 0 if nothing is."""
        return index_check.check_rising(&self.rising, &self.rows)
