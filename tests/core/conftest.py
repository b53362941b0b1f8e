"""Fixtures of behavior tests: a venue, a market and clients, or a pit, on each core."""

from tests.support.core_fixtures import client, market, other, pit, venue

__all__ = ["client", "market", "other", "pit", "venue"]
