"""The client library: a session over TCP that survives its connections, with Decimals at its edge.

Owns `connect` and the Client that it yields. The client's calls are in orders.py, money.py,
operations.py, streams.py and books.py, each stated once for the asynchronous and the blocking
client (calls.py); session.py has the session in which they are made; its mechanics are in
channel.py (requests), reconnect.py (connections) and subscriptions.py.
Used from one Trio loop; any number of tasks may call one client, and requests of several tasks
travel together. Guarantees: prices, quantities and amounts are exact Decimals in both directions,
and `raw` has the integers; `requests` underneath takes the messages of the wire. A command is
executed once, however many connections it takes. Leaving the `async with` block logs out if
nothing is unanswered; after an exception, or with keep_session, the session stays and can be
resumed by its id, which is logged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeVar, Unpack

from hpe.client import aio
from hpe.client.arguments import flag
from hpe.client.books import MarketDataCalls
from hpe.client.calls import ClientCall
from hpe.client.channel import SessionChannel
from hpe.client.money import MoneyCalls
from hpe.client.operations import OperationCalls
from hpe.client.options import ConnectOptions, reconnector_of
from hpe.client.orders import OrderCalls
from hpe.client.retrying import WITHIN_S, retry
from hpe.client.session import ClientSession
from hpe.client.streams import StreamCalls
from hpe.errors import ConnectionLost, ReplyTimeout
from hpe.protocol.control import Ping, Pong, ServerInfo, ServerInfoReply, Welcome
from hpe.protocol.flags import LOGOUT_KEEP_ORDERS

_R = TypeVar("_R")


def connect(
    address: str | None = None, *, user: int, **options: Unpack[ConnectOptions]
) -> AbstractAsyncContextManager[Client]:
    """Open a session, or resume an old one, for the length of a block.

    The first connection is tried once; when a connection is lost, the next one is tried until it
    succeeds or the server says that it never will.

    Args:
        address: "host:port", or "port" on this machine; without it the environment's
            HPE_ADDRESS, else 127.0.0.1:7070.
        user: the session's user.
        options: see ConnectOptions.

    Raises:
        ConnectionLost: no connection, or no welcome in time.
        RequestRefused: the server refuses the session.
        ProtocolError: the server speaks another protocol.
        AcknowledgedLost: the server forgot commands that it had answered (relaxed sync only).
        TypeError: an option is unknown, or of another type.
        ValueError: the address has another form, or an option is out of its range.
        ConfigError: the key in the environment is invalid.
    """
    return opened(reconnector_of(address, user, options), keep=options.get("keep_session", False))


class Transport(Protocol):
    """The transport of a client's session."""

    async def run(self, task_status: aio.TaskStatus[ClientSession]) -> None:
        """Attach the session, report start with it, and carry it until it has ended."""


@asynccontextmanager
async def opened(transport: Transport, *, keep: bool) -> AsyncIterator[Client]:
    """Yield a client for the length of a block.

    Args:
        transport: carries its session.
        keep: True if the session stays when the block is left.
    """
    failure: Exception | None = None
    async with aio.open_nursery() as nursery:
        try:
            session: ClientSession = await nursery.start(transport.run, name="hpe client session")
            nursery.start_soon(session.subscriptions.run, name="hpe client streams")
            try:
                yield Client(session)
            except BaseException:
                session.stay("the client left with an exception")
                raise
            else:
                await session.leave(keep=keep)
            finally:
                session.end(ConnectionLost("the client was left"))
        except Exception as error:
            # Raised outside the nursery, which would wrap the caller's own error in a group.
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class AnyClient(OrderCalls, MoneyCalls, OperationCalls, StreamCalls, MarketDataCalls):
    """All calls of a client, and the properties of its session."""

    @property
    def session_id(self) -> int:
        """Return the id with which `connect` resumes this session."""
        return self.session.requests.session_id

    @property
    def welcome(self) -> Welcome:
        """Return the welcome of the newest logon: versions, durability, role, limits."""
        return self.session.welcome

    @property
    def reconnects(self) -> int:
        """Return the number of connections after the first."""
        return self.session.reconnects

    @property
    def failure(self) -> Exception | None:
        """Return why this client has ended and will not reconnect; None while it continues."""
        return self.session.requests.failure

    @ClientCall
    async def outcome(self, error: ReplyTimeout) -> object:
        """Return the outcome of a command that ended in ReplyTimeout.

        Also for an earlier client of this session, among the session's last `window` commands.

        Returns:
            What the method that raised the error would have returned.

        Raises:
            OrderRejected: the command was rejected.
            RequestRefused: it was refused, and so never executed; or it is too old to be asked for.
            ReplyTimeout: again there was no answer in time: ask once more.
            ValueError: the error is of a query, or of another session.
            TypeError: it is not a ReplyTimeout.
        """
        return await self.session.outcome(error)

    @ClientCall
    async def server_info(self) -> ServerInfoReply:
        """Return the state of the service."""
        return await self.session.read(ServerInfoReply, ServerInfo(0))

    @ClientCall
    async def ping(self) -> float:
        """Return the seconds of a round trip to the connection; the core takes no part in it."""
        start_s = aio.current_time()
        await self.session.read(Pong, Ping(0))
        return aio.current_time() - start_s

    @ClientCall
    async def logout(self, *, keep_orders: bool = False) -> None:
        """Close the session for good; the connection ends with it.

        Args:
            keep_orders: keep the orders that a lost connection would cancel.
        """
        flags = LOGOUT_KEEP_ORDERS if flag("keep_orders", keep_orders) else 0
        await self.session.log_out(flags)


class Client(AnyClient):
    """A session with a service. Made by `connect`, or in process by `engine.client`."""

    @property
    def requests(self) -> SessionChannel:
        """Return the same session in the messages and integers of the wire, with pipelining."""
        return self.session.requests

    @property
    def connected(self) -> aio.AsyncValue[bool]:
        """True while there is a connection; read `value`, or wait with `wait_value`."""
        return self.session.requests.connected

    async def retry(self, ask: Callable[[], Awaitable[_R]], *, within_s: float = WITHIN_S) -> _R:
        """Execute one request once, despite timeouts, lost connections and restarts.

        Example: `order = await client.retry(lambda: client.submit_order("BTC/USD", "buy", 1))`.

        Args:
            ask: makes the request; called again only if it was certainly not executed.
            within_s: how long to keep trying; then the last error is raised, and a ReplyTimeout
                says that the outcome is still unknown.

        Raises:
            TypeError: `ask` is the request itself instead of a function that makes it.
        """
        return await retry(ask, self.outcome, within_s)
