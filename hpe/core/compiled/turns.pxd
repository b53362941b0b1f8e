"""The turns of instruments that have unfinished work.

The compiled twin of hpe/core/trading/turns.py, with its names. A book names its work by number, 0
for none. Work that can go on and work that has to wait are an ordered tree each, by instrument, so
finding whose turn is next takes no walk. Owned by the core, used by the thread that runs it; a
record of work for each instrument that a batch may leave unfinished was reserved before it.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport ordered, slabs
from hpe.core.compiled.books cimport Book
from hpe.core.compiled.work cimport Work, WorkSlabs, clear_firings, clear_work, goes_on, is_empty


cdef struct Turns:
    # All unfinished work; `last_served` is the instrument that had the last `continue`.
    slabs.Slab works
    ordered.Tree listed
    ordered.Tree waiting
    WorkSlabs* records
    int64_t last_served


cdef inline void make_turns(Turns* turns, WorkSlabs* records) noexcept nogil:
    """Initialize turns without work."""
    slabs.make_slab(&turns.works, sizeof(Work))
    turns.listed = turns.waiting = ordered.Tree(0, 0, 0, 0)
    turns.records = records
    turns.last_served = 0


cdef inline void free_turns(Turns* turns) noexcept nogil:
    """Free all memory, but not the lines and firings of the work."""
    slabs.free_slab(&turns.works)


cdef inline bint reserve_turns(Turns* turns, int64_t more) noexcept nogil:
    """Make sure that so many instruments can become unfinished; False if there is no memory."""
    return slabs.reserve(&turns.works, more)


cdef inline Work* work_at(const Turns* turns, uint32_t number) noexcept nogil:
    """Return the work of a number."""
    return <Work*>slabs.record(&turns.works, number)


cdef inline Work* work_of(const Turns* turns, const Book* book) noexcept nogil:
    """Return an instrument's work, NULL if there is none."""
    return work_at(turns, book.work) if book.work else NULL


cdef inline Work* of(Turns* turns, Book* book) noexcept nogil:
    """Return an instrument's work, created if necessary; `review` removes it if empty."""
    if book.work == 0:
        book.work = slabs.take(&turns.works)
        work_at(turns, book.work).node.first = book.instrument.instrument_id
        ordered.insert(&turns.waiting, &turns.works, book.work)
    return work_at(turns, book.work)


cdef inline ordered.Tree* _tree_of(Turns* turns, const Work* work) noexcept nogil:
    return &turns.listed if work.listed else &turns.waiting


cdef inline void review(Turns* turns, Book* book) noexcept nogil:
    """Add an instrument to the list or remove it, after its work or its status changed."""
    cdef Work* work
    if book.work == 0:
        return
    work = work_at(turns, book.work)
    if goes_on(work, book.status) != work.listed:
        ordered.take_out(_tree_of(turns, work), &turns.works, book.work)
        work.listed = not work.listed
        ordered.insert(_tree_of(turns, work), &turns.works, book.work)
    if is_empty(work):
        ordered.take_out(_tree_of(turns, work), &turns.works, book.work)
        clear_work(work, turns.records)
        slabs.give_back(&turns.works, book.work)
        book.work = 0


cdef inline void forget(Turns* turns, Book* book) noexcept nogil:
    """Drop the remaining work of an instrument without orders: the reached trades are gone."""
    if book.work:
        clear_firings(work_at(turns, book.work), turns.records)
        review(turns, book)


cdef inline uint32_t next_served(Turns* turns) noexcept nogil:
    """Return the next unfinished work after the last that had its turn; there must be one."""
    cdef uint32_t number = ordered.at_or_after(
        &turns.listed, &turns.works, turns.last_served + 1, 0, 0
    )
    if number == 0:
        number = turns.listed.least
    turns.last_served = work_at(turns, number).node.first
    return number


cdef inline uint32_t next_work(const Turns* turns, int64_t after) noexcept nogil:
    """Return the work, unfinished or waiting, of the first instrument above this one, else 0."""
    cdef uint32_t one = ordered.at_or_after(&turns.listed, &turns.works, after + 1, 0, 0)
    cdef uint32_t other = ordered.at_or_after(&turns.waiting, &turns.works, after + 1, 0, 0)
    if one and other:
        return one if work_at(turns, one).node.first < work_at(turns, other).node.first else other
    return one or other
