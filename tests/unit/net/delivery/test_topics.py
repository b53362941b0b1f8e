"""Topics: which connection gets which bytes from when on, what is wanted, and no leaks."""

from __future__ import annotations

import struct

import pytest

from hpe.core.contract import Run
from hpe.net.delivery import conflation
from hpe.net.delivery import topics as module
from hpe.net.delivery.topics import MarketQueue, Topics
from hpe.protocol.admission import SUBSCRIBE
from hpe.protocol.base import Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Channel
from hpe.protocol.frames import chunk_of, encode_frame, frame
from hpe.protocol.market_data import (
    BestUpdate,
    LevelsUpdate,
    Subscribe,
    TradesUpdate,
    Unsubscribed,
)
from hpe.protocol.money import GetBalance

ALL = 1 << 40
INSTRUMENTS = 1_000
BEST, LEVELS, ORDERS, TRADES = Channel.BEST, Channel.LEVELS, Channel.ORDERS, Channel.TRADES


class TopicsClient:
    """A connection as the switchboard handles it."""

    def __init__(self, topics: Topics, connection: int) -> None:
        self.topics = topics
        self.rings = 0
        self.queue = MarketQueue(connection, self.ring)
        self.sent = 0

    def ring(self) -> None:
        self.rings += 1

    def send(self, *requests: Request) -> list[int]:
        """Offer requests; give what is decided of each."""
        self.sent += len(requests)
        frames = b"".join(map(encode_frame, requests))
        run = Run(self.queue.connection, 1, 0, chunk_of(frames))
        pieces = self.topics.admit(self.queue, run, self.sent)
        assert b"".join(piece.chunk.frames for piece in pieces) == frames
        return [piece.admit for piece in pieces for _ in range(piece.chunk.count)]

    def ask(self, request_id: int, instrument: int, channel: Channel) -> int:
        return self.send(Subscribe(request_id, instrument, channel))[0]

    def subscribe(self, request_id: int, instrument: int, channel: Channel) -> None:
        assert self.ask(request_id, instrument, channel) == 0
        self.topics.activate([(self.queue.connection, request_id, instrument, channel)])

    def answered(self) -> None:
        if self.queue.connection in self.topics.asking:
            self.topics.answered(self.queue.connection, self.sent)

    def take(self) -> bytes:
        return self.queue.take(ALL)


@pytest.fixture
def topics() -> Topics:
    return Topics(lambda: INSTRUMENTS)


def best(number: int, instrument: int = 1) -> bytes:
    return encode_frame(BestUpdate(0, 0, instrument, number, number, 1, 1, 2, 2))


def trades(number: int, instrument: int = 1) -> bytes:
    rows = [(number, 100, 1, 1)]
    return encode_frame(TradesUpdate(0, 0, instrument, number, number, number - 1, rows))


def levels(number: int) -> bytes:
    return encode_frame(LevelsUpdate(0, 0, 1, number, number, number, [(number, 1, 1)], [], 7))


def wanted(*rows: tuple[int, int]) -> bytes:
    return b"".join(struct.pack(">IB", *row) for row in rows)


def test_all_subscribers_get_the_same_bytes(topics: Topics) -> None:
    clients = [TopicsClient(topics, number) for number in range(1, 4)]
    for client in clients:
        client.subscribe(1, 1, BEST)
    frame = best(1)
    topics.publish([(1, BEST, frame), (1, LEVELS, b"unwanted"), (2, BEST, b"unwanted")])
    assert [client.rings for client in clients] == [1, 1, 1]
    assert all(client.queue for client in clients)
    assert all(client.take() is frame for client in clients)
    assert not any(client.queue for client in clients)
    topics.check()


def test_what_is_wanted_rises_with_the_request_and_falls_with_the_last_one(
    topics: Topics,
) -> None:
    one, two = TopicsClient(topics, 1), TopicsClient(topics, 2)
    assert topics.wanted == b""
    one.ask(1, 7, LEVELS)
    assert topics.wanted == wanted((7, 0b10))
    two.send(Subscribe(5, 3, TRADES, 10), Subscribe(6, 7, BEST))
    before = topics.wanted
    assert before == wanted((3, 0b1000), (7, 0b11))
    topics.activate([(2, 5, 3, TRADES), (2, 6, 7, BEST)])
    two.subscribe(7, 7, LEVELS)
    assert topics.wanted is before  # nothing changed: not built anew
    topics.leave(one.queue)
    assert topics.wanted == before
    topics.unsubscribe(two.queue, 7, LEVELS)
    assert topics.wanted == wanted((3, 0b1000), (7, 0b01))
    topics.leave(two.queue)
    assert topics.wanted == b""
    assert topics.subscriptions == 0
    assert not topics.asking
    topics.check()


def test_a_subscription_gets_what_follows_its_snapshot_and_nothing_before(
    topics: Topics,
) -> None:
    first, late = TopicsClient(topics, 1), TopicsClient(topics, 2)
    first.subscribe(1, 1, TRADES)
    late.ask(1, 1, TRADES)
    topics.publish([(1, TRADES, trades(1))])  # the batch of the snapshot
    topics.activate([(2, 1, 1, TRADES)])
    topics.publish([(1, TRADES, trades(2))])
    assert first.take() == trades(1) + trades(2)
    assert late.take() == trades(2)


def test_asking_again_goes_on_until_the_new_snapshot_and_behind_it(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    client.subscribe(1, 1, TRADES)
    client.ask(2, 1, TRADES)
    topics.publish([(1, TRADES, trades(1))])
    assert client.take() == trades(1)
    topics.publish([(1, TRADES, trades(2))])
    topics.activate([(1, 2, 1, TRADES)])  # its snapshot has trade 2: that must not follow
    assert not client.queue
    topics.publish([(1, TRADES, trades(3))])
    assert client.take() == trades(3)
    assert topics.subscriptions == 1
    topics.check()


def test_unsubscribing_ends_it_at_once(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    client.subscribe(1, 1, TRADES)
    client.subscribe(2, 1, BEST)
    topics.publish([(1, TRADES, trades(1)), (1, BEST, best(1))])
    topics.unsubscribe(client.queue, 1, TRADES)
    topics.unsubscribe(client.queue, 1, TRADES)
    topics.unsubscribe(client.queue, 9, TRADES)
    assert client.take() == best(1)
    topics.publish([(1, TRADES, trades(2))])
    assert not client.queue
    topics.check()


def test_unsubscribing_ends_what_is_on_its_way(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    client.ask(1, 1, TRADES)
    topics.unsubscribe(client.queue, 1, TRADES)
    assert topics.wanted == b""
    assert not topics.subscriptions
    client.ask(2, 1, TRADES)
    topics.activate([(1, 1, 1, TRADES)])
    topics.publish([(1, TRADES, trades(1))])
    assert not client.queue
    topics.activate([(1, 2, 1, TRADES)])
    topics.publish([(1, TRADES, trades(2))])
    assert client.take() == trades(2)


def test_reused_ids_mix_up_no_snapshots(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    client.ask(1, 1, TRADES)
    topics.unsubscribe(client.queue, 1, TRADES)
    client.ask(1, 2, TRADES)
    client.ask(1, 1, TRADES)
    topics.activate([(1, 1, 1, TRADES)])
    topics.publish([(1, TRADES, trades(1))])
    assert not client.queue, "the snapshot of the one that was unsubscribed"
    topics.activate([(1, 1, 2, TRADES), (1, 1, 1, TRADES)])
    client.answered()
    assert (topics.subscriptions, list(topics.asking)) == (2, [])
    topics.publish([(1, TRADES, trades(2)), (2, TRADES, trades(9, 2))])
    assert client.take() == trades(2) + trades(9, 2)
    topics.check()


def test_what_was_unsubscribed_on_its_way_is_forgotten_with_its_answer(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    client.ask(1, 404, TRADES)
    topics.unsubscribe(client.queue, 404, TRADES)
    client.answered()  # refused
    assert not topics.asking
    client.ask(1, 404, TRADES)
    topics.unsubscribe(client.queue, 404, TRADES)
    client.ask(2, 1, TRADES)
    topics.activate([(1, 2, 1, TRADES)])
    assert not topics.asking
    assert topics.subscriptions == 1
    # One that is refused ends no later one of its kind.
    client.ask(3, 2, TRADES)
    topics.unsubscribe(client.queue, 2, TRADES)
    answered = client.sent
    client.ask(4, 2, TRADES)
    topics.answered(1, answered)
    topics.activate([(1, 4, 2, TRADES)])
    assert topics.subscriptions == 2
    topics.check()


def test_what_is_refused_leaves_nothing_behind(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    client.send(Subscribe(1, 404, LEVELS), GetBalance(2, 1))
    assert list(topics.asking) == [1]
    topics.answered(1, 1)
    assert list(topics.asking) == [1]  # not answered yet, as far as is known
    topics.answered(1, 2)
    assert topics.wanted == b""
    assert not topics.asking
    # One that is answered with a snapshot says that those before it were not.
    client.ask(3, 404, LEVELS)
    client.ask(4, 1, LEVELS)
    client.ask(5, 2, LEVELS)
    topics.activate([(1, 4, 1, LEVELS)])
    assert topics.wanted == wanted((1, 2), (2, 2))
    client.answered()
    assert topics.wanted == wanted((1, 2))
    # A new snapshot that is refused does not end the subscription.
    client.ask(6, 1, LEVELS)
    client.answered()
    assert topics.subscriptions == 1
    topics.check()


def test_a_connection_that_left_is_not_activated(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    client.ask(1, 1, LEVELS)
    topics.leave(client.queue)
    topics.activate([(1, 1, 1, LEVELS)])
    topics.publish([(1, LEVELS, levels(1))])
    assert topics.subscriptions == 0
    assert not client.queue


def test_a_connection_has_so_many_subscriptions(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SUBSCRIPTIONS_MAX", 2)
    client = TopicsClient(topics, 1)
    refused = int(ErrorCode.TOO_MANY_SUBSCRIPTIONS)
    decided = client.send(
        Subscribe(1, 1, LEVELS), GetBalance(2, 1), Subscribe(3, 2, BEST), Subscribe(4, 3, BEST),
        Subscribe(5, 1, LEVELS),
    )  # fmt: skip
    assert decided == [0, 0, 0, refused, 0]  # asking again is no further one
    topics.unsubscribe(client.queue, 2, BEST)
    assert client.ask(6, 3, BEST) == 0


def test_what_tells_of_ended_subscriptions_takes_their_places_until_it_is_taken(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that does not read while much is listed and delisted costs no more for that."""
    monkeypatch.setattr(module, "SUBSCRIPTIONS_MAX", 2)
    client = TopicsClient(topics, 1)
    client.subscribe(1, 1, BEST)
    client.subscribe(2, 2, BEST)
    refused = int(ErrorCode.TOO_MANY_SUBSCRIPTIONS)
    for instrument in (1, 2):
        topics.publish([(instrument, 0, b"")])
        assert client.ask(3, 3, BEST) == refused
    told = [encode_frame(Unsubscribed(0, 0, instrument, BEST)) for instrument in (1, 2)]
    assert client.take() == b"".join(told)
    client.subscribe(4, 3, BEST)
    assert client.ask(5, 4, BEST) == 0
    assert client.ask(6, 5, BEST) == refused


def test_what_tells_of_ended_subscriptions_counts_as_taken(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    for instrument in (1, 2):
        client.subscribe(instrument, instrument, BEST)
    topics.publish([(1, 0, b""), (2, BEST, best(1, 2))])
    assert client.queue.take(1) == encode_frame(Unsubscribed(0, 0, 1, BEST))
    assert client.queue.take(1) == best(1, 2)


def test_a_subscribe_is_found_in_every_form(
    topics: Topics,
) -> None:
    fields = b"\x2c\x01\x05\x02\x0a"
    client = TopicsClient(topics, 1)
    for head in (b"\x95", b"\xdc\x00\x05"):
        body = head + fields
        run = Run(1, 1, 0, chunk_of(frame(body)))
        assert run.chunk.classes == SUBSCRIBE
        assert topics.admit(client.queue, run, 1)[0].admit == 0
        assert topics.wanted == wanted((5, 2))
        topics.leave(client.queue)


def test_an_instrument_that_cannot_be_there_is_not_noted(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    beyond = INSTRUMENTS + module.INSTRUMENTS_AHEAD + 1
    assert client.send(*[Subscribe(n, beyond + n, BEST) for n in range(100)]) == [0] * 100
    assert topics.wanted == b""
    assert not topics.asking
    topics.activate([])
    client.subscribe(7, beyond - 1, BEST)  # it was on its way
    assert topics.wanted == wanted((beyond - 1, 1))


def test_a_malformed_subscribe_is_left_to_the_core(topics: Topics) -> None:
    body = b"\x95\x2c\x01\x05\x09\x0a"  # channel 9
    run = Run(1, 1, 0, chunk_of(frame(body)))
    assert topics.admit(TopicsClient(topics, 1).queue, run, 1) == [run]
    assert topics.wanted == b""
    assert not topics.asking


def test_a_reader_that_takes_nothing_costs_nothing_per_batch(topics: Topics) -> None:
    slow, quick = TopicsClient(topics, 1), TopicsClient(topics, 2)
    for client in (slow, quick):
        client.subscribe(1, 1, TRADES)
    for number in range(1, 5_001):
        topics.publish([(1, TRADES, trades(number))])
        assert quick.take() == trades(number)
    assert slow.rings == 1
    assert quick.rings == 5_000
    taken = slow.take()
    assert taken == trades(5_000)  # it sees the gap
    assert topics.dropped == 1
    topics.publish([(1, TRADES, trades(5_001))])
    assert slow.take() == trades(5_001)
    topics.check()


def test_a_reader_a_little_behind_gets_everything_as_it_came(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    for request_id, channel in enumerate((TRADES, LEVELS), 1):
        client.subscribe(request_id, 1, channel)
    count = conflation.RECENT_UPDATES_MAX
    for number in range(1, count + 1):
        topics.publish([(1, LEVELS, levels(number)), (1, TRADES, trades(number))])
    found = b""
    while client.queue:
        piece = client.queue.take(300)
        assert len(piece) < 300 + len(trades(count))  # about: one that does not fit is whole
        found += piece
    numbers = range(1, count + 1)
    for frames in (levels, trades):
        assert all(frames(number) in found for number in numbers)
    assert len(found) == sum(len(levels(number) + trades(number)) for number in numbers)
    assert (topics.merged, topics.dropped) == (0, 0)


def test_of_best_a_slow_reader_gets_the_newest(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    client.subscribe(1, 1, BEST)
    for number in range(1, 10):
        topics.publish([(1, BEST, best(number))])
    assert client.take() == best(9)
    assert not client.queue


def test_readers_take_turns_among_their_topics(topics: Topics) -> None:
    client = TopicsClient(topics, 1)
    for instrument in (1, 2, 3):
        client.subscribe(instrument, instrument, TRADES)
    for number in (1, 2):
        topics.publish([(i, TRADES, trades(number, i)) for i in (1, 2, 3)])
    assert [client.queue.take(1) for _ in range(6)] == [
        trades(number, instrument) for number in (1, 2) for instrument in (1, 2, 3)
    ]


def test_a_delisting_ends_all_subscriptions(topics: Topics) -> None:
    """At once, whatever waited of it; a subscribe on its way has an answer of its own."""
    caught_up, behind, asking = (TopicsClient(topics, number) for number in (1, 2, 3))
    caught_up.subscribe(1, 1, BEST)
    for channel in (BEST, LEVELS):
        behind.subscribe(1, 1, channel)
    behind.subscribe(1, 2, BEST)
    topics.publish([(2, BEST, best(1, 2)), (1, LEVELS, levels(1))])
    asking.ask(1, 1, BEST)
    topics.publish([(1, 0, b"")])
    ends = [encode_frame(Unsubscribed(0, 0, 1, channel)) for channel in (BEST, LEVELS)]
    assert (caught_up.rings, behind.rings, asking.rings) == (1, 1, 0)
    assert caught_up.take() == ends[0]
    assert behind.take() == b"".join(ends) + best(1, 2)
    assert not behind.queue
    assert topics.wanted == wanted((1, 0b1), (2, 0b1))
    asking.answered()
    assert topics.wanted == wanted((2, 0b1))
    topics.publish([(1, BEST, best(2))])
    assert not caught_up.take()
    topics.check()
