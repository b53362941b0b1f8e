"""The client library: a session over TCP, with Decimals at its edge.

Owns `connect` and the Client that it gives; the client's themes are in client_listings.py,
client_orders.py, client_money.py and client_operations.py. Used from one Trio loop; any number
of tasks may call one client, and requests of several tasks travel together. Guarantees: prices,
quantities and amounts go in and come out as exact Decimals, but for the reports and rows that a
view carries as they came (`result`, `row`, `orders`); `requests` underneath speaks the integers
of the wire. Leaving the `async with` block closes the connection and not the session: the session
can be taken up again with its id. Every method raises what hpe/net/requests.py's do.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from hpe.errors import AcknowledgedLost, ConnectionLost
from hpe.messages import PROTOCOL_VERSION, Hello, ServerInfoReply, Welcome
from hpe.net.channel import TIMEOUT_S
from hpe.net.client_money import MoneyCalls
from hpe.net.client_operations import OperationCalls
from hpe.net.client_orders import OrderCalls
from hpe.net.link import CONNECT_TIMEOUT_S, DEFAULT_ADDRESS, Link, parse_address
from hpe.net.requests import RequestChannel

CLIENT_NAME: Final = "hpe-python"


@asynccontextmanager
async def connect(
    address: str | None = None,
    *,
    user: int,
    session_id: int = 0,
    window: int = 0,
    timeout_s: float = TIMEOUT_S,
    answered_request_id: int = 0,
) -> AsyncIterator[Client]:
    """Open a connection and a session, or take up an old session, for the length of a block.

    Args:
        address: "host:port", or "port" on this machine; without it the environment's
            HPE_ADDRESS, else 127.0.0.1:7070.
        user: whose session it is.
        session_id: of the session to take up again; 0 opens a new one.
        window: requests that may be unanswered; 0 leaves it to the server.
        timeout_s: deadline of every request.
        answered_request_id: `requests.answered_request_id` of the session's last connection.

    Raises:
        ConnectionLost: no connection, or no welcome in time.
        RequestRefused: the server refuses the session.
        AcknowledgedLost: the server forgot commands that it had answered (relaxed sync only).
    """
    host, port = parse_address(address or os.environ.get("HPE_ADDRESS", DEFAULT_ADDRESS))
    failure: Exception | None = None
    with trio.move_on_after(CONNECT_TIMEOUT_S) as deadline:
        stream = await _open(host, port)
    if deadline.cancelled_caught:
        raise ConnectionLost(f"no connection to {host}:{port} within {CONNECT_TIMEOUT_S} s")
    async with stream, trio.open_nursery() as nursery:
        try:
            link = Link(stream)
            welcome = await _log_on(
                link, Hello(1, PROTOCOL_VERSION, user, session_id, window, CLIENT_NAME)
            )
            if welcome.last_request_id < answered_request_id:
                raise AcknowledgedLost(welcome.last_request_id + 1, answered_request_id)
            channel = RequestChannel(
                link.send,
                session_id=welcome.session_id,
                window=welcome.window,
                last_request_id=welcome.last_request_id,
                timeout_s=timeout_s,
            )
            nursery.start_soon(link.write, name="hpe client writer")
            nursery.start_soon(link.read, channel, name="hpe client reader")
            try:
                yield Client(channel, welcome)
            finally:
                channel.close(ConnectionLost("the client left"))
        except Exception as error:
            # Raised outside: the caller's own error must not come wrapped in our nursery's group.
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _open(host: str, port: int) -> trio.SocketStream:
    try:
        return await trio.open_tcp_stream(host, port)
    except OSError as error:
        raise ConnectionLost(f"no connection to {host}:{port}: {error}") from error


async def _log_on(link: Link, hello: Hello) -> Welcome:
    with trio.move_on_after(CONNECT_TIMEOUT_S):
        return await link.log_on(hello)
    raise ConnectionLost(f"no welcome within {CONNECT_TIMEOUT_S} s")


class Client(OrderCalls, MoneyCalls, OperationCalls):
    """A session with a service. Made by `connect`.

    Attributes:
        requests: the same session in the integers of the wire, with pipelining.
        welcome: what the server said at logon: versions, durability, limits.
    """

    def __init__(self, requests: RequestChannel, welcome: Welcome) -> None:
        super().__init__(requests)
        self.welcome = welcome

    @property
    def session_id(self) -> int:
        """What `connect` takes to go on with this session."""
        return self.requests.session_id

    async def server_info(self) -> ServerInfoReply:
        """Give the state of the service."""
        return await self.requests.server_info()

    async def ping(self) -> float:
        """Give the seconds of a round trip to the connection."""
        return await self.requests.ping()

    async def logout(self) -> None:
        """Close the session for good; the connection ends with it."""
        await self.requests.logout()
