"""The matching loop with a real core, real queues and a hand-set clock."""

from __future__ import annotations

import queue
from collections.abc import Callable
from itertools import pairwise
from typing import Final

import pytest

from hpe.core import new_core
from hpe.core.codec import decode_body, encode
from hpe.core.contract import DUE_AT_ONCE, SYSTEM_CONNECTION, Batch, Core, Output, Run
from hpe.core.state.rows import DumpedSession
from hpe.errors import InvariantViolation
from hpe.machine import Reading
from hpe.pipeline.clock import DAY_NS, SECOND_NS, Clock
from hpe.pipeline.matching import PAUSES, Matching
from hpe.pipeline.matching_thread import STOP, run, take
from hpe.protocol.base import Request, type_number
from hpe.protocol.enums import DetachCause
from hpe.protocol.frames import chunk_of, frame, split_frames
from hpe.protocol.internal import SessionAttached, SessionDetached, Tick
from hpe.protocol.listings import AddAsset, ListAssets
from tests.support.core_around import CoreAround, Planned
from tests.support.dumps import rows_of
from tests.support.hand_set_clock import NOON_NS, HandSetClock
from tests.support.listed import listed


def work(*requests: Request, connection: int = SYSTEM_CONNECTION, attach: int = 0) -> Batch:
    frames = b"".join(frame(encode(request)) for request in requests)
    runs = [Run(connection, attach, 0, chunk_of(frames))]
    return Batch(0, runs)


MILLISECOND_NS: Final = 1_000_000
ATTACH = work(SessionAttached(1, 0, 7, 0))


class Loop:
    """Runs the loop over prepared batches in this thread."""

    def __init__(self, machine: Callable[[], Reading] | None = None) -> None:
        self.core: Core = new_core()
        self.inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self.log_inbox: queue.SimpleQueue[Output | None] = queue.SimpleQueue()
        self.clock = Clock(self.core.last_time_ns, read=machine or HandSetClock())
        self.freed = 0

    def free(self) -> None:
        self.freed += 1

    def serve(self, *items: Batch | None) -> list[Output]:
        for item in items:
            self.inbox.put(item)
        run(Matching(self.core, self.clock), self.inbox, self.log_inbox, self.free)
        served = []
        while not self.log_inbox.empty():
            item = self.log_inbox.get()
            assert item is not None
            served.append(item)
        return served


def test_every_batch_before_stop_is_applied_in_order_and_frees_its_slot() -> None:
    loop = Loop()
    batches = [
        work(AddAsset(number, f"A{number}", 2), connection=1, attach=1) for number in (1, 2, 3)
    ]
    served = loop.serve(ATTACH, *batches, STOP)
    assert [item.last_sequence for item in served] == [1, 2, 3, 4]
    sizes = [len(batch.runs[0].chunk.frames) for batch in batches]
    assert [listed(item).weights for item in served] == [[], *([(1, 1, size)] for size in sizes)]
    assert loop.freed == 4


def test_batch_times_rise_although_the_clock_stands_or_goes_back() -> None:
    machine = HandSetClock()
    walls = iter([NOON_NS, NOON_NS - 1_000, NOON_NS + 9_000, NOON_NS])

    class SetAfterEachBatch(Loop):
        def free(self) -> None:
            machine.wall_ns = next(walls)

    loop = SetAfterEachBatch(machine)
    batches = [work(SessionAttached(number, 0, 7, 0)) for number in (1, 2, 3, 4)]
    served = loop.serve(*batches, STOP)
    times = [decode_body(item.body).time_ns - NOON_NS for item in served]
    assert times == [0, 1, 2, 9_000]


def test_queries_alone_pass_without_a_body() -> None:
    loop = Loop()
    served = loop.serve(ATTACH, work(ListAssets(1), connection=1, attach=1), STOP)
    assert served[1].body == b""
    assert served[1].replies


def test_what_is_wanted_of_market_data_holds_for_ticks_too() -> None:
    machine = HandSetClock()
    loop = Loop(machine)
    seen: list[bytes] = []

    class WantedByCore(CoreAround):
        def apply(self, batch: Batch) -> Output:
            seen.append(batch.wanted)
            if len(seen) == 2:
                machine.sleeps(2 * DAY_NS)  # the session that was left expires
            if len(seen) == 3:
                loop.inbox.put(STOP)
            return super().apply(batch)

    loop.core = WantedByCore()
    detach = work(SessionDetached(1, 1, 1, DetachCause.CONNECTION_LOST))
    levels = b"\x00\x00\x00\x01\x02"
    detach.wanted = levels
    loop.serve(ATTACH, detach)
    assert seen == [b"", levels, levels]


def test_late_market_data_is_made_up_for_when_nothing_waits() -> None:
    loop = Loop()
    seen: list[tuple[int, bytes, int]] = []

    class LateCore(CoreAround):
        def apply(self, batch: Batch) -> Output:
            seen.append((len(batch.runs), batch.wanted, batch.time_ns))
            if len(seen) == 4:
                loop.inbox.put(STOP)
            return super().apply(batch)._replace(late=len(seen) < 4)

    loop.core = LateCore()
    status = b"\x00\x00\x00\x01\x10"
    query = work(ListAssets(1), connection=1, attach=1)
    query.wanted = status
    served = loop.serve(ATTACH, query)
    assert [runs for runs, *_ in seen] == [1, 1, 0, 0]
    assert [wanted for _, wanted, _ in seen] == [b"", status, status, status]
    times = [time_ns for *_, time_ns in seen]
    assert times == sorted(set(times)), "also of what is not logged"
    assert [item.body == b"" for item in served] == [False, True, True, True]
    assert [listed(item).weights for item in served[2:]] == [[], []]
    assert loop.freed == 2, "it holds no slot"


def test_what_waits_goes_before_late_market_data() -> None:
    machine = HandSetClock()
    matching = Matching(Planned(machine, late=True), Clock(0, read=machine))
    matching.step([ATTACH])
    inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
    inbox.put(ATTACH)
    assert take(inbox, matching) == [ATTACH]
    assert take(inbox, matching) == []


def test_what_is_due_waits_until_its_pace_but_a_batch_does_not() -> None:
    machine = HandSetClock()
    core = Planned(machine, due_ns=DUE_AT_ONCE, takes_ns=DAY_NS)
    matching = Matching(core, Clock(0, read=machine))
    matching.step([ATTACH])
    inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
    inbox.put(ATTACH)
    assert take(inbox, matching) == [ATTACH]
    machine.passes(DAY_NS)
    assert take(inbox, matching) == []


def test_what_goes_on_by_itself_leaves_as_much_time_as_it_takes() -> None:
    machine = HandSetClock()
    loop = Loop(machine)
    began: list[int] = []

    class Unfinished(CoreAround):
        def apply(self, batch: Batch) -> Output:
            began.append(machine.steady_ns)
            machine.passes(10 * MILLISECOND_NS)
            if len(began) == 3:
                loop.inbox.put(STOP)
            return super().apply(batch)._replace(next_due_ns=DUE_AT_ONCE)

    def read() -> Reading:
        machine.passes(MILLISECOND_NS)
        return machine()

    loop.core = Unfinished()
    loop.clock = Clock(0, read=read)
    loop.serve(ATTACH)
    waits_ns = [after - before for before, after in pairwise(began)]
    assert all(wait_ns >= (1 + PAUSES) * 10 * MILLISECOND_NS for wait_ns in waits_ns)


class EndsTheLoop(queue.SimpleQueue[Output | None]):
    """A log inbox that stops the loop at the first output."""

    def __init__(self, inbox: queue.SimpleQueue[Batch | None]) -> None:
        super().__init__()
        self.inbox = inbox

    def put(self, item: Output | None, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self.inbox.put(STOP)


def test_a_timer_that_is_due_makes_one_tick_when_nothing_comes() -> None:
    machine = HandSetClock()
    detach = work(SessionDetached(1, 1, 1, DetachCause.CONNECTION_LOST))
    loop = Loop(machine)
    loop.serve(ATTACH, detach, STOP)
    assert rows_of(loop.core, DumpedSession), "the session waits to expire"
    machine.passes(2 * DAY_NS)
    loop.log_inbox = EndsTheLoop(loop.inbox)
    freed = loop.freed
    served = loop.serve()
    (group,) = decode_body(served[0].body).groups
    (body,) = split_frames(group[2])
    assert body[1] == type_number(Tick)
    assert len(served) == 1
    assert not rows_of(loop.core, DumpedSession), "the tick let it expire"
    assert loop.freed == freed, "a tick holds no slot"


def test_a_waiting_batch_goes_before_a_due_timer() -> None:
    inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
    inbox.put(ATTACH)
    machine = HandSetClock()
    matching = Matching(Planned(machine, due_ns=10), Clock(NOON_NS, read=machine))
    assert matching.wait_ns() == 0
    assert take(inbox, matching) == [ATTACH]


class Counting(queue.SimpleQueue[Batch | None]):
    """An empty inbox: notes how long each wait was to be, and lets that time pass."""

    def __init__(self, passes: Callable[[float], None]) -> None:
        super().__init__()
        self.passes = passes
        self.waits: list[float] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Batch | None:
        assert timeout is not None
        self.waits.append(timeout)
        self.passes(timeout)
        raise queue.Empty


def test_no_wait_is_longer_than_a_second_while_anything_has_a_time() -> None:
    machine = HandSetClock()
    clock = Clock(0, read=machine)
    inbox = Counting(lambda wait_s: machine.passes(int(wait_s * 1e9)))
    due_ns = clock.stamp() + 5 * SECOND_NS // 2
    assert take(inbox, Matching(Planned(machine, due_ns=due_ns), clock)) == []
    assert inbox.waits == [1.0, 1.0, 0.5]


def test_a_clock_that_is_set_back_while_it_waits_does_not_stop_the_timer() -> None:
    machine = HandSetClock()
    clock = Clock(0, read=machine)
    due_ns = clock.stamp() + 2 * SECOND_NS

    def passes(wait_s: float) -> None:
        if len(inbox.waits) == 1:
            machine.is_set(-3_600 * SECOND_NS)
        machine.passes(int(wait_s * 1e9))

    inbox = Counting(passes)
    take(inbox, Matching(Planned(machine, due_ns=due_ns), clock))
    assert inbox.waits == [1.0, 1.0, 1.0, 1.0], "half pace: twice as long, and no longer"


@pytest.mark.parametrize("back_ns", [0, 3_600 * SECOND_NS, NOON_NS])
def test_what_is_unfinished_is_due_at_once_whatever_the_clock_says(back_ns: int) -> None:
    machine = HandSetClock()
    clock = Clock(NOON_NS, read=machine)
    machine.is_set(-back_ns)
    inbox = Counting(lambda wait_s: None)
    matching = Matching(Planned(machine, due_ns=DUE_AT_ONCE), clock)
    assert take(inbox, matching) == []
    assert inbox.waits == []


class PlantedFault(CoreAround):
    def apply(self, batch: Batch) -> Output:
        if batch.runs:
            raise InvariantViolation("planted")
        return super().apply(batch)


def test_a_bug_in_the_core_ends_the_loop_and_hands_nothing_on() -> None:
    loop = Loop()
    loop.core = PlantedFault()
    with pytest.raises(InvariantViolation, match="planted"):
        loop.serve(ATTACH, STOP)
    assert loop.log_inbox.empty()
    assert loop.freed == 0
