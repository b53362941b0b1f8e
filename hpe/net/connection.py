"""One TCP connection: a reader task and a writer task around one session.

Owns the socket of one client from accept to close; all of it runs in the Trio loop, `deliver`
and `act` are called by the dispatcher, `_look` by the wheel. Guarantees: only the writer sends,
everything that waits goes in one send; a client that does not read stops being read, and is cut
when it took no byte for STALL_S while private data waited, never for unread market data; one that
is silent for too long is told so and cut; whatever goes wrong here ends this connection only; the
last bytes arrive (farewell.py). Relies on the switchboard to deliver in order and on the wheel
for every deadline but that of the logon. Rules: protocol.md, "Heartbeats" and "Slow readers".
"""

from __future__ import annotations

import socket
from typing import Final

import trio

from hpe.core.core import Run
from hpe.messages import (
    LOGON_BYTES_MAX,
    REQUEST_BYTES_MAX,
    SILENCE_HEARTBEATS,
    ErrorCode,
    HeartbeatReport,
)
from hpe.net.credits import FRAMES_MIN, Account
from hpe.net.farewell import ClientStream, ConnectionFault, say_farewell
from hpe.net.framing import Chunk, FrameScanner, encode_frame
from hpe.net.outlet import Outlet
from hpe.net.pacing import Turnstile
from hpe.net.private_ring import Overrun
from hpe.net.rates import Rates
from hpe.net.session import State, Step
from hpe.net.sources import Place
from hpe.net.switchboard import Switchboard
from hpe.net.wheel import Timer, Wheel
from hpe.net.wire import RECEIVE_BYTES, Wire

STALL_S: Final = 2.0
"""A client that took no byte for this long while private data waited is cut; it may resume."""

WAITING_BYTES_MAX: Final = 16 * 1024 * 1024
"""Replies waiting for one client. Requests in flight bound them too, but not their size."""

WATCH_S: Final = 1.0
"""How often the wheel looks at a connection with bytes on their way."""

LOOK_S: Final = 60.0
"""How often it looks at one where there is nothing to watch."""

SECOND_LOOK_S: Final = 0.1
"""Between the first look that finds a client silent and the second. When this loop stood still
itself, what clients sent meanwhile is read in between."""

KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""A peer that vanished without a word is noticed by the kernel after 45 s of silence, also before
logon and while heartbeats are far apart."""

_HEARTBEAT: Final = encode_frame(HeartbeatReport(0, 0))


class Surroundings:
    """What all TCP connections of an engine share.

    Args:
        switchboard: where connections enter.
        wheel: watches their deadlines.
        rates: what each user may send.
        logon_timeout_s: how long a stranger may stay one.

    Attributes:
        slow_consumers: connections cut because private data was not read.
        heartbeats_missed: connections cut because nothing was heard.
        logons_failed: proofs refused.
    """

    __slots__ = (
        "exits", "heartbeats_missed", "logon_timeout_s", "logons_failed", "rates",
        "slow_consumers", "switchboard", "wheel",
    )  # fmt: skip

    def __init__(
        self, switchboard: Switchboard, wheel: Wheel, rates: Rates, logon_timeout_s: float
    ) -> None:
        self.switchboard = switchboard
        self.wheel = wheel
        self.rates = rates
        self.logon_timeout_s = logon_timeout_s
        self.exits = Turnstile()
        self.slow_consumers = 0
        self.heartbeats_missed = 0
        self.logons_failed = 0


class Connection:
    """One client over TCP; `serve` is its whole life.

    Args:
        stream: TLS around the wire, or the wire itself.
        wire: the socket.
        place: among the connections of its source.
        around: what it shares with other connections.

    Attributes:
        answered: requests that have their answer, or were dropped unapplied.
    """

    __slots__ = (
        "_account", "_around", "_fault", "_finished", "_heard_s", "_held", "_life",
        "_offered", "_outlet", "_place", "_reading", "_scanner", "_secured", "_sending",
        "_sends_private", "_settled", "_stopped", "_stream", "_suspected", "_timer", "_waits_s",
        "_watched", "_welcomed", "_wire", "answered", "session",
    )  # fmt: skip

    def __init__(
        self, stream: ClientStream, wire: Wire, place: Place, around: Surroundings
    ) -> None:
        switchboard = around.switchboard
        self._stream = stream
        self._wire = wire
        self._place = place
        self._around = around
        self._account = Account(switchboard.credits)
        self._scanner = FrameScanner(LOGON_BYTES_MAX)
        # There while the core has a hello or logout of this connection: what it executes is
        # answered, also when the service stops meanwhile.
        self._settled: trio.Event | None = None
        self._welcomed = False
        # Around the handshake first, then that of the two tasks.
        self._life = trio.CancelScope()
        self._reading = trio.CancelScope(deadline=trio.current_time() + around.logon_timeout_s)
        self._secured = stream is wire
        self._stopped = False  # whoever ends it has said why, or will
        self._finished = False  # the writer may end
        self._fault = ""  # why it was cut without a word
        self._offered = 0
        self.answered = 0
        # What the wheel looks at: whether it looks every WATCH_S, whether bytes are on their way
        # and private data among them, since when private data has waited (0: none does), ...
        self._timer: Timer | None = None
        self._watched = False
        self._sending = False
        self._sends_private = False
        self._waits_s = 0.0
        # ... when the client was heard, whether it is this side that does not listen, whether a
        # look found it silent.
        self._heard_s = 0.0
        self._held = False
        self._suspected = False
        for option in KEEPALIVE:
            wire.socket.setsockopt(*option)
        self.session = switchboard.enter(self)
        self._outlet = Outlet(self.session.connection, switchboard.streams.ring)

    # --- called by others in the loop ---------------------------------------------------------

    def deliver(self, frames: bytes, count: int, size: int) -> None:
        """Send frames; then give back the credits of `count` requests of `size` bytes."""
        self.answered += count
        self._outlet.put(frames, count, size)
        if self._outlet.reply_bytes > WAITING_BYTES_MAX:
            self._cut_slow(f"more than {WAITING_BYTES_MAX} bytes wait to be read")

    def act(self, step: Step) -> None:
        """Do what the session decided."""
        if self._settled is not None:
            self._settled.set()
            self._settled = None
        if step.run is not None:
            self._settled = trio.Event()
            self._around.switchboard.offer(self.session.connection, step.run, trio.current_time())
        if step.stream is not None:
            streams = self._around.switchboard.streams
            self._outlet.put(streams.carry_out(self._outlet, step.stream, self.session.user), 0, 0)
        if step.end:
            self._outlet.seal(step.reply)
            self._stop_reading()
            return
        if step.reply:
            self._outlet.put(step.reply, 0, 0)
        if self.session.state is State.ATTACHED and not self._welcomed:
            self._welcome()

    def stop_reading(self) -> None:
        """Take no further request; end once everything is answered."""
        if not self._secured:
            self._life.cancel()
        self._stop_reading()

    # --- the connection's own tasks -----------------------------------------------------------

    async def serve(self) -> None:
        """Serve until either side ends it.

        Raises:
            ConnectionFault: the client did not take its replies.
            trio.BrokenResourceError: and other faults of the socket, in groups.
        """
        try:
            await self._secure()
            async with trio.open_nursery() as nursery:
                self._life = nursery.cancel_scope
                nursery.start_soon(self._write)
                await self._read()
                await self._around.exits.wait()
                if self._settled is not None:
                    await self._settled.wait()
                self._detach()
                await self._account.wait_answered()
                self._finish()
            if not self._life.cancel_called:
                await say_farewell(self._stream)
        finally:
            self._part()
            await trio.aclose_forcefully(self._wire)
        if self._fault:
            raise ConnectionFault(self._fault)

    def _welcome(self) -> None:
        self._account.frames_max = max(FRAMES_MIN, self.session.window)
        self._scanner.body_bytes_max = REQUEST_BYTES_MAX
        self._place.logged_on()
        self._heard_s = trio.current_time()
        self._look_by(self._heard_s + self.session.heartbeat_s)
        self._welcomed = True

    def _stop_reading(self) -> None:
        self._stopped = True
        self._reading.cancel()

    def _detach(self) -> None:
        run = self.session.end()
        if run is not None:
            self._around.switchboard.offer(self.session.connection, run, trio.current_time())

    def _finish(self) -> None:
        """Let the writer end, with a word on why unless the client closed or was told already."""
        if self._stopped and not self._outlet.sealed:
            self._outlet.seal(self.session.refuse(ErrorCode.SHUTTING_DOWN).reply)
        self._outlet.seal()
        self._finished = True
        self._outlet.ring()
        # Nobody will read market data that does not leave now: it holds the end up.
        self._sends_private = self._sending
        self._waits_s = trio.current_time()

    def _part(self) -> None:
        """Leave nothing behind."""
        switchboard = self._around.switchboard
        switchboard.leave(self)
        switchboard.streams.leave(self._outlet)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None  # the wheel's timer knows this connection: no cycle may stay
        # Frames still in the pipeline are given back when their batch is routed.
        self._account.release(*self._outlet.discard())

    async def _secure(self) -> None:
        """Shake hands, where there is TLS, before the deadline of the logon."""
        if isinstance(self._stream, trio.SSLStream):
            self._life.deadline = self._reading.deadline
            with self._life:
                await self._stream.do_handshake()
                self._secured = True
            if not self._secured:
                raise ConnectionFault("no TLS handshake in time")

    # --- reading ------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read until the client's input is over, something fatal came, or `stop_reading`."""
        with self._reading:
            while True:
                data = await self._stream.receive_some(RECEIVE_BYTES)
                if not data:
                    return
                now_s = trio.current_time()
                for chunk in self._scanner.feed(data):
                    self._heard_s = now_s  # whole frames count: a trickle of bytes is silence
                    await self._take(chunk, now_s)
                if self._scanner.error is not None:
                    error = self._scanner.error
                    await self._end(self.session.refuse(error.code, str(error)))
        if self._reading.cancelled_caught and not self._stopped:
            self.act(self.session.refuse(ErrorCode.LOGON_TIMEOUT))

    async def _take(self, chunk: Chunk, now_s: float) -> None:
        if self.session.state is State.ATTACHED and not chunk.control:
            if self._account.exhausted:
                # Nobody listens now: what the client says meanwhile must count as heard.
                self._held = True
                await self._account.acquire(chunk.count, len(chunk.frames))
                self._held = False
                self._heard_s = trio.current_time()
            else:
                self._account.take(chunk.count, len(chunk.frames))
            run = self.session.requests(chunk)
            if run is None:  # replaced while it waited
                self._account.release(chunk.count, len(chunk.frames))
            elif self._offer(run, now_s):
                await self._end(self.session.refuse(ErrorCode.RATE_EXCEEDED))
            return
        step = self.session.control(chunk)
        if self.session.logon_failed:
            self._around.logons_failed += 1
            self._place.failed_logon(now_s)
        if step.end:
            await self._end(step)
            return
        self.act(step)
        if self.session.state is State.ATTACHING:
            self._reading.deadline = float("inf")
            if self._settled is not None:
                await self._settled.wait()
        elif self.session.state is State.CLOSING:
            await trio.sleep_forever()  # logged out: `act` ends the reading

    def _offer(self, run: Run, now_s: float) -> bool:
        """Hand requests over; tells whether the connection is to be cut for its rate."""
        around = self._around
        self._offered += run.frame_count
        runs, excessive = [run], False
        if around.rates.limited and not run.admit:
            runs, excessive = around.rates.admit(self.session.user, run, now_s)
        for piece in runs:
            if piece.admit:
                admitted = [piece]
            else:
                admitted = around.switchboard.streams.admit(self._outlet, piece, self._offered)
            for part in admitted:
                around.switchboard.offer(part.connection, part, now_s)
        return excessive

    async def _end(self, step: Step) -> None:
        """End by a fatal error: what came before it is answered first."""
        self._reading.deadline = float("inf")
        await self._account.wait_answered()
        self.act(step)
        await trio.lowlevel.checkpoint()

    # --- writing ------------------------------------------------------------------------------

    async def _write(self) -> None:
        outlet = self._outlet
        while True:
            try:
                parcel = outlet.take()
            except Overrun as overrun:
                self._cut_slow(str(overrun))
                continue
            if parcel is None:
                if self._finished:
                    return
                await outlet.wait()
                continue
            data, frames, size, private = parcel
            try:
                if data:
                    self._watch(private)
                    await self._stream.send_all(data)
            finally:
                self._sending = self._sends_private = False
                self._waits_s = 0.0
                # Sent or not: a client that breaks off must not keep credits.
                if frames:
                    self._account.release(frames, size)

    # --- watching -----------------------------------------------------------------------------

    def _watch(self, private: bool) -> None:
        """Note that bytes are on their way."""
        now_s = trio.current_time()
        self._sending = True
        self._sends_private = private
        self._waits_s = now_s if private else 0.0
        if not self._watched:
            self._watched = True
            self._look_by(now_s + WATCH_S)

    def _look_by(self, deadline_s: float) -> None:
        """Have the wheel look at the deadline at the latest."""
        if self._timer is None:
            self._timer = self._around.wheel.schedule(self._look, deadline_s)
        else:
            self._timer.sooner(deadline_s)

    def _look(self, now_s: float) -> float:
        """See whether a deadline has passed; gives when to look again."""
        next_s = now_s + LOOK_S
        if self._sends_private or self._outlet.private_waits:
            # What came while market data was on its way counts from the first look.
            self._waits_s = self._waits_s or now_s
            stalled_s = max(self._wire.progress_s, self._waits_s) + STALL_S
            if now_s >= stalled_s:
                self._around.slow_consumers += 1
                self._fault = f"slow_consumer: no byte taken for {STALL_S} s"
                self._life.cancel()
                return next_s
            next_s = min(stalled_s, now_s + WATCH_S)
        elif self._sending:
            next_s = now_s + WATCH_S
        else:
            self._watched = False
        return min(next_s, self._check_liveness(now_s))

    def _check_liveness(self, now_s: float) -> float:
        """Send a heartbeat if one is owed, cut who is silent; gives when to look again."""
        heartbeat_s = self.session.heartbeat_s
        if self.session.state is not State.ATTACHED or self._outlet.sealed:
            return now_s + LOOK_S
        if self._held:
            self._heard_s = now_s
        silent_s = self._heard_s + SILENCE_HEARTBEATS * heartbeat_s
        if now_s >= silent_s:
            if not self._suspected:
                self._suspected = True
                return now_s + SECOND_LOOK_S
            self._around.heartbeats_missed += 1
            self._cut(ErrorCode.HEARTBEAT_TIMEOUT)
            return now_s + STALL_S
        self._suspected = False
        owed_s = self._wire.progress_s + heartbeat_s
        if now_s >= owed_s:
            # Bytes that wait to be taken say as much as a heartbeat behind them would.
            if self._outlet.idle:
                self._outlet.put(_HEARTBEAT, 0, 0)
            owed_s = now_s + heartbeat_s
        return min(silent_s, owed_s)

    def _cut_slow(self, text: str) -> None:
        if not self._outlet.sealed:
            self._around.slow_consumers += 1
            self._cut(ErrorCode.SLOW_CONSUMER, text)

    def _cut(self, code: ErrorCode, text: str = "") -> None:
        """End it with a last word in place of everything that waits."""
        self._account.release(*self._outlet.discard())
        self.act(self.session.refuse(code, text))
