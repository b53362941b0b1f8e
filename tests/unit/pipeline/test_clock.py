"""Batch time: half pace while the log is ahead, no jump ahead unless an operator says so."""

from __future__ import annotations

import time

import pytest

from hpe.errors import ConfigError
from hpe.machine import THIS_MACHINE, Reading
from hpe.pipeline.clock import (
    DAY_NS,
    IDLE_NS_MAX,
    JUMP_NS_MAX,
    SECOND_NS,
    WALL_NS_MAX,
    WALL_NS_MIN,
    Clock,
)
from tests.support.hand_set_clock import NOON_NS, HandSetClock

HOUR_NS = 3_600 * SECOND_NS


@pytest.fixture
def machine() -> HandSetClock:
    return HandSetClock()


def test_normally_it_is_the_wall_clock_s_time(machine: HandSetClock) -> None:
    clock = Clock(NOON_NS - DAY_NS, read=machine)
    assert clock.stamp() == NOON_NS
    machine.passes(7)
    assert clock.stamp() == NOON_NS + 7
    machine.is_set(30 * SECOND_NS)
    assert clock.stamp() == NOON_NS + 7 + 30 * SECOND_NS, "corrections are followed"
    assert (clock.ahead_ns(), clock.jump_ns()) == (0, 0)


def test_times_rise_although_all_clocks_stand(machine: HandSetClock) -> None:
    clock = Clock(NOON_NS, read=machine)
    assert [clock.stamp() for _ in range(3)] == [NOON_NS + 1, NOON_NS + 2, NOON_NS + 3]


def test_while_the_log_is_ahead_time_runs_at_half_pace_until_the_wall_has_caught_up(
    machine: HandSetClock,
) -> None:
    clock = Clock(NOON_NS + 10 * SECOND_NS, read=machine)
    assert clock.ahead_ns() == 10 * SECOND_NS
    times = []
    for _ in range(30):
        machine.passes(SECOND_NS)
        times.append((clock.stamp() - NOON_NS) / SECOND_NS)
    assert times[:4] == [10.5, 11, 11.5, 12]
    assert times[18:22] == [19.5, 20, 21, 22], "after 20 s both say 20"
    assert clock.ahead_ns() == 0


def test_a_clock_set_back_stops_no_timer(machine: HandSetClock) -> None:
    clock = Clock(0, read=machine)
    due_ns = clock.stamp() + 2 * SECOND_NS
    machine.is_set(-HOUR_NS)
    assert clock.wait_ns(due_ns) == 4 * SECOND_NS, "at most twice as long"
    machine.passes(3 * SECOND_NS)
    assert clock.wait_ns(due_ns) == SECOND_NS
    machine.passes(SECOND_NS)
    assert clock.wait_ns(due_ns) == 0
    assert clock.stamp() == due_ns


def test_batches_meanwhile_do_not_slow_it_down_further(machine: HandSetClock) -> None:
    clock = Clock(0, read=machine)
    due_ns = clock.stamp() + 2 * SECOND_NS
    machine.is_set(-HOUR_NS)
    for _ in range(400):
        machine.passes(SECOND_NS // 100)
        clock.stamp()
    assert clock.wait_ns(due_ns) == 0


def test_the_wait_is_until_whichever_clock_is_there_first(machine: HandSetClock) -> None:
    clock = Clock(0, read=machine)
    last_ns = clock.stamp()
    assert clock.wait_ns(last_ns + SECOND_NS) == SECOND_NS
    machine.is_set(-SECOND_NS // 2)
    assert clock.wait_ns(last_ns + SECOND_NS) == 3 * SECOND_NS // 2, "the wall catches up"


@pytest.mark.parametrize("wall_ns", [NOON_NS, NOON_NS - 400 * DAY_NS, 0, -5])
def test_what_is_due_at_once_is_so_whatever_the_clock_says(wall_ns: int) -> None:
    machine = HandSetClock()
    clock = Clock(NOON_NS, read=machine)
    machine.wall_ns = wall_ns
    assert clock.wait_ns(1) == 0
    assert clock.wait_ns(NOON_NS + 1) == 0


def test_a_sleep_of_the_machine_is_no_jump(machine: HandSetClock) -> None:
    clock = Clock(0, read=machine)
    machine.sleeps(9 * HOUR_NS)
    assert clock.jump_ns() == 0
    assert clock.stamp() == NOON_NS + 9 * HOUR_NS


@pytest.mark.parametrize("by_ns", [JUMP_NS_MAX + 1, 400 * DAY_NS, 2**63, 2**70])
def test_a_jump_ahead_of_more_than_an_hour_moves_nothing(machine: HandSetClock, by_ns: int) -> None:
    clock = Clock(0, read=machine)
    machine.is_set(by_ns)
    machine.passes(SECOND_NS)
    assert clock.jump_ns() == by_ns
    assert clock.stamp() == NOON_NS + SECOND_NS
    assert clock.wait_ns(NOON_NS + 3 * SECOND_NS) == 2 * SECOND_NS
    machine.is_set(-by_ns)
    assert clock.jump_ns() == 0
    machine.passes(SECOND_NS)
    assert clock.stamp() == NOON_NS + 2 * SECOND_NS


def test_an_hour_is_followed(machine: HandSetClock) -> None:
    clock = Clock(0, read=machine)
    machine.is_set(JUMP_NS_MAX)
    assert clock.jump_ns() == 0
    assert clock.stamp() == NOON_NS + JUMP_NS_MAX


def test_an_operator_says_that_a_jump_is_right(machine: HandSetClock) -> None:
    clock = Clock(0, read=machine)
    machine.is_set(DAY_NS)
    assert clock.renew() == DAY_NS
    assert clock.jump_ns() == 0
    assert clock.stamp() == NOON_NS + DAY_NS
    machine.is_set(2**63)
    with pytest.raises(ConfigError, match="2116"):
        clock.renew()
    assert clock.stamp() == NOON_NS + DAY_NS + 1


def test_a_jump_that_would_end_everything_needs_a_start_that_accepts_it(
    machine: HandSetClock,
) -> None:
    """A reload is for keys and certificates as well; what it does to time cannot be taken back."""
    clock = Clock(NOON_NS - SECOND_NS, read=machine)
    clock.stamp()
    machine.is_set(IDLE_NS_MAX + 1)
    with pytest.raises(ConfigError, match=r"400 days after .* --accept-clock"):
        clock.renew()
    assert clock.jump_ns() == IDLE_NS_MAX + 1
    assert clock.stamp() == NOON_NS + 1
    machine.is_set(-2)
    assert clock.renew() == IDLE_NS_MAX - 1
    assert clock.stamp() == NOON_NS + IDLE_NS_MAX - 1


def test_a_quiet_log_is_no_reason_to_doubt_a_clock_that_did_not_jump(machine: HandSetClock) -> None:
    clock = Clock(NOON_NS, read=machine)
    clock.stamp()
    machine.passes(2 * IDLE_NS_MAX)
    assert clock.renew() == 0
    assert clock.stamp() == NOON_NS + 2 * IDLE_NS_MAX


def test_what_is_renewed_is_judged_by_one_reading(machine: HandSetClock) -> None:
    """Set while it is renewed, the clock that is believed is the one that was judged."""
    readings = []

    def read() -> Reading:
        readings.append(machine())
        machine.is_set(DAY_NS)
        return readings[-1]

    clock = Clock(0, read=read)
    assert clock.renew() == DAY_NS
    assert len(readings) == 2


@pytest.mark.parametrize("wall_ns", [WALL_NS_MIN, NOON_NS, WALL_NS_MAX])
def test_an_empty_log_takes_any_time_that_can_be_right(wall_ns: int) -> None:
    assert Clock(0, read=HandSetClock(wall_ns)).stamp() == wall_ns


@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize("wall_ns", [-1, 0, WALL_NS_MIN - 1, WALL_NS_MAX + 1, 2**63, 2**80])
def test_an_empty_log_takes_no_other(wall_ns: int, accept: bool) -> None:
    with pytest.raises(ConfigError, match="2020-01-01"):
        Clock(0, accept=accept, read=HandSetClock(wall_ns))


def test_a_clock_far_ahead_of_the_log_has_to_be_accepted() -> None:
    last_ns = NOON_NS - IDLE_NS_MAX
    assert Clock(last_ns, read=HandSetClock()).stamp() == NOON_NS
    with pytest.raises(ConfigError, match=r"400 days after .* --accept-clock"):
        Clock(last_ns - 1, read=HandSetClock())
    assert Clock(last_ns - 1, accept=True, read=HandSetClock()).stamp() == NOON_NS
    with pytest.raises(ConfigError, match="set it"):
        Clock(last_ns, accept=True, read=HandSetClock(WALL_NS_MAX + 1))


def test_a_log_from_the_future_is_served(machine: HandSetClock) -> None:
    clock = Clock(NOON_NS + 500 * DAY_NS, read=machine)
    machine.passes(2 * SECOND_NS)
    assert clock.stamp() == NOON_NS + 500 * DAY_NS + SECOND_NS


def test_the_machine_s_clocks_are_read() -> None:
    reading = THIS_MACHINE.read_clocks()
    assert abs(reading.wall_ns - time.time_ns()) < 60 * SECOND_NS
    assert THIS_MACHINE.read_clocks().steady_ns >= reading.steady_ns
    assert reading.boot_ns >= reading.steady_ns - SECOND_NS
