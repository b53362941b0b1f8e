"""One TCP connection: a reader task and a writer task around one session.

Owns the socket of one client from accept to close; all of it runs in the Trio loop, `deliver`
and `act` are called by the dispatcher. Guarantees: only the writer sends, everything that waits
goes in one send; a client that does not read stops being read, and is cut when it took no byte
for STALL_S while data waited; whatever goes wrong here ends this connection only; the last
bytes arrive (rules of closing: send, shut down our side, read until the client closed, close).
Relies on the switchboard to deliver in order.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable
from typing import Final, NamedTuple

import trio

from hpe.errors import HpeError, InvariantViolation, WalError
from hpe.messages import LOGON_BYTES_MAX, REQUEST_BYTES_MAX, ErrorCode
from hpe.net.credits import FRAMES_MIN, Account
from hpe.net.framing import Chunk, FrameScanner
from hpe.net.session import State, Step, error_frame
from hpe.net.switchboard import Switchboard

LOGGER: Final = logging.getLogger("hpe.net")

RECEIVE_BYTES: Final = 64 * 1024
"""One read: about a thousand orders, a few batches; more would only wait in our memory."""

STALL_S: Final = 2.0
"""A client that took no byte for this long while data waited is cut; it may resume."""

WAITING_BYTES_MAX: Final = 16 * 1024 * 1024
"""Replies waiting for one client. Requests in flight bound them too, but not their size."""

FAREWELL_S: Final = 2.0
"""How long a client may take to close after we did. Closing with unread input would destroy the
last reply (the kernel then sends a reset)."""


KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""A peer that vanished without a word is noticed by the kernel after 45 s of silence."""


class ConnectionFault(HpeError):
    """The client does not keep up; the connection is cut, its session may be resumed."""


class Limits(NamedTuple):
    """What the configuration says about connections."""

    logon_timeout_s: float


class Connection:
    """One client over TCP; `serve` is its whole life."""

    def __init__(self, stream: trio.SocketStream, switchboard: Switchboard, limits: Limits) -> None:
        self._stream = stream
        self._switchboard = switchboard
        self._account = Account(switchboard.credits)
        self._scanner = FrameScanner(LOGON_BYTES_MAX)
        # Replies for the writer, and the credits to give back once they are sent.
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._owed_frames = 0
        self._owed_bytes = 0
        self._bell = trio.lowlevel.ParkingLot()
        # Set when this side will say nothing further, and when the writer may end.
        self._muted = False
        self._finished = False
        self._overflow = False
        self._attached = trio.Event()
        # Not set while the core has a hello or logout of this connection: what it executes is
        # answered, also when the service stops meanwhile.
        self._settled = trio.Event()
        self._settled.set()
        self._life = trio.CancelScope()
        self._reading = trio.CancelScope(deadline=trio.current_time() + limits.logon_timeout_s)
        self._stopped = False
        for option in KEEPALIVE:
            stream.setsockopt(*option)
        self.session = switchboard.enter(self)

    # --- called by others in the loop ---------------------------------------------------------

    def deliver(self, frames: bytes, count: int, size: int) -> None:
        """Send frames; then give back the credits of `count` requests of `size` bytes."""
        self._owed_frames += count
        self._owed_bytes += size
        if frames and not self._muted:
            if self._waiting_bytes > WAITING_BYTES_MAX:
                self._overflow = True
                self._life.cancel()
            self._waiting.append(frames)
            self._waiting_bytes += len(frames)
        if self._bell:
            self._bell.unpark_all()

    def act(self, step: Step) -> None:
        """Do what the session decided."""
        if step.run is not None:
            self._settled = trio.Event()
            self._switchboard.offer(self.session.connection, step.run, trio.current_time())
        else:
            self._settled.set()
        if step.reply:
            self.deliver(step.reply, 0, 0)
        if step.end:
            self._muted = True
            self.stop_reading()
        elif self.session.state is State.ATTACHED and not self._attached.is_set():
            self._account.frames_max = max(FRAMES_MIN, self.session.window)
            self._scanner.body_bytes_max = REQUEST_BYTES_MAX
            self._attached.set()

    def stop_reading(self) -> None:
        """Take no further request; end once everything is answered."""
        self._stopped = True
        self._reading.cancel()

    # --- the connection's own tasks -----------------------------------------------------------

    async def serve(self) -> None:
        """Serve until either side ends it.

        Raises:
            ConnectionFault: the client did not take its replies.
            trio.BrokenResourceError: and other faults of the socket, in groups.
        """
        try:
            with self._life:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
                    await self._settled.wait()
                    self._detach()
                    await self._account.wait_answered()
                    self._finished = True
                    self._bell.unpark_all()
                await say_farewell(self._stream)
        finally:
            self._switchboard.leave(self)
            # Frames still in the pipeline are given back when their batch is routed.
            self._account.release(self._owed_frames, self._owed_bytes)
            await trio.aclose_forcefully(self._stream)
        if self._overflow:
            raise ConnectionFault(f"more than {WAITING_BYTES_MAX} bytes wait to be read")

    def _detach(self) -> None:
        run = self.session.end()
        if run is not None:
            self._switchboard.offer(self.session.connection, run, trio.current_time())

    async def _read(self) -> None:
        """Read until the client's input is over, something fatal came, or `stop_reading`."""
        with self._reading:
            while True:
                data = await self._stream.receive_some(RECEIVE_BYTES)
                if not data:
                    return
                now_s = trio.current_time()
                for chunk in self._scanner.feed(bytes(data)):
                    await self._take(chunk, now_s)
                if self._scanner.error is not None:
                    error = self._scanner.error
                    await self._end(self.session.refuse(error.code, str(error)))
        if self._reading.cancelled_caught and not self._stopped:
            self.act(self.session.refuse(ErrorCode.LOGON_TIMEOUT))

    async def _take(self, chunk: Chunk, now_s: float) -> None:
        if self.session.state is State.ATTACHED and not chunk.control:
            await self._account.acquire(chunk.count, len(chunk.frames))
            run = self.session.requests(chunk)
            if run is not None:
                self._switchboard.offer(self.session.connection, run, now_s)
            else:  # replaced while it waited
                self._account.release(chunk.count, len(chunk.frames))
            return
        step = self.session.control(chunk)
        if step.end:
            await self._end(step)
            return
        self.act(step)
        if self.session.state is State.ATTACHING:
            self._reading.deadline = float("inf")
            await self._attached.wait()
        elif self.session.state is State.CLOSING:
            await trio.sleep_forever()  # logged out: `act` ends the reading

    async def _end(self, step: Step) -> None:
        """End by a fatal error: what came before it is answered first."""
        self._reading.deadline = float("inf")
        await self._account.wait_answered()
        self.act(step)
        await trio.lowlevel.checkpoint()

    async def _write(self) -> None:
        while True:
            if self._waiting:
                frames = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
                self._waiting = []
                owed = self._take_owed()
                try:
                    await self._send(frames)
                finally:  # sent or not: a client that breaks off must not keep credits
                    self._waiting_bytes -= len(frames)
                    self._account.release(*owed)
            elif self._owed_frames:
                self._account.release(*self._take_owed())
            elif self._finished:
                return
            else:
                await self._bell.park()

    def _take_owed(self) -> tuple[int, int]:
        owed = self._owed_frames, self._owed_bytes
        self._owed_frames = self._owed_bytes = 0
        return owed

    async def _send(self, frames: bytes) -> None:
        """Send everything. Not `send_all`: the deadline is for one byte, not for all of them."""
        rest = memoryview(frames)
        while rest:
            with trio.move_on_after(STALL_S) as stall:
                sent = await self._stream.socket.send(rest)
                rest = rest[sent:]
            if stall.cancelled_caught:
                raise ConnectionFault(f"no byte taken for {STALL_S} s, {len(rest)} bytes wait")


async def say_farewell(stream: trio.SocketStream) -> None:
    """Close our side and read until the client closed its side, at most FAREWELL_S."""
    await stream.send_eof()
    with trio.move_on_after(FAREWELL_S):
        while await stream.receive_some(RECEIVE_BYTES):
            pass


async def refuse_connection(stream: trio.SocketStream, code: ErrorCode) -> None:
    """Say why nobody serves this connection, and close it."""
    async with stream:
        with trio.move_on_after(FAREWELL_S):
            await stream.send_all(error_frame(0, code))
            await say_farewell(stream)


async def contain(life: Awaitable[None], name: str) -> bool:
    """Run one connection's life; whatever goes wrong in it ends there, with a log line.

    Returns:
        Whether it went wrong.

    Raises:
        InvariantViolation: and WalError: these are faults of the service.
    """
    faulty = False
    try:
        await life
    except* (InvariantViolation, WalError):
        raise
    except* (
        trio.BrokenResourceError, trio.ClosedResourceError, ConnectionFault, OSError
    ) as group:  # fmt: skip
        faulty = True
        LOGGER.info("%s ended: %s", name, _reasons(group))
    except* Exception as group:
        faulty = True
        LOGGER.error("%s ended by a fault of this side", name, exc_info=group)
    return faulty


def _reasons(group: BaseExceptionGroup[BaseException]) -> str:
    reasons = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            reasons.append(_reasons(error))
        else:
            cause = error.__cause__
            reasons.append(str(error) + (f" ({cause})" if cause is not None else ""))
    return "; ".join(dict.fromkeys(reasons))
