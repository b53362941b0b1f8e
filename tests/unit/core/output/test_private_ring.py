"""The private ring: streams read from anywhere are whole and in order, or Overrun says so."""

from __future__ import annotations

import random
import tracemalloc

import msgpack
import pytest

from hpe.core.output.private_ring import CHUNKS_PER_SEGMENT, Overrun, PrivateRing
from hpe.errors import InvariantViolation
from hpe.protocol.frames import encode_frame, split_frames
from hpe.protocol.reports import BalanceReport, PrivateUpdate

ALL = 1 << 40


def report(user: int, number: int) -> BalanceReport:
    return BalanceReport(
        0, 0, number, 10**9 + number, 1_700_000_000 * 10**9 + number, 3, 10**12 + user, 10**6, 0, 0
    )


def chunk(user: int, first: int, last: int) -> tuple[int, int, int, bytes]:
    reports = [report(user, number) for number in range(first, last + 1)]
    return user, first, last, encode_frame(PrivateUpdate(0, 0, user, first, last, list(reports)))


def sequences(frames: bytes, user: int, after: int) -> list[int]:
    """Check the frames against protocol.md and return the private sequences of their reports."""
    found: list[int] = []
    for body in split_frames(frames):
        kind, request_id, flags, whose, first, last, reports = msgpack.unpackb(body)
        assert (kind, request_id, flags, whose) == (123, 0, 0, user)
        assert first == after + 1 + len(found)
        assert [row[3] for row in reports] == list(range(first, last + 1))
        assert reports == msgpack.unpackb(
            msgpack.packb([msgpack.unpackb(encode_frame(report(user, row[3]))[4:])
                           for row in reports])
        )  # fmt: skip
        found += range(first, last + 1)
    return found


def test_a_stream_is_read_whole_and_from_inside_a_chunk() -> None:
    ring = PrivateRing()
    for row in (chunk(7, 1, 3), chunk(8, 1, 1), chunk(7, 4, 4), chunk(7, 5, 9)):
        ring.put(*row)
    assert ring.reports == 10
    for after in range(9):
        frames, position = ring.read(7, after, ALL)
        assert position == 9
        assert sequences(frames, 7, after) == list(range(after + 1, 10))
    assert ring.read(7, 9, ALL) == (b"", 9)
    whole = chunk(7, 1, 3)[3] + chunk(7, 4, 4)[3] + chunk(7, 5, 9)[3]
    assert ring.read(7, 0, ALL)[0] == whole  # the bytes of the core, not made again


def test_a_user_never_seen_has_an_empty_stream() -> None:
    ring = PrivateRing()
    assert (ring.last(5), ring.oldest(5), ring.read(5, 0, ALL)) == (0, 0, (b"", 0))


def test_a_restored_user_has_a_last_sequence_and_nothing_to_read_before_it() -> None:
    ring = PrivateRing()
    ring.restore(5, 40)
    assert (ring.last(5), ring.oldest(5)) == (40, 40)
    assert ring.read(5, 40, ALL) == (b"", 40)
    with pytest.raises(Overrun, match="user 5 after 39"):
        ring.read(5, 39, ALL)
    ring.put(*chunk(5, 41, 42))
    assert ring.oldest(5) == 40
    assert sequences(ring.read(5, 40, ALL)[0], 5, 40) == [41, 42]


def test_a_read_gives_about_bytes_max_and_one_chunk_at_least() -> None:
    ring = PrivateRing()
    rows = [chunk(1, number, number) for number in range(1, 21)]
    for row in rows:
        ring.put(*row)
    size = len(rows[0][3])
    assert ring.read(1, 0, 1) == (rows[0][3], 1)
    assert ring.read(1, 0, 3 * size) == (b"".join(row[3] for row in rows[:3]), 3)
    position, found = 0, 0
    while found < 20:
        frames, position = ring.read(1, position, 4 * size)
        found += len(sequences(frames, 1, found))
        assert position == found


def test_what_does_not_continue_a_stream_is_a_fault() -> None:
    ring = PrivateRing()
    ring.put(*chunk(1, 1, 2))
    with pytest.raises(InvariantViolation, match="4 follows 2"):
        ring.put(*chunk(1, 4, 4))


def test_the_longest_ago_of_all_users_is_forgotten_and_last_stays() -> None:
    ring = PrivateRing(reports_max=1_000)
    ring.put(*chunk(1, 1, 5))
    for number in range(1, 2_001):
        ring.put(*chunk(2, number, number))
    assert 1_000 <= ring.reports < 1_000 + CHUNKS_PER_SEGMENT
    assert (ring.last(1), ring.oldest(1)) == (5, 5)
    oldest = ring.oldest(2)
    assert 1_000 <= 2_000 - oldest < 1_000 + CHUNKS_PER_SEGMENT
    with pytest.raises(Overrun) as caught:
        ring.read(2, oldest - 1, ALL)
    assert caught.value.oldest == oldest
    assert sequences(ring.read(2, oldest, ALL)[0], 2, oldest) == list(range(oldest + 1, 2_001))
    ring.put(*chunk(1, 6, 6))
    assert ring.oldest(1) == 5
    ring.check()


@pytest.mark.parametrize("seed", range(12))
def test_any_mix_of_users_chunks_and_readers(seed: int) -> None:
    source = random.Random(seed)
    reports_max = source.choice([1, 50, 400])
    ring = PrivateRing(reports_max)
    lasts: dict[int, int] = {}
    order: list[int] = []  # the user of each report, in order
    positions: dict[int, int] = {}
    for _ in range(600):
        user = source.choice([1, 1, 1, 2, 3, source.randint(4, 60)])
        first = lasts.get(user, 0) + 1
        lasts[user] = first + source.choice([0, 0, 1, 7])
        ring.put(*chunk(user, first, lasts[user]))
        order += [user] * (lasts[user] - first + 1)
        reader = source.choice([1, 2, user])
        after = positions.get(reader, 0)
        kept = order[-reports_max:].count(reader)
        assert ring.last(reader) == lasts.get(reader, 0)
        assert ring.oldest(reader) <= ring.last(reader) - kept  # at least so many are there
        if after < ring.oldest(reader):
            with pytest.raises(Overrun):
                ring.read(reader, after, 200)
            after = source.randint(ring.oldest(reader), ring.last(reader))
        frames, positions[reader] = ring.read(reader, after, source.choice([1, 200, 2_000]))
        assert sequences(frames, reader, after) == list(range(after + 1, positions[reader] + 1))
        assert frames or after == ring.last(reader)
    ring.check()


def test_a_report_costs_little_more_than_its_bytes() -> None:
    """One report per chunk is the dearest case. Measured: 44 bytes beside the frame."""
    users, rounds = 250, 40
    rows = [
        chunk(user, number, number) for number in range(1, rounds + 1) for user in range(users)
    ]  # fmt: skip
    size = sum(len(row[3]) for row in rows)
    ring = PrivateRing(len(rows))
    tracemalloc.start()
    try:
        for row in rows:
            ring.put(*row)
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert ring.reports == len(rows)
    assert (used - size) / len(rows) < 60
