"""The compiled core as one object, for tests against the reference core.

The service never imports it; one thread uses it. `apply` holds the interpreter's lock only while it
reads the batch and makes the output.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset

from hpe.core.compiled cimport (
    accounts,
    buffers,
    codes,
    core_state,
    driver,
    exchange_state,
    fees,
    fields,
    hash_tables,
    index_check,
    instruments,
    market_data,
    packing,
    permissions,
    refusals,
    session_check,
    slabs,
    treasury,
)

from hpe.core.compiled.tables import flat_permissions, flat_refusals, flat_tables
from hpe.core.contract import Output
from hpe.protocol.base import type_number
from hpe.protocol.registry import COMMANDS, INTERNAL, QUERIES

cdef fields.Tables request_tables
cdef fields.Tables internal_tables
cdef permissions.Permissions permission_table
cdef refusals.Refusals texts


cdef int make_tables(fields.Tables* tables, object flat) except -1:
    """Copy flat tables into C's."""
    cdef int number, place
    cdef const uint8_t* name
    memset(tables, 0, sizeof(fields.Tables))
    for number in range(fields.TYPES):
        tables.messages[number] = fields.NO_ROWS
    for number, rule in enumerate(flat.rules):
        copy_rule(&tables.rules[number], rule)
        name = <const uint8_t*>(<bytes>rule.name)
        tables.names[number].size = len(rule.name)
        memcpy(tables.names[number].text, name, len(rule.name))
    for number, (first, count) in enumerate(flat.rows):
        tables.rows[number].first, tables.rows[number].count = first, count
    for number, place in flat.messages.items():
        tables.messages[number] = place
        values, nulls = flat.absent[number]
        tables.absent[number].kind = number
        tables.absent[number].nulls = nulls
        tables.absent[number].size = len(values)
        for place, value in enumerate(values):
            tables.absent[number].values[place] = value
    return 0


cdef int copy_rule(fields.Rule* to, object rule) except -1:
    to.kind, to.nullable, to.required = rule.kind, rule.nullable, rule.required
    to.printable, to.low, to.high = rule.printable, rule.low, rule.high
    to.multiple_of, to.allowed = rule.multiple_of, rule.allowed
    to.rows, to.item, to.slot = rule.rows, rule.item, rule.slot
    return 0


cdef int make_all() except -1:
    cdef int role, number
    messages = {type_number(each): each for each in (*QUERIES, *COMMANDS)}
    tables = flat_tables(messages)
    make_tables(&request_tables, tables)
    make_tables(&internal_tables, flat_tables({type_number(each): each for each in INTERNAL}))
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
        set_trading(&given.trading, limits)
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
        cdef instruments.Instrument given
        memset(&given, 0, sizeof(given))
        given.instrument_id, given.base, given.quote = (
            instrument.instrument_id, instrument.base, instrument.quote,
        )
        given.base_atoms_per_lot = instrument.base_atoms_per_lot
        given.quote_atoms_per_tick = instrument.quote_atoms_per_tick
        given.price_min, given.price_max = instrument.price_min, instrument.price_max
        given.quantity_min, given.quantity_max = instrument.quantity_min, instrument.quantity_max
        given.notional_min, given.notional_max = instrument.notional_min, instrument.notional_max
        given.band_ppm, given.reference_price = instrument.band_ppm, instrument.reference_price
        given.interruption_ms = instrument.interruption_ms
        given.self_trade = instrument.self_trade
        given.volatility_interruption = instrument.volatility_interruption
        if not (
            slabs.reserve(&self.core.exchange.book_slab, 1)
            and hash_tables.reserve_places(&self.core.exchange.books, 1)
        ):
            raise MemoryError
        exchange_state.add_book(
            &self.core.exchange, &given,
            fees.rates_of(instrument.maker_fee_ppm, instrument.taker_fee_ppm),
        )

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


cdef int set_trading(exchange_state.Limits* given, limits) except -1:
    given.fills, given.stops, given.fired = limits.fills, limits.stops, limits.fired
    given.uncross_fills, given.part_fills = limits.uncross_fills, limits.part_fills
    given.dead, given.mass_cancel = limits.dead, limits.mass_cancel
    given.mass_cancel_all, given.effort = limits.mass_cancel_all, limits.effort
    given.turns_effort, given.continue_effort = limits.turns_effort, limits.continue_effort
    given.query_effort, given.ended_orders = limits.query_effort, limits.ended_orders
    given.recent_fills, given.reserved_part = limits.recent_fills, limits.reserved_part
    for kind, count in enumerate(limits.acts):
        given.acts[<int>kind] = count
    return 0
