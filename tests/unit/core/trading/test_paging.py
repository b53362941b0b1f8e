"""Paging by itself: what rises is found, what has gone is forgotten, and its memory is free."""

from collections import namedtuple
from itertools import chain
from random import Random

import pytest

from hpe.core.trading.paging import RecentFills, Rising, tight
from hpe.errors import InvariantViolation

Fill = namedtuple("Fill", "private_sequence")


@pytest.mark.parametrize("seed", range(5))
def test_a_walk_from_anywhere_is_what_a_sorted_list_gives(seed):
    print(f"seed {seed}")
    random, rising, rows, newest = Random(seed), Rising(), {}, 0
    for _ in range(400):
        for _ in range(random.randrange(20)):
            newest += random.randint(1, 3)
            rows[newest] = f"row {newest}"
        for number in random.sample([*rows], random.randint(0, len(rows))):
            if random.random() < 0.5:
                del rows[number]
        after = random.randint(0, newest + 1)
        rows = tight(rows)
        expected = [row for number, row in sorted(rows.items()) if number > after]
        assert [*chain.from_iterable(rising.after(after, rows))] == expected
        rising.check(rows)


def test_numbers_of_what_has_gone_are_forgotten_without_a_walk_over_them():
    rising, rows = Rising(), {}
    for number in range(1, 10_001):
        rows[number] = number
        del rows[number]
        if number % 50 == 0:
            rows[number] = number
            assert [*rising.after(number, rows)] == []
    assert len(rising._numbers) <= 2 * len(rows) + 64


def test_a_dict_that_was_large_gives_its_room_back_when_it_is_walked():
    rows = {number: number for number in range(100_000)}
    assert tight(rows) is rows
    kept = [7, 99_000]
    for number in range(100_000):
        if number not in kept:
            del rows[number]
    assert rows.__sizeof__() > 10**6
    assert [*tight(rows)] == kept
    assert tight(rows).__sizeof__() < 1_000


@pytest.mark.parametrize("rows", [{2: "", 1: ""}, {1: "", 3: ""}])
def test_rows_that_did_not_rise_are_noticed(rows):
    rising = Rising()
    [*rising.after(0, {1: "", 2: "", 3: ""})]
    with pytest.raises(InvariantViolation, match="open orders"):
        rising.check({**rows, 2: "", 0: ""})


def test_the_oldest_fills_are_forgotten_and_their_memory_is_free():
    fills, kept = RecentFills(), []
    for number in range(1, 2_001):
        fills.rows.append(Fill(number * 3))
        kept.append(number * 3)
        if len(kept) > 100:
            assert fills.forget_oldest() == kept.pop(0)
        assert len(fills) == len(kept)
        assert [fill.private_sequence for fill in fills.after(number, 3)] == [
            sequence for sequence in kept if sequence > number
        ][:3]
    assert [fill.private_sequence for fill in fills] == kept
    assert len(fills.rows) < 200
