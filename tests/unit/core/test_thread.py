"""The matching loop with a real core, real queues and a hand-set clock."""

from __future__ import annotations

import queue
from collections.abc import Callable

import pytest

from hpe.core import new_core
from hpe.core.codec import decode_body, encode, frame, split_frames
from hpe.core.core import SYSTEM_CONNECTION, Batch, Output, Run
from hpe.core.reference import ReferenceCore
from hpe.core.thread import STOP, Served, Work, _take, run
from hpe.errors import InvariantViolation
from hpe.messages import (
    AddAsset,
    DetachCause,
    ListAssets,
    Request,
    SessionAttached,
    SessionDetached,
    Tick,
    type_number,
)

DAY_NS = 86_400 * 10**9


def work(*requests: Request, connection: int = SYSTEM_CONNECTION, attach: int = 0) -> Work:
    frames = b"".join(frame(encode(request)) for request in requests)
    runs = [Run(connection, attach, 0, len(requests), frames)]
    return Work(runs, {connection: (len(requests), len(frames))})


ATTACH = work(SessionAttached(1, 0, 7, 0))


class Loop:
    """Runs the loop over prepared batches in this thread."""

    def __init__(self, clock: Callable[[], int] = lambda: 1_000) -> None:
        self.core = new_core()
        self.inbox: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self.log_inbox: queue.SimpleQueue[Served | None] = queue.SimpleQueue()
        self.clock = clock
        self.freed = 0

    def free(self) -> None:
        self.freed += 1

    def serve(self, *items: Work | None) -> list[Served]:
        for item in items:
            self.inbox.put(item)
        run(self.core, self.inbox, self.log_inbox, self.free, clock=self.clock)
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
    assert [item.output.last_sequence for item in served] == [1, 2, 3, 4]
    assert [item.weights for item in served] == [item.weights for item in (ATTACH, *batches)]
    assert loop.freed == 4


def test_batch_times_rise_although_the_clock_stands_or_goes_back() -> None:
    readings = iter([5_000, 5_000, 4_000, 9_000])
    loop = Loop(lambda: next(readings))
    batches = [work(SessionAttached(number, 0, 7, 0)) for number in (1, 2, 3, 4)]
    served = loop.serve(*batches, STOP)
    times = [decode_body(item.output.body).time_ns for item in served]
    assert times == [5_000, 5_001, 5_002, 9_000]


def test_queries_alone_pass_without_a_body() -> None:
    loop = Loop()
    served = loop.serve(ATTACH, work(ListAssets(1), connection=1, attach=1), STOP)
    assert served[1].output.body == b""
    assert served[1].output.replies


def test_what_is_wanted_of_market_data_holds_for_ticks_too() -> None:
    now_ns = [1_000]
    loop = Loop(lambda: now_ns[0])
    seen: list[bytes] = []

    class Watching(ReferenceCore):
        def apply(self, batch: Batch) -> Output:
            seen.append(batch.wanted)
            if len(seen) == 2:
                now_ns[0] += 2 * DAY_NS  # the session that was left expires
            if len(seen) == 3:
                loop.inbox.put(STOP)
            return super().apply(batch)

    loop.core = Watching()
    detach = work(SessionDetached(1, 1, 1, DetachCause.CONNECTION_LOST))
    levels = b"\x00\x00\x00\x01\x02"
    loop.serve(ATTACH, detach._replace(wanted=levels))
    assert seen == [b"", levels, levels]


class EndsTheLoop(queue.SimpleQueue[Served | None]):
    """A log inbox that stops the loop at the first output."""

    def __init__(self, inbox: queue.SimpleQueue[Work | None]) -> None:
        super().__init__()
        self.inbox = inbox

    def put(self, item: Served | None, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self.inbox.put(STOP)


def test_a_timer_that_is_due_makes_one_tick_when_nothing_comes() -> None:
    now_ns = [1_000]
    detach = work(SessionDetached(1, 1, 1, DetachCause.CONNECTION_LOST))
    loop = Loop(lambda: now_ns[0])
    loop.serve(ATTACH, detach, STOP)
    assert list(loop.core.sessions), "the session waits to expire"
    now_ns[0] += 2 * DAY_NS
    loop.log_inbox = EndsTheLoop(loop.inbox)
    freed = loop.freed
    served = loop.serve()
    (group,) = decode_body(served[0].output.body).groups
    (body,) = split_frames(group[2])
    assert body[1] == type_number(Tick)
    assert len(served) == 1
    assert not list(loop.core.sessions), "the tick let it expire"
    assert loop.freed == freed, "a tick holds no slot"


def test_a_waiting_batch_goes_before_a_due_timer() -> None:
    inbox: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
    inbox.put(ATTACH)
    assert _take(inbox, 10, lambda: 1_000) is ATTACH


def test_a_clock_that_was_set_back_does_not_fire_the_timer_early() -> None:
    readings = iter([2_000, 500, 3_000, 3_000])
    inbox: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
    taken = _take(inbox, 1_000, lambda: next(readings))
    assert taken is not None
    assert taken.runs == []
    assert list(readings) == [], "due only when the clock says so again, after the 500"


class FaultyCore(ReferenceCore):
    def apply(self, batch: Batch) -> Output:
        if batch.runs:
            raise InvariantViolation("planted")
        return super().apply(batch)


def test_a_bug_in_the_core_ends_the_loop_and_hands_nothing_on() -> None:
    loop = Loop()
    loop.core = FaultyCore()
    with pytest.raises(InvariantViolation, match="planted"):
        loop.serve(ATTACH, STOP)
    assert loop.log_inbox.empty()
    assert loop.freed == 0
