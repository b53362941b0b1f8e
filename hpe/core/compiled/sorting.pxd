"""Sorting by a number: of what one batch put out, by connection or by user, and of orders by id.

Pure functions over rows that the caller keeps; any thread may call them. Nothing is allocated, and
no order of the input makes it slow. The reference sorts lists.
"""

from libc.stdint cimport int64_t


cdef struct Ranked:
    # What is sorted by, and where the thing itself stands: equal keys keep the order of places.
    int64_t key
    int64_t place


cdef inline void sort_ranked(Ranked* rows, int64_t count) noexcept nogil:
    """Sort in place, by a heap; rows that are sorted cost one look at each."""
    cdef Ranked last
    if is_sorted(rows, count):
        return
    make_heap(rows, count)
    while count > 1:
        count -= 1
        last = rows[count]
        rows[count] = rows[0]
        rows[0] = last
        sink(rows, 0, count)


cdef inline void make_heap(Ranked* rows, int64_t count) noexcept nogil:
    """Make a heap of rows in any order: the last in order stands first."""
    cdef int64_t place = count // 2
    while place > 0:
        place -= 1
        sink(rows, place, count)


cdef inline bint is_sorted(const Ranked* rows, int64_t count) noexcept nogil:
    """True if no row is after its next one."""
    cdef int64_t place
    for place in range(1, count):
        if _is_after(&rows[place - 1], &rows[place]):
            return False
    return True


cdef inline bint _is_after(const Ranked* one, const Ranked* other) noexcept nogil:
    return one.key > other.key or (one.key == other.key and one.place > other.place)


cdef inline void sink(Ranked* rows, int64_t place, int64_t count) noexcept nogil:
    """Let what stands at a place of the heap sink to where it belongs."""
    cdef Ranked sinking = rows[place]
    cdef int64_t below = 2 * place + 1
    while below < count:
        if below + 1 < count and _is_after(&rows[below + 1], &rows[below]):
            below += 1
        if not _is_after(&rows[below], &sinking):
            break
        rows[place] = rows[below]
        place = below
        below = 2 * place + 1
    rows[place] = sinking
