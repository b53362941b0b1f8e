"""Fixtures from which behavior tests get their cores: each test runs on every core.

The fixture `new_core` is available to every test; plays,
scenarios and vectors run on the core that it makes. Relies on core_driver.py and core_pit.py alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, get_args

import pytest

from hpe.core import missing_core, new_core
from hpe.extensions import CoreName
from hpe.protocol.listings import AddAsset, AddInstrument
from tests.support.core_driver import CoreFactory, Venue, VenueClient
from tests.support.core_pit import Pit

CORE_FACTORIES: Final[dict[str, CoreFactory]] = {
    name: partial(new_core, choice=name)
    for name in get_args(CoreName)
    if name == "python" or not missing_core()
}
"""Every core that the behavior tests run on; the compiled one only where it is built."""


@pytest.fixture(name="new_core", params=CORE_FACTORIES, scope="session")
def each_core(request: pytest.FixtureRequest) -> CoreFactory:
    """Return the factory of a core, for each kind of core."""
    return CORE_FACTORIES[request.param]


@pytest.fixture
def venue(new_core: CoreFactory) -> Venue:
    """Return an empty venue."""
    return Venue(new_core)


@pytest.fixture(name="venue")
def checked_venue(new_core: CoreFactory) -> Iterator[Venue]:
    """Yield an empty venue; afterwards its state, its log and its dump must agree."""
    venue = Venue(new_core)
    yield venue
    venue.check()


@pytest.fixture
def pit(new_core: CoreFactory) -> Pit:
    """Return a pit whose last price is 100."""
    pit = Pit(new_core)
    pit.trade_at(100)
    return pit


@pytest.fixture
def market(venue: Venue) -> Venue:
    """Return a venue with assets 1 (BASE) and 2 (QUOTE) and their pair as instrument 1."""
    client = venue.attach(1_000)
    client.get_id(AddAsset(client.next_id(), "BASE", 0))
    client.get_id(AddAsset(client.next_id(), "QUOTE", 2))
    client.get_id(AddInstrument(client.next_id(), "BASE/QUOTE", 1, 2))
    return venue


@pytest.fixture
def client(market: Venue) -> VenueClient:
    """Return the client of user 1, which has 1,000,000 atoms of both assets."""
    client = market.attach(1)
    for asset in (1, 2):
        client.deposit(asset, 1_000_000)
    return client


@pytest.fixture
def other(market: Venue) -> VenueClient:
    """Return the client of user 2, which has 1,000,000 atoms of both assets."""
    other = market.attach(2)
    for asset in (1, 2):
        other.deposit(asset, 1_000_000)
    return other
