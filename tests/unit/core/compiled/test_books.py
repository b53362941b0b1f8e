"""Orders and ladders of the compiled core against the reference's."""

from itertools import product
from random import Random

import pytest

from hpe.core.trading.order_states import MOVES, OrderState
from hpe.core.trading.orderbook import Ladder
from hpe.core.trading.orders import Order, Terms
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.limits import INT_MAX

STEPS = 4_000


def order_of(order_id, side, price, leaves, display):
    terms = Terms(display=display) if display else None
    order = Order(
        order_id, 1, 0, 1, side, OrderType.LIMIT, TimeInForce.GTC, price, leaves, leaves, 0, 0,
        None, None, None, None, terms=terms,
    )  # fmt: skip
    order.show_slice()
    return order


def levels_of(ladder, price):
    return [
        (
            level.price, level.quantity, level.hidden,
            [(order.order_id, order.leaves, order.hidden) for order in level.orders()],
        )
        for level in ladder.levels_within(price)
    ]  # fmt: skip


class BothSides:
    """The same side of a book in both cores."""

    def __init__(self, records, side):
        self.side = side
        self.compiled, self.reference = records.Ladder(side), Ladder(side)
        self.changes = []
        self.reference.record = self.changes
        self.live = {}

    def add(self, order_id, price, leaves, display):
        order = self.live[order_id] = order_of(order_id, self.side, price, leaves, display)
        self.reference.add(order)
        self.compiled.add(order_id, price, leaves, display)

    def step(self, random, order_id, prices):
        order = self.live[random.choice(list(self.live))] if self.live else None
        shown = order.leaves - order.hidden if order is not None else 0
        choice = random.random()
        if order is None or choice < 0.45:
            self.add(order_id, random.choice(prices), random.randint(1, 50), random.choice((0, 3)))
        elif choice < 0.7 or not order.leaves:
            self.reference.remove(order)
            self.compiled.remove(order.order_id)
            del self.live[order.order_id]
        elif choice < 0.85 and order.leaves > 1:
            leaves = random.randint(1, order.leaves)
            self.reference.reduce(order, leaves)
            self.compiled.reduce(order.order_id, leaves)
        elif order.hidden:
            self.reference.take(order, shown)
            self.reference.refill(order)
            self.compiled.take(order.order_id, shown)
            self.compiled.refill(order.order_id)
        elif shown > 1:
            quantity = random.randint(1, shown - 1)
            self.reference.take(order, quantity)
            self.compiled.take(order.order_id, quantity)

    def compare(self, price):
        assert self.compiled.levels_within(price) == levels_of(self.reference, price)
        assert self.compiled.crosses(price) == self.reference.crosses(price)
        assert self.compiled.count_within(price) == self.reference.count_within(price)
        assert self.compiled.changes == self.reference.changes
        assert self.compiled.taken_changes() == self.changes
        self.changes.clear()


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("span", [5, 400])
def test_a_side_of_a_book_is_the_references(records, side, span):
    random, pair = Random(span + side), BothSides(records, side)
    prices = [*range(1, span), INT_MAX]
    for number in range(1, STEPS + 1):
        pair.step(random, number, prices)
        if number % 20 == 0:
            pair.compare(random.choice([0, *prices]))
    pair.compare(0)
    assert pair.live


def test_statuses(records):
    for leaves, cum, reason, state in product(
        (0, 5),
        (0, 7),
        (0, *CancelReason),
        (OrderState.WAITING, OrderState.QUEUED, OrderState.ENDED),
    ):
        order = order_of(1, Side.BUY, 5, leaves, 0)
        order.cum, order.reason, order.state = cum, reason, state
        assert records.status(leaves, cum, reason, state) == order.status()


def test_moves(records):
    for before, after in product(OrderState, OrderState):
        assert records.may_move(before, after) == (after in MOVES[before])
