"""A core that loaded a dump goes on like the one that was dumped, whatever comes and when.

Beside each core that plays against the naive exchange runs another one, made anew from its dump
every now and then: all outputs are the same to the byte.
"""

from __future__ import annotations

from itertools import count
from typing import Final

import pytest

from hpe.core import new_core
from hpe.core.core import DEFAULT_LIMITS, Batch, Core, Limits, Output
from tests.model.commands import MOODS
from tests.model.seeded_plays import play_seed
from tests.support.core_around import CoreAround

PLAYS: Final = 2 * MOODS
"""Every mood, with and without tight limits."""

STEPS: Final = 120
LOAD_EVERY: Final = 13


class ShadowedCore(CoreAround):
    """A core with another one beside it that does the same since it loaded this one's dump."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._shadow: Core | None = None
        self._batches = count()

    def apply(self, batch: Batch) -> Output:
        """Apply a batch to both."""
        if next(self._batches) % LOAD_EVERY == 0 and self.last_sequence:
            self._shadow = self._loaded()
        output = super().apply(batch)
        if self._shadow is not None:
            other = self._shadow.apply(batch)
            assert _without_market(other) == _without_market(output)
            assert self._shadow.state_hash() == self.state_hash()
        return output

    def _loaded(self) -> Core:
        core = new_core(self.limits)
        core.load(list(self.dump()))
        return core


def _without_market(output: Output) -> tuple[object, ...]:
    """Leave out market data: whoever loads a dump hears first what is wanted."""
    return (
        output.replies, output.private, output.body, output.last_sequence, output.next_due_ns,
        output.cut,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(PLAYS))
def test_a_loaded_core_goes_on_like_the_dumped_one(seed: int) -> None:
    assert play_seed(ShadowedCore, seed, STEPS) >= STEPS
