"""Small helpers for tests of market data: subscribing, taking updates, the checksum written out.

Plain functions without state of their own; rely on core_driver.py alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice, repeat
from typing import Any
from zlib import crc32

from hpe.protocol.enums import Channel
from hpe.protocol.limits import DEPTH_MAX
from hpe.protocol.market_data import Subscribe, Subscribed
from tests.support.core_driver import Venue, VenueClient


def taken(venue: Venue) -> dict[Channel, list[Any]]:
    """Return the updates of each channel since the last call, of all instruments."""
    rows, venue.market = venue.market, []
    found: dict[Channel, list[Any]] = {}
    for row in rows:
        found.setdefault(row.channel, []).extend(row.updates)
    return found


def subscribe(
    client: VenueClient, channel: Channel, depth: int = DEPTH_MAX, instrument: int = 1
) -> Subscribed:
    """Ask for a snapshot; from now on, the channel is wanted."""
    client.venue.wanted.add((instrument, channel))
    return client.get(Subscribed, Subscribe(client.next_query_id(), instrument, channel, depth))


def checksum(bids: Iterable[tuple[int, int]] = (), asks: Iterable[tuple[int, int]] = ()) -> int:
    """Return the checksum from its definition: the best ten levels of each side, then zeros."""
    numbers: list[int] = []
    for side in (bids, asks):
        for level in islice(chain(side, repeat((0, 0))), 10):
            numbers += level
    return crc32(b"".join(number.to_bytes(8, "big", signed=True) for number in numbers))
