"""A seeded play notices a core that is wrong, and tells it in few steps."""

import pytest

from hpe.core.reference import ReferenceCore
from hpe.messages import OrderReport
from tests.model.play import Step
from tests.model.seeded_plays import PlayFailed, batches_of, play_seed
from tests.support.core_driver import decoded


class SilentCore(ReferenceCore):
    """A core that tells nobody that an order was canceled, expired or triggered."""

    def apply(self, batch):
        output = super().apply(batch)
        told = [
            row
            for row in output.private
            if not any(isinstance(report, OrderReport) for report in decoded(row[2]))
        ]
        return output._replace(private=told)


def test_a_wrong_core_fails_with_its_seed_and_few_steps():
    with pytest.raises(PlayFailed) as failure:
        play_seed(SilentCore, 1, 300)
    story = str(failure.value)
    print(story)
    head, *rest = story.splitlines()
    assert head.startswith("seed 1: ")
    assert int(head.split()[2]) <= 4
    assert rest[0].startswith("user ")
    assert "OrderReport" in story


def test_steps_without_a_wait_are_in_the_batch_before():
    first, second, third = (Step(0, None, wait_ns) for wait_ns in (0, 0, 2))
    assert batches_of([first, second, third, second]) == [[first, second], [third, second]]
