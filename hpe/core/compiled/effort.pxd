"""Effort: the one meter of what a batch has done, and what is charged for it.

The compiled twin of hpe/core/context/effort.py, with its names; the charges are a rule of the
exchange. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t

cdef enum Charge:
    FILL = 1
    REACHED = 1
    LEVEL = 1
    ROW = 1
    CLEARING = 8
    PASSED_PER_ROW = 8


cdef inline int64_t clearing_effort(int64_t levels) noexcept nogil:
    """Return the cost of computing the price of a call in which this many levels cross."""
    return CLEARING * levels


cdef inline int64_t rows_passed(int64_t orders) noexcept nogil:
    """Return the cost of this many orders that a search for dead ones passes."""
    return orders // PASSED_PER_ROW


cdef struct Effort:
    # `spent` by commands and timers in the current batch.
    int64_t spent


cdef inline void begin(Effort* effort) noexcept nogil:
    """Begin a batch."""
    effort.spent = 0


cdef inline void charge(Effort* effort, int64_t each, int64_t count) noexcept nogil:
    """Charge commands or timers for `count` things at `each`."""
    effort.spent += each * count
