"""Shared setup: Hypothesis profiles, cores, the shared data, names of tests, tests marked `alone`.

Under `pytest -n` several processes run tests. Tests marked `alone` compare times, or use all CPUs
themselves, so nothing else runs beside them.
"""

import fcntl
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.core_fixtures import each_core

__all__ = ["each_core"]

# print_blob gives the line that reproduces a failure. The deadline is off because the machine
# is shared: the time of one example says nothing about the code.
settings.register_profile("ci", print_blob=True, deadline=None, max_examples=100)
settings.register_profile("long", print_blob=True, deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

PROJECT_ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    with path.open("rb") as file:
        fcntl.flock(file, how)
        yield  # closing gives it back


@contextmanager
def _in_company(alone: bool) -> Iterator[None]:
    """Hold the room that the processes of a run share: with others, or alone.

    All pass the gate, and one that wants to be alone keeps it closed behind it: else the others,
    one test after the other, would never leave the room empty.
    """
    gate, room = PROJECT_ROOT / "pyproject.toml", PROJECT_ROOT / "tests" / "conftest.py"
    if alone:
        with _locked(gate, fcntl.LOCK_EX), _locked(room, fcntl.LOCK_EX):
            yield
        return
    with ExitStack() as held:
        with _locked(gate, fcntl.LOCK_EX):
            held.enter_context(_locked(room, fcntl.LOCK_SH))
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outside of the time-out: waiting is not counted
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Have a test wait until it may run, where several processes run tests."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with _in_company(_is_alone(item)):
        return (yield)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name the members of enums in the ids of tests: an IntEnum would only be a number."""
    return val.name.lower() if isinstance(val, Enum) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those that run alone behind all others, so that they keep nobody waiting."""
    items.sort(key=_is_alone)


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


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
