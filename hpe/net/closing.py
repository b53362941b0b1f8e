"""The end of connections: the last bytes arrive, and no other connection is affected.

Functions for connections and for the front door; they run in the Trio loop. Guarantees: what was
sent before is delivered to a client that reads it (send, shut down our side, read until the
client closes its side, then close: closing with unread input would make the kernel send a reset and
destroy the last reply); no step waits for a client for longer than CLOSING_S; a fault of one
connection ends there, with a log line, unless it is a fault of the service.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from hpe.access.tls import break_cycle
from hpe.errors import HpeError, InvariantViolation, WalError
from hpe.net.session import error_frame
from hpe.net.wire import Wire
from hpe.protocol.codes import ErrorCode

LOGGER: Final = logging.getLogger("hpe.net")

CLOSING_S: Final = 2.0
"""How long a client may take to close its side after we closed ours."""

ClientStream = Wire | trio.SSLStream[Wire]
"""The stream of a connection: the wire, or TLS around it."""


class ConnectionFault(HpeError):
    """The client does not keep up: the connection is cut; its session may be resumed."""


async def close_gracefully(stream: ClientStream, *, heard_out: bool) -> None:
    """Close our side and read until the client closes its side, for at most CLOSING_S.

    Args:
        stream: has nothing more to send; the caller closes it.
        heard_out: True if the client has closed its side and everything was read: then the kernel
            delivers the rest by itself.

    Raises:
        trio.BrokenResourceError: and OSError: the client is already gone.
    """
    if heard_out and isinstance(stream, Wire):
        return
    with trio.move_on_after(CLOSING_S):
        wire = stream
        if isinstance(stream, trio.SSLStream):
            wire = stream.transport_stream
            # TLS's own way to say that nothing follows; a client that does not respond to it
            # must still see the TCP shutdown.
            try:
                await stream.unwrap()
            except trio.BrokenResourceError:
                pass
        wire.shut_down()
        while await wire.receive_some():
            pass


async def refuse_connection(stream: ClientStream, code: ErrorCode) -> None:
    """Send a connection the reason for its refusal, and close it."""
    wire = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    try:
        with trio.move_on_after(CLOSING_S):
            await stream.send_all(error_frame(0, code))
            await close_gracefully(stream, heard_out=False)
    finally:
        if isinstance(stream, trio.SSLStream):
            break_cycle(stream)
        wire.close()


async def contain(life: Awaitable[None], name: str, lost: Callable[[str], None]) -> bool:
    """Run one connection's life; an error in it ends there, with a log line.

    Args:
        life: what may fail.
        name: of the connection, for a log line about a fault of the server.
        lost: called with the reason if the connection was lost or cut.

    Returns:
        True if an error occurred.

    Raises:
        InvariantViolation: and WalError: these are faults of the service.
    """
    faulty = False
    try:
        await life
    except* (InvariantViolation, WalError):
        raise
    except* (
        trio.BrokenResourceError, trio.ClosedResourceError, ConnectionFault, OSError
    ) as group:  # fmt: skip
        faulty = True
        lost(_reasons(group))
    except* Exception as group:
        faulty = True
        LOGGER.error("%s ended by a fault of the server", name, exc_info=group)
    return faulty


def _reasons(group: BaseExceptionGroup[BaseException]) -> str:
    reasons = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            reasons.append(_reasons(error))
        else:
            cause = error.__cause__
            reasons.append(str(error) + (f" ({cause})" if cause is not None else ""))
    return "; ".join(dict.fromkeys(reasons))
