"""Messages of a connection: logon and logout, heartbeats, the service's state, errors.

Immutable values, as base.py describes them; any thread may use them.
"""

from __future__ import annotations

from hpe.protocol.base import Reply, Request
from hpe.protocol.fields import (
    AnyInt,
    GraceMs,
    HeartbeatMs,
    HelloFlags,
    KeyId,
    LogoutFlags,
    Nonce,
    Signature,
    Text,
    TraderId,
    Window,
)


class Hello(Request, frozen=True, tag=1):
    """Open or resume a session. The first message of a connection."""

    version: AnyInt
    user: TraderId
    session_id: AnyInt = 0
    window: Window = 0
    client: Text = ""
    flags: HelloFlags = 0
    grace_ms: GraceMs = 0
    heartbeat_ms: HeartbeatMs = 0
    key_id: KeyId = ""


class Welcome(Reply, frozen=True, tag=1):
    """The session is attached, durably; the client may send requests."""

    version: int
    session_id: int
    window: int
    last_request_id: int
    sequence: int
    durability: str
    server: str
    request_bytes_max: int
    reply_bytes_max: int
    role: int
    heartbeat_ms: int
    private_sequence: int
    time_ns: int = 0
    epoch: int = 0


class Ping(Request, frozen=True, tag=2):
    """Measure the round trip to the connection (the core takes no part)."""

    token: AnyInt = 0


class Pong(Reply, frozen=True, tag=2):
    """Answer to ping, with its token."""

    token: int


class Logout(Request, frozen=True, tag=3):
    """Close the session for good: its remembered responses are forgotten, its orders end."""

    flags: LogoutFlags = 0


class LoggedOut(Reply, frozen=True, tag=3):
    """The session is closed, durably; the connection ends."""


class ServerInfo(Request, frozen=True, tag=4):
    """Ask for the state of the service."""


class ServerInfoReply(Reply, frozen=True, tag=4):
    """State of the service. `details` is for people and dashboards: keys may be added."""

    server: str
    phase: str
    core: str
    durability: str
    durable_sequence: int
    connections: int
    details: dict[str, int | float | str]


class Challenge(Reply, frozen=True, tag=5):
    """The answer to hello where keys are required: the nonce to sign."""

    nonce: bytes


class Logon(Request, frozen=True, tag=5):
    """The proof of the key that hello named, under hello's request id; answered by welcome."""

    nonce: Nonce
    signature: Signature


class Heartbeat(Request, frozen=True, tag=6):
    """Show that this side is alive. It is not answered."""


class HeartbeatReport(Reply, frozen=True, tag=6):
    """Show that the server is alive: it had sent nothing for a heartbeat interval."""


class Error(Reply, frozen=True, tag=31):
    """The frame was refused: not executed, not logged. request_id 0: not tied to a request.

    `field` names the wrong field, "" if there is none.
    """

    code: int
    name: str
    message: str
    retryable: bool
    fatal: bool
    executed: bool
    field: str = ""
