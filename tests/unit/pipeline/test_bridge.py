"""The bridge with real threads: starting, stopping, dying, and nothing stranded."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import trio

from hpe.errors import InvariantViolation
from hpe.pipeline.bridge import Outbox, Slots, hosted_thread, run_interruptible


class EchoThread:
    """A thread body that notes what it got until None comes."""

    def __init__(self) -> None:
        self.inbox: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self.got: list[int] = []
        self.ended = False

    def run(self) -> None:
        while (item := self.inbox.get()) is not None:
            self.got.append(item)
        self.ended = True

    def stop(self) -> None:
        self.inbox.put(None)


async def test_a_hosted_thread_finishes_what_it_has_before_the_context_is_left() -> None:
    echo = EchoThread()
    async with hosted_thread("echo", echo.run, echo.stop) as native_id:
        assert native_id != threading.get_native_id()
        for number in range(1_000):
            echo.inbox.put(number)
    assert echo.got == list(range(1_000))
    assert echo.ended


async def test_a_hosted_thread_is_live_named_and_placed_when_the_context_is_entered() -> None:
    echo, seen = EchoThread(), []

    @contextmanager
    def place() -> Iterator[None]:
        seen.append(threading.current_thread().name)
        yield
        seen.append("left")

    async with hosted_thread("hpe-echo", echo.run, echo.stop, place):
        assert seen == ["hpe-echo"]
    assert seen == ["hpe-echo", "left"]


async def test_cancellation_stops_the_thread_and_loses_nothing() -> None:
    echo = EchoThread()
    with trio.CancelScope() as scope:
        async with hosted_thread("echo", echo.run, echo.stop):
            for number in range(100):
                echo.inbox.put(number)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert echo.got == list(range(100))
    assert echo.ended


async def test_a_cancellation_before_the_start_neither_hangs_nor_runs_the_body() -> None:
    echo = EchoThread()
    with trio.fail_after(120), trio.CancelScope() as scope:
        scope.cancel()
        async with hosted_thread("echo", echo.run, echo.stop):
            pytest.fail("the context was entered")
    assert scope.cancelled_caught
    assert not echo.ended


async def test_an_exception_in_the_thread_cancels_the_body_and_comes_out() -> None:
    fall = threading.Event()

    def body() -> None:
        fall.wait()
        raise RuntimeError("the thread fell")

    async def use() -> None:
        async with hosted_thread("falling", body, fall.set):
            fall.set()
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught, trio.fail_after(120):
        await use()
    assert caught.group_contains(RuntimeError, match="the thread fell")


async def test_a_thread_that_ends_unasked_is_a_fault() -> None:
    with pytest.raises(ExceptionGroup) as caught, trio.fail_after(120):
        async with hosted_thread("short", lambda: None, lambda: None):
            await trio.sleep_forever()
    assert caught.group_contains(InvariantViolation, match="thread short ended")


async def test_nested_threads_stop_inner_first_also_when_the_inner_one_dies() -> None:
    order: list[str] = []
    outer, inner_stop = EchoThread(), threading.Event()

    def inner() -> None:
        inner_stop.wait()
        order.append("inner")
        raise RuntimeError("inner")

    def outer_run() -> None:
        outer.run()
        order.append("outer")

    async def use() -> None:
        async with (
            hosted_thread("outer", outer_run, outer.stop),
            hosted_thread("inner", inner, inner_stop.set),
        ):
            inner_stop.set()
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup), trio.fail_after(120):
        await use()
    assert order == ["inner", "outer"]


async def test_every_item_put_from_a_thread_arrives_in_order() -> None:
    count = 50_000
    outbox = Outbox[int]()
    got: list[int] = []

    def body() -> None:
        for number in range(count):
            outbox.put(number)
        done.wait()

    done = threading.Event()
    with trio.fail_after(120):
        async with hosted_thread("producer", body, done.set):
            while len(got) < count:
                got += await outbox.take()
    assert got == list(range(count))
    assert outbox.take_nowait() == []


async def test_one_ring_serves_all_items_that_wait() -> None:
    outbox = Outbox[int]()
    for number in range(5):
        outbox.put(number)
    assert await outbox.take() == [0, 1, 2, 3, 4]
    with trio.move_on_after(0) as scope:
        await outbox.take()
    assert scope.cancelled_caught, "the bell rang again although nothing was put"


async def test_a_late_ring_is_harmless_when_the_reader_has_gone() -> None:
    outbox = Outbox[int]()
    outbox.put(1)
    with trio.move_on_after(0):
        await outbox.take()
    await trio.testing.wait_all_tasks_blocked()
    outbox.put(2)
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(outbox.take_nowait()) == [1, 2]


async def test_slots_bound_what_is_outstanding_and_ring_only_when_asked() -> None:
    rings: list[int] = []
    slots = Slots(2, lambda: rings.append(1))
    assert slots.take()
    slots.free()
    await trio.testing.wait_all_tasks_blocked()
    assert rings == [], "nobody waited"
    assert slots.take()
    assert slots.take()
    assert not slots.take()
    assert slots.outstanding == 2
    slots.free()
    await trio.testing.wait_all_tasks_blocked()
    assert rings == [1]
    slots.free()
    await trio.testing.wait_all_tasks_blocked()
    assert rings == [1], "one wish, one ring"
    assert slots.take()


async def test_an_interruptible_job_gives_its_result_or_its_own_exception() -> None:
    def fail(*, stop: Callable[[], bool]) -> int:
        raise ValueError("bad")

    assert await run_interruptible("job", lambda *, stop: 7) == 7
    with pytest.raises(ValueError, match="bad"):
        await run_interruptible("job", fail)


async def test_cancelling_an_interruptible_job_asks_it_to_stop_and_waits() -> None:
    began, ended = threading.Event(), threading.Event()

    def work(*, stop: Callable[[], bool]) -> None:
        began.set()
        while not stop():
            ended.wait(0.001)
        ended.set()
        raise RuntimeError("stopped")

    with trio.fail_after(120), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_interruptible, "job", work)
            await trio.to_thread.run_sync(began.wait)
            scope.cancel()
    assert ended.is_set()
    assert scope.cancelled_caught
