"""The loops of the load generator: filling the books, closed loop, open loop, with their figures.

One thread and a selector over the connections. Guarantee: a Measured stands for what was answered
between the end of the warm-up and the last answer. Relies on TrafficConnection for sending and
counting.
"""

from __future__ import annotations

import selectors
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.report import AnswersWrong
from bench.traffic_connection import STALL_S_MAX, TrafficConnection

WARM_UP_S: Final = 0.5
"""Answers of this first part of a run are checked, but are in no figure."""


@dataclass(slots=True)
class Measured:
    """One run's figures, of what was answered after the warm-up.

    `lag_ns`: how late requests were sent, empty in the closed loop.
    """

    requests: int
    wall_s: float
    generator_cpu_s: float
    server_cpu_s: float
    latencies_ns: array[int]
    lag_ns: array[int]

    @property
    def rate(self) -> float:
        """Return requests answered per second."""
        return self.requests / self.wall_s

    @property
    def generator_share(self) -> float:
        """Share of a core that the generator itself used."""
        return self.generator_cpu_s / self.wall_s

    @property
    def server_share(self) -> float:
        """Share of a core that the server used."""
        return self.server_cpu_s / self.wall_s


class Stopwatch:
    """Takes a run's latencies, time and CPU seconds, from the end of its warm-up on.

    Args:
        warm_up_s: seconds in which nothing is counted yet.
        server_cpu_s: CPU seconds that the server has used so far.
    """

    def __init__(
        self, warm_up_s: float = WARM_UP_S, server_cpu_s: Callable[[], float] = float
    ) -> None:
        self._warm_up_s = warm_up_s
        self._server_cpu_s = server_cpu_s
        self.latencies_ns, self.lag_ns = array("q"), array("q")

    def start(self) -> None:
        """Begin; what came before is not counted."""
        del self.latencies_ns[:], self.lag_ns[:]
        self._server_s, self._own_s = self._server_cpu_s(), time.process_time()
        self._start_ns = time.perf_counter_ns()

    def look(self) -> None:
        """Begin anew once, when the warm-up is over."""
        if self._warm_up_s and self._elapsed_s() >= self._warm_up_s:
            self._warm_up_s = 0.0
            self.start()

    def stop(self) -> Measured:
        """Return what was measured."""
        wall_s = self._elapsed_s()
        own_s, server_s = time.process_time(), self._server_cpu_s()
        return Measured(
            len(self.latencies_ns), wall_s, own_s - self._own_s, server_s - self._server_s,
            self.latencies_ns, self.lag_ns,
        )  # fmt: skip

    def _elapsed_s(self) -> float:
        return (time.perf_counter_ns() - self._start_ns) / 1e9


def fill_books(connections: Sequence[TrafficConnection]) -> None:
    """Send what fills the book, and wait for its answers."""
    with _selector(connections, selectors.EpollSelector) as selector:
        ignored = array("q")
        _begin(selector, connections, filling=True)
        left = sum(connection.total for connection in connections)
        while left:
            left -= _answered(selector, ignored, left, filling=True)
    for connection in connections:
        connection.end_filling()


def run_closed(connections: Sequence[TrafficConnection], watch: Stopwatch) -> Measured:
    """Keep every connection's window full until everything is answered."""
    with _selector(connections, selectors.EpollSelector) as selector:
        watch.start()
        _begin(selector, connections)
        left = sum(connection.total - connection.answered for connection in connections)
        while left:
            watch.look()  # before the last answers, so that some are counted
            left -= _answered(selector, watch.latencies_ns, left)
        return watch.stop()


def _selector(
    connections: Sequence[TrafficConnection], kind: Callable[[], selectors.BaseSelector]
) -> selectors.BaseSelector:
    """Return a selector that watches the connections for answers."""
    selector = kind()
    for connection in connections:
        selector.register(connection, selectors.EVENT_READ, connection)
    return selector


def _begin(
    selector: selectors.BaseSelector,
    connections: Sequence[TrafficConnection],
    *,
    filling: bool = False,
) -> None:
    for connection in connections:
        _refill(connection, filling)
        _send(selector, connection)


def _answered(
    selector: selectors.BaseSelector, latencies_ns: array[int], left: int, *, filling: bool = False
) -> int:
    """Wait for answers, keep windows full; return how many requests were answered."""
    answered = _pump(selector, STALL_S_MAX, latencies_ns, refill=True, filling=filling)
    if answered is None:
        raise AnswersWrong(f"no reply for {STALL_S_MAX} s, {left} requests unanswered")
    return answered


def run_open(connections: Sequence[TrafficConnection], rate: float, watch: Stopwatch) -> Measured:
    """Send at a fixed rate, over the connections in turn, whatever the server does."""
    # select() is accurate to microseconds; epoll's milliseconds would delay the schedule.
    with _selector(connections, selectors.SelectSelector) as selector:
        watch.start()
        progress_ns = time.perf_counter_ns()
        schedule = _Schedule(connections, rate, progress_ns)
        left = schedule.total
        while left:
            watch.look()
            now_ns = time.perf_counter_ns()
            for connection in schedule.release(now_ns, watch.lag_ns):
                _send(selector, connection)
            wait_s = max(schedule.next_due_ns - time.perf_counter_ns(), 0) / 1e9
            answered = _pump(selector, min(wait_s, STALL_S_MAX), watch.latencies_ns, refill=False)
            if answered:
                left, progress_ns = left - answered, now_ns
            elif now_ns - progress_ns > STALL_S_MAX * 1e9:
                raise AnswersWrong(f"no reply for {STALL_S_MAX} s, {left} requests unanswered")
        return watch.stop()


class _Schedule:
    """When each request is due: the i-th at start + i / rate, on connection i modulo n.

    Attributes:
        total: requests of all connections that are not answered at the start.
    """

    def __init__(
        self, connections: Sequence[TrafficConnection], rate: float, start_ns: int
    ) -> None:
        self._connections = connections
        self._before = [connection.answered for connection in connections]
        self._period_ns = 1e9 / rate
        self._start_ns = start_ns
        self.total = sum(connection.total for connection in connections) - sum(self._before)
        self.next_due_ns = start_ns

    def release(self, now_ns: int, lag_ns: array[int]) -> list[TrafficConnection]:
        """Allow requests that are due and fit their window; return the connections concerned."""
        due = min(int((now_ns - self._start_ns) / self._period_ns) + 1, self.total)
        count = len(self._connections)
        released = []
        for number, connection in enumerate(self._connections):
            before = self._before[number]
            target = min(
                before + (due - number + count - 1) // count,
                connection.answered + connection.window,
            )
            if target <= connection.allowed:
                continue
            for index in range(connection.allowed, target):
                turn = (index - before) * count + number
                due_ns = self._start_ns + int(turn * self._period_ns)
                lag_ns.append(now_ns - due_ns)
                connection.allow(index + 1, due_ns)
            released.append(connection)
        if due < self.total:
            self.next_due_ns = self._start_ns + int(due * self._period_ns)
        else:
            self.next_due_ns = now_ns + int(STALL_S_MAX * 1e9)
        return released


def _pump(
    selector: selectors.BaseSelector,
    timeout_s: float,
    latencies_ns: array[int],
    *,
    refill: bool,
    filling: bool = False,
) -> int | None:
    """Serve the sockets that are ready; return the number of answers, None if none were ready."""
    ready = selector.select(timeout_s)
    if not ready:
        return None
    answered = 0
    for key, events in ready:
        connection: TrafficConnection = key.data
        if events & selectors.EVENT_READ:
            answered += connection.receive(latencies_ns)
            if refill:
                _refill(connection, filling)
        _send(selector, connection)
    return answered


def _refill(connection: TrafficConnection, filling: bool) -> None:
    window = connection.fill_window if filling else connection.window
    target = min(connection.answered + window, connection.total)
    if target > connection.allowed:
        connection.allow(target, time.perf_counter_ns())


def _send(selector: selectors.BaseSelector, connection: TrafficConnection) -> None:
    """Send what is allowed; watch for writability only while the kernel takes no more."""
    events = selectors.EVENT_READ
    if not connection.flush():
        events |= selectors.EVENT_WRITE
    if selector.get_key(connection).events != events:
        selector.modify(connection, events, connection)
