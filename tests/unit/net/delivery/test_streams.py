"""Which connection follows which user: begin, end, bounds, and that nothing is left behind."""

from __future__ import annotations

import msgspec
import pytest

from hpe.core.contract import Run
from hpe.core.output.private_ring import PrivateRing
from hpe.net.delivery import streams as streams_module
from hpe.net.delivery.streams import Streams
from hpe.net.limits.credits import CreditPool
from hpe.net.send_queue import SendQueue
from hpe.net.session import StreamRequest
from hpe.protocol.control import Error
from hpe.protocol.enums import Channel
from hpe.protocol.frames import chunk_of, encode_frame, split_frames
from hpe.protocol.market_data import BestUpdate, Subscribe, Unsubscribe, Unsubscribed
from hpe.protocol.reports import (
    BalanceReport,
    PrivateSubscribed,
    PrivateUnsubscribed,
    PrivateUpdate,
    SubscribePrivate,
    UnsubscribePrivate,
)
from tests.support.listed import Listed, packed

Answer = PrivateSubscribed | PrivateUnsubscribed | Unsubscribed | Error
ANSWERS = msgspec.msgpack.Decoder(Answer)
UPDATES = msgspec.msgpack.Decoder(PrivateUpdate)


class DrivenStreams:
    """The streams of an engine, and two connections."""

    def __init__(self) -> None:
        self.streams = Streams(PrivateRing(100), lambda: 9)
        ring, pool = self.streams.ring, CreditPool(1_000)
        self.one, self.two = SendQueue(1, ring, pool), SendQueue(2, ring, pool)
        self.requests = {1: 0, 2: 0}

    def say(self, request: StreamRequest, send_queue: SendQueue | None = None) -> Answer:
        frame = self.streams.carry_out(send_queue or self.one, request, 7)
        return ANSWERS.decode(frame[4:])

    def report(self, *users: int) -> None:
        rows = []
        for user in users:
            number = self.streams.ring.last(user) + 1
            report = BalanceReport(0, 0, number, 1, 5, 1, 100, 0, 0, 0)
            update = PrivateUpdate(0, 0, user, number, number, [report])
            rows.append((user, number, number, encode_frame(update)))
        self.streams.report(packed(Listed(private=rows)))

    def ask(self, send_queue: SendQueue, request: Subscribe) -> list[Run]:
        self.requests[send_queue.connection] += 1
        run = Run(send_queue.connection, 1, 0, chunk_of(encode_frame(request)))
        return self.streams.admit(send_queue, run, self.requests[send_queue.connection])

    def publish(
        self, *subscribed: tuple[int, int, int, int], market: bytes = b"", answers: int = 0
    ) -> None:
        rows = [(1, int(Channel.BEST), market)] if market else []
        lists = Listed(market=rows, subscribed=subscribed, weights=[(1, answers, 0)])
        self.streams.publish(packed(lists), lambda connection: answers)


@pytest.fixture
def desk() -> DrivenStreams:
    return DrivenStreams()


def taken(send_queue: SendQueue) -> list[tuple[int, int]]:
    """Return (user, private sequence) of every report that waits."""
    found = []
    while (parcel := send_queue.take()) is not None:
        for body in split_frames(parcel.data):
            update = UPDATES.decode(body)
            found += [(update.user, report.private_sequence) for report in update.reports]
    return found


def test_followers_get_each_report_and_nobody_else_does(desk: DrivenStreams) -> None:
    desk.report(7)
    assert desk.say(SubscribePrivate(1)) == PrivateSubscribed(1, 0, 7, 1, 1)
    assert desk.say(SubscribePrivate(2, 0, 8), desk.two) == PrivateSubscribed(2, 0, 8, 0, 0)
    assert desk.say(SubscribePrivate(3, 0), desk.two) == PrivateSubscribed(3, 0, 7, 0, 1)
    desk.report(7, 8, 9)
    assert taken(desk.one) == [(7, 2)]
    assert sorted(taken(desk.two)) == [(7, 1), (7, 2), (8, 1)]
    assert desk.streams.private_streams == 3


def test_a_stream_that_is_asked_for_again_goes_on_from_there(desk: DrivenStreams) -> None:
    desk.report(7)
    desk.report(7)
    desk.say(SubscribePrivate(1, 2))
    assert desk.say(SubscribePrivate(2, 1)) == PrivateSubscribed(2, 0, 7, 1, 2)
    assert taken(desk.one) == [(7, 2)]
    assert desk.streams.private_streams == 1


def test_an_ended_stream_gives_nothing_more_and_ending_twice_is_fine(desk: DrivenStreams) -> None:
    desk.say(SubscribePrivate(1))
    desk.report(7)
    for number in (2, 3):
        assert desk.say(UnsubscribePrivate(number)) == PrivateUnsubscribed(number, 0, 7)
    desk.report(7)
    assert taken(desk.one) == []
    assert desk.streams.private_streams == 0


def test_a_connection_that_leaves_leaves_nothing_behind(desk: DrivenStreams) -> None:
    desk.say(SubscribePrivate(1))
    desk.say(SubscribePrivate(2, None, 8))
    desk.say(SubscribePrivate(3), desk.two)
    desk.ask(desk.one, Subscribe(4, 1, Channel.BEST))
    assert desk.streams.topics.wanted
    desk.streams.leave(desk.one)
    assert desk.streams.private_streams == 1
    assert desk.one.market is None
    assert not desk.streams.topics.wanted
    assert not desk.streams.topics.asking
    desk.report(7, 8)
    assert taken(desk.two) == [(7, 1)]


def test_streams_per_connection_are_bounded(
    desk: DrivenStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "PRIVATE_STREAMS_MAX", 2)
    for user in (1, 2):
        desk.say(SubscribePrivate(user, None, user))
    refused = desk.say(SubscribePrivate(3, None, 3))
    assert isinstance(refused, Error)
    assert (refused.request_id, refused.name, refused.fatal) == (3, "too_many_subscriptions", False)
    assert isinstance(desk.say(SubscribePrivate(4, None, 2)), PrivateSubscribed)


def test_recovery_fills_the_ring_that_streams_are_resumed_from(desk: DrivenStreams) -> None:
    report = BalanceReport(0, 0, 1, 1, 5, 1, 100, 0, 0, 0)
    frame = encode_frame(PrivateUpdate(0, 0, 7, 1, 1, [report]))
    desk.streams.keep(packed(Listed(private=[(7, 1, 1, frame)])))
    desk.say(SubscribePrivate(1, 0))
    assert taken(desk.one) == [(7, 1)]


def test_market_data_begins_behind_its_snapshot_and_ends_at_once(desk: DrivenStreams) -> None:
    update = encode_frame(BestUpdate(0, 0, 1, 5, 9, 100, 1, 101, 1))
    (run,) = desk.ask(desk.one, Subscribe(4, 1, Channel.BEST))
    assert run.admit == 0
    assert desk.streams.topics.wanted == b"\0\0\0\1\1"
    desk.publish((1, 4, 1, Channel.BEST), market=update, answers=1)
    assert desk.one.take() is None, "its snapshot has this update"
    desk.publish(market=update)
    parcel = desk.one.take()
    assert parcel == (update, 0, 0, False)
    desk.publish(market=update)
    assert desk.say(Unsubscribe(5, 1, Channel.BEST)) == Unsubscribed(5, 0, 1, Channel.BEST)
    assert desk.one.take() is None
    assert desk.say(Unsubscribe(6, 9, Channel.BEST), desk.two) == Unsubscribed(6, 0, 9, 1)


def test_private_data_leaves_before_market_data_and_last_frames_end_it(desk: DrivenStreams) -> None:
    update = encode_frame(BestUpdate(0, 0, 1, 5, 9, 100, 1, 101, 1))
    desk.ask(desk.one, Subscribe(4, 1, Channel.BEST))
    desk.publish((1, 4, 1, Channel.BEST), answers=1)
    desk.publish(market=update)
    desk.one.put(b"reply", 1, 5)
    assert desk.one.take() == (b"reply", 1, 5, True)
    desk.one.seal(b"last")
    assert desk.one.take() == (b"last", 0, 0, True)
    assert desk.one.take() is None


def test_what_was_asked_and_refused_is_wanted_no_more(desk: DrivenStreams) -> None:
    desk.ask(desk.one, Subscribe(4, 1, Channel.BEST))
    desk.publish(answers=1)
    assert not desk.streams.topics.wanted
    assert not desk.streams.topics.asking
