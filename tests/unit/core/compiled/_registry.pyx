"""All sessions of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from hpe.core.compiled cimport (
    answers,
    buffers,
    context,
    effort,
    fields,
    internal,
    keys,
    loading_sessions,
    origins,
    registry,
    room,
    session,
    session_check,
    session_rows,
    slabs,
    timers,
)
from hpe.core.compiled.codes cimport (
    TYPE_KEYS_VALID,
    TYPE_SESSION_ATTACHED,
    TYPE_SESSION_CLOSED,
    TYPE_SESSION_DETACHED,
)


cdef class Sessions:
    """All sessions, with timers of their own."""

    cdef timers.Timers waiting
    cdef registry.Sessions own
    cdef effort.Effort effort

    def __init__(self, sizes, uint64_t seed, acts_max):
        cdef room.RoomSizes given
        cdef int64_t[timers.KINDS] bounds
        cdef int kind
        given.room, given.key_share, given.large, given.kept = sizes[:4]
        given.small, given.least, given.operators = sizes[4:]
        for kind in range(timers.KINDS):
            bounds[kind] = acts_max[kind]
        timers.make_timers(&self.waiting, seed, bounds)
        registry.make_sessions(&self.own, &given, seed, &self.waiting)
        effort.make_effort(&self.effort, seed)

    def __dealloc__(self):
        effort.free_effort(&self.effort)
        registry.free_sessions(&self.own)
        timers.free_timers(&self.waiting)

    def attach(self, command, int64_t time_ns):
        """Return (session id, window, error, limit)."""
        cdef registry.Attachment given
        cdef registry.Attached answer
        if not registry.reserve_attachments(&self.own, 1):
            raise MemoryError
        given.attach_number, given.session_id = command.request_id, command.session_id
        given.user, given.window, given.role = command.user, command.window, command.role
        given.user_first, given.user_last = command.user_first, command.user_last
        given.flags, given.grace_ms, given.key = command.flags, command.grace_ms, command.key
        answer = registry.attach(&self.own, &given, time_ns)
        if answer.number == 0:
            return 0, 0, answer.error, answer.limit
        attached = registry.session_at(&self.own, answer.number)
        return attached.session_id, attached.window, answer.error, answer.limit

    def detach(self, int64_t session_id, int64_t attach_number, int64_t time_ns):
        """Return the grace of the session's orders, -1 if the attachment is not current."""
        if not registry.reserve_attachments(&self.own, 1):
            raise MemoryError
        return registry.detach(&self.own, session_id, attach_number, time_ns)

    def close(self, int64_t session_id, int64_t attach_number):
        """See registry.py."""
        return registry.close(&self.own, session_id, attach_number)

    def remember(self, int64_t session_id, int64_t request_id, int length, uint32_t crc, bytes response):
        """Let a session remember a response."""
        cdef session.Session* ours = registry.session_at(
            &self.own, registry.get(&self.own, session_id)
        )
        if (
            not slabs.reserve(&self.own.cells, session.CELLS_MAX)
            or not session.reserve_ring(ours, 1)
        ):
            raise MemoryError
        session.remember(
            &self.own.cells, ours, request_id, length, crc, <const uint8_t*>response,
            len(response),
        )

    def set_times(self, int64_t expiry_ns, int64_t keep_ns):
        """See registry.py."""
        if not registry.reserve_times(&self.own):
            raise MemoryError
        registry.set_times(&self.own, expiry_ns, keep_ns)

    def set_keys(self, pairs):
        """Set the valid keys, given as (number, role)."""
        if not keys.reserve_keys(&self.own.valid_keys, len(pairs)):
            raise MemoryError
        keys.forget_keys(&self.own.valid_keys)
        for number, role in pairs:
            keys.allow_key(&self.own.valid_keys, number, role)
        registry.find_revoked(&self.own)

    def keys_differ(self, wanted):
        """True if other keys than these, with their roles by number, are valid so far."""
        return keys.keys_differ(&self.own.valid_keys, wanted)

    def revoke_first(self):
        """Forget the first session whose key was revoked; return its id, 0 if there is none."""
        cdef uint32_t number = self.own.lists[session.REVOKED_SESSIONS].first
        if number == 0:
            return 0
        session_id = registry.session_at(&self.own, number).session_id
        registry.revoke(&self.own, number)
        return session_id

    def expire(self, int64_t time_ns):
        """Forget the sessions whose time has come, within the bound; return their ids."""
        cdef uint32_t number
        gone = []
        timers.begin_body(&self.waiting, time_ns)
        while True:
            number = timers.next_to_act(&self.waiting, time_ns)
            if number == 0:
                return gone
            self.waiting.room[<int>timers.SESSION] -= 1
            gone.append(timers.entry_at(&self.waiting, number).node.second)
            registry.expire(&self.own, gone[len(gone) - 1])

    def load(self, rows):
        """Forget all sessions, and load those of the rows of a dump."""
        cdef room.RoomSizes sizes = self.own.room.sizes
        cdef int64_t[timers.KINDS] bounds
        cdef int kind
        for kind in range(timers.KINDS):
            bounds[kind] = self.waiting.acts_max[kind]
        registry.free_sessions(&self.own)
        timers.free_timers(&self.waiting)
        timers.make_timers(&self.waiting, 1, bounds)
        registry.make_sessions(&self.own, &sizes, 1, &self.waiting)
        for row in rows:
            loading_sessions.load_session_row(&self.own, row)
        loading_sessions.finish_sessions(&self.own)

    def check(self):
        """Return what is wrong, 0 for nothing."""
        return session_check.check(&self.own)

    def attached(self, int64_t attach_number):
        """Return the id of the session that an attachment holds, 0 for none."""
        cdef uint32_t number = registry.attached(&self.own, attach_number)
        return registry.session_at(&self.own, number).session_id if number else 0

    def last_ids(self):
        """Return the newest session id and attach number."""
        return self.own.last_session_id, self.own.last_attach_number

    def rows(self):
        """Return the rows of the state about sessions."""
        cdef uint32_t number = registry.next_session(&self.own, 0)
        found = session_rows.key_rows(&self.own.valid_keys)
        remembered = []
        while number:
            ours = registry.session_at(&self.own, number)
            found.append(session_rows.session_row(ours))
            remembered += session_rows.response_rows(&self.own, ours)
            number = registry.next_session(&self.own, number)
        return found + remembered

    def revoked(self):
        """Return the ids of sessions to be closed."""
        cdef uint32_t number = self.own.lists[session.REVOKED_SESSIONS].first
        ids = []
        while number:
            ids.append(registry.session_at(&self.own, number).session_id)
            number = registry.session_at(&self.own, number).links[session.REVOKED_SESSIONS].next
        return ids

    def timers(self):
        """Return (due time, session id) of every timer."""
        cdef uint32_t number = timers.first_entry(&self.waiting, timers.SESSION)
        due = []
        while number:
            due.append((
                timers.entry_at(&self.waiting, number).node.first,
                timers.entry_at(&self.waiting, number).node.second,
            ))
            number = timers.entry_at(&self.waiting, number).node.next
        return due

    def sums(self):
        """Return the sums over all sessions, and how many owners and cells there are."""
        room_ = &self.own.room
        return (
            room_.taken, room_.large, room_.operators, room_.shares.count, self.own.cells.count,
        )

    def origin(self, int64_t session_id, uint32_t holder):
        """Return a context of a session's commands, of the service's own for 0."""
        cdef context.Context found
        if session_id:
            origins.set_origin(
                &found, registry.session_at(&self.own, registry.get(&self.own, session_id)), holder
            )
        else:
            origins.set_service_origin(&found, holder)
        return (
            found.user, found.session_id, found.holder, bool(found.operator),
            bool(found.cancel_on_disconnect),
        )

    def execute(
        self, int kind, values, bytes body, int64_t sequence, int64_t time_ns,
        int64_t private_sequence
    ):
        """Execute an internal command; return (response, fate of the orders of which session)."""
        cdef fields.Request request
        cdef answers.Response response
        cdef context.Context given
        cdef internal.Outcome outcome = internal.Outcome(internal.FATE_NONE, 0, 0)
        request.kind = kind
        for slot, value in enumerate(values):
            request.values[slot] = value
        given.sequence, given.time_ns = sequence, time_ns
        if not registry.reserve_attachments(&self.own, 1):
            raise MemoryError
        if kind == TYPE_SESSION_ATTACHED:
            outcome = internal.session_attached(
                &self.own, &given, &request, private_sequence, &response
            )
        elif kind == TYPE_SESSION_DETACHED:
            outcome = internal.session_detached(&self.own, &given, &request, &response)
        elif kind == TYPE_SESSION_CLOSED:
            outcome = internal.session_closed(&self.own, &given, &request, &response)
        elif kind == TYPE_KEYS_VALID:
            if not keys.reserve_keys(&self.own.valid_keys, internal.key_count(&request)):
                raise MemoryError
            internal.keys_valid(
                &self.own, &given, <const uint8_t*>body, len(body), &request, &response
            )
        else:
            internal.acknowledge(&response, &given, &request)
        return self._encoded(&response), (outcome.fate, outcome.session_id, outcome.grace_ns)

    cdef bytes _encoded(self, const answers.Response* response):
        cdef buffers.Buffer buffer = buffers.Buffer(NULL, 0, 0)
        if not buffers.make_room(&buffer, session.RESPONSE_BYTES_MAX):
            raise MemoryError
        answers.encode_response(&buffer, response)
        try:
            return bytes(buffer.data[: buffer.size])
        finally:
            buffers.free_buffer(&buffer)

    def close_revoked(self):
        """See internal.pxd; return the fate of the orders of which session."""
        cdef internal.Outcome outcome = internal.close_revoked(&self.own, &self.effort)
        return outcome.fate, outcome.session_id, outcome.grace_ns

    @property
    def spent(self):
        """The effort of commands."""
        return self.effort.spent

    def damage(self, name, int64_t session_id):
        """Make one session or the room wrong."""
        cdef uint32_t number = registry.get(&self.own, session_id)
        cdef session.Session* ours = registry.session_at(&self.own, number)
        cdef room.RoomShare* share = room.share_of_session(&self.own.room, ours)
        if name == "id":
            self.own.last_session_id = 0
        elif name == "responses":
            ours.last_request_id += 1
        elif name == "window":
            ours.window = 0
        elif name == "attachment":
            ours.attach_number += 1
        elif name == "timer":
            ours.detached_ns += 1
        elif name == "revocation":
            ours.is_revoked = True
        elif name == "room":
            self.own.room.taken += 1
        elif name == "share":
            share.taken += 1
        elif name == "rank":
            share.ranked = not share.ranked
        else:
            raise AssertionError(name)
