"""Timers of the compiled core against the reference's."""

from random import Random

import pytest

from hpe.core.timers import ENDING, HOLD, INTERRUPTION, ORDER, SESSION, Timers

ACTS = (3, 2, 2, 1, 4)
KINDS = (ORDER, HOLD, ENDING, INTERRUPTION, SESSION)
STEPS = 5_000


class Both:
    """The same timers in both cores."""

    def __init__(self, records):
        self.compiled, self.reference = records.Timers(ACTS), Timers(ACTS)
        self.live = {}

    def add(self, random, kind):
        due = random.randint(1, 60), kind, random.randint(1, 6), random.randint(0, 3)
        if due not in self.live:
            has_instrument = kind in (ORDER, INTERRUPTION)
            self.live[due] = random.randint(1, 4) if has_instrument else 0
            self.compiled.add(due, self.live[due])
            self.reference.add(due, self.live[due])

    def remove(self, due):
        instrument = self.live.pop(due)
        self.compiled.remove(due, instrument)
        self.reference.remove(due, instrument)

    def turn(self, instrument):
        """Pass an instrument over, or take it up again."""
        for timers in (self.compiled, self.reference):
            if timers.is_passed(instrument):
                timers.take_up(instrument)
            else:
                timers.pass_over(instrument)

    def act(self, time_ns):
        """Let all that is due act; return how many did."""
        self.compiled.begin_body(time_ns)
        self.reference.begin_body(time_ns)
        count = 0
        while (entry := self.reference.next_to_act(time_ns)) is not None:
            assert self.compiled.next_to_act(time_ns) == tuple(entry)
            self.compiled.use_room(entry.due[1])
            self.reference.room[entry.due[1]] -= 1
            self.remove(entry.due)
            count += 1
        assert self.compiled.next_to_act(time_ns) is None
        self.compiled.review()
        self.reference.review()
        return count

    def compare(self):
        assert self.compiled.next_due_ns() == self.reference.next_due_ns()
        assert self.compiled.overdue == self.reference.overdue
        for instrument in range(5):
            assert self.compiled.dead_ns(instrument) == self.reference.dead_ns(instrument)
            assert self.compiled.is_passed(instrument) == self.reference.is_passed(instrument)


@pytest.mark.parametrize("seed", range(4))
def test_timers_are_the_references(records, seed):
    print(f"seed {seed}")
    random, both, acted, overdue = Random(seed), Both(records), 0, 0
    for _ in range(STEPS):
        choice = random.random()
        if choice < 0.55:
            both.add(random, random.choice(KINDS))
        elif choice < 0.7 and both.live:
            both.remove(random.choice(list(both.live)))
        elif choice < 0.8:
            both.turn(random.randint(1, 4))
        else:
            acted += both.act(random.randint(1, 50))
        both.compare()
        overdue += both.reference.overdue
    assert acted > STEPS // 10
    assert overdue > STEPS // 50
