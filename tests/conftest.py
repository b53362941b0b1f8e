"""Shared set-up: Hypothesis profiles with printed seeds, and where the shared data lies."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# print_blob gives the line that reproduces a failure. The deadline is off because the machine
# is shared: the time of one example says nothing about the code.
settings.register_profile("ci", print_blob=True, deadline=None, max_examples=100)
settings.register_profile("long", print_blob=True, deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

PROJECT_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """Restore this process's signal handlers: a test that runs `hpe serve` in it changes them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Return the folder that holds pyproject.toml."""
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of recorded order flow, which is not part of the project."""
    folder = PROJECT_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no recorded order flow at {folder}")
    return folder
