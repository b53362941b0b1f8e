"""What is due: the order in which it acts, and that what ended does not act."""

from random import Random

import pytest

from hpe.core.timers import HOLD, ORDER, Timers


@pytest.fixture
def timers():
    return Timers()


def test_nothing_is_never_due(timers):
    assert timers.next_due_ns() == 0
    assert timers.rows() == []


def test_time_goes_first_then_orders_then_ids_then_users(timers):
    in_turn = [
        (5, ORDER, 9, 1), (6, ORDER, 2, 8), (6, ORDER, 3, 1), (6, HOLD, 1, 7), (6, HOLD, 2, 1),
        (6, HOLD, 2, 2), (7, ORDER, 1, 1),
    ]  # fmt: skip
    shuffled = list(in_turn)
    Random(4).shuffle(shuffled)
    for due in shuffled:
        timers.add(due)
    acted = []
    while timers.next_due_ns():
        assert timers.next_due_ns() == timers.first()[0]
        acted.append(timers.first())
        timers.remove(timers.first())
    assert acted == in_turn


def test_what_ended_does_not_act(timers):
    for due in ((5, ORDER, 1, 1), (5, ORDER, 2, 1), (6, HOLD, 1, 1)):
        timers.add(due)
    timers.remove((5, ORDER, 1, 1))
    assert timers.rows() == [(5, ORDER, 2, 1), (6, HOLD, 1, 1)]
    timers.remove((5, ORDER, 2, 1))
    assert timers.next_due_ns() == 6


def test_removing_what_is_not_there_is_a_bug(timers):
    timers.add((5, ORDER, 1, 1))
    with pytest.raises(ValueError, match="not in list"):
        timers.remove((5, HOLD, 1, 1))
