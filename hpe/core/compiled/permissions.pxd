"""Who may do what: the scope of each role and type, and the users that a request names.

The compiled twin of hpe/core/permissions.py. The table is made from SCOPES and the registry of
messages (tables.py) and never changes afterwards. Pure functions; any thread may call them.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t

from hpe.core.compiled.fields cimport TYPES, Request

cdef enum:
    ROLES = 8
    NO_SLOT = -1

cdef enum Scope:
    NOBODY = 0
    OWN = 1
    ANYBODY = 2


cdef struct Named:
    # The slots of a type's fields that say for whom it is; NO_SLOT for a field it does not have.
    int8_t user
    int8_t to_user
    int8_t all_users


cdef struct Permissions:
    # By role and type, and by type.
    uint8_t[ROLES][TYPES] scopes
    Named[TYPES] named


cdef inline bint permitted(
    const Permissions* permissions, int role, int64_t user_first, int64_t user_last,
    int64_t session_user, const Request* request
) noexcept nogil:
    """True if a session may send a request; `session_user` is meant where it names none."""
    cdef int scope = permissions.scopes[role][request.kind]
    cdef const Named* named = &permissions.named[request.kind]
    cdef int64_t user = 0, to_user
    if scope != OWN:
        return scope == ANYBODY
    if named.all_users != NO_SLOT and request.values[named.all_users]:
        return False
    if named.user != NO_SLOT:
        user = request.values[named.user]
    if user == 0:
        user = session_user
    to_user = request.values[named.to_user] if named.to_user != NO_SLOT else user
    return user_first <= user <= user_last and user_first <= to_user <= user_last
