"""The one place where behavior tests get their cores from: fixtures that run a test on each.

A second core is one row more in `CORE_FACTORIES`. `new_core` is there for every test;
plays, scenarios and vectors run on what it gives. Relies on core_driver.py alone.
"""

from __future__ import annotations

import pytest

from hpe.protocol.listings import AddAsset, AddInstrument
from tests.support.core_driver import CORE_FACTORIES, Client, CoreFactory, Venue


@pytest.fixture(params=CORE_FACTORIES, scope="session")
def new_core(request: pytest.FixtureRequest) -> CoreFactory:
    """Return what makes a core, of each kind."""
    return CORE_FACTORIES[request.param]


@pytest.fixture
def venue(new_core: CoreFactory) -> Venue:
    """Return an empty venue."""
    return Venue(new_core)


@pytest.fixture
def market(venue: Venue) -> Venue:
    """Return a venue with assets 1 (BASE) and 2 (QUOTE) and their pair as instrument 1."""
    client = venue.attach(1_000)
    client.get_id(AddAsset(client.next_id(), "BASE", 0))
    client.get_id(AddAsset(client.next_id(), "QUOTE", 2))
    client.get_id(AddInstrument(client.next_id(), "BASE/QUOTE", 1, 2))
    return venue


@pytest.fixture
def client(market: Venue) -> Client:
    """Return user 1, with 1,000,000 atoms of both assets."""
    client = market.attach(1)
    for asset in (1, 2):
        client.deposit(asset, 1_000_000)
    return client


@pytest.fixture
def other(market: Venue) -> Client:
    """Return user 2, with 1,000,000 atoms of both assets."""
    other = market.attach(2)
    for asset in (1, 2):
        other.deposit(asset, 1_000_000)
    return other
