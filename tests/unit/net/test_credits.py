"""What connections may have in flight: their own bound, the shared one, and the reserve."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from hpe.net.credits import LITTLE_BYTES, Account, CreditPool

BOUND = 8 * LITTLE_BYTES
SHARED = BOUND - BOUND // 4


def account(pool: CreditPool, frames_max: int = 1_000_000) -> Account:
    mine = Account(pool)
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


async def test_who_has_much_in_flight_waits_until_the_shared_part_has_room() -> None:
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
    with trio.fail_after(5):
        await mine.acquire(1, 10)
    assert (mine.frames, mine.bytes, pool.bytes) == (2, 20, 20)
