"""The streams of one client: requested, routed, requested again.

Owns the table of a session's open streams and which of them must be requested; used from one
Trio loop: by streams, by the channel's reader (`take`) and by one task (`run`). Guarantees: a
stream gets the beginning that answers its own request, then every update of its topic in order;
it is begun again after every reconnect, and whenever it wants to be. Relies on the streams to
judge what they get: an update may come from before their own beginning.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from hpe.client import aio
from hpe.client.channel import SessionChannel
from hpe.client.pending import Pending, Repeat
from hpe.errors import ConnectionLost, HpeError, RequestError, RequestRefused, StreamEnded
from hpe.protocol.base import Reply, Request
from hpe.protocol.enums import Channel
from hpe.protocol.market_data import (
    BestUpdate,
    LevelsUpdate,
    OrdersUpdate,
    StatusUpdate,
    Subscribed,
    TradesUpdate,
    Unsubscribe,
    Unsubscribed,
)
from hpe.protocol.reports import PrivateSubscribed, PrivateUpdate, UnsubscribePrivate

Topic = tuple[int, int]
"""A Channel and an instrument, or PRIVATE and a user."""

PRIVATE: Final = 0

PAUSE_S: Final = 0.005
"""Pause between two rounds of requests: bounds the requests for a book that never fits."""

RETRY_S: Final = 0.25
"""Wait after the server put something off (busy, throttled)."""

_CHANNELS: Final[dict[type[Reply], Channel]] = {
    BestUpdate: Channel.BEST,
    LevelsUpdate: Channel.LEVELS,
    OrdersUpdate: Channel.ORDERS,
    TradesUpdate: Channel.TRADES,
    StatusUpdate: Channel.STATUS,
}

_S = TypeVar("_S", bound="Stream")


class Stream(ABC):
    """One stream, as Subscriptions sees it. Only the `wait` methods wait.

    Attributes:
        topic: what it follows.
        live: True if updates continue what came before; otherwise only a beginning is useful.
    """

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.live = False
        self._begun = aio.Event()
        self._news = aio.Event()
        self._failure: HpeError | None = None

    async def wait_begun(self) -> None:
        """Wait until the server has begun the stream; what is known then does not count as news.

        Raises:
            RequestRefused: the server refuses.
            ConnectionLost: the client has ended.
        """
        await self._begun.wait()
        self._news = aio.Event()
        self._raise_failure()

    @abstractmethod
    def ask(self) -> Request | None:
        """Return the request that begins it; None if it has to wait."""

    @abstractmethod
    def take(self, message: Reply) -> None:
        """Process the beginning that it asked for, or an update of its topic."""

    def suspend(self) -> None:
        """Note that updates are missing from here on, until the next beginning."""
        self.live = False

    def refused(self, error: RequestRefused) -> None:
        """Process a refusal."""
        self.end(error)

    def end(self, reason: HpeError) -> None:
        """Note that nothing more comes."""
        self.live = False
        self._failure = reason
        self._begun.set()
        self._news.set()

    def _begin(self) -> None:
        self.live = True
        self._begun.set()
        self._news.set()

    async def _wait_news(self) -> None:
        """Wait for anything new since the last call."""
        await self._news.wait()
        self._news = aio.Event()

    def _raise_failure(self) -> None:
        reason = self._failure
        if reason is None:
            return
        if isinstance(reason, RequestError):
            raise reason
        raise ConnectionLost(f"the client has ended: {reason}") from reason


@asynccontextmanager
async def followed(subscriptions: Subscriptions, stream: _S) -> AsyncIterator[_S]:
    """Follow a stream for the length of a block, which begins when the stream does."""
    subscriptions.open(stream)
    try:
        await stream.wait_begun()
        yield stream
    finally:
        subscriptions.close(stream)
        stream.end(ConnectionLost("the stream was left"))


class Subscriptions:
    """All streams of one session."""

    def __init__(self, requests: SessionChannel) -> None:
        self._requests = requests
        self._streams: dict[Topic, Stream] = {}
        self._due: OrderedDict[Topic, None] = OrderedDict()
        self._unwanted: dict[Topic, None] = {}
        self._asked: dict[int, Stream] = {}
        self._wake = aio.Event()
        self._ended: HpeError | None = None
        requests.on_stream = self.take

    # --- the streams' side --------------------------------------------------------------------

    def open(self, stream: Stream) -> None:
        """Begin a stream.

        Raises:
            ValueError: this client already has one of that topic.
            ConnectionLost: the client has ended.
        """
        if self._ended is not None:
            raise ConnectionLost(f"the client has ended: {self._ended}") from self._ended
        if stream.topic in self._streams:
            raise ValueError(f"{_name(stream.topic)}: this client follows it already")
        self._streams[stream.topic] = stream
        self.renew(stream)

    def renew(self, stream: Stream) -> None:
        """Begin a stream again; drop an unsent request to end it."""
        self._unwanted.pop(stream.topic, None)
        self._due[stream.topic] = None
        self._wake.set()

    def pause(self, stream: Stream) -> None:
        """Make the server stop sending; `renew` continues."""
        self._due.pop(stream.topic, None)
        self._unwanted[stream.topic] = None
        self._wake.set()

    def close(self, stream: Stream) -> None:
        """Forget a stream."""
        if self._streams.pop(stream.topic, None) is not None:
            self.pause(stream)

    # --- the connection's side ----------------------------------------------------------------

    def take(self, message: Reply) -> None:
        """Route a message of a stream."""
        if isinstance(message, Subscribed | PrivateSubscribed):
            stream = self._asked.pop(message.request_id, None)
            if stream is not None and self._streams.get(stream.topic) is stream:
                stream.take(message)
            return
        topic = _topic(message)
        stream = self._streams.get(topic)
        if stream is None:
            return
        if isinstance(message, Unsubscribed):
            stream.end(StreamEnded(f"{_name(topic)}: it was delisted, nothing more comes"))
        else:
            stream.take(message)

    def suspend(self) -> None:
        """Note that the connection is gone, and with it every subscription."""
        self._asked.clear()
        self._unwanted.clear()
        for stream in self._streams.values():
            stream.suspend()

    def resume(self) -> None:
        """Begin everything again on a new connection."""
        for stream in self._streams.values():
            self.renew(stream)

    def end(self, reason: HpeError) -> None:
        """End every stream."""
        self._ended = reason
        for stream in [*self._streams.values()]:
            stream.end(reason)

    async def run(self) -> None:
        """Send requests that are due, until canceled or the client has ended."""
        while True:
            await self._wake.wait()
            self._wake = aio.Event()
            try:
                await self._end_unwanted()
                all_begun = await self._begin_due()
            except ConnectionLost:  # while sending: there will be no other connection
                return
            await aio.sleep(PAUSE_S if all_begun else RETRY_S)

    # --- inside -------------------------------------------------------------------------------

    async def _end_unwanted(self) -> None:
        while self._unwanted:
            await self._requests.turn()
            request: Request | None = None
            if self._unwanted:
                (kind, of), _ = self._unwanted.popitem()
                if kind == PRIVATE:
                    request = UnsubscribePrivate(0, of)
                else:
                    request = Unsubscribe(0, of, Channel(kind))
            self._requests.send_turn(request, Repeat.NEVER)

    async def _begin_due(self) -> bool:
        """Begin everything that is due; False if the server put something off."""
        asked: list[tuple[Stream, Pending]] = []
        while self._due:
            await self._requests.turn()
            stream, request = self._next_due()
            pending = self._requests.send_turn(request, Repeat.NEVER)
            if stream is not None and pending is not None:
                self._asked[pending.request_id] = stream
                asked.append((stream, pending))
        return all([await self._see(stream, pending) for stream, pending in asked])

    def _next_due(self) -> tuple[Stream | None, Request | None]:
        while self._due:
            topic = next(iter(self._due))
            del self._due[topic]
            stream = self._streams.get(topic)
            request = stream.ask() if stream is not None else None
            if request is not None:
                return stream, request
        return None, None

    async def _see(self, stream: Stream, pending: Pending) -> bool:
        """Wait for the answer, which `take` already has; False if the server put it off."""
        try:
            await pending.wait()
        except ConnectionLost:
            pass  # `resume` or `end` continues
        except RequestRefused as error:
            self._asked.pop(pending.request_id, None)
            if self._streams.get(stream.topic) is not stream:
                return True
            if error.retryable:
                self.renew(stream)
                return False
            stream.refused(error)
        return True


def _topic(message: Reply) -> Topic:
    if isinstance(message, PrivateUpdate):
        return PRIVATE, message.user
    if isinstance(message, Unsubscribed):
        return message.channel, message.instrument
    kind = _CHANNELS[type(message)]
    instrument: int = getattr(message, "instrument")  # noqa: B009 - every update has one
    return kind, instrument


def _name(topic: Topic) -> str:
    kind, of = topic
    if kind == PRIVATE:
        return f"private events of user {of}"
    return f"{Channel(kind).name.lower()} of instrument {of}"
