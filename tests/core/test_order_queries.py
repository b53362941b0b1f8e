"""One order by either id: which of several is meant, which ended ones are kept, what they show."""

import pytest

from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import OrderStatus, OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.limits import INT_MAX
from hpe.protocol.orders import GetOrder, MassCancel, OrderReply
from tests.support.core_parts import place

BUY, SELL = Side
GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
STOP = OrderType.STOP
UNKNOWN = RejectReason.UNKNOWN_ORDER


def get(client, order_id=0, client_order_id=0, user=0):
    reply = client.get(OrderReply, GetOrder(1, order_id, client_order_id, user))
    assert (reply.order is None) is (reply.reason != 0)
    return reply


def test_exactly_one_id_names_an_order(client, other):
    order = client.submit(BUY, 10, 1, client_order_id=4)
    invalid = RejectReason.INVALID_COMBINATION
    assert get(client).reason == invalid
    assert get(client, order.order_id, 4).reason == invalid
    assert get(client, order.order_id).order == get(client, 0, 4).order
    assert get(other, order.order_id).reason == UNKNOWN
    assert get(other, order.order_id, user=1).order.order_id == order.order_id
    assert get(client, 0, 99).reason == get(client, INT_MAX).reason == UNKNOWN


def test_a_client_id_names_the_live_order_else_the_one_that_ended_last(client, other):
    numbers = []
    for price in (10, 11):
        numbers.append(client.submit(BUY, price, 1, client_order_id=4).order_id)
        assert get(client, 0, 4).order.order_id == numbers[-1]
        other.submit(SELL, price, 1)
        assert get(client, 0, 4).order.order_id == numbers[-1]
    assert get(client, numbers[0]).order.client_order_id == 4
    live = client.submit(BUY, 9, 1, client_order_id=4).order_id
    assert get(client, 0, 4).order.order_id == live


def canceled_by_request(client):
    order = client.submit(BUY, 8, 3, client_order_id=4)
    client.cancel(order.order_id)
    return order.order_id, OrderStatus.CANCELED, CancelReason.REQUESTED


def canceled_with_terms(client):
    order = place(client, BUY, 8, 3, client_order_id=4, display_quantity=1)
    client.cancel(client_order_id=4)
    return order.order_id, OrderStatus.CANCELED, CancelReason.REQUESTED


def replaced_away(client):
    order = client.submit(BUY, 8, 3, client_order_id=4)
    client.replace(order.order_id, quantity=0)
    return order.order_id, OrderStatus.CANCELED, CancelReason.REPLACED_AWAY


def immediate_without_a_match(client):
    order = client.submit(BUY, 8, 3, IOC, client_order_id=4)
    return order.order_id, OrderStatus.CANCELED, CancelReason.IOC_REMAINDER


def killed(client):
    order = client.submit(BUY, 8, 3, FOK, client_order_id=4)
    return order.order_id, OrderStatus.CANCELED, CancelReason.FOK_NOT_FILLABLE


def market_order_without_a_match(client):
    order = client.submit(BUY, 0, 3, IOC, client_order_id=4)
    return order.order_id, OrderStatus.CANCELED, CancelReason.NO_LIQUIDITY


@pytest.mark.parametrize(
    "end",
    [
        canceled_by_request, canceled_with_terms, replaced_away, immediate_without_a_match, killed,
        market_order_without_a_match,
    ],
)  # fmt: skip
def test_a_client_id_never_names_an_older_order_than_the_newest_that_ended(
    market, client, other, end
):
    client.submit(BUY, 10, 1, client_order_id=4)
    other.submit(SELL, 10, 1)
    order_id, status, reason = end(client)
    for core in (market.core, market.restored(), market.replayed()):
        market.core = core
        row = get(client, 0, 4).order
        assert (row.order_id, row.status, row.reason) == (order_id, status, reason)
        assert (row.quantity, row.leaves, row.canceled, row.reserved) == (3, 0, 3, 0)
        assert (row.flags, row.self_trade) == (0, SelfTrade.NONE)
        market.check()


def test_a_client_id_that_was_forgotten_names_no_older_order(market, client, other):
    market.limit(ended_orders=2)
    client.submit(BUY, 10, 1, client_order_id=4)
    other.submit(SELL, 10, 1)
    newest, _, _ = canceled_by_request(client)
    assert get(client, 0, 4).order.order_id == newest
    client.submit(BUY, 10, 1)
    other.submit(SELL, 10, 1)
    assert get(client, 0, 4).reason == UNKNOWN
    canceled_by_request(client)
    assert get(client, 0, 4).reason == UNKNOWN
    market.check()


def ended_by_fill(market, client, other):
    order = client.submit(BUY, 10, 3)
    other.submit(SELL, 10, 3)
    return order.order_id, OrderStatus.FILLED, 0


def ended_in_part(market, client, other):
    order = client.submit(BUY, 10, 3)
    other.submit(SELL, 10, 1)
    client.cancel(order.order_id)
    return order.order_id, OrderStatus.CANCELED, CancelReason.REQUESTED


def ended_by_time(market, client, other):
    order = place(client, BUY, 10, 1, tif=GTD, expires_ns=market.time_ns + 10)
    market.pass_time(20)
    return order.order_id, OrderStatus.EXPIRED, CancelReason.EXPIRED


def ended_by_mass_cancel(market, client, other):
    order = client.submit(BUY, 10, 1)
    client.ask(MassCancel(client.next_id()))
    return order.order_id, OrderStatus.CANCELED, CancelReason.MASS_CANCEL


def ended_by_ones_own(market, client, other):
    order = client.submit(BUY, 10, 1)
    place(client, SELL, 10, 1, self_trade=SelfTrade.CANCEL_MAKER)
    return order.order_id, OrderStatus.CANCELED, CancelReason.SELF_TRADE


def ended_when_it_fired(market, client, other):
    client.submit(BUY, 10, 1)
    stop = place(other, SELL, 0, 1, STOP, stop_price=10)
    client.submit(SELL, 10, 1)
    return stop.order_id, OrderStatus.CANCELED, CancelReason.NO_LIQUIDITY


@pytest.mark.parametrize(
    "end",
    [
        ended_by_fill, ended_in_part, ended_by_time, ended_by_mass_cancel, ended_by_ones_own,
        ended_when_it_fired,
    ],
)  # fmt: skip
def test_an_order_that_ended_shows_how(market, client, other, end):
    order_id, status, reason = end(market, client, other)
    row = get(client, order_id, user=2 if end is ended_when_it_fired else 0).order
    assert (row.status, row.reason, row.leaves, row.reserved) == (status, reason, 0, 0)
    assert row.quantity == row.cum + row.canceled
    market.check()


def test_of_what_ended_with_its_own_response_and_no_fill_that_response_is_the_record(client):
    canceled = client.submit(BUY, 10, 1, client_order_id=5).order_id
    client.cancel(canceled)
    replaced = client.submit(BUY, 10, 1).order_id
    client.replace(replaced, quantity=0)
    killed = client.submit(BUY, 10, 1, FOK).order_id
    for order_id in (canceled, replaced, killed):
        assert get(client, order_id).reason == UNKNOWN
    assert get(client, 0, 5).reason == UNKNOWN
    client.venue.check()
