"""A scripted server under the client's streams: requests are noted, answers are the test's.

There is a real channel and real subscriptions over no transport at all: what the client sends is
decoded and kept, what the test says is encoded and fed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
import trio
from trio.testing import wait_all_tasks_blocked

from hpe.client.channel import SessionChannel
from hpe.client.subscriptions import Subscriptions
from hpe.errors import ConnectionLost
from hpe.protocol.base import Reply, Request, type_number
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.frames import encode_frame
from hpe.protocol.registry import CONTROL, QUERIES

_R = TypeVar("_R", bound=Request)
_DECODERS = {type_number(kind): msgspec.msgpack.Decoder[Any](kind) for kind in (*CONTROL, *QUERIES)}


class StreamPeer:
    """A session whose other end is the test."""

    def __init__(self, window: int = 64, timeout_s: float = 5.0) -> None:
        self.asked: list[Request] = []
        self.channel = SessionChannel(
            self._take, session_id=1, window=window, last_request_id=0, timeout_s=timeout_s
        )
        self.subscriptions = Subscriptions(self.channel)

    def _take(self, frame: bytes) -> None:
        self.asked.append(_DECODERS[frame[5]].decode(frame[4:]))

    async def request(self, kind: type[_R]) -> _R:
        """Return the next request, which has to be of a kind."""
        while not self.asked:
            await wait_all_tasks_blocked()
            if not self.asked:
                # Everything rests: only the pause between two rounds can be what is waited for.
                await trio.sleep(0.01)
        request = self.asked.pop(0)
        assert isinstance(request, kind), request
        return request

    async def quiet(self) -> None:
        """See that nothing is asked."""
        await trio.sleep(1)
        assert self.asked == []

    def say(self, *messages: Reply) -> None:
        """Have the server say something, all in one piece."""
        self.channel.feed(b"".join(encode_frame(message) for message in messages))

    def refuse(self, request: Request, code: ErrorCode, *, retryable: bool = False) -> None:
        """Answer a request with an error."""
        error = Error(request.request_id, 0, code, code.name.lower(), "", retryable, False, False)
        self.say(error)

    def cut(self) -> None:
        """Lose the connection."""
        self.channel.suspend(ConnectionLost("cut"))
        self.subscriptions.suspend()

    def connect(self) -> None:
        """Have the next connection."""
        self.channel.resume(self._take, 0, self.channel.window)
        self.subscriptions.resume()


@asynccontextmanager
async def stream_peer(window: int = 64, timeout_s: float = 5.0) -> AsyncIterator[StreamPeer]:
    """Run a peer's subscriptions for the length of a block."""
    peer = StreamPeer(window, timeout_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.subscriptions.run)
        yield peer
        nursery.cancel_scope.cancel()
