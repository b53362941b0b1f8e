"""Market data and snapshots of the compiled core against the reference's, byte by byte."""

from itertools import product
from random import Random

import pytest

from hpe.core.codec import encode
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.output.market_data import checksum
from hpe.protocol.enums import Channel, InstrumentStatus, Side
from hpe.protocol.limits import DEPTH_MAX, INT_MAX
from tests.unit.core.compiled.both_feeds import BothFeeds

BATCHES = 600
INSTRUMENTS = (1, 2, 300, 70_000, 2**31 - 1)
ALL = 31
SMALL = DEFAULT_LIMITS._replace(
    changes=3, snapshot_orders=6, indicative_levels=2, indicative_ns_per_level=20,
    made_up_levels=4, query_effort=8 * 12,
)  # fmt: skip
LARGE = DEFAULT_LIMITS._replace(query_effort=8 * 40, indicative_levels=20)
TRADING, CALL = InstrumentStatus.TRADING, InstrumentStatus.CALL_AUCTION


class RandomFeeds:
    """A random stream of batches; small numbers of everything, now and then the largest."""

    def __init__(self, feeds, seed, limits):
        self.random = Random(f"{seed} {limits.changes}")
        self.both = BothFeeds(feeds, limits)
        self.numbers = list(INSTRUMENTS)
        self.masks = {}
        self.order_id = 0
        self.listed = 0
        for number in INSTRUMENTS[:3]:
            self.list_book(number)

    def list_book(self, number):
        self.both.list_book(number, self.random.choice((0, 50_000)), self.random.randint(1, 200))
        self.listed += 1

    def change_wanted(self):
        """Let subscribers come and go, also of instruments that are not listed."""
        random = self.random
        for number in sorted({*self.numbers, *self.masks}):
            if random.random() < 0.04:
                self.masks.pop(number, None)
            elif random.random() < 0.08:
                self.masks[number] = random.choice((random.randint(1, ALL), ALL))

    def change_listings(self):
        """List a book, or delist one."""
        books = self.both.exchange.books
        number = self.random.choice(self.numbers)
        if number not in books and self.listed < 150:
            self.list_book(number)
        elif len(books) > 2 and number in books and self.random.random() < 0.3:
            self.both.delist(number)
            self.numbers.remove(number)  # often for ever; the same id may come again
            self.numbers.append(2 + max(book for book in self.numbers if book < 2**30))

    def change_book(self, number):
        """Change one book in one way."""
        random, choice = self.random, self.random.random()
        if choice < 0.4:
            self.add(number)
        elif choice < 0.8:
            self.change_order(number)
        elif choice < 0.87:
            status = random.choice((TRADING, CALL, CALL, CALL, InstrumentStatus.HALTED))
            self.both.set_status(number, status, random.choice((0, 50_000)))
        elif choice < 0.95:
            fills = [
                (random.choice((random.randint(90, 110), INT_MAX)), random.randint(1, 9))
                for _ in range(random.randint(1, 8))
            ]
            self.add(number)  # whatever trades changes the book
            self.both.trade(number, random.choice((None, *Side)), fills)
        elif choice < 0.98:
            row = random.randint(1, 99), random.randint(1, 99), random.randint(-99, 99)
            self.both.keep_uncross(number, random.choice((row, None, None)))
        else:
            self.both.let_die(number, self.both.time_ns + random.choice((0, 500, 5_000)))

    def add(self, number):
        random = self.random
        self.order_id += 1
        price = (
            random.randint(95, 105) if random.random() < 0.97 else INT_MAX - random.randint(0, 3)
        )
        expires_ns = random.choice((0, 0, 0, self.both.time_ns + random.randint(0, 10_000)))
        leaves = random.choice((random.randint(1, 20), random.randint(1, 20), 2**40))
        order_id = self.order_id << random.choice((0, 0, 30))
        self.both.add(
            number, order_id, random.choice(list(Side)), price, leaves,
            random.choice((0, 0, 3)) if leaves < 2**40 else 0, expires_ns,
        )  # fmt: skip

    def change_order(self, number):
        both, random = self.both, self.random
        mine = [order for order in both.live.values() if order.instrument_id == number]
        if not mine:
            return
        order, choice = random.choice(mine), random.random()
        shown = order.leaves - order.hidden
        if choice < 0.4:
            both.remove(order)
        elif choice < 0.6 and order.leaves > 1:
            both.reduce(order, random.randint(max(order.leaves - 4, 1), order.leaves - 1))
        elif order.hidden:
            both.take(order, random.randint(1, shown))
        elif shown > 1:
            both.take(order, random.randint(1, shown - 1))

    def subscribe(self):
        random = self.random
        number = random.choice((*self.numbers, 4_000_000_000))
        self.both.subscribe(
            random.randint(1, 4), random.choice((1, 200, 2**40)), number,
            random.choice(list(Channel)), random.choice((1, 2, 3, DEPTH_MAX)),
        )  # fmt: skip

    def batch(self):
        """Make one batch: with commands, with queries only, or one that makes up."""
        random, both = self.random, self.both
        self.change_wanted()
        both.begin(both.time_ns + random.choice((1, 30, 1_000)), self.masks)
        begun = random.random() < 0.75
        makes_up = not begun and random.random() < 0.7
        steps = [self.subscribe] * random.choice((0, 0, 1, 6)) if not makes_up else []
        if begun:
            both.let_time_pass()
            books = list(both.exchange.books)
            number = random.choice(books)
            for _ in range(random.choice((0, 1, 3, 12, 40))):
                number = random.choice(books) if random.random() < 0.3 else number
                steps.append(lambda number=number: self.change_book(number))
        random.shuffle(steps)
        for step in steps:
            step()
        if begun and random.random() < 0.2:
            self.change_listings()
        both.end(begun=begun, makes_up=makes_up)
        assert both.compiled.records_kept[0] == len(self.masks)


@pytest.mark.parametrize("limits", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("seed", range(4))
def test_market_data_is_the_references(feeds, seed, limits):
    stream = RandomFeeds(feeds, seed, limits)
    for _ in range(BATCHES):
        stream.batch()
    seen = stream.both.seen
    for channel in Channel:
        assert seen[f"channel {channel}"] > 20
        assert seen[f"subscribe {channel.name}"] > 20
    for what in ("late", "made up", "slices", "channel 0", "known", "costs"):
        assert seen[what], (what, seen)
    if limits is SMALL:
        assert seen["too deep"]
        for channel in (Channel.LEVELS, Channel.ORDERS, Channel.TRADES):
            assert seen[f"parts {channel}"] > 5
    for book in stream.both.exchange.books.values():
        book.bids.check()
        book.asks.check()


def test_nothing_is_noted_without_subscribers(feeds):
    both = BothFeeds(feeds, DEFAULT_LIMITS)
    both.list_book(1, 0, 0)
    both.list_book(2, 0, 0)
    both.begin(1, {2: ALL, 9: ALL})
    both.let_time_pass()
    both.add(1, 1, Side.BUY, 100, 5)
    both.trade(1, Side.BUY, [(100, 1)])
    assert both.compiled.records_kept == (2, 0, 0, 0, 0)
    assert both.end(begun=True) == []


def test_changes_of_one_by_one_are_kept_only_for_who_sees_them(feeds):
    both = BothFeeds(feeds, DEFAULT_LIMITS)
    both.list_book(1, 0, 0)
    both.begin(1, {1: 1 << Channel.BEST - 1})
    both.let_time_pass()
    both.add(1, 1, Side.BUY, 100, 5)
    both.trade(1, Side.BUY, [(100, 1)])
    assert both.compiled.records_kept == (1, 0, 0, 0, 0)
    assert [row[:2] for row in both.end(begun=True)] == [(1, Channel.BEST)]


def test_a_wanted_instrument_is_followed_once_it_is_listed(feeds):
    both = BothFeeds(feeds, DEFAULT_LIMITS)
    both.begin(1, {7: ALL})
    both.let_time_pass()
    both.list_book(7, 0, 0)
    both.add(7, 1, Side.BUY, 100, 5)
    assert both.end(begun=True) == []
    both.begin(2, {7: ALL})
    both.let_time_pass()
    both.add(7, 2, Side.BUY, 101, 5)
    assert len(both.end(begun=True)) == 3


def test_a_book_is_followed_that_took_the_place_of_another(feeds):
    both = BothFeeds(feeds, DEFAULT_LIMITS)
    both.list_book(1, 0, 0)
    both.begin(1, {1: ALL, 2: ALL})
    both.let_time_pass()
    both.list_book(2, 0, 0)
    both.delist(1)
    assert both.end(begun=True) == [(1, 0, b"")]
    both.begin(2, {1: ALL, 2: ALL})
    both.let_time_pass()
    both.add(2, 1, Side.BUY, 100, 5)
    assert [row[0] for row in both.end(begun=True)] == [2, 2, 2]


@pytest.mark.parametrize("earlier", [True, False])
def test_who_wanted_a_status_before_it_was_listed_has_paid(feeds, earlier):
    both = BothFeeds(feeds, DEFAULT_LIMITS)
    both.begin(1, {1: ALL} if earlier else {})
    both.let_time_pass()
    both.list_book(1, 0, 0)
    both.set_status(1, CALL, 0)
    both.add(1, 1, Side.BUY, 100, 5)
    both.add(1, 2, Side.SELL, 100, 5)
    both.end(begun=True)
    both.begin(2, {1: ALL})
    both.subscribe(1, 1, 1, Channel.STATUS, 1)
    assert both.seen["known" if earlier else "costs"]
    both.end(begun=False)


@pytest.mark.parametrize("depth", [1, 40, DEPTH_MAX])
def test_snapshots_of_many_orders(feeds, depth):
    both = BothFeeds(feeds, DEFAULT_LIMITS._replace(snapshot_orders=120))
    both.list_book(1, 0, 0)
    for order_id, side in product(range(1, 401), Side):
        both.add(1, order_id * 2 + side, side, 1_000 + order_id // 3, order_id)
    both.begin(1, {})
    for request_id, channel in product((1, 2**62, 1), Channel):
        both.subscribe(3, request_id, 1, channel, depth)
    both.end(begun=False)
    assert both.work.subscribed


def test_a_checksum_is_that_of_ten_levels(feeds):
    """Each further level changes it until there are ten."""
    both = BothFeeds(feeds, DEFAULT_LIMITS)
    both.list_book(1, 0, 0)
    found = set()
    for number in range(1, 15):
        both.begin(number, {1: 1 << Channel.LEVELS - 1})
        both.let_time_pass()
        both.add(1, number, Side.SELL, number, 2**40)
        ((_, _, frames),) = both.end(begun=True)
        found.add(checksum(both.exchange.books[1]))
        assert frames.endswith(encode(checksum(both.exchange.books[1])))
    assert len(found) == 10
