"""The table of connections: which exist, and where each output of the core goes.

Owns connection numbers, attach numbers and the routing of replies; used from the Trio loop
only: by connections (enter, leave), by the dispatcher (route) and by the engine (start, stop).
Guarantees: replies of one connection are delivered in the order in which the core made them;
the answer to an internal command is acted on after the replies of the same batch; credits of a
batch are returned even if its connection is gone; nothing refers to an output once it is routed,
however slowly its replies are read. Relies on getting only what the log has published.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Final, Protocol

import msgspec
import trio

from hpe.core.contract import (
    CUT_ROW,
    PROGRESS_ROW,
    REPLY_ROW,
    SYSTEM_CONNECTION,
    Output,
    Run,
)
from hpe.errors import InvariantViolation
from hpe.net.delivery.streams import Streams
from hpe.net.limits.credits import CreditPool
from hpe.net.logon import Authenticator
from hpe.net.session import NOTHING, ServiceFacts, SessionProtocol, State, Step, internal_run
from hpe.net.stalled import refuse_orders
from hpe.protocol.base import Request, type_number
from hpe.protocol.frames import split_frames
from hpe.protocol.internal import (
    ConfigureResponse,
    InternalResponse,
    KeysValidResponse,
    SessionAttachedResponse,
    SessionClosedResponse,
    TickResponse,
)

_Internal = (
    SessionAttachedResponse
    | InternalResponse
    | SessionClosedResponse
    | TickResponse
    | ConfigureResponse
    | KeysValidResponse
)
_INTERNAL_DECODER: Final[msgspec.msgpack.Decoder[_Internal]] = msgspec.msgpack.Decoder(_Internal)


FLUSHES_AT_ONCE: Final = 256
"""Connections that send before other tasks run: some milliseconds."""


class Intake(Protocol):
    """The sequencer, as connections see it."""

    def offer(self, key: int, run: Run, read_at_s: float) -> None:
        """Hand over a run.

        Runs of one queue keep their order; the queue is the number of the connection that caused
        the run.
        """

    def stalled(self) -> bool:
        """True if the log is so far behind that new orders would be answered too late."""

    def has_room(self, key: int) -> bool:
        """True if a connection should be read further."""

    async def wait_room(self, key: int) -> None:
        """Wait until it should."""


class Port(Protocol):
    """A connection as the switchboard sees it. No method waits.

    `answered` counts the requests whose answers were delivered to it.
    """

    session: SessionProtocol
    answered: int

    def deliver(self, frames: bytes, count: int, size: int) -> None:
        """Send frames; then return the credits of `count` requests of `size` bytes."""

    def note(self, highest_id: int, idle: int, idle_cancels: int) -> None:
        """Note the progress of a run that this connection sent; see PROGRESS_ROW."""

    def act(self, step: Step) -> None:
        """Carry out a step of the session."""

    def deliver_soon(self, frames: bytes, count: int, size: int) -> None:
        """Deliver at once, or request a `flush` by `to_flush`; only the dispatcher calls this."""

    def flush(self) -> None:
        """Send what waits."""

    def stop_reading(self) -> None:
        """Accept no further request; end once everything is answered."""


class Switchboard:
    """All connections of one engine.

    Args:
        intake: the sequencer.
        facts: facts about the service, for sessions.
        credits: the pool in which requests in flight are counted.
        last_attach_number: the highest one in the recovered state.
        authenticator: decides who may log on, and as which user.
        streams: what connections follow.

    Attributes:
        accepted: number of connections so far.
        stalled: number of new orders refused here because the log was stalled.
        to_flush: connections that have delivered data to send, each once.
    """

    def __init__(
        self,
        intake: Intake,
        facts: ServiceFacts,
        credits: CreditPool,
        last_attach_number: int,
        *,
        authenticator: Authenticator,
        streams: Streams,
    ) -> None:
        self.intake = intake
        self.offer = intake.offer
        self.facts = facts
        self.credits = credits
        self.authenticator = authenticator
        self.streams = streams
        self.accepted = 0
        self.stalled = 0
        self.to_flush: deque[Port] = deque()
        self._last_attach_number = last_attach_number
        self._ports: dict[int, Port] = {}
        self._by_attach: dict[int, Port] = {}
        self._by_session: dict[int, Port] = {}
        self._internal: dict[tuple[int, int], trio.Event] = {}

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._ports)

    @property
    def strangers(self) -> int:
        """Return the number of connections that have no session."""
        return len(self._ports) - len(self._by_session)

    def enter(self, port: Port, authenticator: Authenticator | None = None) -> SessionProtocol:
        """Register a connection under a new number and return its session.

        Args:
            port: the connection.
            authenticator: decides about this connection, instead of the engine's.
        """
        self.accepted += 1
        session = SessionProtocol(
            self.accepted,
            self._take_attach_number,
            self.facts,
            authenticator if authenticator is not None else self.authenticator,
        )
        self._ports[session.connection] = port
        return session

    def leave(self, port: Port) -> None:
        """Forget a connection; detach its session unless that has already happened."""
        session = port.session
        self._ports.pop(session.connection, None)
        run = session.leave()
        if run is not None:
            self.offer(session.connection, run, trio.current_time())
        if self._by_session.get(session.session_id) is port:
            del self._by_session[session.session_id]
        if session.session_id:  # otherwise its attachment may still be on the way
            self._by_attach.pop(session.attach_number, None)

    def refuse_orders(self, port: Port, run: Run) -> list[Run]:
        """Refuse new orders while the log is stalled; return what remains for the core.

        Args:
            port: the connection that sends them, which has nothing unanswered.
            run: the requests.
        """
        if run.admit or not self.intake.stalled():
            return [run]
        refused, rest = refuse_orders(port.session, run)
        if refused.count:
            self.stalled += refused.count
            port.deliver(*refused)
        return rest

    def stop_reading(self) -> None:
        """End every connection once its requests are answered."""
        for port in list(self._ports.values()):
            port.stop_reading()

    def revoke(self, keys: Collection[str], gone: Collection[str]) -> int:
        """End the connections of keys that were removed or changed; return how many.

        Sessions of removed keys end with them.
        """
        states = (State.ATTACHING, State.ATTACHED)
        revoked = [
            port
            for port in self._ports.values()
            if port.session.grant.key_id in keys and port.session.state in states
        ]
        for port in revoked:
            step = port.session.revoke(port.session.grant.key_id in gone)
            if step is not NOTHING:  # otherwise the core's answer to its logon comes first
                port.act(step)
        return len(revoked)

    async def internal(self, commands: Sequence[Request]) -> None:
        """Execute internal commands in order and wait until the log has published them."""
        events = []
        for command in commands:
            event = trio.Event()
            self._internal[type_number(type(command)), command.request_id] = event
            events.append(event)
            self.offer(SYSTEM_CONNECTION, internal_run(command), trio.current_time())
        for event in events:
            await event.wait()

    def route(self, output: Output) -> bool:
        """Deliver one published output; True if it answers clients, whose credits go back."""
        ports, replies, internal, answers = self._ports, output.replies, b"", False
        for connection, start, end, count, size in REPLY_ROW.iter_unpack(output.reply_rows):
            if connection == SYSTEM_CONNECTION:
                internal = bytes(replies[start:end])
                continue
            answers = True
            port = ports.get(connection)
            if port is not None:
                # Nothing answers frames of an attachment that was replaced.
                port.deliver_soon(bytes(replies[start:end]), count, size)
            else:
                self.credits.give_back(size)
        for connection, *progress in PROGRESS_ROW.iter_unpack(output.progress):
            port = ports.get(connection)
            if port is not None:
                port.note(*progress)
        if output.private_rows:
            self.streams.report(output)
        self.streams.publish(output, self._answered)
        for (connection,) in CUT_ROW.iter_unpack(output.cut):
            if connection in ports:
                port = ports[connection]
                port.act(port.session.cut())
        for body in split_frames(internal):
            self._internal_answer(body)
        return answers

    async def flush(self) -> None:
        """Let connections send what was delivered to them."""
        while self.to_flush:
            self.flush_some(FLUSHES_AT_ONCE)
            await trio.lowlevel.checkpoint()

    def flush_some(self, count: int) -> None:
        """Let at most this many connections send what was delivered to them."""
        for _ in range(min(len(self.to_flush), count)):
            self.to_flush.popleft().flush()

    def _answered(self, connection: int) -> int:
        port = self._ports.get(connection)
        return port.answered if port is not None else 0

    def _internal_answer(self, body: bytes) -> None:
        try:
            response = _INTERNAL_DECODER.decode(body)
        except msgspec.DecodeError as error:
            raise InvariantViolation(f"the core refused an internal command: {error}") from error
        match response:
            case SessionAttachedResponse():
                self._attached(response)
            case SessionClosedResponse():
                port = self._by_attach.get(response.request_id)
                if port is not None:
                    port.act(port.session.closed())
        event = self._internal.pop((type_number(type(response)), response.request_id), None)
        if event is not None:
            event.set()

    def _attached(self, response: SessionAttachedResponse) -> None:
        port = self._by_attach[response.request_id]
        gone = port.session.connection not in self._ports
        step = port.session.attached(response)
        if gone or response.error:
            del self._by_attach[response.request_id]
        if not response.error:
            # Even if the connection is gone, it took over the session first: the core says so.
            older = self._by_session.pop(response.session_id, None)
            if not gone:
                self._by_session[response.session_id] = port
            if older is not None:
                older.act(older.session.replaced())
        port.act(step)

    def _take_attach_number(self, connection: int) -> int:
        self._last_attach_number += 1
        self._by_attach[self._last_attach_number] = self._ports[connection]
        return self._last_attach_number
