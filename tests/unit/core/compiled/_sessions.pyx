"""Sessions and permissions of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport buffers, fields, permissions, session, slabs

from hpe.core.compiled.tables import flat_permissions, flat_tables
from hpe.protocol.base import type_number
from hpe.protocol.registry import COMMANDS, QUERIES

cdef permissions.Permissions table


cdef int make_permissions() except -1:
    cdef int role, number
    messages = {type_number(each): each for each in (*QUERIES, *COMMANDS)}
    flat = flat_permissions(messages, flat_tables(messages))
    for (role, number), scope in flat.scopes.items():
        table.scopes[role][number] = scope
    for number, (user, to_user, all_users) in flat.named.items():
        table.named[number].user = user
        table.named[number].to_user = to_user
        table.named[number].all_users = all_users
    return 0


make_permissions()


cdef class Session:
    """A session, with cells of its own."""

    cdef slabs.Slab cells
    cdef session.Session own

    def __init__(self, int64_t user, uint32_t window):
        slabs.make_slab(&self.cells, sizeof(session.Remembered))
        memset(&self.own, 0, sizeof(session.Session))
        self.own.user, self.own.window = user, window

    def __dealloc__(self):
        session.forget_all(&self.cells, &self.own)
        slabs.free_slab(&self.cells)

    @property
    def last_request_id(self):
        """See session.py."""
        return self.own.last_request_id

    @property
    def cell_count(self):
        """How many cells all responses take."""
        return self.cells.count

    @property
    def ring_size(self):
        """How many places the ring has."""
        return self.own.ring_size

    def set_window(self, uint32_t window):
        """Set the window, which is not below what is remembered."""
        self.own.window = window

    def reserve(self, int64_t more):
        """Reserve for this many responses."""
        if (
            not slabs.reserve(&self.cells, more * session.CELLS_MAX)
            or not session.reserve_ring(&self.own, more)
        ):
            raise MemoryError

    def remember(self, int64_t request_id, uint32_t length, uint32_t crc, bytes response):
        """Remember a response, which was reserved."""
        session.remember(
            &self.cells, &self.own, request_id, length, crc, <const uint8_t*>response,
            len(response),
        )

    def recall(self, int64_t request_id, uint32_t length, uint32_t crc):
        """See session.py."""
        cdef const session.Remembered* found
        cdef int code = session.recall(
            &self.cells, &self.own, request_id, length, crc, &found
        )
        return code if code else self._response(found)

    def remembered(self):
        """Return (request id, length, CRC-32, response) of each, oldest first."""
        cdef const session.Remembered* entry
        cdef uint32_t index
        entries = []
        for index in range(self.own.count):
            entry = session.remembered_at(&self.cells, &self.own, index)
            entries.append((entry.request_id, entry.length, entry.crc, self._response(entry)))
        return entries

    cdef bytes _response(self, const session.Remembered* entry):
        cdef buffers.Buffer buffer = buffers.Buffer(NULL, 0, 0)
        if not buffers.make_room(&buffer, session.RESPONSE_BYTES_MAX):
            raise MemoryError
        session.put_response(&buffer, &self.cells, entry)
        try:
            return bytes(buffer.data[: buffer.size])
        finally:
            buffers.free_buffer(&buffer)

    def forget_all(self):
        """Forget every response."""
        session.forget_all(&self.cells, &self.own)

    def may(self, int role, int64_t user_first, int64_t user_last, int kind, values):
        """True if it may send a request of this type and these values."""
        cdef fields.Request request
        cdef int slot
        memset(&request, 0, sizeof(request))
        request.kind, request.size = kind, len(values)
        for slot, value in enumerate(values):
            request.values[slot] = value
        self.own.role = role
        self.own.user_first, self.own.user_last = user_first, user_last
        return session.may(&self.own, &table, &request)
