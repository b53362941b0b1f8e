"""Room for sessions: how many remembered responses each takes, and which give way to which.

The compiled twin of hpe/core/sessions/room.py, with its names. Owned by the core, used by the
thread that runs it. A session is in one tree at most: with those whose time has not come, or with
those of its owner that may give way. The few detached operators are a list besides. Cost: O(log n)
for a session that comes, goes or gives way. `reserve_room` alone may fail; `add` relies on it.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport hash_tables, ordered, slabs
from hpe.core.compiled.codes cimport ROLE_OPERATOR
from hpe.core.compiled.session cimport Session, grace_ns

cdef enum RoomLimit:
    # The values of RoomLimit in hpe/core/contract.py; a test compares them.
    NONE = 0
    ALL = 1
    KEY = 2
    OPERATORS = 3


cdef struct RoomSizes:
    # See RoomSizes in hpe/core/contract.py.
    int64_t room
    int64_t key_share
    int64_t large
    int64_t kept
    int64_t small
    int64_t least
    int64_t operators


cdef struct Newcomer:
    # A hello that needs room; `kept` is what its session takes while it is detached.
    int64_t owner
    bint by_key
    bint operator
    int64_t wanted
    int64_t kept


cdef struct Granted:
    # What a newcomer may take, or whose limit refuses it; the sessions that gave way to it, from
    # `gone` on, by their `next_gone`.
    int64_t room
    int refused
    uint32_t gone
    uint32_t last_gone


cdef struct RoomShare:
    # What one owner has. The node's keys are its place in the ranking: minus what it takes, the
    # owner, 1 for a key. `ranked`: it is there, since one of its sessions may go.
    ordered.Node rank
    ordered.Tree gone
    int64_t sessions
    int64_t taken
    bint ranked


cdef struct Room:
    # See Room in hpe/core/sessions/room.py. `operators_gone` is the operator detached longest.
    RoomSizes sizes
    slabs.Slab* session_slab
    slabs.Slab share_slab
    hash_tables.HashTable shares
    ordered.Tree ranking
    ordered.Tree young
    int64_t keep_ns
    int64_t taken
    int64_t large
    int64_t aged_ns
    int64_t operators
    uint32_t operators_gone


cdef inline bint has_owner(
    const void* records, uint32_t number, int64_t owner, int64_t by_key
) noexcept nogil:
    """True if a share is this owner's."""
    cdef const RoomShare* share = <const RoomShare*>slabs.record(<const slabs.Slab*>records, number)
    return share.rank.second == owner and share.rank.third == by_key


cdef inline void make_room_for(
    Room* room, const RoomSizes* sizes, uint64_t seed, slabs.Slab* session_slab
) noexcept nogil:
    """Initialize an empty room for the sessions of a slab."""
    memset(room, 0, sizeof(Room))
    room.sizes = sizes[0]
    room.session_slab = session_slab
    slabs.make_slab(&room.share_slab, sizeof(RoomShare))
    hash_tables.make_table(&room.shares, seed, &room.share_slab, has_owner)


cdef inline void free_room(Room* room) noexcept nogil:
    """Free all memory; the sessions' is their owner's."""
    hash_tables.free_table(&room.shares)
    slabs.free_slab(&room.share_slab)


cdef inline bint reserve_room(Room* room, int64_t more) noexcept nogil:
    """Make sure that `add` can be called this many times; False if there is no memory."""
    return slabs.reserve(&room.share_slab, more) and hash_tables.reserve_places(&room.shares, more)


cdef inline Session* session_at(const Room* room, uint32_t number) noexcept nogil:
    """Return the session of a number."""
    return <Session*>slabs.record(room.session_slab, number)


cdef inline RoomShare* share_of(const Room* room, int64_t owner, bint by_key) noexcept nogil:
    """Return the share of an owner, NULL if it has none."""
    cdef uint32_t number = hash_tables.find(&room.shares, owner, by_key)
    return <RoomShare*>slabs.record(&room.share_slab, number) if number else NULL


cdef inline RoomShare* share_of_session(const Room* room, const Session* session) noexcept nogil:
    """Return the share of a session's owner, NULL if it has none."""
    return share_of(room, session.key if session.key else session.user, session.key != 0)


# --- counting -------------------------------------------------------------------------------------


cdef inline void add(Room* room, uint32_t number) noexcept nogil:
    """Count a session as it is now."""
    cdef Session* session = session_at(room, number)
    cdef RoomShare* share = share_of_session(room, session)
    cdef uint32_t new
    if share == NULL:
        new = slabs.take(&room.share_slab)
        share = <RoomShare*>slabs.record(&room.share_slab, new)
        share.rank.second = session.key if session.key else session.user
        share.rank.third = session.key != 0
        hash_tables.add(&room.shares, share.rank.second, share.rank.third, new)
    share.sessions += 1
    _count(room, session, share, 1)
    if session.attach_number == 0:
        if session.role == ROLE_OPERATOR:
            _add_operator(room, number)
        if may_go_ns(room, session) > room.aged_ns:
            _file(room, &room.young, number, may_go_ns(room, session))
        elif common_part(room, session):
            _file(room, &share.gone, number, session.detached_ns)
    _rank(room, share)


cdef inline void _file(
    Room* room, ordered.Tree* tree, uint32_t number, int64_t time_ns
) noexcept nogil:
    cdef Session* session = session_at(room, number)
    session.place.first, session.place.second, session.place.third = time_ns, session.session_id, 0
    ordered.insert(tree, room.session_slab, number)


cdef inline void remove(Room* room, uint32_t number) noexcept nogil:
    """Stop counting a session, before anything about it changes."""
    _count_out(room, number)
    _drop_share(room, session_at(room, number))


cdef inline void _count_out(Room* room, uint32_t number) noexcept nogil:
    """Stop counting a session, but keep its owner's share even if that is empty."""
    cdef Session* session = session_at(room, number)
    cdef RoomShare* share = share_of_session(room, session)
    share.sessions -= 1
    _count(room, session, share, -1)
    if session.attach_number == 0:
        if session.role == ROLE_OPERATOR:
            _remove_operator(room, number)
        if may_go_ns(room, session) > room.aged_ns:
            ordered.take_out(&room.young, room.session_slab, number)
        elif common_part(room, session):
            ordered.take_out(&share.gone, room.session_slab, number)
    _rank(room, share)


cdef inline void _drop_share(Room* room, const Session* session) noexcept nogil:
    """Remove the share of a session's owner if it is empty."""
    cdef int64_t owner = session.key if session.key else session.user
    cdef uint32_t number = hash_tables.find(&room.shares, owner, session.key != 0)
    if number and (<RoomShare*>slabs.record(&room.share_slab, number)).sessions == 0:
        hash_tables.remove(&room.shares, owner, session.key != 0)
        slabs.give_back(&room.share_slab, number)


cdef inline void _add_operator(Room* room, uint32_t number) noexcept nogil:
    """Add a detached operator; there are `sizes.operators` at most."""
    cdef Session* new = session_at(room, number)
    cdef uint32_t* link = &room.operators_gone
    cdef Session* here
    while link[0]:
        here = session_at(room, link[0])
        if new.detached_ns < here.detached_ns or (
            new.detached_ns == here.detached_ns and new.session_id < here.session_id
        ):
            break
        link = &here.next_operator
    new.next_operator = link[0]
    link[0] = number


cdef inline void _remove_operator(Room* room, uint32_t number) noexcept nogil:
    cdef uint32_t* link = &room.operators_gone
    while link[0] != number:
        link = &session_at(room, link[0]).next_operator
    link[0] = session_at(room, number).next_operator


cdef inline void _count(
    Room* room, const Session* session, RoomShare* share, int sign
) noexcept nogil:
    cdef int64_t common = common_part(room, session)
    share.taken += sign * common
    room.taken += sign * common
    if taken_by(room, session) > room.sizes.small:
        room.large += sign * common
    room.operators += sign * (session.role == ROLE_OPERATOR)


cdef inline int64_t taken_by(const Room* room, const Session* session) noexcept nogil:
    """Return what a session takes."""
    cdef int64_t taken = session.window if session.attach_number else session.count
    return max(taken, room.sizes.least)


cdef inline int64_t common_part(const Room* room, const Session* session) noexcept nogil:
    """Return the part of it that is not in the operators' reserve."""
    cdef int64_t taken = taken_by(room, session)
    return max(taken - room.sizes.small, <int64_t>0) if session.role == ROLE_OPERATOR else taken


cdef inline int64_t may_go_ns(const Room* room, const Session* session) noexcept nogil:
    """Return when a detached session may give way."""
    return session.detached_ns + max(room.keep_ns, grace_ns(session) + 1)


cdef inline void _rank(Room* room, RoomShare* share) noexcept nogil:
    """Put a share where it belongs in the ranking."""
    cdef uint32_t number
    cdef bint ranked = share.gone.count != 0
    if ranked == share.ranked and (not ranked or share.rank.first == -share.taken):
        return
    number = hash_tables.find(&room.shares, share.rank.second, share.rank.third)
    if share.ranked:
        ordered.take_out(&room.ranking, &room.share_slab, number)
    share.rank.first = -share.taken
    if ranked:
        ordered.insert(&room.ranking, &room.share_slab, number)
    share.ranked = ranked


cdef inline void _age(Room* room, int64_t time_ns) noexcept nogil:
    """Move sessions whose time has come to their owners; each moves once."""
    cdef uint32_t number
    cdef Session* session
    cdef RoomShare* share
    room.aged_ns = max(room.aged_ns, time_ns)
    while room.young.count and session_at(room, room.young.least).place.first <= time_ns:
        number = room.young.least
        session = session_at(room, number)
        ordered.take_out(&room.young, room.session_slab, number)
        if common_part(room, session):
            share = share_of_session(room, session)
            _file(room, &share.gone, number, session.detached_ns)
            _rank(room, share)


# --- making room ----------------------------------------------------------------------------------


cdef inline Granted admit(Room* room, const Newcomer* newcomer, int64_t time_ns) noexcept nogil:
    """Grant a newcomer room, and make some if necessary; the newcomer is not counted yet.

    Sessions that give way are no longer counted. If nothing can be granted, nothing changes.
    """
    cdef Granted granted = Granted(0, NONE, 0, 0)
    cdef uint32_t number
    _age(room, time_ns)
    if newcomer.operator:
        granted.refused = _admit_operator(room, newcomer, &granted)
        if granted.refused:
            return granted
    else:
        granted.refused = _make_room(room, newcomer, &granted)
    granted.room = _grant(room, newcomer)
    number = granted.gone
    if granted.room >= room.sizes.least:
        granted.refused = NONE
        while number:
            _drop_share(room, session_at(room, number))
            number = session_at(room, number).next_gone
        return granted
    while number:
        add(room, number)
        number = session_at(room, number).next_gone
    granted.gone = 0
    return granted


cdef inline int _admit_operator(
    Room* room, const Newcomer* newcomer, Granted* granted
) noexcept nogil:
    """Use the operators' reserve; the session detached longest gives way, however recently."""
    if newcomer.kept or room.operators < room.sizes.operators:
        return NONE
    if room.operators_gone == 0:
        return OPERATORS
    _give_way(room, room.operators_gone, granted)
    return NONE


cdef inline int _make_room(Room* room, const Newcomer* newcomer, Granted* granted) noexcept nogil:
    """Make sessions give way until a small window fits; return whose limit prevents it."""
    cdef int64_t needed = max(min(newcomer.wanted, room.sizes.small), room.sizes.least)
    cdef int64_t taken
    cdef uint32_t first, most
    cdef RoomShare* mine
    while newcomer.kept < needed:
        mine = share_of(room, newcomer.owner, newcomer.by_key)
        taken = mine.taken if mine != NULL else 0
        first = mine.gone.least if mine != NULL else 0
        if newcomer.by_key and taken + needed > room.sizes.key_share:
            if first == 0:
                needed = room.sizes.key_share - taken  # the share allows no more
                if needed < room.sizes.least:
                    return KEY
                continue
        elif room.taken + needed <= _limit(room, newcomer):
            return NONE
        else:
            most = _most(room, taken + needed)
            first = most if most else first
            if first == 0:
                return ALL
        _give_way(room, first, granted)
    return NONE


cdef inline uint32_t _most(const Room* room, int64_t would_take) noexcept nogil:
    """Return the largest owner's oldest session, if it has more than the newcomer would."""
    cdef const RoomShare* share
    if room.ranking.count == 0:
        return 0
    share = <const RoomShare*>slabs.record(&room.share_slab, room.ranking.least)
    return share.gone.least if share.taken > would_take else 0


cdef inline void _give_way(Room* room, uint32_t number, Granted* granted) noexcept nogil:
    _count_out(room, number)
    session_at(room, number).next_gone = 0
    if granted.gone == 0:
        granted.gone = number
    else:
        session_at(room, granted.last_gone).next_gone = number
    granted.last_gone = number


cdef inline int64_t _limit(const Room* room, const Newcomer* newcomer) noexcept nogil:
    """Return how far a newcomer may fill the room."""
    cdef RoomShare* mine = share_of(room, newcomer.owner, newcomer.by_key)
    cdef bint is_new = mine == NULL or mine.sessions == 0
    if newcomer.by_key or (newcomer.wanted <= room.sizes.small and is_new):
        return room.sizes.room
    return room.sizes.room - room.sizes.kept


cdef inline int64_t _grant(const Room* room, const Newcomer* newcomer) noexcept nogil:
    """Return how much free room a newcomer may take; never less than it has."""
    cdef int64_t wanted = max(newcomer.wanted, room.sizes.least)
    cdef int64_t reserve = room.sizes.small if newcomer.operator else 0
    cdef int64_t free = _limit(room, newcomer) - room.taken
    cdef int64_t granted
    cdef RoomShare* mine
    if newcomer.by_key:
        mine = share_of(room, newcomer.owner, True)
        free = min(free, room.sizes.key_share - (mine.taken if mine != NULL else 0))
    free = max(free, <int64_t>0)
    granted = min(wanted, reserve + min(free, room.sizes.large - room.large))
    if granted <= room.sizes.small:
        granted = min(min(wanted, room.sizes.small), reserve + free)
    return max(granted, newcomer.kept)
