"""Internal commands that concern sessions: connections that take and leave them, keys, time.

The compiled twin of hpe/core/internal.py, as far as sessions go: what has to happen to their orders
is returned, and is done by the caller at once, before anything else. Owned by the core, used by the
thread that runs it. What may fail was reserved: `reserve_attachments` for commands that attach or
detach (registry.pxd), `reserve_keys` for the keys of `keys_valid` (keys.pxd).
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled.answers cimport Response, SessionAttachedResponse, begin_response
from hpe.core.compiled.codes cimport (
    LOGOUT_KEEP_ORDERS,
    ROLE_MARKET_DATA,
    TYPE_SESSION_ATTACHED,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.effort cimport REVOKED, Effort, charge
from hpe.core.compiled.fields cimport Request
from hpe.core.compiled.keys cimport allow_key, forget_keys
from hpe.core.compiled.registry cimport (
    NOT_CURRENT,
    Attached,
    Attachment,
    Sessions,
    attach,
    close,
    detach,
    find_revoked,
    revoke,
    session_at,
)
from hpe.core.compiled.requests cimport (
    KEYS_VALID_KEYS,
    SESSION_ATTACHED_FLAGS,
    SESSION_ATTACHED_GRACE_MS,
    SESSION_ATTACHED_KEY,
    SESSION_ATTACHED_REQUEST_ID,
    SESSION_ATTACHED_ROLE,
    SESSION_ATTACHED_SESSION_ID,
    SESSION_ATTACHED_USER,
    SESSION_ATTACHED_USER_FIRST,
    SESSION_ATTACHED_USER_LAST,
    SESSION_ATTACHED_WINDOW,
    SESSION_CLOSED_ATTACH_NUMBER,
    SESSION_CLOSED_FLAGS,
    SESSION_CLOSED_SESSION_ID,
    SESSION_DETACHED_ATTACH_NUMBER,
    SESSION_DETACHED_SESSION_ID,
)
from hpe.core.compiled.session cimport REVOKED_SESSIONS, Session
from hpe.core.compiled.wellformed cimport Value, read_value

cdef enum Fate:
    # What has to happen to a session's orders, in words of disconnects.py: FATE_REVOKED is `back`
    # and then `lost` without grace.
    FATE_NONE = 0
    FATE_BACK = 1
    FATE_LOST = 2
    FATE_LEFT_FOR_GOOD = 3
    FATE_REVOKED = 4


cdef struct Outcome:
    # What has to happen to the orders of which session.
    int fate
    int64_t session_id
    int64_t grace_ns


cdef inline void acknowledge(
    Response* response, const Context* context, const Request* request
) noexcept nogil:
    """Set the response of an internal command that has no result of its own."""
    begin_response(response, request.kind, request.values[0], context.sequence, 0, 0)


cdef inline Outcome session_attached(
    Sessions* sessions, const Context* context, const Request* request, int64_t private_sequence,
    Response* response
) noexcept nogil:
    """Let a connection take a session; `private_sequence` is the newest one of its user."""
    cdef Attachment command = _attachment(request)
    cdef Attached answer = attach(sessions, &command, context.time_ns)
    cdef SessionAttachedResponse* said = &response.fields.attached
    cdef const Session* session
    begin_response(
        response, TYPE_SESSION_ATTACHED, command.attach_number, context.sequence, answer.error, 0
    )
    if answer.number == 0:
        said.session_id = command.session_id
        said.limit = answer.limit
        return Outcome(FATE_NONE, 0, 0)
    session = session_at(sessions, answer.number)
    said.session_id, said.window = session.session_id, session.window
    said.last_request_id = session.last_request_id
    # A market-data key may name any user, but must not learn whether it has reports.
    said.private_sequence = private_sequence if session.role != ROLE_MARKET_DATA else 0
    said.time_ns = context.time_ns
    return Outcome(FATE_BACK, session.session_id, 0)


cdef inline Attachment _attachment(const Request* request) noexcept nogil:
    cdef const int64_t* values = &request.values[0]
    cdef Attachment command
    command.attach_number = values[<int>SESSION_ATTACHED_REQUEST_ID]
    command.session_id = values[<int>SESSION_ATTACHED_SESSION_ID]
    command.user = values[<int>SESSION_ATTACHED_USER]
    command.window = values[<int>SESSION_ATTACHED_WINDOW]
    command.role = <int>values[<int>SESSION_ATTACHED_ROLE]
    command.user_first = values[<int>SESSION_ATTACHED_USER_FIRST]
    command.user_last = values[<int>SESSION_ATTACHED_USER_LAST]
    command.flags = <uint8_t>values[<int>SESSION_ATTACHED_FLAGS]
    command.grace_ms = values[<int>SESSION_ATTACHED_GRACE_MS]
    command.key = values[<int>SESSION_ATTACHED_KEY]
    return command


cdef inline Outcome session_detached(
    Sessions* sessions, const Context* context, const Request* request, Response* response
) noexcept nogil:
    """Let a connection leave its session, unless a newer one has it."""
    cdef int64_t session_id = request.values[<int>SESSION_DETACHED_SESSION_ID]
    cdef int64_t grace_ns = detach(
        sessions, session_id, request.values[<int>SESSION_DETACHED_ATTACH_NUMBER], context.time_ns
    )
    acknowledge(response, context, request)
    if grace_ns == NOT_CURRENT:
        return Outcome(FATE_NONE, 0, 0)
    return Outcome(FATE_LOST, session_id, grace_ns)


cdef inline Outcome session_closed(
    Sessions* sessions, const Context* context, const Request* request, Response* response
) noexcept nogil:
    """Forget a session on its client's request, unless a newer connection has it."""
    cdef int64_t session_id = request.values[<int>SESSION_CLOSED_SESSION_ID]
    acknowledge(response, context, request)
    if not close(sessions, session_id, request.values[<int>SESSION_CLOSED_ATTACH_NUMBER]):
        return Outcome(FATE_NONE, 0, 0)
    if request.values[<int>SESSION_CLOSED_FLAGS] & LOGOUT_KEEP_ORDERS:
        return Outcome(FATE_LEFT_FOR_GOOD, session_id, 0)
    return Outcome(FATE_LOST, session_id, 0)


cdef inline int64_t key_count(const Request* request) noexcept nogil:
    """Return how many keys a `keys_valid` names."""
    return request.values[<int>KEYS_VALID_KEYS] & <int64_t>0xFFFFFFFF


cdef inline void keys_valid(
    Sessions* sessions, const Context* context, const uint8_t* body, int64_t size,
    const Request* request, Response* response
) noexcept nogil:
    """Let the keys that a body names be valid, and no others; `close_revoked` follows."""
    cdef int64_t position = request.values[<int>KEYS_VALID_KEYS] >> 32
    cdef int64_t left = key_count(request)
    cdef Value header, number, role
    memset(&header, 0, sizeof(Value))
    memset(&number, 0, sizeof(Value))
    memset(&role, 0, sizeof(Value))
    forget_keys(&sessions.valid_keys)
    while left:
        read_value(body, size, position, &header)
        read_value(body, size, header.end, &number)
        read_value(body, size, number.end, &role)
        allow_key(&sessions.valid_keys, number.number, <int>role.number)
        position = role.end
        left -= 1
    find_revoked(sessions)
    acknowledge(response, context, request)


cdef inline Outcome close_revoked(Sessions* sessions, Effort* effort) noexcept nogil:
    """Forget the first session whose key was revoked; it gets no grace.

    To be called for as many as one command may close. FATE_NONE: there is none.
    """
    cdef uint32_t number = sessions.lists[REVOKED_SESSIONS].first
    cdef int64_t session_id
    if number == 0:
        return Outcome(FATE_NONE, 0, 0)
    session_id = session_at(sessions, number).session_id
    revoke(sessions, number)
    charge(effort, REVOKED, 1)
    return Outcome(FATE_REVOKED, session_id, 0)
