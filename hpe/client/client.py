"""The client library: a session over TCP that survives its connections, with Decimals at its edge.

Owns `connect` and the Client that it gives; the client's calls are in orders.py, money.py,
operations.py, streams.py and books.py, each stated once for the client that is awaited and the one
that blocks (calls.py), the session that they are made in is session.py's, its mechanics are in
channel.py (requests), reconnect.py (connections), subscriptions.py.
Used from one Trio loop; any number of tasks may call one client, and requests of several tasks
travel together. Guarantees: prices, quantities and amounts go in and come out as exact Decimals,
and `raw` has the integers; `requests` underneath takes the messages of the wire. A command is
executed once, however many connections it takes. Leaving the `async with` block logs out when
nothing is unanswered; after an exception, or with keep_session, the session stays and can be taken
up again with its id, which is logged.
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
        TypeError: an option that is unknown, or of another type.
        ValueError: an address of another form, or an option out of its range.
        ConfigError: a key in the environment that is none.
    """
    return opened(reconnector_of(address, user, options), keep=options.get("keep_session", False))


class Transport(Protocol):
    """What carries a client's session."""

    async def run(self, task_status: aio.TaskStatus[ClientSession]) -> None:
        """Attach the session, start with it, and carry it until it has ended."""


@asynccontextmanager
async def opened(transport: Transport, *, keep: bool) -> AsyncIterator[Client]:
    """Give a client for the length of a block.

    Args:
        transport: carries its session.
        keep: whether the session stays when the block is left.
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
            # Raised outside: the caller's own error must not come wrapped in our nursery's group.
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class AnyClient(OrderCalls, MoneyCalls, OperationCalls, StreamCalls, MarketDataCalls):
    """All calls of a client, and what they tell about its session."""

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
        """How many connections followed the first."""
        return self.session.reconnects

    @property
    def failure(self) -> Exception | None:
        """Why this client has ended and will not connect again; None while it goes on."""
        return self.session.requests.failure

    @ClientCall
    async def outcome(self, error: ReplyTimeout) -> object:
        """Ask how a command ended that ended in ReplyTimeout.

        Also of an earlier client of this session, among the session's last `window` commands.

        Returns:
            What the method would have returned that raised the error.

        Raises:
            OrderRejected: the command was rejected.
            RequestRefused: it was refused, and so never executed; or it is too old to be asked for.
            ReplyTimeout: no answer this time either: ask once more.
            ValueError: of a query, or of another session.
            TypeError: no ReplyTimeout.
        """
        return await self.session.outcome(error)

    @ClientCall
    async def server_info(self) -> ServerInfoReply:
        """Return the state of the service."""
        return await self.session.read(ServerInfoReply, ServerInfo(0))

    @ClientCall
    async def ping(self) -> float:
        """Return the seconds of a round trip to the connection, which the core takes no part in."""
        start_s = aio.current_time()
        await self.session.read(Pong, Ping(0))
        return aio.current_time() - start_s

    @ClientCall
    async def logout(self, *, keep_orders: bool = False) -> None:
        """Close the session for good; the connection ends with it.

        Args:
            keep_orders: leave the orders that a lost connection would cancel.
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
        """Execute one request once, over time-outs, lost connections and restarts.

        Example: `order = await client.retry(lambda: client.submit_order("BTC/USD", "buy", 1))`.

        Args:
            ask: makes the request; called again only if it was surely not executed.
            within_s: how long to go on; then the last error is raised, and a ReplyTimeout says
                that the outcome is still unknown.

        Raises:
            TypeError: `ask` is the request itself and not what makes it.
        """
        return await retry(ask, self.outcome, within_s)
