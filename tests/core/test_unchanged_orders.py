"""A replace that leaves an order unchanged says so, and no other response does."""

import pytest

from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.flags import FLAG_UNCHANGED
from hpe.protocol.orders import OrderTerms, SubmitOrder

END_NS = 4 * 10**18
BUY = Side.BUY
KINDS = {
    "limit": (OrderType.LIMIT, TimeInForce.GTC, 50, None),
    "iceberg": (OrderType.LIMIT, TimeInForce.GTC, 50, OrderTerms(display_quantity=2)),
    "gtd": (OrderType.LIMIT, TimeInForce.GTD, 50, OrderTerms(expires_ns=END_NS)),
    "stop limit": (OrderType.STOP_LIMIT, TimeInForce.GTC, 50, OrderTerms(stop_price=60)),
}


def place(client, kind):
    """Return the id of a buy of 9 lots."""
    order_type, until, price, terms = KINDS[kind]
    request = SubmitOrder(client.next_id(), 1, 0, BUY, order_type, until, price, 9, terms=terms)
    answer = client.ask(request)
    assert (answer.reason, answer.flags) == (0, 0)
    return answer.order_id


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("changes", [{"quantity": 9}, {"leaves_quantity": 9, "price": 50}])
def test_the_same_again_is_marked(client, kind, changes):
    order_id = place(client, kind)
    for _ in range(2):
        answer = client.replace(order_id, **changes)
        assert (answer.reason, answer.flags, answer.leaves) == (0, FLAG_UNCHANGED, 9)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("stop limit", {"quantity": 9, "stop_price": 60}),
        ("gtd", {"expires_ns": END_NS}),
        ("gtd", {"quantity": 9, "expires_ns": END_NS}),
    ],
)
def test_the_same_trigger_or_end_again_is_marked(client, kind, changes):
    answer = client.replace(place(client, kind), **changes)
    assert (answer.reason, answer.flags) == (0, FLAG_UNCHANGED)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        *[(kind, {"quantity": 8}) for kind in KINDS],
        *[(kind, {"quantity": 10}) for kind in KINDS],
        *[(kind, {"quantity": 9, "price": 51}) for kind in KINDS],
        *[(kind, {"quantity": 9, "requeue": True}) for kind in KINDS],
        *[(kind, {"quantity": 0}) for kind in KINDS],
        ("stop limit", {"quantity": 9, "stop_price": 61}),
        ("gtd", {"expires_ns": END_NS + 1}),
        ("gtd", {"quantity": 9, "expires_ns": END_NS - 1}),
    ],
)
def test_whatever_changes_something_is_not(client, kind, changes):
    answer = client.replace(place(client, kind), **changes)
    assert (answer.reason in (0, 105), answer.flags) == (True, 0)


def test_a_reject_is_not_marked(client):
    answer = client.replace(77, quantity=9)
    assert (answer.reason > 0, answer.flags) == (True, 0)
