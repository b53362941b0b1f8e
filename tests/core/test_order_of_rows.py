"""The rows of an output are sorted as the contract says, not by order of arrival."""

from __future__ import annotations

import pytest

from hpe.core.contract import SYSTEM_CONNECTION, Run
from hpe.protocol.enums import Channel, OrderType, Side, TimeInForce
from hpe.protocol.frames import chunk_of
from hpe.protocol.internal import Tick
from hpe.protocol.listings import DelistInstrument
from hpe.protocol.market_data import Subscribe
from hpe.protocol.money import Deposit
from hpe.protocol.orders import SubmitOrder
from tests.support.core_driver import Venue, VenueClient, frames_of
from tests.support.listed import Listed

USERS = (1, 2, 3)


@pytest.fixture
def clients(venue: Venue) -> list[VenueClient]:
    """Return three clients, their connections and users descending, and watch three pairs."""
    clients = [venue.attach(user) for user in USERS][::-1]
    for instrument in range(1, 4):
        assert clients[0].list_pair() == instrument
        for channel in Channel:
            venue.wanted.add((instrument, channel))
    for client in clients:
        for asset in range(1, 7):
            client.deposit(asset, 1_000)
    return clients


def bid(client: VenueClient, instrument: int) -> SubmitOrder:
    kind, tif = OrderType.LIMIT, TimeInForce.GTC
    return SubmitOrder(client.next_id(), instrument, 0, Side.BUY, kind, tif, 10, 1)


def descending(venue: Venue, clients: list[VenueClient]) -> Listed:
    """Apply a batch in which everything comes first that has the highest number."""
    runs = [
        client.run(bid(client, instrument), Deposit(client.next_id(), 1, 1, 4 - place))
        for place, client in enumerate(clients, 1)
        for instrument in (3, 2, 1)
    ]
    tick = Run(SYSTEM_CONNECTION, 0, 0, chunk_of(frames_of([Tick(1)])))
    return venue.apply(*runs, tick)


def test_replies_are_sorted_by_connection(venue: Venue, clients: list[VenueClient]) -> None:
    connections = [connection for connection, _ in descending(venue, clients).replies]
    assert connections == [0, *sorted(client.attach_number for client in clients)]


def test_private_rows_are_sorted_by_user_and_first(
    venue: Venue, clients: list[VenueClient]
) -> None:
    keys = [row[:2] for row in descending(venue, clients).private]
    assert [user for user, _ in keys] == list(USERS)
    assert keys == sorted(keys)


def test_users_with_several_reports_each_are_sorted(
    venue: Venue, clients: list[VenueClient]
) -> None:
    high, low = clients[0], clients[-1]
    requests = [bid(high, 1) for _ in range(3)]
    output = venue.apply(high.run(*requests), low.run(bid(low, 1)))
    assert [row[0] for row in output.private] == [low.user, high.user]


def test_market_rows_are_sorted_by_instrument_and_channel(
    venue: Venue, clients: list[VenueClient]
) -> None:
    keys = [row[:2] for row in descending(venue, clients).market]
    assert [key for key in keys if key[1] == Channel.BEST] == [(n, Channel.BEST) for n in (1, 2, 3)]
    assert keys == sorted(keys)


def test_a_delisted_instrument_has_its_place_among_the_others(
    venue: Venue, clients: list[VenueClient]
) -> None:
    first = clients[0]
    output = venue.apply(
        first.run(bid(first, 3), bid(first, 1), DelistInstrument(first.next_id(), 2))
    )
    keys = [row[:2] for row in output.market]
    assert (2, 0) in keys
    assert keys == sorted(keys)
    assert {instrument for instrument, _ in keys} == {1, 2, 3}


def test_cut_connections_are_sorted(venue: Venue, clients: list[VenueClient]) -> None:
    broken = bytes.fromhex("00000001c1")
    output = venue.apply(*(client.run_of(broken) for client in clients))
    assert output.cut == sorted(client.attach_number for client in clients)


def test_subscribed_and_progress_are_in_the_order_of_the_runs(
    venue: Venue, clients: list[VenueClient]
) -> None:
    runs = [
        client.run(*(Subscribe(client.next_id(), number, Channel.BEST) for number in (3, 1, 2)))
        for client in clients
    ]
    output = venue.apply(*runs)
    assert [(row[0], row[2]) for row in output.subscribed] == [
        (client.attach_number, number) for client in clients for number in (3, 1, 2)
    ]
    connections = [progress.connection for progress in output.progress]
    assert connections == [client.attach_number for client in clients]
