"""One order's arithmetic, and the index of live orders by either id."""

from collections import deque

import pytest

from hpe.core.context.holders import NOBODY
from hpe.core.contract import DEFAULT_LIMITS, Limits
from hpe.core.timers import ORDER, Timers
from hpe.core.trading.order_index import EndedById, OrderIndex, UserOrders
from hpe.core.trading.order_states import OrderState
from hpe.core.trading.orders import Order, Terms
from hpe.errors import InvariantViolation
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import OrderStatus, Side, TimeInForce
from tests.unit.core.parts import new_book, new_order, new_stop


def new_index(timers, limits=DEFAULT_LIMITS):
    """Return an index that knows users 1 to 9."""
    index = OrderIndex(timers, limits)
    index.users.update((user, UserOrders({}, NOBODY)) for user in range(1, 10))
    return index


@pytest.fixture
def index():
    return new_index(Timers())


def test_status_follows_from_the_quantities():
    order = new_order(new_book(), quantity=10)
    assert order.status() is OrderStatus.NEW
    order.leaves, order.cum = 4, 6
    assert order.status() is OrderStatus.PARTIALLY_FILLED
    order.leaves, order.cum = 0, 10
    assert order.status() is OrderStatus.FILLED
    order.cum, order.canceled, order.reason = 6, 4, CancelReason.REQUESTED
    assert order.status() is OrderStatus.CANCELED
    order.reason = CancelReason.EXPIRED
    assert order.status() is OrderStatus.EXPIRED


def test_a_stop_with_a_budget_is_new_while_it_has_no_leaves():
    stop = new_stop(new_book(), 1, Side.BUY, 100)
    stop.quantity = stop.leaves = 0
    stop.terms.budget = 50
    assert stop.status() is OrderStatus.NEW
    stop.state = OrderState.ENDED
    stop.quantity = stop.cum = 5
    assert stop.status() is OrderStatus.FILLED


def test_what_may_rest():
    book = new_book()
    assert new_order(book).may_rest
    assert not new_order(book, price=0).may_rest
    killed = new_order(book)
    killed.time_in_force = TimeInForce.IOC
    assert not killed.may_rest
    stop = new_stop(book, 1, Side.SELL, 90)
    assert (stop.may_rest, stop.is_stop, stop.waiting) == (False, True, True)
    assert new_order(book).waiting is False


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
    index.end(orders[0])
    assert index.find(1, 0, 9) is None
    assert index.find(2, 0, 9) is orders[1]


def test_an_ended_order_is_open_no_more(index):
    order = new_order(new_book(), client_order_id=3)
    index.add(order)
    order.leaves, order.cum = 0, 10
    index.end(order)
    assert index.open_count == 0
    assert index.find(order.user, order.order_id, 0) is None
    assert index.find(order.user, 0, 3) is None
    index.check()


def ended(index, order_id, *, cum=0, told=False, client_order_id=0, user=1):
    """Add an order of 10 and end it."""
    order = new_order(new_book(), order_id, user=user, client_order_id=client_order_id)
    index.add(order)
    order.leaves, order.cum, order.canceled = 0, cum, 10 - cum
    order.reason = CancelReason.REQUESTED if order.canceled else 0
    index.end(order, told=told)
    return order


def test_of_ended_orders_those_are_kept_that_no_response_tells_all_about(index):
    for order_id, cum, told in ((1, 0, False), (2, 0, True), (3, 4, True), (4, 10, False)):
        ended(index, order_id, cum=cum, told=told)
    found = [index.find_ended(1, order_id, 0) for order_id in (1, 2, 3, 4)]
    assert [order.order_id for order in found if order] == [1, 3, 4]
    index.check()


def test_the_newest_ended_order_under_a_client_id_is_found(index):
    orders = [ended(index, order_id, client_order_id=7) for order_id in (1, 2)]
    ended(index, 3, client_order_id=7, user=2)
    assert index.find_ended(1, 0, 7) is orders[1]
    assert index.find_ended(1, 1, 0) is orders[0]
    assert index.find_ended(2, 1, 0) is None
    assert index.find_ended(9, 1, 0) is None


def test_ended_orders_without_a_client_id_do_not_meet(index):
    ended(index, 1)
    assert index.find_ended(1, 0, 8) is None


def test_the_oldest_ended_order_of_too_many_is_forgotten():
    index = new_index(Timers(), Limits(ended_orders=2))
    for order_id in (1, 2, 3):
        ended(index, order_id, client_order_id=order_id)
    assert index.find_ended(1, 1, 0) is None
    assert index.find_ended(1, 0, 1) is None
    assert index.find_ended(1, 2, 0).order_id == 2


def test_only_an_open_order_that_expires_has_a_timer():
    timers = Timers()
    index, order = new_index(timers), new_order(new_book(), 5)
    order.terms = Terms(expires_ns=900)
    index.add(order)
    index.add(new_order(new_book(), 6))
    assert [entry.due for entry in timers.entries()] == [(900, ORDER, 5, 1)]
    order.leaves, order.canceled = 0, 10
    index.end(order)
    assert timers.entries() == []


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


def hide_all(order: Order) -> None:
    order.hidden = order.leaves


def give_reason(order: Order) -> None:
    order.reason = CancelReason.REQUESTED


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (spoil_leaves, "leaves"),
        (end, "ended"),
        (rename, "client id"),
        (hide_all, "hides 10"),
        (give_reason, "has ended"),
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


class CountedWalks(deque):
    """A deque that counts the orders that are looked at from its end."""

    looked_at = 0

    def __reversed__(self):
        for order in super().__reversed__():
            self.looked_at += 1
            yield order


def test_an_ended_order_is_found_by_its_id_while_it_is_kept():
    index, book = new_index(Timers(), Limits(ended_orders=8)), new_book()
    for order_id in range(1, 100):
        order = new_order(book, order_id, user=1 + order_id % 2)
        order.state = OrderState.ENDED
        index.keep(order)
        if order_id % 3 == 0 or 40 < order_id < 60:
            continue  # nobody asks for some time, once for longer than any order is kept
        kept = {order.order_id: order for order in index.ended}
        for asked in range(1, order_id + 2):
            for user in (1, 2):
                order = kept.get(asked)
                mine = order if order is not None and order.user == user else None
                assert index.find_ended(user, asked, 0) is mine


def test_to_find_an_ended_order_only_those_that_ended_since_are_looked_at():
    book, ended = new_book(), CountedWalks()
    by_id = EndedById(ended)
    orders = [new_order(book, order_id) for order_id in range(1, 1_001)]
    ended.extend(orders)
    assert by_id.get(1) is orders[0]
    assert ended.looked_at == 1_000
    ended.looked_at = 0
    for _ in range(10):
        assert by_id.get(1) is orders[0]
        assert by_id.get(2_000) is None
    assert ended.looked_at == 20, "the newest, at each question"
    ended.popleft()
    ended.append(new_order(book, 1_001))
    ended.looked_at = 0
    assert by_id.get(1) is None
    assert by_id.get(1_001) is ended[-1]
    assert ended.looked_at == 2 + 1
