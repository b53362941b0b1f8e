"""The sending side of a connection: what is sent at once, what a task sends, and who is too slow.

Owns when bytes of one connection go to its socket, and the watch over that; all of it runs in the
Trio loop. Called by the connection and, through it, by the dispatcher (`put_soon`, `flush`), and by
the timer wheel (`_look`). Once the dispatcher has delivered everything, it sends private data of a
plain connection without waiting, as much as one parcel has. The writer task sends all the rest:
what the kernel does not take then, market data, what is passed to `put`, a connection's first
reply, and everything over TLS or without a poller. Guarantees: only one of the two sends at a time,
in the order of the send queue; what one send takes is bounded (send_queue.py); credits return when
the kernel has the answer; a client that does not take its bytes is cut (watchdog.py). Rules:
protocol.md, "Slow readers".
"""

from __future__ import annotations

from typing import Final, Protocol

import trio

from hpe.core.output.private_ring import Overrun
from hpe.net.closing import ClientStream
from hpe.net.context import ConnectionContext
from hpe.net.delivery.switchboard import Port
from hpe.net.limits.credits import CreditAccount
from hpe.net.limits.timer_wheel import Timer
from hpe.net.send_queue import Parcel, SendQueue
from hpe.net.watchdog import BEHIND_S, STALL_S, WATCH_S, Finding, Watchdog
from hpe.net.wire import Wire
from hpe.protocol.codes import MANY_REPLIES, SLOW_REPLIES, ErrorCode
from hpe.protocol.control import HeartbeatReport
from hpe.protocol.frames import encode_frame

WAITING_BYTES_MAX: Final = 16 * 1024 * 1024
"""Replies waiting for one client. Requests in flight bound their number, but not their size."""

_HEARTBEAT: Final = encode_frame(HeartbeatReport(0, 0))


class Owner(Port, Protocol):
    """The connection as its sending side sees it."""

    def cut(self, code: ErrorCode, text: str = "") -> None:
        """End it with one last frame instead of all that waits, unless it already has one."""

    def drop(self, reason: str) -> None:
        """End it without a last frame."""


class ConnectionSender:
    """The sending side of one connection.

    Args:
        owner: the connection; `part` forgets it.
        stream: TLS around the wire, or the wire itself.
        wire: the socket.
        send_queue: what waits.
        account: where the credits of what was sent return to.
        watchdog: is told what happens here.
        context: the state that the connection shares with others.

    Attributes:
        nursery: the nursery of the connection's tasks, while there is one.
    """

    __slots__ = (
        "_account",
        "_context",
        "_finished",
        "_flushes",
        "_holds",
        "_owner",
        "_send_queue",
        "_stream",
        "_timer",
        "_to_flush",
        "_watchdog",
        "_wire",
        "_writing",
        "nursery",
    )  # fmt: skip

    def __init__(
        self,
        owner: Owner,
        stream: ClientStream,
        wire: Wire,
        send_queue: SendQueue,
        account: CreditAccount,
        watchdog: Watchdog,
        context: ConnectionContext,
    ) -> None:
        self._owner: Owner | None = owner
        self._stream = stream
        self._wire = wire
        self._send_queue = send_queue
        self._account = account
        self._watchdog = watchdog
        self._context = context
        self.nursery: trio.Nursery | None = None
        # Only a stream that is sent as it is can be sent to without waiting.
        self._flushes = stream is wire and context.poller is not None
        self._to_flush = False
        self._writing = False  # True while there is a writer: from the first ordinary reply on
        self._holds = False  # True while the writer has taken bytes that are not sent yet
        self._finished = False  # True if the writer may end
        self._timer: Timer | None = None

    # --- what is to be sent -------------------------------------------------------------------

    def put(self, frames: bytes, count: int, size: int) -> None:
        """Send frames, then return the credits of `count` requests of `size` bytes."""
        if not self._writing and self.nursery is not None:
            self._writing = True
            self.nursery.start_soon(self._write)
        self._send_queue.put(frames, count, size)
        self._bound_replies()

    def put_soon(self, frames: bytes, count: int, size: int) -> None:
        """Do the same; `flush` follows when everything was delivered."""
        if not self._flushes or not self._writing:
            self.put(frames, count, size)
            return
        self._send_queue.add(frames, count, size)
        self._bound_replies()
        if not self._to_flush and self._owner is not None:
            self._to_flush = True
            self._context.switchboard.to_flush.append(self._owner)

    def flush(self) -> None:
        """Send what waits, as far as the kernel takes it; the writer sends the rest."""
        self._to_flush = False
        if self._holds or not self._send_queue.private_waits:
            return  # the writer sends it
        try:
            parcel = self._send_queue.take()
        except Overrun as overrun:
            self._cut_slow(str(overrun))
            return
        if parcel is not None:
            self._send_now(parcel)
        if self._send_queue.waits:
            self._send_queue.ring()

    def _send_now(self, parcel: Parcel) -> None:
        sent = 0
        try:
            if parcel.data:
                sent = self._wire.send_now(parcel.data)
        except OSError as fault:
            self._fail(str(fault))
        if sent < len(parcel.data):
            self._send_queue.put_back(parcel, sent)
        else:
            self._account.release(parcel.frames, parcel.size)

    def seal(self, last_words: bytes = b"") -> None:
        """Queue these as the last frames, unless there are some already."""
        if not self._send_queue.sealed:
            self._send_queue.seal(last_words)
            self.look_by(self._watchdog.ends(trio.current_time()))

    async def finish(self) -> None:
        """Let the writer end, after what waits."""
        self._finished = True
        self._send_queue.ring()
        self._watchdog.hurries(trio.current_time())
        if not self._writing:
            self._writing = True
            await self._write()

    def part(self) -> None:
        """Drop all references: the timer wheel and this object must not form a cycle."""
        self._owner = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _bound_replies(self) -> None:
        if self._send_queue.reply_bytes > WAITING_BYTES_MAX:
            self._cut_slow(MANY_REPLIES.text.format(bytes_max=WAITING_BYTES_MAX))

    def _cut_slow(self, text: str) -> None:
        self._context.slow_consumers += not self._send_queue.sealed
        if self._owner is not None:
            self._owner.cut(ErrorCode.SLOW_CONSUMER, text)

    def _fail(self, reason: str) -> None:
        if self._owner is not None:
            self._owner.drop(reason)

    # --- the writer ---------------------------------------------------------------------------

    async def _write(self) -> None:
        """Send until it may end; keep a socket's error as text.

        Raised in a nursery, the exception would form a cycle.
        """
        try:
            while True:
                try:
                    parcel = self._send_queue.take()
                except Overrun as overrun:
                    self._cut_slow(str(overrun))
                    continue  # the waiting data was dropped: a last frame follows, or nothing
                if parcel is not None:
                    await self._send(parcel)
                elif self._finished:
                    return
                else:
                    await self._send_queue.wait()
        except (trio.BrokenResourceError, OSError) as fault:
            self._fail(str(fault.__cause__ or fault))

    async def _send(self, parcel: Parcel) -> None:
        data, frames, size, private = parcel
        self._holds = True
        try:
            if data:
                self._watch(private)
                await self._stream.send_all(data)
            else:
                await trio.lowlevel.checkpoint()
        finally:
            self._holds = False
            self._watchdog.sent()
            # Sent or not: a client that breaks off must not keep credits.
            if frames:
                self._account.release(frames, size)

    # --- watching -----------------------------------------------------------------------------

    def look_by(self, deadline_s: float) -> None:
        """Make the timer wheel check by this deadline at the latest."""
        if self._timer is None:
            self._timer = self._context.timer_wheel.schedule(self._look, deadline_s)
        else:
            self._timer.sooner(deadline_s)

    def _watch(self, private: bool) -> None:
        """Note that bytes are on their way."""
        now_s = trio.current_time()
        self._watchdog.sends(private, now_s)
        if not self._watchdog.watched:
            self._watchdog.watched = True
            self.look_by(now_s + WATCH_S)

    def _look(self, now_s: float) -> float:
        """Check whether a deadline has passed; return when to check again."""
        owner, context = self._owner, self._context
        pressed = context.switchboard.credits.pressed
        finding, next_s = self._watchdog.look(
            now_s, self._wire.progress_s, self._send_queue, pressed
        )
        if owner is None:
            return next_s
        match finding:
            case Finding.QUIET if self._send_queue.idle:
                # Bytes that wait to be taken say as much as a heartbeat after them would.
                self._send_queue.put(_HEARTBEAT, 0, 0)
            case Finding.SILENT:
                context.heartbeats_missed += 1
                owner.cut(ErrorCode.HEARTBEAT_TIMEOUT)
            case Finding.STALLED:
                context.slow_consumers += 1
                owner.drop(f"slow_consumer: no byte taken for {STALL_S} s")
            case Finding.LATE if pressed:
                # Bytes on their way hold credits, too: there is no time for a last frame.
                context.slow_consumers += 1
                owner.drop("slow_consumer: far behind while memory is short")
            case Finding.LATE:
                self._cut_slow(SLOW_REPLIES.text.format(seconds=BEHIND_S))
            case Finding.ENDLESS:
                owner.drop(f"its last bytes were not all taken in {BEHIND_S} s")
        return next_s
