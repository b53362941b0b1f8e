"""Gives scenarios an empty venue on each core, and a whole proof of it at the end."""

from collections.abc import Iterator

import pytest

from tests.support.core_driver import CORE_FACTORIES, Venue

for name in ("table", "player", "outcomes"):
    pytest.register_assert_rewrite(f"tests.scenarios.{name}")


@pytest.fixture(params=CORE_FACTORIES)
def venue(request: pytest.FixtureRequest) -> Iterator[Venue]:
    """Yield an empty venue; afterwards its state, its log and its dump must agree."""
    venue = Venue(CORE_FACTORIES[request.param])
    yield venue
    venue.check()
