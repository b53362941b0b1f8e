"""A core that loaded a dump continues exactly like the one that was dumped.

Beside each core that plays against the naive exchange runs another one, made from its dump every
now and then, and one that replays the log: all outputs are the same to the byte.
"""

from functools import partial
from typing import Final

import pytest

from tests.model.commands import MOODS
from tests.model.seeded_plays import play_seed
from tests.support.core_driver import CoreFactory
from tests.support.shadowed import ShadowedCore

PLAYS: Final = 2 * MOODS
"""Every mood, with and without tight limits."""

STEPS: Final = 120


@pytest.mark.parametrize("seed", range(PLAYS))
def test_a_loaded_core_goes_on_like_the_dumped_one(new_core: CoreFactory, seed: int) -> None:
    assert play_seed(partial(ShadowedCore, new_core=new_core), seed, STEPS) >= STEPS
