"""Sessions and permissions of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from hpe.core.compiled cimport (
    batch_work,
    buffers,
    fields,
    judging,
    ordered,
    permissions,
    refusals,
    room,
    running,
    session,
    slabs,
)
from hpe.core.compiled.taking cimport take_permissions, take_refusals

from hpe.core.compiled.tables import flat_permissions, flat_refusals, flat_tables
from hpe.protocol.base import type_number
from hpe.protocol.registry import COMMANDS, QUERIES

cdef permissions.Permissions table
cdef refusals.Refusals texts
cdef fields.Tables names


messages = {type_number(each): each for each in (*QUERIES, *COMMANDS)}
take_permissions(&table, flat_permissions(messages, flat_tables(messages)))
take_refusals(&texts, flat_refusals())

EXECUTED, NOT_EXECUTED, ASKED = running.EXECUTED, running.NOT_EXECUTED, running.ASKED


def is_command(int kind):
    """See running.pxd."""
    return bool(running.is_command(kind))


def waits_for_batch(int kind, bint full):
    """See running.pxd."""
    cdef batch_work.BatchWork work
    work.full = full
    return bool(running.waits_for_batch(&work, kind))


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
    def bytes_taken(self):
        """How many bytes the cells and the ring take, free ones included."""
        cdef int64_t cells = <int64_t>self.cells.block_count << slabs.BLOCK_SHIFT
        return cells * self.cells.record_bytes + self.own.ring_size * sizeof(uint32_t)

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

    def remember(self, int64_t request_id, int length, uint32_t crc, bytes response):
        """Remember a response, which was reserved."""
        session.remember(
            &self.cells, &self.own, request_id, length, crc, <const uint8_t*>response,
            len(response),
        )

    def recall(self, int64_t request_id, int64_t length, uint32_t crc):
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
            request_id = session.request_id_of(entry)
            entries.append((request_id, entry.length, entry.crc, self._response(entry)))
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


cdef class Answering:
    """A session whose runs are answered; what is executed and asked is answered by the caller."""

    cdef readonly Session session
    cdef batch_work.BatchWork work
    cdef running.Running run
    cdef bytes frames

    def __init__(self, int64_t user, uint32_t window):
        self.session = Session(user, window)
        batch_work.make_work(&self.work, 1)

    def __dealloc__(self):
        batch_work.free_work(&self.work)

    def begin(self, other, bytes frames, int admit):
        """Begin a run of a session with the identity of a reference's."""
        cdef session.Session* own = &self.session.own
        own.session_id, own.role = other.session_id, other.role
        own.user_first, own.user_last = other.user_first, other.user_last
        self.frames = frames
        batch_work.begin_work(&self.work, 1, 1)
        if (
            not batch_work.reserve_runs(&self.work, 1, 0, len(frames))
            or not buffers.make_room(&self.work.replies, 1 << 24)
        ):
            raise MemoryError
        batch_work.replies_to(&self.work, 1, 1, len(frames))
        running.begin_run(&self.run, own, <const uint8_t*>frames, admit)

    def take_frame(self, int64_t start, int64_t end):
        """See running.pxd."""
        running.take_frame(&self.run, start, end)

    def course(self, int kind, values):
        """Return what is done with a request."""
        cdef fields.Request request
        request.kind = kind
        for slot, value in enumerate(values):
            request.values[slot] = value
        return running.course_of(&self.run, &table, &request)

    def executed(self, int64_t request_id, bytes response):
        """Note a command that was executed with this response."""
        cdef int64_t start = self.work.digested.size
        self.session.reserve(1)
        if not batch_work.reserve_command(&self.work, 0, 0):
            raise MemoryError
        buffers.put_bytes(&self.work.digested, <const uint8_t*>response, len(response))
        running.note_executed(&self.run, &self.work, &self.session.cells, request_id, start)

    def fault(self, int code, int64_t request_id, bytes field):
        """Answer what is no request; `field` is the wrong one, b"" for none."""
        cdef judging.Fault fault = judging.Fault(code, fields.NO_ROWS, request_id)
        if field:
            fault.rule = 3
            names.names[3].size = len(field)
            memcpy(names.names[3].text, <const uint8_t*>field, len(field))
        running.answer_fault(&self.run, &self.work, &texts, &names, &fault)

    def other(self, int64_t request_id, int course, bint full):
        """Answer a command that is not executed, or a request that is forbidden."""
        cdef fields.Request request
        request.values[0] = request_id
        self.work.full = full
        running.answer_other(&self.run, &self.work, &texts, &self.session.cells, &request, course)

    def query(self, int64_t request_id, bint full, bytes answer):
        """Answer a query: with this, if it is not refused."""
        if not running.refuses_query(&self.run, &self.work, &texts, request_id, full):
            batch_work.reply(&self.work, <const uint8_t*>answer, len(answer))

    def end(self):
        """Return (replies, highest request id, what is logged, whether the run was intact)."""
        highest_id = running.end_run(&self.run, &self.work)
        replies = bytes(self.work.replies.data[: self.work.replies.size])
        cdef const batch_work.Logged* logged = <const batch_work.Logged*>self.work.logged.data
        groups = []
        while <const uint8_t*>logged < self.work.logged.data + self.work.logged.size:
            groups.append((logged.session_id, logged.user, bytes(logged.frames[: logged.size])))
            logged += 1
        return replies, highest_id, groups, bool(self.run.intact)


cdef class Room:
    """The room of sessions, which are named by their ids."""

    cdef slabs.Slab session_slab
    cdef room.Room own
    cdef dict numbers

    def __init__(self, sizes, uint64_t seed):
        cdef room.RoomSizes given
        given.room, given.key_share, given.large, given.kept = sizes[:4]
        given.small, given.least, given.operators = sizes[4:]
        slabs.make_slab(&self.session_slab, sizeof(session.Session))
        room.make_room_for(&self.own, &given, seed, &self.session_slab)
        self.numbers = {}

    def __dealloc__(self):
        room.free_room(&self.own)
        slabs.free_slab(&self.session_slab)

    def set_keep_ns(self, int64_t keep_ns):
        """Set it, while no detached session is counted."""
        self.own.keep_ns = keep_ns

    def add(self, other, uint32_t count):
        """Count a session with the values of a reference's, which remembers this many."""
        if not slabs.reserve(&self.session_slab, 1) or not room.reserve_room(&self.own, 1):
            raise MemoryError
        cdef uint32_t number = slabs.take(&self.session_slab)
        cdef session.Session* added = room.session_at(&self.own, number)
        added.session_id, added.user, added.key = other.session_id, other.user, other.key
        added.role, added.window, added.count = other.role, other.window, count
        added.attach_number, added.detached_ns = other.attach_number, other.detached_ns
        added.grace_ms = other.grace_ms
        self.numbers[other.session_id] = number
        room.add(&self.own, number)

    def remove(self, session_id):
        """Stop counting a session, and forget it."""
        cdef uint32_t number = self.numbers.pop(session_id)
        room.remove(&self.own, number)
        slabs.give_back(&self.session_slab, number)

    def admit(self, owner, bint operator, int64_t wanted, int64_t kept, int64_t time_ns):
        """Return (room, whose limit refuses, ids of those that gave way); forget these."""
        cdef room.Newcomer newcomer = room.Newcomer(owner[0], owner[1], operator, wanted, kept)
        cdef room.Granted granted = room.admit(&self.own, &newcomer, time_ns)
        cdef uint32_t number = granted.gone, after
        gone = []
        while number:
            gone.append(room.session_at(&self.own, number).session_id)
            after = room.session_at(&self.own, number).next_gone
            slabs.give_back(&self.session_slab, number)
            del self.numbers[gone[len(gone) - 1]]
            number = after
        return granted.room, granted.refused, gone

    def sums(self):
        """Return all sums."""
        return self.own.taken, self.own.large, self.own.operators, self.own.shares.count

    def ranking(self):
        """Return the owners of which a session may give way, the largest first."""
        return self._keys(&self.own.ranking, &self.own.share_slab, 3)

    def young(self):
        """Return when which session may give way."""
        return self._keys(&self.own.young, &self.session_slab, 2)

    def operators_gone(self):
        """Return the detached operators, the one detached longest first."""
        cdef uint32_t number = self.own.operators_gone
        ids = []
        while number:
            ids.append(room.session_at(&self.own, number).session_id)
            number = room.session_at(&self.own, number).next_operator
        return ids

    def share(self, owner):
        """Return (sessions, taken, which may give way, the oldest first) of an owner."""
        cdef room.RoomShare* found = room.share_of(&self.own, owner[0], owner[1])
        if found == NULL:
            return None
        return found.sessions, found.taken, self._keys(&found.gone, &self.session_slab, 2)

    cdef list _keys(self, const ordered.Tree* tree, const slabs.Slab* slab, int size):
        cdef uint32_t number = tree.least
        cdef const ordered.Node* here
        keys = []
        while number:
            here = ordered.node(slab, number)
            keys.append((here.first, here.second, here.third)[:size])
            number = here.next
        return keys
