"""Where commands come from: what a context says about a session, or about the service itself.

Part of the deterministic core; pure.
"""

from __future__ import annotations

from hpe.core.context.command import Origin
from hpe.core.context.places import Places
from hpe.core.sessions.session import Session
from hpe.protocol.enums import Role
from hpe.protocol.flags import HELLO_CANCEL_ON_DISCONNECT


def origin_of(session: Session, places: Places) -> Origin:
    """Return the origin of a session's commands."""
    # Market data belongs to no user, and its key may have named any user.
    user = session.user if session.role is not Role.MARKET_DATA else 0
    cancels = session.flags & HELLO_CANCEL_ON_DISCONNECT > 0
    operator = session.role is Role.OPERATOR
    return Origin(user, session.session_id, places.of(session.key), operator, cancels)


def service_origin(places: Places) -> Origin:
    """Return the origin of the service's own commands; it may do what operators may."""
    return Origin(0, 0, places.of(0), True, False)
