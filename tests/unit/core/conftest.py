"""Gives tests of the reference core's parts a venue on that core."""

import pytest

from hpe.core.driver import ReferenceCore
from tests.support.core_fixtures import client, market, other, venue

__all__ = ["client", "market", "other", "venue"]


@pytest.fixture
def new_core() -> type[ReferenceCore]:
    """Return what makes a core: the one with these parts."""
    return ReferenceCore
