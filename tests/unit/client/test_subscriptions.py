"""The client's requests for streams, and their order: a wanted stream is always requested."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.client.subscriptions import PRIVATE, Stream, Topic
from hpe.protocol.base import Reply, Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Channel
from hpe.protocol.market_data import Subscribe, Unsubscribe
from hpe.protocol.money import BalanceReply, GetBalance
from hpe.protocol.reports import (
    BalanceReport,
    PrivateSubscribed,
    PrivateUpdate,
    SubscribePrivate,
    UnsubscribePrivate,
)
from tests.support.stream_peer import StreamPeer, stream_peer

USER = 7


class PlainStream(Stream):
    """A stream that is live from its beginning on and notes what it gets."""

    def __init__(self, topic: Topic) -> None:
        super().__init__(topic)
        self.got: list[Reply] = []

    def ask(self) -> Request | None:
        kind, of = self.topic
        if kind == PRIVATE:
            return SubscribePrivate(0, None, of)
        return Subscribe(0, of, Channel(kind), 1)

    def take(self, message: Reply) -> None:
        self.got.append(message)
        if isinstance(message, PrivateSubscribed):
            self._begin()


def report(number: int) -> PrivateUpdate:
    return PrivateUpdate(
        0, 0, USER, number, number, [BalanceReport(0, 0, number, number, 1, 1, 1, 0, 0, 0)]
    )


async def fill_window(peer: StreamPeer, size: int) -> list[GetBalance]:
    """Leave no place in the window; return what has to be answered to make room again."""
    for _ in range(size):
        await peer.channel.send(GetBalance(0, 1))
    return [await peer.request(GetBalance) for _ in range(size)]


def answer(peer: StreamPeer, asked: list[GetBalance]) -> None:
    for request in asked:
        peer.say(BalanceReply(request.request_id, 0, 0, 0, 1, 0, 0, 0, 0))


async def begin_private(peer: StreamPeer) -> PlainStream:
    stream = PlainStream((PRIVATE, USER))
    peer.subscriptions.open(stream)
    request = await peer.request(SubscribePrivate)
    peer.say(PrivateSubscribed(request.request_id, 0, USER, 0, 0))
    await stream.wait_begun()
    await trio.sleep(1)
    return stream


async def test_a_stream_renewed_before_its_pause_was_told_is_not_ended_after_that(
    autojump_clock: MockClock,
) -> None:
    async with stream_peer(window=2) as peer:
        private = await begin_private(peer)
        waiting = await fill_window(peer, 2)
        peer.subscriptions.open(PlainStream((Channel.STATUS, 1)))
        await wait_all_tasks_blocked()  # what is due waits for a place in the window
        peer.subscriptions.pause(private)
        peer.subscriptions.renew(private)
        answer(peer, waiting)
        status = await peer.request(Subscribe)
        begin = await peer.request(SubscribePrivate)
        peer.say(PrivateSubscribed(begin.request_id, 0, USER, 0, 0), report(1))
        peer.refuse(status, ErrorCode.NOT_AUTHORIZED)
        await peer.quiet()  # an end after the beginning would silence it for good
        assert private.live
        assert private.got[-1] == report(1)


async def test_a_pause_in_the_same_round_is_told_and_nothing_is_asked(
    autojump_clock: MockClock,
) -> None:
    async with stream_peer(window=2) as peer:
        private = await begin_private(peer)
        waiting = await fill_window(peer, 2)
        peer.subscriptions.renew(private)
        await wait_all_tasks_blocked()
        peer.subscriptions.pause(private)
        answer(peer, waiting)
        assert (await peer.request(UnsubscribePrivate)).user == USER
        await peer.quiet()


async def test_a_topic_left_and_opened_again_at_once_is_asked_for_and_not_ended(
    autojump_clock: MockClock,
) -> None:
    async with stream_peer(window=2) as peer:
        private = await begin_private(peer)
        waiting = await fill_window(peer, 2)
        peer.subscriptions.open(PlainStream((Channel.STATUS, 1)))
        await wait_all_tasks_blocked()
        peer.subscriptions.close(private)
        again = PlainStream(private.topic)
        peer.subscriptions.open(again)
        answer(peer, waiting)
        peer.refuse(await peer.request(Subscribe), ErrorCode.NOT_AUTHORIZED)
        begin = await peer.request(SubscribePrivate)
        peer.say(PrivateSubscribed(begin.request_id, 0, USER, 0, 0))
        await again.wait_begun()
        await peer.quiet()
        assert private.got[1:] == []


async def test_streams_of_other_topics_are_still_ended(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer:
        private = await begin_private(peer)
        status = PlainStream((Channel.STATUS, 1))
        peer.subscriptions.open(status)
        begin = await peer.request(Subscribe)
        peer.subscriptions.close(status)
        peer.subscriptions.renew(private)
        peer.refuse(begin, ErrorCode.NOT_AUTHORIZED)
        assert (await peer.request(Unsubscribe)).instrument == 1
        await peer.request(SubscribePrivate)
