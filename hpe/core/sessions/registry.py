"""Sessions: which are attached, which request ids were used, which responses are remembered.

Part of the deterministic core; everything here is state and hashed. A session belongs to one
user, accepts strictly increasing request ids and remembers the responses of its last `window`
commands, so that a repeated request is answered as before and executed once. It is forgotten on
logout, when it was unused for the configured time (logged time, never a clock), when its key is
revoked, or when others need its room (room.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from hpe.core.contract import DEFAULT_LIMITS, RoomLimit, RoomSizes
from hpe.core.sessions.room import Newcomer, Room, owner_of
from hpe.core.sessions.session import Session
from hpe.core.timers import SESSION, Due, TimerEntry, Timers
from hpe.errors import InvariantViolation
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Role
from hpe.protocol.internal import KeysValid, SessionAttached
from hpe.protocol.limits import WINDOW_DEFAULT


class Sessions:
    """All sessions, by id and by the attach number of the connection that holds them."""

    def __init__(self, timers: Timers, sizes: RoomSizes = DEFAULT_LIMITS.room) -> None:
        self._timers = timers
        self._sessions: dict[int, Session] = {}
        self._attached: dict[int, Session] = {}
        self._room = Room(sizes)
        self._expiry_ns = 0
        self.valid_keys: dict[int, Role] | None = None  # None until a command has set them
        self.revoked: dict[int, None] = {}  # ids of sessions still to be closed, ascending
        self.last_session_id = 0
        self.last_attach_number = 0

    def get(self, session_id: int) -> Session | None:
        """Return the session of an id, or None."""
        return self._sessions.get(session_id)

    def attached(self, attach_number: int) -> Session | None:
        """Return the session that this attachment holds; None if a newer one took it."""
        return self._attached.get(attach_number)

    def keys_differ(self, wanted: KeysValid) -> bool:
        """True if other keys than these are valid so far."""
        return self.valid_keys != {key.number: key.role for key in wanted.keys}

    def attachments(self) -> list[tuple[int, int]]:
        """Return (session id, attach number) of every attached session."""
        return sorted((s.session_id, number) for number, s in self._attached.items())

    def attach(self, command: SessionAttached, time_ns: int) -> Session | ErrorCode | RoomLimit:
        """Attach a connection to a session: a new one for id 0, else the named one.

        A session is attached again only by its user and with its key, in its role; the key must be
        valid. The attachment that held it before ends. Other sessions may be forgotten to make
        room. A refusal changes nothing except that the attach number is used.
        """
        session_id, user, role = command.session_id, command.user, command.role
        self.last_attach_number = max(self.last_attach_number, command.request_id)
        session = self._sessions.get(session_id)
        if not self._is_valid(command.key, role):
            return ErrorCode.KEY_REVOKED  # the key was proven before its revocation was known
        wanted = (user, role, command.key)
        if session_id and (session is None or (session.user, session.role, session.key) != wanted):
            return ErrorCode.UNKNOWN_SESSION
        window = self._admit(command, session, time_ns)
        if isinstance(window, RoomLimit):
            return window
        if session is None:
            self.last_session_id += 1
            session = Session(self.last_session_id, user, 0, deque(), role, key=command.key)
            self._sessions[session.session_id] = session
        if window != session.window:
            session.window = window
            session.remembered = deque(session.remembered, maxlen=window)
        self._attached.pop(session.attach_number, None)
        self._attached[command.request_id] = session
        session.attach_number = command.request_id
        session.detached_ns = 0
        session.flags = command.flags
        session.user_first, session.user_last = command.user_first, command.user_last
        session.grace_ms = command.grace_ms
        self._room.add(session)
        return session

    def _admit(
        self, command: SessionAttached, session: Session | None, time_ns: int
    ) -> int | RoomLimit:
        """Find room for a session, which is not counted meanwhile; return the window it may have.

        A returning session keeps all that it remembers, whatever window it asks for: a smaller one
        would turn executed requests into stale ones.
        """
        kept = remembered = 0
        wanted = command.window or (session.window if session is not None else WINDOW_DEFAULT)
        if command.role is Role.MARKET_DATA:
            wanted = 1  # it has no commands to remember
        if session is not None:
            self._count_out(session)
            remembered = len(session.remembered)
            kept = max(remembered, self._room.sizes.least)
        operator = command.role is Role.OPERATOR
        newcomer = Newcomer(owner_of(command.key, command.user), operator, wanted, kept)
        granted = self._room.admit(newcomer, time_ns)
        if isinstance(granted, RoomLimit):
            return granted
        for gone in granted.gone:
            self._timers.remove(self._due(gone))
            self._drop(gone)
        return min(granted.room, max(wanted, remembered))

    def _count_out(self, session: Session) -> None:
        """Remove a session from the room and the timers, before anything about it changes."""
        self._room.remove(session)
        if not session.attach_number:
            self._timers.remove(self._due(session))

    def _due(self, session: Session) -> Due:
        """Return when a detached session is forgotten: not before its grace is over."""
        away_ns = max(self._expiry_ns, session.grace_ns + 1)
        return session.detached_ns + away_ns, SESSION, session.session_id, 0

    def detach(self, session_id: int, attach_number: int, time_ns: int) -> Session | None:
        """Detach a connection; return None if its attachment is not current: then it is ignored.

        A market-data session ends at once.
        """
        session = self._sessions.get(session_id)
        if session is None or session.attach_number != attach_number:
            return None
        if session.role is Role.MARKET_DATA:
            self._forget(session)
            return session
        self._room.remove(session)
        del self._attached[attach_number]
        session.attach_number = 0
        session.detached_ns = time_ns
        self._file(session)
        return session

    def _file(self, session: Session) -> None:
        """Count a detached session in, and set the timer that forgets it."""
        self._room.add(session)
        self._timers.add(self._due(session))

    def set_times(self, expiry_ns: int, keep_ns: int) -> None:
        """Set how long sessions are kept, detached ones included. Cost: O(n log n) of them."""
        if (expiry_ns, keep_ns) == (self._expiry_ns, self._room.keep_ns):
            return
        away = [session for session in self._sessions.values() if not session.attach_number]
        for session in away:
            self._count_out(session)
        self._expiry_ns, self._room.keep_ns = expiry_ns, keep_ns
        for session in away:
            self._file(session)

    def close(self, session_id: int, attach_number: int) -> bool:
        """Forget a session on its client's request; False if the attachment is not current."""
        session = self._sessions.get(session_id)
        if session is None or session.attach_number != attach_number:
            return False
        self._forget(session)
        return True

    def _is_valid(self, key: int, role: Role) -> bool:
        return not key or self.valid_keys is None or self.valid_keys.get(key) is role

    def set_keys(self, valid_keys: dict[int, Role]) -> None:
        """Set the valid keys, and note the sessions whose key is no longer valid."""
        self.valid_keys = valid_keys
        self.find_revoked()

    def find_revoked(self) -> None:
        """Note the sessions whose key is no longer valid. Cost: all sessions."""
        self.revoked.clear()
        found = (s.session_id for s in self if not self._is_valid(s.key, s.role))
        self.revoked.update(dict.fromkeys(found))

    def revoke(self, session_id: int) -> None:
        """Forget a session whose key was revoked, attached or not."""
        self._forget(self._sessions[session_id])

    def _forget(self, session: Session) -> None:
        self._count_out(session)
        self._attached.pop(session.attach_number, None)
        self._drop(session)

    def _drop(self, session: Session) -> None:
        del self._sessions[session.session_id]
        self.revoked.pop(session.session_id, None)

    def expire(self, entry: TimerEntry) -> None:
        """Forget a session whose time has come."""
        self._forget(self._sessions[entry.due[2]])

    def __iter__(self) -> Iterator[Session]:
        """Iterate sessions by ascending id."""
        return iter([self._sessions[key] for key in sorted(self._sessions)])

    def restore(self, session: Session) -> None:
        """Add a session from a dump."""
        self._sessions[session.session_id] = session
        if session.attach_number:
            self._attached[session.attach_number] = session
            self._room.add(session)
        else:
            self._file(session)

    def check(self) -> None:
        """Check request ids, windows, attachments and room."""
        self._room.check(self._sessions.values())
        due = sorted(self._due(s) for s in self._sessions.values() if not s.attach_number)
        if due != [entry.due for entry in self._timers.entries() if entry.due[1] == SESSION]:
            raise InvariantViolation("timers and the sessions that expire differ")
        for session in self._sessions.values():
            ids = [entry.request_id for entry in session.remembered]
            if ids != sorted(set(ids)) or len(ids) > session.window:
                raise InvariantViolation(f"session {session.session_id} remembers wrongly")
            if ids and ids[-1] != session.last_request_id:
                raise InvariantViolation(f"session {session.session_id} forgot its last command")
            held = self._attached.get(session.attach_number)
            if (held is session) != bool(session.attach_number):
                raise InvariantViolation(f"session {session.session_id} is attached wrongly")
            if session.session_id > self.last_session_id:
                raise InvariantViolation(f"session id {session.session_id} was never given")
