"""What waits for one client: order of the lanes, bounds of a send, credits, last frames."""

from __future__ import annotations

import msgspec
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from hpe.core.output.private_ring import Overrun, PrivateRing
from hpe.net.limits.credits import CreditPool
from hpe.net.send_queue import TAKE_BYTES, USERS_AT_ONCE, Parcel, SendQueue
from hpe.protocol.frames import encode_frame, split_frames
from hpe.protocol.reports import BalanceReport, PrivateUpdate

UPDATES = msgspec.msgpack.Decoder(PrivateUpdate)
CREDITS_BYTES = 30


class DrivenQueue:
    """A send queue and the ring that it reads."""

    def __init__(self, reports_max: int = 1_000) -> None:
        self.ring = PrivateRing(reports_max)
        self.pool = CreditPool(1_000)
        self.send_queue = SendQueue(3, self.ring, self.pool)

    def report(self, user: int, count: int = 1) -> None:
        first = self.ring.last(user) + 1
        last = first + count - 1
        rows = [BalanceReport(0, 0, n, n, 5, 1, 100, 0, 0, 0) for n in range(first, last + 1)]
        self.ring.put(user, first, last, encode_frame(PrivateUpdate(0, 0, user, first, last, rows)))
        if user in self.send_queue.followed:
            self.send_queue.notice(user)

    def take_all(self) -> list[Parcel]:
        parcels = []
        while (parcel := self.send_queue.take()) is not None:
            parcels.append(parcel)
        return parcels


@pytest.fixture
def desk() -> DrivenQueue:
    return DrivenQueue()


def ranges(data: bytes) -> list[tuple[int, int, int]]:
    """Return (user, first, last) of private updates."""
    updates = [UPDATES.decode(body) for body in split_frames(data)]
    for update in updates:
        sequences = [report.private_sequence for report in update.reports]
        assert sequences == list(range(update.first, update.last + 1))
    return [(update.user, update.first, update.last) for update in updates]


def test_replies_leave_in_order_with_their_credits(desk: DrivenQueue) -> None:
    desk.send_queue.put(b"one", 2, 20)
    assert desk.send_queue.take() == (b"one", 2, 20, True)
    for number, frames in enumerate((b"a", b"", b"c"), 1):
        desk.send_queue.put(frames, number, 10 * number)
    assert desk.send_queue.take() == (b"ac", 6, 60, True)
    assert desk.send_queue.take() is None
    assert desk.send_queue.reply_bytes == desk.pool.reply_bytes == 0


def test_one_send_carries_a_bounded_part_of_the_replies(desk: DrivenQueue) -> None:
    pieces = [bytes([number]) * 100_000 for number in range(7)]
    for piece in pieces:
        desk.send_queue.put(piece, 1, 1)
    parcels = desk.take_all()
    assert [len(parcel.data) for parcel in parcels] == [300_000, 300_000, 100_000]
    assert b"".join(parcel.data for parcel in parcels) == b"".join(pieces)
    assert sum(parcel.frames for parcel in parcels) == 7


def test_reports_follow_replies_from_where_the_stream_begins(desk: DrivenQueue) -> None:
    desk.report(7, 5)
    desk.send_queue.follow(7, 2)
    desk.send_queue.put(b"", 1, 1)
    (parcel,) = desk.take_all()
    assert ranges(parcel.data) == [(7, 3, 5)]
    desk.report(7)
    desk.report(8)  # nobody follows
    desk.report(7, 2)
    (parcel,) = desk.take_all()
    assert ranges(parcel.data) == [(7, 6, 6), (7, 7, 8)]
    assert desk.send_queue.followed == {7: 8}


def test_a_stream_that_ended_gives_nothing_more(desk: DrivenQueue) -> None:
    desk.send_queue.follow(7, 0)
    desk.report(7)
    desk.send_queue.unfollow(7)
    assert desk.take_all() == []
    assert not desk.send_queue.private_waits


def test_users_take_turns_when_more_waits_than_one_send_carries() -> None:
    desk = DrivenQueue(100_000)
    users = (1, 2, 3)
    for user in users:
        for _ in range(20):
            desk.report(user, 1_000)
        desk.send_queue.follow(user, 0)
    firsts: list[int] = []
    seen = dict.fromkeys(users, 0)
    parcels = desk.take_all()
    assert len(parcels) > 3
    for parcel in parcels:
        assert len(parcel.data) < 2 * TAKE_BYTES
        for user, first, last in ranges(parcel.data):
            assert first == seen[user] + 1, "none missing, none twice"
            seen[user] = last
        firsts.append(ranges(parcel.data)[0][0])
    assert seen == dict.fromkeys(users, 20_000)
    assert len(set(firsts[:3])) == 3


def test_a_send_looks_at_a_bounded_number_of_streams(desk: DrivenQueue) -> None:
    users = range(1, 2 * USERS_AT_ONCE + 2)
    for user in users:
        desk.send_queue.follow(user, 0)  # nothing has happened yet
    desk.report(users[-1])
    parcels = desk.take_all()
    assert [parcel.data for parcel in parcels[:2]] == [b"", b""]
    assert [ranges(parcel.data) for parcel in parcels[2:]] == [[(users[-1], 1, 1)]]


def test_a_position_that_the_ring_lost_is_an_overrun_and_loses_no_credits() -> None:
    desk = DrivenQueue(reports_max=10)
    desk.report(7)
    desk.send_queue.follow(7, 0)
    for _ in range(1_000):
        desk.report(7)
    desk.send_queue.put(b"reply", 1, CREDITS_BYTES)
    with pytest.raises(Overrun):
        desk.send_queue.take()
    assert desk.send_queue.discard() == (1, CREDITS_BYTES)
    desk.send_queue.seal(b"sorry")
    assert desk.take_all() == [(b"sorry", 0, 0, True)]


def test_the_last_frames_come_last_and_only_credits_after_them(desk: DrivenQueue) -> None:
    desk.send_queue.follow(7, 0)
    desk.report(7)
    desk.send_queue.put(b"reply", 1, CREDITS_BYTES)
    desk.send_queue.seal(b"last")
    desk.send_queue.seal(b"again")
    desk.send_queue.put(b"late", 2, CREDITS_BYTES)
    desk.report(7)
    parcels = desk.take_all()
    data = b"".join(parcel.data for parcel in parcels)
    assert data.startswith(b"reply")
    assert data.endswith(b"last")
    assert b"late" not in data
    assert b"again" not in data
    assert sum(parcel.frames for parcel in parcels) == 3
    assert desk.send_queue.sealed
    assert not desk.send_queue.private_waits


def test_nothing_newer_follows_the_last_frames() -> None:
    desk = DrivenQueue(100_000)
    for _ in range(30):
        desk.report(7, 1_000)
    desk.send_queue.follow(7, 0)
    desk.send_queue.take()
    desk.send_queue.seal(b"")
    given: list[tuple[int, int, int]] = []
    while (parcel := desk.send_queue.take()) is not None:
        given += ranges(parcel.data)
        desk.report(7, 1_000)
    assert desk.ring.last(7) > given[-1][2] == 30_000
    assert not desk.send_queue.private_waits


def test_discarding_gives_the_credits_of_everything_that_waits(desk: DrivenQueue) -> None:
    desk.send_queue.follow(7, 0)
    desk.report(7)
    for _ in range(3):
        desk.send_queue.put(b"reply", 2, CREDITS_BYTES)
    assert desk.send_queue.discard() == (6, 3 * CREDITS_BYTES)
    assert desk.send_queue.discard() == (0, 0)
    assert desk.take_all() == []
    assert desk.send_queue.reply_bytes == desk.pool.reply_bytes == 0


async def test_the_bell_rings_for_everything_that_comes(
    desk: DrivenQueue, nursery: trio.Nursery
) -> None:
    desk.send_queue.follow(7, 0)
    desk.take_all()
    calls = [
        lambda: desk.send_queue.put(b"x", 0, 0),
        lambda: desk.report(7),
        lambda: desk.send_queue.follow(8, 0),
        lambda: desk.send_queue.seal(b"end"),
    ]
    for call in calls:
        nursery.start_soon(desk.send_queue.wait)
        await wait_all_tasks_blocked()
        assert desk.send_queue.idle
        call()
        await wait_all_tasks_blocked()
        assert not desk.send_queue.idle
        assert not nursery.child_tasks


def test_what_the_kernel_did_not_take_comes_first_again(desk: DrivenQueue) -> None:
    desk.send_queue.put(b"first", 1, CREDITS_BYTES)
    parcel = desk.send_queue.take()
    assert parcel is not None
    assert not desk.send_queue.waits
    desk.send_queue.put_back(parcel, 2)
    desk.send_queue.put(b"second", 1, CREDITS_BYTES)
    assert desk.send_queue.waits
    assert desk.send_queue.private_waits
    assert desk.send_queue.take() == (b"rst", 1, CREDITS_BYTES, True)
    assert desk.send_queue.left == 0  # it is on its way
    assert desk.send_queue.take() == (b"second", 1, CREDITS_BYTES, True)
    assert desk.send_queue.left == 1
    assert desk.send_queue.take() is None
    assert desk.send_queue.left == 2


def test_what_the_kernel_did_not_take_keeps_its_credits(desk: DrivenQueue) -> None:
    desk.send_queue.put(b"first", 3, CREDITS_BYTES)
    parcel = desk.send_queue.take()
    assert parcel is not None
    desk.send_queue.put_back(parcel, 2)
    desk.send_queue.put(b"second", 1, 10)
    assert desk.send_queue.discard() == (4, CREDITS_BYTES + 10)
    assert desk.send_queue.take() is None


async def test_what_is_added_lets_the_writer_sleep(
    desk: DrivenQueue, nursery: trio.Nursery
) -> None:
    nursery.start_soon(desk.send_queue.wait)
    await wait_all_tasks_blocked()
    desk.send_queue.add(b"one", 1, 1)
    assert desk.send_queue.idle
    desk.send_queue.ring()
    assert not desk.send_queue.idle
    assert desk.send_queue.take() == (b"one", 1, 1, True)
