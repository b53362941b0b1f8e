"""The driver of the compiled core: every field of every output is the reference's."""

import pytest

from hpe.core.codec import decode_body, encode_body
from hpe.core.contract import DEFAULT_LIMITS, Output, RoomSizes
from hpe.core.driver import ReferenceCore
from hpe.core.state.rows import KINDS, DumpedEnding, DumpedHold, DumpedKey, DumpedUncross
from hpe.errors import Diverged, InvariantViolation
from hpe.protocol.frames import frame
from tests.model.commands import MOODS
from tests.unit.core.compiled.both_cores import COMPLAINTS, START_NS, BothCores, compare

BATCHES = 800
SMALL = DEFAULT_LIMITS._replace(
    fills=8, stops=4, fired=6, uncross_fills=5, part_fills=3, dead=2, effort=14, turns_effort=2,
    continue_effort=1, acts=(2, 2, 2, 2, 2), ended_orders=6, recent_fills=10, reports=3,
    mass_cancel=4, mass_cancel_all=6, revocations=1, query_effort=12, changes=4,
    snapshot_orders=6, indicative_levels=2, made_up_levels=3,
    configure_bytes=170, room=RoomSizes(60, 40, 30, 8, 8, 2, 5),
)  # fmt: skip
TINY = SMALL._replace(uncross_fills=1, part_fills=1)  # a dump in the middle of an uncross


def both_cores(cores, seed, mood, limits=SMALL):
    return BothCores(ReferenceCore(limits), cores.CompiledCore(limits, seed), seed, mood)


@pytest.mark.parametrize("mood", range(MOODS))
@pytest.mark.parametrize("seed", range(2))
def test_batches_put_out_what_the_reference_does(cores, seed, mood):
    both = both_cores(cores, seed, mood, TINY if seed else SMALL)
    both.give_money()
    for number in range(BATCHES):
        both.step()
        if number % 10 == 0:
            both.compiled.check()
        if number % 50 == 0 or both.reference.unfinished:
            both.compare_state()
    never = {name for name, often in both.seen.items() if not often}
    assert len(both.seen) == len(Output._fields)
    assert never <= {"late"}  # where no call is deep
    unseen = {row for row in KINDS if row.__struct_config__.tag not in both.rows_seen}
    assert unseen <= {DumpedKey, DumpedHold, DumpedEnding if seed else DumpedUncross}


@pytest.fixture(scope="module")
def bodies(cores):
    """Return the log bodies of some batches."""
    both, logged = both_cores(cores, 3, 4), []
    logged += both.give_money()
    for _ in range(200):
        logged.append(both.step().body)
    return [bytes(body) for body in logged if body]


def test_logged_bodies_replay_as_in_the_reference(cores, bodies):
    reference, compiled = ReferenceCore(SMALL), cores.CompiledCore(SMALL)
    for body in bodies:
        compare(reference.replay(body), compiled.replay(body))
        for name in ("last_sequence", "last_time_ns", "next_due_ns", "last_attach_number",
                     "instrument_count", "unfinished"):  # fmt: skip
            assert getattr(compiled, name) == getattr(reference, name)
        assert compiled.attached_sessions() == reference.attached_sessions()
    compiled.check()


def with_group(body, number, *group):
    groups = list(body.groups)
    groups[number] = group
    return body._replace(groups=groups)


@pytest.mark.parametrize(
    ("at", "change"),
    [
        (0, lambda body: body._replace(first_sequence=2)),
        (1, lambda body: body._replace(time_ns=START_NS)),
        (0, lambda body: body._replace(output_digest=1)),
        (0, lambda body: with_group(body, 0, 0, 0, b"\0\0")),
        (0, lambda body: with_group(body, 0, 0, 0, frame(b"\x92\x41\x07"))),
        (1, lambda body: with_group(body, 0, 999, 1, body.groups[0][2])),
        (1, lambda body: with_group(body, 0, body.groups[0][0], 9, body.groups[0][2])),
        (1, lambda body: with_group(body, 0, *body.groups[0][:2], body.groups[0][2][:-1])),
        (1, lambda body: with_group(body, 0, *body.groups[0][:2], frame(b"\xc1"))),
        (1, lambda body: body._replace(trades=[(1, 1, 1, 1, 1, 1)])),
    ],
)
def test_bodies_that_differ_are_refused_as_in_the_reference(cores, bodies, at, change):
    reference, compiled = ReferenceCore(SMALL), cores.CompiledCore(SMALL)
    for body in bodies[:at]:
        reference.replay(body)
        compiled.replay(body)
    wrong = encode_body(change(decode_body(bodies[at])))
    with pytest.raises(Diverged) as expected:
        reference.replay(wrong)
    with pytest.raises(Diverged) as found:
        compiled.replay(wrong)
    assert str(found.value) == str(expected.value)


def test_a_batch_that_is_not_later_ends_the_core(cores):
    both = BothCores(ReferenceCore(SMALL), cores.CompiledCore(SMALL), 1, 1)
    both.give_money()
    with pytest.raises(InvariantViolation, match="is not after the last logged one"):
        both.compiled.apply(both.batch(START_NS))
    with pytest.raises(InvariantViolation, match="the core is dead: batch time"):
        both.compiled.apply(both.batch(both.time_ns + 1))


def test_configurations_differ_from_the_state_in_what_they_do_there(cores):
    both = both_cores(cores, 3, 3)
    both.give_money()
    for number in range(900):
        both.configure()
        if number % 3 == 0:
            both.step()
    assert both.configured.keys() == {"same", "differs", *COMPLAINTS}
