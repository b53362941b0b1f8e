"""Paging: records by rising number, of which a walk can begin anywhere.

The compiled twin of hpe/core/trading/paging.py. A list takes no memory of its own: the links are in
the records, so adding the newest and removing any costs O(1). At most PIECE records after another,
one is marked, and the marks are an ordered tree: finding where a page begins costs O(log n) and a
walk of one piece. A mark costs 56 bytes; while records only come, one in PIECE has one, and what
becomes of them when records go is bounded, because each new mark then also tests older ones. Owned by
the core, used by the thread that runs it; a mark for every new record was reserved before.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport ordered, slabs

cdef enum:
    PIECE = 64
    THINNED = 2  # marks that are tested for each new one

cdef extern from *:
    """
    #define HPE_MARKED 0x80000000u
    """
    const uint32_t MARKED "HPE_MARKED"  # no number of a record is as large


cdef struct Links:
    # The neighbors of a record in a list; `previous` has the bit MARKED if the record is marked.
    uint32_t next
    uint32_t previous


cdef struct Mark:
    # The node's first key is the number of the marked row, `row` its record.
    ordered.Node node
    uint32_t row


cdef struct Rows:
    # Records of one kind, in one of their lists: each begins with its number, 64 bits, and its links
    # in all lists that it may be in; these are at `place` among them.
    slabs.Slab* records
    slabs.Slab* marks
    int place


cdef struct Rising:
    # One list. `since` is the number of rows in its last piece, or more. The next mark to be tested
    # is `tested`, 0 for the first.
    ordered.Tree marks
    uint32_t first
    uint32_t last
    uint32_t count
    uint32_t since
    uint32_t tested


cdef inline int64_t number_of(const Rows* rows, uint32_t row) noexcept nogil:
    """Return the number of a row."""
    return (<const int64_t*>slabs.record(rows.records, row))[0]


cdef inline Links* links_of(const Rows* rows, uint32_t row) noexcept nogil:
    """Return the links of a row."""
    return <Links*>(<int64_t*>slabs.record(rows.records, row) + 1) + rows.place


cdef inline uint32_t next_row(const Rows* rows, uint32_t row) noexcept nogil:
    """Return the row with the next higher number, 0 if there is none."""
    return links_of(rows, row).next


cdef inline uint32_t previous_row(const Rows* rows, uint32_t row) noexcept nogil:
    """Return the row with the next lower number, 0 if there is none."""
    return links_of(rows, row).previous & ~MARKED


cdef inline bint is_marked(const Rows* rows, uint32_t row) noexcept nogil:
    """True if a walk can begin at a row."""
    return (links_of(rows, row).previous & MARKED) != 0


cdef inline Mark* mark_at(const Rows* rows, uint32_t mark) noexcept nogil:
    """Return the mark of a number."""
    return <Mark*>slabs.record(rows.marks, mark)


cdef inline uint32_t first_after(
    const Rising* rising, const Rows* rows, int64_t number
) noexcept nogil:
    """Return the first row with a higher number, 0 if there is none."""
    cdef uint32_t mark = rising.marks.root, row = rising.first
    while mark:
        if mark_at(rows, mark).node.first <= number:
            row = mark_at(rows, mark).row
            mark = mark_at(rows, mark).node.right
        else:
            mark = mark_at(rows, mark).node.left
    while row and number_of(rows, row) <= number:
        row = next_row(rows, row)
    return row


cdef inline void append(Rising* rising, const Rows* rows, uint32_t row) noexcept nogil:
    """Add a row whose number is the highest."""
    cdef Links* links = links_of(rows, row)
    links.next = 0
    links.previous = rising.last
    if rising.last:
        links_of(rows, rising.last).next = row
    else:
        rising.first = row
    rising.last = row
    rising.count += 1
    rising.since += 1
    if rising.since > PIECE:
        _mark(rising, rows, row)


cdef inline void take_out(Rising* rising, const Rows* rows, uint32_t row) noexcept nogil:
    """Remove a row, while its record still has its number."""
    cdef Links* links = links_of(rows, row)
    cdef uint32_t before = links.previous & ~MARKED, after = links.next
    if links.previous & MARKED:
        _move_mark(rising, rows, row)
    if before:
        links_of(rows, before).next = after
    else:
        rising.first = after
    if after:
        links = links_of(rows, after)
        links.previous = before | (links.previous & MARKED)
    else:
        rising.last = before
    rising.count -= 1
    if rising.marks.count == 0:
        rising.since = rising.count


cdef inline void _mark(Rising* rising, const Rows* rows, uint32_t row) noexcept nogil:
    """Mark the last row, which begins a piece."""
    cdef uint32_t number = slabs.take(rows.marks)
    cdef int count
    mark_at(rows, number).row = row
    mark_at(rows, number).node.first = number_of(rows, row)
    ordered.insert(&rising.marks, rows.marks, number)
    links_of(rows, row).previous |= MARKED
    rising.since = 1
    if rising.marks.count * (PIECE // 2) <= rising.count:
        return  # pieces are half full at least: a test would only walk through cold memory
    for count in range(THINNED):
        _thin(rising, rows)


cdef inline void _thin(Rising* rising, const Rows* rows) noexcept nogil:
    """Join two neighboring pieces that have become small, neither of them the last."""
    cdef uint32_t mark = rising.tested if rising.tested else rising.marks.least
    cdef uint32_t second = mark_at(rows, mark).node.next, third, row
    cdef int count = 0
    third = mark_at(rows, second).node.next if second else 0
    if third == 0:
        rising.tested = 0
        return
    row = mark_at(rows, mark).row
    while row != mark_at(rows, third).row and count <= PIECE:
        row = next_row(rows, row)
        count += 1
    if count <= PIECE:
        rising.tested = mark
        _unmark(rising, rows, second)
    else:
        rising.tested = second


cdef inline void _unmark(Rising* rising, const Rows* rows, uint32_t mark) noexcept nogil:
    """Join a piece with the one before it."""
    links_of(rows, mark_at(rows, mark).row).previous &= ~MARKED
    if rising.tested == mark:
        rising.tested = mark_at(rows, mark).node.next
    ordered.take_out(&rising.marks, rows.marks, mark)
    slabs.give_back(rows.marks, mark)


cdef inline void _move_mark(Rising* rising, const Rows* rows, uint32_t row) noexcept nogil:
    """Let a neighbor of the same piece have the mark of a row that goes.

    The last row's mark goes to the one before it: a newest row that comes and goes again and again
    is then not marked each time. The first piece needs no mark.
    """
    cdef uint32_t mark = ordered.find_key(
        &rising.marks, rows.marks, number_of(rows, row), 0, 0
    )
    cdef uint32_t before = previous_row(rows, row), after = next_row(rows, row)
    cdef uint32_t other = after if after else before
    if after == 0:
        rising.since = 1
    if before == 0 or is_marked(rows, other):
        _unmark(rising, rows, mark)
        return
    links_of(rows, row).previous &= ~MARKED
    links_of(rows, other).previous |= MARKED
    mark_at(rows, mark).row = other
    mark_at(rows, mark).node.first = number_of(rows, other)
