"""What a core says about its clients' progress, and which commands changed nothing."""

from __future__ import annotations

from hpe.protocol.base import Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.money import GetBalance
from hpe.protocol.orders import CancelOrder, MassCancel, ReplaceOrder, SubmitOrder
from tests.support.core_driver import Venue, VenueClient
from tests.support.listed import Progress


def ioc(client: VenueClient, price: int) -> SubmitOrder:
    return SubmitOrder(client.next_id(), 1, 0, Side.BUY, OrderType.LIMIT, TimeInForce.IOC, price, 5)


def test_a_core_says_how_far_it_is_and_what_was_idle(venue: Venue, client: VenueClient) -> None:
    rest = SubmitOrder(client.next_id(), 1, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 50, 5)
    unknown = CancelOrder(client.next_id(), 777)
    nothing = MassCancel(client.next_id(), side=Side.SELL)
    query = GetBalance(client.next_query_id(), 1)
    requests: list[Request] = [rest, unknown, nothing, query, ioc(client, 40)]
    output = venue.apply(client.run(*requests))
    last = requests[-1].request_id
    assert output.progress == [Progress(client.attach_number, last, 1, 2)]
    again = venue.apply(client.run(*requests), client.run(ReplaceOrder(client.next_id(), 1, 0, 5)))
    assert [row[2:] for row in again.progress] == [(0, 0), (1, 0)], "a repeat was counted before"


def test_refused_commands_and_those_of_old_connections_are_no_progress(
    venue: Venue, client: VenueClient
) -> None:
    refused = ioc(client, 40)
    output = venue.apply(client.run(refused, admit=ErrorCode.BUSY))
    assert output.progress == [Progress(client.attach_number, refused.request_id, 0, 0)]
    venue.attach(1, client.session_id)
    assert venue.apply(client.run(ioc(client, 40))).progress == []
