"""What connections may have in flight: their own bound, the shared one, and the reserve."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from hpe.errors import InvariantViolation
from hpe.net.limits.credits import LITTLE_BYTES, CreditAccount, CreditPool

BOUND = 8 * LITTLE_BYTES
SHARED = BOUND - BOUND // 4


def account(pool: CreditPool, frames_max: int = 1_000_000) -> CreditAccount:
    mine = CreditAccount(pool)
    mine.frames_max = frames_max
    return mine


async def test_a_flood_stops_at_its_share_and_leaves_the_reserve_to_the_others() -> None:
    pool = CreditPool(BOUND)
    flood, careful = account(pool), account(pool)
    flood.take(1, SHARED)
    assert flood.exhausted
    assert not careful.exhausted
    careful.take(1, 100)
    assert pool.bytes == SHARED + 100


async def test_nobody_goes_beyond_the_reserve() -> None:
    pool = CreditPool(BOUND)
    flood, careful = account(pool), account(pool)
    flood.take(1, BOUND)
    assert careful.exhausted
    flood.release(1, BOUND)
    assert not careful.exhausted


async def test_much_in_flight_waits_until_the_shared_part_has_room() -> None:
    pool = CreditPool(BOUND)
    flood, other = account(pool), account(pool)
    flood.take(1, LITTLE_BYTES)
    other.take(1, SHARED - LITTLE_BYTES)
    taken = []

    async def take() -> None:
        await flood.acquire(1, 10)
        taken.append(10)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await wait_all_tasks_blocked()
        assert not taken
        other.release(1, SHARED - LITTLE_BYTES)
        await wait_all_tasks_blocked()
        assert taken == [10]


@pytest.mark.parametrize("held", [0, LITTLE_BYTES - 1, LITTLE_BYTES])
def test_what_counts_as_little_in_flight(held: int) -> None:
    pool = CreditPool(BOUND)
    pool.take(SHARED)
    assert pool.has_room(held) is (held < LITTLE_BYTES)


async def test_a_full_window_waits_for_an_answer_whatever_room_there_is() -> None:
    pool = CreditPool(BOUND)
    mine = account(pool, frames_max=2)
    mine.take(2, 20)
    assert mine.exhausted
    mine.release(1, 10)
    assert not mine.exhausted
    with trio.fail_after(120):
        await mine.acquire(1, 10)
    assert (mine.frames, mine.bytes, pool.bytes) == (2, 20, 20)


class StepCounter(trio.abc.Instrument):
    """Counts the steps of all tasks."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


class Readers:
    """Readers that wait for a full pool: who `began` to wait and who is `through`, in order."""

    def __init__(self, nursery: trio.Nursery, pool: CreditPool, count: int, held: int = 0) -> None:
        self.began: list[int] = []
        self.through: list[int] = []
        self.accounts = [account(pool) for _ in range(count)]
        self.scopes = [trio.CancelScope() for _ in range(count)]
        for number in range(count):
            if held:
                self.accounts[number].take(1, held)
            nursery.start_soon(self._read, number)

    async def _read(self, number: int) -> None:
        with self.scopes[number]:
            self.began.append(number)
            await self.accounts[number].acquire(1, 100)
            self.through.append(number)


async def test_a_reply_wakes_one_of_a_thousand_readers_that_wait(nursery: trio.Nursery) -> None:
    pool = CreditPool(BOUND)
    full = account(pool)
    full.take(100, BOUND)
    readers = Readers(nursery, pool, 1_000)
    await wait_all_tasks_blocked()
    steps = StepCounter()
    trio.lowlevel.add_instrument(steps)
    full.release(1, 100)
    await wait_all_tasks_blocked()
    trio.lowlevel.remove_instrument(steps)
    assert readers.through == readers.began[:1]
    assert steps.count < 20
    full.release(99, BOUND - 100)
    await wait_all_tasks_blocked()
    there_is_room_for = BOUND // 100 + 1
    assert readers.through == readers.began[:there_is_room_for], "in turn"
    for number in readers.through:
        readers.accounts[number].release(1, 100)
        await wait_all_tasks_blocked()
        if len(readers.through) == 1_000:
            break
    assert sorted(readers.through) == list(range(1_000)), "nobody is forgotten"


async def test_a_wake_up_of_a_reader_that_goes_is_passed_on(nursery: trio.Nursery) -> None:
    pool = CreditPool(BOUND)
    full = account(pool)
    full.take(1, BOUND)
    readers = Readers(nursery, pool, 3)
    await wait_all_tasks_blocked()
    first, *others = readers.began
    readers.scopes[first].cancel()
    full.release(1, BOUND)  # wakes the first, which has not run since it was canceled
    await wait_all_tasks_blocked()
    assert readers.through == others
    assert not pool._little


async def test_little_in_flight_may_take_from_the_reserve(
    nursery: trio.Nursery,
) -> None:
    pool = CreditPool(BOUND)
    full = account(pool)
    full.take(1, SHARED)
    readers = Readers(nursery, pool, 1, held=LITTLE_BYTES)
    await wait_all_tasks_blocked()
    full.release(0, 100)
    await wait_all_tasks_blocked()
    assert readers.through == [], "the shared part is full"
    readers.accounts[0].release(1, 100)
    await wait_all_tasks_blocked()
    assert readers.through == [0]


def test_counts_that_contradict_themselves_end_the_service() -> None:
    pool = CreditPool(BOUND)
    mine, other = account(pool), account(pool)
    other.take(1, 100)
    with pytest.raises(InvariantViolation, match="1 requests more"):
        mine.release(1, 0)
    with pytest.raises(InvariantViolation, match="50 bytes more"):
        other.release(1, 150)
