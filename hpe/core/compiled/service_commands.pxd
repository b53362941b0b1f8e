"""Commands of the service itself: connections, keys, time, and the continuation of unfinished work.

The compiled twin of InternalCommands in hpe/core/internal.py; internal.pxd has what happens to
sessions, here it happens to their orders, too. `configure` names symbols, so it takes the
interpreter's lock.
Owned by the core, used by the thread that runs it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hpe.core.compiled.accounts cimport find_user, user_at
from hpe.core.compiled.answers cimport Response
from hpe.core.compiled.calls cimport go_on
from hpe.core.compiled.codes cimport (
    TYPE_CONFIGURE,
    TYPE_CONTINUE,
    TYPE_KEYS_VALID,
    TYPE_SESSION_ATTACHED,
    TYPE_SESSION_CLOSED,
    TYPE_SESSION_DETACHED,
    TYPE_TICK,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.core_state cimport CONTINUE_CLOSING, Core
from hpe.core.compiled.disconnects cimport back, left_for_good, lost
from hpe.core.compiled.exchange_state cimport Exchange
from hpe.core.compiled.fields cimport Request, value
from hpe.core.compiled.internal cimport (
    FATE_BACK,
    FATE_LEFT_FOR_GOOD,
    FATE_LOST,
    FATE_NONE,
    FATE_REVOKED,
    Outcome,
    acknowledge,
    close_revoked,
    key_count,
    keys_valid,
    session_attached,
    session_closed,
    session_detached,
)
from hpe.core.compiled.keys cimport reserve_keys
from hpe.core.compiled.registry cimport reserve_attachments, reserve_times, set_times
from hpe.core.compiled.requests cimport SESSION_ATTACHED_USER
from hpe.core.compiled.reserving cimport reserve_losses


cdef inline bint reserve_service(Core* core, const Request* request) noexcept nogil:
    """Reserve what one command of the service needs beyond any other; False: no memory."""
    cdef int64_t sessions = 1, keys = 0
    if request.kind == TYPE_KEYS_VALID or request.kind == TYPE_CONTINUE:
        sessions = core.limits.revocations
    if request.kind == TYPE_KEYS_VALID:
        keys = key_count(request)
    return (
        reserve_attachments(&core.sessions, 1)
        and reserve_keys(&core.sessions.valid_keys, keys)
        and reserve_losses(&core.exchange, sessions)
    )


cdef inline bint execute_service(
    Core* core, const Context* context, const uint8_t* body, int64_t size, const Request* request,
    Response* response
) noexcept nogil:
    """Execute one command of the service; False if that is not possible: the core is then dead."""
    cdef int kind = request.kind
    if kind == TYPE_SESSION_ATTACHED:
        _settle(core, context, session_attached(
            &core.sessions, context, request,
            _last_report(core, value(request, SESSION_ATTACHED_USER)), response,
        ))
    elif kind == TYPE_SESSION_DETACHED:
        _settle(core, context, session_detached(&core.sessions, context, request, response))
    elif kind == TYPE_SESSION_CLOSED:
        _settle(core, context, session_closed(&core.sessions, context, request, response))
    elif kind == TYPE_TICK:
        acknowledge(response, context, request)
    elif kind == TYPE_CONTINUE:
        if request.values[0] == CONTINUE_CLOSING:
            _close_revoked(core, context)
        else:
            go_on(&core.exchange, context)
        acknowledge(response, context, request)
    elif kind == TYPE_KEYS_VALID:
        keys_valid(&core.sessions, context, body, size, request, response)
        _close_revoked(core, context)
    elif kind == TYPE_CONFIGURE:
        return _configure(core, context, body, size, request, response)
    return True


cdef inline bint _configure(
    Core* core, const Context* context, const uint8_t* body, int64_t size, const Request* request,
    Response* response
) noexcept nogil:
    """Apply a configuration; False if there is no memory."""
    if not core.interpreter.execute(core.interpreter.owner, context, body, size, response):
        return False
    if not reserve_times(&core.sessions):
        return False
    set_times(
        &core.sessions, core.exchange.settings.session_expiry_ns,
        core.exchange.settings.session_keep_ns,
    )
    acknowledge(response, context, request)
    return True


cdef inline int64_t _last_report(const Core* core, int64_t user) noexcept nogil:
    """Return the newest private sequence of a user, 0 if there is none."""
    cdef uint32_t number = find_user(&core.exchange.balances, user)
    return user_at(&core.exchange.balances, number).private_sequence if number else 0


cdef inline void _settle(Core* core, const Context* context, Outcome outcome) noexcept nogil:
    """Do what has to happen to the orders of a session."""
    cdef Exchange* exchange = &core.exchange
    if outcome.fate == FATE_BACK or outcome.fate == FATE_REVOKED:
        back(exchange, context, outcome.session_id)
    if outcome.fate == FATE_LOST or outcome.fate == FATE_REVOKED:
        lost(exchange, context, outcome.session_id, outcome.grace_ns)
    elif outcome.fate == FATE_LEFT_FOR_GOOD:
        left_for_good(exchange, outcome.session_id)


cdef inline void _close_revoked(Core* core, const Context* context) noexcept nogil:
    """Forget sessions whose key was revoked, as many as one command may; they get no grace."""
    cdef int64_t left = core.limits.revocations
    cdef Outcome outcome
    while left:
        outcome = close_revoked(&core.sessions, &core.exchange.effort)
        if outcome.fate == FATE_NONE:
            return
        _settle(core, context, outcome)
        left -= 1
