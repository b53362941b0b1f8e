"""The driver of the compiled core: every field of every output is the reference's."""

import pytest

from hpe.core.contract import DEFAULT_LIMITS, Output, RoomSizes
from hpe.core.driver import ReferenceCore
from tests.model.commands import MOODS
from tests.unit.core.compiled.both_cores import BothCores

BATCHES = 350
SMALL = DEFAULT_LIMITS._replace(
    fills=8, stops=4, fired=6, uncross_fills=5, part_fills=3, dead=2, effort=14, turns_effort=2,
    continue_effort=1, acts=(2, 2, 2, 2, 2), ended_orders=6, recent_fills=10, reports=3,
    mass_cancel=4, mass_cancel_all=6, revocations=1, query_effort=12, changes=4,
    snapshot_orders=6, indicative_levels=2, made_up_levels=3,
    room=RoomSizes(60, 40, 30, 8, 8, 2, 5),
)  # fmt: skip


@pytest.mark.parametrize("mood", range(MOODS))
@pytest.mark.parametrize("seed", range(2))
def test_batches_put_out_what_the_reference_does(cores, seed, mood):
    both = BothCores(ReferenceCore(SMALL), cores.CompiledCore(SMALL, seed), seed, mood)
    both.give_money()
    for number in range(BATCHES):
        both.step()
        if number % 100 == 0:
            both.reference.check()
    never = {name for name, often in both.seen.items() if not often}
    assert len(both.seen) == len(Output._fields)
    assert never <= {"late"}  # where no call is deep
