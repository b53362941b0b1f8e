"""From the rows of a dump back to sessions and valid keys.

The compiled twin of the part of hpe/core/state/loading.py about sessions, with its names; it is used
as loading.pxd is, with the same rows. A row that cannot be raises ValueError, or OverflowError, with
what is wrong; whatever is raised, the sessions cannot be used any more. Everything here holds the
interpreter's lock. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport uint8_t, uint32_t

from hpe.core.compiled cimport slabs
from hpe.core.compiled.keys cimport allow_key, reserve_keys
from hpe.core.compiled.loading_orders cimport has_memory
from hpe.core.compiled.registry cimport (
    Sessions,
    attached,
    count_restored,
    find_revoked,
    get,
    next_session,
    reserve_attachments,
    reserve_times,
    restore,
    session_at,
    set_times,
)
from hpe.core.compiled.session cimport (
    CELLS_MAX,
    RESPONSE_BYTES_MAX,
    Session,
    remember,
    remembered_at,
    request_id_of,
    reserve_ring,
)
from hpe.core.compiled.state_rows cimport (
    ROW_HEAD,
    ROW_KEY,
    ROW_RESPONSE,
    ROW_SESSION,
    ROW_SETTINGS,
)


cdef inline int load_session_row(Sessions* sessions, row) except -1:
    """Load a row, as far as it is about sessions."""
    cdef int kind = row.__struct_config__.tag
    if kind == ROW_HEAD:
        sessions.last_session_id = row.last_session_id
        sessions.last_attach_number = row.last_attach_number
        sessions.valid_keys.known = row.keys_known
    elif kind == ROW_SETTINGS:
        has_memory(reserve_times(sessions))
        set_times(sessions, row.session_expiry_ns, row.session_keep_ns)
    elif kind == ROW_KEY:
        _load_key(sessions, row)
    elif kind == ROW_SESSION:
        _load_session(sessions, row)
    elif kind == ROW_RESPONSE:
        _load_response(sessions, row)
    return 0


cdef inline int _load_key(Sessions* sessions, row) except -1:
    if not sessions.valid_keys.known:
        raise ValueError("is a valid key, but the first says that none is known")
    has_memory(reserve_keys(&sessions.valid_keys, 1))
    allow_key(&sessions.valid_keys, row.number, row.role)
    return 0


cdef inline int _load_session(Sessions* sessions, row) except -1:
    cdef uint32_t number
    cdef Session* session
    has_memory(reserve_attachments(sessions, 1))
    number = slabs.take(&sessions.session_slab)
    session = session_at(sessions, number)
    session.session_id, session.user, session.window = row.session_id, row.user, row.window
    session.role, session.flags, session.grace_ms = row.role, row.flags, row.grace_ms
    session.user_first, session.user_last = row.user_first, row.user_last
    session.key, session.last_request_id = row.key, row.last_request_id
    session.attach_number, session.detached_ns = row.attach_number, row.detached_ns
    restore(sessions, number)
    return 0


cdef inline int _load_response(Sessions* sessions, row) except -1:
    cdef uint32_t number = get(sessions, row.session_id)
    cdef bytes response = row.response
    cdef Session* session
    if number == 0:
        raise ValueError(f"names session {row.session_id}, of which no row came before")
    session = session_at(sessions, number)
    if session.count >= session.window:
        raise ValueError(f"is beyond the window of session {row.session_id}")
    if len(response) > RESPONSE_BYTES_MAX:
        raise ValueError(f"has a response of {len(response)} bytes")
    has_memory(reserve_ring(session, 1) and slabs.reserve(&sessions.cells, CELLS_MAX))
    remember(
        &sessions.cells, session, session.last_request_id, row.length, row.crc,
        <const uint8_t*>response, <uint32_t>len(response),
    )
    if request_id_of(remembered_at(&sessions.cells, session, session.count - 1)) != row.request_id:
        raise ValueError(f"has the response to another request than {row.request_id}")
    return 0


cdef inline int finish_sessions(Sessions* sessions) except -1:
    """Complete what needs all rows: attachments, room, timers, and which are to be closed."""
    cdef uint32_t number = next_session(sessions, 0)
    cdef const Session* session
    while number:
        session = session_at(sessions, number)
        if session.attach_number and attached(sessions, session.attach_number):
            raise ValueError(f"ends, but two sessions have connection {session.attach_number}")
        has_memory(reserve_attachments(sessions, 1))
        count_restored(sessions, number)
        number = next_session(sessions, number)
    find_revoked(sessions)
    return 0
