"""The timer wheel checks a timer after its deadline has passed, and only then."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from hpe.net.limits.timer_wheel import Timer, TimerWheel

GRANULARITY_S = 0.1


class CountingWheel(TimerWheel):
    """Counts how often its task woke up."""

    def __init__(self, granularity_s: float) -> None:
        super().__init__(granularity_s)
        self.wakes = 0

    def _look_at_due(self, now_s: float) -> None:
        self.wakes += 1
        super()._look_at_due(now_s)


@pytest.fixture
async def timer_wheel(nursery: trio.Nursery) -> CountingWheel:
    made = CountingWheel(GRANULARITY_S)
    nursery.start_soon(made.serve)
    await trio.testing.wait_all_tasks_blocked()
    return made


class Looker:
    """Notes when it was looked at, and says what it was told to say."""

    def __init__(self, answers: list[float | None]) -> None:
        self.answers = answers
        self.looked_s: list[float] = []

    def __call__(self, now_s: float) -> float | None:
        self.looked_s.append(now_s)
        return self.answers.pop(0)


def on_time(looker: Looker, *deadlines_s: float) -> bool:
    return len(looker.looked_s) == len(deadlines_s) and all(
        deadline_s <= looked_s < deadline_s + GRANULARITY_S + 1e-9
        for looked_s, deadline_s in zip(looker.looked_s, deadlines_s, strict=True)
    )


async def test_a_timer_is_checked_until_it_has_no_deadline(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    start_s = trio.current_time()
    looker = Looker([start_s + 3.33, start_s + 20, None])
    timer_wheel.schedule(looker, start_s + 1.07)
    await trio.sleep(100)
    assert on_time(looker, start_s + 1.07, start_s + 3.33, start_s + 20)
    assert len(timer_wheel) == 0


async def test_timers_of_one_slot_are_looked_at_in_order(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    seen: list[int] = []
    due_s = trio.current_time() + 5

    def looker(number: int) -> Callable[[float], None]:
        return lambda _now_s: seen.append(number)

    for number in range(20):
        timer_wheel.schedule(looker(number), due_s)
    await trio.sleep(6)
    assert seen == list(range(20))


async def test_sooner_moves_forward_and_later_changes_nothing(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    start_s = trio.current_time()
    moved, kept = Looker([None]), Looker([None])
    timer_wheel.schedule(moved, start_s + 50).sooner(start_s + 2)
    timer_wheel.schedule(kept, start_s + 4).sooner(start_s + 50)
    await trio.sleep(10)
    assert on_time(moved, start_s + 2)
    assert on_time(kept, start_s + 4)
    assert len(timer_wheel) == 0


async def test_a_cancelled_timer_is_not_looked_at(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    looker = Looker([])
    timer = timer_wheel.schedule(looker, trio.current_time() + 1)
    timer.cancel()
    timer.cancel()
    timer.sooner(trio.current_time())
    assert len(timer_wheel) == 0
    await trio.sleep(5)
    assert looker.looked_s == []


async def test_a_look_may_cancel_its_neighbor_and_itself(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    timers: list[Timer] = []

    def look(now_s: float) -> float:
        for timer in timers:
            timer.cancel()
        return now_s + 1

    neighbor = Looker([])
    due_s = trio.current_time() + 1
    timers += [timer_wheel.schedule(look, due_s), timer_wheel.schedule(neighbor, due_s)]
    await trio.sleep(10)
    assert neighbor.looked_s == []
    assert len(timer_wheel) == 0


async def test_a_look_may_schedule_what_is_due_already(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    late = Looker([None])
    start_s = trio.current_time()

    def look(now_s: float) -> None:
        timer_wheel.schedule(late, now_s - 1)

    timer_wheel.schedule(look, start_s + 1)
    await trio.sleep(2)
    assert on_time(late, start_s + 1)


async def test_a_look_may_move_its_neighbors_in_the_slot(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    """A timer canceled in the middle of a slot is not checked; one put there is, once."""
    start_s = trio.current_time()
    first, second, third = Looker([None]), Looker([]), Looker([None])

    def look(now_s: float) -> None:
        timers[0].cancel()
        timer_wheel.schedule(third, start_s + 1)

    timer_wheel.schedule(first, start_s + 1)
    timer_wheel.schedule(look, start_s + 1)
    timers = [timer_wheel.schedule(second, start_s + 1)]
    await trio.sleep(3)
    assert on_time(first, start_s + 1)
    assert second.looked_s == []
    assert on_time(third, start_s + 1)
    assert len(timer_wheel) == 0


def looking_s(slots: int) -> float:
    """Return the processor time of 40,000 looks in this many slots, the best of three."""
    taken_s = []
    for _ in range(3):
        timer_wheel = TimerWheel(GRANULARITY_S)
        for number in range(40_000):
            timer_wheel.schedule(lambda _now_s: None, (1 + number % slots) * GRANULARITY_S)
        begin_s = time.thread_time()
        timer_wheel._look_at_due(1_000)
        taken_s.append(time.thread_time() - begin_s)
        assert len(timer_wheel) == 0
    return min(taken_s)


async def test_a_crowd_in_one_slot_costs_no_more_per_timer_than_one_spread_out() -> None:
    """Everybody who logged on in the same moment: the loop must not stand still for them."""
    assert looking_s(slots=1) < 5 * looking_s(slots=400)


async def test_a_passed_deadline_is_looked_at_once_per_slot(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    start_s = trio.current_time()
    looker = Looker([start_s] * 4 + [None])
    timer_wheel.schedule(looker, start_s)
    await trio.sleep(10)
    assert len(looker.looked_s) == 5
    assert looker.looked_s[-1] <= start_s + 5 * GRANULARITY_S + 1e-9


async def test_it_sleeps_while_nothing_is_due(
    timer_wheel: CountingWheel, autojump_clock: MockClock
) -> None:
    """10,000 quiet connections: one look each per interval, one wake-up per slot that has any."""
    looks = 0

    def look(now_s: float) -> float:
        nonlocal looks
        looks += 1
        return now_s + 15

    start_s = trio.current_time()
    for number in range(10_000):
        timer_wheel.schedule(look, start_s + 15 + number % 40 * GRANULARITY_S)
    await trio.sleep(29)
    assert looks == 10_000
    assert timer_wheel.wakes <= 42
    assert len(timer_wheel) == 10_000


async def test_an_ended_timer_lets_go_of_its_owner(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    """Cyclic garbage collection is off in the service."""

    class TimerOwner:
        def __init__(self, deadline_s: float) -> None:
            self.timer = timer_wheel.schedule(self.look, deadline_s)

        def look(self, _now_s: float) -> float | None:
            return None

    gc.disable()
    try:
        cancelled, ended = TimerOwner(trio.current_time() + 5), TimerOwner(trio.current_time() + 1)
        cancelled.timer.cancel()
        await trio.sleep(2)
        references = weakref.ref(cancelled), weakref.ref(ended)
        del cancelled, ended
        assert [reference() for reference in references] == [None, None]
    finally:
        gc.enable()
