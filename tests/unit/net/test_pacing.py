"""Strangers come and go a few at a time."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.net.pacing import Pace, PacedListener, Turnstile


async def pass_for(pace: Pace, seconds: float) -> int:
    """Pass as often as the pace allows; give how often that was."""
    passed = 0
    with trio.move_on_after(seconds):
        while True:
            await pace.wait()
            pace.passed(trio.current_time())
            passed += 1
    return passed


async def test_a_crowd_passes_at_the_pace_and_a_burst_at_once(autojump_clock: MockClock) -> None:
    pace = Pace(per_s=10, burst=5)
    assert await pass_for(pace, 10.05) in (105, 106)
    await trio.sleep(60)
    assert await pass_for(pace, 0.001) in (5, 6), "quiet times save up a burst and no more"


async def test_nobody_waits_while_few_come(autojump_clock: MockClock) -> None:
    pace = Pace(per_s=10, burst=5)
    for _ in range(100):
        before_s = trio.current_time()
        await pace.wait()
        assert trio.current_time() == before_s
        pace.passed(before_s)
        await trio.sleep(0.11)


async def test_a_paced_listener_accepts_everybody() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    paced = PacedListener(listener, Pace(per_s=1_000, burst=1))
    async with paced:
        for _ in range(5):
            async with await trio.open_tcp_stream("127.0.0.1", port) as client:
                accepted = await paced.accept()
                await accepted.send_all(b"x")
                assert await client.receive_some(1) == b"x"
                await accepted.aclose()


async def test_a_turnstile_lets_a_few_through_per_round(nursery: trio.Nursery) -> None:
    turnstile = Turnstile(at_once=3)
    rounds = 0
    through: list[int] = []

    async def go() -> None:
        await turnstile.wait()
        through.append(rounds)

    for _ in range(12):
        nursery.start_soon(go)
    while len(through) < 12:
        await trio.lowlevel.checkpoint()
        rounds += 1
        assert rounds < 100
    for number in set(through):
        assert through.count(number) <= 3
    await turnstile.wait()
    await wait_all_tasks_blocked()
