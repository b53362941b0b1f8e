"""Decoding, encoding and arithmetic of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from hpe.core.compiled cimport buffers, wide
from hpe.core.compiled._c cimport floor_divide, int128
from hpe.core.compiled.fields cimport NO_ROWS, Request, Tables
from hpe.core.compiled.judging cimport Fault, decode_request
from hpe.core.compiled.taking cimport take_tables

from hpe.core.compiled.tables import flat_tables
from hpe.protocol.base import type_number
from hpe.protocol.registry import COMMANDS, INTERNAL, QUERIES

cdef Tables client_tables
cdef Tables logged_tables

CLIENT_TABLES = flat_tables({type_number(each): each for each in (*QUERIES, *COMMANDS)})
LOGGED_TABLES = flat_tables({type_number(each): each for each in (*QUERIES, *COMMANDS, *INTERNAL)})


take_tables(&client_tables, CLIENT_TABLES)
take_tables(&logged_tables, LOGGED_TABLES)


def judged(bytes body, *, bint internal=False):
    """Decode a body as the core does, for tests.

    Args:
        body: one request, without its length prefix.
        internal: True if it may also be one of the service's own.

    Returns:
        (code, request id, wrong field) if it is no request, else (0, type, values, nulls).
    """
    cdef const uint8_t* at = body
    cdef int64_t size = len(body)
    cdef const Tables* tables = &logged_tables if internal else &client_tables
    cdef Request request
    cdef Fault fault
    cdef bint good
    with nogil:
        good = decode_request(tables, at, size, &request, &fault)
    if not good:
        name = b""
        if fault.rule != NO_ROWS:
            name = tables.names[fault.rule].text[: tables.names[fault.rule].size]
        return fault.code, fault.request_id, name.decode()
    values = [request.values[slot] for slot in range(request.size)]
    return 0, request.kind, values, request.nulls


cdef object whole(int128 number):
    """Return a 128-bit integer as Python's."""
    cdef uint64_t low = <uint64_t>number
    cdef int64_t high = <int64_t>floor_divide(number - low, <int128>1 << 64)
    return (<object>high << 64) + low


def checked_notional(int64_t price, int64_t lots, int64_t atoms_per_tick):
    """See wide.py; None for too much."""
    cdef int64_t amount = wide.checked_notional(price, lots, atoms_per_tick)
    return None if amount == wide.TOO_MUCH else amount


def notional(int64_t price, int64_t lots, int64_t atoms_per_tick):
    """See wide.py."""
    return wide.notional(price, lots, atoms_per_tick)


def ticks_of(int64_t price, int64_t lots):
    """See wide.py."""
    return whole(wide.ticks_of(price, lots))


def ticks_paid_by(int64_t amount, int64_t atoms_per_tick):
    """See wide.py."""
    return wide.ticks_paid_by(amount, atoms_per_tick)


def base_atoms(int64_t lots, int64_t atoms_per_lot):
    """See wide.py."""
    return whole(wide.base_atoms(lots, atoms_per_lot))


def worst_fee(int64_t notional, int64_t rate_ppm, int64_t rest):
    """See wide.py."""
    return wide.worst_fee(notional, rate_ppm, rest)


def charge(int64_t notional, int64_t rate_ppm, int64_t rest):
    """See wide.py."""
    cdef int64_t atoms = wide.charge(notional, rate_ppm, &rest)
    return atoms, rest


def band(int64_t reference, int64_t parts_ppm):
    """See wide.py."""
    cdef int64_t lowest, highest
    wide.band(reference, parts_ppm, &lowest, &highest)
    return lowest, highest


def middle(int64_t lowest, int64_t highest):
    """See wide.py."""
    return wide.middle(lowest, highest)


def trail_trigger(int64_t price, int64_t trail, int sign):
    """See wide.py."""
    return wide.trail_trigger(price, trail, sign)


def slices(int64_t lots, int64_t display):
    """See wide.py."""
    return wide.slices(lots, display)


cdef class Budget:
    """See wide.py."""

    cdef wide.Budget budget

    def __init__(self, int64_t amount, int64_t atoms_per_tick, int64_t rate_ppm):
        wide.budget_of(&self.budget, amount, atoms_per_tick, rate_ppm)

    def lots(self, int64_t price):
        """See wide.py."""
        return wide.budget_lots(&self.budget, price)

    def spend(self, int64_t price, int64_t lots):
        """See wide.py."""
        wide.budget_spend(&self.budget, price, lots)

    def is_spent(self, int64_t price):
        """See wide.py."""
        return wide.budget_is_spent(&self.budget, price)


def encoded(value):
    """Return the MessagePack of nil, a bool, an integer, a string, or a list of these."""
    cdef buffers.Buffer buffer = buffers.Buffer(NULL, 0, 0)
    try:
        encode_into(&buffer, value)
        return bytes(buffer.data[: buffer.size])
    finally:
        buffers.free_buffer(&buffer)


cdef int encode_into(buffers.Buffer* buffer, object value) except -1:
    cdef bytes text = value.encode() if isinstance(value, str) else b""
    if not buffers.make_room(buffer, buffers.INTEGER_BYTES_MAX + len(text)):
        raise MemoryError
    if value is None:
        buffers.put_nil(buffer)
    elif isinstance(value, bool):
        buffers.put_bool(buffer, value)
    elif isinstance(value, int):
        buffers.put_integer(buffer, value)
    elif isinstance(value, str):
        buffers.put_text(buffer, text, len(text))
    else:
        buffers.put_array(buffer, len(value))
        for each in value:
            encode_into(buffer, each)
    return 0
