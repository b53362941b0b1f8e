"""The topics of market data: which connection gets which updates, and from when on.

Owns all subscriptions and the market data that waits for each; used in the Trio loop, by readers
(what their client asks for), the dispatcher (what was published) and writers (what they take).
Guarantees: an update is encoded once, and all subscribers share its bytes; a subscription gets
every update after its snapshot and none before it, subject to conflation; a subscriber that does
not read costs nothing per batch and no memory of its own (conflation.py); a subscription that ends
is forgotten completely, even if its request was refused. Relies on a writer to send its replies
before it takes market data, and on requests of a connection being answered in order.

A subscription is first asked for (its encodings are wanted from then on, even before the request
goes to the core), then active: either caught up and in its topic's list, or waiting in its queue.
Publishing moves the ones that are caught up and does not touch those that already wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, KeysView
from struct import Struct
from typing import Final, NamedTuple

import msgspec

from hpe.core.codec import DECODE_FAULTS
from hpe.core.contract import Run
from hpe.errors import InvariantViolation
from hpe.net.delivery.conflation import Counts, MarketBacklog, backlog_of
from hpe.protocol.admission import SUBSCRIBE
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Channel
from hpe.protocol.frames import encode_frame
from hpe.protocol.limits import SUBSCRIPTIONS_MAX
from hpe.protocol.market_data import Subscribe, Unsubscribed

_DECODER: Final = msgspec.msgpack.Decoder(Subscribe)

_WANTED_ROW: Final = Struct(">IB")

INSTRUMENTS_AHEAD: Final = 256
"""A subscribe may be sent before the instrument that it names exists. One that names a much higher
number is answered by the core like any other, and not noted, because nothing can be published."""

TopicKey = tuple[int, int]
"""Instrument and channel."""


class _Asked(NamedTuple):
    """A subscribe on its way; answered once `requests` requests of its connection are answered.

    It stays in its place even if it is unsubscribed meanwhile, because it will still be answered:
    ids of queries may be reused, so only the order shows which answer belongs to which request.
    """

    requests: int
    request_id: int
    key: TopicKey
    subscription: _Subscription


class _Topic:
    """One channel of one instrument that has subscriptions, or requests for them.

    `members` are all subscriptions, `active` counts those that have their snapshot.
    """

    __slots__ = ("active", "backlog", "caught_up", "members")

    def __init__(self, backlog: MarketBacklog) -> None:
        self.backlog = backlog
        # These are dicts because the order of a set differs from run to run.
        self.members: dict[_Subscription, None] = {}
        self.caught_up: dict[_Subscription, None] = {}
        self.active = 0


class _Subscription:
    """One connection's interest in one topic; `asked` counts its subscribes on their way."""

    __slots__ = ("active", "asked", "position", "queue", "topic")

    def __init__(self, queue: MarketQueue, topic: _Topic) -> None:
        self.queue = queue
        self.topic = topic
        self.active = False
        self.asked = 0
        self.position = 0  # what it takes next, while it waits in the queue


class MarketQueue:
    """The market data that waits for one connection.

    Args:
        connection: its number.
        ring: called when something waits and nothing did before.
    """

    __slots__ = ("_asked", "_ended", "_ring", "_subscriptions", "_waiting", "connection")

    def __init__(self, connection: int, ring: Callable[[], None]) -> None:
        self.connection = connection
        self._ring = ring
        self._subscriptions: dict[TopicKey, _Subscription] = {}
        self._asked: deque[_Asked] = deque()
        self._waiting: dict[_Subscription, None] = {}  # the next one to take from is first
        self._ended: list[bytes] = []  # frames about subscriptions that the server ended

    def __bool__(self) -> bool:
        """True if something waits."""
        return bool(self._waiting or self._ended)

    def take(self, bytes_max: int) -> bytes:
        """Return whole frames, conflated if this reader is behind.

        Args:
            bytes_max: the approximate size; one update is returned even if it is longer.
        """
        waiting = self._waiting
        taken, room = self._ended, bytes_max - sum(map(len, self._ended))
        self._ended = []
        for subscription in list(waiting):
            if room <= 0:
                break
            topic = subscription.topic
            frames, position = topic.backlog.take(subscription.position, room)
            del waiting[subscription]
            if position < topic.backlog.head:
                subscription.position = position
                waiting[subscription] = None
            else:
                topic.caught_up[subscription] = None
            taken.append(frames)
            room -= len(frames)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _wait(self, subscription: _Subscription, position: int) -> None:
        subscription.position = position
        rings = not self
        self._waiting[subscription] = None
        if rings:
            self._ring()

    def _tell_end(self, frame: bytes) -> None:
        rings = not self
        self._ended.append(frame)
        if rings:
            self._ring()


class Topics:
    """All subscriptions of one engine.

    Args:
        instruments: returns the highest id that any instrument has had.
    """

    def __init__(self, instruments: Callable[[], int]) -> None:
        self._instruments = instruments
        self._counts = Counts()
        self.subscriptions = 0
        self._topics: dict[TopicKey, _Topic] = {}
        self._asking: dict[int, MarketQueue] = {}
        self._masks: dict[int, int] = {}  # the channels of _topics by instrument
        self._wanted: bytes | None = b""

    @property
    def wanted(self) -> bytes:
        """Return what the core must encode, in the form of Batch.wanted."""
        if self._wanted is None:
            rows = sorted(self._masks.items())
            self._wanted = b"".join(_WANTED_ROW.pack(*row) for row in rows)
        return self._wanted

    @property
    def asking(self) -> KeysView[int]:
        """The connections that have subscribes on their way."""
        return self._asking.keys()

    @property
    def merged(self) -> int:
        """How often a slow reader got one update in place of several."""
        return self._counts.merged

    @property
    def dropped(self) -> int:
        """How often a slow reader lost updates; it sees the gap and subscribes again."""
        return self._counts.dropped

    # --- what clients ask for -----------------------------------------------------------------

    def admit(self, queue: MarketQueue, run: Run, requests: int) -> list[Run]:
        """Note the subscribes of a run that is about to be offered to the core.

        Args:
            queue: the queue of the connection that sends it.
            run: the requests, which are executed unless this refuses them.
            requests: the number that the connection has sent so far, including these.

        Returns:
            The run in pieces; subscribes beyond SUBSCRIPTIONS_MAX are marked as refused.
        """
        known = self._instruments() + INSTRUMENTS_AHEAD

        def decide(admission: int, start: int, end: int) -> int:
            if admission != SUBSCRIBE:
                return 0
            try:
                request = _DECODER.decode(run.chunk.frames[start:end])
            except DECODE_FAULTS:
                return 0  # the core will say what is wrong with it
            if request.instrument > known:
                return 0
            return 0 if self._ask(queue, requests, request) else ErrorCode.TOO_MANY_SUBSCRIPTIONS

        return run.split(decide)

    def unsubscribe(self, queue: MarketQueue, instrument: int, channel: int) -> None:
        """End a subscription at once, including subscribes for it that are on their way."""
        key = instrument, channel
        subscription = queue._subscriptions.get(key)
        if subscription is None:
            return
        self._forget(subscription, key)

    def leave(self, queue: MarketQueue) -> None:
        """Forget a connection."""
        queue._asked.clear()
        for key, subscription in list(queue._subscriptions.items()):
            self._forget(subscription, key)
        self._settle(queue)

    # --- what the log published ---------------------------------------------------------------

    def publish(self, rows: Iterable[tuple[int, int, bytes]]) -> None:
        """Hand out (instrument, channel, frames) to the active subscribers.

        Cost: one move per subscriber that is caught up; nothing for those that already wait.
        """
        for instrument, channel, frames in rows:
            if not channel:
                self._end(instrument)
                continue
            topic = self._topics.get((instrument, channel))
            if topic is None or not topic.active:
                continue
            caught_up = topic.caught_up
            if len(caught_up) == topic.active:
                topic.backlog.clear()
            position = topic.backlog.put(frames)
            topic.caught_up = {}
            for subscription in caught_up:
                subscription.queue._wait(subscription, position)

    def _end(self, instrument: int) -> None:
        """End all subscriptions of a delisted instrument; drop its waiting updates.

        Subscribes that are on their way get an answer from the core.
        """
        for channel in Channel:
            key = instrument, int(channel)
            topic = self._topics.get(key)
            if topic is None:
                continue
            told = encode_frame(Unsubscribed(0, 0, instrument, channel))
            for subscription in list(topic.members):
                if subscription.active:
                    self._forget(subscription, key)
                    subscription.queue._tell_end(told)

    def activate(self, rows: Iterable[tuple[int, int, int, int]]) -> None:
        """Begin the subscriptions (connection, request id, instrument, channel) of a batch.

        Called after `publish` of the same batch, whose updates their snapshots already include.
        """
        for connection, request_id, instrument, channel in rows:
            queue = self._asking.get(connection)
            if queue is not None:
                self._activate(queue, request_id, (instrument, channel))

    def answered(self, connection: int, requests: int) -> None:
        """Forget the subscribes that were answered with something other than a snapshot.

        Called after `activate`, for connections in `asking`.

        Args:
            connection: the connection's number.
            requests: the number of its requests that are answered by now.
        """
        queue = self._asking[connection]
        while queue._asked and queue._asked[0].requests <= requests:
            self._refused(queue, queue._asked.popleft())
        self._settle(queue)

    def check(self) -> None:
        """Check everything that can be reached from the topics.

        Raises:
            InvariantViolation: the topics contradict themselves.
        """
        for key, topic in self._topics.items():
            if not 0 < len(topic.members) >= topic.active >= len(topic.caught_up):
                raise InvariantViolation(f"market topic {key} counts its subscriptions wrongly")
            for subscription in topic.caught_up:
                if not subscription.active or subscription in subscription.queue._waiting:
                    raise InvariantViolation(
                        f"a subscription to {key} is wrongly listed as caught up"
                    )
        if self.subscriptions != sum(topic.active for topic in self._topics.values()):
            raise InvariantViolation(f"the count of subscriptions, {self.subscriptions}, is wrong")

    # --- inside -------------------------------------------------------------------------------

    def _ask(self, queue: MarketQueue, requests: int, request: Subscribe) -> bool:
        key = request.instrument, int(request.channel)
        subscription = queue._subscriptions.get(key)
        if subscription is None:
            # The frame about the end takes its place until it is read, which may never happen.
            if len(queue._subscriptions) + len(queue._ended) >= SUBSCRIPTIONS_MAX:
                return False
            subscription = queue._subscriptions[key] = _Subscription(queue, self._topic(key))
            subscription.topic.members[subscription] = None
        subscription.asked += 1
        queue._asked.append(_Asked(requests, request.request_id, key, subscription))
        self._asking[queue.connection] = queue
        return True

    def _topic(self, key: TopicKey) -> _Topic:
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = _Topic(backlog_of(key[1], self._counts))
            self._want(key)
        return topic

    def _activate(self, queue: MarketQueue, request_id: int, key: TopicKey) -> None:
        if not any(asked[1:3] == (request_id, key) for asked in queue._asked):
            return  # in a form that `has_subscribe` does not recognize
        while (asked := queue._asked.popleft())[1:3] != (request_id, key):
            self._refused(queue, asked)  # answered before this one, without a snapshot
        subscription = asked.subscription
        if queue._subscriptions.get(key) is not subscription:
            self._settle(queue)
            return  # unsubscribed meanwhile
        subscription.asked -= 1
        # A subscription that was active continues after the new snapshot: what waits is older.
        queue._waiting.pop(subscription, None)
        topic = subscription.topic
        if not subscription.active:
            subscription.active = True
            topic.active += 1
            self.subscriptions += 1
        topic.caught_up[subscription] = None
        self._settle(queue)

    def _refused(self, queue: MarketQueue, asked: _Asked) -> None:
        subscription = asked.subscription
        subscription.asked -= 1
        is_there = queue._subscriptions.get(asked.key) is subscription
        if is_there and not subscription.active and not subscription.asked:
            self._forget(subscription, asked.key)

    def _forget(self, subscription: _Subscription, key: TopicKey) -> None:
        topic = subscription.topic
        del subscription.queue._subscriptions[key]
        subscription.queue._waiting.pop(subscription, None)
        topic.caught_up.pop(subscription, None)
        del topic.members[subscription]
        if subscription.active:
            topic.active -= 1
            self.subscriptions -= 1
        if not topic.members:
            del self._topics[key]
            self._want(key)

    def _want(self, key: TopicKey) -> None:
        """Note that a topic is wanted, or no longer wanted."""
        instrument, channel = key
        mask = self._masks.get(instrument, 0) ^ 1 << (channel - 1)
        if mask:
            self._masks[instrument] = mask
        else:
            del self._masks[instrument]
        self._wanted = None

    def _settle(self, queue: MarketQueue) -> None:
        if not queue._asked:
            self._asking.pop(queue.connection, None)
