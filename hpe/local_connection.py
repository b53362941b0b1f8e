"""A connection without a socket: how the process that runs the engine talks to it.

Owns the transport under one RequestChannel; everything happens in calls, in the Trio loop, no task
is needed. Guarantees: the same session protocol, order and durability as over TCP, because it is
the same SessionProtocol; whatever ends the connection closes the channel. Relies on the channel's
window to bound what is in flight.
"""

from __future__ import annotations

from typing import Final

import msgspec
import trio

from hpe.client.requests import RequestChannel
from hpe.core.contract import Progress
from hpe.errors import ConnectionLost, HpeError, ProtocolError, RequestRefused
from hpe.net.delivery.switchboard import Switchboard
from hpe.net.limits.credits import CreditAccount
from hpe.net.logon import Authenticator
from hpe.net.session import State, Step, error_frame
from hpe.protocol.admission import SUBSCRIBE
from hpe.protocol.codes import NO_STREAMS
from hpe.protocol.control import Error, Hello, Logout, Welcome
from hpe.protocol.frames import body_of, chunk_of, encode_frame
from hpe.protocol.limits import PROTOCOL_VERSION

_LOGON_DECODER: Final[msgspec.msgpack.Decoder[Welcome | Error]] = msgspec.msgpack.Decoder(
    Welcome | Error
)

# A program that runs the engine in its process needs no key: it could change the engine itself.
_EVERYBODY: Final = Authenticator(None)


class LocalConnection:
    """One in-process session. `closed` tells that a new one is needed."""

    def __init__(self, switchboard: Switchboard, timeout_s: float) -> None:
        self._switchboard = switchboard
        self._timeout_s = timeout_s
        self._account = CreditAccount(switchboard.credits)
        self._logged_on = trio.Event()
        self._channel: RequestChannel | None = None
        self._failure: HpeError | None = None
        self.answered = 0
        self.session = switchboard.enter(self, _EVERYBODY)

    @property
    def closed(self) -> bool:
        """True if nothing further can be sent."""
        return self._failure is not None

    @property
    def channel(self) -> RequestChannel | None:
        """The channel; None before the session is attached."""
        return self._channel

    def log_on(self, user: int, session_id: int = 0, window: int = 0) -> None:
        """Ask for a session; `wait_channel` gives it."""
        self._send(encode_frame(Hello(1, PROTOCOL_VERSION, user, session_id, window, "local")))

    async def wait_channel(self) -> RequestChannel:
        """Return the channel once the session is attached, durably.

        Raises:
            RequestRefused: the session was refused.
            ConnectionLost: the engine stopped first.
        """
        await self._logged_on.wait()
        if self._channel is None:
            assert self._failure is not None
            raise self._failure
        return self._channel

    def log_out(self) -> None:
        """Close the session for good, if it is attached and the engine still serves."""
        if self.session.state is State.ATTACHED:
            self._send(encode_frame(Logout(1)))

    def close(self, reason: HpeError) -> None:
        """End the connection; the session is detached and can be taken again."""
        if self._failure is not None:
            return
        self._failure = reason
        self._logged_on.set()
        if self._channel is not None:
            self._channel.close(reason)
        self._switchboard.leave(self)

    # --- the switchboard's side ---------------------------------------------------------------

    def deliver(self, frames: bytes, count: int, size: int) -> None:
        """Hand frames to the channel and give credits back."""
        self.answered += count
        self._account.release(count, size)
        if not frames or self.closed:
            return
        if self._channel is None:
            self._logon_answer(frames)
            return
        try:
            self._channel.feed(frames)
        except (ProtocolError, RequestRefused) as error:  # broken, or told that it is over
            self.close(error)

    def note(self, progress: Progress) -> None:
        """Note how far the core is; the host's own program pays for nothing."""
        self.session.highest_id = max(self.session.highest_id, progress.highest_id)

    def act(self, step: Step) -> None:
        """Do what the session decided."""
        if step.run is not None:
            key = self.session.connection
            self._switchboard.offer(key, step.run, trio.current_time())
        if step.stream is not None:
            self._refuse_stream(step.stream.request_id)
        if step.reply:
            self.deliver(step.reply, 0, 0)
        if step.end:
            self.close(ConnectionLost("the session has ended"))

    def deliver_soon(self, frames: bytes, count: int, size: int) -> None:
        """Do the same: no call of the system is worth waiting for others here."""
        self.deliver(frames, count, size)

    def flush(self) -> None:
        """Nothing to do: what is delivered here is there."""

    def stop_reading(self) -> None:
        """Nothing to do: what is sent from now on finds no sequencer, and `close` follows."""

    # --- inside -------------------------------------------------------------------------------

    def _send(self, frame: bytes) -> None:
        """Take one frame from the channel, as a reader would."""
        chunk = chunk_of(frame)
        if chunk.control:
            self.act(self.session.control(chunk))
            return
        if chunk.classes == SUBSCRIBE:
            self._refuse_stream(chunk.table[0][3])
            return
        run = self.session.requests(chunk)
        if run is not None:
            idle = not self._account.frames
            self._account.take(1, len(frame))
            for rest in self._switchboard.refuse_orders(self, run) if idle else [run]:
                self._switchboard.offer(self.session.connection, rest, trio.current_time())

    def _refuse_stream(self, request_id: int) -> None:
        self.deliver(error_frame(request_id, *NO_STREAMS), 0, 0)

    def _logon_answer(self, frames: bytes) -> None:
        reply = _LOGON_DECODER.decode(body_of(frames))
        if isinstance(reply, Error):
            self.close(
                RequestRefused(
                    reply.request_id, reply.code, reply.name, reply.message, reply.retryable
                )
            )
            return
        self._channel = RequestChannel(
            self._send,
            session_id=reply.session_id,
            window=reply.window,
            last_request_id=reply.last_request_id,
            timeout_s=self._timeout_s,
        )
        self._logged_on.set()
