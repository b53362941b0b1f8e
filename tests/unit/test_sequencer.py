"""Batches: turns, bounds, admission by age, and order within a connection."""

from __future__ import annotations

import queue
import random
from typing import NamedTuple

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.backlog import COST_KEPT_S, COST_S_FIRST
from hpe.core.codec import encode, frame
from hpe.core.core import SYSTEM_CONNECTION, Run
from hpe.core.thread import Work
from hpe.messages import (
    CancelOrder,
    Deposit,
    DetachCause,
    ErrorCode,
    GetBalance,
    MassCancel,
    ReplaceOrder,
    Request,
    SessionClosed,
    SessionDetached,
    SubmitOco,
    SubmitOrder,
)
from hpe.net.session import internal_run
from hpe.sequencer import (
    ADMITTED_SHARE,
    BATCHES_OUTSTANDING_MAX,
    READ_SHARE,
    Patience,
    Sequencer,
)

BUSY = int(ErrorCode.BUSY)
ORDER = SubmitOrder(1, 1, 0, 1, 2, 1, 100, 1)
REPLACE = ReplaceOrder(2, 1, 0, 5)
CANCEL = CancelOrder(3, 1)
OCO = SubmitOco(2, 1, 2, 5, 110, 90)
MASS_CANCEL = MassCancel(3)
QUERY = GetBalance(4, 1)
MONEY = Deposit(5, 1, 1)


PATIENCE = Patience(0.020, 0.200)


class Bounds(NamedTuple):
    commands_per_batch_max: int = 1_024
    batch_bytes_max: int = 256 * 1024
    frames_per_turn_max: int = 256


def run_of(connection: int, *requests: Request, admit: int = 0) -> Run:
    frames = b"".join(frame(encode(request)) for request in requests)
    return Run(connection, connection, admit, len(requests), frames)


class Bench:
    """A sequencer whose matcher is the test."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.inbox: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self.wanted = b""
        self.begun = 0
        self.sequencer = Sequencer(
            bounds or Bounds(), self.inbox, PATIENCE, lambda: self.wanted, self.begin
        )

    def begin(self) -> None:
        self.begun += 1

    def offer(self, run: Run, key: int | None = None) -> None:
        self.sequencer.offer(run.connection if key is None else key, run, trio.current_time())

    async def take(self) -> Work:
        await wait_all_tasks_blocked()
        work = self.inbox.get_nowait()
        assert work is not None
        self.sequencer.free()
        return work

    async def take_all(self) -> list[Work]:
        works = []
        await wait_all_tasks_blocked()
        while not self.inbox.empty():
            works.append(await self.take())
            await wait_all_tasks_blocked()
        return works


SMALL = Bounds(commands_per_batch_max=100, frames_per_turn_max=100)
"""So that little is handed over before the queues fill."""


@pytest.fixture
async def bench(nursery: trio.Nursery) -> Bench:
    made = Bench()
    nursery.start_soon(made.sequencer.serve)
    return made


@pytest.fixture
async def small(nursery: trio.Nursery) -> Bench:
    """Small batches."""
    made = Bench(SMALL)
    nursery.start_soon(made.sequencer.serve)
    return made


async def test_batches_with_requests_of_clients_are_told(bench: Bench) -> None:
    bench.offer(internal_run(SessionDetached(1, 1, 1, DetachCause.CONNECTION_LOST)), key=7)
    await bench.take()
    assert bench.begun == 0, "nobody waits for an internal command as for a reply"
    bench.offer(run_of(1, ORDER))
    await bench.take()
    assert bench.begun == 1


async def test_what_came_together_is_one_batch(bench: Bench) -> None:
    runs = [run_of(1, ORDER), run_of(2, MONEY, QUERY), run_of(1, CANCEL)]
    for run in runs:
        bench.offer(run)
    work = await bench.take()
    assert work.runs == [runs[0], runs[2], runs[1]], "all of one connection's turn, then the next"
    assert work.weights == {
        1: (2, len(runs[0].frames + runs[2].frames)),
        2: (2, len(runs[1].frames)),
    }


async def test_only_two_batches_are_outstanding_and_the_rest_gathers(bench: Bench) -> None:
    for number in range(BATCHES_OUTSTANDING_MAX):
        bench.offer(run_of(1 + number, ORDER))
        await wait_all_tasks_blocked()
    for number in range(10):
        bench.offer(run_of(10 + number, ORDER))
    await wait_all_tasks_blocked()
    assert bench.inbox.qsize() == BATCHES_OUTSTANDING_MAX
    sizes = [len((await bench.take()).runs) for _ in range(3)]
    assert sizes == [1, 1, 10]


async def test_connections_take_turns_of_at_most_256_frames(bench: Bench) -> None:
    for _ in range(4):
        bench.offer(run_of(1, *[ORDER] * 200))
    bench.offer(run_of(2, *[MONEY] * 17))
    bench.offer(run_of(3, *[MONEY] * 17))
    work = await bench.take()
    assert [run.connection for run in work.runs] == [1, 2, 3, 1, 1, 1]


async def test_who_sends_little_is_in_the_next_batch_however_much_others_pile_up(
    bench: Bench,
) -> None:
    for number in range(1, 21):
        for _ in range(3):
            bench.offer(run_of(number, *[QUERY] * 256))
    await bench.take()
    for number in (50, 51):
        bench.offer(run_of(number, ORDER))
    await bench.take()  # was made before they came
    work = await bench.take()
    assert [run.connection for run in work.runs][:2] == [50, 51]


async def test_those_who_pile_up_have_half_of_every_batch(bench: Bench) -> None:
    for _ in range(2):
        bench.offer(run_of(1, *[QUERY] * 256))
    for number in range(100, 800):
        bench.offer(run_of(number, MONEY))
    work = await bench.take()
    connections = [run.connection for run in work.runs]
    assert connections == [*range(100, 612), 1, 1]
    assert [run.connection for run in (await bench.take()).runs] == list(range(612, 800))


async def test_a_batch_keeps_its_bounds_and_the_next_goes_on_where_it_ended(bench: Bench) -> None:
    for number in range(1, 8):
        bench.offer(run_of(number, *[MONEY] * 250))
    works = [await bench.take(), await bench.take()]
    assert [[run.connection for run in work.runs] for work in works] == [[1, 2, 3, 4], [5, 6, 7]]
    large = [run_of(number, *[MONEY] * 256) for number in (1, 2, 3)]
    small = Bench(Bounds(batch_bytes_max=2 * len(large[0].frames)))
    for run in large:
        small.offer(run)
    assert [run.connection for run in small.sequencer._batch().runs] == [1, 2]
    assert [run.connection for run in small.sequencer._batch().runs] == [3]


@pytest.mark.parametrize("seed", range(8))
async def test_order_within_a_connection_never_changes(
    autojump_clock: MockClock, seed: int, bench: Bench
) -> None:
    source = random.Random(seed)
    offered: dict[int, bytes] = {}
    taken: dict[int, bytes] = {}
    for _ in range(40):
        connection = source.randint(1, 5)
        kinds = source.choices([ORDER, CANCEL, QUERY], k=source.randint(1, 256))
        run = run_of(connection, *kinds)
        offered[connection] = offered.get(connection, b"") + run.frames
        bench.offer(run)
    await trio.sleep(source.choice([0, 0.1, 0.3]))
    while bench.sequencer.frames_waiting or not bench.inbox.empty():
        work = await bench.take()
        assert sum(run.frame_count for run in work.runs) <= 1_024
        for run in work.runs:
            taken[run.connection] = taken.get(run.connection, b"") + run.frames
    assert taken == offered


@pytest.mark.parametrize(
    ("waited_s", "admits"),
    [
        (0.0, [0]),
        (0.019, [0]),
        (0.021, [BUSY, 0, BUSY, 0, BUSY]),
        (0.201, [BUSY, 0, BUSY, 0, BUSY]),
    ],
)
async def test_what_waited_too_long_is_busy(
    autojump_clock: MockClock, bench: Bench, waited_s: float, admits: list[int]
) -> None:
    for number in range(BATCHES_OUTSTANDING_MAX):
        bench.offer(run_of(90 + number, MONEY))
        await wait_all_tasks_blocked()
    bench.offer(run_of(1, ORDER, MONEY, REPLACE, QUERY, OCO))
    await trio.sleep(waited_s)
    for _ in range(BATCHES_OUTSTANDING_MAX):
        await bench.take()
    work = await bench.take()
    assert [run.admit for run in work.runs] == admits
    assert work.weights[1][0] == 5
    assert bench.sequencer.busy == admits.count(BUSY)


@pytest.mark.parametrize("cancel", [CANCEL, MASS_CANCEL])
@pytest.mark.parametrize(("waited_s", "admit"), [(0.150, 0), (0.250, BUSY)])
async def test_cancels_may_wait_longer(
    autojump_clock: MockClock, bench: Bench, waited_s: float, admit: int, cancel: Request
) -> None:
    for number in range(BATCHES_OUTSTANDING_MAX):
        bench.offer(run_of(90 + number, MONEY))
        await wait_all_tasks_blocked()
    bench.offer(run_of(1, cancel))
    bench.offer(run_of(2, MONEY))
    bench.offer(run_of(SYSTEM_CONNECTION, SessionClosed(1, 1, 1)), key=2)
    await trio.sleep(waited_s)
    for _ in range(BATCHES_OUTSTANDING_MAX):
        await bench.take()
    work = await bench.take()
    assert [run.admit for run in work.runs] == [admit, 0, 0]
    assert [run.connection for run in work.runs] == [1, 2, SYSTEM_CONNECTION]
    assert SYSTEM_CONNECTION not in work.weights


CROWD = int(ADMITTED_SHARE * PATIENCE.orders_s / COST_S_FIRST) + 1
"""Orders that take longer than new ones may wait for them."""


def pile_up(bench: Bench, connections: int, frames: int) -> None:
    """Have connections from 1 on send so many orders each."""
    for connection in range(1, connections + 1):
        for _ in range(frames // 50):
            bench.offer(run_of(connection, *[ORDER] * 50))


async def test_orders_that_would_wait_too_long_are_refused_when_they_come(
    small: Bench, autojump_clock: MockClock
) -> None:
    pile_up(small, 8, 100)
    assert small.sequencer._backlog.accepted > CROWD
    assert small.sequencer.busy == 0, "no one was before them"
    small.offer(run_of(9, *[ORDER] * 100, CANCEL, MONEY, QUERY))
    assert small.sequencer.busy == 100, "not the cancel, not what has no deadline"
    small.offer(run_of(10, ORDER))
    assert small.sequencer.busy == 100, "who sends little gets a turn before those who pile up"
    admits: dict[int, list[int]] = {}
    for work in await small.take_all():
        for run in work.runs:
            admits.setdefault(run.connection, []).extend([run.admit] * run.frame_count)
    assert admits[9] == [ErrorCode.BUSY] * 100 + [0] * 3
    assert admits[10] == [0]
    assert all(not any(admits[number]) for number in range(1, 9))


async def test_who_has_enough_waiting_is_not_read_on_until_it_is_through(
    nursery: trio.Nursery, small: Bench, autojump_clock: MockClock
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


async def test_between_those_who_send_little_and_refusals_everybody_has_a_turn(
    bench: Bench, autojump_clock: MockClock
) -> None:
    waiting = range(20, 23)
    for connection in waiting:
        bench.offer(run_of(connection, *[ORDER] * 200))
    answered: dict[int, int] = {}
    back = {*range(100, 500), *range(1, 9)}
    for _ in range(40):
        for connection in back - {*waiting}:  # each again as soon as he has his answers
            if connection >= 100:
                bench.offer(run_of(connection, *[MONEY] * 8))
            else:  # a flood that is refused already
                for _ in range(4):
                    bench.offer(run_of(connection, *[ORDER] * 256, admit=ErrorCode.BUSY))
        runs = (await bench.take()).runs
        back = {run.connection for run in runs}
        for run in runs:
            answered[run.connection] = answered.get(run.connection, 0) + run.frame_count
    assert [answered.get(connection) for connection in waiting] == [200, 200, 200]


async def test_large_requests_of_those_who_send_little_leave_room_for_the_others(
    bench: Bench, autojump_clock: MockClock
) -> None:
    large = frame(bytes(2_044)) * 16  # eight of them fill a batch
    waiting = (20, 21)
    bench.offer(run_of(20, *[MONEY] * 200))
    bench.offer(run_of(21, *[ORDER] * 200, admit=ErrorCode.BUSY))
    answered = dict.fromkeys(waiting, 0)
    back = {*range(100, 130)}
    for _ in range(10):
        for connection in back:
            bench.offer(Run(connection, connection, 0, 16, large))
        runs = (await bench.take()).runs
        back = {run.connection for run in runs} - {*waiting}
        for run in runs:
            if run.connection in answered:
                answered[run.connection] += run.frame_count
    assert answered == {20: 200, 21: 200}


async def test_what_is_refused_counts_in_what_others_have_to_wait(
    small: Bench, autojump_clock: MockClock
) -> None:
    """Half of a batch is for refusals: with as many of them all takes twice as long."""
    orders = CROWD * 2 // 3
    for connection in (1, 2):
        small.offer(run_of(connection, *[MONEY] * (orders // 2)))
    for connection in (3, 4):
        small.offer(run_of(connection, *[ORDER] * 2 * orders, admit=ErrorCode.BUSY))
    small.offer(run_of(5, *[ORDER] * 100))
    assert small.sequencer.busy == 100


async def test_a_reader_who_gives_up_waiting_for_room_is_forgotten(
    small: Bench, autojump_clock: MockClock
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
    small: Bench, autojump_clock: MockClock
) -> None:
    cost = small.sequencer._cost
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
    assert small.sequencer.busy == 0


async def test_an_idle_matcher_is_no_measure(small: Bench, autojump_clock: MockClock) -> None:
    for _ in range(50):
        small.offer(run_of(1, MONEY))
        await small.take()
        await trio.sleep(0.5)
    assert small.sequencer._cost.frame_s(trio.current_time()) == COST_S_FIRST


async def test_one_batch_that_takes_long_refuses_nobody(
    small: Bench, autojump_clock: MockClock
) -> None:
    for number in range(6):
        small.offer(run_of(1 + number % 3, *[MONEY] * 100))
    await wait_all_tasks_blocked()
    for took_s in (0.002, 0.002, 5.0, 0.002):
        await trio.sleep(took_s)
        await small.take()
    assert small.sequencer._cost.frame_s(trio.current_time()) < 2 * COST_S_FIRST


async def test_a_batch_names_the_market_data_that_is_wanted_when_it_is_made(bench: Bench) -> None:
    bench.offer(run_of(1, MONEY))
    assert (await bench.take()).wanted == b""
    bench.wanted = b"\0\0\0\1\2"
    bench.offer(run_of(1, MONEY))
    assert (await bench.take()).wanted == bench.wanted


async def test_waiting_for_the_drain_ends_when_accepted_runs_are_handed_over(bench: Bench) -> None:
    for number in range(BATCHES_OUTSTANDING_MAX + 1):
        bench.offer(run_of(1 + number, MONEY))
        await wait_all_tasks_blocked()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.sequencer.wait_accepted_handed_over)
        nursery.start_soon(bench.sequencer.wait_empty)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 2
        bench.offer(run_of(9, MONEY, admit=ErrorCode.SHUTTING_DOWN))
        assert bench.sequencer._backlog.accepted == 1
        await bench.take()
    assert bench.sequencer.frames_waiting == 0
