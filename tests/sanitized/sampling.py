"""A plugin of pytest, `-p tests.sanitized.sampling`: only each tenth test runs, in one thread.

Which these are depends on the order of the tests alone, so all processes of a run agree.
"""

from __future__ import annotations

import pytest

PART = 10


@pytest.hookimpl(trylast=True)  # of those that other options leave
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect all but each tenth test."""
    left_out = [item for number, item in enumerate(items) if number % PART]
    items[:] = items[::PART]
    config.hook.pytest_deselected(items=left_out)
