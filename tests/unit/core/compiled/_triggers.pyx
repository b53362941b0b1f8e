"""Waiting stops of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport ordered, orders, slabs, triggers, waiting


cdef orders.Order stop_of(int side, uint32_t terms) noexcept nogil:
    """Return a stop of a side with these terms; triggers look at nothing else."""
    cdef orders.Order order
    memset(&order, 0, sizeof(order))
    order.side, order.terms = side, terms
    return order


cdef class Triggers:
    """See hpe/core/trading/triggers.py; stops are named by their order ids."""

    cdef slabs.Slab terms
    cdef slabs.Slab pieces
    cdef waiting.TriggerSlabs records
    cdef triggers.Triggers triggers
    cdef dict live

    def __init__(self):
        slabs.make_slab(&self.terms, sizeof(orders.Terms))
        slabs.make_slab(&self.pieces, sizeof(triggers.Piece))
        waiting.make_trigger_slabs(&self.records, &self.terms)
        triggers.make_triggers(&self.triggers, &self.records)
        self.live = {}

    def __dealloc__(self):
        waiting.free_trigger_slabs(&self.records)
        slabs.free_slab(&self.pieces)
        slabs.free_slab(&self.terms)

    cdef orders.Order order(self, uint32_t order_id):
        side, number = self.live[order_id]
        return stop_of(side, number)

    def add(self, uint32_t order_id, int side, int64_t stop_price, int64_t trail, int64_t place):
        """Add a new stop."""
        if not slabs.reserve(&self.terms, 1) or not waiting.reserve_triggers(&self.records, 1):
            raise MemoryError
        cdef uint32_t number = slabs.take(&self.terms)
        cdef orders.Terms* terms = <orders.Terms*>slabs.record(&self.terms, number)
        cdef orders.Order order
        terms.stop_price, terms.trail, terms.place = stop_price, trail, place
        terms.order = order_id
        self.live[order_id] = side, number
        order = self.order(order_id)
        triggers.add(&self.triggers, &order)

    def remove(self, uint32_t order_id):
        """Remove a waiting stop; return the price at which it would have fired."""
        cdef orders.Order order = self.order(order_id)
        triggers.remove(&self.triggers, &order)
        return self._end(order_id)

    cdef int64_t _end(self, uint32_t order_id) except? -1:
        cdef uint32_t number = self.live.pop(order_id)[1]
        cdef orders.Terms* terms = <orders.Terms*>slabs.record(&self.terms, number)
        cdef int64_t price = terms.stop_price
        assert terms.group == 0
        slabs.give_back(&self.terms, number)
        return price

    def is_quiet(self, int64_t price):
        """True if a trade at this price neither fires nor moves a stop."""
        return bool(triggers.is_quiet(&self.triggers, price))

    def advance(self, int64_t price):
        """Let trailing stops follow a trade; return how many changed their group."""
        return triggers.advance(&self.triggers, price)

    def take(self, list prices, int side, int64_t index, int64_t room):
        """Remove what was reached.

        Returns:
            (rows of what fired with the price of each trigger, stops moved, next side and index)
        """
        cdef triggers.Firing firing
        cdef waiting.Fired fired = waiting.Fired(0, 0, 0)
        if not triggers.reserve_prices(&self.pieces, 1, len(prices)):
            raise MemoryError
        triggers.make_firing(&firing, &self.pieces)
        for price in prices:
            triggers.add_price(&firing, price)
        triggers.go_to(&firing, side, index)
        moved = triggers.take(&self.triggers, &firing, room, &fired)
        after = firing.side, firing.index
        assert triggers.is_done(&firing) == (firing.side == 2)
        triggers.free_prices(&firing)
        assert self.pieces.count == 0
        cdef uint32_t number = fired.head
        cdef orders.Terms* terms
        rows = []
        while number:
            terms = <orders.Terms*>slabs.record(&self.terms, number)
            assert terms.node.next or number == fired.tail
            number = terms.node.next
            row = terms.node.first, terms.node.second, terms.order
            rows.append((*row, self._end(row[2])))
        assert len(rows) == fired.count
        return rows, moved, *after

    @property
    def count(self):
        """The number of waiting stops."""
        return self.triggers.count

    def bounds(self, int side):
        """Return the ranks between which a trade does nothing to a side."""
        cdef const waiting.WaitingSide* found = triggers.side_of(&self.triggers, side)
        return found.quiet_low, found.quiet_high

    def fixed(self, int side):
        """Return (negated rank, place, order id) of all fixed stops of a side."""
        cdef waiting.WaitingSide* found = triggers.side_of(&self.triggers, side)
        return self._rows(&found.fixed)

    cdef list _rows(self, const ordered.Tree* tree):
        cdef uint32_t number = tree.least
        cdef const orders.Terms* terms
        rows = []
        while number:
            terms = <orders.Terms*>slabs.record(&self.terms, number)
            rows.append((terms.node.first, terms.node.second, terms.order))
            number = terms.node.next
        assert len(rows) == tree.count
        return rows

    def groups(self, int side):
        """Return (peak, rows) of all groups of a side, with descending peaks."""
        cdef waiting.WaitingSide* found = triggers.side_of(&self.triggers, side)
        cdef uint32_t number = found.trails.least
        cdef const waiting.Trail* group
        groups = []
        while number:
            group = waiting.group_at(found, number)
            assert group.node.first == -group.peak
            assert group.is_filed == (number != found.trails.greatest)
            groups.append((group.peak, self._rows(&group.stops)))
            number = group.node.next
        return groups

    def firsts(self, int side):
        """Return the first triggers of all groups but the last: (negated rank, place, peak)."""
        cdef waiting.WaitingSide* found = triggers.side_of(&self.triggers, side)
        cdef uint32_t number = found.firsts.least
        cdef const waiting.First* first
        firsts = []
        while number:
            first = waiting.first_at(found, number)
            firsts.append((first.node.first, first.node.second, first.node.third))
            number = first.node.next
        return firsts

    def triggers_of(self):
        """Return the trigger of every waiting stop, by order id."""
        cdef orders.Order order
        found = {}
        for order_id in self.live:
            order = self.order(order_id)
            found[order_id] = waiting.trigger_of(&self.records, &order)
        return found

    @property
    def records_used(self):
        """The numbers of groups and of their first triggers in the slabs."""
        return self.records.trails.count, self.records.firsts.count
