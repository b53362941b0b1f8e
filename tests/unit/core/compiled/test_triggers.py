"""Waiting stops of the compiled core against the reference's."""

from random import Random

import pytest

from hpe.core.trading.order_states import WAITING
from hpe.core.trading.orders import Order, Terms
from hpe.core.trading.triggers import Firing, Triggers
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.limits import INT_MAX

STEPS = 3_000


def stop_of(order_id, side, stop_price, trail):
    terms = Terms(stop_price=stop_price, trail=trail, place=order_id)
    kind = OrderType.STOP_LIMIT
    order = Order(
        order_id, 1, 0, 1, side, kind, TimeInForce.GTC, 1, 1, 1, 0, 0, None, None, None, None,
        terms=terms,
    )  # fmt: skip
    order.state = WAITING
    return order


def rows_of(rows):
    return [(first, place, order.order_id) for first, place, order in rows]


class BothTriggers:
    """The same stops in both cores, around a last price as the market has it."""

    def __init__(self, triggers, price):
        self.compiled, self.reference = triggers.Triggers(), Triggers()
        self.price = price
        self.live = {}
        self.fired = self.moved = self.parts = 0

    def add(self, order_id, side, distance, trail):
        """Add a stop that the last price has not reached; with a trail, it follows that price."""
        away = distance if side is Side.BUY else -distance
        if not 1 <= self.price + away <= INT_MAX:
            return
        order = stop_of(order_id, side, self.price + away, distance if trail else 0)
        self.live[order_id] = order
        self.reference.add(order)
        self.compiled.add(order_id, side, order.terms.stop_price, order.terms.trail, order_id)

    def remove(self, order_id):
        order = self.live.pop(order_id)
        self.reference.remove(order)
        assert self.compiled.remove(order_id) == order.terms.stop_price

    def trade(self, prices, room):
        """Fire what a series of trades reached, in parts of at most `room`."""
        for price in prices:
            assert self.compiled.is_quiet(price) == self.reference.is_quiet(price)
        firing = Firing(prices)
        while not firing.is_done:
            before = firing.side, firing.index
            rows, moved = self.reference.take(firing, room)
            wanted = [(*row, order.terms.stop_price) for row, (_, _, order) in zip(
                rows_of(rows), rows, strict=True)]  # fmt: skip
            after = firing.side, firing.index
            assert self.compiled.take(prices, *before, room) == (wanted, moved, *after)
            for _, _, order in rows:
                del self.live[order.order_id]
            self.fired += len(rows)
            self.moved += moved
            self.parts += not firing.is_done and firing.side == before[0]
            self.compare()
        self.price = prices[-1]

    def compare(self):
        self.reference.check()
        assert self.compiled.count == self.reference.count
        groups = 0
        for side in Side:
            one = self.reference.side(side)
            trails = [(group.peak, rows_of(group.stops)) for group in one._trails]
            assert self.compiled.bounds(side) == (one.quiet_low, one.quiet_high)
            assert self.compiled.fixed(side) == rows_of(one._fixed)
            assert self.compiled.groups(side) == trails
            assert self.compiled.firsts(side) == list(one._firsts)
            groups += len(trails)
        assert self.compiled.records_used == (groups, groups)
        wanted = {order_id: order.trigger() for order_id, order in self.live.items()}
        assert self.compiled.triggers_of() == wanted


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("price", [2_000, INT_MAX - 2_000])
def test_stops_are_the_references(triggers, seed, price):
    random, both = Random(seed), BothTriggers(triggers, price)
    low, high = price - 1_000, min(price + 1_000, INT_MAX)
    for order_id in range(1, STEPS + 1):
        choice = random.random()
        if choice < 0.6:
            side, distance = random.choice(list(Side)), random.randint(1, 60)
            both.add(order_id, side, distance, random.random() < 0.7)
        elif choice < 0.7 and both.live:
            both.remove(random.choice(list(both.live)))
        else:
            reach = random.choice((2, 2, 5, 40))
            prices = [
                min(max(both.price + random.randint(-reach, reach), low), high)
                for _ in range(random.choice((1, 1, 4, 40)))
            ]
            both.trade(prices, random.choice((1, 3, 100)))
        both.compare()
    assert both.fired > STEPS // 10
    assert both.moved > STEPS // 20
    assert both.parts > STEPS // 100


def test_trails_follow_without_firing(triggers):
    both = BothTriggers(triggers, 500)
    for order_id in range(1, 200):
        both.add(order_id, Side.SELL, 400 + order_id % 7, trail=True)
        both.price -= 1
    for price in range(350, 520, 9):
        moved = both.reference.advance(price)
        assert both.compiled.advance(price) == moved
        both.moved += moved
        both.compare()
    assert both.moved > 50
    assert len(both.reference.sells._trails) == 1


def test_the_largest_prices(triggers):
    both = BothTriggers(triggers, INT_MAX)
    both.add(1, Side.SELL, INT_MAX - 1, trail=False)
    both.add(2, Side.SELL, INT_MAX - 1, trail=True)
    both.price = 1
    both.add(3, Side.BUY, INT_MAX - 1, trail=True)
    both.add(4, Side.BUY, INT_MAX - 1, trail=False)
    both.compare()
    both.trade([INT_MAX, 1, INT_MAX], 1)
    assert both.fired == 4
    assert not both.live
