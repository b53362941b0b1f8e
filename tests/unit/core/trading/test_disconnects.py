"""Which orders a session remembers: those that a query may still ask for."""

from hpe.protocol.enums import Side
from hpe.protocol.flags import LOGOUT_KEEP_ORDERS


def test_orders_that_a_logout_left_are_no_longer_those_of_a_session(client):
    session = client.venue.attach(1, flags=1)
    session.submit(Side.BUY, 100, 5)
    assert client.venue.core.exchange.orders.by_session
    session.log_out(LOGOUT_KEEP_ORDERS)
    assert not client.venue.core.exchange.orders.by_session, "nobody will ask for them"
    assert not client.venue.restored().exchange.orders.by_session
