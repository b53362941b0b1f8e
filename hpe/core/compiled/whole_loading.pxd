"""From the rows of a dump back to the whole state of the core.

The compiled twin of `_Loader` in hpe/core/state/loading.py: loading.pxd has the rows of the exchange,
loading_sessions.pxd those of sessions; hpe/core/state/reading.py gives the rows. A row that cannot be
raises ValueError or OverflowError, with what is wrong; whatever is raised, the core cannot be used any
more. Everything here holds the interpreter's lock. Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from hpe.core.compiled cimport hash_tables
from hpe.core.compiled.core_state cimport Core
from hpe.core.compiled.disconnects cimport is_ending
from hpe.core.compiled.exchange_state cimport Exchange
from hpe.core.compiled.holders cimport holder_at
from hpe.core.compiled.index_records cimport session_at as orders_at
from hpe.core.compiled.loading cimport finish_loading, load_row
from hpe.core.compiled.loading_orders cimport Loading, has_memory, holder_for
from hpe.core.compiled.loading_sessions cimport finish_sessions, load_session_row
from hpe.core.compiled.market_data cimport watch
from hpe.core.compiled.order_index cimport forget_session
from hpe.core.compiled.registry cimport get
from hpe.core.compiled.state_rows cimport ROW_ASSET, ROW_HEAD, ROW_INSTRUMENT


cdef inline int load_whole_row(Loading* loading, Core* core, object texts, object row) except -1:
    """Load a row into a new core, for which `begin_loading` was called."""
    cdef int kind = row.__struct_config__.tag
    if kind == ROW_HEAD:
        core.digest = row.digest
        loading.last_asset_id, loading.last_instrument_id = (
            row.last_asset_id, row.last_instrument_id,
        )
    elif kind == ROW_ASSET:
        texts.check_asset(row)
    elif kind == ROW_INSTRUMENT:
        texts.check_instrument(row)
    load_row(loading, row)
    load_session_row(&core.sessions, row)
    if kind == ROW_ASSET:
        texts.load_asset(row)
        holder_at(&core.exchange.places.holder_slab, holder_for(loading, row.key)).assets += 1
    elif kind == ROW_INSTRUMENT:
        texts.load_instrument(row)
        holder_at(&core.exchange.places.holder_slab, holder_for(loading, row.key)).instruments += 1
    return 0


cdef inline int finish_whole_loading(Loading* loading, Core* core, object texts) except -1:
    """Complete what needs all rows; sessions come first, because all timers are reviewed."""
    texts.last_asset_id = loading.last_asset_id
    texts.last_instrument_id = loading.last_instrument_id
    finish_sessions(&core.sessions)
    finish_loading(loading)
    _forget_gone(core)
    return 0


cdef inline int _forget_gone(Core* core) except -1:
    """Make the orders of sessions that are gone ordinary ones: they outlive a logout."""
    cdef Exchange* exchange = &core.exchange
    cdef int64_t session_id
    cdef uint32_t number
    cdef uint64_t place
    cdef list gone = []
    for place in range(hash_tables.place_count(&exchange.orders.by_session)):
        number = hash_tables.number_at(&exchange.orders.by_session, place)
        if number:
            session_id = orders_at(&exchange.orders, number).session_id
            if get(&core.sessions, session_id) == 0 and not is_ending(exchange, session_id):
                gone.append(session_id)
    for session_id in gone:
        forget_session(&exchange.orders, session_id)
    return 0


cdef inline int watch_again(Core* core, bytes wanted) except -1:
    """Follow the market data that was wanted before the dump."""
    has_memory(
        watch(
            &core.market_feed, <const uint8_t*>wanted, len(wanted), core.exchange.books.count
        )
    )
    return 0
