"""The whole state of the core, row by row, as tuples of what a row has.

The compiled twin of `_rows` in hpe/core/state/dump.py: dumping.pxd has the rows of the exchange from
its fees on. Rows are made some at a time, however many there are. Everything here holds the
interpreter's lock, and memory may be missing at any point. Owned by the core, used by the thread that
runs it; nothing may change the core between `begin_whole_dump` and the last rows.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from hpe.core.compiled cimport hash_tables
from hpe.core.compiled.catalogue cimport refresh_fees
from hpe.core.compiled.core_state cimport Core
from hpe.core.compiled.dumping cimport ROWS_AT_ONCE, Dump, begin_dump, end_dump, next_rows
from hpe.core.compiled.exchange_state cimport Exchange
from hpe.core.compiled.lost_sessions cimport (
    LossEntry,
    LostSession,
    LostSessions,
    entry_at,
    lost_at,
)
from hpe.core.compiled.registry cimport Sessions, next_session, session_at
from hpe.core.compiled.session_rows cimport head_row, key_rows, response_rows, session_row
from hpe.core.compiled.state_rows cimport (
    ROW_ASSET,
    ROW_ENDING,
    ROW_HEAD,
    ROW_INSTRUMENT,
    ROW_SESSION,
    book_fields,
    settings_row,
)

cdef enum Stage:
    SINGLE_ROWS = 0
    LISTING_ROWS = 1
    EXCHANGE_ROWS = 2
    ENDING_ROWS = 3
    SESSION_ROWS = 4
    RESPONSE_ROWS = 5
    NO_ROWS = 6


cdef struct WholeDump:
    # A dump in progress: what comes next, and after which session.
    const Core* core
    Dump exchange
    int stage
    uint32_t session


cdef inline int begin_whole_dump(WholeDump* dump, const Core* core) except -1:
    """Begin a dump of a core; whatever is raised, `end_whole_dump` is due."""
    memset(dump, 0, sizeof(WholeDump))
    dump.core = core
    return 0


cdef inline void end_whole_dump(WholeDump* dump) noexcept:
    """Free the memory, also of a dump that was not finished."""
    end_dump(&dump.exchange)


cdef inline list next_of_all(WholeDump* dump, object texts, int64_t version):
    """Return the next rows, none after the last one before the end."""
    cdef list rows = []
    while not rows and dump.stage < NO_ROWS:
        rows = _rows_of(dump, texts, version)
        if _is_over(dump, rows):
            dump.stage += 1
            dump.session = 0
            if dump.stage == EXCHANGE_ROWS:
                begin_dump(&dump.exchange, &dump.core.exchange)
    return rows


cdef inline bint _is_over(const WholeDump* dump, list rows) noexcept:
    """True if no further rows of this stage come."""
    if dump.stage == EXCHANGE_ROWS:
        return not rows
    if dump.stage == SESSION_ROWS or dump.stage == RESPONSE_ROWS:
        return dump.session == 0
    return True


cdef inline list _rows_of(WholeDump* dump, object texts, int64_t version):
    cdef const Core* core = dump.core
    if dump.stage == SINGLE_ROWS:
        return [
            head_row(
                &core.exchange, &core.sessions, version, core.digest, texts.last_asset_id,
                texts.last_instrument_id,
            ),
            settings_row(&core.exchange.settings),
            *key_rows(&core.sessions.valid_keys),
        ]
    if dump.stage == LISTING_ROWS:
        return _listing_rows(&core.exchange, texts)
    if dump.stage == EXCHANGE_ROWS:
        return next_rows(&dump.exchange)
    if dump.stage == ENDING_ROWS:
        return ending_rows(&core.exchange.lost_sessions)
    return _session_rows(dump)


cdef inline list _listing_rows(const Exchange* exchange, object texts):
    """Return the rows of assets and instruments."""
    cdef list rows = [(ROW_ASSET, *fields) for fields in texts.asset_fields()]
    refresh_fees(exchange, texts)
    for fields in texts.instrument_fields():
        rows.append((ROW_INSTRUMENT, *fields, *book_fields(exchange, fields[0])))
    return rows


cdef inline list ending_rows(const LostSessions* lost):
    """Return the rows of lost sessions, by due time, session and newest order."""
    cdef const LostSession* theirs
    cdef const LossEntry* entry
    cdef uint32_t number
    cdef uint64_t place
    cdef list rows = []
    for place in range(hash_tables.place_count(&lost.by_id)):
        number = hash_tables.number_at(&lost.by_id, place)
        if number == 0:
            continue
        theirs = lost_at(lost, number)
        number = theirs.first
        while number:
            entry = entry_at(lost, number)
            rows.append(
                (ROW_ENDING, entry.due_ns, theirs.session_id, entry.newest, entry.instrument)
            )
            number = entry.next
    rows.sort()
    return rows


cdef inline list _session_rows(WholeDump* dump):
    """Return rows of the next sessions, or of what they remember."""
    cdef const Sessions* sessions = &dump.core.sessions
    cdef list rows = []
    while len(rows) < ROWS_AT_ONCE:
        dump.session = next_session(sessions, dump.session)
        if dump.session == 0:
            break
        if dump.stage == SESSION_ROWS:
            rows.append(session_row(session_at(sessions, dump.session)))
        else:
            rows += response_rows(sessions, session_at(sessions, dump.session))
    return rows
