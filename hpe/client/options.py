"""The options of `connect` and `connect_sync`, and how they are applied.

Owns the options' names, ranges and defaults. Any thread may use it. Guarantees: an option that is
unknown, of another type or out of range is refused by name before anything is opened.
"""

from __future__ import annotations

import difflib
import os
from typing import Final, TypedDict

from hpe.access.key_files import key_of_environment
from hpe.access.keys import Key
from hpe.access.tls import client_context
from hpe.client import aio
from hpe.client.arguments import flag, integer, seconds
from hpe.client.backoff import Backoff
from hpe.client.channel import TIMEOUT_S
from hpe.client.dialer import DEFAULT_ADDRESS, Dialer, parse_address
from hpe.client.reconnect import Reconnector, SessionTerms
from hpe.protocol.control import Hello
from hpe.protocol.flags import HELLO_CANCEL_ON_DISCONNECT
from hpe.protocol.limits import (
    GRACE_MS_MAX,
    HEARTBEAT_MS_MAX,
    HOUSE_USER,
    PROTOCOL_VERSION,
    WINDOW_MAX,
)

CLIENT_NAME: Final = "hpe-python"


class ConnectOptions(TypedDict, total=False):
    """The options of `connect` besides address and user; all may be omitted.

    Attributes:
        session_id: id of the session to resume; 0 opens a new one.
        window: requests that may be unanswered; 0 leaves it to the server.
        timeout_s: deadline of every request, from the call to the answer, reconnects included;
            default 5 s.
        answered_request_id: `requests.answered_request_id` of the session's last client.
        key: the client's key; by default HPE_KEY_ID and HPE_KEY_SECRET of the environment, if
            they are set.
        tls: True: encrypted, with a certificate that the system trusts; or a context.
        cancel_on_disconnect: cancel the session's orders if it loses its connection and has no
            other one `grace_s` later.
        grace_s: see cancel_on_disconnect.
        heartbeat_s: a side with nothing to send for this long sends a heartbeat; 0: 15 s. Three
            missed heartbeats end a connection.
        keep_session: do not log out when the block is left: another client can resume the session
            by its id.
        reconnect: whether a lost connection is followed by another one.
        backoff: how long to wait before that; for tests.
    """

    session_id: int
    window: int
    timeout_s: float
    answered_request_id: int
    key: Key | None
    tls: bool | aio.TlsContext | None
    cancel_on_disconnect: bool
    grace_s: float
    heartbeat_s: float
    keep_session: bool
    reconnect: bool
    backoff: Backoff


def check_options(user: int, options: ConnectOptions) -> None:
    """Check that every option is known, of its type and in its range.

    Raises:
        TypeError: an option is unknown, or of another type.
        ValueError: one is out of its range.
    """
    known = [*ConnectOptions.__annotations__]
    for name in options:
        if name not in known:
            similar = difflib.get_close_matches(name, known, 1)
            hint = f", did you mean {similar[0]}?" if similar else ""
            raise TypeError(f"connect: found option {name!r}{hint} (allowed: {', '.join(known)})")
    integer("user", user, 1, HOUSE_USER - 1)
    integer("session_id", options.get("session_id", 0))
    integer("window", options.get("window", 0), 0, WINDOW_MAX)
    integer("answered_request_id", options.get("answered_request_id", 0))
    seconds("timeout_s", options.get("timeout_s", TIMEOUT_S))
    seconds("grace_s", options.get("grace_s", 0), high=GRACE_MS_MAX / 1_000)
    seconds("heartbeat_s", options.get("heartbeat_s", 0), high=HEARTBEAT_MS_MAX / 1_000)
    for name in ("cancel_on_disconnect", "keep_session", "reconnect"):
        flag(name, options.get(name, False))
    tls, key = options.get("tls"), options.get("key")
    if not isinstance(tls, bool | aio.TlsContext | None):
        raise TypeError(f"tls: found {tls!r}, allowed True, False, None or an ssl.SSLContext")
    if not isinstance(key, Key | None):
        raise TypeError(f"key: found {type(key).__name__}, allowed an hpe.Key or None")


def reconnector_of(address: str | None, user: int, options: ConnectOptions) -> Reconnector:
    """Return the reconnector that keeps a client connected.

    Raises:
        TypeError: and ValueError: the address has another form; and what check_options raises.
        ConfigError: the key in the environment is invalid.
    """
    check_options(user, options)
    host, port = parse_address(address or os.environ.get("HPE_ADDRESS", DEFAULT_ADDRESS))
    key = options.get("key") or key_of_environment(os.environ)
    tls = options.get("tls")
    hello = Hello(
        1,
        PROTOCOL_VERSION,
        integer("user", user),
        client=CLIENT_NAME,
        flags=HELLO_CANCEL_ON_DISCONNECT if options.get("cancel_on_disconnect") else 0,
        grace_ms=round(float(options.get("grace_s", 0)) * 1_000),
        heartbeat_ms=round(float(options.get("heartbeat_s", 0)) * 1_000),
        key_id=key.id if key is not None else "",
    )
    context = tls if isinstance(tls, aio.TlsContext) else client_context() if tls else None
    terms = SessionTerms(
        integer("user", user),
        integer("session_id", options.get("session_id", 0)),
        integer("window", options.get("window", 0)),
        float(options.get("timeout_s", TIMEOUT_S)),
        integer("answered_request_id", options.get("answered_request_id", 0)),
    )
    backoff = (options.get("backoff") or Backoff()) if options.get("reconnect", True) else None
    return Reconnector(Dialer(host, port, hello, key, context), backoff, terms)
