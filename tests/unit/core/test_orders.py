"""One order's arithmetic, and the index of live orders by either id."""

import pytest

from hpe.core.orders import Order, OrderIndex
from hpe.errors import InvariantViolation
from hpe.messages import OrderStatus
from tests.unit.core.builders import new_book, new_order


@pytest.fixture
def index():
    return OrderIndex()


def test_status_follows_from_the_quantities():
    order = new_order(new_book(), quantity=10)
    assert order.status() is OrderStatus.NEW
    order.leaves, order.cum = 4, 6
    assert order.status() is OrderStatus.PARTIALLY_FILLED
    order.leaves, order.cum = 0, 10
    assert order.status() is OrderStatus.FILLED
    order.cum, order.canceled = 6, 4
    assert order.status() is OrderStatus.CANCELED


def test_an_order_is_found_by_either_id_and_by_its_user_only(index):
    order = new_order(new_book(), 5, user=1, client_order_id=77)
    index.add(order)
    assert index.find(1, 5, 0) is order
    assert index.find(1, 0, 77) is order
    assert index.find(2, 5, 0) is None
    assert index.find(2, 0, 77) is None
    assert index.find(1, 6, 0) is None
    assert index.find(1, 0, 78) is None


def test_two_users_may_use_the_same_client_id(index):
    book = new_book()
    orders = [new_order(book, user, user=user, client_order_id=9) for user in (1, 2)]
    for order in orders:
        index.add(order)
    assert [index.find(user, 0, 9) for user in (1, 2)] == orders
    index.remove(orders[0])
    assert index.find(1, 0, 9) is None
    assert index.find(2, 0, 9) is orders[1]


def test_an_ended_order_leaves_nothing_behind(index):
    order = new_order(new_book(), client_order_id=3)
    index.add(order)
    index.remove(order)
    assert len(index) == 0
    assert index.find(order.user, order.order_id, 0) is None
    assert index.find(order.user, 0, 3) is None
    index.check()


def test_orders_without_a_client_id_do_not_meet(index):
    book = new_book()
    for number in (1, 2):
        order = new_order(book, number)
        index.add(order)
        book.bids.add(order)
    assert index.find(1, 0, 0) is None
    index.check()


def spoil_leaves(order: Order) -> None:
    order.leaves += 1


def end(order: Order) -> None:
    order.leaves = 0


def rename(order: Order) -> None:
    order.client_order_id = 4


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (spoil_leaves, "leaves"),
        (end, "ended"),
        (rename, "client id"),
    ],
)
def test_check_sees_what_is_wrong(index, damage, complaint):
    book = new_book()
    order = new_order(book, client_order_id=3)
    book.bids.add(order)
    index.add(order)
    index.check()
    damage(order)
    with pytest.raises(InvariantViolation, match=complaint):
        index.check()
