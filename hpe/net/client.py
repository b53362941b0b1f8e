"""The client library: a session over TCP that survives its connections, with Decimals at its edge.

Owns `connect` and the Client that it gives; the client's themes are in client_listings.py,
client_orders.py, client_money.py, client_operations.py, client_streams.py and client_books.py,
the session's mechanics in channel.py (requests), keeper.py (connections), subscriptions.py.
Used from one Trio loop; any number of tasks may call one client, and requests of several tasks
travel together. Guarantees: prices, quantities and amounts go in and come out as exact Decimals,
but for the reports and rows that a view carries as they came; `requests` underneath speaks the
integers of the wire. A command is executed once, however many connections it takes. Leaving the
`async with` block closes the connection and not the session: the session can be taken up again with
its id. Every method raises what hpe/net/requests.py's do.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypedDict, Unpack

import trio
from trio_util import AsyncValue

from hpe.errors import ConnectionLost
from hpe.key_files import key_of_environment
from hpe.keys import Key
from hpe.messages import (
    HELLO_CANCEL_ON_DISCONNECT,
    PROTOCOL_VERSION,
    Hello,
    ServerInfoReply,
    Welcome,
)
from hpe.net.backoff import Backoff
from hpe.net.channel import TIMEOUT_S
from hpe.net.client_books import MarketDataCalls
from hpe.net.client_money import MoneyCalls
from hpe.net.client_operations import OperationCalls
from hpe.net.client_orders import OrderCalls
from hpe.net.client_streams import StreamCalls
from hpe.net.dialer import DEFAULT_ADDRESS, Dialer, parse_address
from hpe.net.keeper import Keeper, Terms
from hpe.net.tls import client_context

CLIENT_NAME: Final = "hpe-python"


class ConnectOptions(TypedDict, total=False):
    """What `connect` may be told besides address and user; everything can be left out.

    Attributes:
        session_id: of the session to take up again; 0 opens a new one.
        window: requests that may be unanswered; 0 leaves it to the server.
        timeout_s: deadline of every request, from the call to the answer, reconnects included.
        answered_request_id: `requests.answered_request_id` of the session's last client.
        key: what proves who we are; without it HPE_KEY_ID and HPE_KEY_SECRET of the environment,
            if they are set.
        tls: True: encrypted, with a certificate that the system trusts; or a context.
        cancel_on_disconnect: have the session's orders canceled when it loses its connection
            and has no other one `grace_s` later.
        grace_s: see cancel_on_disconnect.
        heartbeat_s: a side that has nothing to say for so long says that it lives; 0: 15 s.
            Three of them in silence end a connection.
        reconnect: whether another connection follows one that was lost.
        backoff: how long to wait before it; for tests.
    """

    session_id: int
    window: int
    timeout_s: float
    answered_request_id: int
    key: Key | None
    tls: bool | ssl.SSLContext | None
    cancel_on_disconnect: bool
    grace_s: float
    heartbeat_s: float
    reconnect: bool
    backoff: Backoff


@asynccontextmanager
async def connect(
    address: str | None = None, *, user: int, **options: Unpack[ConnectOptions]
) -> AsyncIterator[Client]:
    """Open a session, or take up an old one, for the length of a block.

    The first connection is made at once or not at all; those that follow, when one is lost, are
    tried until one succeeds or the server says that none will.

    Args:
        address: "host:port", or "port" on this machine; without it the environment's
            HPE_ADDRESS, else 127.0.0.1:7070.
        user: whose session it is.
        options: see ConnectOptions.

    Raises:
        ConnectionLost: no connection, or no welcome in time.
        RequestRefused: the server refuses the session.
        ProtocolError: what listens there speaks something else.
        AcknowledgedLost: the server forgot commands that it had answered (relaxed sync only).
        ValueError: an address of another form.
        ConfigError: a key in the environment that is none.
    """
    keeper = _keeper(address, user, options)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            await nursery.start(keeper.run, name="hpe client keeper")
            nursery.start_soon(keeper.subscriptions.run, name="hpe client streams")
            try:
                yield Client(keeper, user)
            finally:
                keeper.end(ConnectionLost("the client left"))
        except Exception as error:
            # Raised outside: the caller's own error must not come wrapped in our nursery's group.
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _keeper(address: str | None, user: int, options: ConnectOptions) -> Keeper:
    host, port = parse_address(address or os.environ.get("HPE_ADDRESS", DEFAULT_ADDRESS))
    key = options.get("key") or key_of_environment(os.environ)
    tls = options.get("tls")
    hello = Hello(
        1,
        PROTOCOL_VERSION,
        user,
        client=CLIENT_NAME,
        flags=HELLO_CANCEL_ON_DISCONNECT if options.get("cancel_on_disconnect") else 0,
        grace_ms=round(options.get("grace_s", 0) * 1_000),
        heartbeat_ms=round(options.get("heartbeat_s", 0) * 1_000),
        key_id=key.id if key is not None else "",
    )
    context = tls if isinstance(tls, ssl.SSLContext) else client_context() if tls else None
    terms = Terms(
        options.get("session_id", 0),
        options.get("window", 0),
        options.get("timeout_s", TIMEOUT_S),
        options.get("answered_request_id", 0),
    )
    backoff = (options.get("backoff") or Backoff()) if options.get("reconnect", True) else None
    return Keeper(Dialer(host, port, hello, key, context), backoff, terms)


class Client(OrderCalls, MoneyCalls, OperationCalls, StreamCalls, MarketDataCalls):
    """A session with a service. Made by `connect`.

    Attributes:
        requests: the same session in the integers of the wire, with pipelining.
    """

    def __init__(self, keeper: Keeper, user: int) -> None:
        super().__init__(keeper.requests, keeper.subscriptions, user)
        self._keeper = keeper

    @property
    def session_id(self) -> int:
        """What `connect` takes to go on with this session."""
        return self.requests.session_id

    @property
    def welcome(self) -> Welcome:
        """What the server said at the newest logon: versions, durability, role, limits."""
        return self._keeper.welcome

    @property
    def connected(self) -> AsyncValue[bool]:
        """Whether there is a connection, to look at (`value`) or to wait for (`wait_value`)."""
        return self.requests.connected

    @property
    def reconnects(self) -> int:
        """How many connections followed the first."""
        return self._keeper.reconnects

    @property
    def failure(self) -> Exception | None:
        """Why this client has ended and will not connect again; None while it goes on."""
        return self.requests.failure

    async def server_info(self) -> ServerInfoReply:
        """Give the state of the service."""
        return await self.requests.server_info()

    async def ping(self) -> float:
        """Give the seconds of a round trip to the connection."""
        return await self.requests.ping()

    async def logout(self) -> None:
        """Close the session for good; the connection ends with it."""
        await self.requests.logout()
