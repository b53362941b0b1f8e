"""Gives behavior tests venues on each core."""

from tests.support.core_fixtures import client, market, other, venue

__all__ = ["client", "market", "other", "venue"]
