"""The compiled core as one object with the contract of hpe/core/contract.py.

The compiled twin of ReferenceCore in hpe/core/driver.py; the headers beside this file are one unit
with it. Used by one thread at a time. `apply` and `replay` hold the interpreter's lock only while
they read the input, make the output, and for what interpreter-held headers do: queries, and commands
about what is listed. After a failure the core is dead: it refuses everything.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport (
    answering,
    batch_work,
    buffers,
    core_state,
    cutting,
    driver,
    fields,
    listing,
    loading,
    loading_orders,
    market_data,
    packing,
    permissions,
    queries,
    refusals,
    registry,
    session_rows,
    taking,
    whole_check,
    whole_dump,
    whole_loading,
)
from hpe.core.compiled.answers cimport Response
from hpe.core.compiled.beginning cimport FAILED, begin, execute_internal
from hpe.core.compiled.buffers cimport PREFIX_BYTES, Buffer
from hpe.core.compiled.codes cimport TYPE_CONFIGURE
from hpe.core.compiled.configuring cimport configure, differences
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.driver cimport begin_batch, finish
from hpe.core.compiled.keys cimport keys_differ

from hpe.core.codec import divergence, encode, next_body
from hpe.core.compiled.replies import reply_to
from hpe.core.compiled.tables import flat_permissions, flat_refusals, flat_tables
from hpe.core.compiled.texts import Texts
from hpe.core.contract import CORE_VERSION, DEFAULT_LIMITS, BatchBounds, Output
from hpe.core.decoding.judging import (
    INTERNAL_TABLES,
    LOGGED_TABLES,
    Undecodable,
    decode_request,
)
from hpe.core.driver import ReferenceCore
from hpe.core.internal import CONTINUE_CLOSING, CONTINUE_MARKET
from hpe.core.state.dump import hash_state
from hpe.core.state.reading import load_rows
from hpe.core.state.rows import DumpedEnd
from hpe.errors import Diverged, InvariantViolation, ProtocolError
from hpe.extensions import CORE, require_sources
from hpe.protocol.base import type_number
from hpe.protocol.frames import chunk_of, type_of
from hpe.protocol.internal import Continue, KeysValid
from hpe.protocol.registry import COMMANDS, INTERNAL, QUERIES

cdef extern from *:
    const char* HPE_SOURCES_DIGEST  # setup.py defines it

__all__ = ["SOURCES_DIGEST", "CompiledCore"]

SOURCES_DIGEST = HPE_SOURCES_DIGEST.decode("ascii")
require_sources(CORE, SOURCES_DIGEST)

cdef fields.Tables request_tables
cdef fields.Tables internal_tables
cdef permissions.Permissions permission_table
cdef refusals.Refusals refusal_texts
cdef core_state.CoreTables core_tables

_OWN = (encode(Continue(CONTINUE_MARKET)), encode(Continue(CONTINUE_CLOSING)))


cdef int _make_tables() except -1:
    messages = {type_number(each): each for each in (*QUERIES, *COMMANDS)}
    tables = flat_tables(messages)
    taking.take_tables(&request_tables, tables)
    internal = flat_tables({type_number(each): each for each in INTERNAL})
    taking.take_tables(&internal_tables, internal)
    taking.take_permissions(&permission_table, flat_permissions(messages, tables))
    taking.take_refusals(&refusal_texts, flat_refusals())
    core_tables.requests, core_tables.internal = &request_tables, &internal_tables
    core_tables.permissions, core_tables.refusals = &permission_table, &refusal_texts
    return 0


_make_tables()


cdef bytes _bytes_of(const Buffer* buffer):
    return PyBytes_FromStringAndSize(<const char*>buffer.data, buffer.size)


cdef bint _execute_texts(
    void* owner, const Context* context, const uint8_t* body, int64_t size, Response* response
) noexcept with gil:
    """Execute a command about what is listed, or a configuration; see core_state.pxd."""
    cdef CompiledCore core = <CompiledCore>owner
    try:
        core.execute_texts(context, (<const char*>body)[:size], response)
    except BaseException as error:
        core.raised = error
        return False
    return True


cdef bint _answer_query(
    void* owner, int64_t user, const uint8_t* body, int64_t size
) noexcept with gil:
    """Answer a query; see core_state.pxd."""
    cdef CompiledCore core = <CompiledCore>owner
    try:
        core.answer_query(user, (<const char*>body)[:size])
    except BaseException as error:
        core.raised = error
        return False
    return True


cdef class CompiledCore:
    """The deterministic state machine, compiled.

    `seed` is that of its hash tables: it decides about speed, never about results.
    """

    cdef core_state.Core core
    cdef Buffer rows
    cdef Buffer runs
    cdef object texts
    cdef loading_orders.Loading loading
    cdef object raised
    cdef str dead
    cdef int64_t uses
    cdef uint64_t seed
    cdef readonly object limits

    name = "compiled"
    bounds = BatchBounds(commands=1_024, bytes=256 * 1024, frames_per_turn=256)

    def __init__(self, limits=DEFAULT_LIMITS, uint64_t seed=0):
        self.limits, self.seed = limits, seed
        self._make()

    cdef int _make(self) except -1:
        """Make a new core; of an old one, all memory was freed."""
        cdef core_state.CoreLimits given
        cdef core_state.Interpreter interpreter
        self.texts, self.dead = Texts(), ""
        interpreter.owner = <void*>self
        interpreter.execute, interpreter.answer = _execute_texts, _answer_query
        taking.take_core_limits(&given, self.limits)
        if not core_state.make_core(&self.core, &given, &core_tables, &interpreter, self.seed):
            raise MemoryError
        return 0

    def __dealloc__(self):
        buffers.free_buffer(&self.rows)
        buffers.free_buffer(&self.runs)
        core_state.free_core(&self.core)

    # --- the contract -----------------------------------------------------------------------

    @property
    def last_sequence(self):
        """Sequence of the newest command, 0 before the first."""
        return self.core.exchange.sequence

    @property
    def last_time_ns(self):
        """Time of the newest logged batch, 0 before the first."""
        return self.core.exchange.timers.now_ns

    @property
    def next_due_ns(self):
        """Return when the core has work of its own, 0 for never; see contract.py."""
        return core_state.next_due_ns(&self.core)

    @property
    def last_attach_number(self):
        """Highest attach number that was ever used."""
        return self.core.sessions.last_attach_number

    @property
    def instrument_count(self):
        """Return the number of instruments ever listed; see contract.py."""
        return self.texts.last_instrument_id

    @property
    def unfinished(self):
        """True if work continues by itself; see contract.py."""
        return core_state.unfinished(&self.core)

    @property
    def digest(self):
        """The digest of all that was put out."""
        return self.core.digest

    def attached_sessions(self):
        """Return (session id, attach number) of each session that has a connection."""
        return session_rows.attachments(&self.core.sessions)

    def configuration_differences(self, configure):
        """Return the part of a configuration, or of its keys, to log; see contract.py."""
        self._must_live()
        if isinstance(configure, KeysValid):
            roles = {key.number: key.role for key in configure.keys}
            return configure if keys_differ(&self.core.sessions.valid_keys, roles) else None
        return differences(
            &self.core.exchange, self.texts, configure, self.limits.configure_bytes
        )

    def apply(self, batch):
        """Execute a batch; see contract.py."""
        cdef core_state.Batch given
        cdef bytes wanted = batch.wanted
        cdef bint done
        self._must_live()
        self.uses += 1
        memset(&given, 0, sizeof(given))
        given.time_ns = batch.time_ns
        given.wanted, given.wanted_size = <const uint8_t*>wanted, len(wanted)
        taking.take_runs(&self.runs, &self.rows, batch, &given)
        with nogil:
            done = driver.apply(&self.core, &given)
        if not done:
            raise self._failure(batch.time_ns)
        return self._output()

    def replay(self, bytes body not None):
        """Execute a logged body again; see contract.py."""
        self._must_live()
        self.uses += 1
        logged = next_body(body, self.last_sequence, self.last_time_ns)
        cdef core_state.Batch given
        memset(&given, 0, sizeof(given))
        given.time_ns = logged.time_ns
        given.run_count = len(logged.groups)
        for _, _, frames in logged.groups:
            given.frame_count += len(frames) // PREFIX_BYTES  # there are no more
        if not begin_batch(&self.core, &given):
            raise self._failure(logged.time_ns)
        for session_id, user, frames in logged.groups:
            if session_id:
                self._replay_group(session_id, user, frames)
            else:
                self._replay_internal(frames)
        if not finish(&self.core, False):
            raise self._failure(logged.time_ns)
        output = self._output()
        if output.body != body:
            self.dead = "it replayed a body that differs"
            raise divergence(logged, output.body)
        return output

    # --- the state --------------------------------------------------------------------------

    def state_hash(self):
        """Return a digest of all that can influence a later result; see contract.py."""
        return hash_state(self.dump())

    def check(self):
        """Check the whole state; see contract.py."""
        whole_check.check_whole(&self.core, ReferenceCore(self.limits), self.dump())

    def dump(self):
        """Yield the state as canonical bytes; see contract.py."""
        cdef whole_dump.WholeDump dump
        cdef int64_t uses = self.uses, count = 0
        self._must_live()
        whole_dump.begin_whole_dump(&dump, &self.core)
        try:
            while rows := self._next_rows(&dump, uses):
                for row in rows:
                    yield encode(row)
                count += len(rows)
        finally:
            whole_dump.end_whole_dump(&dump)
        yield encode(DumpedEnd(count))

    cdef list _next_rows(self, whole_dump.WholeDump* dump, int64_t uses):
        if self.uses != uses:
            raise RuntimeError("the core changed while its state was dumped")
        return whole_dump.next_of_all(dump, self.texts, CORE_VERSION)

    def load(self, chunks, bytes wanted not None=b""):
        """Load a dumped state; see contract.py."""
        assert not self.last_sequence, "only a new core loads a dump"
        self._must_live()
        self.uses += 1
        loading.begin_loading(&self.loading, &self.core.exchange)
        try:
            load_rows(self, chunks)
            whole_loading.watch_again(&self.core, wanted)
        except BaseException:
            self.uses += 1
            core_state.free_core(&self.core)
            self._make()
            raise
        finally:
            loading.end_loading(&self.loading)

    def load_row(self, row):
        """Load a row; `load` alone may lead here, see hpe/core/state/reading.py."""
        whole_loading.load_whole_row(&self.loading, &self.core, self.texts, row)

    def finish_loading(self):
        """Complete what needs all rows, for `load`."""
        whole_loading.finish_whole_loading(&self.loading, &self.core, self.texts)

    # --- batches ----------------------------------------------------------------------------

    cdef int _must_live(self) except -1:
        """Refuse everything after a failure, which may have left a half-executed command."""
        if self.dead:
            raise InvariantViolation(f"the core is dead: {self.dead}")
        return 0

    cdef object _failure(self, time_ns):
        """Return why a batch failed; the core is then dead."""
        error = self.raised
        if error is None:
            error = MemoryError(f"no memory after sequence {self.last_sequence}")
            if self.core.broken == core_state.BROKEN_TIME:
                error = InvariantViolation(f"batch time {time_ns} is not after the last logged one")
            elif self.core.broken == core_state.BROKEN_FRAME:
                error = InvariantViolation(
                    f"a frame of the service after sequence {self.last_sequence} is no command"
                )
        self.dead, self.raised = str(error), None
        return error

    cdef object _output(self):
        """Return the output of the batch that was executed."""
        cdef const packing.Output* output = &self.core.output
        return Output(
            _bytes_of(&output.replies), _bytes_of(&output.private), _bytes_of(&output.market),
            _bytes_of(&output.body), _bytes_of(&output.reply_rows),
            _bytes_of(&output.private_rows), _bytes_of(&output.market_rows),
            _bytes_of(&output.cut), _bytes_of(&output.subscribed), _bytes_of(&output.progress),
            self.core.exchange.sequence, core_state.next_due_ns(&self.core),
            bool(market_data.late(&self.core.market_feed)),
        )

    # --- replay -----------------------------------------------------------------------------

    cdef int _replay_group(self, session_id, user, bytes frames) except -1:
        """Execute one group of logged frames of a session again.

        A frame that is not executed now is missing from the new body, which then differs.
        """
        cdef core_state.Run run
        cdef uint32_t number = registry.get(&self.core.sessions, session_id)
        cdef bint done
        memset(&run, 0, sizeof(run))
        run.frames, run.size = <const uint8_t*>frames, len(frames)
        run.count = cutting.count_frames(run.frames, run.size)
        if run.count == cutting.NOT_WHOLE:
            self._chunk_of(frames)
        if number == 0 or registry.session_at(&self.core.sessions, number).user != user:
            self._diverge(f"session {session_id} of user {user} is gone")
        taking.make_rows(&self.runs, &self.rows, 0, run.count)
        run.rows = <core_state.Row*>self.rows.data
        cutting.cut_frames(run.frames, run.count, <core_state.Row*>self.rows.data)
        with nogil:
            done = answering.replay_group(&self.core, &run, number)
        if not done:
            raise self._failure(self.core.work.time_ns)
        return 0

    cdef int _replay_internal(self, bytes frames) except -1:
        """Execute logged commands of the service again."""
        cdef const uint8_t* data = <const uint8_t*>frames
        for body in self._chunk_of(frames).bodies:
            if body in _OWN:  # the core makes these by itself
                if not self.core.work.begun and not begin(&self.core):
                    raise self._failure(self.core.work.time_ns)
            else:
                self._check_internal(body)
                if execute_internal(&self.core, data, PREFIX_BYTES + len(body)) == FAILED:
                    raise self._failure(self.core.work.time_ns)
            data += PREFIX_BYTES + len(body)
        return 0

    cdef object _chunk_of(self, frames):
        """Return the frames, if they are whole."""
        try:
            return chunk_of(frames)
        except ProtocolError as error:
            self._diverge(f"the logged commands: {error}")

    cdef int _check_internal(self, body) except -1:
        try:
            decode_request(body, INTERNAL_TABLES)
        except Undecodable as error:
            self._diverge(f"no internal command: {error}")
        return 0

    cdef int _diverge(self, what) except -1:
        self.dead = what
        raise Diverged(self.last_sequence + 1, what)

    # --- what takes the interpreter's lock --------------------------------------------------

    cdef int execute_texts(
        self, const Context* context, bytes body, Response* response
    ) except -1:
        """Execute a command about what is listed, or apply a configuration."""
        cdef int kind = type_of(body)
        command = decode_request(body, LOGGED_TABLES)
        if kind == TYPE_CONFIGURE:
            return configure(&self.core.exchange, self.texts, context, command)
        return listing.lister_of(kind)(
            &self.core.exchange, self.texts, context, command, response
        )

    cdef int answer_query(self, user, bytes body) except -1:
        """Answer a query, with a reply to the connection whose run this is."""
        query = decode_request(body)
        fields = queries.answer_query(
            &self.core.exchange, self.texts, self, type_of(body), user, query
        )
        cdef bytes answer = encode(reply_to(query, fields))
        if not buffers.make_room(&self.core.work.replies, PREFIX_BYTES + len(answer)):
            raise MemoryError
        batch_work.reply(&self.core.work, <const uint8_t*>answer, len(answer))
        return 0
