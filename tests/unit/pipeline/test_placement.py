"""The choice of CPUs as tables, its application through a scheduler that can refuse."""

import errno
import os
import threading

import pytest

from hpe.pipeline.placement import (
    CpuTopology,
    LinuxScheduler,
    Plan,
    Realtime,
    ThreadRole,
    ThreadState,
    choose_realtime,
    parse_cpu_list,
    plan_realtime,
    read_system_file,
    read_topology,
)

AUTO = (-1, -1)


def topology(cpus, nodes=(), cores=()):
    """Build a topology: `nodes` and `cores` are groups of CPUs."""
    return CpuTopology(
        frozenset(cpus),
        {cpu: number for number, group in enumerate(nodes) for cpu in group},
        {cpu: frozenset(group) for group in cores for cpu in group},
    )


FLAT_4 = topology(range(4))
SMT_4 = topology(range(4), cores=[(0, 1), (2, 3)])
TWO_NODES = topology(range(8), nodes=[(0, 1, 2, 3), (4, 5, 6, 7)], cores=[(0, 4), (1, 5)])


class FakeScheduler:
    """One thread's scheduling in memory; `refused` names the calls that fail."""

    def __init__(self, cpus=(0, 1, 2, 3), refused=()):
        self.current = ThreadState(frozenset(cpus), os.SCHED_OTHER, 0)
        self.refused = refused
        self.calls = []

    def _call(self, name, *values):
        self.calls.append((name, *values))
        if name in self.refused:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def state(self):
        self._call("state")
        return self.current

    def set_affinity(self, cpus):
        self._call("set_affinity", cpus)
        self.current = self.current._replace(cpus=cpus)

    def set_policy(self, policy, priority):
        self._call("set_policy", policy, priority)
        self.current = self.current._replace(policy=policy, priority=priority)

    def priority_limit(self):
        return 0


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0\n", {0}),
        ("0-3,8\n", {0, 1, 2, 3, 8}),
        ("", set()),
        ("none", set()),
        ("1-x", set()),
        ("3-1", set()),
        ("0-99999999999", set(range(8192))),
    ],
)
def test_cpu_lists_of_the_kernel(text, cpus):
    assert parse_cpu_list(text) == cpus


def test_machine_is_read_from_the_system_files():
    files = {
        "/sys/devices/system/node/online": "0-1\n",
        "/sys/devices/system/node/node0/cpulist": "0-1\n",
        "/sys/devices/system/node/node1/cpulist": "2-3\n",
        "/sys/devices/system/cpu/cpu1/topology/thread_siblings_list": "0-1\n",
        "/sys/devices/system/cpu/cpu2/topology/thread_siblings_list": "2\n",
    }
    found = read_topology(frozenset({1, 2}), lambda path: files.get(path, ""))
    assert (found.node(1), found.node(2)) == (0, 1)
    assert found.share_core(1, 0)
    assert not found.share_core(2, 3)


def test_machine_without_system_files_is_one_flat_node():
    found = read_topology(frozenset({0, 1}), lambda path: "")
    assert (found.node(0), found.node(1)) == (0, 0)
    assert not found.share_core(0, 1)
    assert read_system_file("/sys/no/such/file") == ""


@pytest.mark.parametrize(
    ("setting", "core", "cpus", "pins", "priority"),
    [
        ("off", "compiled", 8, False, 0),
        ("off", "python", 8, False, 0),
        ("auto", "python", 1, False, 0),
        ("auto", "python", 3, False, 0),
        ("auto", "python", 4, True, 0),
        ("auto", "compiled", 1, False, 0),
        ("auto", "compiled", 3, False, 0),
        ("auto", "compiled", 4, True, 0),
        ("on", "python", 1, False, 0),
        ("on", "python", 2, True, 0),
        ("on", "compiled", 2, True, 10),
    ],
)
def test_when_anything_is_pinned(setting, core, cpus, pins, priority):
    plan = plan_realtime(setting, core, AUTO, 10, topology(range(cpus)))
    assert (plan.matcher_cpu is not None) is pins
    assert plan.fifo_priority == priority
    if pins:
        assert plan.away == frozenset(range(cpus)) - {plan.matcher_cpu}


def test_one_usable_cpu_is_refused_with_a_warning_where_it_was_wanted():
    assert "one usable CPU" in plan_realtime("on", "python", AUTO, 10, topology([3])).warnings[0]
    assert plan_realtime("auto", "python", AUTO, 10, topology([3])).warnings == ()


@pytest.mark.parametrize(
    ("where", "wanted", "matcher", "wal", "warned"),
    [
        (topology([0, 1]), AUTO, 1, 0, ""),
        (FLAT_4, AUTO, 3, 2, ""),
        (SMT_4, AUTO, 3, 1, ""),
        (topology([0, 1], cores=[(0, 1)]), AUTO, 1, None, ""),
        (TWO_NODES, AUTO, 3, 2, ""),
        (TWO_NODES, (5, -1), 5, 7, ""),
        (TWO_NODES, (-1, 5), 7, 5, ""),
        (FLAT_4, (0, 1), 0, 1, ""),
        (SMT_4, (-1, 3), 1, 3, ""),
        (topology([0, 1], cores=[(0, 1)]), (-1, 1), 0, 1, "one physical core"),
        (SMT_4, (0, 1), 0, 1, "one physical core"),
        (TWO_NODES, (3, 6), 3, 6, "different NUMA nodes"),
        (FLAT_4, (9, 1), 3, 1, "matcher CPU 9 is not usable (usable: [0, 1, 2, 3])"),
        (FLAT_4, (0, 9), 0, 3, "WAL CPU 9 is not usable"),
        (topology([1], nodes=[(0, 1)])._replace(usable=frozenset({1, 6})), AUTO, 6, 1, ""),
    ],
)
def test_choice_of_cpus(where, wanted, matcher, wal, warned):
    plan = plan_realtime("on", "compiled", wanted, 10, where)
    assert (plan.matcher_cpu, plan.wal_cpu) == (matcher, wal)
    assert warned in " ".join(plan.warnings)
    assert bool(plan.warnings) is bool(warned)


def enter_all(realtime, scheduler):
    """Enter the three roles as one thread; give the state after each."""
    states = []
    with realtime.applied(ThreadRole.TRIO):
        states.append(scheduler.current)
        with realtime.applied(ThreadRole.WAL):
            states.append(scheduler.current)
            with realtime.applied(ThreadRole.MATCHER):
                states.append(scheduler.current)
    return states


PLAN = Plan("on", 3, 2, frozenset({0, 1, 2}), 10)


def test_threads_are_placed_and_restored():
    scheduler = FakeScheduler()
    before = scheduler.current
    realtime = Realtime(PLAN, scheduler)
    trio, wal, matcher = enter_all(realtime, scheduler)
    assert trio.cpus == {0, 1, 2}
    assert wal.cpus == {2}
    assert matcher == ThreadState(frozenset({3}), os.SCHED_FIFO, 10)
    assert scheduler.current == before
    assert realtime.warnings == []
    assert realtime.describe() == "on: wal on CPU 2, matcher on CPU 3, matcher SCHED_FIFO 10"


def test_threads_are_restored_when_their_work_fails():
    scheduler = FakeScheduler()
    before = scheduler.current
    with pytest.raises(ValueError, match="work"), Realtime(PLAN, scheduler).applied(ThreadRole.WAL):
        raise ValueError("work")
    assert scheduler.current == before


def test_matcher_is_never_fifo_before_the_others_left_its_cpu():
    scheduler = FakeScheduler()
    realtime = Realtime(PLAN, scheduler)
    with realtime.applied(ThreadRole.TRIO), realtime.applied(ThreadRole.MATCHER):
        assert scheduler.current.policy == os.SCHED_OTHER
    assert "have not left the matcher's CPU" in realtime.warnings[0]


def test_a_matcher_that_is_only_pinned_stays_an_ordinary_thread():
    scheduler = FakeScheduler()
    realtime = Realtime(PLAN._replace(summary="auto", fifo_priority=0), scheduler)
    *_, matcher = enter_all(realtime, scheduler)
    assert matcher == ThreadState(frozenset({3}), os.SCHED_OTHER, 0)
    assert realtime.describe() == "auto: wal on CPU 2, matcher on CPU 3"


def test_the_python_core_is_pinned_without_fifo_and_says_so():
    assert "Python core" in plan_realtime("on", "python", AUTO, 10, FLAT_4).warnings[0]
    assert plan_realtime("auto", "python", AUTO, 10, FLAT_4).warnings == ()


def test_refused_fifo_is_a_warning_that_says_what_to_grant():
    scheduler = FakeScheduler(refused=("set_policy",))
    realtime = Realtime(PLAN, scheduler)
    enter_all(realtime, scheduler)
    assert "CAP_SYS_NICE" in realtime.warnings[0]
    assert "rtprio limit of at least 10 (it is 0)" in realtime.warnings[0]
    assert realtime.describe() == "on: wal on CPU 2, matcher on CPU 3"


def test_refused_affinity_is_a_warning_and_forbids_fifo():
    scheduler = FakeScheduler(refused=("set_affinity",))
    realtime = Realtime(PLAN, scheduler)
    states = enter_all(realtime, scheduler)
    assert {state.policy for state in states} == {os.SCHED_OTHER}
    assert "set_policy" not in [call[0] for call in scheduler.calls]
    assert "trio thread not moved to CPUs [0, 1, 2]" in realtime.warnings[0]
    assert realtime.describe() == "on: everything refused"


def test_unreadable_scheduling_is_a_warning():
    scheduler = FakeScheduler(refused=("state",))
    realtime = Realtime(PLAN, scheduler)
    enter_all(realtime, scheduler)
    assert {call[0] for call in scheduler.calls} == {"state"}
    assert "cannot be read" in realtime.warnings[0]


def test_a_plan_for_nothing_touches_nothing():
    scheduler = FakeScheduler()
    realtime = Realtime(Plan("off"), scheduler)
    enter_all(realtime, scheduler)
    assert scheduler.calls == []
    assert realtime.describe() == "off"


def test_real_system_calls_pin_this_thread_only_and_restore_it():
    """The real scheduler, in a thread of its own: whatever is refused must be a warning."""
    before = LinuxScheduler().state()
    seen = []

    def body():
        realtime = choose_realtime("on", "python", AUTO, 1)
        start = LinuxScheduler().state()
        with realtime.applied(ThreadRole.TRIO):
            seen.append(LinuxScheduler().state().cpus)
        seen.append((LinuxScheduler().state() == start, realtime.describe()))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    cpus, (restored, summary) = seen
    assert restored
    assert cpus <= before.cpus
    assert (len(cpus) < len(before.cpus)) is (len(before.cpus) > 1)
    assert summary.startswith("on: ")
    assert LinuxScheduler().state() == before
    assert LinuxScheduler().priority_limit() >= -1
