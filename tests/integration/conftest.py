"""What tests of the service share: one without keys, and markets of a test's own on it.

The thread of a test uses it. The service runs for one module of tests.
"""

from collections.abc import Iterator

import pytest

from tests.integration.independent_support import OwnMarket, make_market
from tests.support.service import ServiceProcess


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A service without keys."""
    with ServiceProcess(tmp_path_factory.mktemp("service")) as service:
        yield service.host, service.port


@pytest.fixture
def market(address: tuple[str, int]) -> OwnMarket:
    """A new market on it."""
    return make_market(address)
