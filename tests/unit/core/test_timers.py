"""Timers: the order in which they act, their bounds, and that ended ones do not act."""

from random import Random

import pytest

from hpe.core.timers import ENDING, HOLD, INTERRUPTION, ORDER, SESSION, TimerEntry, Timers

LATE_NS = 1_000


@pytest.fixture
def timers():
    return Timers()


def acted(timers, time_ns=LATE_NS):
    """Let all act that one body lets act; return it in turn."""
    timers.begin_body(time_ns)
    done = []
    while (entry := timers.next_to_act(time_ns)) is not None:
        timers.room[entry.due[1]] -= 1
        timers.remove(*entry)
        done.append(entry.due)
    return done


def test_nothing_is_never_due(timers):
    assert timers.next_due_ns() == 0
    assert timers.entries() == []
    assert timers.next_to_act(LATE_NS) is None


def test_time_goes_first_then_kinds_then_ids(timers):
    in_turn = [
        (5, ORDER, 9, 1), (6, ORDER, 2, 8), (6, ORDER, 3, 1), (6, HOLD, 1, 7), (6, HOLD, 2, 1),
        (6, HOLD, 2, 2), (6, ENDING, 1, 4), (6, INTERRUPTION, 1, 0), (6, SESSION, 1, 0),
        (7, ORDER, 1, 1),
    ]  # fmt: skip
    shuffled = list(in_turn)
    Random(4).shuffle(shuffled)
    for number, due in enumerate(shuffled):
        timers.add(due, number % 3 if due[1] == ORDER else 0)
    assert [entry.due for entry in timers.entries()] == in_turn
    assert timers.next_due_ns() == 5
    assert acted(timers) == in_turn


def test_what_is_not_due_does_not_act(timers):
    timers.add((5, ORDER, 1, 1), 1)
    timers.add((6, HOLD, 1, 1))
    assert acted(timers, 4) == []
    assert acted(timers, 5) == [(5, ORDER, 1, 1)]
    assert timers.next_due_ns() == 6


def test_every_kind_has_a_bound_of_its_own():
    timers = Timers((3, 2, 1, 1, 1))
    for number in range(1, 6):
        timers.add((number, ORDER, number, 1), number % 2)
        timers.add((number, HOLD, 1, number))
    first = [(1, ORDER, 1, 1), (1, HOLD, 1, 1), (2, ORDER, 2, 1), (2, HOLD, 1, 2), (3, ORDER, 3, 1)]
    assert acted(timers) == first
    assert timers.next_due_ns() == 3
    rest = [(3, HOLD, 1, 3), (4, ORDER, 4, 1), (4, HOLD, 1, 4), (5, ORDER, 5, 1)]
    assert acted(timers) == rest
    assert acted(timers) == [(5, HOLD, 1, 5)]
    assert acted(timers) == []


def test_what_ended_does_not_act(timers):
    for due in ((5, ORDER, 1, 1), (5, ORDER, 2, 1), (6, HOLD, 1, 1)):
        timers.add(due)
    timers.remove((5, ORDER, 1, 1))
    assert [entry.due for entry in timers.entries()] == [(5, ORDER, 2, 1), (6, HOLD, 1, 1)]
    timers.remove((5, ORDER, 2, 1))
    assert timers.next_due_ns() == 6


def test_removing_what_is_not_there_is_a_bug(timers):
    timers.add((5, HOLD, 1, 1))
    with pytest.raises(ValueError, match="not in list"):
        timers.remove((5, HOLD, 2, 1))
    with pytest.raises(KeyError):
        timers.remove((5, ORDER, 1, 1), 7)


def test_an_instrument_is_passed_over_as_one(timers):
    for number in range(1, 5):
        timers.add((number, ORDER, number, 1), number % 2 + 1)
    timers.pass_over(2)
    assert timers.is_passed(2)
    timers.add((1, ORDER, 9, 1), 2)
    timers.remove((1, ORDER, 1, 1), 2)
    assert timers.next_due_ns() == 2
    timers.begin_body(LATE_NS)
    timers.review()
    assert timers.overdue
    assert (timers.dead_ns(1), timers.dead_ns(2)) == (LATE_NS, 0)
    assert acted(timers) == [(2, ORDER, 2, 1), (4, ORDER, 4, 1)]
    timers.review()
    assert not timers.overdue
    assert timers.next_due_ns() == 0
    timers.take_up(2)
    assert timers.overdue
    assert timers.dead_ns(2) == LATE_NS
    assert acted(timers) == [(1, ORDER, 9, 1), (3, ORDER, 3, 1)]


@pytest.mark.parametrize("seed", range(4))
def test_a_list_that_is_sorted_anew_each_time_gives_the_same(timers, seed):
    print(f"seed {seed}")
    random, rows, passed = Random(seed), [], set()
    for number in range(600):
        chance = random.random()
        if chance < 0.5:
            instrument = random.randint(0, 4)
            row = TimerEntry((random.randint(1, 40), random.randint(0, 4), number, 0), instrument)
            rows.append(row)
            timers.add(*row)
        elif chance < 0.7 and rows:
            row = rows.pop(random.randrange(len(rows)))
            timers.remove(*row)
        elif chance < 0.8:
            instrument = random.randint(1, 4)
            (timers.take_up if instrument in passed else timers.pass_over)(instrument)
            passed ^= {instrument}
        time_ns = random.randint(1, 40)
        mine = [row for row in sorted(rows) if row.instrument not in passed]
        assert timers.next_to_act(time_ns) == next((r for r in mine if r.due[0] <= time_ns), None)
        assert timers.next_due_ns() == (mine[0].due[0] if mine else 0)
        assert timers.entries() == sorted(rows)
