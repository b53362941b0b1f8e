"""Batches: turns, bounds, and order within a connection."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.net.session import internal_run
from hpe.pipeline.sequencing import BATCHES_OUTSTANDING_MAX, Sequencing
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import DetachCause
from hpe.protocol.internal import SessionDetached
from tests.support.sequencer_bench import (
    BOUNDS,
    CANCEL,
    MONEY,
    ORDER,
    PATIENCE,
    QUERY,
    DrivenSequencer,
    run_of,
)


async def test_batches_with_client_requests_are_reported(bench: DrivenSequencer) -> None:
    bench.offer(internal_run(SessionDetached(1, 1, 1, DetachCause.CONNECTION_LOST)), key=7)
    await bench.take()
    assert bench.begun == 0, "nobody waits for an internal command as for a reply"
    bench.offer(run_of(1, ORDER))
    await bench.take()
    assert bench.begun == 1


async def test_what_came_together_is_one_batch(bench: DrivenSequencer) -> None:
    runs = [run_of(1, ORDER), run_of(2, MONEY, QUERY), run_of(1, CANCEL)]
    for run in runs:
        bench.offer(run)
    work = await bench.take()
    assert work.runs == [runs[0], runs[2], runs[1]], "all of one connection's turn, then the next"


async def test_what_is_offered_in_one_pass_is_handed_over_at_once_as_one_batch(
    bench: DrivenSequencer,
) -> None:
    runs = [run_of(1, ORDER), run_of(2, MONEY, QUERY)]
    with bench.sequencer.gathering():
        for run in runs:
            bench.offer(run)
        assert bench.inbox.empty(), "more may come"
    assert bench.inbox.qsize() == 1, "no other task ran"
    assert (await bench.take()).runs == runs


async def test_a_pass_that_finds_no_slot_leaves_its_runs_to_the_next_one(
    bench: DrivenSequencer,
) -> None:
    for number in range(BATCHES_OUTSTANDING_MAX + 2):
        with bench.sequencer.gathering():
            bench.offer(run_of(1 + number, ORDER))
    await wait_all_tasks_blocked()
    assert bench.inbox.qsize() == BATCHES_OUTSTANDING_MAX
    sizes = [len((await bench.take()).runs) for _ in range(BATCHES_OUTSTANDING_MAX + 1)]
    assert sizes == [1] * BATCHES_OUTSTANDING_MAX + [2]


async def test_what_one_batch_does_not_take_of_a_pass_follows(small: DrivenSequencer) -> None:
    runs = [run_of(number, *[ORDER] * 60) for number in range(1, 4)]
    with small.sequencer.gathering():
        for run in runs:
            small.offer(run)
    assert small.inbox.qsize() == 1, "other tasks run before the next one"
    assert sum(len(batch.runs) for batch in await small.take_all()) == len(runs)


async def test_a_pass_that_fails_hands_over_what_it_had(bench: DrivenSequencer) -> None:
    def fail() -> None:
        with bench.sequencer.gathering():
            bench.offer(run_of(1, ORDER))
            raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        fail()
    assert bench.inbox.qsize() == 1
    bench.offer(run_of(1, ORDER))
    await wait_all_tasks_blocked()
    assert bench.inbox.qsize() == 2, "the bell rings again"


async def test_only_two_batches_are_outstanding_and_the_rest_gathers(
    bench: DrivenSequencer,
) -> None:
    for number in range(BATCHES_OUTSTANDING_MAX):
        bench.offer(run_of(1 + number, ORDER))
        await wait_all_tasks_blocked()
    for number in range(10):
        bench.offer(run_of(10 + number, ORDER))
    await wait_all_tasks_blocked()
    assert bench.inbox.qsize() == BATCHES_OUTSTANDING_MAX
    sizes = [len((await bench.take()).runs) for _ in range(3)]
    assert sizes == [1, 1, 10]


async def test_connections_take_turns_of_at_most_256_frames(bench: DrivenSequencer) -> None:
    for _ in range(4):
        bench.offer(run_of(1, *[ORDER] * 200))
    bench.offer(run_of(2, *[MONEY] * 17))
    bench.offer(run_of(3, *[MONEY] * 17))
    work = await bench.take()
    assert [run.connection for run in work.runs] == [1, 2, 3, 1, 1, 1]


async def test_a_light_sender_is_in_the_next_batch_however_much_others_pile_up(
    bench: DrivenSequencer,
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


async def test_connections_that_pile_up_have_half_of_every_batch(bench: DrivenSequencer) -> None:
    for _ in range(2):
        bench.offer(run_of(1, *[QUERY] * 256))
    for number in range(100, 800):
        bench.offer(run_of(number, MONEY))
    work = await bench.take()
    connections = [run.connection for run in work.runs]
    assert connections == [*range(100, 612), 1, 1]
    assert [run.connection for run in (await bench.take()).runs] == list(range(612, 800))


async def test_a_batch_keeps_its_bounds_and_the_next_goes_on_where_it_ended(
    bench: DrivenSequencer,
) -> None:
    for number in range(1, 8):
        bench.offer(run_of(number, *[MONEY] * 250))
    works = [await bench.take(), await bench.take()]
    assert [[run.connection for run in work.runs] for work in works] == [[1, 2, 3, 4], [5, 6, 7]]
    large = [run_of(number, *[MONEY] * 256) for number in (1, 2, 3)]
    stage = Sequencing(BOUNDS._replace(bytes=2 * len(large[0].chunk.frames)), PATIENCE)
    batches = stage.step([(run.connection, run) for run in large], 3, 0.0, stalled=False)
    assert [[run.connection for run in batch] for batch in batches] == [[1, 2], [3]]


@pytest.mark.parametrize("seed", range(8))
async def test_order_within_a_connection_never_changes(
    autojump_clock: MockClock, seed: int, bench: DrivenSequencer
) -> None:
    source = random.Random(seed)
    offered: dict[int, bytes] = {}
    taken: dict[int, bytes] = {}
    for _ in range(40):
        connection = source.randint(1, 5)
        kinds = source.choices([ORDER, CANCEL, QUERY], k=source.randint(1, 256))
        run = run_of(connection, *kinds)
        offered[connection] = offered.get(connection, b"") + run.chunk.frames
        bench.offer(run)
    await trio.sleep(source.choice([0, 0.1, 0.3]))
    while bench.sequencer.frames_waiting or not bench.inbox.empty():
        work = await bench.take()
        assert sum(run.chunk.count for run in work.runs) <= 1_024
        for run in work.runs:
            taken[run.connection] = taken.get(run.connection, b"") + run.chunk.frames
    assert taken == offered


async def test_a_batch_names_the_market_data_that_is_wanted_when_it_is_made(
    bench: DrivenSequencer,
) -> None:
    bench.offer(run_of(1, MONEY))
    assert (await bench.take()).wanted == b""
    bench.wanted = b"\0\0\0\1\2"
    bench.offer(run_of(1, MONEY))
    assert (await bench.take()).wanted == bench.wanted


async def test_waiting_for_the_drain_ends_when_accepted_runs_are_handed_over(
    bench: DrivenSequencer,
) -> None:
    for number in range(BATCHES_OUTSTANDING_MAX + 1):
        bench.offer(run_of(1 + number, MONEY))
        await wait_all_tasks_blocked()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.sequencer.wait_accepted_handed_over)
        nursery.start_soon(bench.sequencer.wait_empty)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 2
        bench.offer(run_of(9, MONEY, admit=ErrorCode.SHUTTING_DOWN))
        assert bench.stage.backlog.accepted == 1
        await bench.take()
    assert bench.sequencer.frames_waiting == 0
