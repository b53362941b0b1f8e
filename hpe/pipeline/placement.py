"""Where the threads run: pinning, SCHED_FIFO, and a choice of CPUs that respects NUMA and SMT.

Owns the decision (`plan_realtime`, a pure function of settings and CPUs) and its application
(`Realtime.applied`, entered by each thread for itself). Guarantees: a refusal by the system is a
warning that says what the operator must grant, never an error; the matcher becomes SCHED_FIFO
only after the Trio thread and the log thread have left its CPU; leaving restores the old settings.
Relies on Linux: affinity and policy belong to a thread, and 0 means the calling one. No Trio.

The reason for the caution: ordinary threads never preempt a SCHED_FIFO thread. With the reference
core it holds the GIL while it works: on two CPUs that gave the Trio thread pauses of 86-139 ms. So
that core never gets SCHED_FIFO. And pinned on two CPUs, with either core, the Trio thread, the log
thread and the network share the one that is left.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from hpe.extensions import CoreName

AUTO_CPUS_MIN: Final = 4
"""Usable CPUs below which `auto` pins nothing."""

CPUS_MAX: Final = 8_192
"""Most CPUs that a Linux kernel can be built for: bounds what a list in /sys may expand to."""

Setting = Literal["auto", "off", "on"]


class ThreadRole(Enum):
    """The threads of the service that are placed."""

    TRIO = "trio"
    WAL = "wal"
    MATCHER = "matcher"


class ThreadState(NamedTuple):
    """Affinity and scheduling of one thread."""

    cpus: frozenset[int]
    policy: int
    priority: int


class CpuTopology(NamedTuple):
    """The inputs of the choice: usable CPUs, the NUMA node of each, its SMT siblings."""

    usable: frozenset[int]
    node_of: dict[int, int]
    siblings_of: dict[int, frozenset[int]]

    def node(self, cpu: int) -> int:
        """Return the NUMA node of a CPU, 0 if the system does not say."""
        return self.node_of.get(cpu, 0)

    def share_core(self, one: int, other: int) -> bool:
        """True if two CPUs are the same one or threads of one physical core."""
        return one == other or other in self.siblings_of.get(one, frozenset())


class Plan(NamedTuple):
    """The chosen placement. `matcher_cpu` None: nothing is pinned. `away`: for other threads.

    `fifo_priority` 0: the matcher stays an ordinary thread.
    """

    summary: str
    matcher_cpu: int | None = None
    wal_cpu: int | None = None
    away: frozenset[int] = frozenset()
    fifo_priority: int = 0
    warnings: tuple[str, ...] = ()


class Scheduler(Protocol):
    """System calls about the calling thread. Every method may raise OSError."""

    def state(self) -> ThreadState:
        """Return affinity and scheduling."""

    def set_affinity(self, cpus: frozenset[int]) -> None:
        """Allow only these CPUs."""

    def set_policy(self, policy: int, priority: int) -> None:
        """Change scheduling policy and priority."""

    def priority_limit(self) -> int:
        """Return the highest real-time priority that an unprivileged process may ask for."""


class LinuxScheduler:
    """The real system calls."""

    def state(self) -> ThreadState:
        """Return affinity and scheduling."""
        return ThreadState(
            frozenset(os.sched_getaffinity(0)),
            os.sched_getscheduler(0),
            os.sched_getparam(0).sched_priority,
        )

    def set_affinity(self, cpus: frozenset[int]) -> None:
        """Allow only these CPUs."""
        os.sched_setaffinity(0, cpus)

    def set_policy(self, policy: int, priority: int) -> None:
        """Change scheduling policy and priority."""
        os.sched_setscheduler(0, policy, os.sched_param(priority))

    def priority_limit(self) -> int:
        """Return the soft RLIMIT_RTPRIO."""
        return resource.getrlimit(resource.RLIMIT_RTPRIO)[0]


def read_system_file(path: str) -> str:
    """Return a file of /sys, "" if it is missing (containers and old kernels hide some)."""
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""


def parse_cpu_list(text: str) -> frozenset[int]:
    """Return the set in the kernel's list form: "0-3,8" is {0, 1, 2, 3, 8}; {} if malformed."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            return frozenset()
        cpus.update(range(int(first), min(int(last or first), CPUS_MAX - 1) + 1))
    return frozenset(cpus)


def read_topology(
    usable: frozenset[int], read_text: Callable[[str], str] = read_system_file
) -> CpuTopology:
    """Return the node and siblings of every usable CPU.

    Args:
        usable: what `sched_getaffinity` allows, before anything was pinned.
        read_text: returns the text of a file under /sys, "" if it is missing.
    """
    nodes = "/sys/devices/system/node"
    node_of = {
        cpu: node
        for node in sorted(parse_cpu_list(read_text(f"{nodes}/online")))
        for cpu in parse_cpu_list(read_text(f"{nodes}/node{node}/cpulist"))
    }
    siblings_of = {
        cpu: parse_cpu_list(
            read_text(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        )
        for cpu in usable
    }
    return CpuTopology(usable, node_of, siblings_of)


def plan_realtime(
    setting: Setting, core: CoreName, wanted: tuple[int, int], priority: int, topology: CpuTopology
) -> Plan:
    """Decide the placement; a pure function.

    Args:
        setting: `off` never; `auto` pins where it is known to help; `on` wherever it can work,
            and makes the matcher SCHED_FIFO.
        core: the core that serves; the reference core, "python", is never SCHED_FIFO.
        wanted: configured CPU of the matcher and of the log thread, -1 to choose.
        priority: SCHED_FIFO priority of the matcher, 1-99.
        topology: the CPUs.
    """
    count = len(topology.usable)
    if setting == "off":
        return Plan("off")
    if setting == "auto" and count < AUTO_CPUS_MIN:
        return Plan(f"auto: nothing pinned ({count} usable CPUs: from {AUTO_CPUS_MIN} on)")
    if count < 2:
        return Plan(
            "on: nothing pinned (one usable CPU)",
            warnings=(
                "pinning and SCHED_FIFO refused: with one usable CPU the matcher would starve "
                "the rest of the service; allow it two CPUs or set realtime = off",
            ),
        )
    matcher_cpu, wal_cpu, warnings = _choose_cpus(wanted, topology)
    if setting == "on" and core == "python":
        warnings.append(
            "no SCHED_FIFO with the Python core, which holds the interpreter's lock while it works"
        )
    fifo_priority = priority if setting == "on" and core == "compiled" else 0
    away = topology.usable - {matcher_cpu}
    return Plan(setting, matcher_cpu, wal_cpu, away, fifo_priority, tuple(warnings))


def _choose_cpus(
    wanted: tuple[int, int], topology: CpuTopology
) -> tuple[int, int | None, list[str]]:
    warnings: list[str] = []
    configured: list[int | None] = []
    for name, cpu in zip(("matcher", "WAL"), wanted, strict=True):
        if cpu >= 0 and cpu not in topology.usable:
            warnings.append(
                f"{name} CPU {cpu} is not usable (usable: {sorted(topology.usable)}); choosing one"
            )
        configured.append(cpu if cpu in topology.usable else None)
    matcher_cpu, wal_cpu = configured
    if matcher_cpu is None:
        matcher_cpu = _choose_matcher(topology, wal_cpu)
    if wal_cpu is None:
        return matcher_cpu, _choose_wal(topology, matcher_cpu), warnings
    if topology.share_core(matcher_cpu, wal_cpu):
        warnings.append(f"CPUs {matcher_cpu} and {wal_cpu} are threads of one physical core")
    if topology.node(matcher_cpu) != topology.node(wal_cpu):
        warnings.append(f"CPUs {matcher_cpu} and {wal_cpu} are on different NUMA nodes")
    return matcher_cpu, wal_cpu, warnings


def _choose_matcher(topology: CpuTopology, wal_cpu: int | None) -> int:
    """Return the last CPU of the fullest node: low ones get most interrupts and other work."""
    candidates = topology.usable
    if wal_cpu is not None:
        beside = frozenset(
            cpu for cpu in candidates - {wal_cpu} if not topology.share_core(cpu, wal_cpu)
        )
        near = frozenset(cpu for cpu in beside if topology.node(cpu) == topology.node(wal_cpu))
        candidates = near or beside or candidates - {wal_cpu}
    sizes: dict[int, int] = {}
    for cpu in candidates:
        sizes[topology.node(cpu)] = sizes.get(topology.node(cpu), 0) + 1
    node = min(sizes, key=lambda each: (-sizes[each], each))
    return max(cpu for cpu in candidates if topology.node(cpu) == node)


def _choose_wal(topology: CpuTopology, matcher_cpu: int) -> int | None:
    """Return a CPU of the same node but another core; None leaves the log thread unpinned."""
    return max(
        (
            cpu
            for cpu in topology.usable
            if topology.node(cpu) == topology.node(matcher_cpu)
            and not topology.share_core(cpu, matcher_cpu)
        ),
        default=None,
    )


class Realtime:
    """One plan, applied by the threads of one service.

    Each thread enters `applied(role)` for itself before it reports that it is live: the Trio
    thread first (threads that it starts later inherit its CPUs), then the log thread, then the
    matcher. These threads append to `done` and `warnings` one after the other, and the Trio thread
    reads both once all are live.
    """

    def __init__(self, plan: Plan, scheduler: Scheduler) -> None:
        self._plan = plan
        self._scheduler = scheduler
        self._moved: set[ThreadRole] = set()
        self.done: list[str] = []
        self.warnings: list[str] = list(plan.warnings)

    def describe(self) -> str:
        """Return one phrase for the ready line, server_info and benchmarks."""
        if self._plan.matcher_cpu is None:
            return self._plan.summary
        return f"{self._plan.summary}: {', '.join(self.done) or 'everything refused'}"

    @contextmanager
    def applied(self, role: ThreadRole) -> Iterator[None]:
        """Place the calling thread; on leaving, restore its settings.

        Restoring matters because Trio keeps its worker threads for other jobs.
        """
        if self._plan.matcher_cpu is None:
            yield
            return
        try:
            before = self._scheduler.state()
        except OSError as error:
            self.warnings.append(f"{role.value}: scheduling cannot be read: {error.strerror}")
            yield
            return
        try:
            self._place(role)
            yield
        finally:
            self._restore(role, before)

    def _place(self, role: ThreadRole) -> None:
        cpus = self._cpus(role)
        try:
            self._scheduler.set_affinity(cpus)
        except OSError as error:
            self.warnings.append(
                f"{role.value} thread not moved to CPUs {sorted(cpus)}: {error.strerror}; "
                "allow them in the service's cpuset"
            )
            return
        self._moved.add(role)
        if role is not ThreadRole.TRIO and len(cpus) == 1:
            self.done.append(f"{role.value} on CPU {min(cpus)}")
        if role is ThreadRole.MATCHER and self._plan.fifo_priority:
            self._make_fifo()

    def _cpus(self, role: ThreadRole) -> frozenset[int]:
        plan = self._plan
        if role is ThreadRole.MATCHER and plan.matcher_cpu is not None:
            return frozenset({plan.matcher_cpu})
        if role is ThreadRole.WAL and plan.wal_cpu is not None:
            return frozenset({plan.wal_cpu})
        return plan.away

    def _make_fifo(self) -> None:
        priority = self._plan.fifo_priority
        if not {ThreadRole.TRIO, ThreadRole.WAL} <= self._moved:
            self.warnings.append(
                "SCHED_FIFO refused: the Trio and log threads have not left the matcher's CPU"
            )
            return
        try:
            # Without SCHED_RESET_ON_FORK: clearing that flag again needs CAP_SYS_NICE, so a
            # process with only an rtprio limit could not restore the thread. Processes are
            # started by the Trio thread, which is never FIFO.
            self._scheduler.set_policy(os.SCHED_FIFO, priority)
        except OSError as error:
            self.warnings.append(
                f"SCHED_FIFO {priority} refused: {error.strerror}; grant CAP_SYS_NICE or an rtprio "
                f"limit of at least {priority} (it is {self._scheduler.priority_limit()})"
            )
            return
        self.done.append(f"matcher SCHED_FIFO {priority}")

    def _restore(self, role: ThreadRole, before: ThreadState) -> None:
        try:
            if self._scheduler.state() != before:
                self._scheduler.set_policy(before.policy, before.priority)
                self._scheduler.set_affinity(before.cpus)
        except OSError as error:
            self.warnings.append(f"{role.value} thread keeps its place: {error.strerror}")


def choose_realtime(
    setting: Setting,
    core: CoreName,
    wanted: tuple[int, int],
    priority: int,
    scheduler: Scheduler | None = None,
) -> Realtime:
    """Read the machine, decide, and return the object that the threads enter.

    Called by the Trio thread before it is moved: its CPUs are the usable ones.
    """
    system = scheduler if scheduler is not None else LinuxScheduler()
    topology = read_topology(system.state().cpus)
    return Realtime(plan_realtime(setting, core, wanted, priority, topology), system)
