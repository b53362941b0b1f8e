"""Market data costs and shows the same after a dump was loaded as it would have without."""

import pytest

from hpe.core.contract import DEFAULT_LIMITS, Limits
from hpe.protocol.control import Error
from hpe.protocol.enums import Channel, InstrumentStatus, Side
from hpe.protocol.listings import AddAsset, AddInstrument
from hpe.protocol.market_data import GetOrderbook, Subscribe
from hpe.protocol.money import Deposit
from hpe.protocol.operations import SetStatus
from tests.support.core_driver import Venue

FEW = DEFAULT_LIMITS._replace(indicative_levels=1, query_effort=24)
"""Three levels that cross are too many to look through at once, and all that queries may cost."""


def in_call(new_core, limits: Limits):
    """Return a client of a venue in a call, with three levels that cross."""
    venue = Venue(new_core, limits)
    client = venue.attach(1)
    for name in ("BASE", "QUOTE"):
        client.get_id(AddAsset(client.next_id(), name, 0))
    client.get_id(AddInstrument(client.next_id(), "BASE/QUOTE", 1, 2))
    for asset in (1, 2):
        client.ask(Deposit(client.next_id(), asset, 1_000))
    client.ask(SetStatus(client.next_id(), 1, InstrumentStatus.CALL_AUCTION))
    for side, price in ((Side.BUY, 9), (Side.SELL, 7), (Side.SELL, 8)):
        client.submit(side, price, 4)
    return client


def answered_behind(client):
    """Tell whether a query behind a subscribe to the status is answered."""
    first = client.next_id()
    *_, reply = client.send(
        Subscribe(first, 1, Channel.STATUS, 1), GetOrderbook(client.next_id(), 1, 1)
    )
    return not isinstance(reply, Error)


@pytest.mark.parametrize("loads", [False, True])
def test_a_subscribe_costs_what_is_not_wanted_yet(new_core, loads):
    client = in_call(new_core, FEW)
    venue = client.venue
    assert not answered_behind(client), "nobody has its indicative price"
    venue.wanted = {(1, Channel.STATUS)}
    client.submit(Side.BUY, 1, 1)  # somebody has it from here on
    if loads:
        venue.limit()
    assert answered_behind(client)
    venue.wanted = set()
    assert not answered_behind(client)
