"""Waiting requests: for how long, for what room, and which are answered busy."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.core.contract import SYSTEM_CONNECTION, Run
from hpe.pipeline.backlog import COST_KEPT_S, COST_S_FIRST
from hpe.pipeline.sequencing import (
    ADMITTED_SHARE,
    BATCHES_OUTSTANDING_MAX,
    READ_SHARE,
)
from hpe.protocol.base import Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.frames import chunk_of, frame
from hpe.protocol.internal import SessionClosed
from tests.support.sequencer_bench import (
    BUSY,
    CANCEL,
    MASS_CANCEL,
    MONEY,
    OCO,
    ORDER,
    PATIENCE,
    QUERY,
    REPLACE,
    SMALL,
    DrivenSequencer,
    run_of,
)


@pytest.mark.parametrize(
    ("waited_s", "admits"),
    [
        (0.0, [0]),
        (0.019, [0]),
        (0.021, [BUSY, 0, BUSY, 0, BUSY]),
        (0.201, [BUSY, 0, BUSY, 0, BUSY]),
    ],
)
async def test_what_waited_too_long_behind_others_is_busy(
    autojump_clock: MockClock, small: DrivenSequencer, waited_s: float, admits: list[int]
) -> None:
    await have_more_than_a_batch_wait(small)
    small.offer(run_of(1, ORDER, MONEY, REPLACE, QUERY, OCO))
    await trio.sleep(waited_s)
    works = await small.take_all()
    assert [run.admit for work in works for run in work.runs if run.connection == 1] == admits
    mine = [run for work in works for run in work.runs if run.connection == 1]
    assert sum(run.chunk.count for run in mine) == 5
    assert small.stage.busy == admits.count(BUSY)


async def have_more_than_a_batch_wait(bench: DrivenSequencer) -> None:
    """Have the matcher work, and thirty connections wait with five frames each."""
    for number in range(60, 60 + BATCHES_OUTSTANDING_MAX):
        bench.offer(run_of(number, MONEY))
        await wait_all_tasks_blocked()
    for number in range(62, 92):
        bench.offer(run_of(number, *[MONEY] * 5))
    assert bench.sequencer.frames_waiting > SMALL.commands


@pytest.mark.parametrize("request_", [ORDER, REPLACE, OCO, CANCEL])
async def test_a_lone_client_on_a_busy_machine_is_never_refused_as_busy(
    autojump_clock: MockClock, small: DrivenSequencer, request_: Request
) -> None:
    for number in range(60, 60 + BATCHES_OUTSTANDING_MAX):
        small.offer(run_of(number, MONEY))
        await wait_all_tasks_blocked()
    for number in range(70, 90):  # a batch and no more
        small.offer(run_of(number, *[MONEY] * 5))
    assert small.sequencer.frames_waiting == SMALL.commands
    small.offer(run_of(1, request_))
    await trio.sleep(5.0)
    await small.take_all()
    assert small.stage.busy == 0


async def test_a_client_that_sends_little_waits_only_behind_its_like(
    autojump_clock: MockClock, small: DrivenSequencer
) -> None:
    pile_up(small, 2, 1_000)
    small.offer(run_of(9, ORDER))
    await trio.sleep(0.1)
    works = await small.take_all()
    assert [run.admit for work in works for run in work.runs if run.connection == 9] == [0]


@pytest.mark.parametrize("cancel", [CANCEL, MASS_CANCEL])
@pytest.mark.parametrize(("waited_s", "admit"), [(0.150, 0), (0.250, BUSY)])
async def test_cancels_may_wait_longer(
    autojump_clock: MockClock, small: DrivenSequencer, waited_s: float, admit: int, cancel: Request
) -> None:
    await have_more_than_a_batch_wait(small)
    small.offer(run_of(1, cancel, *[MONEY] * 4))
    small.offer(run_of(2, MONEY))
    small.offer(run_of(SYSTEM_CONNECTION, SessionClosed(1, 1, 1)), key=2)
    await trio.sleep(waited_s)
    works = await small.take_all()
    rows = [(run.connection, run.admit) for work in works for run in work.runs]
    assert [row[1] for row in rows if row[0] == 1] == ([BUSY, 0] if admit else [0])
    assert [row for row in rows if row[0] in (2, SYSTEM_CONNECTION)] == [
        (2, 0),
        (SYSTEM_CONNECTION, 0),
    ]


@pytest.mark.parametrize(
    ("unsynced_s", "admits"), [(0.020, [0]), (0.021, [BUSY, 0, BUSY, 0, BUSY])]
)
async def test_orders_are_marked_while_the_log_stands_still(
    autojump_clock: MockClock, bench: DrivenSequencer, unsynced_s: float, admits: list[int]
) -> None:
    bench.unsynced_s = unsynced_s
    bench.offer(run_of(1, ORDER, MONEY, REPLACE, CANCEL, QUERY, MASS_CANCEL, OCO))
    bench.unsynced_s = 0.0
    assert [run.admit for work in await bench.take_all() for run in work.runs] == admits
    assert bench.stage.busy == admits.count(BUSY)


async def test_orders_that_waited_until_the_log_stood_still_are_marked(
    bench: DrivenSequencer,
) -> None:
    for number in range(BATCHES_OUTSTANDING_MAX):
        bench.offer(run_of(90 + number, MONEY))
        await wait_all_tasks_blocked()
    bench.offer(run_of(1, ORDER, CANCEL))
    bench.offer(run_of(SYSTEM_CONNECTION, SessionClosed(1, 1, 1)), key=2)
    bench.unsynced_s = 1.0
    works = await bench.take_all()
    assert [run.admit for run in works[-1].runs] == [BUSY, 0, 0]


CROWD = int(ADMITTED_SHARE * PATIENCE.orders_s / COST_S_FIRST) + 1
"""Orders that take longer than new ones may wait for them."""


def pile_up(bench: DrivenSequencer, connections: int, frames: int) -> None:
    """Make connections from 1 on send this many orders each."""
    for connection in range(1, connections + 1):
        for _ in range(frames // 50):
            bench.offer(run_of(connection, *[ORDER] * 50))


async def test_orders_that_would_wait_too_long_are_refused_when_they_come(
    small: DrivenSequencer, autojump_clock: MockClock
) -> None:
    pile_up(small, 8, 100)
    assert small.stage.backlog.accepted > CROWD
    assert small.stage.busy == 0, "no one was before them"
    small.offer(run_of(9, *[ORDER] * 100, CANCEL, MONEY, QUERY))
    assert small.stage.busy == 100, "not the cancel, not what has no deadline"
    small.offer(run_of(10, ORDER))
    assert small.stage.busy == 100, "who sends little gets a turn before those who pile up"
    admits: dict[int, list[int]] = {}
    for work in await small.take_all():
        for run in work.runs:
            admits.setdefault(run.connection, []).extend([run.admit] * run.chunk.count)
    assert admits[9] == [ErrorCode.BUSY] * 100 + [0] * 3
    assert admits[10] == [0]
    assert all(not any(admits[number]) for number in range(1, 9))


async def test_a_connection_with_enough_waiting_is_not_read(
    nursery: trio.Nursery, small: DrivenSequencer, autojump_clock: MockClock
) -> None:
    sequencer, read_on = small.sequencer, []

    async def read(connection: int) -> None:
        await sequencer.wait_room(connection)
        read_on.append(connection)

    pile_up(small, 2, 1_000)
    assert not sequencer.has_room(1)
    assert not sequencer.has_room(2)
    assert sequencer.has_room(3), "who has nothing waiting is always read"
    for connection in (1, 2):
        nursery.start_soon(read, connection)
    room = 2 * READ_SHARE * PATIENCE.orders_s / COST_S_FIRST
    while not read_on:
        before = sequencer.frames_waiting
        await small.take()
    await wait_all_tasks_blocked()
    assert read_on[0] in (1, 2)
    assert before > room / 2, "as soon as there is room, not when all is through"
    await small.take_all()
    assert sorted(read_on) == [1, 2]


async def test_all_others_get_turns_between_light_senders_and_refusals(
    bench: DrivenSequencer, autojump_clock: MockClock
) -> None:
    waiting = range(20, 23)
    for connection in waiting:
        bench.offer(run_of(connection, *[ORDER] * 200))
    answered: dict[int, int] = {}
    back = {*range(100, 500), *range(1, 9)}
    for _ in range(40):
        for connection in back - {*waiting}:  # each again as soon as it has its answers
            if connection >= 100:
                bench.offer(run_of(connection, *[MONEY] * 8))
            else:  # a flood that is refused already
                for _ in range(4):
                    bench.offer(run_of(connection, *[ORDER] * 256, admit=ErrorCode.BUSY))
        runs = (await bench.take()).runs
        back = {run.connection for run in runs}
        for run in runs:
            answered[run.connection] = answered.get(run.connection, 0) + run.chunk.count
    assert [answered.get(connection) for connection in waiting] == [200, 200, 200]


async def test_large_requests_of_light_senders_leave_room_for_others(
    bench: DrivenSequencer, autojump_clock: MockClock
) -> None:
    large = frame(bytes(2_044)) * 16  # eight of them fill a batch
    waiting = (20, 21)
    bench.offer(run_of(20, *[MONEY] * 200))
    bench.offer(run_of(21, *[ORDER] * 200, admit=ErrorCode.BUSY))
    answered = dict.fromkeys(waiting, 0)
    back = {*range(100, 130)}
    for _ in range(10):
        for connection in back:
            bench.offer(Run(connection, connection, 0, chunk_of(large)))
        runs = (await bench.take()).runs
        back = {run.connection for run in runs} - {*waiting}
        for run in runs:
            if run.connection in answered:
                answered[run.connection] += run.chunk.count
    assert answered == {20: 200, 21: 200}


async def test_what_is_refused_counts_in_what_others_have_to_wait(
    small: DrivenSequencer, autojump_clock: MockClock
) -> None:
    """Half of a batch is for refusals: with as many of them all takes twice as long."""
    orders = CROWD * 2 // 3
    for connection in (1, 2):
        small.offer(run_of(connection, *[MONEY] * (orders // 2)))
    for connection in (3, 4):
        small.offer(run_of(connection, *[ORDER] * 2 * orders, admit=ErrorCode.BUSY))
    small.offer(run_of(5, *[ORDER] * 100))
    assert small.stage.busy == 100


async def test_a_reader_that_gives_up_waiting_for_room_is_forgotten(
    small: DrivenSequencer, autojump_clock: MockClock
) -> None:
    for _ in range(30):
        small.offer(run_of(1, *[MONEY] * 50))
    await wait_all_tasks_blocked()
    with trio.move_on_after(0.001) as scope:
        await small.sequencer.wait_room(1)
    assert scope.cancelled_caught
    await small.take_all()
    assert not small.sequencer._held


async def test_the_cost_of_a_frame_is_measured_while_the_matcher_works(
    small: DrivenSequencer, autojump_clock: MockClock
) -> None:
    cost = small.stage._cost
    for number in range(80):
        small.offer(run_of(1 + number % 3, *[MONEY] * 100))
    while small.sequencer.frames_waiting:
        await trio.sleep(0.1)  # what the matcher takes for 100 frames
        await small.take()
    assert cost.frame_s(trio.current_time()) == pytest.approx(0.001, rel=0.01)
    await trio.sleep(COST_KEPT_S + 0.001)
    assert cost.frame_s(trio.current_time()) == COST_S_FIRST, "idle since"
    for number in range(10, 40):
        small.offer(run_of(number, *[ORDER] * 16))
    assert small.stage.busy == 0


async def test_an_idle_matcher_is_no_measure(
    small: DrivenSequencer, autojump_clock: MockClock
) -> None:
    for _ in range(50):
        small.offer(run_of(1, MONEY))
        await small.take()
        await trio.sleep(0.5)
    assert small.stage._cost.frame_s(trio.current_time()) == COST_S_FIRST


async def test_one_batch_that_takes_long_refuses_nobody(
    small: DrivenSequencer, autojump_clock: MockClock
) -> None:
    for number in range(6):
        small.offer(run_of(1 + number % 3, *[MONEY] * 100))
    await wait_all_tasks_blocked()
    for took_s in (0.002, 0.002, 5.0, 0.002):
        await trio.sleep(took_s)
        await small.take()
    assert small.stage._cost.frame_s(trio.current_time()) < 2 * COST_S_FIRST
