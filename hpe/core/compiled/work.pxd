"""The unfinished work of one instrument: stops that fired, an uncross in parts.

The compiled twin of hpe/core/trading/work.py, with its names. Stops that were reached together form
a line, an ordered tree of their terms; the oldest line goes first. Lines and firings are chains.
Owned by the core, used by the thread that runs it; `reserve_work` alone may fail, for the firings
and prices of a whole batch.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport ordered, slabs
from hpe.core.compiled.codes cimport CALL_AUCTION, TRADING
from hpe.core.compiled.orders cimport QUEUED, Order, Terms, stop_sign
from hpe.core.compiled.triggers cimport (
    Firing,
    Piece,
    free_prices,
    make_firing,
    reserve_prices,
)
from hpe.core.compiled.waiting cimport Fired


cdef struct StopLine:
    # Stops that were reached together; `next` is the line after it.
    ordered.Tree stops
    uint32_t next


cdef struct PendingFiring:
    # `next` is the firing after this one.
    Firing firing
    uint32_t next


cdef struct UncrossInProgress:
    # An uncross with more fills than one command may have; `surplus` is as it began.
    int64_t price
    int64_t volume_left
    int64_t surplus
    int next_status


cdef struct WorkSlabs:
    # The records of all instruments' work.
    slabs.Slab* orders
    slabs.Slab* terms
    slabs.Slab lines
    slabs.Slab firings
    slabs.Slab pieces


cdef struct Work:
    # See Work in hpe/core/trading/work.py; `is_uncrossing` while `uncrossing` is there. The node's
    # first key is the instrument: it has turns while it is `listed`. `line_count` includes empty lines.
    ordered.Node node
    UncrossInProgress uncrossing
    int64_t queued
    int64_t line_count
    uint32_t first_line
    uint32_t last_line
    uint32_t first_firing
    uint32_t last_firing
    bint is_open
    bint is_uncrossing
    bint interrupted
    bint listed


cdef inline void make_work_slabs(
    WorkSlabs* records, slabs.Slab* orders, slabs.Slab* terms
) noexcept nogil:
    """Initialize the slabs of lines and firings, over those of all orders and their terms."""
    records.orders = orders
    records.terms = terms
    slabs.make_slab(&records.lines, sizeof(StopLine))
    slabs.make_slab(&records.firings, sizeof(PendingFiring))
    slabs.make_slab(&records.pieces, sizeof(Piece))


cdef inline void free_work_slabs(WorkSlabs* records) noexcept nogil:
    """Free all memory, but not orders and terms."""
    slabs.free_slab(&records.lines)
    slabs.free_slab(&records.firings)
    slabs.free_slab(&records.pieces)


cdef inline bint reserve_work(
    WorkSlabs* records, int64_t firings, int64_t prices
) noexcept nogil:
    """Make sure that so many firings, with so many prices in all, fit; False: no memory.

    Each firing makes up to two lines, also one that is left from before.
    """
    return (
        slabs.reserve(&records.lines, 2 * (records.firings.count + firings))
        and slabs.reserve(&records.firings, firings)
        and reserve_prices(&records.pieces, firings, prices)
    )


cdef inline StopLine* line_at(const WorkSlabs* records, uint32_t number) noexcept nogil:
    """Return the line of a number."""
    return <StopLine*>slabs.record(&records.lines, number)


cdef inline PendingFiring* firing_at(const WorkSlabs* records, uint32_t number) noexcept nogil:
    """Return the firing of a number."""
    return <PendingFiring*>slabs.record(&records.firings, number)


cdef inline bint is_empty(const Work* work) noexcept nogil:
    """True if nothing remains."""
    return not (work.queued or work.first_firing or work.interrupted or work.is_uncrossing)


cdef inline bint goes_on(const Work* work, int status) noexcept nogil:
    """True if something can be done now: while the market is closed, stops wait."""
    if work.is_uncrossing or work.interrupted:
        return True
    return (status == TRADING or status == CALL_AUCTION) and not is_empty(work)


cdef inline Firing* add_firing(Work* work, WorkSlabs* records) noexcept nogil:
    """Append a firing, to which the caller adds the prices."""
    cdef uint32_t number = slabs.take(&records.firings)
    cdef Firing* added = &firing_at(records, number).firing
    make_firing(added, &records.pieces)
    if work.last_firing:
        firing_at(records, work.last_firing).next = number
    else:
        work.first_firing = number
    work.last_firing = number
    return added


cdef inline void end_firing(Work* work, WorkSlabs* records) noexcept nogil:
    """Remove the first firing."""
    cdef uint32_t number = work.first_firing
    cdef PendingFiring* ended = firing_at(records, number)
    work.first_firing = ended.next
    if work.first_firing == 0:
        work.last_firing = 0
    free_prices(&ended.firing)
    slabs.give_back(&records.firings, number)


cdef inline void file(
    Work* work, WorkSlabs* records, const Fired* fired, bint is_last
) noexcept nogil:
    """Add stops of one side to the line in the making; `is_last` completes it."""
    cdef uint32_t number = fired.head, following
    cdef Terms* terms
    if not work.is_open and number:
        _add_line(work, records)
        work.is_open = True
    while number:
        terms = <Terms*>slabs.record(records.terms, number)
        following = terms.node.next
        terms.line = work.last_line
        (<Order*>slabs.record(records.orders, terms.order)).state = QUEUED
        ordered.insert(&line_at(records, terms.line).stops, records.terms, number)
        number = following
    work.queued += fired.count
    work.is_open = work.is_open and not is_last


cdef inline void _add_line(Work* work, WorkSlabs* records) noexcept nogil:
    cdef uint32_t number = slabs.take(&records.lines)
    if work.last_line:
        line_at(records, work.last_line).next = number
    else:
        work.first_line = number
    work.last_line = number
    work.line_count += 1


cdef inline uint32_t first_stop(Work* work, WorkSlabs* records) noexcept nogil:
    """Return the terms of the stop whose turn it is; there must be one."""
    while line_at(records, work.first_line).stops.count == 0:
        _drop_line(work, records)
    return line_at(records, work.first_line).stops.least


cdef inline void _drop_line(Work* work, WorkSlabs* records) noexcept nogil:
    cdef uint32_t number = work.first_line
    work.first_line = line_at(records, number).next
    if work.first_line == 0:
        work.last_line = 0
    work.line_count -= 1
    slabs.give_back(&records.lines, number)


cdef inline void remove_queued(Work* work, WorkSlabs* records, uint32_t number) noexcept nogil:
    """Remove a stop that has its turn, or ended in its line."""
    cdef Terms* terms = <Terms*>slabs.record(records.terms, number)
    ordered.take_out(&line_at(records, terms.line).stops, records.terms, number)
    terms.line = 0
    work.queued -= 1


cdef inline void restore(
    Work* work, WorkSlabs* records, uint32_t number, int64_t line
) noexcept nogil:
    """Put a stop into its line, counted from 1; lower lines must exist, and one be reserved."""
    cdef Terms* terms = <Terms*>slabs.record(records.terms, number)
    cdef const Order* order = <const Order*>slabs.record(records.orders, terms.order)
    if line > work.line_count:
        _add_line(work, records)
    terms.line = work.last_line
    terms.node.first = -terms.stop_price * stop_sign(order.side)
    terms.node.second = terms.place
    terms.node.third = 0
    ordered.insert(&line_at(records, terms.line).stops, records.terms, number)
    work.queued += 1


cdef inline uint32_t next_queued(
    const Work* work, const WorkSlabs* records, uint32_t after
) noexcept nogil:
    """Return the stop whose turn comes after that of another (0: the first), 0 if none does."""
    cdef uint32_t line = work.first_line
    cdef const Terms* terms
    if after:
        terms = <const Terms*>slabs.record(records.terms, after)
        if terms.node.next:
            return terms.node.next
        line = line_at(records, terms.line).next
    while line and line_at(records, line).stops.count == 0:
        line = line_at(records, line).next
    return line_at(records, line).stops.least if line else 0


cdef inline void clear_firings(Work* work, WorkSlabs* records) noexcept nogil:
    """Drop all firings."""
    while work.first_firing:
        end_firing(work, records)


cdef inline void clear_work(Work* work, WorkSlabs* records) noexcept nogil:
    """Drop all firings and lines, whose stops are gone."""
    clear_firings(work, records)
    while work.first_line:
        _drop_line(work, records)
