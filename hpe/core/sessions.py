"""Sessions: who is attached, which request ids were used, which responses are remembered.

Part of the deterministic core; everything here is state and hashed. A session belongs to one
user, accepts strictly increasing request ids and remembers the responses of its last `window`
commands, so that a repeated request is answered as before and executed once. It is forgotten
only by logout or when it was unused for the configured time (logged time, never a clock).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from hpe.core.timers import SESSION, Entry, Timers
from hpe.errors import InvariantViolation
from hpe.messages import (
    INT_MAX,
    WINDOW_DEFAULT,
    WINDOW_MAX,
    ErrorCode,
    Role,
    SessionAttached,
)

WINDOWS_SUM_MAX: Final = 1_048_576
"""Remembered responses over all sessions: at RESPONSE_BYTES_MAX each that bounds 192 MiB."""

WINDOWS_PER_KEY_MAX: Final = WINDOWS_SUM_MAX // 16
"""What sessions of one key may take of that sum: a client that opens session after session must
not use up everybody's."""


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One executed command: length and CRC-32 of its body tell a repeat from a reused id."""

    request_id: int
    length: int
    crc: int
    response: bytes


class Session(msgspec.Struct):
    """One client's position; `attach_number` is 0 while no connection holds it.

    `expires_ns` is the logged time at which a detached session is forgotten, 0 while attached.
    `role` and the users from `user_first` to `user_last` say what it may do, `flags` and `grace_ms`
    what its lost connection does; the newest attachment decides all of that but the role. `key`
    stands for the key that it was opened with, 0 where keys are not asked for.
    """

    session_id: int
    user: int
    window: int
    remembered: deque[Remembered]
    role: Role = Role.ANONYMOUS
    user_first: int = 1
    user_last: int = INT_MAX
    flags: int = 0
    grace_ms: int = 0
    key: int = 0
    last_request_id: int = 0
    attach_number: int = 0
    expires_ns: int = 0

    @property
    def grace_ns(self) -> int:
        """How long a lost connection may stay away before its orders are canceled."""
        return self.grace_ms * 1_000_000

    def recall(self, request_id: int, length: int, crc: int) -> bytes | ErrorCode:
        """Answer a request id at or below the last one.

        Returns:
            The remembered response, or why there is none.
        """
        remembered = self.remembered
        if not remembered or request_id < remembered[0].request_id:
            return ErrorCode.STALE_ID
        index = bisect_left(remembered, request_id, key=lambda entry: entry.request_id)
        entry = remembered[index]
        if entry.request_id != request_id:
            return ErrorCode.NOT_EXECUTED
        if (entry.length, entry.crc) != (length, crc):
            return ErrorCode.ID_REUSED
        return entry.response


class Sessions:
    """Every session, by id and by the attach number of the connection that holds it."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._sessions: dict[int, Session] = {}
        self._attached: dict[int, Session] = {}
        self.windows_sum = 0
        self._windows_of: dict[int, int] = {}  # the same per key
        self.last_session_id = 0
        self.last_attach_number = 0

    def get(self, session_id: int) -> Session | None:
        """Find a session by id."""
        return self._sessions.get(session_id)

    def attached(self, attach_number: int) -> Session | None:
        """Find the session that this attachment still holds; None when a newer one took it."""
        return self._attached.get(attach_number)

    def attachments(self) -> list[tuple[int, int]]:
        """List (session id, attach number) of every attached session."""
        return sorted((s.session_id, number) for number, s in self._attached.items())

    def attach(self, command: SessionAttached) -> Session | ErrorCode:
        """Give a session to a connection: a new one for id 0, else the named one.

        A session is taken again only by its user and with its key, in its role.
        An attachment that held it before is dead from here on. Refusals change nothing but the
        attach number that was used.
        """
        session_id, user = command.session_id, command.user
        attach_number = command.request_id
        self.last_attach_number = max(self.last_attach_number, attach_number)
        session = self._sessions.get(session_id)
        role = command.role
        wanted = (user, role, command.key)
        if session_id and (session is None or (session.user, session.role, session.key) != wanted):
            return ErrorCode.UNKNOWN_SESSION
        kept = session.window if session else 0
        granted = min(command.window or kept or WINDOW_DEFAULT, WINDOW_MAX)
        if role is Role.MARKET_DATA:
            granted = 1  # it has no commands to remember
        more = granted - kept
        theirs = self._windows_of.get(command.key, 0) if command.key else 0
        if self.windows_sum + more > WINDOWS_SUM_MAX or theirs + more > WINDOWS_PER_KEY_MAX:
            return ErrorCode.TOO_MANY_SESSIONS
        if session is None:
            self.last_session_id += 1
            session = Session(self.last_session_id, user, 0, deque(), role, key=command.key)
            self._sessions[session.session_id] = session
        self._resize(session, granted)
        self._attached.pop(session.attach_number, None)
        self._attached[attach_number] = session
        session.attach_number = attach_number
        self._expire_at(session, 0)
        session.flags = command.flags
        session.user_first, session.user_last = command.user_first, command.user_last
        session.grace_ms = command.grace_ms
        return session

    def _resize(self, session: Session, window: int) -> None:
        """Grant a window; a smaller one forgets the oldest responses, as if they had aged out."""
        if window != session.window:
            self._count(session.key, window - session.window)
            session.window = window
            session.remembered = deque(session.remembered, maxlen=window)

    def _count(self, key: int, more: int) -> None:
        """Count windows granted, or given back."""
        self.windows_sum += more
        theirs = self._windows_of.pop(key, 0) + more
        if theirs:
            self._windows_of[key] = theirs

    def detach(
        self, session_id: int, attach_number: int, time_ns: int, expiry_ns: int
    ) -> Session | None:
        """Let a connection go; None, ignored, when its attachment is not the current one.

        The session outlives the grace of its orders; one for market data ends at once.
        """
        session = self._sessions.get(session_id)
        if session is None or session.attach_number != attach_number:
            return None
        del self._attached[attach_number]
        session.attach_number = 0
        if session.role is Role.MARKET_DATA:
            self._forget(session)
            return session
        self._expire_at(session, time_ns + max(expiry_ns, session.grace_ns + 1))
        return session

    def _expire_at(self, session: Session, expires_ns: int) -> None:
        """Set when a session is forgotten, 0 for never."""
        if session.expires_ns:
            self._timers.remove((session.expires_ns, SESSION, session.session_id, 0))
        session.expires_ns = expires_ns
        if expires_ns:
            self._timers.add((expires_ns, SESSION, session.session_id, 0))

    def close(self, session_id: int, attach_number: int) -> bool:
        """Forget a session at its holder's wish; False when the attachment is not current."""
        session = self._sessions.get(session_id)
        if session is None or session.attach_number != attach_number:
            return False
        del self._attached[attach_number]
        self._forget(session)
        return True

    def _forget(self, session: Session) -> None:
        self._expire_at(session, 0)
        self._count(session.key, -session.window)
        del self._sessions[session.session_id]

    def expire(self, entry: Entry) -> None:
        """Forget a session whose time has come."""
        self._forget(self._sessions[entry.due[2]])

    def __iter__(self) -> Iterator[Session]:
        """Iterate sessions by ascending id."""
        return iter([self._sessions[key] for key in sorted(self._sessions)])

    def restore(self, session: Session) -> None:
        """Take over a dumped session."""
        self._sessions[session.session_id] = session
        self._count(session.key, session.window)
        if session.attach_number:
            self._attached[session.attach_number] = session
        elif session.expires_ns:
            self._timers.add((session.expires_ns, SESSION, session.session_id, 0))

    def check(self) -> None:
        """Check positions, windows and attachments."""
        if self.windows_sum != sum(session.window for session in self._sessions.values()):
            raise InvariantViolation("the sum of windows is wrong")
        if self.windows_sum != sum(self._windows_of.values()):
            raise InvariantViolation("the sums of windows per key are wrong")
        due = sorted((s.expires_ns, s.session_id) for s in self._sessions.values() if s.expires_ns)
        entries = [entry.due for entry in self._timers.entries() if entry.due[1] == SESSION]
        if due != [(due_ns, session_id) for due_ns, _, session_id, _ in entries]:
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
