"""Both cores do the same with random streams: some in every run, many before a release."""

import os
import time
from itertools import count

import pytest

from hpe.extensions import VARIABLE, wanted
from tests.differential.__main__ import COMPILED, REFERENCE
from tests.differential.finding import Finder
from tests.differential.judging import FOLDER_VARIABLE
from tests.unit.core.compiled.building import missing

SEEDS = range(1, 25)
LONG_FRAMES = 300_000


@pytest.fixture
def finder(tmp_path, tmp_path_factory, worker_id, monkeypatch):
    """Return a finder for the compiled core; its build is that of the tests of its parts."""
    if missing() and wanted(os.environ):
        pytest.fail(f"{VARIABLE}=1, but the compiled core cannot be built: {missing()}")
    if missing():
        # Without a compiler, there is nothing to compare; with HPE_COMPILED=1 it is an error.
        pytest.skip(f"the compiled core cannot be built: {missing()}")
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    monkeypatch.setenv(FOLDER_VARIABLE, str(shared / "compiled"))
    with Finder(REFERENCE, COMPILED, tmp_path) as finder:
        yield finder


def test_both_cores_do_the_same(finder):
    frames = 0
    for seed in SEEDS:
        found = finder.stream(seed)
        assert found.verdict.good, f"seed {seed}: {found.text}"
        frames += found.frames
    assert frames > 5_000


@pytest.mark.release
@pytest.mark.timeout(7_200)
def test_both_cores_do_the_same_for_long(finder):
    frames, first = 0, int(time.time())
    print(f"seeds from {first}")
    for seed in count(first):
        found = finder.stream(seed)
        assert found.verdict.good, f"seed {seed}: {found.text}"
        frames += found.frames
        if frames >= LONG_FRAMES:
            break
