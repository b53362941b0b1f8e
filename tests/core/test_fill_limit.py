"""The bound on fills: one command, one batch; it keeps the log's record below its limit."""

from __future__ import annotations

import pytest

from hpe.core.contract import Limits
from hpe.protocol.codes import CancelReason, ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.enums import OrderStatus, OrderType, Side, TimeInForce
from hpe.protocol.orders import CancelOrder, CancelResponse, OrderResponse, SubmitOrder
from hpe.protocol.reports import ExecutionReport
from tests.support.core_driver import CoreFactory, Venue, VenueClient

LIMIT = 3


@pytest.fixture
def trader(new_core: CoreFactory) -> VenueClient:
    client = Venue(new_core, Limits(fills=LIMIT, effort=LIMIT)).attach()
    client.list_pair()
    client.deposit(1, 1_000_000)
    client.deposit(2, 1_000_000)
    return client


def rest_asks(client: VenueClient, count: int) -> None:
    for _ in range(count):
        client.submit(Side.SELL, 100, 1)


@pytest.mark.parametrize("tif", [TimeInForce.GTC, TimeInForce.IOC])
def test_what_is_left_after_the_last_fill_is_canceled(
    trader: VenueClient, tif: TimeInForce
) -> None:
    rest_asks(trader, 5)
    response = trader.submit(Side.BUY, 100, 5, tif)
    assert (response.cum, response.canceled, response.leaves) == (3, 2, 0)
    assert response.reason == CancelReason.FILL_LIMIT
    assert response.fill_count == 3
    assert trader.money(2)[1] == 0, "nothing stays reserved"
    trader.venue.check()


def test_an_order_that_ends_with_the_last_fill_is_filled(trader: VenueClient) -> None:
    rest_asks(trader, 5)
    response = trader.submit(Side.BUY, 100, 3)
    assert response.status == OrderStatus.FILLED
    assert response.reason == 0


def test_a_remainder_that_no_longer_crosses_rests(trader: VenueClient) -> None:
    rest_asks(trader, 3)
    response = trader.submit(Side.BUY, 100, 4)
    assert (response.cum, response.leaves, response.reason) == (3, 1, 0)
    trader.venue.check()


def test_fill_or_kill_is_killed_rather_than_cut(trader: VenueClient) -> None:
    rest_asks(trader, 5)
    response = trader.submit(Side.BUY, 100, 5, TimeInForce.FOK)
    assert (response.cum, response.canceled) == (0, 5)
    assert response.reason == CancelReason.FOK_NOT_FILLABLE


def test_a_replace_that_trades_too_much_ends_the_order(trader: VenueClient) -> None:
    rest_asks(trader, 5)
    bid = trader.submit(Side.BUY, 99, 5)
    response = trader.replace(bid.order_id, quantity=5, price=100)
    assert (response.cum, response.canceled, response.leaves) == (3, 2, 0)
    assert response.reason == CancelReason.FILL_LIMIT
    trader.venue.check()


def test_the_rest_of_a_full_batch_is_busy_and_may_be_sent_again(trader: VenueClient) -> None:
    rest_asks(trader, 3)
    sweep = SubmitOrder(trader.next_id(), 1, 0, Side.BUY, OrderType.LIMIT, TimeInForce.IOC, 100, 3)
    after = SubmitOrder(trader.next_id(), 1, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 50, 1)
    *reports, first, second = trader.send(sweep, after)
    assert all(isinstance(report, ExecutionReport) for report in reports)
    assert isinstance(first, OrderResponse)
    assert isinstance(second, Error)
    assert second.code == ErrorCode.BUSY
    assert second.request_id == after.request_id
    assert isinstance(trader.ask(after), OrderResponse)
    trader.venue.check()
    assert trader.venue.replayed().state_hash() == trader.venue.core.state_hash()


def test_a_batch_that_searched_enough_takes_cancels_but_no_orders(trader: VenueClient) -> None:
    for price in (100, 101, 102, 103):
        trader.submit(Side.SELL, price, 1)
    resting = trader.submit(Side.BUY, 50, 1)

    def order(tif: TimeInForce, price: int, quantity: int) -> SubmitOrder:
        return SubmitOrder(trader.next_id(), 1, 0, Side.BUY, OrderType.LIMIT, tif, price, quantity)

    search = order(TimeInForce.FOK, 200, 99)
    cancel = CancelOrder(trader.next_id(), resting.order_id)
    after = order(TimeInForce.GTC, 50, 1)
    killed, canceled, refused = trader.send(search, cancel, after)
    assert isinstance(killed, OrderResponse)
    assert killed.reason == CancelReason.FOK_NOT_FILLABLE
    assert isinstance(canceled, CancelResponse)
    assert canceled.canceled == 1
    assert isinstance(refused, Error)
    assert refused.code == ErrorCode.BUSY
    assert "enough" in refused.message
    assert trader.venue.replayed().state_hash() == trader.venue.core.state_hash()
