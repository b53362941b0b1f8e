"""Private streams and market data between the core's outputs and the connections' send queues.

Owns which connection follows which user, the ring of private reports and the topics of market-data
subscriptions; used in the Trio loop: by connections (what their client asks for), by the
switchboard (what the log published). Guarantees: a report is in the ring before any connection is
notified, so a follower that reads at its own pace misses none; a report without followers costs
only its entry in the ring; a connection that leaves is forgotten completely. Relies on the session
for what a client may follow. Source: protocol.md, "Private stream" and "Market data".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, assert_never

from hpe.core.contract import (
    MARKET_ROW,
    PRIVATE_ROW,
    REPLY_ROW,
    SUBSCRIBED_ROW,
    Output,
    Run,
)
from hpe.core.output.private_ring import PrivateRing
from hpe.net.delivery.topics import MarketQueue, Topics
from hpe.net.send_queue import SendQueue
from hpe.net.session import StreamRequest, error_frame
from hpe.protocol.admission import SUBSCRIBE
from hpe.protocol.codes import REPORTS_AHEAD, REPORTS_GONE, ErrorCode
from hpe.protocol.enums import Channel
from hpe.protocol.frames import encode_frame
from hpe.protocol.limits import PRIVATE_STREAMS_MAX
from hpe.protocol.market_data import Unsubscribe, Unsubscribed
from hpe.protocol.reports import (
    PrivateSubscribed,
    PrivateUnsubscribed,
    SubscribePrivate,
    UnsubscribePrivate,
)

_NOBODY: Final[dict[SendQueue, None]] = {}


class Streams:
    """The streams of one engine.

    Args:
        ring: the ring, filled by recovery.
        instruments: returns the highest id that any instrument has had.
    """

    def __init__(self, ring: PrivateRing, instruments: Callable[[], int]) -> None:
        self.ring = ring
        self.topics = Topics(instruments)
        self.private_streams = 0
        self._followers: dict[int, dict[SendQueue, None]] = {}

    def wanted(self) -> bytes:
        """Return the market data that has subscribers, in the form in which a batch carries it."""
        return self.topics.wanted

    # --- what clients ask for -----------------------------------------------------------------

    def carry_out(self, send_queue: SendQueue, message: StreamRequest, user: int) -> bytes:
        """Begin or end a stream; return the frame that answers.

        Args:
            send_queue: the queue of the connection that asks.
            message: the request, which its role allows.
            user: the session's user, for messages that name none.
        """
        match message:
            case SubscribePrivate():
                return self._follow(send_queue, message, message.user or user)
            case UnsubscribePrivate():
                return self._unfollow(send_queue, message.request_id, message.user or user)
            case Unsubscribe(request_id=request_id, instrument=instrument, channel=channel):
                if send_queue.market is not None:
                    self.topics.unsubscribe(send_queue.market, instrument, Channel(channel))
                return encode_frame(Unsubscribed(request_id, 0, instrument, channel))
            case _:
                assert_never(message)

    def admit(self, send_queue: SendQueue, run: Run, requests: int) -> list[Run]:
        """Note the subscribes among requests that are about to go to the core.

        Args:
            send_queue: the queue of the connection that sends them.
            run: the requests; those beyond the bound of subscriptions are marked as refused.
            requests: the number that this connection has sent so far, including these.
        """
        if run.admit or not run.chunk.classes & SUBSCRIBE:
            return [run]
        if send_queue.market is None:
            send_queue.market = MarketQueue(send_queue.connection, send_queue.ring)
        return self.topics.admit(send_queue.market, run, requests)

    def leave(self, send_queue: SendQueue) -> None:
        """Forget a connection."""
        for user in send_queue.followed:
            self._drop(send_queue, user)
        if send_queue.market is not None:
            self.topics.leave(send_queue.market)
            # The two refer to each other, and garbage in cycles is never collected (collector.py).
            send_queue.market = None

    # --- what the log published ---------------------------------------------------------------

    def keep(self, output: Output) -> None:
        """Add private reports that no connection can follow yet: those of recovery."""
        private, put = output.private, self.ring.put
        for user, first, last, start, end in PRIVATE_ROW.iter_unpack(output.private_rows):
            put(user, first, last, private[start:end])

    def report(self, output: Output) -> None:
        """Add the private reports of an output and notify the followers."""
        private, put, followers = output.private, self.ring.put, self._followers
        for user, first, last, start, end in PRIVATE_ROW.iter_unpack(output.private_rows):
            put(user, first, last, private[start:end])
            for send_queue in followers.get(user, _NOBODY):
                send_queue.notice(user)

    def publish(self, output: Output, answered: Callable[[int], int]) -> None:
        """Hand out the market data of an output; its replies are delivered already.

        Args:
            output: of the core.
            answered: how many requests of a connection are answered by now.
        """
        topics = self.topics
        if output.market_rows:
            topics.publish(_market_updates(output))
        if output.subscribed:
            topics.activate(SUBSCRIBED_ROW.iter_unpack(output.subscribed))
        if topics.asking:
            for connection, *_ in REPLY_ROW.iter_unpack(output.reply_rows):
                if connection in topics.asking:
                    topics.answered(connection, answered(connection))

    # --- inside -------------------------------------------------------------------------------

    def _follow(self, send_queue: SendQueue, message: SubscribePrivate, user: int) -> bytes:
        request_id = message.request_id
        last = self.ring.last(user)
        after = last if message.after is None else message.after
        if after > last:
            text = REPORTS_AHEAD.text.format(user=user, last=last)
            return error_frame(request_id, REPORTS_AHEAD.code, text)
        oldest = self.ring.oldest(user)
        if after < oldest:
            text = REPORTS_GONE.text.format(user=user, oldest=oldest + 1)
            return error_frame(request_id, REPORTS_GONE.code, text)
        if user not in send_queue.followed:
            if len(send_queue.followed) >= PRIVATE_STREAMS_MAX:
                return error_frame(request_id, ErrorCode.TOO_MANY_SUBSCRIPTIONS)
            self._followers.setdefault(user, {})[send_queue] = None
            self.private_streams += 1
        send_queue.follow(user, after)
        return encode_frame(PrivateSubscribed(request_id, 0, user, after, last))

    def _unfollow(self, send_queue: SendQueue, request_id: int, user: int) -> bytes:
        if user in send_queue.followed:
            self._drop(send_queue, user)
            send_queue.unfollow(user)
        return encode_frame(PrivateUnsubscribed(request_id, 0, user))

    def _drop(self, send_queue: SendQueue, user: int) -> None:
        followers = self._followers[user]
        del followers[send_queue]
        self.private_streams -= 1
        if not followers:
            del self._followers[user]


def _market_updates(output: Output) -> Iterator[tuple[int, int, bytes]]:
    """Yield (instrument, channel, frames), copied: a backlog keeps them for slow readers."""
    market = output.market
    for instrument, channel, start, end in MARKET_ROW.iter_unpack(output.market_rows):
        yield instrument, channel, bytes(market[start:end])
