"""Dead orders in the way of the compiled core's orders, against the reference."""

from random import Random

import pytest

from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.trading.dead import Search, count_dead, dead_before
from hpe.protocol.enums import InstrumentStatus, SelfTrade, Side
from hpe.protocol.flags import ORDER_POST_ONLY
from hpe.protocol.limits import INT_MAX
from tests.unit.core.compiled.test_matching import BothBooks, NewOrder

SEARCHES = 4_000
TRADING = InstrumentStatus.TRADING


class BothSearches(BothBooks):
    """The same searches in both cores, for bounds that few orders reach."""

    def limited(self, random):
        return DEFAULT_LIMITS._replace(
            fills=random.choice((0, 1, 5, 1_000)), dead=random.choice((0, 2, 1_000))
        )

    def count(self, limits, side, search):
        book = self.book
        passed = count_dead(book.opposite(side), search, book.dead_ns(), limits)
        found = self.compiled.count_dead(side, *search, limits.fills, limits.dead)
        assert found == tuple(passed)
        self.seen["dead"] += passed.dead
        self.seen["rows"] += passed.rows
        self.seen["many"] += passed.dead > limits.dead

    def count_before(self, limits, row, flags):
        order = self.order_of(row)
        order.flags = flags
        passed = dead_before(self.book, order, limits)
        assert self.compiled.dead_before(row, flags, limits.fills, limits.dead) == tuple(passed)
        self.seen["before"] += passed.dead

    def compare_times(self):
        """Compare which resting orders are to end, as Expiry.is_dead knows it."""
        passed, now_ns = self.timers.is_passed(1), self.timers.now_ns
        for order in self.book.orders():
            expected = order.is_dead(now_ns) and not passed
            assert self.compiled.time_has_come(order.order_id) == expected
            self.seen["come"] += expected


def fill_book(random, both):
    for number in range(1, 80):
        side = random.choice(list(Side))
        price = random.randint(95, 99) if side is Side.BUY else random.randint(101, 105)
        display, expires_ns = random.choice((0, 0, 2, 5)), random.choice((0, 30, 30, 60))
        user, quantity = random.randint(1, 3), random.randint(1, 9)
        both.rest(NewOrder(number, user, side, price, quantity, 1, display, expires_ns))


def search(random, both, number):
    limits, side = both.limited(random), random.choice(list(Side))
    price, user = random.choice((0, *range(95, 106))), random.randint(0, 3)
    lots, policy = random.choice((1, 5, 50, 1_000, INT_MAX)), random.choice(list(SelfTrade))
    both.count(limits, side, Search(price, lots, user, policy))
    has_budget = price == 0 and random.random() < 0.5
    row = NewOrder(number, user, side, price, 0 if has_budget else lots, policy)
    if has_budget:
        row = row._replace(budget=1_000)
    both.count_before(limits, row, random.choice((0, 0, ORDER_POST_ONLY)))


@pytest.mark.parametrize("seed", range(4))
def test_searches_for_dead_orders_are_the_references(matching, seed):
    random, both = Random(seed), BothSearches(matching)
    fill_book(random, both)
    for number in range(1_000, 1_000 + SEARCHES):
        if number % 40 == 0:
            both.set_time(random.choice((0, 20, 40, 70)))
            both.compare_times()
        if number % 200 == 0:
            status = random.choice([TRADING, *InstrumentStatus])
            both.book.set_status(status)
            both.compiled.set_status(status, 0)
        search(random, both, number)
    for what in ("dead", "rows", "many", "before", "come"):
        assert both.seen[what] > 100, (what, both.seen)


def test_nothing_ends_while_an_uncross_counts_on_it(matching):
    both = BothSearches(matching)
    both.rest(NewOrder(1, 1, Side.SELL, 105, 5, expires_ns=30))
    both.set_time(30)
    both.compare_times()
    both.timers.pass_over(1)
    both.compiled.pass_over(True)
    both.compare_times()
    both.timers.take_up(1)
    both.compiled.pass_over(False)
    both.compare_times()
    assert both.seen["come"] == 2
