"""Timers: five kinds of entries with due times, each kind with its own queue and bound per body.

The compiled twin of hpe/core/timers.py, with its names. An entry is sorted by its due time and two
ids among those of its instrument; the first of each instrument is sorted again among all that are
not passed over. So adding, removing and finding the first cost O(log n). Owned by the core, used by
the thread that runs it; an entry and a line were reserved before the batch.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport hash_tables, ordered, slabs

cdef enum TimerKind:
    ORDER = 0
    HOLD = 1
    ENDING = 2
    INTERRUPTION = 3
    SESSION = 4

cdef enum:
    KINDS = 5


cdef struct TimerEntry:
    # The node's keys are the due time and the two ids that the kind has.
    ordered.Node node
    int64_t instrument
    int kind


cdef struct Line:
    # The entries of one kind and instrument. The node's keys are those of the first of them; it is
    # among the firsts while the instrument is not passed over.
    ordered.Node node
    ordered.Tree entries
    int64_t instrument
    int kind


cdef struct Passed:
    # An instrument that is passed over.
    int64_t instrument


cdef struct Timers:
    # `room` is what is left of each kind's bound in the current body, `now_ns` the time of the
    # newest one. `overdue`: there may be orders whose time has come and whose timer has not acted.
    slabs.Slab entry_slab
    slabs.Slab line_slab
    slabs.Slab passed_slab
    hash_tables.HashTable lines
    hash_tables.HashTable passed
    ordered.Tree[KINDS] firsts
    int64_t[KINDS] acts_max
    int64_t[KINDS] room
    int64_t now_ns
    bint overdue


cdef inline bint _has_line(
    const void* records, uint32_t number, int64_t kind, int64_t instrument
) noexcept nogil:
    cdef const Line* line = <const Line*>slabs.record(<const slabs.Slab*>records, number)
    return line.kind == kind and line.instrument == instrument


cdef inline void make_timers(Timers* timers, uint64_t seed, const int64_t* acts_max) noexcept nogil:
    """Initialize without entries; `acts_max` is the bound of each kind per body."""
    cdef int kind
    memset(timers, 0, sizeof(Timers))
    slabs.make_slab(&timers.entry_slab, sizeof(TimerEntry))
    slabs.make_slab(&timers.line_slab, sizeof(Line))
    slabs.make_slab(&timers.passed_slab, sizeof(Passed))
    hash_tables.make_table(&timers.lines, seed, &timers.line_slab, _has_line)
    hash_tables.make_table(
        &timers.passed, seed, &timers.passed_slab, hash_tables.begins_with_one
    )
    for kind in range(KINDS):
        timers.acts_max[kind] = acts_max[kind]
        timers.room[kind] = acts_max[kind]


cdef inline void free_timers(Timers* timers) noexcept nogil:
    """Free all memory."""
    slabs.free_slab(&timers.entry_slab)
    slabs.free_slab(&timers.line_slab)
    slabs.free_slab(&timers.passed_slab)
    hash_tables.free_table(&timers.lines)
    hash_tables.free_table(&timers.passed)


cdef inline bint reserve_timers(Timers* timers, int64_t more) noexcept nogil:
    """Make sure that so many entries and passed instruments fit; False if there is no memory."""
    return (
        slabs.reserve(&timers.entry_slab, more)
        and slabs.reserve(&timers.line_slab, more)
        and slabs.reserve(&timers.passed_slab, more)
        and hash_tables.reserve_places(&timers.lines, more)
        and hash_tables.reserve_places(&timers.passed, more)
    )


cdef inline TimerEntry* entry_at(const Timers* timers, uint32_t number) noexcept nogil:
    """Return the entry of a number."""
    return <TimerEntry*>slabs.record(&timers.entry_slab, number)


cdef inline Line* _line_at(const Timers* timers, uint32_t number) noexcept nogil:
    return <Line*>slabs.record(&timers.line_slab, number)


cdef inline bint is_passed(const Timers* timers, int64_t instrument) noexcept nogil:
    """True if an instrument is passed over, so that none of its entries acts."""
    return hash_tables.find(&timers.passed, instrument, 0) != 0


cdef inline void add_timer(
    Timers* timers, int kind, int64_t due_ns, int64_t first, int64_t second, int64_t instrument
) noexcept nogil:
    """Add an entry that acts at its time."""
    cdef uint32_t number = slabs.take(&timers.entry_slab)
    cdef uint32_t of = hash_tables.find(&timers.lines, kind, instrument)
    cdef TimerEntry* entry = entry_at(timers, number)
    cdef Line* line
    entry.node.first = due_ns
    entry.node.second = first
    entry.node.third = second
    entry.kind = kind
    entry.instrument = instrument
    if of == 0:
        of = slabs.take(&timers.line_slab)
        line = _line_at(timers, of)
        line.kind = kind
        line.instrument = instrument
        hash_tables.add(&timers.lines, kind, instrument, of)
    else:
        line = _line_at(timers, of)
        if not is_passed(timers, instrument):
            ordered.take_out(&timers.firsts[kind], &timers.line_slab, of)
    ordered.insert(&line.entries, &timers.entry_slab, number)
    _file_line(timers, of)


cdef inline void remove_timer(
    Timers* timers, int kind, int64_t due_ns, int64_t first, int64_t second, int64_t instrument
) noexcept nogil:
    """Remove an entry that will not act any more; it is there."""
    cdef uint32_t of = hash_tables.find(&timers.lines, kind, instrument)
    cdef Line* line = _line_at(timers, of)
    cdef uint32_t number = ordered.find_key(
        &line.entries, &timers.entry_slab, due_ns, first, second
    )
    if not is_passed(timers, instrument):
        ordered.take_out(&timers.firsts[kind], &timers.line_slab, of)
    ordered.take_out(&line.entries, &timers.entry_slab, number)
    slabs.give_back(&timers.entry_slab, number)
    if line.entries.count:
        _file_line(timers, of)
        return
    hash_tables.remove(&timers.lines, kind, instrument)
    slabs.give_back(&timers.line_slab, of)


cdef inline bint has_timer(
    const Timers* timers, int kind, int64_t due_ns, int64_t first, int64_t second,
    int64_t instrument
) noexcept nogil:
    """True if an entry is there; for checks."""
    cdef uint32_t of = hash_tables.find(&timers.lines, kind, instrument)
    return of != 0 and ordered.find_key(
        &_line_at(timers, of).entries, &timers.entry_slab, due_ns, first, second
    ) != 0


cdef inline uint32_t timer_count(
    const Timers* timers, int kind, int64_t instrument
) noexcept nogil:
    """Return how many entries of a kind an instrument has; for checks."""
    cdef uint32_t of = hash_tables.find(&timers.lines, kind, instrument)
    return _line_at(timers, of).entries.count if of else 0


cdef inline void _file_line(Timers* timers, uint32_t of) noexcept nogil:
    """Sort a line among the firsts by its first entry, unless its instrument is passed over."""
    cdef Line* line = _line_at(timers, of)
    cdef const ordered.Node* first = ordered.node(&timers.entry_slab, line.entries.least)
    if is_passed(timers, line.instrument):
        return
    line.node.first = first.first
    line.node.second = first.second
    line.node.third = first.third
    ordered.insert(&timers.firsts[line.kind], &timers.line_slab, of)


cdef inline void begin_body(Timers* timers, int64_t time_ns) noexcept nogil:
    """Reset the room of every kind to its bound."""
    cdef int kind
    for kind in range(KINDS):
        timers.room[kind] = timers.acts_max[kind]
    timers.now_ns = time_ns


cdef inline uint32_t first_entry(const Timers* timers, int kind) noexcept nogil:
    """Return the earliest entry of a kind that is not passed over, 0 if there is none."""
    cdef uint32_t of = timers.firsts[kind].least
    return _line_at(timers, of).entries.least if of else 0


cdef inline uint32_t next_to_act(const Timers* timers, int64_t time_ns) noexcept nogil:
    """Return the earliest entry that is due and within its kind's bound, 0 if there is none."""
    cdef uint32_t found = 0, number
    cdef int kind
    cdef int64_t due_ns
    for kind in range(KINDS):
        number = first_entry(timers, kind) if timers.room[kind] > 0 else 0
        if number:
            due_ns = entry_at(timers, number).node.first
            # At one time, the lower kind is first.
            if due_ns <= time_ns and (
                found == 0 or due_ns < entry_at(timers, found).node.first
            ):
                found = number
    return found


cdef inline int64_t next_due_ns(const Timers* timers) noexcept nogil:
    """Return when the earliest entry not passed over is due; 0 for never."""
    cdef int64_t found = 0, due_ns
    cdef uint32_t number
    cdef int kind
    for kind in range(KINDS):
        number = first_entry(timers, kind)
        if number:
            due_ns = entry_at(timers, number).node.first
            if found == 0 or due_ns < found:
                found = due_ns
    return found


cdef inline void review(Timers* timers) noexcept nogil:
    """Find out whether there are dead orders; passed-over instruments have none."""
    cdef uint32_t number = first_entry(timers, ORDER)
    timers.overdue = number != 0 and entry_at(timers, number).node.first <= timers.now_ns


cdef inline int64_t dead_ns(const Timers* timers, int64_t instrument) noexcept nogil:
    """Return the time up to which orders of an instrument are dead, 0 if none are."""
    cdef uint32_t of = hash_tables.find(&timers.lines, ORDER, instrument)
    if of == 0 or is_passed(timers, instrument):
        return 0
    if entry_at(timers, _line_at(timers, of).entries.least).node.first > timers.now_ns:
        return 0
    return timers.now_ns


cdef inline void pass_over(Timers* timers, int64_t instrument) noexcept nogil:
    """Pass over all entries of an instrument, until `take_up`."""
    cdef uint32_t number = slabs.take(&timers.passed_slab)
    cdef uint32_t of
    cdef int kind
    for kind in range(KINDS):
        of = hash_tables.find(&timers.lines, kind, instrument)
        if of:
            ordered.take_out(&timers.firsts[kind], &timers.line_slab, of)
    (<Passed*>slabs.record(&timers.passed_slab, number)).instrument = instrument
    hash_tables.add(&timers.passed, instrument, 0, number)


cdef inline void take_up(Timers* timers, int64_t instrument) noexcept nogil:
    """Stop passing over an instrument, which is passed over."""
    cdef uint32_t number = hash_tables.find(&timers.passed, instrument, 0)
    cdef uint32_t of
    cdef int kind
    hash_tables.remove(&timers.passed, instrument, 0)
    slabs.give_back(&timers.passed_slab, number)
    for kind in range(KINDS):
        of = hash_tables.find(&timers.lines, kind, instrument)
        if of:
            _file_line(timers, of)
    review(timers)
