"""The reference core: the contract of contract.py in plain Python.

Runs request frames through sessions and the exchange, and collects the output of each batch:
replies per connection, private reports per user, the log body. Used by one thread at a time: the
matching thread while serving, the recovering thread before. Deterministic: `apply` and `replay`
share `_answer_frames`, so a replayed body can differ only where the code differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from zlib import crc32

from hpe.core.codec import DECODE_FAULTS, DECODERS, divergence, encode, error_body, next_body
from hpe.core.context.command import Context
from hpe.core.context.effort import ROW
from hpe.core.contract import (
    DEFAULT_LIMITS,
    SYSTEM_CONNECTION,
    Batch,
    BatchBounds,
    Limits,
    Output,
    Run,
    Settings,
)
from hpe.core.decoding.judging import INTERNAL_TABLES, Undecodable, decode_request, judge, refusal
from hpe.core.internal import CONTINUE_CLOSING, CONTINUE_MARKET, InternalCommands
from hpe.core.output.batch import MAY_COST_MUCH, TRADING_EVENTS, BatchWork, trades_of
from hpe.core.output.market_data import MarketFeed
from hpe.core.output.private_reports import PrivateFeed
from hpe.core.output.queries import Queries
from hpe.core.output.snapshots import answer_later, answer_now
from hpe.core.routing import CommandHandler, commands_of, queries_of
from hpe.core.sessions.origins import origin_of, service_origin
from hpe.core.sessions.registry import Sessions
from hpe.core.sessions.session import Remembered, Session
from hpe.core.state.dump import dump_state, hash_state
from hpe.core.state.loading import load_state
from hpe.core.timers import SESSION
from hpe.core.trading.answers import LASTING_REASONS, not_executed
from hpe.core.trading.configuring import differences
from hpe.core.trading.events import Delisted
from hpe.core.trading.exchange import Exchange
from hpe.errors import Diverged, InvariantViolation, ProtocolError
from hpe.protocol.base import Request, type_number
from hpe.protocol.codes import QUERIES_FULL, ErrorCode
from hpe.protocol.enums import DetachCause, Role
from hpe.protocol.frames import PREFIXES, Chunk, chunk_of, frame, prefix
from hpe.protocol.internal import Continue, KeysValid, SessionDetached, Tick
from hpe.protocol.market_data import Subscribe

_PREFIXES_COUNT: Final = len(PREFIXES)
_CONTINUE: Final = encode(Continue(CONTINUE_MARKET))
_CLOSE_MORE: Final = encode(Continue(CONTINUE_CLOSING))
_NEVER: Final = -1
_FAULTS: Final = (Undecodable, *DECODE_FAULTS)
_TICK: Final = encode(Tick(1))


class ReferenceCore:
    """The deterministic state machine, in Python."""

    name: Final = "python"
    bounds = BatchBounds(commands=1_024, bytes=256 * 1024, frames_per_turn=256)

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        exchange = self.exchange = Exchange(limits)
        self.sessions = Sessions(self.exchange.timers, limits.room)
        settings = self.exchange.settings
        self.sessions.set_times(settings.session_expiry_ns, settings.session_keep_ns)
        self.exchange.acts[SESSION] = self.sessions.expire
        self.exchange.revoked = self.sessions.revoked
        self.feed = PrivateFeed(self.exchange.orders)
        self.market_feed = MarketFeed(self.exchange.books, limits)
        self.digest = 0
        self._commands = commands_of(exchange)
        # By type; decode_request handles what is not a command.
        # The number is the reason value of a command that certainly changed something.
        self._by_type: list[tuple[Callable[[bytes], Any], CommandHandler | None, int]] = [
            (decode_request, None, _NEVER)
        ] * 256
        for message, handler in self._commands.items():
            decoder = DECODERS[type_number(message)]
            assert decoder is not None
            lasting = LASTING_REASONS.get(message, _NEVER)
            self._by_type[type_number(message)] = (decoder.decode, handler, lasting)
        self._effort = exchange.market.effort
        self._queries = queries_of(Queries(exchange, self.state_hash), exchange.catalogue)
        self._internal = InternalCommands(exchange, self.sessions, self.feed).handlers

    # --- the contract -----------------------------------------------------------------------

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest command, 0 before the first."""
        return self.exchange.sequence

    @property
    def last_time_ns(self) -> int:
        """Time of the newest logged batch, 0 before the first."""
        return self.exchange.time_ns

    @property
    def next_due_ns(self) -> int:
        """Return when the core has work of its own, 0 for never; see contract.py."""
        return self.exchange.next_due_ns()

    @property
    def last_attach_number(self) -> int:
        """Highest attach number that was ever used."""
        return self.sessions.last_attach_number

    @property
    def instrument_count(self) -> int:
        """Return the number of instruments ever listed; see contract.py."""
        return self.exchange.listings.last_instrument_id

    @property
    def unfinished(self) -> bool:
        """True if work continues by itself; see contract.py."""
        return self.exchange.unfinished

    def attached_sessions(self) -> list[tuple[int, int]]:
        """Return (session id, attach number) of each session that has a connection."""
        return self.sessions.attachments()

    def configuration_differences(self, configure: Settings) -> Settings | None:
        """Return the part of a configuration, or of its keys, to log; see contract.py."""
        if isinstance(configure, KeysValid):
            return configure if self.sessions.keys_differ(configure) else None
        return differences(self.exchange, configure)

    def apply(self, batch: Batch) -> Output:
        """Execute a batch; see contract.py."""
        self.market_feed.watch(batch.wanted)
        work = self._new_work(batch.time_ns)
        for run in batch.runs:
            if run.connection == SYSTEM_CONNECTION:
                self._apply_internal(run, work)
            else:
                work.weigh(run.connection, run.chunk)
                self._apply_client(run, work)
        return self._finish(work, makes_up=not batch.runs)

    def replay(self, body: bytes) -> Output:
        """Execute a logged body again; see contract.py."""
        logged = next_body(body, self.last_sequence, self.last_time_ns)
        work = self._new_work(logged.time_ns)
        for session_id, user, frames in logged.groups:
            self._replay_group(session_id, user, frames, work)
        output = self._finish(work)
        if output.body != body:
            raise divergence(logged, bytes(output.body))
        return output

    def _new_work(self, time_ns: int) -> BatchWork:
        """Begin a batch: first the unfinished work of earlier ones continues."""
        work = BatchWork(time_ns, self.last_sequence + 1, self.limits.reports)
        self._effort.begin()
        if self.unfinished:
            self._begin(work)
        return work

    def state_hash(self) -> bytes:
        """Return a digest of all that can influence a later result; see contract.py."""
        return hash_state(self.dump())

    def check(self) -> None:
        """Check the whole state; see contract.py."""
        self.exchange.check()
        self.sessions.check()
        self.feed.check()

    def dump(self) -> Iterator[bytes]:
        """Yield the state as canonical bytes; see contract.py."""
        return dump_state(self.exchange, self.sessions, self.feed, self.digest)

    def load(self, chunks: Iterable[bytes], wanted: bytes = b"") -> None:
        """Load a dumped state; see contract.py."""
        assert not self.last_sequence, "only a new core loads a dump"
        try:
            self.digest = load_state(self.exchange, self.sessions, self.feed, chunks)
        except BaseException:
            ReferenceCore.__init__(self, self.limits)  # make it new again
            raise
        self.market_feed.watch(wanted)

    # --- frames of clients ------------------------------------------------------------------

    def _apply_client(self, run: Run, work: BatchWork) -> None:
        """Answer one connection's frames, unless a newer connection took its session."""
        session = self.sessions.attached(run.attach)
        if session is None:
            return
        connection = run.connection
        intact, newest_id = self._answer_frames(session, run.chunk, run.admit, work, connection)
        work.advance(connection, newest_id)
        if not intact:
            work.cut.append(connection)
            lost = SessionDetached(
                run.attach, session.session_id, run.attach, DetachCause.PROTOCOL_ERROR
            )
            self._execute_internal(encode(lost), work)

    def _answer_frames(
        self, session: Session, chunk: Chunk, admit: int, work: BatchWork, connection: int
    ) -> tuple[bool, int]:
        """Answer frames in order, up to the first that breaks the protocol; False if one did.

        One flat loop, because every frame passes here. `pending` is where the unlogged stretch of
        executed frames starts: whole runs are logged as the bytes that were received. The second
        result is the highest request id.
        """
        exchange, last_request_id = self.exchange, session.last_request_id
        by_type, digested = self._by_type, work.digested
        remember, effort = session.remembered.append, self._effort
        frames, position, pending, highest_id = chunk.frames, 0, -1, last_request_id
        intact, guarded = True, session.role is not Role.ANONYMOUS
        events, report, out = exchange.market.events, self.feed.report, work.replies_to(connection)
        origin, time_ns, put = origin_of(session, exchange.places), work.time_ns, out.append
        context, user = Context(0, time_ns, self.limits.effort, *origin), origin.user
        for start, end, kind, request_id, _ in chunk.table:
            body = frames[start:end]
            decode, handler, lasting = by_type[kind]
            try:
                request = decode(body)
            except _FAULTS as fault:
                request, handler, lasting = self._judged(body, fault)
            fresh = handler is not None and request_id > last_request_id and not admit
            if fresh and guarded:
                fresh = session.may(request)
            if fresh and not work.begun:
                self._begin(work)
            if fresh and handler and not (work.careful and self._must_wait(user, request, work)):
                sequence = context.sequence = exchange.sequence = exchange.sequence + 1
                response = handler(context, request)
                answer = encode(response)
                if effort.spent != work.effort or len(events) > 1:
                    self._collect(work, out)
                elif events:
                    report(events.pop(), sequence, time_ns, work)
                if response.reason != lasting:
                    work.count_idle(response)
                last_request_id = request_id
                remember(Remembered(request_id, len(body), crc32(body), answer))
                digested.append(answer)
                if pending < 0:
                    pending = position
            else:
                session.last_request_id = last_request_id  # read by _answer_other
                if pending >= 0:
                    work.log(session.session_id, user, frames[pending:position])
                    pending = -1
                answer, intact = self._answer_other(session, request, body, admit, work, connection)
                highest_id = max(highest_id, request.request_id)
            size, position = len(answer), end
            put(PREFIXES[size] if size < _PREFIXES_COUNT else prefix(size))
            put(answer)
            if not intact:
                break
        if pending >= 0:
            work.log(session.session_id, user, frames[pending:])
        session.last_request_id = last_request_id
        return intact, max(highest_id, last_request_id)

    def _judged(
        self, body: bytes, fault: Exception
    ) -> tuple[Request | Undecodable, CommandHandler | None, int]:
        """Return a request that its decoder refused, its handler and reason; or what is wrong."""
        if isinstance(fault, Undecodable):
            return fault, None, _NEVER
        try:
            request = judge(body)
        except Undecodable as found:
            return found, None, _NEVER
        return request, self._commands.get(type(request)), _NEVER

    def _answer_other(
        self,
        session: Session,
        request: Request | Undecodable,
        body: bytes,
        admit: int,
        work: BatchWork,
        connection: int,
    ) -> tuple[bytes, bool]:
        """Answer what is not executed as a command now; False if it broke the protocol."""
        if isinstance(request, Undecodable):
            return refusal(request)
        request_id = request.request_id
        fresh = request_id > session.last_request_id
        command = type(request) in self._commands
        guarded = session.role is not Role.ANONYMOUS and (fresh or not command)
        if guarded and not session.may(request):
            return error_body(request_id, ErrorCode.NOT_AUTHORIZED), True
        if command:
            return not_executed(session, request_id, body, admit, work.full), True
        user = origin_of(session, self.exchange.places).user
        return self._answer_query(user, request, admit, work, connection), True

    def _must_wait(self, user: int, request: Request, work: BatchWork) -> bool:
        """True if a command is not executed now because the batch or its instrument is busy."""
        if work.full and isinstance(request, MAY_COST_MUCH):
            return True
        return self.exchange.busy.refuses(user, request)

    def _answer_query(
        self, user: int, request: Request, admit: int, work: BatchWork, connection: int
    ) -> bytes:
        """Answer a query from the state between two commands.

        The place of a subscribe's reply stays empty: its snapshot is taken when the batch ends.
        """
        handler = self._queries.get(type(request))
        if handler is None and not isinstance(request, Subscribe):
            return error_body(request.request_id, ErrorCode.UNKNOWN_TYPE)
        if admit:
            return error_body(request.request_id, ErrorCode(admit))
        if self._effort.asked >= self.limits.query_effort:
            return error_body(request.request_id, *QUERIES_FULL)
        if isinstance(request, Subscribe):
            self._effort.ask(ROW, answer_later(self.market_feed, request, work, connection))
            return b""
        assert handler is not None
        return encode(handler(user, request))

    def _begin(self, work: BatchWork) -> None:
        """Let timers act, once per body, before its first command; then do unfinished work."""
        work.begun = True
        exchange = self.exchange
        if work.time_ns <= exchange.time_ns:
            raise InvariantViolation(f"batch time {work.time_ns} is not after the last logged one")
        exchange.let_time_act(work.time_ns)
        self._report(work, [], exchange.sequence + 1)
        if exchange.revoked:
            self._execute_internal(_CLOSE_MORE, work)
        in_all = self._effort.spent + self.limits.turns_effort
        for _ in range(exchange.market.turns.count):  # each at most once
            one_stop = self._effort.spent + self.limits.continue_effort + 1
            self._execute_internal(_CONTINUE, work, max(in_all, one_stop))
            if self._effort.spent >= in_all:
                break
        self._weigh(work)

    def _collect(self, work: BatchWork, out: list[bytes]) -> None:
        """Charge and report what one command did.

        Fills and searched levels are what can make one command cost a thousand times another: after
        `limits.effort` of them the batch is full, which bounds its time and the log's record.
        """
        self._weigh(work)
        self._report(work, out, self.exchange.sequence)

    def _weigh(self, work: BatchWork) -> None:
        """Note how much the batch has done, and whether some commands have to wait."""
        market = self.exchange.market
        work.effort = self._effort.spent
        work.full = work.effort >= self.limits.effort
        work.careful = work.full or len(market.turns.books) > 0 or market.timers.overdue

    def _report(self, work: BatchWork, out: list[bytes], sequence: int) -> None:
        """Encode what happened; reports with a request id also go to the connection of `out`."""
        exchange = self.exchange
        for event in exchange.market.events:
            out += self.feed.report(event, sequence, work.time_ns, work)
            if isinstance(event, TRADING_EVENTS):
                work.trades += trades_of(event)
                if self.market_feed.active:
                    self.market_feed.note(event)
            elif isinstance(event, Delisted):
                self.market_feed.delisted(event.instrument)
        exchange.market.events.clear()

    # --- internal commands --------------------------------------------------------------------

    def _apply_internal(self, run: Run, work: BatchWork) -> None:
        """Execute frames of connection 0; they come from this process, so they must decode."""
        out = work.replies_to(SYSTEM_CONNECTION)
        out += [frame(self._execute_internal(body, work)) for body in run.chunk.bodies]

    def _execute_internal(self, body: bytes, work: BatchWork, effort_max: int = 0) -> bytes:
        """Execute and log one internal command; return the response.

        `effort_max` is the bound for its context, 0 for the usual one.
        """
        request = decode_request(body, INTERNAL_TABLES)
        if not work.begun:
            self._begin(work)
        exchange = self.exchange
        exchange.sequence += 1
        effort_max, service = effort_max or self.limits.effort, service_origin(exchange.places)
        context = Context(exchange.sequence, work.time_ns, effort_max, *service)
        response = encode(self._internal[type(request)](context, request))
        self._collect(work, [])
        work.digested.append(response)
        work.log(SYSTEM_CONNECTION, 0, frame(body))
        return response

    # --- replay and the end of a batch ----------------------------------------------------------

    def _replay_group(self, session_id: int, user: int, frames: bytes, work: BatchWork) -> None:
        """Execute one group of logged frames again, the way they were executed first.

        A frame that is not executed now is missing from the new body, which then differs.
        """
        try:
            chunk = chunk_of(frames)
        except ProtocolError as error:
            raise Diverged(self.last_sequence + 1, f"the logged commands: {error}") from None
        if not session_id:
            try:
                for body in chunk.bodies:
                    if body in (_CONTINUE, _CLOSE_MORE):  # the core makes these by itself
                        if not work.begun:
                            self._begin(work)
                    else:
                        self._execute_internal(body, work)
            except (Undecodable, KeyError) as error:
                raise Diverged(self.last_sequence + 1, f"no internal command: {error}") from None
            return
        session = self.sessions.get(session_id)
        if session is None or session.user != user:
            raise Diverged(self.last_sequence + 1, f"session {session_id} of user {user} is gone")
        self._answer_frames(session, chunk, 0, work, SYSTEM_CONNECTION)

    def _finish(self, work: BatchWork, *, makes_up: bool = False) -> Output:
        """Complete a batch: accounts, digest, market data (the late part if `makes_up`), body."""
        exchange, feed, market = self.exchange, self.market_feed, []
        if work.begun and not work.groups:
            self._execute_internal(_TICK, work)  # timers act only with a command
        if work.begun:
            changed = exchange.balances.take_changed()
            self.feed.report_accounts(changed, exchange.sequence, work.time_ns, work)
            self.digest = crc32(b"".join(work.digested), self.digest)
            if feed.active:
                if exchange.timers.overdue:
                    feed.note_dead()
                market = feed.updates(work.time_ns)
        elif makes_up and feed.active:
            market = feed.make_up(work.time_ns)
        if work.subscribes:
            answer_now(exchange, feed, work)
        return work.output(self.digest, self.last_sequence, self.next_due_ns, market, feed.late)
