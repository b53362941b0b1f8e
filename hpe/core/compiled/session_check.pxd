"""The check of all sessions: their ids, responses, attachments, timers and room.

The compiled twin of `check` in hpe/core/sessions/registry.py and room.py. Owned by the core, used by
the thread that runs it. It takes no memory: while it adds up what owners have, it takes that from
their shares and puts it back. Cost: all sessions, and what they remember.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport ordered
from hpe.core.compiled.codes cimport ROLE_OPERATOR
from hpe.core.compiled.keys cimport is_valid
from hpe.core.compiled.registry cimport (
    Sessions,
    attached,
    due_ns,
    get,
    next_session,
    session_at,
)
from hpe.core.compiled.room cimport (
    Room,
    RoomShare,
    common_part,
    may_go_ns,
    share_of_session,
    taken_by,
)
from hpe.core.compiled.session cimport REVOKED_SESSIONS, Session, remembered_at, request_id_of
from hpe.core.compiled.timers cimport SESSION, has_timer, timer_count

cdef enum Contradiction:
    # What `check` found; `SOUND`: nothing.
    SOUND = 0
    WRONG_ID = 1
    WRONG_RESPONSES = 2
    WRONG_ATTACHMENT = 3
    WRONG_TIMERS = 4
    WRONG_REVOCATION = 5
    WRONG_ROOM = 6
    WRONG_SHARE = 7
    WRONG_TURN = 8  # who gives way


cdef inline int check(Sessions* sessions) noexcept nogil:
    """Check request ids, windows, attachments, timers and room; return what is wrong."""
    cdef uint32_t number = next_session(sessions, 0), count = 0, held = 0
    cdef uint32_t revoked = sessions.lists[REVOKED_SESSIONS].first
    cdef int64_t last_id = 0
    cdef const Session* session
    cdef int found
    while number:
        session = session_at(sessions, number)
        count += 1
        held += session.attach_number != 0
        if not last_id < session.session_id <= sessions.last_session_id:
            return WRONG_ID
        last_id = session.session_id
        found = _check_session(sessions, number)
        if found:
            return found
        if session.is_revoked:
            if revoked != number:
                return WRONG_REVOCATION
            revoked = session.links[REVOKED_SESSIONS].next
        number = next_session(sessions, number)
    if count != sessions.session_slab.count or count != sessions.by_id.count:
        return WRONG_ID
    if held != sessions.by_attachment.count:
        return WRONG_ATTACHMENT
    if timer_count(sessions.timers, SESSION, 0) != count - held:
        return WRONG_TIMERS
    if revoked:
        return WRONG_REVOCATION
    return _check_room(sessions)


cdef inline int _check_session(const Sessions* sessions, uint32_t number) noexcept nogil:
    cdef const Session* session = session_at(sessions, number)
    cdef bint valid = is_valid(&sessions.valid_keys, session.key, session.role)
    cdef int64_t request_id, last_id = 0
    cdef uint32_t at
    if get(sessions, session.session_id) != number:
        return WRONG_ID
    for at in range(session.count):
        request_id = request_id_of(remembered_at(&sessions.cells, session, at))
        if request_id <= last_id:
            return WRONG_RESPONSES
        last_id = request_id
    if session.count > session.window or (session.count and last_id != session.last_request_id):
        return WRONG_RESPONSES
    if session.attach_number:
        if attached(sessions, session.attach_number) != number:
            return WRONG_ATTACHMENT
    elif not has_timer(
        sessions.timers, SESSION, due_ns(sessions, session), session.session_id, 0, 0
    ):
        return WRONG_TIMERS
    return SOUND if valid or session.is_revoked else WRONG_REVOCATION


cdef inline int _check_room(Sessions* sessions) noexcept nogil:
    """Compare the sums with the sessions, and check that no owner has more than its share."""
    cdef Room* room = &sessions.room
    cdef int64_t taken = 0, large = 0, operators = 0, common
    cdef uint32_t number = next_session(sessions, 0)
    cdef const Session* session
    cdef int found = _check_shares(sessions)
    if found:
        return found
    while number:
        session = session_at(sessions, number)
        common = common_part(room, session)
        taken += common
        large += common if taken_by(room, session) > room.sizes.small else 0
        operators += session.role == ROLE_OPERATOR
        number = next_session(sessions, number)
    if taken != room.taken or large != room.large or operators != room.operators:
        return WRONG_ROOM
    if taken > room.sizes.room or large > room.sizes.large or operators > room.sizes.operators:
        return WRONG_ROOM
    return _check_turns(sessions)


cdef inline int _check_shares(Sessions* sessions) noexcept nogil:
    """Check that each owner has what its sessions take; a share without sessions is wrong."""
    cdef int found = SOUND
    cdef uint32_t number, owners = 0
    cdef const Session* session
    cdef RoomShare* share
    number = next_session(sessions, 0)
    while number:
        session = session_at(sessions, number)
        share = share_of_session(&sessions.room, session)
        if share == NULL:
            return WRONG_SHARE
        share.taken -= common_part(&sessions.room, session)
        share.sessions -= 1
        number = next_session(sessions, number)
    number = next_session(sessions, 0)
    while number:
        share = share_of_session(&sessions.room, session_at(sessions, number))
        if share.taken or share.sessions:
            found = WRONG_SHARE
        number = next_session(sessions, number)
    number = next_session(sessions, 0)
    while number:
        session = session_at(sessions, number)
        share = share_of_session(&sessions.room, session)
        owners += share.sessions == 0
        share.taken += common_part(&sessions.room, session)
        share.sessions += 1
        if share.rank.third and share.taken > sessions.room.sizes.key_share:
            found = WRONG_SHARE
        number = next_session(sessions, number)
    return found if owners == sessions.room.shares.count else WRONG_SHARE


cdef inline int _check_turns(const Sessions* sessions) noexcept nogil:
    """Check that each detached session stands where it will give way, and nothing else does."""
    cdef const Room* room = &sessions.room
    cdef uint32_t number = next_session(sessions, 0), young = 0, gone = 0, ranked = 0
    cdef const Session* session
    cdef const RoomShare* share
    while number:
        session = session_at(sessions, number)
        share = share_of_session(room, session)
        if share.ranked != (share.gone.count != 0):
            return WRONG_TURN
        if session.attach_number == 0 and may_go_ns(room, session) > room.aged_ns:
            young += 1
            if not _stands(sessions, &room.young, session, may_go_ns(room, session)):
                return WRONG_TURN
        elif session.attach_number == 0 and common_part(room, session):
            gone += 1
            if not _stands(sessions, &share.gone, session, session.detached_ns):
                return WRONG_TURN
            if share.gone.least == number:
                ranked += 1
                gone -= share.gone.count
                if share.rank.first != -share.taken:
                    return WRONG_TURN
        number = next_session(sessions, number)
    if young != room.young.count or gone or ranked != room.ranking.count:
        return WRONG_TURN
    return SOUND


cdef inline bint _stands(
    const Sessions* sessions, const ordered.Tree* tree, const Session* session, int64_t time_ns
) noexcept nogil:
    cdef uint32_t found = ordered.find_key(
        tree, &sessions.session_slab, time_ns, session.session_id, 0
    )
    return found != 0 and session_at(sessions, found) == session
