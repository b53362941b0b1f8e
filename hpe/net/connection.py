"""One TCP connection: a reader task around one session. sender.py does the sending.

Owns the socket of one client from accept to close; all of it runs in the Trio loop. The dispatcher
calls `deliver`, `flush` and `act`, the poller calls `_absorb`. Guarantees: a client that does not
read is not read from, whatever it asks for; a client that sends much at once lets other tasks run
in between; an error here ends this connection only; the last bytes arrive (closing.py). Relies on
the switchboard to deliver in order and on the timer wheel for every deadline except that of the
logon. Rules: protocol.md, "Limits of a connection".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from hpe.access.tls import break_cycle
from hpe.net.closing import ClientStream, ConnectionFault, close_gracefully
from hpe.net.context import ConnectionContext
from hpe.net.forwarding import Forwarder
from hpe.net.limits.credits import FRAMES_MIN, CreditAccount
from hpe.net.limits.pacing import Trickle
from hpe.net.limits.sources import SourcePlace
from hpe.net.send_queue import SendQueue
from hpe.net.sender import ConnectionSender
from hpe.net.session import State, Step
from hpe.net.sockets import RECEIVE_BYTES
from hpe.net.watchdog import Watchdog
from hpe.net.wire import Wire
from hpe.protocol.codes import ErrorCode
from hpe.protocol.frames import Chunk, FrameScanner
from hpe.protocol.limits import LOGON_BYTES_MAX, REQUEST_BYTES_MAX

CHUNKS_AT_ONCE: Final = 64
"""Handled before other tasks run: 0.5 ms of pings, more requests than one read can hold."""


class Connection:
    """One client over TCP; `serve` is its whole life.

    Args:
        stream: TLS around the wire, or the wire itself.
        wire: the socket.
        place: its place among the connections of its source.
        context: the state that it shares with other connections.

    Attributes:
        answered: number of requests that were answered, or dropped unapplied.
    """

    __slots__ = (
        "_account",
        "_context",
        "_excessive",
        "_fault",
        "_forwarder",
        "_heard_out",
        "_life",
        "_place",
        "_poller",
        "_reading",
        "_scanner",
        "_secured",
        "_send_queue",
        "_sender",
        "_settled",
        "_stopped",
        "_stream",
        "_watchdog",
        "_welcomed",
        "_wire",
        "answered",
        "session",
    )  # fmt: skip

    def __init__(
        self, stream: ClientStream, wire: Wire, place: SourcePlace, context: ConnectionContext
    ) -> None:
        switchboard = context.switchboard
        self._stream = stream
        self._wire = wire
        self._place = place
        self._context = context
        self._account = CreditAccount(switchboard.credits)
        self._scanner = FrameScanner(LOGON_BYTES_MAX)
        # Set while the core has a hello or logout, which is answered even during a stop.
        self._settled: trio.Event | None = None
        self._welcomed = False
        # The scope of the handshake first, then that of the two tasks.
        self._life = trio.CancelScope()
        # Only a stream that is sent as it is can be polled.
        self._poller = context.poller if stream is wire else None
        self._excessive = False  # True if it sends far above its rate
        self._reading = trio.CancelScope(deadline=trio.current_time() + context.logon_timeout_s)
        self._secured = stream is wire
        self._stopped = False  # True if the reason for its end was logged, or will be
        self._heard_out = False  # True if the client has closed its direction
        self._fault = ""  # why it was cut without a last frame
        self.answered = 0
        self._watchdog = Watchdog()
        self.session = switchboard.enter(self)
        ring, pool = switchboard.streams.ring, switchboard.credits
        self._send_queue = SendQueue(self.session.connection, ring, pool)
        self._sender = ConnectionSender(
            self, stream, wire, self._send_queue, self._account, self._watchdog, context
        )
        self._forwarder = Forwarder(self._send_queue, context)

    # --- called by others in the loop ---------------------------------------------------------

    def deliver(self, frames: bytes, count: int, size: int) -> None:
        """Send frames; then return the credits of `count` requests of `size` bytes."""
        self.answered += count
        self._sender.put(frames, count, size)

    def deliver_soon(self, frames: bytes, count: int, size: int) -> None:
        """Do the same when `flush` is called."""
        self.answered += count
        self._sender.put_soon(frames, count, size)

    def flush(self) -> None:
        """Send what was delivered, as far as the kernel takes it at once."""
        self._sender.flush()

    def cut(self, code: ErrorCode, text: str = "") -> None:
        """End it with one last frame instead of all that waits, unless it already has one."""
        self._account.release(*self._send_queue.discard())
        self.act(self.session.refuse(code, text))

    def drop(self, reason: str) -> None:
        """End it without a last frame."""
        self._fault = reason
        self._life.cancel()

    def note(self, highest_id: int, idle: int, idle_cancels: int) -> None:
        """Note the progress of a run that this connection sent; see PROGRESS_ROW."""
        self.session.highest_id = max(self.session.highest_id, highest_id)
        self._forwarder.note(idle, idle_cancels)

    def act(self, step: Step) -> None:
        """Carry out a step of the session."""
        self._act(step, 0, 0)

    def _act(self, step: Step, count: int, size: int) -> None:
        """Carry out a step; its answer returns these credits."""
        if self._settled is not None:
            self._settled.set()
            self._settled = None
        if step.run is not None:
            self._settled = trio.Event()
            self._context.switchboard.offer(self.session.connection, step.run, trio.current_time())
        reply = step.reply
        if step.stream is not None:
            streams = self._context.switchboard.streams
            reply = streams.carry_out(self._send_queue, step.stream, self.session.user)
        if step.end:
            if step.refusal is not None and not self._welcomed:
                log, said = self._context.logon_log, self.session.said
                log.refused(step.refusal, said, self._place.address, trio.current_time())
            self._sender.seal(reply)
            self._stop_reading()
            return
        if reply:
            self._sender.put(reply, count, size)
        else:
            self._account.release(count, size)
        if self.session.state is State.ATTACHED and not self._welcomed:
            self._welcome()

    def stop_reading(self) -> None:
        """Accept no further request; end once everything is answered."""
        if not self._secured:
            self._life.cancel()
        self._stop_reading()

    # --- the connection's own tasks -----------------------------------------------------------

    async def serve(self) -> None:
        """Serve until either side ends it.

        Raises:
            ConnectionFault: the client is gone, or did not take its replies.
            trio.BrokenResourceError: and OSError: the client left while replies were on their way.
        """
        try:
            await self._secure()
            async with trio.open_nursery() as nursery:
                self._life = nursery.cancel_scope
                self._sender.nursery = nursery
                try:
                    try:
                        await self._read()
                    except (trio.BrokenResourceError, OSError) as fault:
                        self.drop(str(fault.__cause__ or fault))  # as text: a cause makes a cycle
                    await self._end_well()
                finally:
                    self._sender.nursery = None
            if not self._life.cancel_called:
                await close_gracefully(self._stream, heard_out=self._heard_out)
        finally:
            self._part()
            self._wire.close()
        if self._fault:
            raise ConnectionFault(self._fault)

    async def _end_well(self) -> None:
        """End the session, send the answers under way, then the last frame."""
        self._watchdog.held = True
        if self._settled is not None:
            await self._settled.wait()
        self._detach()  # at once: orders may have to be canceled
        self._watchdog.queued = True
        await self._context.exits.wait()
        self._watchdog.has_turn(trio.current_time())
        await self._account.wait_answered()
        if self._stopped and not self._send_queue.sealed:
            # Give a reason, unless the client closed the connection or was already told.
            self._sender.seal(self.session.refuse(ErrorCode.SHUTTING_DOWN).reply)
        self._sender.seal()
        await self._sender.finish()

    def _welcome(self) -> None:
        self._account.frames_max = max(FRAMES_MIN, self.session.window)
        self._scanner.body_bytes_max = REQUEST_BYTES_MAX
        self._place.logged_on()
        session, now_s = self.session, trio.current_time()
        self._forwarder.begin(session.grant, session.user)
        self._sender.look_by(self._watchdog.begin(session.heartbeat_s, now_s))
        self._welcomed = True
        if session.said is not None:
            log, address = self._context.logon_log, self._place.address
            log.welcomed(session.said, session.grant, session.session_id, address, now_s)
            session.said = None

    def _stop_reading(self) -> None:
        self._stopped = True
        self._reading.cancel()

    def _detach(self) -> None:
        run = self.session.end()
        if run is not None:
            self._context.switchboard.offer(self.session.connection, run, trio.current_time())

    def _part(self) -> None:
        """Remove all references to this connection."""
        switchboard = self._context.switchboard
        switchboard.leave(self)
        switchboard.streams.leave(self._send_queue)
        self._sender.part()
        # Credits of frames still in the pipeline are returned when their batch is routed.
        self._account.release(*self._send_queue.discard())
        if isinstance(self._stream, trio.SSLStream):
            break_cycle(self._stream)

    async def _secure(self) -> None:
        """Do the TLS handshake, if there is TLS, before the logon deadline."""
        if isinstance(self._stream, trio.SSLStream):
            self._life.deadline = self._reading.deadline
            failed = "no TLS handshake in time"
            self._wire.wait_turn = self._wait_turn
            with self._life:
                try:
                    await self._stream.do_handshake()
                    self._secured = True
                except (trio.BrokenResourceError, OSError) as fault:
                    failed = f"no TLS handshake: {fault.__cause__ or fault}"
            self._wire.wait_turn = None
            if not self._secured:
                await self._context.exits.wait()
                raise ConnectionFault(failed)

    # --- reading ------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read until the client's input ends, a fatal error occurs, or `stop_reading`."""
        trickle = Trickle(self._context.machine)
        with self._reading:
            while True:
                chunks = await self._receive()
                if chunks is None:
                    self._heard_out = True
                    return
                if self._excessive:
                    await self._end(self.session.refuse(ErrorCode.RATE_EXCEEDED))
                now_s = trio.current_time()
                for number, chunk in enumerate(chunks, 1):
                    self._watchdog.heard_s = now_s  # only whole frames count, not a trickle
                    now_s = await self._take(chunk, now_s)
                    if not number % CHUNKS_AT_ONCE:
                        await trio.lowlevel.checkpoint()
                if (error := self._scanner.error) is not None:
                    await self._end(self.session.refuse(error.code, str(error)))
                if self._scanner.pending and not self._welcomed:
                    await trickle.pause()
        if self._reading.cancelled_caught and not self._stopped:
            self.act(self.session.refuse(ErrorCode.LOGON_TIMEOUT))

    async def _receive(self) -> Sequence[Chunk] | None:
        """Wait for frames and return them; None at the end of the client's input."""
        if self._poller is not None and self._welcomed:
            return await self._poller.attend(self._wire.plain, self._absorb)
        data = await self._stream.receive_some(RECEIVE_BYTES)
        return self._scanner.feed(data) if data else None

    def _absorb(self, data: memoryview) -> Sequence[Chunk] | None:
        """Process what needs no waiting; return the frames from the first one that does.

        An empty sequence stands for an end that the reader has to handle.
        """
        chunks, now_s = self._scanner.feed(data), trio.current_time()
        intake, number = self._context.switchboard.intake, self.session.connection
        for index, chunk in enumerate(chunks):
            self._watchdog.heard_s = now_s
            if chunk.control or self._account.exhausted or not intake.has_room(number):
                return chunks[index:]
            run = self.session.requests(chunk)
            if run is None:
                return chunks[index:]
            self._account.take(chunk.count, len(chunk.frames))
            if self._forwarder.offer(self, run, now_s):
                self._excessive = True
                return ()
        return None if self._scanner.error is None else ()

    async def _take(self, chunk: Chunk, now_s: float) -> float:
        """Process a chunk, which may have to wait for room; return the time when it was done."""
        if self.session.state is not State.ATTACHED:
            await self._log_on(chunk, now_s)
            return now_s
        count, size = chunk.count, len(chunk.frames)
        intake, number = self._context.switchboard.intake, self.session.connection
        if self._account.exhausted or not intake.has_room(number):
            # Nothing is read meanwhile, so the client must not count as silent.
            self._watchdog.held = True
            await intake.wait_room(number)
            await self._account.acquire(count, size)
            self._watchdog.held = False
            now_s = self._watchdog.heard_s = trio.current_time()
        else:
            self._account.take(count, size)
        if chunk.control:
            await self._answer(chunk, now_s)
            return now_s
        run = self.session.requests(chunk)
        if run is None:  # the session was replaced while this waited
            self._account.release(count, size)
        elif self._forwarder.offer(self, run, now_s):
            await self._end(self.session.refuse(ErrorCode.RATE_EXCEEDED))
        return now_s

    async def _log_on(self, chunk: Chunk, now_s: float) -> None:
        """Process a frame that comes before there is a session; a crowd takes turns."""
        await self._wait_turn()
        step = self.session.control(chunk)
        if step.refusal is not None and step.refusal.code is ErrorCode.AUTHENTICATION_FAILED:
            self._context.logons_failed += 1
            self._place.failed_logon(now_s)
        if step.end:
            await self._end(step)
            return
        self.act(step)
        if self.session.state is State.ATTACHING:
            self._reading.deadline = float("inf")
            if self._settled is not None:
                await self._settled.wait()

    async def _wait_turn(self) -> None:
        await self._context.entrances.wait(self._place.source)

    async def _answer(self, chunk: Chunk, now_s: float) -> None:
        """Answer a control message, whose credits are taken."""
        admit, excessive = self._forwarder.admit_control(chunk, now_s)
        step = self.session.control(chunk, admit)
        if excessive:
            step = self.session.refuse(ErrorCode.RATE_EXCEEDED)
        if step.end:
            self._account.release(1, len(chunk.frames))
            await self._end(step)
        elif self.session.state is State.CLOSING:
            self._account.release(1, len(chunk.frames))
            self.act(step)
            self._watchdog.held = True
            await trio.sleep_forever()  # logged out: `act` ends the reading
        else:
            self._act(step, 1, len(chunk.frames))

    async def _end(self, step: Step) -> None:
        """End with a fatal error, after everything before it has been answered."""
        self._reading.deadline = float("inf")
        await self._account.wait_answered()
        self.act(step)
        await trio.lowlevel.checkpoint()
