"""Sessions: which are attached, which are forgotten when, which are still to be closed.

The compiled twin of hpe/core/sessions/registry.py, with its names. Owned by the core, used by the
thread that runs it. A session is named by its number in `session_slab`, found by its id or by its
attach number, and stands in the list of all, by ascending id. The timers are the exchange's.

What alone may fail is `reserve_attachments`, for commands that attach or detach and for `restore`,
and `reserve_times`, for `set_times`. To remember a response, a session needs more (session.pxd).
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport hash_tables, room, slabs
from hpe.core.compiled.codes cimport (
    ERROR_KEY_REVOKED,
    ERROR_TOO_MANY_SESSIONS,
    ERROR_UNKNOWN_SESSION,
    ROLE_MARKET_DATA,
    ROLE_OPERATOR,
)
from hpe.core.compiled.keys cimport Keys, free_keys, is_valid, make_keys
from hpe.core.compiled.session cimport (
    ALL_SESSIONS,
    LISTS,
    REVOKED_SESSIONS,
    Ends,
    Remembered,
    Session,
    append,
    forget_all,
    grace_ns,
    unlink,
)
from hpe.core.compiled.timers cimport SESSION, Timers, add_timer, remove_timer, reserve_timers

cdef enum:
    WINDOW_DEFAULT = 64
    NOT_CURRENT = -1


cdef struct Sessions:
    # See Sessions in hpe/core/sessions/registry.py. `lists`: all sessions, and those to be closed
    # because their key is not valid any more, by ascending id.
    slabs.Slab session_slab
    slabs.Slab cells
    hash_tables.HashTable by_id
    hash_tables.HashTable by_attachment
    Keys valid_keys
    Timers* timers
    room.Room room
    int64_t expiry_ns
    int64_t last_session_id
    int64_t last_attach_number
    Ends[LISTS] lists


cdef struct Attachment:
    # A connection that takes a session; see SessionAttached in hpe/protocol/internal.py.
    int64_t attach_number
    int64_t session_id
    int64_t user
    int64_t window
    int64_t user_first
    int64_t user_last
    int64_t grace_ms
    int64_t key
    int role
    uint8_t flags


cdef struct Attached:
    # The number of the session, 0 if it was refused: `error` says why, `limit` whose limit it is.
    uint32_t number
    int error
    int limit


cdef inline bint _has_id(
    const void* records, uint32_t number, int64_t session_id, int64_t none
) noexcept nogil:
    cdef const Session* session = <const Session*>slabs.record(<const slabs.Slab*>records, number)
    return session.session_id == session_id and none == 0


cdef inline bint _has_attachment(
    const void* records, uint32_t number, int64_t attach_number, int64_t none
) noexcept nogil:
    cdef const Session* session = <const Session*>slabs.record(<const slabs.Slab*>records, number)
    return session.attach_number == attach_number and none == 0


cdef inline void make_sessions(
    Sessions* sessions, const room.RoomSizes* sizes, uint64_t seed, Timers* timers
) noexcept nogil:
    """Initialize without sessions; neither they nor the timers may move afterwards."""
    memset(sessions, 0, sizeof(Sessions))
    slabs.make_slab(&sessions.session_slab, sizeof(Session))
    slabs.make_slab(&sessions.cells, sizeof(Remembered))
    hash_tables.make_table(&sessions.by_id, seed, &sessions.session_slab, _has_id)
    hash_tables.make_table(&sessions.by_attachment, seed, &sessions.session_slab, _has_attachment)
    make_keys(&sessions.valid_keys, seed)
    room.make_room_for(&sessions.room, sizes, seed, &sessions.session_slab)
    sessions.timers = timers


cdef inline void free_sessions(Sessions* sessions) noexcept nogil:
    """Free all memory."""
    cdef uint32_t number = sessions.lists[ALL_SESSIONS].first
    while number:
        forget_all(&sessions.cells, session_at(sessions, number))
        number = session_at(sessions, number).links[ALL_SESSIONS].next
    room.free_room(&sessions.room)
    hash_tables.free_table(&sessions.by_id)
    hash_tables.free_table(&sessions.by_attachment)
    slabs.free_slab(&sessions.session_slab)
    slabs.free_slab(&sessions.cells)
    free_keys(&sessions.valid_keys)


cdef inline bint reserve_attachments(Sessions* sessions, int64_t more) noexcept nogil:
    """Make sure that so many commands may attach or detach; False if there is no memory."""
    return (
        slabs.reserve(&sessions.session_slab, more)
        and hash_tables.reserve_places(&sessions.by_id, more)
        and hash_tables.reserve_places(&sessions.by_attachment, more)
        and room.reserve_room(&sessions.room, more)
        and reserve_timers(sessions.timers, more)
    )


cdef inline bint reserve_times(Sessions* sessions) noexcept nogil:
    """Make sure that `set_times` finds memory, whatever it changes; False if there is none."""
    cdef int64_t count = sessions.session_slab.count
    return room.reserve_room(&sessions.room, count) and reserve_timers(sessions.timers, count)


# --- finding --------------------------------------------------------------------------------------


cdef inline Session* session_at(const Sessions* sessions, uint32_t number) noexcept nogil:
    """Return the session of a number."""
    return <Session*>slabs.record(&sessions.session_slab, number)


cdef inline uint32_t get(const Sessions* sessions, int64_t session_id) noexcept nogil:
    """Return the number of the session of an id, 0 if there is none."""
    return hash_tables.find(&sessions.by_id, session_id, 0)


cdef inline uint32_t attached(const Sessions* sessions, int64_t attach_number) noexcept nogil:
    """Return the session that this attachment holds; 0 if a newer one took it."""
    return hash_tables.find(&sessions.by_attachment, attach_number, 0)


cdef inline uint32_t next_session(const Sessions* sessions, uint32_t number) noexcept nogil:
    """Return the session with the next id, the first after 0; 0 after the last."""
    if number == 0:
        return sessions.lists[ALL_SESSIONS].first
    return session_at(sessions, number).links[ALL_SESSIONS].next


# --- attaching ------------------------------------------------------------------------------------


cdef inline Attached attach(
    Sessions* sessions, const Attachment* command, int64_t time_ns
) noexcept nogil:
    """Attach a connection to a session: a new one for id 0, else the named one.

    A session is attached again only by its user and with its key, in its role; the key must be
    valid. The attachment that held it before ends. Other sessions may be forgotten to make room. A
    refusal changes nothing except that the attach number is used.
    """
    cdef uint32_t number = get(sessions, command.session_id)
    cdef room.Granted granted
    sessions.last_attach_number = max(sessions.last_attach_number, command.attach_number)
    if not is_valid(&sessions.valid_keys, command.key, command.role):
        return Attached(0, ERROR_KEY_REVOKED, 0)
    if command.session_id and not (number and _is_of(session_at(sessions, number), command)):
        return Attached(0, ERROR_UNKNOWN_SESSION, 0)
    granted = _admit(sessions, command, number, time_ns)
    if granted.refused:
        return Attached(0, ERROR_TOO_MANY_SESSIONS, granted.refused)
    if number == 0:
        number = _new(sessions, command)
    session_at(sessions, number).window = <uint32_t>granted.room
    _hold(sessions, number, command)
    room.add(&sessions.room, number)
    return Attached(number, 0, 0)


cdef inline bint _is_of(const Session* session, const Attachment* command) noexcept nogil:
    return (
        session.user == command.user
        and session.role == command.role
        and session.key == command.key
    )


cdef inline room.Granted _admit(
    Sessions* sessions, const Attachment* command, uint32_t number, int64_t time_ns
) noexcept nogil:
    """Find room for a session, which is not counted meanwhile, and the window it may have.

    A returning session keeps all that it remembers, whatever window it asks for: a smaller one
    would turn executed requests into stale ones.
    """
    cdef room.Newcomer newcomer
    cdef room.Granted granted
    cdef int64_t remembered = 0
    newcomer.owner = command.key if command.key else command.user
    newcomer.by_key = command.key != 0
    newcomer.operator = command.role == ROLE_OPERATOR
    newcomer.wanted = command.window
    newcomer.kept = 0
    if newcomer.wanted == 0:
        newcomer.wanted = session_at(sessions, number).window if number else WINDOW_DEFAULT
    if command.role == ROLE_MARKET_DATA:
        newcomer.wanted = 1  # it has no commands to remember
    if number:
        _count_out(sessions, number)
        remembered = session_at(sessions, number).count
        newcomer.kept = max(remembered, sessions.room.sizes.least)
    granted = room.admit(&sessions.room, &newcomer, time_ns)
    _drop_gone(sessions, granted.gone)
    granted.room = min(granted.room, max(newcomer.wanted, remembered))
    return granted


cdef inline void _drop_gone(Sessions* sessions, uint32_t gone) noexcept nogil:
    """Forget sessions that gave way, which are not counted any more."""
    cdef uint32_t following
    while gone:
        following = session_at(sessions, gone).next_gone
        _remove_timer(sessions, session_at(sessions, gone))
        _drop(sessions, gone)
        gone = following


cdef inline uint32_t _new(Sessions* sessions, const Attachment* command) noexcept nogil:
    """Add a session, which has the highest id."""
    cdef uint32_t number = slabs.take(&sessions.session_slab)
    cdef Session* session = session_at(sessions, number)
    sessions.last_session_id += 1
    session.session_id = sessions.last_session_id
    session.user, session.role, session.key = command.user, command.role, command.key
    _enter(sessions, number)
    return number


cdef inline void _enter(Sessions* sessions, uint32_t number) noexcept nogil:
    """Let a session, which has the highest id, be found."""
    hash_tables.add(&sessions.by_id, session_at(sessions, number).session_id, 0, number)
    append(&sessions.session_slab, &sessions.lists[ALL_SESSIONS], ALL_SESSIONS, number)


cdef inline void _hold(
    Sessions* sessions, uint32_t number, const Attachment* command
) noexcept nogil:
    """Attach a session, which is not counted, to the connection that takes it."""
    cdef Session* session = session_at(sessions, number)
    _let_go(sessions, session)
    session.attach_number = command.attach_number
    session.detached_ns = 0
    session.flags = command.flags
    session.user_first, session.user_last = command.user_first, command.user_last
    session.grace_ms = command.grace_ms
    hash_tables.add(&sessions.by_attachment, session.attach_number, 0, number)


cdef inline void _let_go(Sessions* sessions, Session* session) noexcept nogil:
    """End the attachment of a session, if it has one."""
    if session.attach_number:
        hash_tables.remove(&sessions.by_attachment, session.attach_number, 0)
        session.attach_number = 0


cdef inline void _count_out(Sessions* sessions, uint32_t number) noexcept nogil:
    """Remove a session from the room and the timers, before anything about it changes."""
    room.remove(&sessions.room, number)
    if session_at(sessions, number).attach_number == 0:
        _remove_timer(sessions, session_at(sessions, number))


cdef inline void _remove_timer(Sessions* sessions, const Session* session) noexcept nogil:
    remove_timer(
        sessions.timers, SESSION, due_ns(sessions, session), session.session_id, 0, 0
    )


cdef inline int64_t due_ns(const Sessions* sessions, const Session* session) noexcept nogil:
    """Return when a detached session is forgotten: not before its grace is over."""
    return session.detached_ns + max(sessions.expiry_ns, grace_ns(session) + 1)


# --- detaching and ending -------------------------------------------------------------------------


cdef inline int64_t detach(
    Sessions* sessions, int64_t session_id, int64_t attach_number, int64_t time_ns
) noexcept nogil:
    """Detach a connection; return the grace of the session's orders.

    Returns NOT_CURRENT if its attachment is not current: then it is ignored. A market-data session
    ends at once.
    """
    cdef uint32_t number = get(sessions, session_id)
    cdef Session* session
    cdef int64_t grace
    if number == 0 or session_at(sessions, number).attach_number != attach_number:
        return NOT_CURRENT
    session = session_at(sessions, number)
    grace = grace_ns(session)
    if session.role == ROLE_MARKET_DATA:
        _forget(sessions, number)
        return grace
    room.remove(&sessions.room, number)
    _let_go(sessions, session)
    session.detached_ns = time_ns
    _count_in(sessions, number)
    return grace


cdef inline void _count_in(Sessions* sessions, uint32_t number) noexcept nogil:
    """Count a detached session in, and set the timer that forgets it."""
    cdef const Session* session = session_at(sessions, number)
    room.add(&sessions.room, number)
    add_timer(sessions.timers, SESSION, due_ns(sessions, session), session.session_id, 0, 0)


cdef inline void set_times(
    Sessions* sessions, int64_t expiry_ns, int64_t keep_ns
) noexcept nogil:
    """Set how long sessions are kept, detached ones included. Cost: O(n log n) of them."""
    cdef uint32_t number = 0
    if expiry_ns == sessions.expiry_ns and keep_ns == sessions.room.keep_ns:
        return
    while True:
        number = _next_away(sessions, number)
        if number == 0:
            break
        _count_out(sessions, number)
    sessions.expiry_ns = expiry_ns
    sessions.room.keep_ns = keep_ns
    while True:
        number = _next_away(sessions, number)
        if number == 0:
            break
        _count_in(sessions, number)


cdef inline uint32_t _next_away(const Sessions* sessions, uint32_t number) noexcept nogil:
    """Return the next detached session, the first after 0; 0 after the last."""
    number = next_session(sessions, number)
    while number and session_at(sessions, number).attach_number:
        number = next_session(sessions, number)
    return number


cdef inline bint close(
    Sessions* sessions, int64_t session_id, int64_t attach_number
) noexcept nogil:
    """Forget a session on its client's request; False if the attachment is not current."""
    cdef uint32_t number = get(sessions, session_id)
    if number == 0 or session_at(sessions, number).attach_number != attach_number:
        return False
    _forget(sessions, number)
    return True


cdef inline void find_revoked(Sessions* sessions) noexcept nogil:
    """Note the sessions whose key is no longer valid. Cost: all sessions."""
    cdef Ends* revoked = &sessions.lists[REVOKED_SESSIONS]
    cdef uint32_t number = next_session(sessions, 0)
    cdef Session* session
    revoked.first = revoked.last = 0
    while number:
        session = session_at(sessions, number)
        session.is_revoked = not is_valid(&sessions.valid_keys, session.key, session.role)
        if session.is_revoked:
            append(&sessions.session_slab, revoked, REVOKED_SESSIONS, number)
        number = next_session(sessions, number)


cdef inline void revoke(Sessions* sessions, uint32_t number) noexcept nogil:
    """Forget a session whose key was revoked, attached or not."""
    _forget(sessions, number)


cdef inline void expire(Sessions* sessions, int64_t session_id) noexcept nogil:
    """Forget a session whose time has come."""
    _forget(sessions, get(sessions, session_id))


cdef inline void _forget(Sessions* sessions, uint32_t number) noexcept nogil:
    _count_out(sessions, number)
    _let_go(sessions, session_at(sessions, number))
    _drop(sessions, number)


cdef inline void _drop(Sessions* sessions, uint32_t number) noexcept nogil:
    """Forget a session that is not counted, held or due any more."""
    cdef Session* session = session_at(sessions, number)
    hash_tables.remove(&sessions.by_id, session.session_id, 0)
    unlink(&sessions.session_slab, &sessions.lists[ALL_SESSIONS], ALL_SESSIONS, number)
    if session.is_revoked:
        unlink(&sessions.session_slab, &sessions.lists[REVOKED_SESSIONS], REVOKED_SESSIONS, number)
    forget_all(&sessions.cells, session)
    slabs.give_back(&sessions.session_slab, number)


cdef inline void restore(Sessions* sessions, uint32_t number) noexcept nogil:
    """Add a session of a dump, taken from the slab; it has the highest id so far."""
    _enter(sessions, number)


cdef inline void count_restored(Sessions* sessions, uint32_t number) noexcept nogil:
    """Count a session of a dump, when all that it remembers is there."""
    cdef const Session* session = session_at(sessions, number)
    if session.attach_number:
        hash_tables.add(&sessions.by_attachment, session.attach_number, 0, number)
        room.add(&sessions.room, number)
    else:
        _count_in(sessions, number)
