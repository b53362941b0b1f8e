"""Which function executes which command about what is listed.

The compiled twin of the rest of `commands_of` in hpe/core/routing.py: the commands that executing.pxd
does not know, as the messages of hpe/protocol. They hold the interpreter's lock. Owned by the core,
used by the thread that runs it.
"""

from hpe.core.compiled.answers cimport Response
from hpe.core.compiled.catalogue cimport add_asset, add_instrument, resolve_instrument
from hpe.core.compiled.codes cimport (
    TYPE_ADD_ASSET,
    TYPE_ADD_INSTRUMENT,
    TYPE_DELIST_ASSET,
    TYPE_DELIST_INSTRUMENT,
    TYPE_RESOLVE_INSTRUMENT,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.delisting cimport delist_asset, delist_instrument
from hpe.core.compiled.exchange_state cimport Exchange

ctypedef int (*Lister)(
    Exchange* exchange, object texts, const Context* context, object command, Response* response
) except -1


cdef inline Lister lister_of(int kind) noexcept nogil:
    """Return what executes a type of command, NULL if nothing here does."""
    if kind == TYPE_ADD_ASSET:
        return add_asset
    if kind == TYPE_ADD_INSTRUMENT:
        return add_instrument
    if kind == TYPE_RESOLVE_INSTRUMENT:
        return resolve_instrument
    if kind == TYPE_DELIST_ASSET:
        return delist_asset
    if kind == TYPE_DELIST_INSTRUMENT:
        return delist_instrument
    return NULL
