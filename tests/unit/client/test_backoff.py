"""Waits between attempts: bounded, growing, random, and reset after a lasting connection."""

import random

from hpe.client.backoff import FIRST_S, LAST_S, Backoff


def test_ceilings_double_up_to_the_last() -> None:
    backoff = Backoff(dice=random.Random(1))
    ceilings = []
    for _ in range(9):
        ceilings.append(backoff.ceiling_s)
        assert 0 <= backoff.next_s() <= ceilings[-1]
    assert ceilings == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_waits_are_spread_over_all_of_it_and_repeat_with_the_seed() -> None:
    def waits(seed: int) -> list[float]:
        backoff = Backoff(LAST_S, LAST_S, random.Random(seed))
        return [backoff.next_s() for _ in range(200)]

    assert waits(3) == waits(3)
    assert waits(3) != waits(4)
    assert min(waits(3)) < 0.1 * LAST_S
    assert max(waits(3)) > 0.9 * LAST_S


def test_only_a_connection_that_held_begins_anew() -> None:
    backoff = Backoff(dice=random.Random(1))
    for _ in range(4):
        backoff.next_s()
    backoff.worked(1.0)  # cut at once, again and again: the waits go on growing
    assert backoff.ceiling_s == 1.6
    backoff.worked(1.6)
    assert backoff.ceiling_s == FIRST_S
