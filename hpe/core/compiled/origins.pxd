"""Where commands come from: what a context says about a session, or about the service itself.

The compiled twin of hpe/core/sessions/origins.py. It fills a context that the caller keeps, and gets
the holder of the session's key from the caller, who has the places. Pure functions.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled.codes cimport (
    HELLO_CANCEL_ON_DISCONNECT,
    ROLE_MARKET_DATA,
    ROLE_OPERATOR,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.session cimport Session


cdef inline void set_origin(
    Context* context, const Session* session, uint32_t holder
) noexcept nogil:
    """Let a session's commands have this context; `holder` is that of its key."""
    context.user = user_of(session)
    context.session_id = session.session_id
    context.holder = holder
    context.operator = session.role == ROLE_OPERATOR
    context.cancel_on_disconnect = session.flags & HELLO_CANCEL_ON_DISCONNECT != 0


cdef inline int64_t user_of(const Session* session) noexcept nogil:
    """Return the user of a session's commands.

    Market data belongs to no user, and its key may have named any user.
    """
    return session.user if session.role != ROLE_MARKET_DATA else 0


cdef inline void set_service_origin(Context* context, uint32_t holder) noexcept nogil:
    """Let the service's own commands have this context; it may do what operators may."""
    context.user = context.session_id = 0
    context.holder = holder
    context.operator = True
    context.cancel_on_disconnect = False
