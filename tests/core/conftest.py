"""Fixtures of behavior tests: a venue, a market and clients, on each core."""

from tests.support.core_fixtures import client, market, other, venue

__all__ = ["client", "market", "other", "venue"]
