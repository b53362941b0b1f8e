"""What the tests of the compiled core take over from Python: tables, limits, instruments.

The service never imports it; used by the tests' modules, in one thread, with the interpreter's lock.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset

from hpe.core.compiled cimport exchange_state, fees, fields, hash_tables, instruments, loading, slabs


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


cdef inline int take_instrument(exchange_state.Exchange* exchange, instrument) except -1:
    """List a reference's instrument."""
    cdef instruments.Instrument given
    given.instrument_id = instrument.instrument_id
    loading.take_facts(&given, instrument)
    if not (
        slabs.reserve(&exchange.book_slab, 1) and hash_tables.reserve_places(&exchange.books, 1)
    ):
        raise MemoryError
    exchange_state.add_book(
        exchange, &given, fees.rates_of(instrument.maker_fee_ppm, instrument.taker_fee_ppm)
    )
    return 0
