"""Strangers come and go while clients that trade have nothing under way."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.net.limits.pacing import (
    HELD_S_MAX,
    IDLE_BURST,
    IDLE_PER_S,
    LATELY_S,
    LOGON_HELD_S_MAX,
    LOGONS_WAITING_MAX,
    Traffic,
    Turnstile,
)


def served(nursery: trio.Nursery, *args: Any, **rates: float) -> Turnstile:
    turnstile = Turnstile(*args, **rates)
    nursery.start_soon(turnstile.serve)
    return turnstile


async def pass_for(turnstile: Turnstile, seconds: float) -> int:
    """Pass as often as one may; give how often that was."""
    passed = 0
    with trio.move_on_after(seconds):
        while True:
            await turnstile.wait()
            passed += 1
            await trio.lowlevel.checkpoint()
    return passed


async def test_a_crowd_passes_at_the_pace_and_a_burst_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    turnstile = served(nursery, Traffic(), idle_per_s=10)
    assert await pass_for(turnstile, 10.05) == pytest.approx(100 + IDLE_BURST, abs=1)
    await trio.sleep(60)
    assert await pass_for(turnstile, 0.001) == IDLE_BURST, "quiet times save up a burst, no more"


async def test_nobody_waits_while_few_come(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    turnstile = served(nursery, Traffic(), idle_per_s=10)
    for _ in range(100):
        before_s = trio.current_time()
        await turnstile.wait()
        assert trio.current_time() == before_s
        await trio.sleep(0.11)


async def test_those_of_one_source_pass_in_the_order_in_which_they_came(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    turnstile = served(nursery, Traffic(), idle_per_s=10)
    through: list[int] = []

    async def go(number: int) -> None:
        await turnstile.wait()
        through.append(number)

    for number in range(10):
        nursery.start_soon(go, number)
        await wait_all_tasks_blocked()
    await trio.sleep(2)
    assert through == [*range(10)]


async def test_sources_take_turns_however_many_of_one_wait(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A logon's steps: each waits behind at most one step of each other source."""
    turnstile = served(nursery, Traffic(), idle_per_s=10)
    through: list[str] = []

    async def go(source: str) -> None:
        await turnstile.wait(source)
        through.append(source)

    for number in range(6_000):
        nursery.start_soon(go, f"crowd {number % 6}")
    await trio.sleep(1)
    for step in range(3):
        before = len(through)
        await go("newcomer")
        assert len(through) - before <= 7, step
    assert turnstile.waiting > 5_000
    nursery.cancel_scope.cancel()


async def test_a_waiter_that_gives_up_leaves_the_others_their_turns(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    turnstile = served(nursery, Traffic(), idle_per_s=1)
    for _ in range(IDLE_BURST):
        await turnstile.wait()
    through: list[str] = []

    async def go(source: str) -> None:
        await turnstile.wait(source)
        through.append(source)

    async with trio.open_nursery() as others:
        async with trio.open_nursery() as leaving:
            for source in ("a", "b", "a", "c"):
                leaving.start_soon(go, source)
                await wait_all_tasks_blocked()
            for source in ("b", "a"):
                others.start_soon(go, source)
                await wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        assert turnstile.waiting == 2
    assert sorted(through) == ["a", "b"]


async def test_requests_that_are_under_way_have_precedence(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    traffic = Traffic()
    turnstile = served(nursery, traffic, per_s=1e6, idle_per_s=1e6)
    traffic.begins()
    traffic.begins()
    await turnstile.wait()  # the first one: nobody has passed lately
    through: list[float] = []

    async def go() -> None:
        await turnstile.wait()
        through.append(trio.current_time())

    nursery.start_soon(go)
    await trio.sleep(HELD_S_MAX / 4)
    traffic.ends(1, trio.current_time())
    await wait_all_tasks_blocked()
    assert through == [], "one of two batches is still under way"
    traffic.ends(1, trio.current_time())
    await wait_all_tasks_blocked()
    assert through == [trio.current_time()]


async def test_where_somebody_trades_fewer_pass(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    traffic = Traffic()
    turnstile = served(nursery, traffic, per_s=100, idle_per_s=1_000)
    passed = 0
    for _ in range(100):
        traffic.begins()
        traffic.ends(1, trio.current_time())
        passed += await pass_for(turnstile, LATELY_S / 2)
    seconds = 100 * LATELY_S / 2
    assert passed == pytest.approx(100 * seconds, rel=0.03)
    await trio.sleep(LATELY_S)
    assert await pass_for(turnstile, seconds) == pytest.approx(1_000 * seconds, rel=0.03)


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize(("clients", "steps"), [(5_000, 2), (2_000, 4)])
async def test_a_crowd_that_comes_back_gets_in(
    nursery: trio.Nursery, autojump_clock: MockClock, loaded: bool, clients: int, steps: int
) -> None:
    """All in one moment, with a key and with TLS; each has 5 s from being accepted."""
    traffic = Traffic()
    if loaded:
        traffic.begins()
    arrivals = served(nursery, traffic)
    entrances = served(nursery, traffic, held_s_max=LOGON_HELD_S_MAX)
    longest_s = 0.0
    begin_s = trio.current_time()

    async def log_on() -> None:
        nonlocal longest_s
        accepted_s = trio.current_time()
        for _ in range(steps):
            await entrances.wait()
            await trio.sleep(0.001)  # to the client and back
        longest_s = max(longest_s, trio.current_time() - accepted_s)

    async with trio.open_nursery() as logons:
        for _ in range(clients):
            await arrivals.wait()
            await entrances.wait_few()
            logons.start_soon(log_on)
    assert longest_s < 2
    rate = 1 / LOGON_HELD_S_MAX if loaded else IDLE_PER_S
    assert trio.current_time() - begin_s < 2 * clients * steps / rate


async def test_requests_that_never_end_keep_nobody_out(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    traffic = Traffic()
    traffic.begins()
    passed = await pass_for(served(nursery, traffic), 1.0)
    assert passed == pytest.approx(1 / HELD_S_MAX, rel=0.01)


async def test_a_waiter_that_gives_up_takes_no_turn(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    turnstile = served(nursery, Traffic(), idle_per_s=1)
    for _ in range(IDLE_BURST):
        await turnstile.wait()
    begin_s = trio.current_time()
    with trio.move_on_after(0.5):
        await turnstile.wait()
    await turnstile.wait()
    assert trio.current_time() == pytest.approx(begin_s + 1)


async def test_a_crowd_that_gives_up_before_its_turn_leaves_room(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    traffic = Traffic()
    turnstile = Turnstile(traffic)
    traffic.begins()
    passed = False

    async def go_when_few() -> None:
        nonlocal passed
        await turnstile.wait_few()
        passed = True

    async with trio.open_nursery() as crowd:
        for _ in range(LOGONS_WAITING_MAX):
            crowd.start_soon(turnstile.wait)
        await wait_all_tasks_blocked()
        nursery.start_soon(go_when_few)
        await wait_all_tasks_blocked()
        assert not passed
        crowd.cancel_scope.cancel()
    nursery.start_soon(turnstile.serve)
    await wait_all_tasks_blocked()
    assert passed


async def test_an_open_turnstile_holds_nobody(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    traffic = Traffic()
    turnstile = served(nursery, traffic, per_s=1, idle_per_s=1)
    traffic.begins()
    turnstile.open()
    before_s = trio.current_time()
    for _ in range(1_000):
        await turnstile.wait()
    assert trio.current_time() == before_s


async def test_all_that_wait_pass_when_it_is_opened(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    turnstile = served(nursery, Traffic(), idle_per_s=1)
    through = 0

    async def go() -> None:
        nonlocal through
        await turnstile.wait()
        through += 1

    for _ in range(100):
        nursery.start_soon(go)
    await wait_all_tasks_blocked()
    turnstile.open()
    await trio.sleep(1.5)  # the one whose turn it is has a second to wait
    assert through == 100
