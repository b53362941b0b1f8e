"""A seeded play detects a faulty core, and reports it in few steps."""

from functools import partial

import msgspec
import pytest
from msgspec.structs import replace

from hpe.protocol.enums import Channel
from hpe.protocol.reports import BalanceReport, OrderReport
from tests.model.seats import PlayStep
from tests.model.seeded_plays import PlayFailed, batches_of, play_seed
from tests.support.core_around import CoreAround
from tests.support.core_driver import decoded, framed
from tests.support.listed import listed, packed


class SilentCore(CoreAround):
    """A core that tells nobody of an order besides its fills."""

    def apply(self, batch):
        output = listed(super().apply(batch))
        told = [
            row
            for row in output.private
            if not any(isinstance(report, OrderReport) for report in decoded(row[-1])[0].reports)
        ]
        return packed(output._replace(private=told))


class RichCore(CoreAround):
    """A core that never tells how much an order reserves."""

    def apply(self, batch):
        output = listed(super().apply(batch))
        told = [
            (*row[:-1], frame_of(without_reserved(decoded(row[-1])[0]))) for row in output.private
        ]
        return packed(output._replace(private=told))


def without_reserved(update):
    reports = [
        replace(report, reserved=0) if isinstance(report, BalanceReport) else report
        for report in update.reports
    ]
    return replace(update, reports=reports)


def frame_of(update):
    return framed(msgspec.msgpack.encode(update))


class StaleCore(CoreAround):
    """A core whose levels are never sent again."""

    def apply(self, batch):
        output = listed(super().apply(batch))
        rows = [row for row in output.market if row[1] != Channel.LEVELS]
        return packed(output._replace(market=rows))


@pytest.mark.parametrize(
    ("core", "steps", "word"),
    [(SilentCore, 4, "OrderReport"), (RichCore, 4, "reserved="), (StaleCore, 20, "LEVELS")],
)
def test_a_wrong_core_fails_with_its_seed_and_few_steps(new_core, core, steps, word):
    with pytest.raises(PlayFailed) as failure:
        play_seed(partial(core, new_core=new_core), 2, 300)
    story = str(failure.value)
    print(story)
    head, *rest = story.splitlines()
    assert head.startswith("seed 2: ")
    assert int(head.split()[2]) <= steps
    assert rest[0].startswith("user ")
    assert word in story


def test_steps_without_a_wait_are_in_the_batch_before():
    first, second, third = (PlayStep(0, None, wait) for wait in (0, 0, 2))
    assert batches_of([first, second, third, second]) == [[first, second], [third, second]]
