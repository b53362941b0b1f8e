"""The compiled core as one object, for tests against the reference core.

The service never imports it; one thread uses it. `apply` holds the interpreter's lock only while it
reads the batch and makes the output.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

from hpe.core.compiled cimport (
    accounts,
    buffers,
    codes,
    core_state,
    driver,
    exchange_state,
    fields,
    index_check,
    market_data,
    packing,
    permissions,
    refusals,
    session_check,
    treasury,
)
from tests.unit.core.compiled.taking cimport take_instrument, take_limits, take_tables

from hpe.core.compiled.tables import flat_permissions, flat_refusals, flat_tables
from hpe.core.contract import Output
from hpe.protocol.base import type_number
from hpe.protocol.registry import COMMANDS, INTERNAL, QUERIES

cdef fields.Tables request_tables
cdef fields.Tables internal_tables
cdef permissions.Permissions permission_table
cdef refusals.Refusals texts


cdef int make_all() except -1:
    cdef int role, number
    messages = {type_number(each): each for each in (*QUERIES, *COMMANDS)}
    tables = flat_tables(messages)
    take_tables(&request_tables, tables)
    take_tables(&internal_tables, flat_tables({type_number(each): each for each in INTERNAL}))
    flat = flat_permissions(messages, tables)
    for (role, number), scope in flat.scopes.items():
        permission_table.scopes[role][number] = scope
    for number, (user, to_user, all_users) in flat.named.items():
        permission_table.named[number].user = user
        permission_table.named[number].to_user = to_user
        permission_table.named[number].all_users = all_users
    refusals.make_refusals(&texts)
    for number, (tail, fatal) in flat_refusals().items():
        if not refusals.add_refusal(&texts, number, <const uint8_t*>(<bytes>tail), len(tail), fatal):
            raise ValueError(f"refusals.pxd is too small for {number}")
    return 0


make_all()


cdef bytes bytes_of(const buffers.Buffer* buffer):
    return bytes(buffer.data[: buffer.size])


cdef class Core:
    """A core with the contract of `apply`."""

    cdef core_state.Core core
    cdef buffers.Buffer rows
    cdef buffers.Buffer runs

    def __init__(self, limits, int64_t seed=7):
        cdef core_state.CoreLimits given
        cdef core_state.CoreTables tables = core_state.CoreTables(
            &request_tables, &internal_tables, &permission_table, &texts
        )
        take_limits(&given.trading, limits)
        given.market_data.changes = limits.changes
        given.market_data.snapshot_orders = limits.snapshot_orders
        given.market_data.indicative_levels = limits.indicative_levels
        given.market_data.indicative_ns_per_level = limits.indicative_ns_per_level
        given.market_data.made_up_levels = limits.made_up_levels
        given.market_data.query_effort = limits.query_effort
        given.room.room, given.room.key_share, given.room.large = limits.room[:3]
        given.room.kept, given.room.small, given.room.least = limits.room[3:6]
        given.room.operators = limits.room.operators
        given.revocations, given.reports = limits.revocations, limits.reports
        if not core_state.make_core(&self.core, &given, &tables, seed):
            raise MemoryError

    def __dealloc__(self):
        buffers.free_buffer(&self.rows)
        buffers.free_buffer(&self.runs)
        core_state.free_core(&self.core)

    def add_instrument(self, instrument):
        """List a reference's instrument."""
        take_instrument(&self.core.exchange, instrument)

    def list_asset(self, int64_t asset):
        """Let commands name an asset."""
        if not accounts.reserve_accounts(&self.core.exchange.balances, 0, 1, 0):
            raise MemoryError
        treasury.list_asset(&self.core.exchange.treasury, asset)

    def apply(self, batch):
        """Execute a batch; see contract.py."""
        cdef core_state.Batch given
        cdef const packing.Output* output = &self.core.output
        cdef bint done
        cdef bytes wanted = batch.wanted
        memset(&given, 0, sizeof(given))
        given.time_ns = batch.time_ns
        given.wanted, given.wanted_size = <const uint8_t*>wanted, len(wanted)
        self.take(batch, &given)
        with nogil:
            done = driver.apply(&self.core, &given)
        if not done:
            raise MemoryError
        return Output(
            bytes_of(&output.replies), bytes_of(&output.private), bytes_of(&output.market),
            bytes_of(&output.body), bytes_of(&output.reply_rows), bytes_of(&output.private_rows),
            bytes_of(&output.market_rows), bytes_of(&output.cut), bytes_of(&output.subscribed),
            bytes_of(&output.progress), self.core.exchange.sequence,
            core_state.next_due_ns(&self.core),
            bool(market_data.late(&self.core.market_feed)),
        )

    cdef int take(self, batch, core_state.Batch* given) except -1:
        """Read the runs of a batch, whose bytes stay where they are."""
        cdef core_state.Row* row
        cdef core_state.Run* run
        cdef bytes frames
        self.rows.size = self.runs.size = 0
        count = sum(len(each.chunk.table) for each in batch.runs)
        if (
            not buffers.make_room(&self.rows, count * <int64_t>sizeof(core_state.Row))
            or not buffers.make_room(
                &self.runs, len(batch.runs) * <int64_t>sizeof(core_state.Run)
            )
        ):
            raise MemoryError
        row = <core_state.Row*>self.rows.data
        run = <core_state.Run*>self.runs.data
        given.runs, given.run_count, given.frame_count = run, len(batch.runs), count
        for each in batch.runs:
            frames = each.chunk.frames
            run.connection, run.attach, run.admit = each.connection, each.attach, each.admit
            run.frames, run.size = <const uint8_t*>frames, len(frames)
            run.rows, run.count = row, len(each.chunk.table)
            for start, end, kind, _, _ in each.chunk.table:
                row.start, row.end = start, end
                given.subscribe_count += kind == codes.TYPE_SUBSCRIBE
                row += 1
            run += 1
        return 0

    @property
    def digest(self):
        """The digest of all that was put out."""
        return self.core.digest

    def check(self):
        """Return what is wrong with the orders and with the sessions, 0 for nothing."""
        return (
            index_check.check_index(&self.core.exchange.orders),
            session_check.check(&self.core.sessions),
        )
