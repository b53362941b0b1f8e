"""Unfinished work of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport (
    books,
    fees,
    instruments,
    ladders,
    orders,
    slabs,
    timers,
    triggers,
    turns,
    work,
)
from hpe.core.compiled.waiting cimport Fired

cdef enum:
    INSTRUMENTS = 8


cdef void chain(slabs.Slab* terms, Fired* fired, uint32_t number) noexcept nogil:
    """Append a stop to those that fired."""
    if fired.tail:
        (<orders.Terms*>slabs.record(terms, fired.tail)).node.next = number
    else:
        fired.head = number
    fired.tail = number
    fired.count += 1


cdef class Turns:
    """See hpe/core/trading/turns.py and work.py; stops are named by their order ids."""

    cdef slabs.Slab order_slab
    cdef slabs.Slab level_slab
    cdef slabs.Slab terms
    cdef timers.Timers timers
    cdef work.WorkSlabs records
    cdef turns.Turns turns
    cdef fees.OwnRatesTable own_rates
    cdef books.Book[INSTRUMENTS] books
    cdef dict live

    def __init__(self):
        cdef int number
        cdef instruments.Instrument instrument
        slabs.make_slab(&self.order_slab, sizeof(orders.Order))
        slabs.make_slab(&self.level_slab, sizeof(ladders.Level))
        slabs.make_slab(&self.terms, sizeof(orders.Terms))
        work.make_work_slabs(&self.records, &self.order_slab, &self.terms)
        turns.make_turns(&self.turns, &self.records)
        fees.make_own_rates(&self.own_rates, 7)
        memset(&instrument, 0, sizeof(instrument))
        for number in range(INSTRUMENTS):
            instrument.instrument_id = number
            books.make_book(
                &self.books[number], &instrument, fees.rates_of(0, 0), &self.own_rates,
                &self.level_slab, &self.order_slab, &self.terms, &self.timers,
            )
        self.live = {}

    def __dealloc__(self):
        turns.free_turns(&self.turns)
        work.free_work_slabs(&self.records)
        slabs.free_slab(&self.terms)
        slabs.free_slab(&self.order_slab)

    cdef work.Work* of(self, int instrument, int firings=0, int prices=0) except NULL:
        if not turns.reserve_turns(&self.turns, 1) or not work.reserve_work(
            &self.records, firings, prices
        ):
            raise MemoryError
        return turns.of(&self.turns, &self.books[instrument])

    def fire(self, int instrument, list prices):
        """Note the prices of trades."""
        cdef work.Work* found = self.of(instrument, 1, len(prices))
        cdef triggers.Firing* added = work.add_firing(found, &self.records)
        for price in prices:
            triggers.add_price(added, price)

    def end_firing(self, int instrument):
        """Remove the first firing."""
        work.end_firing(self.of(instrument), &self.records)

    cdef uint32_t new_stop(self, int64_t order_id, int64_t place, int state) except 0:
        """Make a stop that waits nowhere yet; return the number of its terms."""
        cdef uint32_t number
        cdef orders.Terms* terms
        cdef orders.Order* order
        if not slabs.reserve(&self.terms, 1) or not slabs.reserve(&self.order_slab, 1):
            raise MemoryError
        number = slabs.take(&self.terms)
        self.live[order_id] = number
        terms = <orders.Terms*>slabs.record(&self.terms, number)
        terms.place = place
        terms.order = slabs.take(&self.order_slab)
        order = self.order(order_id)
        order.order_id, order.terms, order.state = order_id, number, state
        return number

    def file(self, int instrument, list rows, bint is_last):
        """Add new stops (first key, place, order id) to the line in the making."""
        cdef Fired fired = Fired(0, 0, 0)
        cdef orders.Terms* terms
        for first, place, order_id in rows:
            number = self.new_stop(order_id, place, orders.WAITING)
            terms = <orders.Terms*>slabs.record(&self.terms, number)
            terms.node.first, terms.node.second = first, place
            chain(&self.terms, &fired, number)
        # The firing that reached these stops had its lines reserved.
        work.file(self.of(instrument), &self.records, &fired, is_last)

    def restore(self, int instrument, order_id, int side, int64_t stop_price, int64_t place, line):
        """Put a new stop into its line."""
        cdef uint32_t number = self.new_stop(order_id, place, orders.QUEUED)
        (<orders.Terms*>slabs.record(&self.terms, number)).stop_price = stop_price
        self.order(order_id).side = side
        work.restore(self.of(instrument, 1), &self.records, number, line)

    cdef orders.Order* order(self, object order_id) except NULL:
        cdef uint32_t number = self.live[order_id]
        return self.order_of(number)

    cdef orders.Order* order_of(self, uint32_t terms) except NULL:
        return <orders.Order*>slabs.record(
            &self.order_slab, (<orders.Terms*>slabs.record(&self.terms, terms)).order
        )

    def first_stop(self, int instrument):
        """Return the order id of the stop whose turn it is."""
        return self.order_of(work.first_stop(self.of(instrument), &self.records)).order_id

    def remove(self, int instrument, order_id):
        """Remove a stop from its line."""
        cdef uint32_t number = self.live[order_id]
        assert self.order(order_id).state == orders.QUEUED
        work.remove_queued(self.of(instrument), &self.records, number)
        slabs.give_back(&self.order_slab, (<orders.Terms*>slabs.record(&self.terms, number)).order)
        slabs.give_back(&self.terms, number)
        del self.live[order_id]

    def interrupt(self, int instrument, bint value):
        """Set whether an interruption ended."""
        self.of(instrument).interrupted = value

    def uncross(self, int instrument, bint value):
        """Set whether an uncross is in progress."""
        self.of(instrument).is_uncrossing = value

    def set_status(self, int instrument, int status):
        """Set the status of an instrument; `review` follows."""
        books.set_status(&self.books[instrument], status)

    def review(self, int instrument):
        """List an instrument or not."""
        turns.review(&self.turns, &self.books[instrument])

    def forget(self, int instrument):
        """Drop the firings."""
        turns.forget(&self.turns, &self.books[instrument])

    def next_served(self):
        """Return the instrument whose turn it is."""
        return turns.work_at(&self.turns, turns.next_served(&self.turns)).node.first

    @property
    def count(self):
        """The number of unfinished instruments."""
        return self.turns.listed.count

    def works(self):
        """Return the instruments with work, and whether each is listed, by the walk over all."""
        cdef uint32_t number = turns.next_work(&self.turns, 0)
        cdef const work.Work* found
        rows = []
        while number:
            found = turns.work_at(&self.turns, number)
            rows.append((found.node.first, bool(found.listed)))
            number = turns.next_work(&self.turns, found.node.first)
        return rows

    def records_used(self):
        """Return the numbers of pieces of firings, of firings and of works in the slabs."""
        return self.records.pieces.count, self.records.firings.count, self.turns.works.count

    def state(self, int instrument):
        """Return (queued, is_open, lines that are not empty, all lines, order of turns, firings)."""
        cdef const work.Work* found = turns.work_of(&self.turns, &self.books[instrument])
        cdef const work.PendingFiring* pending
        cdef uint32_t number
        if found == NULL:
            return None
        firings, number = [], found.first_firing
        while number:
            pending = work.firing_at(&self.records, number)
            firings.append(self.prices(&pending.firing))
            number = pending.next
        turns_of, number = [], work.next_queued(found, &self.records, 0)
        while number:
            turns_of.append(self.order_of(number).order_id)
            number = work.next_queued(found, &self.records, number)
        lines, line_count = self.lines(found)
        assert line_count == found.line_count
        return found.queued, bool(found.is_open), lines, line_count, turns_of, firings

    cdef list prices(self, const triggers.Firing* firing):
        cdef uint32_t number = firing.first
        cdef const triggers.Piece* piece
        prices = []
        while number:
            piece = triggers.piece_at(firing, number)
            for place in range(min(triggers.PIECE_PRICES, firing.count - len(prices))):
                prices.append(piece.prices[<int>place])
            number = piece.next
        assert len(prices) == firing.count
        return prices

    cdef object lines(self, const work.Work* found):
        cdef uint32_t number = found.first_line, stop
        lines, count = [], 0
        while number:
            line, stop = [], work.line_at(&self.records, number).stops.least
            while stop:
                assert (<orders.Terms*>slabs.record(&self.terms, stop)).line == number
                line.append(self.order_of(stop).order_id)
                stop = (<orders.Terms*>slabs.record(&self.terms, stop)).node.next
            if line:
                lines.append(line)
            count += 1
            number = work.line_at(&self.records, number).next
        return lines, count
