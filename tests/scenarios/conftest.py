"""Gives scenarios an empty venue on each core, and a whole proof of it at the end."""

import pytest

from tests.support.core_fixtures import checked_venue

__all__ = ["checked_venue"]

for name in ("table", "player", "outcomes"):
    pytest.register_assert_rewrite(f"tests.scenarios.{name}")
