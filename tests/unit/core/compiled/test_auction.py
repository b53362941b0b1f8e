"""Call auctions of the compiled core against the reference's: the price, and who trades at it."""

from random import Random

import pytest

from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.trading.auction import (
    NO_CLEARING,
    Clearing,
    clearing,
    crossing_levels,
    fill_auction,
    is_too_deep,
)
from hpe.core.trading.work import UncrossInProgress, Work
from hpe.protocol.enums import InstrumentStatus, Side
from hpe.protocol.limits import INT_MAX
from tests.unit.core.compiled.test_matching import BothBooks, NewOrder

BOOKS = 250
TRADING, CALL = InstrumentStatus.TRADING, InstrumentStatus.CALL_AUCTION


class BothCalls(BothBooks):
    """The same call in both cores."""

    def __init__(self, matching):
        super().__init__(matching)
        self.set_status(CALL)

    def set_status(self, status):
        self.book.set_status(status)
        self.compiled.set_status(status, self.book.instrument.band_ppm)

    def find_price(self):
        """Return the clearing of both."""
        found = clearing(self.book)
        assert self.compiled.clearing() == tuple(found)
        levels = crossing_levels(self.book)
        for query_effort in (8 * levels - 1, 8 * levels):
            limits = DEFAULT_LIMITS._replace(query_effort=query_effort)
            too_deep = is_too_deep(self.book, limits)
            assert self.compiled.crossing_levels(query_effort) == (levels, too_deep)
        prices = {order.price for order in self.book.orders()}
        self.seen["cleared"] += found.volume > 0
        self.seen["middle"] += found.volume > 0 and found.price not in prices
        self.seen["levels"] += levels
        return found

    def uncross(self, random, found):
        """Trade the volume in parts; in between, the price is that of the beginning."""
        left = found.volume
        while left:
            fills_max = random.choice((1, 2, 5, 100))
            volume, fills = left, fill_auction(self.book, found.price, left, fills_max)
            left -= sum(fill.quantity for fill in fills)
            rows = [
                (fill.buy.order_id, fill.sell.order_id, fill.price, fill.quantity, fill.buy_leaves,
                 fill.buy_cum, fill.sell_leaves, fill.sell_cum, fill.buy_fee, fill.sell_fee)
                for fill in fills
            ]  # fmt: skip
            assert self.compiled.fill_auction(found.price, volume, fills_max) == (rows, left)
            self.seen["fills"] += len(rows)
            self.compare()
            self.keep(found._replace(volume=left))

    def keep(self, found):
        """Leave the rest of an uncross for later, or end it."""
        if found.volume:
            self.book.work = Work()
            self.book.work.uncrossing = UncrossInProgress(*found, TRADING)
            self.seen["parts"] += 1
        else:
            self.book.work = None
        self.compiled.uncross(found.volume > 0, *found)
        if found.volume:
            assert self.find_price() == found


def collect(random, both, wide):
    """Let random orders join the call, of one side only or of both."""
    sides = random.choice((list(Side), list(Side), list(Side), [Side.BUY], [Side.SELL]))
    for number in range(1, random.choice((4, 8, 60))):
        side = random.choice(sides)
        price = random.randint(1, 60) if wide else random.randint(98, 103)
        display, expires_ns = random.choice((0, 0, 2, 5)), random.choice((0, 0, 0, 30, 60))
        quantity = random.randint(1, 9)
        both.rest(NewOrder(number, 1, side, price, quantity, 1, display, expires_ns))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("wide", [False, True])
def test_calls_are_the_references(matching, seed, wide):
    random, seen = Random(seed), {}
    for number in range(BOOKS):
        both = BothCalls(matching)
        both.seen.update(seen)
        collect(random, both, wide)
        both.set_time(random.choice((0, 0, 40, 70)))
        both.seen["dead"] += both.book.dead_ns() > 0
        found = both.find_price()
        both.compare()
        if number % 5 == 0:
            both.set_status(TRADING)  # then no levels are said to cross
            both.find_price()
            both.set_status(CALL)
        both.uncross(random, found)
        both.find_price()
        seen = both.seen
    for what in ("cleared", "levels", "fills", "parts", "dead"):
        assert seen[what] > 20, (what, seen)
    assert seen["middle"] or not wide


def test_a_dead_best_order_counts_for_nothing(matching):
    both = BothCalls(matching)
    plan = ((Side.BUY, 110, 5), (Side.BUY, 100, 0), (Side.SELL, 90, 5), (Side.SELL, 105, 0))
    for number, (side, price, expires_ns) in enumerate(plan, 1):
        both.rest(NewOrder(number, 1, side, price, 5, expires_ns=expires_ns))
    assert both.find_price().volume == 5
    both.set_time(5)
    assert both.find_price() == NO_CLEARING
    assert both.compiled.crossing_levels(0) == (4, True)  # every order is read


def test_the_largest_numbers_of_a_call(matching):
    both = BothCalls(matching)
    both.rest(NewOrder(1, 1, Side.BUY, INT_MAX, 2**62, 1, 2**61))
    both.rest(NewOrder(2, 1, Side.SELL, INT_MAX - 2, 1))
    assert both.find_price() == Clearing(INT_MAX, 1, 2**62 - 1)
    both.rest(NewOrder(3, 1, Side.SELL, INT_MAX - 2, 2**62 - 1))
    assert both.find_price() == Clearing(INT_MAX - 1, 2**62, 0)
    both.uncross(Random(0), both.find_price())
    assert both.find_price() == NO_CLEARING
