"""The mechanics of a session's requests: ids, the window, answers matched, deadlines.

Owns the request id counter, the table of unanswered requests and the last window of sent
commands. No sockets: a channel hands whole frames to `send` and is fed the frames that came
back, so the TCP client and the in-process API are the same thing behind two transports.
One channel belongs to one session and is used from one Trio loop; any number of tasks may call.

Guarantees: request ids increase strictly in the order of sending; at most `window` requests are
unanswered; every request ends in exactly one of an answer, RequestRefused, ConnectionLost, or,
at the caller's deadline, ReplyTimeout (outcome unknown; `ask_again`). Relies on the server
answering every request once, a command's reports directly before its response (protocol.md).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import trio

from hpe.errors import ConnectionLost, ProtocolError, ReplyTimeout, RequestRefused
from hpe.messages import (
    COMMANDS,
    AnyReply,
    Error,
    ErrorCode,
    ExecutionReport,
    OrderReport,
    PreventedMatch,
    Reply,
    Request,
)
from hpe.net.framing import PREFIX_BYTES, encode_frame, split_bodies

TIMEOUT_S: Final = 0.1
"""Default deadline of a request: far above a durable round trip on one machine."""

REPORTS_MAX: Final = 4096
"""Unread reports kept for the application: about a megabyte when nobody reads them."""

_COMMAND_TYPES: Final = frozenset(COMMANDS)
# A union made of a tuple: the X | Y form cannot be spelled.
_REPLY_DECODER: Final = msgspec.msgpack.Decoder(AnyReply)
_HEAD_DECODER: Final = msgspec.msgpack.Decoder(list[object])


Event = OrderReport | PreventedMatch
"""What a command did to orders of its user besides fills."""

Report = ExecutionReport | Event
_REPORTS: Final = (ExecutionReport, OrderReport, PreventedMatch)


class Answer(NamedTuple):
    """The response to a request, and what its command did to its user's orders, in order."""

    response: Reply
    reports: tuple[Report, ...]

    @property
    def fills(self) -> tuple[ExecutionReport, ...]:
        """Give the fills alone."""
        return tuple(report for report in self.reports if isinstance(report, ExecutionReport))

    @property
    def events(self) -> tuple[Event, ...]:
        """Give everything but the fills."""
        return tuple(report for report in self.reports if not isinstance(report, ExecutionReport))


class Pending:
    """A sent request. `frame` is what was sent: to repeat it is to send these bytes."""

    __slots__ = ("_answered", "_failure", "_response", "frame", "reports", "request_id")

    def __init__(self, request_id: int, frame: bytes) -> None:
        self.request_id = request_id
        self.frame = frame
        self.reports: list[Report] = []
        self._answered = trio.Event()
        self._response: Reply | None = None
        self._failure: Exception | None = None

    @property
    def answered(self) -> bool:
        """Whether `wait` has nothing to wait for."""
        return self._answered.is_set()

    async def wait(self) -> Answer:
        """Wait for the answer, without a deadline of its own.

        A business reject is an answer and not raised here.

        Raises:
            RequestRefused: answered `error`: not executed.
            ConnectionLost: the connection ended first: outcome unknown.

        Cancellation: safe; the request stays sent, and `wait` may be called again.
        """
        await self._answered.wait()
        return self.answer()

    def answer(self) -> Answer:
        """Give the answer that has come; raises what `wait` raises."""
        response = self._response
        if response is None:
            raise ConnectionLost(
                f"request {self.request_id}: outcome unknown: {self._failure}"
            ) from self._failure
        if isinstance(response, Error):
            raise RequestRefused(
                response.request_id,
                response.code,
                response.name,
                response.message,
                response.retryable,
            )
        return Answer(response, tuple(self.reports))

    def resolve(self, response: Reply) -> None:
        """Take the answer (the channel's part)."""
        self._response = response
        self._answered.set()

    def fail(self, error: Exception) -> None:
        """Give up waiting (the channel's part)."""
        self._failure = error
        self._answered.set()


class Channel:
    """Requests of one session.

    Args:
        send: takes one whole frame for the server; must not block or raise.
        session_id: of the session, named by ReplyTimeout.
        window: requests that may be unanswered, as granted by the server.
        last_request_id: highest command id that the server knows; new ids start above it.
        timeout_s: deadline of every call, waiting for a place in the window included.

    Attributes:
        reports: what no request of this channel caused (fills of resting orders). When
            REPORTS_MAX are unread, further ones are dropped and counted in `reports_dropped`;
            the gap shows in their private_sequence.
        answered_request_id: highest command id answered so far (what `connect` takes to find
            out whether a server under relaxed sync forgot something).
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
        self.window = window
        self.timeout_s = timeout_s
        self.last_request_id = last_request_id
        self.answered_request_id = last_request_id
        self.reports_dropped = 0
        self._send = send
        self._closed: Exception | None = None
        self._pending: dict[int, Pending] = {}
        # The last `window` commands: exactly those whose responses the server remembers.
        self._commands: OrderedDict[int, Pending] = OrderedDict()
        # One slot per unanswered request, taken before its id: ids are sent in order.
        self._slots = trio.Semaphore(window, max_value=window)
        self._reports_in, self.reports = trio.open_memory_channel[Report](REPORTS_MAX)

    # --- frames in, frames out ----------------------------------------------------------------

    async def send(self, request: Request) -> Pending:
        """Send a request as soon as the window has a place; do not wait for its answer.

        Args:
            request: its request_id is replaced by the next one (write 0).

        Raises:
            ConnectionLost: the channel is closed; nothing was sent.

        Cancellation: safe; nothing was sent.
        """
        await self._slots.acquire()
        return self._dispatch(request)

    def send_nowait(self, request: Request) -> Pending:
        """Like `send`, but never waits.

        Raises:
            trio.WouldBlock: the window is full; nothing was sent.
            ConnectionLost: the channel is closed; nothing was sent.
        """
        self._slots.acquire_nowait()
        return self._dispatch(request)

    async def resend(self, frame: bytes) -> Pending:
        """Send the frame of an earlier command of this session again, unchanged.

        After a reconnect: a command that was executed is answered as before (duplicate), one
        that never arrived is executed now. Repeat unanswered frames in their old order, before
        any new request: an id below one that was executed meanwhile is answered not_executed.

        Raises:
            ConnectionLost: the channel is closed; nothing was sent.
        """
        request_id = _HEAD_DECODER.decode(frame[PREFIX_BYTES:])[1]
        assert isinstance(request_id, int)
        await self._slots.acquire()
        return self._launch(Pending(request_id, frame), command=True)

    def feed(self, frames: bytes) -> None:
        """Take whole frames from the server.

        Raises:
            ProtocolError: these are no frames of the protocol, or nobody asked for them; the
                transport must close the channel with it.
        """
        for body in split_bodies(frames):
            try:
                message = _REPLY_DECODER.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise ProtocolError(f"reply of {len(body)} bytes: {error}") from error
            self._take(message)

    def close(self, error: Exception) -> None:
        """Fail what is unanswered with ConnectionLost from `error`; refuse what comes after."""
        if self._closed is not None:
            return
        self._closed = error
        self._reports_in.close()
        pending, self._pending = self._pending, {}
        for request in pending.values():
            request.fail(error)
            # Wakes one waiting sender each, and every sender that finds the channel closed
            # gives its slot on: nobody is left behind.
            self._slots.release()

    async def call(self, request: Request) -> Answer:
        """Send a request and wait for its answer, both within `timeout_s`.

        Raises:
            ReplyTimeout: sent, no answer in time: outcome unknown, see `ask_again`.
            RequestRefused: not executed; code busy when the window stayed full until the
                deadline, and then nothing was sent.
            ConnectionLost: the connection ended before the answer.

        Cancellation: after sending, the outcome is unknown.
        """
        pending: Pending | None = None
        with trio.move_on_after(self.timeout_s):
            pending = await self.send(request)
            return await pending.wait()
        return self._late(pending)

    async def ask_again(self, request_id: int) -> Answer:
        """Ask for the answer to one of the last `window` commands of this channel.

        Still unanswered: waits for its one answer. Answered: sends the same bytes again and
        gives the response that the server remembers, with the reports seen the first time.

        Raises:
            ReplyTimeout: no answer this time either.
            RequestRefused: refused by the server, or not among the last `window` commands.
        """
        known = self._commands.get(request_id)
        if known is None:
            text = f"not among the last {self.window} commands of this channel that were executed"
            raise _refusal(request_id, ErrorCode.STALE_ID, text)
        pending: Pending | None = None
        with trio.move_on_after(self.timeout_s):
            if known.answered and request_id not in self._pending:
                pending = await self.resend(known.frame)
                pending.reports = known.reports
            else:  # not answered yet, or somebody is asking again already
                pending = self._pending.get(request_id, known)
            return await pending.wait()
        return self._late(pending)

    # --- inside -------------------------------------------------------------------------------

    def _dispatch(self, request: Request) -> Pending:
        request_id = self.last_request_id + 1
        try:
            frame = encode_frame(msgspec.structs.replace(request, request_id=request_id))
        except BaseException:
            self._slots.release()
            raise
        return self._launch(Pending(request_id, frame), command=type(request) in _COMMAND_TYPES)

    def _launch(self, pending: Pending, *, command: bool) -> Pending:
        """Send; the caller has taken a slot. No await: id order is sending order."""
        if self._closed is not None:
            self._slots.release()
            raise ConnectionLost(
                f"not sent, the connection has ended: {self._closed}"
            ) from self._closed
        asked = self._pending.get(pending.request_id)
        if asked is not None:  # two who waited for a slot ask again for one answer
            self._slots.release()
            return asked
        self.last_request_id = max(self.last_request_id, pending.request_id)
        self._pending[pending.request_id] = pending
        if command:
            self._commands[pending.request_id] = pending
            if len(self._commands) > self.window:
                self._commands.popitem(last=False)
        self._send(pending.frame)
        return pending

    def _take(self, message: Reply) -> None:
        if isinstance(message, _REPORTS):
            self._take_report(message)
            return
        pending = self._pending.pop(message.request_id, None)
        if pending is None:
            if isinstance(message, Error):
                raise ProtocolError(f"{message.name} ({message.code}): {message.message}")
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
        self._slots.release()
        pending.resolve(message)

    def _take_report(self, report: Report) -> None:
        pending = self._pending.get(report.request_id)
        if pending is not None:
            pending.reports.append(report)
            return
        try:
            self._reports_in.send_nowait(report)
        except (trio.WouldBlock, trio.BrokenResourceError):
            # The application reads too slowly or closed its end; the count and the gap in
            # private_sequence tell it.
            self.reports_dropped += 1

    def _late(self, pending: Pending | None) -> Answer:
        """Decide what a passed deadline means."""
        if pending is None:
            text = f"{self.window} requests unanswered for {self.timeout_s} s; nothing was sent"
            raise _refusal(0, ErrorCode.BUSY, text)
        if pending.answered:
            return pending.answer()
        raise ReplyTimeout(self.session_id, pending.request_id)


def _refusal(request_id: int, code: ErrorCode, text: str) -> RequestRefused:
    return RequestRefused(request_id, code, code.name.lower(), text, code is ErrorCode.BUSY)
