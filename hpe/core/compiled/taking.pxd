"""What the compiled core takes over from Python: tables and limits when it is made, then batches.

Holds the interpreter's lock; used by the thread that makes a core or runs it.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset

from hpe.core.compiled cimport core_state, cutting, exchange_state, fields, permissions, refusals
from hpe.core.compiled.buffers cimport Buffer, make_room


cdef inline int take_tables(fields.Tables* tables, flat) except -1:
    """Copy flat tables (tables.py) into C's; raise ValueError if one is too small."""
    cdef int number, place
    memset(tables, 0, sizeof(fields.Tables))
    slots = max([len(values) for values, _ in flat.absent.values()])
    names = max([len(rule.name) for rule in flat.rules])
    if (
        len(flat.rules) > fields.RULES_MAX or len(flat.rows) > fields.ROWS_MAX
        or slots > fields.SLOTS_MAX or names > fields.NAME_BYTES_MAX
    ):
        raise ValueError(
            f"fields.pxd is too small for {len(flat.rules)} rules, {len(flat.rows)} rows, "
            f"{slots} slots, names of {names} bytes"
        )
    for number in range(fields.TYPES):
        tables.messages[number] = fields.NO_ROWS
    for number, rule in enumerate(flat.rules):
        _take_rule(tables, number, rule)
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


cdef inline int _take_rule(fields.Tables* tables, int number, rule) except -1:
    cdef const uint8_t* name = <const uint8_t*>(<bytes>rule.name)
    tables.rules[number].kind = rule.kind
    tables.rules[number].nullable = rule.nullable
    tables.rules[number].required = rule.required
    tables.rules[number].printable = rule.printable
    tables.rules[number].low, tables.rules[number].high = rule.low, rule.high
    tables.rules[number].multiple_of = rule.multiple_of
    tables.rules[number].allowed = rule.allowed
    tables.rules[number].rows, tables.rules[number].item = rule.rows, rule.item
    tables.rules[number].slot = rule.slot
    tables.names[number].size = len(rule.name)
    memcpy(tables.names[number].text, name, len(rule.name))
    return 0


cdef inline int take_limits(exchange_state.Limits* given, limits) except -1:
    """Set the limits of trading to those of the reference's Limits."""
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


cdef inline int take_permissions(permissions.Permissions* table, flat) except -1:
    """Copy who may send what (tables.py)."""
    cdef int role, number
    for (role, number), scope in flat.scopes.items():
        table.scopes[role][number] = scope
    for number, (user, to_user, all_users) in flat.named.items():
        table.named[number].user = user
        table.named[number].to_user = to_user
        table.named[number].all_users = all_users
    return 0


cdef inline int take_refusals(refusals.Refusals* texts, flat) except -1:
    """Copy the refusals of all codes (tables.py); raise ValueError if there is no room."""
    refusals.make_refusals(texts)
    for number, (tail, fatal) in flat.items():
        if not refusals.add_refusal(texts, number, <const uint8_t*>(<bytes>tail), len(tail), fatal):
            raise ValueError(f"refusals.pxd is too small for {number}")
    return 0


cdef inline int take_core_limits(core_state.CoreLimits* given, limits) except -1:
    """Set all limits to those of the reference's Limits."""
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
    return 0


cdef inline int take_runs(Buffer* runs, Buffer* rows, batch, core_state.Batch* given) except -1:
    """Read the runs of a batch, whose bytes stay where they are."""
    cdef core_state.Row* row
    cdef core_state.Run* run
    cdef bytes frames
    given.run_count = len(batch.runs)
    for each in batch.runs:
        given.frame_count += each.chunk.count
    make_rows(runs, rows, given.run_count, given.frame_count)
    run, row = <core_state.Run*>runs.data, <core_state.Row*>rows.data
    given.runs = run
    for each in batch.runs:
        frames = each.chunk.frames
        run.connection, run.attach, run.admit = each.connection, each.attach, each.admit
        run.frames, run.size = <const uint8_t*>frames, len(frames)
        run.rows, run.count = row, each.chunk.count
        given.subscribe_count += cutting.cut_frames(run.frames, run.count, row)
        row += run.count
        run += 1
    return 0


cdef inline int make_rows(Buffer* runs, Buffer* rows, int64_t run_count, int64_t count) except -1:
    """Make room for so many runs and rows of frames; raise MemoryError if there is none."""
    runs.size = rows.size = 0
    if not (
        make_room(runs, run_count * <int64_t>sizeof(core_state.Run))
        and make_room(rows, count * <int64_t>sizeof(core_state.Row))
    ):
        raise MemoryError
    return 0
