"""Records of the compiled core and what holds them, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport buffers, hash_tables, ladders, ordered, orders, slabs, timers


cdef struct Keyed:
    int64_t first
    int64_t second


cdef class HashTable:
    """A hash table over records that have nothing but their keys."""

    cdef slabs.Slab slab
    cdef hash_tables.HashTable table

    def __init__(self, uint64_t seed):
        slabs.make_slab(&self.slab, sizeof(Keyed))
        hash_tables.make_table(&self.table, seed, &self.slab, hash_tables.begins_with_two)

    def __dealloc__(self):
        hash_tables.free_table(&self.table)
        slabs.free_slab(&self.slab)

    def __len__(self):
        return self.table.count

    @property
    def is_moving(self):
        """True while old places are not all moved."""
        return self.table.old != NULL

    def find(self, int64_t first, int64_t second):
        """Return the number of a record, 0 if no record has this key."""
        return hash_tables.find(&self.table, first, second)

    def add(self, int64_t first, int64_t second):
        """Add a record; return its number."""
        if not slabs.reserve(&self.slab, 1) or not hash_tables.reserve_places(&self.table, 1):
            raise MemoryError
        cdef uint32_t number = slabs.take(&self.slab)
        cdef Keyed* added = <Keyed*>slabs.record(&self.slab, number)
        added.first, added.second = first, second
        hash_tables.add(&self.table, first, second, number)
        return number

    def remove(self, int64_t first, int64_t second):
        """Remove a record that is there."""
        cdef uint32_t number = hash_tables.find(&self.table, first, second)
        hash_tables.remove(&self.table, first, second)
        slabs.give_back(&self.slab, number)


cdef class Tree:
    """An ordered tree of records that have nothing but their nodes."""

    cdef slabs.Slab slab
    cdef ordered.Tree tree

    def __init__(self):
        slabs.make_slab(&self.slab, sizeof(ordered.Node))
        memset(&self.tree, 0, sizeof(ordered.Tree))

    def __dealloc__(self):
        slabs.free_slab(&self.slab)

    def __len__(self):
        return self.tree.count

    def insert(self, int64_t first, int64_t second, int64_t third):
        """Add a key that is not there."""
        if not slabs.reserve(&self.slab, 1):
            raise MemoryError
        cdef uint32_t number = slabs.take(&self.slab)
        cdef ordered.Node* new = ordered.node(&self.slab, number)
        new.first, new.second, new.third = first, second, third
        ordered.insert(&self.tree, &self.slab, number)

    def take_out(self, int64_t first, int64_t second, int64_t third):
        """Remove a key that is there."""
        cdef uint32_t number = ordered.find_key(&self.tree, &self.slab, first, second, third)
        ordered.take_out(&self.tree, &self.slab, number)
        slabs.give_back(&self.slab, number)

    def has(self, int64_t first, int64_t second, int64_t third):
        """True if the key is there."""
        return ordered.find_key(&self.tree, &self.slab, first, second, third) != 0

    def at_or_after(self, int64_t first, int64_t second, int64_t third):
        """Return the first key that is not before this one, None if there is none."""
        return self._key(ordered.at_or_after(&self.tree, &self.slab, first, second, third))

    def count_from(self, int64_t first, int64_t second, int64_t third):
        """Return the number of keys that are not before this one."""
        return ordered.count_from(&self.tree, &self.slab, first, second, third)

    cdef object _key(self, uint32_t number):
        if number == 0:
            return None
        cdef ordered.Node* found = ordered.node(&self.slab, number)
        return found.first, found.second, found.third

    def keys(self):
        """Return all keys from the least on, by the links between neighbors."""
        cdef uint32_t number = self.tree.least
        keys = []
        while number:
            keys.append(self._key(number))
            number = ordered.node(&self.slab, number).next
        return keys

    def keys_backward(self):
        """Return all keys from the greatest on."""
        cdef uint32_t number = self.tree.greatest
        keys = []
        while number:
            keys.append(self._key(number))
            number = ordered.node(&self.slab, number).previous
        return keys

    def check(self):
        """Check that every node knows its height and size, and that no side is deeper by two.

        Returns:
            The number of nodes on the longest way down.
        """
        cdef uint32_t count = 0
        depth = self._check(self.tree.root, &count)
        assert count == self.tree.count
        return depth

    cdef int _check(self, uint32_t number, uint32_t* count) except -1:
        """Add the number of nodes to a count, and return their depth."""
        if number == 0:
            return 0
        cdef ordered.Node* here = ordered.node(&self.slab, number)
        cdef uint32_t before = count[0]
        cdef int left = self._check(here.left, count), right = self._check(here.right, count)
        count[0] += 1
        assert here.size == count[0] - before, (here.first, here.size)
        assert -1 <= left - right <= 1, (here.first, left, right)
        assert here.height == 1 + max(left, right), (here.first, here.height)
        return here.height


cdef void write_down(
    void* watcher, int change, const void* ladder, const orders.Order* order
) noexcept nogil:
    """Record a change as five integers for Python, if there is memory."""
    cdef buffers.Buffer* changes = <buffers.Buffer*>watcher
    cdef int64_t[5] row
    row[0] = change
    row[1] = (<const ladders.Ladder*>ladder).side
    row[2], row[3] = order.order_id, order.price
    row[4] = 0
    if change != ladders.REMOVED:
        row[4] = order.leaves - ladders.hidden_in(<const ladders.Ladder*>ladder, order)
    if buffers.make_room(changes, sizeof(row)):
        buffers.put_bytes(changes, <const uint8_t*>row, sizeof(row))


cdef class Ladder:
    """One side of a book, whose orders are named by their ids."""

    cdef slabs.Slab order_slab
    cdef slabs.Slab level_slab
    cdef slabs.Slab terms_slab
    cdef ladders.Ladder ladder
    cdef buffers.Buffer changed
    cdef dict numbers

    def __init__(self, int side):
        slabs.make_slab(&self.order_slab, sizeof(orders.Order))
        slabs.make_slab(&self.level_slab, sizeof(ladders.Level))
        slabs.make_slab(&self.terms_slab, sizeof(orders.Terms))
        ladders.make_ladder(
            &self.ladder, side, &self.level_slab, &self.order_slab, &self.terms_slab
        )
        self.ladder.notice, self.ladder.watcher = write_down, &self.changed
        self.numbers = {}

    def __dealloc__(self):
        slabs.free_slab(&self.order_slab)
        slabs.free_slab(&self.level_slab)
        slabs.free_slab(&self.terms_slab)
        buffers.free_buffer(&self.changed)

    cdef orders.Order* order(self, int64_t order_id) except NULL:
        return <orders.Order*>slabs.record(&self.order_slab, self.numbers[order_id])

    def add(self, int64_t order_id, int64_t price, int64_t leaves, int64_t display):
        """Append a new order to the queue of its price; display 0: it is no iceberg."""
        if not (
            slabs.reserve(&self.order_slab, 1) and slabs.reserve(&self.level_slab, 1)
            and slabs.reserve(&self.terms_slab, 1)
        ):
            raise MemoryError
        self.numbers[order_id] = slabs.take(&self.order_slab)
        cdef orders.Order* order = self.order(order_id)
        order.order_id, order.price = order_id, price
        order.quantity = leaves
        order.leaves = leaves
        cdef orders.Terms* terms
        if display:
            order.terms = slabs.take(&self.terms_slab)
            terms = <orders.Terms*>slabs.record(&self.terms_slab, order.terms)
            terms.display = display
            orders.show_slice(order, terms)
        ladders.add(&self.ladder, self.numbers[order_id])

    def remove(self, int64_t order_id):
        """Remove an order."""
        cdef uint32_t number = self.numbers[order_id]
        ladders.remove(&self.ladder, number)
        if ladders.order_at(&self.ladder, number).terms:
            slabs.give_back(&self.terms_slab, ladders.order_at(&self.ladder, number).terms)
        slabs.give_back(&self.order_slab, number)
        del self.numbers[order_id]

    def take(self, int64_t order_id, int64_t quantity):
        """Subtract a fill."""
        ladders.take_lots(&self.ladder, self.order(order_id), quantity)

    def reduce(self, int64_t order_id, int64_t leaves):
        """Lower the leaves."""
        ladders.reduce(&self.ladder, self.order(order_id), leaves)

    def refill(self, int64_t order_id):
        """Show an iceberg's next slice: its level may go, and come again."""
        if not slabs.reserve(&self.level_slab, 1):
            raise MemoryError
        ladders.refill(&self.ladder, self.numbers[order_id])

    def count_within(self, int64_t price):
        """Return the number of levels in reach of a limit."""
        return ladders.count_within(&self.ladder, price)

    def crosses(self, int64_t price):
        """True if an opposite order at this limit would trade."""
        return ladders.crosses(&self.ladder, price)

    @property
    def changes(self):
        """The number of visible changes."""
        return self.ladder.changes

    def levels_within(self, int64_t price):
        """Return (price, quantity, hidden, ids and leaves of the queue) of levels in reach."""
        cdef const ladders.Level* level = ladders.best(&self.ladder)
        cdef uint32_t number
        cdef const orders.Order* order
        found = []
        while level != NULL and ladders.reaches(&self.ladder, level, price):
            queue, number = [], level.head
            while number:
                order = ladders.order_at(&self.ladder, number)
                hidden = ladders.hidden_in(&self.ladder, order)
                queue.append((order.order_id, order.leaves, hidden))
                number = order.next
            assert len(queue) == level.count
            here = ladders.price_of(&self.ladder, level)
            found.append((here, level.quantity, level.hidden, queue))
            level = ladders.worse(&self.ladder, level)
        return found

    def taken_changes(self):
        """Return the changes since the last call: (change, side, order id, price, shown)."""
        cdef const int64_t* row = <const int64_t*>self.changed.data
        cdef int64_t count = self.changed.size // (5 * sizeof(int64_t))
        found = [tuple(row[5 * place + column] for column in range(5)) for place in range(count)]
        self.changed.size = 0
        return [each for each in found if each[0]]


def status(int64_t leaves, int64_t cum, int reason, int state):
    """Return the status of an order with these; see orders.py."""
    cdef orders.Order order
    order.leaves, order.cum = leaves, cum
    order.reason, order.state = reason, state
    return orders.status(&order)


def may_move(int before, int after):
    """True if an order may move from one state to another."""
    return bool(orders.may_move(before, after))


cdef class Timers:
    """See hpe/core/timers.py; what it acts on counts against the room."""

    cdef timers.Timers timers

    def __init__(self, acts_max):
        cdef int64_t[timers.KINDS] bounds
        for kind, bound in enumerate(acts_max):
            bounds[kind] = bound
        timers.make_timers(&self.timers, 7, bounds)

    def __dealloc__(self):
        timers.free_timers(&self.timers)

    def add(self, due, int64_t instrument):
        """Add an entry."""
        if not timers.reserve_timers(&self.timers, 1):
            raise MemoryError
        due_ns, kind, first, second = due
        timers.add_timer(&self.timers, kind, due_ns, first, second, instrument)

    def remove(self, due, int64_t instrument):
        """Remove an entry that is there."""
        due_ns, kind, first, second = due
        timers.remove_timer(&self.timers, kind, due_ns, first, second, instrument)

    def begin_body(self, int64_t time_ns):
        """Reset the room of every kind to its bound."""
        timers.begin_body(&self.timers, time_ns)

    def next_to_act(self, int64_t time_ns):
        """Return (due, instrument) of the next entry that acts, or None."""
        cdef uint32_t number = timers.next_to_act(&self.timers, time_ns)
        if number == 0:
            return None
        cdef const timers.TimerEntry* found = timers.entry_at(&self.timers, number)
        due = found.node.first, found.kind, found.node.second, found.node.third
        return due, found.instrument

    def use_room(self, int kind):
        """Use up one place of a kind, as an entry that acts does."""
        self.timers.room[kind] -= 1

    def next_due_ns(self):
        """Return when the earliest entry is due."""
        return timers.next_due_ns(&self.timers)

    def review(self):
        """Find out whether there are dead orders."""
        timers.review(&self.timers)

    @property
    def overdue(self):
        """True if there may be dead orders."""
        return bool(self.timers.overdue)

    def dead_ns(self, int64_t instrument):
        """Return the time up to which orders of an instrument are dead."""
        return timers.dead_ns(&self.timers, instrument)

    def pass_over(self, int64_t instrument):
        """Pass over an instrument."""
        if not timers.reserve_timers(&self.timers, 1):
            raise MemoryError
        timers.pass_over(&self.timers, instrument)

    def take_up(self, int64_t instrument):
        """Stop passing over an instrument."""
        timers.take_up(&self.timers, instrument)

    def is_passed(self, int64_t instrument):
        """True if an instrument is passed over."""
        return bool(timers.is_passed(&self.timers, instrument))
