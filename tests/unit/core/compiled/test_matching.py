"""Matching of the compiled core against the reference's, trade by trade."""

from collections import Counter
from itertools import product
from random import Random
from typing import NamedTuple

import pytest

from hpe.core.context.effort import Effort
from hpe.core.money.fees import rates_of
from hpe.core.timers import ORDER, Timers
from hpe.core.trading.matcher import Matcher
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Terms
from hpe.protocol.enums import InstrumentStatus, SelfTrade, Side
from hpe.protocol.limits import AMOUNT_MAX, INT_MAX, PPM
from tests.unit.core.parts import new_instrument, new_order

STEPS = 1_500
WITH_BUDGET = (SelfTrade.NONE, SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_MAKER)


class NewOrder(NamedTuple):
    """A new order; price 0 at market, quantity 0 with a budget."""

    order_id: int
    user: int
    side: Side
    price: int
    quantity: int
    self_trade: int = SelfTrade.NONE
    display: int = 0
    expires_ns: int = 0
    budget: int = 0
    taker_ppm: int = 0


def quantities_of(order):
    canceled = order.quantity - order.leaves - order.cum
    return order.order_id, order.price, order.leaves, order.hidden, order.cum, canceled


class BothBooks:
    """One book in both cores, and all that the matchers of both may do with it."""

    def __init__(self, matching, *, atoms=1, band_ppm=0, reference_price=0, fills_max=10):
        self.nothing = matching.NOTHING
        self.compiled = matching.Book(atoms, band_ppm, reference_price, fills_max)
        self.timers = Timers((1, 1, 1, 1, 1))
        self.timers.add((1, ORDER, 0, 0), 1)
        instrument = new_instrument(
            quote_atoms_per_tick=atoms, band_ppm=band_ppm, reference_price=reference_price
        )
        self.book, self.effort = OrderBook(instrument, self.timers), Effort()
        self.matcher = Matcher(self.effort, fills_max)
        self.seen = Counter()

    def order_of(self, row):
        order = new_order(
            self.book, row.order_id, row.side, row.price, row.quantity, user=row.user,
            self_trade=row.self_trade, rates=rates_of(0, row.taker_ppm),
        )  # fmt: skip
        if row.display or row.expires_ns or row.budget:
            terms = Terms(display=row.display, expires_ns=row.expires_ns, budget=row.budget)
            order.terms = terms
        order.show_slice()
        return order

    def rest(self, row):
        self.book.side(row.side).add(self.order_of(row))
        self.compiled.rest(row)

    def take_off_best(self, side):
        """Remove the oldest order at the best price that orders of a side trade against."""
        ladder = self.book.opposite(side)
        order = ladder.best.head
        ladder.remove(order)
        self.compiled.remove(order.order_id)

    def set_time(self, time_ns):
        self.timers.begin_body(time_ns)
        self.timers.review()
        self.compiled.set_time(time_ns)

    def limit_of(self, row):
        """Return the limit of an order, for the reference and for the compiled book."""
        limit = self.book.limit_within_band(row.side, row.price)
        compiled = self.compiled.limit_within_band(row.side, row.price)
        assert compiled == (self.nothing if limit is None else limit)
        crosses = self.book.crosses(row.side, row.price)
        assert self.compiled.crosses(row.side, row.price) == crosses
        self.seen["nothing"] += limit is None
        return limit, compiled

    def match(self, row):
        """Match an order in both; return the reference's result, and the order."""
        order, (limit, compiled_limit) = self.order_of(row), self.limit_of(row)
        matched = self.matcher.match(self.book, order, limit)
        fills = [
            (fill.maker.order_id, fill.price, fill.quantity, fill.maker_leaves, fill.maker_cum,
             fill.taker_leaves, fill.taker_cum, fill.maker_fee, fill.taker_fee)
            for fill in matched.fills
        ]  # fmt: skip
        prevented = [
            (each.maker.order_id, each.price, each.maker_canceled, each.taker_canceled,
             each.maker_leaves, each.taker_leaves, each.fills_before)
            for each in matched.prevented
        ]  # fmt: skip
        reached = [
            (each.order.order_id, each.fills_before, each.prevented_before)
            for each in matched.reached
        ]
        ways = matched.barred, matched.exhausted, matched.spent
        expected = fills, prevented, reached, ways, quantities_of(order)
        assert self.compiled.match(row, compiled_limit) == expected
        self.compare()
        self.seen["fills"] += len(fills)
        self.seen["reached"] += len(reached)
        self.seen[f"prevented {row.self_trade}"] += len(prevented)
        for way, happened in zip(("barred", "exhausted", "spent"), ways, strict=True):
            self.seen[way] += happened
        return matched, order

    def search(self, row, quantity, amount):
        """Search for what would trade in both."""
        order, (limit, compiled_limit) = self.order_of(row), self.limit_of(row)
        fillable = self.matcher.fillable(self.book, order, limit, quantity)
        assert self.compiled.fillable(row, compiled_limit, quantity) == fillable
        self.seen["fillable"] += fillable
        cost = self.matcher.cost(self.book, order, limit, amount)
        assert self.compiled.cost(row, compiled_limit, amount) == cost
        if row.side is Side.BUY and not row.price:
            spendable = self.matcher.spendable(self.book, order, limit, amount)
            assert self.compiled.spendable(row, compiled_limit, amount) == spendable
            self.seen["spendable"] += spendable
        self.compare()
        return cost

    def compare(self):
        assert self.compiled.spent == self.effort.spent
        sides = [
            [
                (level.price, level.quantity, level.hidden,
                 [quantities_of(order) for order in level.orders()])
                for level in ladder.levels()
            ]
            for ladder in (self.book.bids, self.book.asks)
        ]  # fmt: skip
        book = self.book
        expected = (*sides, book.last_price, book.last_trade_id, book.sequence)
        assert self.compiled.state() == expected
        self.book.check()


def step(random, both, number):
    """Let a random order search, match and rest."""
    side, user = random.choice(list(Side)), random.randint(1, 3)
    price = random.choice((0, 0, *range(95, 106)))
    row = NewOrder(
        number, user, side, price, random.randint(1, 30), random.choice(list(SelfTrade)),
        taker_ppm=random.choice((0, 1, 333_333, PPM - 1)),
    )  # fmt: skip
    if both.book.limit_within_band(side, price) is None and random.random() < 0.7:
        both.take_off_best(side)
    both.search(row, random.randint(1, 40), random.choice((0, 1, 300, 900, 5_000, AMOUNT_MAX)))
    if side is Side.BUY and random.random() < 0.2:
        policy, budget = random.choice(WITH_BUDGET), random.randint(1, 20_000)
        both.match(row._replace(price=0, quantity=0, self_trade=policy, budget=budget))
        return
    matched, order = both.match(row)
    ends = matched.barred or matched.exhausted
    if price and order.leaves and not ends and not both.book.crosses(side, price):
        display, expires_ns = random.choice((0, 0, 1, 4)), random.choice((0, 0, 0, 30, 60))
        left = row._replace(quantity=order.leaves, display=display, expires_ns=expires_ns)
        if not both.book.opposite(side).crosses(price):
            both.rest(left)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("fills_max", [3, 1_000])
@pytest.mark.parametrize("band_ppm", [0, 30_000])
def test_matching_is_the_references(matching, seed, fills_max, band_ppm):
    random = Random(seed)
    both = BothBooks(matching, atoms=3, band_ppm=band_ppm, reference_price=100, fills_max=fills_max)
    for number in range(1, STEPS + 1):
        if number % 25 == 0:
            both.set_time(random.choice((0, 0, 20, 40, 70)))
        step(random, both, number)
        if number % 50 == 0:
            both.compiled.forget_trades()
    seen = both.seen
    for policy in SelfTrade:
        assert bool(seen[f"prevented {policy}"]) == (policy is not SelfTrade.NONE)
    for way in ("fills", "reached", "barred", "spent", "fillable", "spendable"):
        assert seen[way], (way, seen)
    assert bool(seen["exhausted"]) == (fills_max == 3)
    assert bool(seen["nothing"]) == bool(band_ppm)


def test_the_largest_numbers(matching):
    both = BothBooks(matching, fills_max=4)
    both.rest(NewOrder(1, 1, Side.SELL, INT_MAX - 1, INT_MAX // 4))
    both.rest(NewOrder(2, 1, Side.SELL, INT_MAX, INT_MAX // 4))
    taker = NewOrder(3, 2, Side.BUY, 0, INT_MAX // 2)
    assert both.search(taker, INT_MAX // 4, AMOUNT_MAX) > 2**123
    both.match(taker)
    both.match(NewOrder(4, 2, Side.BUY, 0, 0, budget=AMOUNT_MAX, taker_ppm=PPM - 1))


def test_dead_orders_at_the_front_leave_even_beyond_the_band(matching):
    both = BothBooks(matching, band_ppm=10_000, reference_price=100)
    for number, price, expires_ns in ((1, 90, 5), (2, 100, 0), (3, 105, 5), (4, 106, 0)):
        both.rest(NewOrder(number, 1, Side.SELL, price, 5, expires_ns=expires_ns))
    both.set_time(5)
    matched, _ = both.match(NewOrder(5, 2, Side.BUY, 0, 9))
    assert [each.order.order_id for each in matched.reached] == [1, 3]
    assert [each.fills_before for each in matched.reached] == [0, 1]


def test_what_may_be_done_with_a_book(matching):
    both, notices = BothBooks(matching), []
    assert both.compiled.standing == (InstrumentStatus.TRADING, True, 0)
    both.book.watch([], lambda: notices.append(both.book.status))
    both.compiled.watch()
    for status, band_ppm in product(InstrumentStatus, (0, 10_000)):
        both.book.instrument.band_ppm = band_ppm
        both.book.set_status(status)
        both.compiled.set_status(status, band_ppm)
        assert both.compiled.standing == (status, both.book.plain, len(notices))
    assert len(notices) == 8
