"""Between matcher and log: a bound in bytes, an age, and no wait without an end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hpe.core.contract import Output
from hpe.pipeline.log_inbox import OUTPUT_BYTES, LogInbox, held_bytes
from tests.support.listed import Listed, Progress, packed

PATIENCE_S = 120


def given(size: int) -> Output:
    return packed(Listed(body=bytes(size - OUTPUT_BYTES)))


class DrivenInbox:
    """An inbox for 1,000 bytes, a clock set by hand, and a matcher in a thread."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.inbox = LogInbox(1_000, steady_s=lambda: self.now_s)
        self.passed: queue.SimpleQueue[int] = queue.SimpleQueue()

    @contextmanager
    def putting(self, *sizes: int) -> Iterator[None]:
        def put() -> None:
            for size in sizes:
                self.inbox.put(given(size))
                self.passed.put(size)

        thread = threading.Thread(target=put, daemon=True)
        thread.start()
        yield
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "it still waits"

    def take_passed(self, count: int) -> list[int]:
        return [self.passed.get(timeout=PATIENCE_S) for _ in range(count)]

    def wait_until_it_waits(self, times: int = 1) -> None:
        deadline = threading.Event()
        for _ in range(20_000):
            if self.inbox.waits == times and self.inbox._waiting:
                return
            deadline.wait(0.001)
        raise AssertionError("the matcher never waited")


@pytest.fixture
def bench() -> DrivenInbox:
    return DrivenInbox()


def test_everything_that_an_output_carries_counts() -> None:
    rows = [(1, b"12")], [(7, 1, 1, b"123")], [(1, 2, b"1234")]
    lists = Listed(*rows, b"12345", 0, 0, [1], [(1, 5, 1, 2)], [Progress(1, 5, 0, 0)])
    output = packed(lists._replace(weights=[(1, 1, 9)]))
    assert held_bytes(output) == OUTPUT_BYTES + 14 + 8 * (5 + 5 + 4 + 1 + 4 + 4)


def test_what_fits_is_given_at_once_and_comes_out_in_order(bench: DrivenInbox) -> None:
    for size in (300, 301, 302):
        bench.inbox.put(given(size))
    assert (bench.inbox.bytes, bench.inbox.waits) == (903, 0)
    taken = [bench.inbox.get(timeout=None), bench.inbox.get_nowait(), bench.inbox.get_nowait()]
    assert taken == [given(300), given(301), given(302)]
    with pytest.raises(queue.Empty):
        bench.inbox.get_nowait()
    with pytest.raises(queue.Empty):
        bench.inbox.get(timeout=0.001)


def test_one_always_passes_when_none_waits_and_the_next_does_not(bench: DrivenInbox) -> None:
    with bench.putting(5_000, 300, 300):
        assert bench.take_passed(1) == [5_000]
        bench.wait_until_it_waits()
        assert bench.inbox.bytes == 5_000
        bench.inbox.get_nowait()  # the log writes it: none waits, so one more passes
        assert bench.take_passed(1) == [300]
        bench.wait_until_it_waits(2)
        assert bench.inbox.bytes == 5_300, "what is being written still counts"
        bench.inbox.published(1)
        assert bench.take_passed(1) == [300]
    assert bench.inbox.bytes_peak == 5_300


@pytest.mark.parametrize("size", [300, 900])
def test_room_comes_with_what_is_published(bench: DrivenInbox, size: int) -> None:
    with bench.putting(600, 400, size):
        assert bench.take_passed(2) == [600, 400]
        bench.wait_until_it_waits()
        bench.inbox.get_nowait()
        assert bench.passed.empty(), "taken is not written"
        bench.inbox.published(1)
        if size > 600:
            assert bench.passed.empty()
            bench.inbox.get_nowait()
        assert bench.take_passed(1) == [size]


def test_the_wait_ends_with_the_log(bench: DrivenInbox) -> None:
    with bench.putting(1_000, 1_000, 1_000):
        assert bench.take_passed(1) == [1_000]
        bench.wait_until_it_waits()
        bench.inbox.close()
        assert bench.take_passed(2) == [1_000, 1_000]


def test_the_stop_comes_behind_everything_and_never_waits(bench: DrivenInbox) -> None:
    bench.inbox.put(given(5_000))
    bench.inbox.stop()
    assert bench.inbox.get(timeout=None) == given(5_000)
    assert bench.inbox.get(timeout=None) is None


def test_the_age_is_that_of_the_oldest_that_is_not_published(bench: DrivenInbox) -> None:
    inbox = bench.inbox
    assert inbox.unsynced_s() == 0
    for bench.now_s in (10.0, 11.0):
        inbox.put(given(300))
    bench.now_s = 12.0
    assert inbox.unsynced_s() == 2.0
    inbox.get_nowait()
    assert inbox.unsynced_s() == 2.0, "taken is not written"
    inbox.published(1)
    assert inbox.unsynced_s() == 1.0
    inbox.published(1)
    assert inbox.unsynced_s() == 0


def test_no_wake_up_is_lost(bench: DrivenInbox) -> None:
    """Two threads that run into each other at every step: neither may stay behind."""
    rounds = 20_000
    with bench.putting(*[600] * rounds):
        for _ in range(rounds):
            assert bench.inbox.get(timeout=PATIENCE_S) is not None
            bench.inbox.published(1)
    assert bench.inbox.waits > 0
    assert bench.inbox.bytes == 0
