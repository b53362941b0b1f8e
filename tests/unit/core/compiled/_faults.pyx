"""Faults on purpose: each function has one that the sanitizers must report.

scripts/sanitize calls each in a process of its own, on one thread, and relies on its death. Built
for the sanitizers only; anywhere else it does not compile.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint32_t
from libc.stdlib cimport malloc

from hpe.core.compiled cimport buffers, slabs

cdef extern from *:
    """
    #ifndef __SANITIZE_ADDRESS__
    #error "only for the sanitizers"
    #endif
    """


cdef int64_t* _gone(slabs.Slab* slab, uint32_t* number) except NULL:
    """Take a record and give it back; return where it was."""
    cdef int64_t* record
    slabs.make_slab(slab, sizeof(int64_t))
    if not slabs.reserve(slab, 2):
        raise MemoryError
    number[0] = slabs.take(slab)
    record = <int64_t*>slabs.record(slab, number[0])
    slabs.give_back(slab, number[0])
    return record


def use_after_free():
    """Read a record that was given back, by a pointer that was kept."""
    cdef slabs.Slab slab
    cdef uint32_t number
    return _gone(&slab, &number)[0]


def use_of_a_gone_number():
    """Read a record that was given back, by its number."""
    cdef slabs.Slab slab
    cdef uint32_t number
    _gone(&slab, &number)
    return (<int64_t*>slabs.record(&slab, number))[0]


def taken_without_reserve():
    """Take a record more than was reserved."""
    cdef slabs.Slab slab
    slabs.make_slab(&slab, sizeof(int64_t))
    return slabs.take(&slab)


def overflow_of_a_buffer():
    """Write a byte behind a buffer's memory."""
    cdef buffers.Buffer buffer = buffers.Buffer(NULL, 0, 0)
    if not buffers.make_room(&buffer, 1):
        raise MemoryError
    buffer.size = buffer.capacity
    buffers.put_byte(&buffer, 1)


def overflow_past_the_room():
    """Write a byte more than room was made for."""
    cdef buffers.Buffer buffer = buffers.Buffer(NULL, 0, 0)
    if not buffers.make_room(&buffer, 1):
        raise MemoryError
    buffers.put_byte(&buffer, 1)
    buffers.put_byte(&buffer, 1)


def overflow_of_an_integer():
    """Add 1 to the highest integer of 64 bits."""
    cdef int64_t* number = <int64_t*>malloc(sizeof(int64_t))
    number[0] = INT64_MAX
    number[0] += 1
    return number[0]
