"""The matching stage, driven by its steps: no thread, no queue, and a hand-set clock."""

from __future__ import annotations

import pytest

from hpe.core import new_core
from hpe.core.codec import decode_body, encode
from hpe.core.contract import DUE_AT_ONCE, SYSTEM_CONNECTION, Batch, Output, Run
from hpe.core.state.rows import DumpedSession
from hpe.errors import InvariantViolation
from hpe.pipeline.clock import DAY_NS, SECOND_NS, Clock
from hpe.pipeline.matching import PAUSES, RESTS, Matching
from hpe.protocol.base import Request, type_number
from hpe.protocol.enums import DetachCause
from hpe.protocol.frames import chunk_of, frame, split_frames
from hpe.protocol.internal import SessionAttached, SessionDetached, Tick
from hpe.protocol.listings import AddAsset, ListAssets
from tests.support.core_around import CoreAround, Planned
from tests.support.dumps import rows_of
from tests.support.hand_set_clock import NOON_NS, HandSetClock


def batch_of(*requests: Request, connection: int = SYSTEM_CONNECTION, attach: int = 0) -> Batch:
    frames = b"".join(frame(encode(request)) for request in requests)
    return Batch(0, [Run(connection, attach, 0, chunk_of(frames))])


def attach() -> Batch:
    return batch_of(SessionAttached(1, 0, 7, 0))


def types_of(output: Output) -> list[int]:
    """Return the type of each command in an output's log body."""
    bodies = [split_frames(group[2]) for group in decode_body(output.body).groups]
    return [body[1] for group in bodies for body in group]


def test_each_batch_makes_one_output_in_order_and_gets_its_own_time() -> None:
    matching = Matching(new_core(), Clock(0, read=HandSetClock()))
    add = [batch_of(AddAsset(n, f"A{n}", 2), connection=1, attach=1) for n in (1, 2)]
    outputs = matching.step([attach(), *add])
    assert [output.last_sequence for output in outputs] == [1, 2, 3]
    times = [decode_body(output.body).time_ns for output in outputs]
    assert times == [NOON_NS, NOON_NS + 1, NOON_NS + 2], "the clock stands; its times do not"


def test_an_idle_stage_does_nothing_and_waits_forever() -> None:
    matching = Matching(new_core(), Clock(0, read=HandSetClock()))
    matching.step([attach(), batch_of(ListAssets(1), connection=1, attach=1)])
    assert matching.wait_ns() is None
    assert matching.step([]) == []


def test_a_timer_makes_one_tick_when_it_is_due_and_not_before() -> None:
    machine = HandSetClock()
    core = new_core()
    matching = Matching(core, Clock(0, read=machine))
    matching.step([attach(), batch_of(SessionDetached(1, 1, 1, DetachCause.CONNECTION_LOST))])
    wait_ns = matching.wait_ns()
    assert wait_ns is not None
    machine.passes(wait_ns - 1)
    assert (matching.wait_ns(), matching.step([])) == (1, [])
    machine.passes(1)
    assert matching.wait_ns() == 0
    (output,) = matching.step([])
    assert types_of(output) == [type_number(Tick)]
    assert not rows_of(core, DumpedSession), "the session that was left has expired"
    assert matching.step([]) == []


def test_a_start_does_what_is_due_before_any_batch_came() -> None:
    machine = HandSetClock()
    matching = Matching(Planned(machine, due_ns=DUE_AT_ONCE), Clock(0, read=machine))
    assert matching.wait_ns() == 0
    assert len(matching.step([])) == 1


def test_a_clock_that_is_set_back_makes_a_timer_wait_at_half_pace() -> None:
    machine = HandSetClock()
    clock = Clock(0, read=machine)
    due_ns = clock.stamp() + 2 * SECOND_NS
    matching = Matching(Planned(machine, due_ns=due_ns), clock)
    assert matching.wait_ns() == 2 * SECOND_NS
    machine.is_set(-3_600 * SECOND_NS)
    assert matching.wait_ns() == 4 * SECOND_NS


def test_what_is_due_at_once_leaves_as_much_time_as_the_batch_before_it_took() -> None:
    machine = HandSetClock()
    planned = Planned(machine, due_ns=DUE_AT_ONCE, takes_ns=SECOND_NS)
    matching = Matching(planned, Clock(0, read=machine))
    matching.step([attach()])
    assert matching.wait_ns() == PAUSES * SECOND_NS
    assert matching.step([]) == []
    assert len(matching.step([attach()])) == 1, "a batch waits for no pace"
    machine.passes(PAUSES * SECOND_NS)
    assert len(matching.step([])) == 1


def test_late_market_data_is_made_up_for_at_once_and_then_rests() -> None:
    machine = HandSetClock()
    planned = Planned(machine, late=True, takes_ns=SECOND_NS)
    matching = Matching(planned, Clock(0, read=machine))
    first = attach()
    first.wanted = b"\x00\x00\x00\x01\x10"
    matching.step([first])
    (made_up,) = matching.step([])
    assert (made_up.body, made_up.reply_rows) == (b"", b""), "it logs nothing and answers nobody"
    assert matching.wait_ns() == RESTS * SECOND_NS
    assert matching.step([]) == []
    machine.passes(RESTS * SECOND_NS)
    planned.late = False
    assert len(matching.step([])) == 1
    assert matching.wait_ns() is None


def test_while_late_market_data_rests_a_timer_is_not_missed() -> None:
    machine = HandSetClock()
    planned = Planned(machine, late=True, takes_ns=SECOND_NS)
    matching = Matching(planned, Clock(0, read=machine))
    matching.step([attach()])
    planned.due_ns = DUE_AT_ONCE
    matching.step([])
    assert matching.wait_ns() == PAUSES * SECOND_NS
    machine.passes(PAUSES * SECOND_NS)
    (output,) = matching.step([])
    assert types_of(output) == [type_number(Tick)]


def test_what_is_done_by_itself_wants_the_market_data_of_the_last_batch() -> None:
    machine = HandSetClock()
    seen: list[bytes] = []

    class WantedByPlan(Planned):
        def apply(self, batch: Batch) -> Output:
            seen.append(batch.wanted)
            return super().apply(batch)

    planned = WantedByPlan(machine, late=True)
    matching = Matching(planned, Clock(0, read=machine))
    first = attach()
    first.wanted = b"\x00\x00\x00\x01\x02"
    matching.step([first])
    matching.step([])
    planned.due_ns = DUE_AT_ONCE
    matching.step([attach()])
    matching.step([])
    assert seen == [first.wanted, first.wanted, b"", b""]


def test_a_timer_of_a_day_is_known_to_the_nanosecond_although_the_machine_slept() -> None:
    machine = HandSetClock()
    clock = Clock(0, read=machine)
    matching = Matching(Planned(machine, due_ns=clock.stamp() + DAY_NS), clock)
    machine.sleeps(DAY_NS - 5)
    assert matching.wait_ns() == 5


def test_a_bug_in_the_core_is_raised_and_makes_no_output() -> None:
    class Faulty(CoreAround):
        def apply(self, batch: Batch) -> Output:
            raise InvariantViolation("planted")

    matching = Matching(Faulty(), Clock(0, read=HandSetClock()))
    with pytest.raises(InvariantViolation, match="planted"):
        matching.step([attach()])
