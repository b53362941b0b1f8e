"""Price-time priority of one aggressor."""

import pytest

from hpe.core.matcher import Matcher
from hpe.messages import Side
from tests.unit.core.builders import new_book, new_order


@pytest.fixture
def book():
    """Give a book with asks of 10: ids 1 and 2 at 101, 3 at 100, 4 at 102."""
    book = new_book()
    for number, price in ((1, 101), (2, 101), (3, 100), (4, 102)):
        book.asks.add(new_order(book, number, Side.SELL, price))
    return book


def match(book, price, quantity, side=Side.BUY):
    aggressor = new_order(book, 9, side, price, quantity)
    fills = Matcher().match(aggressor)
    assert aggressor.leaves + aggressor.cum == quantity
    assert aggressor.cum == sum(fill.quantity for fill in fills)
    done = 0
    for fill in fills:
        done += fill.quantity
        assert (fill.taker_leaves, fill.taker_cum) == (quantity - done, done)
        assert (fill.maker_leaves, fill.maker_cum) == (fill.maker.leaves, fill.maker.cum)
    book.check()
    return aggressor, [(fill.maker.order_id, fill.price, fill.quantity) for fill in fills]


def test_best_price_then_oldest_at_the_makers_price(book):
    aggressor, fills = match(book, 101, 25)
    assert fills == [(3, 100, 10), (1, 101, 10), (2, 101, 5)]
    assert aggressor.leaves == 0
    assert book.depth(Side.SELL, 9) == [(101, 5, 1), (102, 10, 1)]
    assert book.last_price == 101


def test_the_limit_holds(book):
    aggressor, fills = match(book, 100, 25)
    assert fills == [(3, 100, 10)]
    assert aggressor.leaves == 15


def test_without_a_limit_the_book_is_walked_to_its_end(book):
    aggressor, fills = match(book, 0, 99)
    assert [fill[0] for fill in fills] == [3, 1, 2, 4]
    assert aggressor.leaves == 59
    assert book.asks.best is None


def test_nothing_within_the_limit_changes_nothing(book):
    before = book.sequence
    assert match(book, 99, 5)[1] == []
    assert (book.last_price, book.sequence) == (0, before)


def test_a_partly_filled_maker_stays_at_the_head(book):
    match(book, 101, 14)
    assert match(book, 101, 10)[1] == [(1, 101, 6), (2, 101, 4)]


def test_makers_end_out_of_the_book_with_their_quantities_true(book):
    maker = book.asks.best.head
    match(book, 100, 10)
    assert (maker.leaves, maker.cum) == (0, 10)
    assert maker.order_id not in [order.order_id for order in book.orders()]


def test_a_seller_meets_the_highest_bid():
    book = new_book()
    for number, price in ((1, 98), (2, 99), (3, 99)):
        book.bids.add(new_order(book, number, Side.BUY, price))
    assert match(book, 98, 22, Side.SELL)[1] == [(2, 99, 10), (3, 99, 10), (1, 98, 2)]


@pytest.mark.parametrize(
    ("price", "quantity", "fillable"),
    [(100, 10, True), (100, 11, False), (101, 30, True), (101, 31, False), (99, 1, False),
     (102, 40, True), (0, 40, True), (0, 41, False)],
)  # fmt: skip
def test_fillable(book, price, quantity, fillable):
    before = book.sequence
    assert Matcher().fillable(book.asks, price, quantity) is fillable
    assert book.sequence == before


def test_the_cost_of_a_market_order_is_its_walk(book):
    matcher = Matcher()
    assert matcher.cost(book.bids, 5, 10**6) == 0
    assert matcher.cost(book.asks, 15, 10**6) == 10 * 100 + 5 * 101
    assert matcher.cost(book.asks, 99, 10**6) == 10 * 100 + 20 * 101 + 10 * 102


def test_walks_end_as_soon_as_the_answer_is_known(monkeypatch):
    book, matcher = new_book(), Matcher()
    for number in range(1, 101):
        book.asks.add(new_order(book, number, Side.SELL, number, quantity=1))
    assert matcher.cost(book.asks, 100, 2) == 3, "one step above what can be paid"
    assert matcher.effort == 2
    assert matcher.fillable(book.asks, 0, 3)
    assert matcher.effort == 5
    monkeypatch.setattr("hpe.core.matcher.FILLS_PER_COMMAND_MAX", 10)
    assert not matcher.fillable(book.asks, 0, 1_000)
    assert matcher.effort == 16
    matcher.cost(book.asks, 100, 10**6)
    assert matcher.effort == 26
