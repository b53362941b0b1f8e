"""A session on a real core, in memory: the transport under a RequestChannel without a service.

Frames wait until `serve` applies them, so a test decides when an answer comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import trio
from trio.testing import wait_all_tasks_blocked

from hpe.client.requests import RequestChannel
from hpe.core import new_core
from hpe.core.contract import DEFAULT_LIMITS, SYSTEM_CONNECTION, Batch, Limits, Run
from hpe.errors import ReplyTimeout
from hpe.protocol.frames import chunk_of, encode_frame
from hpe.protocol.internal import SessionAttached, SessionAttachedResponse

CONNECTION = 7
USER = 42


class CorePeer:
    """A session on a real core, in memory: frames wait until `serve` applies them."""

    def __init__(
        self, window: int = 4, timeout_s: float = 5.0, limits: Limits = DEFAULT_LIMITS
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
        self.channel = self.channel_of(attached.last_request_id, timeout_s)

    def channel_of(self, last_request_id: int, timeout_s: float = 5.0) -> RequestChannel:
        return RequestChannel(
            self.take,
            session_id=self.session_id,
            window=self.window,
            last_request_id=last_request_id,
            timeout_s=timeout_s,
        )

    def take(self, frame: bytes) -> None:
        self.waiting.append(frame)
        self.sent.append(frame)

    def late(self, request_id: int) -> ReplyTimeout:
        """Return the timeout error of a request of this session."""
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
        return dict(self.core.apply(Batch(self.time_ns, [run])).replies)


async def served(peer: CorePeer, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run one request while the peer answers it; raise its error without an exception group."""
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
    """Serve requests, until canceled, whenever the tasks wait for an answer."""
    while True:
        await wait_all_tasks_blocked()
        peer.serve()


async def market(peer: CorePeer) -> tuple[int, int, int]:
    """Add two assets and a pair, and fund the session's user; return the three ids."""
    channel = peer.channel
    base = await served(peer, channel.add_asset, "BTC", 8)
    quote = await served(peer, channel.add_asset, "USD", 2)
    pair = await served(peer, channel.add_instrument, "BTC/USD", base, quote, price_max=10_000)
    await served(peer, channel.deposit, base, 1_000)
    await served(peer, channel.deposit, quote, 1_000_000)
    return base, quote, pair
