"""Sequencers for the tests of this folder."""

from __future__ import annotations

import pytest
import trio

from tests.support.sequencer_bench import SMALL, Bench


@pytest.fixture
async def bench(nursery: trio.Nursery) -> Bench:
    made = Bench()
    nursery.start_soon(made.sequencer.serve)
    return made


@pytest.fixture
async def small(nursery: trio.Nursery) -> Bench:
    """Small batches."""
    made = Bench(SMALL)
    nursery.start_soon(made.sequencer.serve)
    return made
