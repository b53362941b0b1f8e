"""A venue with something of everything in its state, for tests of its dump and hash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.money import LockBalance
from hpe.protocol.operations import BlockUser, SetFees, SetStatus
from hpe.protocol.orders import SubmitOco
from tests.support.core_driver import Venue, VenueClient
from tests.support.core_parts import place

BUY, SELL = Side

ICEBERG: Final = 8
STOP: Final = 9
TRAILING: Final = 10
LIMIT_LEG: Final = 11
STOP_LEG: Final = 12
"""Ids of its orders; before them are three bids, three asks and an order that traded."""


@pytest.fixture
def lively(market: Venue, client: VenueClient, other: VenueClient) -> Venue:
    """Return a venue with queues, holds, a last price, sessions, settings."""
    for price, quantity in ((98, 5), (99, 4), (99, 6)):
        client.submit(BUY, price, quantity, client_order_id=quantity)
    for price in (101, 101, 103):
        other.submit(SELL, price, 7)
    client.submit(BUY, 101, 3)
    client.ask(LockBalance(client.next_id(), 1, 50))
    place(client, BUY, 97, 9, tif=TimeInForce.GTD, display_quantity=2, expires_ns=10**15)
    place(other, SELL, 90, 2, OrderType.STOP_LIMIT, stop_price=95)
    place(client, SELL, 0, 4, OrderType.STOP, trail=3, client_order_id=8)
    client.ask(SubmitOco(client.next_id(), 1, BUY, 2, 90, 110, 120))
    client.ask(LockBalance(client.next_id(), 2, 60, 0, 4, 10**15))
    client.ask(SetFees(client.next_id(), 1, -1, 3))
    client.ask(SetFees(client.next_id(), 1, 1, 4, 2))
    client.submit(BUY, 101, 1)
    client.ask(BlockUser(client.next_id(), 3, True))
    client.list_pair()
    client.ask(SetStatus(client.next_id(), 2, InstrumentStatus.CALL_AUCTION))
    market.configure(open_orders_max=50, session_expiry_ns=10**9)
    market.attach(3, window=2).detach()
    return market


def hashes_differ(venue: Venue, change: Callable[[], object]) -> bool:
    """True if a change of the core's state changes its hash."""
    before = venue.core.state_hash()
    change()
    return venue.core.state_hash() != before
