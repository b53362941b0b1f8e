"""What `check` finds in the exchange: an order that is half removed."""

import pytest

from hpe.errors import InvariantViolation
from hpe.protocol.enums import Side

BUY, SELL = Side


def lift(exchange, order):
    exchange.books[order.instrument_id].bids.remove(order)


def forget(exchange, order):
    exchange.orders.users[order.user].unshelve(order)
    leave_filed(exchange, order)


def leave_filed(exchange, order):
    del exchange.orders.users[order.user].by_id[order.order_id]
    exchange.orders.open_count -= 1


def reserve_less(exchange, order):
    exchange.market.executor.reserve(order, order.reserved - 1)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lift, "0 orders rest"),
        (forget, "not indexed"),
        (leave_filed, "not open"),
        (reserve_less, "reserves"),
    ],
)
def test_check_sees_an_order_that_is_half_gone(market, client, damage, complaint):
    client.submit(BUY, 10, 5)
    exchange = market.core.exchange
    exchange.check()
    damage(exchange, exchange.orders.find(1, 1, 0))
    with pytest.raises(InvariantViolation, match=complaint):
        exchange.check()
