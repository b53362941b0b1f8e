"""Rows of the state about sessions, with what they remember, and keys; and the first row.

The compiled twin of the rest of the rows in hpe/core/state/dump.py; state_rows.pxd has those of the
exchange. Everything here holds the interpreter's lock and only reads. Owned by the core, used by the
thread that runs it.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled.buffers cimport Buffer, free_buffer, make_room
from hpe.core.compiled.exchange_state cimport Exchange
from hpe.core.compiled.keys cimport Keys, ValidKey, _key_at
from hpe.core.compiled.registry cimport Sessions, attached, next_session, session_at
from hpe.core.compiled.session cimport (
    RESPONSE_BYTES_MAX,
    Remembered,
    Session,
    put_response,
    remembered_at,
    request_id_of,
)
from hpe.core.compiled.state_rows cimport ROW_HEAD, ROW_KEY, ROW_RESPONSE, ROW_SESSION


cdef inline tuple head_row(
    const Exchange* exchange, const Sessions* sessions, int64_t version, int64_t digest,
    int64_t last_asset_id, int64_t last_instrument_id
):
    """Return the first row; what the caller gives is not known here."""
    return (
        ROW_HEAD, version, exchange.sequence, exchange.timers.now_ns, digest,
        exchange.last_order_id, exchange.last_trade_id, sessions.last_session_id,
        sessions.last_attach_number, last_asset_id, last_instrument_id,
        exchange.turns.last_served, sessions.valid_keys.known,
    )


cdef inline list key_rows(const Keys* keys):
    """Return the rows of the keys that may log on, by number."""
    cdef uint32_t number = keys.first
    cdef const ValidKey* key
    cdef list rows = []
    while number:
        key = _key_at(keys, number)
        rows.append((ROW_KEY, key.number, key.role))
        number = key.next
    rows.sort()
    return rows


cdef inline tuple session_row(const Session* session):
    """Return the row of a session."""
    return (
        ROW_SESSION, session.session_id, session.user, session.window, session.role,
        session.user_first, session.user_last, session.flags, session.grace_ms, session.key,
        session.last_request_id, session.attach_number, session.detached_ns,
    )


cdef inline list response_rows(const Sessions* sessions, const Session* session):
    """Return the rows of the responses that a session remembers, by request id."""
    cdef Buffer buffer = Buffer(NULL, 0, 0)
    cdef const Remembered* entry
    cdef uint32_t at
    cdef list rows = []
    if not make_room(&buffer, RESPONSE_BYTES_MAX):
        raise MemoryError
    try:
        for at in range(session.count):
            entry = remembered_at(&sessions.cells, session, at)
            buffer.size = 0
            put_response(&buffer, &sessions.cells, entry)
            rows.append((
                ROW_RESPONSE, session.session_id, request_id_of(entry), entry.length, entry.crc,
                bytes(buffer.data[: buffer.size]),
            ))
    finally:
        free_buffer(&buffer)
    return rows


cdef inline list attachments(const Sessions* sessions):
    """Return (session id, attach number) of each session that has a connection, by id."""
    cdef uint32_t number = next_session(sessions, 0)
    cdef const Session* session
    cdef list found = []
    while number:
        session = session_at(sessions, number)
        if attached(sessions, session.attach_number) == number:
            found.append((session.session_id, session.attach_number))
        number = next_session(sessions, number)
    return found
