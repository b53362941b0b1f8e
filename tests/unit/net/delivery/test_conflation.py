"""Readers of any speed end with the engine's book, and prove it by the checksum."""

from __future__ import annotations

import random
import struct
import zlib

import msgpack
import pytest

from hpe.core.contract import Run
from hpe.net.delivery import conflation
from hpe.net.delivery.conflation import Counts, LevelsBacklog, MarketBacklog, backlog_of
from hpe.net.delivery.topics import MarketQueue, Topics
from hpe.protocol.enums import BookChange, Channel
from hpe.protocol.frames import chunk_of, encode_frame, split_frames
from hpe.protocol.market_data import LevelsUpdate, OrdersUpdate, Subscribe

ALL = 1 << 40
Book = tuple[dict[int, int], dict[int, int]]
"""Price -> quantity of bids and of asks."""


def checksum(book: Book) -> int:
    numbers: list[int] = []
    for side, is_bid in zip(book, (True, False), strict=True):
        rows = sorted(side.items(), reverse=is_bid)[:10]
        numbers += [number for row in rows for number in row] + [0, 0] * (10 - len(rows))
    return zlib.crc32(struct.pack(">40q", *numbers))


class Engine:
    """Random level updates of one book, as the core would give them."""

    def __init__(self, seed: int, *, prices: int) -> None:
        self.random = random.Random(seed)
        self.book: Book = ({}, {})
        self.sequence = 0
        self.prices = prices

    def batch(self) -> tuple[bytes, bytes]:
        """Change the book; give the update of levels, in parts at times, and that of orders."""
        first = self.sequence + 1
        rows: list[list[tuple[int, int, int]]] = [[], []]
        changes: list[tuple[int, int, int, int, int]] = []
        for _ in range(self.random.randint(1, 6)):
            side = self.random.randrange(2)
            price = self.random.randint(1, self.prices) + side * self.prices
            quantity = self.random.choice([0, 0, self.random.randint(1, 99)])
            rows[side] = [row for row in rows[side] if row[0] != price]
            rows[side].append((price, quantity, 1))
            if quantity:
                self.book[side][price] = quantity
            else:
                self.book[side].pop(price, None)
            changes.append((BookChange.CHANGED, side + 1, price, price, quantity))
        self.sequence += len(changes)
        last = self.sequence
        whole = checksum(self.book)
        updates = [LevelsUpdate(0, 0, 1, first, last, last, rows[0], rows[1], whole)]
        if last - first > 2 and self.random.random() < 0.3:
            updates = [
                LevelsUpdate(0, 0, 1, first, first, last, rows[0], [], None),
                LevelsUpdate(0, 0, 1, first + 1, last, last, [], rows[1], whole),
            ]
        orders = OrdersUpdate(0, 0, 1, first, last, last, changes, whole)
        return b"".join(map(encode_frame, updates)), encode_frame(orders)


class ConflationReader:
    """Applies what it gets by the rules of protocol.md."""

    def __init__(self, topics: Topics, connection: int, channel: Channel) -> None:
        self.topics = topics
        self.queue = MarketQueue(connection, lambda: None)
        self.channel = channel
        self.book: Book = ({}, {})
        self.known = 0
        self.in_step = False
        self.asked = 0
        self.gaps = 0
        self.checked = 0

    def ask(self) -> None:
        self.asked += 1
        frame = encode_frame(Subscribe(self.asked, 1, self.channel))
        self.topics.admit(self.queue, Run(self.queue.connection, 1, 0, chunk_of(frame)), self.asked)

    def snapshot(self, engine: Engine) -> None:
        """Take the reply, which overtakes what waits."""
        self.book = dict(engine.book[0]), dict(engine.book[1])
        self.known = engine.sequence
        self.in_step = True
        self.topics.activate([(self.queue.connection, self.asked, 1, self.channel)])

    def take(self, bytes_max: int) -> None:
        for body in split_frames(self.queue.take(bytes_max)):
            self.apply(msgpack.unpackb(body))

    def apply(self, update: list[object]) -> None:
        _, _, _, _, first, last, _, *rows, found = update
        assert isinstance(first, int)
        assert isinstance(last, int)
        if not self.in_step or last <= self.known:
            return
        if first > self.known + 1:
            self.in_step = False
            self.gaps += 1
            return
        self.known = last
        for side, price, quantity in self.changes(rows):
            if quantity:
                self.book[side][price] = quantity
            else:
                self.book[side].pop(price, None)
        if found is not None:
            assert found == checksum(self.book)
            self.checked += 1

    def changes(self, rows: list[object]) -> list[tuple[int, int, int]]:
        if self.channel is Channel.LEVELS:
            return [(side, row[0], row[1]) for side in (0, 1) for row in rows[side]]  # type: ignore[index]  # rows of this channel
        return [(row[1] - 1, row[3], row[4]) for row in rows[0]]  # type: ignore[index]  # rows of this channel


@pytest.mark.parametrize("channel", [Channel.LEVELS, Channel.ORDERS])
@pytest.mark.parametrize("seed", range(15))
def test_whatever_the_readers_do_they_end_with_the_engines_book(
    seed: int, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = random.Random(seed)
    monkeypatch.setattr(conflation, "RECENT_UPDATES_MAX", source.choice([1, 3, 10]))
    monkeypatch.setattr(conflation, "RECENT_BYTES_MAX", source.choice([100, 500]))
    monkeypatch.setattr(conflation, "KEPT_UPDATES_MAX", source.choice([1, 3, 10]))
    monkeypatch.setattr(conflation, "KEPT_BYTES_MAX", source.choice([100, 500]))
    monkeypatch.setattr(conflation, "LEVELS_KEPT_MAX", source.choice([5, 30, 500]))
    engine, topics = Engine(seed, prices=source.choice([4, 40])), Topics(lambda: 9)
    clients = [ConflationReader(topics, number, channel) for number in range(1, 6)]
    for client in clients:
        client.ask()
    for step in range(400):
        levels, orders = engine.batch()
        topics.publish([(1, Channel.LEVELS, levels), (1, Channel.ORDERS, orders)])
        for client in clients:
            asking = client.queue.connection in topics.asking
            if asking and source.random() < 0.5:
                client.snapshot(engine)
            elif not client.in_step and not asking:
                client.ask()
        for number, client in enumerate(clients):
            if source.random() < 0.5**number and client.queue:
                client.take(source.choice([1, 200, ALL]))
            if step % 97 == 0:
                client.in_step = False  # it asks again although nothing is missing
        topics.check()
    for client in clients:
        while client.queue or not client.in_step:
            if not client.in_step:
                client.ask()
                client.snapshot(engine)
            client.take(ALL)
        assert client.book == engine.book
        assert client.known == engine.sequence
    assert clients[0].checked  # the others may see nothing but gaps and snapshots
    topics.leave(clients[0].queue)


@pytest.mark.parametrize("seed", range(5))
def test_a_reader_of_levels_has_no_gap_within_the_bounds(seed: int) -> None:
    """However seldom it reads: conflation merges as long as few levels are concerned."""
    engine, topics = Engine(seed, prices=50), Topics(lambda: 9)
    client = ConflationReader(topics, 1, Channel.LEVELS)
    client.ask()
    client.snapshot(engine)
    for batches in (1, 10, 64, 65, 66, 300, 1, 700):
        for _ in range(batches):
            topics.publish([(1, Channel.LEVELS, engine.batch()[0])])
        client.take(ALL)
        assert client.book == engine.book
    assert (client.gaps, topics.dropped, topics.merged) == (0, 0, 4)


def level(number: int) -> bytes:
    return encode_frame(
        LevelsUpdate(0, 0, 1, number, number, number, [(number, 1, 1)], [], number)
    )  # fmt: skip


def test_when_too_many_levels_changed_the_reader_sees_a_gap() -> None:
    counts = Counts()
    backlog = LevelsBacklog(counts)
    count = conflation.LEVELS_KEPT_MAX + conflation.RECENT_UPDATES_MAX
    for number in range(1, count + 1):
        backlog.put(level(number))
    [body] = split_frames(backlog.take(1, ALL).frames)
    merged = msgpack.unpackb(body)
    assert merged[4:6] == [1, count]
    assert merged[7] == [[number, 1, 1] for number in range(count, 0, -1)]
    assert merged[8:] == [[], count]
    backlog.put(level(count + 1))
    assert backlog.take(1, ALL) == (level(count + 1), count + 2)
    assert (counts.merged, counts.dropped) == (1, 1)
    second = msgpack.unpackb(next(split_frames(backlog.take(2, ALL).frames)))
    assert second[4:6] == [2, count + 1]


def test_a_backlog_is_bounded_whatever_comes() -> None:
    backlogs: list[MarketBacklog] = [backlog_of(channel, Counts()) for channel in Channel]
    for number in range(1, 3_000):
        for backlog in backlogs:
            backlog.put(level(number % 7 + number))
    for backlog in backlogs:
        assert len(backlog._recent) <= conflation.KEPT_UPDATES_MAX
        assert backlog._bytes == sum(len(update.frames) for update in backlog._recent)
        assert backlog._bytes <= conflation.KEPT_BYTES_MAX


def test_one_huge_update_is_kept_alone_and_given_whole() -> None:
    backlog = backlog_of(Channel.ORDERS, Counts())
    huge = bytes(conflation.KEPT_BYTES_MAX + 1)
    backlog.put(b"small")
    position = backlog.put(huge)
    assert backlog.take(position, 1) == (huge, backlog.head)
