"""Where commands come from: what a context says of a session, or of the service itself.

Part of the deterministic core; pure.
"""

from __future__ import annotations

from hpe.core.context.command import Origin
from hpe.core.context.places import Places
from hpe.core.sessions.session import Session
from hpe.protocol.enums import Role
from hpe.protocol.flags import HELLO_CANCEL_ON_DISCONNECT


def origin_of(session: Session, places: Places) -> Origin:
    """Return where the commands of a session come from."""
    # Market data is about no user, and its key may have named any.
    user = session.user if session.role is not Role.MARKET_DATA else 0
    cancels = session.flags & HELLO_CANCEL_ON_DISCONNECT > 0
    operator = session.role is Role.OPERATOR
    return Origin(user, session.session_id, places.of(session.key), operator, cancels)


def service_origin(places: Places) -> Origin:
    """Return where the commands of the service itself come from; it may do what operators may."""
    return Origin(0, 0, places.of(0), True, False)
