"""A core that loaded a dump goes on like the one that was dumped, whatever comes and when.

Beside each core that plays against the naive exchange runs another one, made anew from its dump
every now and then: all outputs are the same to the byte.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import Final

import pytest

from hpe.core.core import DEFAULT_LIMITS, Batch, Core, Limits, Output
from tests.model.commands import MOODS
from tests.model.seeded_plays import play_seed
from tests.support.core_around import CoreAround
from tests.support.core_driver import CoreFactory
from tests.support.outputs import assert_same

PLAYS: Final = 2 * MOODS
"""Every mood, with and without tight limits."""

STEPS: Final = 120
LOAD_EVERY: Final = 13


class ShadowedCore(CoreAround):
    """A core with another one beside it that does the same since it loaded this one's dump."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, new_core: CoreFactory) -> None:
        super().__init__(limits, new_core=new_core)
        self._new_core = new_core
        self._shadow: Core | None = None
        self._dumped: list[bytes] = []
        self._wanted = b""
        self._batches = count()

    def apply(self, batch: Batch) -> Output:
        """Apply a batch to both."""
        if next(self._batches) % LOAD_EVERY == 0 and self.last_sequence:
            self._shadow = self._loaded()
        before, output = self._dumped, super().apply(batch)
        self._dumped, self._wanted = list(self.dump()), batch.wanted
        if self._shadow is not None:
            assert_same(output, self._shadow.apply(batch), before, self._dumped)
            assert list(self._shadow.dump()) == self._dumped
        return output

    def _loaded(self) -> Core:
        core = self._new_core(self.limits)
        core.load(self._dumped, self._wanted)
        return core


@pytest.mark.parametrize("seed", range(PLAYS))
def test_a_loaded_core_goes_on_like_the_dumped_one(new_core: CoreFactory, seed: int) -> None:
    assert play_seed(partial(ShadowedCore, new_core=new_core), seed, STEPS) >= STEPS
