"""The clients of a play: a session each, what it may do, and what its connection should receive.

Owns the connections of one play's venue and the naive sessions beside them; turns each step into a
run of frames and says what should come back. A Play drives it; one thread. Relies on
naive_exchange.py, naive_session.py and naive_permissions.py for what should happen.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from hpe.core.contract import SYSTEM_CONNECTION, Run
from hpe.protocol.base import Reply, Request, type_number
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.enums import Role
from hpe.protocol.frames import chunk_of
from hpe.protocol.internal import (
    InternalResponse,
    KeysValid,
    KeysValidResponse,
    SessionAttached,
    SessionAttachedResponse,
    SessionClosed,
    SessionClosedResponse,
    SessionDetached,
    Tick,
    TickResponse,
)
from hpe.protocol.limits import INTERNAL_FIRST
from tests.model.commands import addressed
from tests.support.core_driver import Venue, VenueClient, frames_of
from tests.support.naive_busy import is_busy
from tests.support.naive_exchange import NaiveExchange
from tests.support.naive_permissions import permitted, users_of
from tests.support.naive_session import NaiveSession
from tests.support.naive_state import Told

USERS: Final = (1, 2, 3, 2, 1, 4)
"""One session each; some of them are of one user."""

ROLES: Final = (*(Role.ANONYMOUS,) * 3, Role.TRADER, Role.GATEWAY, Role.OPERATOR)
"""What each session may do."""

KEYS: Final = (0, 0, 0, 1, 2, 3)
"""The number of the key that each session has."""

GATEWAY_USERS: Final = (1, 2)
WINDOW: Final = 4

_encode = msgspec.msgpack.Encoder().encode


class PlayStep(NamedTuple):
    """A command with placeholders, who sends it, and how many units after the one before.

    With a wait of 0 it is in the same batch. Internal commands are about who sends them: their
    ids are placeholders too.
    """

    place: int
    command: Request
    wait: int


class Exchanged(NamedTuple):
    """A step as the core gets it, and what its connection should receive."""

    run: Run
    connection: int
    expected: list[Reply]


class Seats:
    """All clients of one play, by place."""

    def __init__(self, venue: Venue, naive: NaiveExchange) -> None:
        self.venue = venue
        self.naive = naive
        self.state = naive.state
        self.clients: list[VenueClient] = []
        self.sessions: list[NaiveSession] = []
        self.sent: list[list[tuple[int, bytes]]] = [[] for _ in USERS]
        self.last_session_id = 0
        self.revoked: set[int] = set()

    def allowed(self, place: int) -> tuple[int, int]:
        """Return the first and the last user for which a place may act."""
        user, role = USERS[place], ROLES[place]
        return users_of(role, *(GATEWAY_USERS if role is Role.GATEWAY else (user, user)))

    def open(self, user: int, place: int | None = None) -> VenueClient:
        """Begin a session in a batch of its own: of a place, or of somebody beside them."""
        granted = {} if place is None else self._granted(place)
        window = 1 if place is None else WINDOW
        client = self.venue.attach(user, 0, window, **granted)
        self.last_session_id += 1
        self._tell_attached(self.last_session_id, place, 0, 0)
        if place is not None:
            self.clients.append(client)
            session = NaiveSession(self.last_session_id, user, window)
            session.attach_number = client.attach_number
            self.sessions.append(session)
        return client

    def _granted(self, place: int) -> dict[str, int]:
        first, last = self.allowed(place)
        granted = {"role": ROLES[place], "user_first": first, "user_last": last}
        return {**granted, "key": KEYS[place]}

    def _tell_attached(self, session: int, place: int | None, flags: int, grace_ms: int) -> None:
        key, role = (0, Role.ANONYMOUS) if place is None else (KEYS[place], ROLES[place])
        self.naive.attach(session, flags, grace_ms, key, role is Role.OPERATOR)

    # --- steps ------------------------------------------------------------------------------------

    def is_logged(self, step: PlayStep) -> bool:
        """True if a step gets a sequence: not where nobody listens, nor what may not be."""
        if is_internal(step.command):
            return True
        return self.sessions[step.place].attach_number != 0 and self.may(step.place, step.command)

    def may(self, place: int, request: Request) -> bool:
        """True if a place's session may send a request."""
        return permitted(ROLES[place], self.allowed(place), USERS[place], request)

    def address(self, place: int, command: Request) -> Request:
        """Return a command with its sender's next request id, and ids and times of now."""
        request_id = self.clients[place].next_id()
        return addressed(command, request_id, self.state.orders, self.state.time_ns)

    def carry_out(self, step: PlayStep, told: list[Told]) -> Exchanged:
        """Let the naive exchange do a step; `told` gets the reports that come of it."""
        if is_internal(step.command):
            return self._internal(step, told)
        place, client, session = step.place, self.clients[step.place], self.sessions[step.place]
        request = self.address(place, step.command)
        run, number = client.run(request), client.attach_number
        if not session.attach_number:
            return Exchanged(run, number, [])
        if not self.may(place, request):
            return Exchanged(run, number, [refusal(request, ErrorCode.NOT_AUTHORIZED)])
        if is_busy(self.state, client.user, request):
            return Exchanged(run, number, [refusal(request, ErrorCode.BUSY)])
        response = self.naive.execute(client.user, request, session.session_id)
        body = _encode(request)
        session.executed(request.request_id, body, _encode(response))
        self.sent[place].append((request.request_id, body))
        reports = self.naive.taken_reports()
        told += reports
        bare = [report for _, report in reports if report.request_id]
        return Exchanged(run, number, [*bare, response])

    # --- internal commands ------------------------------------------------------------------------

    def _internal(self, step: PlayStep, told: list[Told]) -> Exchanged:
        command, session = step.command, self.sessions[step.place]
        if isinstance(command, SessionAttached):
            command = self._attach_command(step.place, command)
            response = self._attached(step.place, command)
        elif isinstance(command, SessionDetached | SessionClosed):
            number = session.attach_number
            command = replace(
                command, session_id=session.session_id, attach_number=number or 1_000_000
            )
            response = self._left(session, command)
        elif isinstance(command, KeysValid):
            self._keys_valid(command)
            response = KeysValidResponse(command.request_id, 0, self.state.sequence)
        else:
            assert isinstance(command, Tick)
            self.naive.tick()
            response = TickResponse(command.request_id, 0, self.state.sequence)
        told += self.naive.taken_reports()
        run = Run(SYSTEM_CONNECTION, 0, 0, chunk_of(frames_of([command])))
        return Exchanged(run, SYSTEM_CONNECTION, [response])

    def _keys_valid(self, command: KeysValid) -> None:
        """Close the sessions of keys that are gone, attached or not, by ascending id."""
        self.naive.tick()
        self.revoked = set(KEYS) - {0} - {key.number for key in command.keys}
        theirs = [place for place, key in enumerate(KEYS) if key in self.revoked]
        there = [self.sessions[place] for place in theirs if not self.sessions[place].closed]
        self.naive.revoked = sorted(session.session_id for session in there)
        self.naive.close_revoked()
        self.forget_revoked()

    def forget_revoked(self) -> None:
        """Notice which sessions the naive exchange has closed because their key was revoked."""
        for session, key in zip(self.sessions, KEYS, strict=False):
            if key in self.revoked and session.session_id not in self.naive.revoked:
                session.closed, session.attach_number = True, 0

    def _attach_command(self, place: int, command: SessionAttached) -> SessionAttached:
        session = self.sessions[place]
        return replace(
            command,
            request_id=next(self.venue.attach_numbers),
            session_id=0 if session.closed else session.session_id,
            user=USERS[place],
            window=command.window or (WINDOW if session.closed else 0),
            **self._granted(place),
        )

    def _attached(self, place: int, command: SessionAttached) -> Reply:
        session = self.sessions[place]
        if command.key in self.revoked:
            self.naive.tick()
            number, code = command.request_id, ErrorCode.KEY_REVOKED
            return SessionAttachedResponse(
                number, 0, self.state.sequence, code, command.session_id, 0, 0, 0
            )
        if session.closed:
            self.last_session_id += 1
            session = NaiveSession(self.last_session_id, USERS[place], WINDOW)
            self.sessions[place], self.sent[place] = session, []
        session.attach_number = command.request_id
        session.resize(max(command.window or session.window, len(session.remembered)))
        self._tell_attached(session.session_id, place, command.flags, command.grace_ms)
        response = SessionAttachedResponse(
            command.request_id, 0, self.state.sequence, 0, session.session_id, session.window,
            session.last_request_id, self.state.private.get(USERS[place], 0), 0,
            self.state.time_ns,
        )  # fmt: skip
        self.clients[place] = VenueClient(self.venue, USERS[place], response)
        self.sent[place] = [e for e in self.sent[place] if e[0] <= session.last_request_id]
        return response

    def _left(self, session: NaiveSession, command: SessionDetached | SessionClosed) -> Reply:
        was_there, session.attach_number = session.attach_number, 0
        kind = InternalResponse
        if isinstance(command, SessionClosed):
            kind = SessionClosedResponse
        if not was_there:
            self.naive.tick()
        elif isinstance(command, SessionClosed):
            session.closed = True
            if session.session_id in self.naive.revoked:
                self.naive.revoked.remove(session.session_id)
            self.naive.close(session.session_id, command.flags)
        else:
            self.naive.detach(session.session_id)
        return kind(command.request_id, 0, self.state.sequence)


def is_internal(command: Request) -> bool:
    """True if no client may send a command."""
    return type_number(type(command)) >= INTERNAL_FIRST


def refusal(request: Request, code: ErrorCode) -> Error:
    """Make the answer to a request that is not executed, without the words."""
    retryable = code is ErrorCode.BUSY
    return Error(request.request_id, 0, code, "", "", retryable, False, False)


def without_words(reply: Reply) -> Reply:
    """Leave out what of an error is for people."""
    return replace(reply, name="", message="") if isinstance(reply, Error) else reply
