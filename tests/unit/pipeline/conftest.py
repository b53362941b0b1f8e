"""Sequencers for the tests of this folder."""

from __future__ import annotations

import pytest
import trio

from tests.support.sequencer_bench import SMALL, DrivenSequencer


@pytest.fixture
async def bench(nursery: trio.Nursery) -> DrivenSequencer:
    made = DrivenSequencer()
    nursery.start_soon(made.sequencer.serve)
    return made


@pytest.fixture
async def small(nursery: trio.Nursery) -> DrivenSequencer:
    """Small batches."""
    made = DrivenSequencer(SMALL)
    nursery.start_soon(made.sequencer.serve)
    return made
