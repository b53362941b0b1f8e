"""The mechanics of a session's requests: ids, window, matching of answers, deadlines, repeats.

Owns the request id counter, the table of unanswered requests and the last window of sent
commands. No sockets: a channel passes whole frames to `send` and is fed the frames that came
back, so the TCP client and the in-process API are the same code over two transports.
One channel belongs to one session and is used from one Trio loop; any number of tasks may call.

A channel outlives its transport: `suspend` it when the transport breaks, `resume` it with the next
one. Guarantees: request ids increase strictly in the order of sending; at most `window` requests
are unanswered; after `resume` the unanswered commands are sent first, unchanged and in order of id,
so each is executed once; every request ends in exactly one of an answer, RequestRefused,
ConnectionLost, or, at the caller's deadline, NotConnected (nothing was sent), QueryTimeout or
ReplyTimeout (outcome unknown; `ask_again`). Relies on the server answering every request once, with
a command's reports directly before its response (protocol.md).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, get_args

import msgspec

from hpe.client import aio
from hpe.client.arguments import checked
from hpe.client.pending import Answer, Pending, Repeat, ends_stream, refusal, refused
from hpe.client.slots import WindowSlots
from hpe.errors import (
    AcknowledgedLost,
    ConnectionLost,
    NotConnected,
    ProtocolError,
    QueryTimeout,
    ReplyTimeout,
    RequestRefused,
    SessionTaken,
)
from hpe.protocol.base import Reply, Request, type_number
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error, HeartbeatReport, LoggedOut
from hpe.protocol.frames import body_of, encode_frame, request_id_of, split_frames, type_of
from hpe.protocol.limits import TYPE_LAST
from hpe.protocol.market_data import MarketUpdate, Subscribed
from hpe.protocol.registry import COMMANDS, REPLIES, AnyReply
from hpe.protocol.reports import (
    ExecutionReport,
    OrderReport,
    PreventedMatch,
    PrivateSubscribed,
    PrivateUpdate,
)

TIMEOUT_S: Final = 5.0
"""Default deadline of a request: longer than a restart of the service with little to recover. In
process, where no connection can be lost, the setting request_timeout_ms replaces it."""

_COMMAND_TYPES: Final = frozenset(COMMANDS)
# A union of the types in a tuple, which the form X | Y cannot express.
_REPLY_DECODER: Final = msgspec.msgpack.Decoder(AnyReply)
_KNOWN_TYPES: Final = frozenset(type_number(reply) for reply in REPLIES)

_REPORTS: Final = (ExecutionReport, OrderReport, PreventedMatch)
_BEGINNINGS: Final = (Subscribed, PrivateSubscribed)
_UPDATES: Final = (PrivateUpdate, *get_args(MarketUpdate))


class SessionChannel:
    """Requests of one session.

    Args:
        send: takes one whole frame for the server; must not block or raise.
        session_id: of the session, named by ReplyTimeout.
        window: requests that may be unanswered, as granted by the server.
        last_request_id: highest command id that the server knows; new ids start above it.
        timeout_s: deadline of every call, waiting for a place in the window included.

    Attributes:
        window: as the newest connection was granted it; `window_max`: as the first one was.
        connected: whether there is a transport, to look at or to wait for.
        failure: why the channel was closed, None before.
        answered_request_id: highest command id answered so far (what `connect` takes to find
            out whether a server under relaxed sync forgot something).
        logged_out: whether the session was closed for good.
        on_stream: takes what streams are made of, in the order in which it came.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        *,
        session_id: int,
        window: int,
        last_request_id: int,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.session_id = session_id
        self.window = self.window_max = window
        self.timeout_s = timeout_s
        self.last_request_id = last_request_id
        self.answered_request_id = last_request_id
        self.connected = aio.AsyncValue(True)
        self.failure: Exception | None = None
        self.logged_out = False
        self.on_stream: Callable[[Reply], None] = _ignore
        self._send = send
        # Set while the transport has been sent all repeats, and always once the channel is closed.
        self._settled = aio.Event()
        self._settled.set()
        self._pending: dict[int, Pending] = {}
        # The last `window` commands: exactly those whose responses the server remembers.
        self._commands: OrderedDict[int, Pending] = OrderedDict()
        # Commands that ended in ReplyTimeout and whose outcome is still unknown; only the last
        # `window` of them, because older ones cannot be asked for any more.
        self._unknown: OrderedDict[int, Pending] = OrderedDict()
        # One slot per unanswered request, taken before its id: ids are sent in order.
        self._slots = WindowSlots(window)
        # Commands still to be repeated: more were unanswered than the window now allows.
        self._unsent: deque[Pending] = deque()

    @property
    def unanswered(self) -> bool:
        """True if there is a command whose outcome is unknown."""
        commands = (each.repeat is Repeat.UNCHANGED for each in self._pending.values())
        return bool(self._unknown) or any(commands)

    # --- transports ---------------------------------------------------------------------------

    def suspend(self, reason: Exception) -> None:
        """Continue without a transport: unanswered requests wait for the next one."""
        if not self.connected.value:  # another attempt failed; the waiters still wait
            return
        if self._settled.is_set():
            self._settled = aio.Event()
        self._unsent.clear()
        for pending in [*self._pending.values()]:
            # A repeated command is answered without reports; keep none rather than some.
            pending.reports.clear()
            if pending.repeat is Repeat.NEVER:
                del self._pending[pending.request_id]
                self._slots.release()
                pending.fail(reason)
        self.connected.value = False

    def resume(self, send: Callable[[bytes], None], last_request_id: int, window: int) -> None:
        """Continue with the session's new transport; new requests wait until all repeats are sent.

        Args:
            send: as for the constructor.
            last_request_id: as in the welcome.
            window: as in the welcome; so many commands are repeated at a time.

        Raises:
            AcknowledgedLost: the server forgot commands that it had answered; nothing was sent.
            SessionTaken: another client used the session meanwhile; nothing was sent.
        """
        if last_request_id < self.answered_request_id:
            raise AcknowledgedLost(range(last_request_id + 1, self.answered_request_id + 1))
        if last_request_id > self.last_request_id:
            raise SessionTaken(
                f"another client used session {self.session_id}: it is at request "
                f"{last_request_id}, this client at {self.last_request_id}"
            )
        self._send = send
        self.window = min(window, self.window_max)
        self._slots.resize(self.window)
        unanswered = sorted(self._pending.values(), key=lambda pending: pending.request_id)
        self._unsent.extend(each for each in unanswered if each.repeat is Repeat.UNCHANGED)
        self._repeat(self.window)
        for pending in unanswered:
            if pending.repeat is Repeat.UNDER_NEW_ID:
                self._ask_anew(pending)
        self.connected.value = True

    def _repeat(self, count: int) -> None:
        """Repeat so many commands; once all were sent, new requests may follow."""
        for _ in range(min(count, len(self._unsent))):
            self._send(self._unsent.popleft().frame)
        if not self._unsent:
            self._settled.set()

    def close(self, error: Exception) -> None:
        """Fail unanswered requests with ConnectionLost from `error`; refuse later ones."""
        if self.failure is not None:
            return
        self.failure = error
        self._unsent.clear()
        pending, self._pending = self._pending, {}
        for request in pending.values():
            request.fail(error)
            # Wakes one waiting sender each, and every sender that finds the channel closed
            # passes its slot on, so that all of them wake up.
            self._slots.release()
        self._settled.set()
        self.connected.value = False

    def feed(self, frames: bytes) -> None:
        """Process whole frames from the server.

        Raises:
            ProtocolError: these are not frames of the protocol, or they answer no request.
            RequestRefused: the server ends the connection and says why. Both must end the
                transport.
        """
        for body in split_frames(frames):
            try:
                message = _REPLY_DECODER.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                if 0 < type_of(body) <= TYPE_LAST and type_of(body) not in _KNOWN_TYPES:
                    continue  # a message of a newer server that this client does not know
                raise ProtocolError(f"reply of {len(body)} bytes: {error}") from error
            self._take(message)

    # --- requests -----------------------------------------------------------------------------

    async def send(self, request: Request, repeat: Repeat | None = None) -> Pending:
        """Send a request as soon as the window has a place; do not wait for its answer.

        Args:
            request: its request_id is replaced by the next one (write 0).
            repeat: what to do with it when the connection ends; None: depends on its type.

        Raises:
            TypeError: a field is of another type.
            ValueError: a field is out of its range.
            ConnectionLost: the channel is closed; nothing was sent.

        Cancellation: safe; nothing was sent.
        """
        request = checked(request)
        await self.turn()
        return self._dispatch(request, repeat)

    async def turn(self) -> None:
        """Wait until a request may be sent; `send_turn` must follow without an await between.

        Cancellation: safe.
        """
        await self._slots.take()
        while not self._settled.is_set():
            self._slots.release()  # to those that are repeated
            await self._settled.wait()
            await self._slots.take()

    def send_turn(self, request: Request | None, repeat: Repeat | None = None) -> Pending | None:
        """Use the turn that `turn` granted; without a request, return it."""
        if request is None:
            self._slots.release()
            return None
        return self._dispatch(request, repeat)

    def send_nowait(self, request: Request) -> Pending:
        """Like `send`, but never waits.

        Raises:
            aio.WouldBlock: the window is full or there is no connection; nothing was sent.
            ConnectionLost: the channel is closed; nothing was sent.
        """
        request = checked(request)
        if not self._settled.is_set():
            raise aio.WouldBlock
        self._slots.take_nowait()
        return self._dispatch(request, None)

    async def resend(self, frame: bytes) -> Pending:
        """Send the frame of an earlier command of this session again, unchanged.

        A command that was executed is answered as before (duplicate); one that never arrived is
        executed now. After resuming a session by its id, repeat unanswered frames in their old
        order and before any new request: an id below one that was executed meanwhile is answered
        not_executed.

        Raises:
            ConnectionLost: the channel is closed; nothing was sent.
        """
        request_id = request_id_of(body_of(frame))
        if not request_id:
            raise ValueError(f"frame: found {frame.hex()}, allowed: what was sent as a request")
        await self.turn()
        return self._launch(Pending(request_id, frame, Repeat.UNCHANGED))

    async def call(self, request: Request) -> Answer:
        """Send a request and wait for its answer, both within `timeout_s`.

        Raises:
            ReplyTimeout: a command was sent and not answered in time: outcome unknown, see
                `ask_again`. It is still repeated on the next connection until it is answered.
            QueryTimeout: the same for a request that is not a command.
            NotConnected: no connection until the deadline; nothing was sent.
            RequestRefused: not executed; with code busy if there was no place in the window until
                the deadline, in which case nothing was sent.
            ConnectionLost: the channel was closed before the answer.
            AcknowledgedLost: it was closed because the server forgot what it had answered.
            TypeError: and ValueError: a field is of another type, or out of its range.

        Cancellation: after sending, the outcome is unknown.
        """
        pending: Pending | None = None
        with aio.move_on_after(self.timeout_s):
            pending = await self.send(request)
            return await pending.wait()
        return self._late(pending)

    async def ask_again(self, request_id: int, frame: bytes = b"") -> Answer:
        """Return the answer to one of the last `window` commands of this session.

        If it is unanswered, wait for its one answer. If it was answered, send the same bytes again
        and return the response that the server remembers, with the reports seen the first time.

        Args:
            request_id: the command's id.
            frame: what was sent, for a command of an earlier channel of this session.

        Raises:
            ReplyTimeout: again there was no answer in time.
            RequestRefused: refused by the server, so never executed; or not among the last
                `window` commands.
        """
        known = self._commands.get(request_id) or self._unknown.get(request_id)
        if known is None and not frame:
            text = f"not among the last {self.window} commands of this channel that were executed"
            raise refusal(request_id, ErrorCode.STALE_ID, text)
        with aio.move_on_after(self.timeout_s):
            answer = await self._ask_again(request_id, known, frame)
            self._unknown.pop(request_id, None)
            return answer
        raise ReplyTimeout(self.session_id, request_id, known.frame if known else frame)

    async def _ask_again(self, request_id: int, known: Pending | None, frame: bytes) -> Answer:
        if known is None:
            return await (await self.resend(frame)).wait()
        if request_id not in self._commands and known.answered:  # refused after its deadline
            self._unknown.pop(request_id, None)
            return known.answer()
        if known.answered and request_id not in self._pending:
            pending = await self.resend(known.frame)
        else:  # not answered yet, or another task is already asking again
            pending = self._pending.get(request_id, known)
        try:
            answer = await pending.wait()
        except RequestRefused:
            self._unknown.pop(request_id, None)
            raise
        return answer._replace(reports=tuple(known.reports))

    # --- inside -------------------------------------------------------------------------------

    def _dispatch(self, request: Request, repeat: Repeat | None) -> Pending:
        request_id = self.last_request_id + 1
        if repeat is None:
            is_command = type(request) in _COMMAND_TYPES
            repeat = Repeat.UNCHANGED if is_command else Repeat.UNDER_NEW_ID
        try:
            frame = encode_frame(msgspec.structs.replace(request, request_id=request_id))
        except BaseException:
            self._slots.release()
            raise
        return self._launch(Pending(request_id, frame, repeat, request))

    def _launch(self, pending: Pending) -> Pending:
        """Send; the caller has taken a slot. No await, because ids must be in sending order."""
        if self.failure is not None:
            self._slots.release()
            if isinstance(self.failure, AcknowledgedLost):
                raise self.failure.with_traceback(None)
            raise ConnectionLost(
                f"not sent, the connection has ended: {self.failure}"
            ) from self.failure
        asked = self._pending.get(pending.request_id)
        if asked is not None:  # two tasks that waited for a slot share one answer
            self._slots.release()
            return asked
        self.last_request_id = max(self.last_request_id, pending.request_id)
        self._pending[pending.request_id] = pending
        if pending.repeat is Repeat.UNCHANGED:
            self._commands.setdefault(pending.request_id, pending)
            while len(self._commands) > self.window:
                self._commands.popitem(last=False)
        self._send(pending.frame)
        return pending

    def _ask_anew(self, pending: Pending) -> None:
        del self._pending[pending.request_id]
        self.last_request_id += 1
        pending.renumber(self.last_request_id)
        self._pending[pending.request_id] = pending
        self._send(pending.frame)

    def _take(self, message: Reply) -> None:
        if isinstance(message, _REPORTS):
            # Reports that belong to no request may be dropped: the private stream has them all.
            asked = self._pending.get(message.request_id)
            if asked is not None:
                asked.reports.append(message)
            return
        if isinstance(message, _UPDATES) or ends_stream(message):
            self.on_stream(message)
            return
        if isinstance(message, HeartbeatReport):
            return
        self._take_answer(message)

    def _take_answer(self, message: Reply) -> None:
        pending = self._pending.pop(message.request_id, None)
        if pending is None:
            if isinstance(message, Error):
                raise refused(message)
            raise ProtocolError(
                f"{type(message).__name__} answers request {message.request_id}, "
                "which is not unanswered"
            )
        if isinstance(message, Error):
            # Never executed. Sent again with this id it would be new and run, so `ask_again`
            # must not find it.
            self._commands.pop(message.request_id, None)
        elif message.request_id in self._commands:
            self.answered_request_id = max(self.answered_request_id, message.request_id)
        elif isinstance(message, LoggedOut):
            self.logged_out = True
        elif isinstance(message, _BEGINNINGS):
            self.on_stream(message)
        self._slots.release()
        if self._unsent and pending.repeat is Repeat.UNCHANGED:
            self._repeat(1)
        pending.resolve(message)
        if isinstance(message, Error) and message.fatal:
            raise refused(message)

    def _late(self, pending: Pending | None) -> Answer:
        """Raise the error that a passed deadline means."""
        if pending is None:
            if not self.connected.value:
                raise NotConnected(f"no connection for {self.timeout_s:g} s; nothing was sent")
            cause = f"{self.window} requests unanswered"
            text = f"{cause} for {self.timeout_s:g} s; nothing was sent"
            raise refusal(0, ErrorCode.BUSY, text)
        if pending.answered:
            return pending.answer()
        if pending.repeat is not Repeat.UNCHANGED:
            raise QueryTimeout(self.session_id, pending.request_id)
        self._unknown[pending.request_id] = pending
        if len(self._unknown) > self.window:
            self._unknown.popitem(last=False)
        raise ReplyTimeout(self.session_id, pending.request_id, pending.frame)


def _ignore(message: Reply) -> None:
    """Ignore messages of streams, because none was opened."""
