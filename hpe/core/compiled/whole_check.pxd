"""The check of the whole core: its own structures, and what its state contains.

Each part has a check of its own, which returns the number of its first fault, 0 for none. What the
state contains is checked by the reference core, which loads it. Everything here holds the
interpreter's lock and only reads. Owned by the core, used by the thread that runs it.
"""

from hpe.core.compiled.core_state cimport Core
from hpe.core.compiled.index_check cimport check_index
from hpe.core.compiled.money_check cimport check_money
from hpe.core.compiled.session_check cimport check as check_sessions


cdef inline int check_whole(Core* core, object reference, object chunks) except -1:
    """Raise InvariantViolation if the state, of which `chunks` are a dump, contradicts itself.

    `reference` is a new ReferenceCore with the same limits.
    """
    from hpe.errors import InvariantViolation, StateError

    cdef str fault = _structure_fault(core)
    if fault:
        raise InvariantViolation(fault)
    try:
        reference.load(chunks)
    except StateError as error:
        raise InvariantViolation(f"the reference core has no such state: {error}") from error
    reference.check()
    return 0


cdef inline str _structure_fault(Core* core):
    """Return what is wrong with a part and where to look, "" if nothing is."""
    cdef tuple parts = (
        ("index_check.pxd", check_index(&core.exchange.orders)),
        ("session_check.pxd", check_sessions(&core.sessions)),
        ("money_check.pxd", check_money(&core.exchange.holds)),
    )
    for place, fault in parts:
        if fault:
            return f"fault {fault} of hpe/core/compiled/{place}"
    return ""
