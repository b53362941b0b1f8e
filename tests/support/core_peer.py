"""A client on a real core, in memory: the transport under its session without a service.

Frames wait until `serve` applies them, so a test decides when an answer comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import trio
from trio.testing import wait_all_tasks_blocked

from hpe.client.channel import TIMEOUT_S, SessionChannel
from hpe.client.client import Client
from hpe.client.session import ClientSession
from hpe.core import new_core
from hpe.core.contract import DEFAULT_LIMITS, SYSTEM_CONNECTION, Batch, Limits, Run
from hpe.errors import ReplyTimeout
from hpe.protocol.control import Welcome
from hpe.protocol.enums import Role
from hpe.protocol.frames import chunk_of, encode_frame
from hpe.protocol.internal import SessionAttached, SessionAttachedResponse
from hpe.protocol.limits import PROTOCOL_VERSION
from hpe.protocol.money import Deposit
from tests.support.listed import apply

CONNECTION = 7
USER = 42


class CorePeer:
    """A session on a real core, in memory: frames wait until `serve` applies them."""

    def __init__(
        self, window: int = 4, timeout_s: float = TIMEOUT_S, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.core = new_core(limits)
        self.time_ns = 0
        self.waiting: list[bytes] = []
        self.sent: list[bytes] = []
        self.refuse = 0
        attach = encode_frame(SessionAttached(1, 0, USER, window))
        answer = self._apply(Run(SYSTEM_CONNECTION, 0, 0, chunk_of(attach)))[SYSTEM_CONNECTION]
        attached = msgspec.msgpack.decode(answer[4:], type=SessionAttachedResponse)
        # The core knows the session's connection by its attach number.
        self.session_id, self.window = attached.session_id, attached.window
        self.client = self.client_of(attached.last_request_id, timeout_s)

    @property
    def channel(self) -> SessionChannel:
        """The requests of the client."""
        return self.client.requests

    def client_of(self, last_request_id: int, timeout_s: float = TIMEOUT_S) -> Client:
        """Return a client of the session, as of a welcome."""
        limits = (0, "", "", 0, 0, Role.OPERATOR, 15_000, 0)
        welcome = Welcome(
            1, 0, PROTOCOL_VERSION, self.session_id, self.window, last_request_id, *limits
        )
        return Client(ClientSession(self.take, USER, welcome, timeout_s))

    def take(self, frame: bytes) -> None:
        self.waiting.append(frame)
        self.sent.append(frame)

    def late(self, request_id: int) -> ReplyTimeout:
        """Return the time-out of a request of this session."""
        return ReplyTimeout(self.session_id, request_id)

    def serve(self) -> int:
        """Apply the waiting frames and feed the answers; return the number of frames."""
        count = len(self.waiting)
        if count:
            run = Run(CONNECTION, 1, self.refuse, chunk_of(b"".join(self.waiting)))
            self.waiting.clear()
            self.channel.feed(self._apply(run)[CONNECTION])
        return count

    def _apply(self, run: Run) -> dict[int, bytes]:
        self.time_ns += 1
        return dict(apply(self.core, Batch(self.time_ns, [run])).replies)


async def served(peer: CorePeer, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run one request with the peer answering it; its error comes without the nursery's group."""
    failure: Exception | None = None
    result = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_when_asked, peer)
        try:
            result = await function(*args, **kwargs)
        except Exception as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return result


async def serve_when_asked(peer: CorePeer) -> None:
    """Serve, until canceled, whatever the tasks ask for before they wait."""
    while True:
        await wait_all_tasks_blocked()
        peer.serve()


async def market(peer: CorePeer, decimals: tuple[int, int] = (0, 0)) -> tuple[int, int, int]:
    """Add two assets and a pair, which the client then knows, and fund its user; return the ids.

    Without decimals what the client says are the integers of the wire.
    """
    client = peer.client
    base = await served(peer, client.add_asset, "BTC", decimals[0])
    quote = await served(peer, client.add_asset, "USD", decimals[1])
    pair = await served(peer, client.add_instrument, "BTC/USD", base, quote, price_max=10_000)
    await served(peer, client.list_instruments)
    await served(peer, client.requests.call, Deposit(0, base, 1_000))
    await served(peer, client.requests.call, Deposit(0, quote, 1_000_000))
    return base, quote, pair
