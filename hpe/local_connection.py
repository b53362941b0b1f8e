"""A connection without a socket, for the process that runs the engine.

Owns the transport under one in-process session. Requests and replies are passed in calls, in the
Trio loop; streams need `run`, one task per connection, which passes on their waiting data.
Guarantees: the same session protocol, order, streams and durability as over TCP, because it uses
the same SessionProtocol and SendQueue; whatever ends the connection ends the client's session.
Relies on the channel's window to bound what is in flight, and on the client's streams to bound what
they keep.
"""

from __future__ import annotations

from typing import Final

import msgspec
import trio

from hpe.client.session import ClientSession
from hpe.core.output.private_ring import Overrun
from hpe.errors import ConnectionLost, HpeError, ProtocolError, RequestRefused
from hpe.net.delivery.switchboard import Switchboard
from hpe.net.limits.credits import CreditAccount
from hpe.net.logon import Authenticator
from hpe.net.send_queue import SendQueue
from hpe.net.session import State, Step
from hpe.protocol.control import Error, Hello, Logout, Welcome
from hpe.protocol.frames import Chunk, body_of, chunk_of, encode_frame
from hpe.protocol.limits import PROTOCOL_VERSION

_LOGON_DECODER: Final[msgspec.msgpack.Decoder[Welcome | Error]] = msgspec.msgpack.Decoder(
    Welcome | Error
)

# A program that runs the engine in its process needs no key: it could change the engine itself.
_EVERYBODY: Final = Authenticator(None)


class LocalConnection:
    """One in-process session.

    Args:
        switchboard: the engine's switchboard.
        user: the session's user.
        timeout_s: deadline of its requests.
        session_id: an earlier session to resume, 0 for a new one.
        window: commands in flight, 0 for the default.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        user: int,
        timeout_s: float,
        session_id: int = 0,
        window: int = 0,
    ) -> None:
        self._switchboard = switchboard
        self._user = user
        self._timeout_s = timeout_s
        self._account = CreditAccount(switchboard.credits)
        self._logged_on = trio.Event()
        self._client: ClientSession | None = None
        self._failure: HpeError | None = None
        self._offered = 0
        self.answered = 0
        self.session = switchboard.enter(self, _EVERYBODY)
        ring, pool = switchboard.streams.ring, switchboard.credits
        self._send_queue = SendQueue(self.session.connection, ring, pool)
        self._send(encode_frame(Hello(1, PROTOCOL_VERSION, user, session_id, window, "local")))

    @property
    def closed(self) -> bool:
        """True if nothing further can be sent: a new connection is needed."""
        return self._failure is not None

    @property
    def client_session(self) -> ClientSession | None:
        """The session; None before it is attached."""
        return self._client

    async def wait_session(self) -> ClientSession:
        """Return the session once it is attached, durably.

        Raises:
            RequestRefused: the session was refused.
            ConnectionLost: the engine stopped first.
        """
        await self._logged_on.wait()
        if self._client is None:
            assert self._failure is not None
            raise self._failure
        return self._client

    async def run(self, task_status: trio.TaskStatus[ClientSession]) -> None:
        """Report start once the session is attached; pass on streams until the session has ended.

        Raises:
            RequestRefused: and ConnectionLost: as `wait_session`.
        """
        task_status.started(await self.wait_session())
        while not self.closed:
            if self._send_queue.waits:
                self._hand_over()
                await trio.lowlevel.checkpoint()
            else:
                await self._send_queue.wait()

    def log_out(self) -> None:
        """Close the session for good, if it is attached and the engine still serves."""
        if self.session.state is State.ATTACHED:
            self._send(encode_frame(Logout(1)))

    def close(self, reason: HpeError) -> None:
        """End the connection; the session is detached and can be resumed."""
        if self._failure is not None:
            return
        self._failure = reason
        self._logged_on.set()
        if self._client is not None:
            self._client.end(reason)
        self._switchboard.leave(self)
        self._switchboard.streams.leave(self._send_queue)
        self._account.release(*self._send_queue.discard())
        self._send_queue.ring()

    # --- the switchboard's side ---------------------------------------------------------------

    def deliver(self, frames: bytes, count: int, size: int) -> None:
        """Pass frames to the client at once, after what waits, and return credits."""
        self.answered += count
        if self.closed:
            self._account.release(count, size)
            return
        self._send_queue.add(frames, count, size)
        self._hand_over()
        while self._send_queue.reply_bytes and not self.closed:
            self._hand_over()
        if self._send_queue.waits:
            self._send_queue.ring()  # `run` continues

    def note(self, highest_id: int, idle: int, idle_cancels: int) -> None:
        """Charge nothing for commands that changed nothing: the host program pays for nothing."""
        self.session.highest_id = max(self.session.highest_id, highest_id)

    def act(self, step: Step) -> None:
        """Carry out a step of the session."""
        if step.run is not None:
            key = self.session.connection
            self._switchboard.offer(key, step.run, trio.current_time())
        if step.reply:
            self.deliver(step.reply, 0, 0)
        if step.end:
            self.close(ConnectionLost("the session has ended"))

    def deliver_soon(self, frames: bytes, count: int, size: int) -> None:
        """Pass frames to the channel; there is no system call that could be deferred."""
        self.deliver(frames, count, size)

    def flush(self) -> None:
        """Do nothing: frames are already delivered."""

    def stop_reading(self) -> None:
        """Do nothing: later requests find no sequencer, and `close` follows."""

    # --- inside -------------------------------------------------------------------------------

    def _send(self, frame: bytes) -> None:
        """Accept one frame from the channel, like a reader."""
        chunk = chunk_of(frame)
        if chunk.control:
            self._control(chunk)
            return
        run = self.session.requests(chunk)
        if run is None:
            return
        switchboard = self._switchboard
        idle = not self._account.frames
        self._account.take(1, len(frame))
        self._offered += 1
        for piece in switchboard.refuse_orders(self, run) if idle else [run]:
            for part in switchboard.streams.admit(self._send_queue, piece, self._offered):
                switchboard.offer(self.session.connection, part, trio.current_time())

    def _control(self, chunk: Chunk) -> None:
        """Answer a control message; `run` passes the answer on, after the call that sent it."""
        step = self.session.control(chunk)
        if step.stream is not None:
            streams = self._switchboard.streams
            reply = streams.carry_out(self._send_queue, step.stream, self.session.user)
            self._send_queue.put(reply, 0, 0)
        elif step.end or step.run is not None:
            self.act(step)
        else:
            self._send_queue.put(step.reply, 0, 0)

    def _hand_over(self) -> None:
        """Pass the next data to the client; its credits return."""
        try:
            parcel = self._send_queue.take()
        except Overrun as overrun:
            # Only if the loop was blocked for as long as the ring reaches back.
            self.close(ConnectionLost(f"the private stream fell too far behind: {overrun}"))
            return
        if parcel is None:
            return
        self._account.release(parcel.frames, parcel.size)
        if not parcel.data:
            return
        if self._client is None:
            self._logon_answer(parcel.data)
            return
        try:
            self._client.requests.feed(parcel.data)
        except (ProtocolError, RequestRefused) as error:  # broken, or told that it has ended
            self.close(error)

    def _logon_answer(self, frames: bytes) -> None:
        reply = _LOGON_DECODER.decode(body_of(frames))
        if isinstance(reply, Error):
            self.close(
                RequestRefused(
                    reply.request_id, reply.code, reply.name, reply.message, reply.retryable
                )
            )
            return
        self._client = ClientSession(self._send, self._user, reply, self._timeout_s)
        self._logged_on.set()
