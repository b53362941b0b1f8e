"""Gives scenarios an empty venue on each core, and a whole proof of it at the end."""

from collections.abc import Iterator

import pytest

from tests.support.core_driver import CoreFactory, Venue

for name in ("table", "player", "outcomes"):
    pytest.register_assert_rewrite(f"tests.scenarios.{name}")


@pytest.fixture
def venue(new_core: CoreFactory) -> Iterator[Venue]:
    """Yield an empty venue; afterwards its state, its log and its dump must agree."""
    venue = Venue(new_core)
    yield venue
    venue.check()
