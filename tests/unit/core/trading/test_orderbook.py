"""Price levels, queues and best prices, alone and against sorted lists."""

from itertools import count
from random import Random

import pytest

from hpe.core.trading.orderbook import NEAR_LEVELS_MAX, Ladder
from hpe.errors import InvariantViolation
from hpe.protocol.enums import InstrumentStatus, Side
from hpe.protocol.limits import INT_MAX, PPM
from tests.unit.core.parts import new_book, new_order

SIDES = pytest.mark.parametrize("side", Side)


@pytest.fixture
def book():
    return new_book()


def cut_into(near_levels_max):
    """Make a book whose prices are kept in lists of this length."""
    book = new_book()
    book.bids, book.asks = (Ladder(side, near_levels_max) for side in Side)
    return book


def filled(book, side, *prices):
    """Rest one order of 10 per price; their ids count from 1."""
    orders = [new_order(book, number, side, price) for number, price in enumerate(prices, 1)]
    for order in orders:
        book.side(side).add(order)
    return orders


def ids(orders):
    return [order.order_id for order in orders]


def ids_at_best(ladder):
    return ids(ladder.best.orders())


@SIDES
def test_the_best_price_comes_first(book, side):
    filled(book, side, 101, 103, 102, 100)
    best_first = [103, 102, 101, 100] if side is Side.BUY else [100, 101, 102, 103]
    assert [price for price, _, _ in book.depth(side, 10)] == best_first
    assert book.side(side).best.price == best_first[0]
    assert [price for price, _, _ in book.depth(side, 2)] == best_first[:2]
    book.check()


@SIDES
def test_one_price_is_a_queue(book, side):
    orders = filled(book, side, 100, 100, 100, 100)
    ladder = book.side(side)
    assert ids_at_best(ladder) == [1, 2, 3, 4]
    ladder.remove(orders[1])
    assert ids_at_best(ladder) == [1, 3, 4]
    ladder.remove(orders[0])
    assert ids_at_best(ladder) == [3, 4]
    ladder.remove(orders[3])
    assert ids_at_best(ladder) == [3]
    ladder.add(orders[0])
    assert ids_at_best(ladder) == [3, 1]
    assert book.depth(side, 1) == [(100, 20, 2)]
    book.check()


def test_reduce_keeps_the_place(book):
    orders = filled(book, Side.BUY, 100, 100)
    book.bids.reduce(orders[0], 3)
    assert ids_at_best(book.bids) == [1, 2]
    assert book.depth(Side.BUY, 1) == [(100, 13, 2)]
    book.check()


@SIDES
def test_the_next_level_surfaces_when_the_best_empties(book, side):
    orders = filled(book, side, 100, 101, 102)
    ladder = book.side(side)
    ladder.remove(orders[1])
    best, last = (orders[2], orders[0]) if side is Side.BUY else (orders[0], orders[2])
    assert ladder.best.price == best.price
    ladder.remove(best)
    assert ladder.best.price == last.price
    ladder.remove(last)
    assert ladder.best is None
    assert book.depth(side, 9) == []
    book.check()


def test_a_level_that_emptied_away_from_the_best_can_fill_again(book):
    orders = filled(book, Side.SELL, 100, 105)
    book.asks.remove(orders[1])
    assert book.depth(Side.SELL, 9) == [(100, 10, 1)]
    book.asks.add(orders[1])
    assert book.depth(Side.SELL, 9) == [(100, 10, 1), (105, 10, 1)]
    book.asks.remove(orders[0])
    assert book.asks.best.price == 105
    book.check()


@pytest.mark.parametrize(
    ("resting", "price", "crossing"),
    [
        (Side.SELL, 99, False),
        (Side.SELL, 100, True),
        (Side.SELL, 101, True),
        (Side.SELL, 0, True),
        (Side.BUY, 99, True),
        (Side.BUY, 100, True),
        (Side.BUY, 101, False),
        (Side.BUY, 0, True),
    ],
)
def test_what_crosses(book, resting, price, crossing):
    assert not book.side(resting).crosses(price)
    filled(book, resting, 100)
    assert book.side(resting).crosses(price) is crossing


def test_levels_within_a_limit(book):
    filled(book, Side.SELL, 100, 101, 103)
    assert [level.price for level in book.asks.levels_within(102)] == [100, 101]
    assert [level.price for level in book.asks.levels_within(0)] == [100, 101, 103]
    filled(book, Side.BUY, 97, 98, 99)
    assert [level.price for level in book.bids.levels_within(98)] == [99, 98]


@SIDES
@pytest.mark.parametrize("near_max", [2, 16, NEAR_LEVELS_MAX])
@pytest.mark.parametrize("prices", [0, 1, 5, 40])
def test_levels_within_a_limit_are_counted_as_they_are_walked(side, near_max, prices):
    book = cut_into(near_max)
    chosen = Random(prices).sample(range(100, 200), prices)
    filled(book, side, *chosen)
    ladder = book.side(side)
    for limit in range(98, 202):
        assert ladder.count_within(limit) == len(list(ladder.levels_within(limit)))


def test_every_change_is_counted(book):
    order, _ = filled(book, Side.BUY, 100, 101)
    book.bids.reduce(order, 5)
    book.bids.remove(order)
    assert book.sequence == 4


@SIDES
@pytest.mark.parametrize("near_max", [2, 16, NEAR_LEVELS_MAX])
def test_many_levels_come_and_go_as_in_a_sorted_list(side, near_max):
    """Also across the border between the near and the far prices.

    Where it is decides about speed alone, so it is no limit of a core: nothing here may show it.
    """
    book = cut_into(near_max)
    seed = 20240901
    print(f"seed {seed}")
    random, numbers = Random(seed), count(1)
    ladder, live = book.side(side), []
    for step in range(3_000):
        if live and random.random() < (0.3 if step % 1_000 < 500 else 0.7):
            ladder.remove(live.pop(random.randrange(len(live))))
        else:
            order = new_order(book, next(numbers), side, random.randint(1, 600))
            ladder.add(order)
            live.append(order)
        if step % 50 == 0:
            sign = -1 if side is Side.BUY else 1
            ordered = sorted(live, key=lambda order: (order.price * sign, order.order_id))
            assert ids(book.orders()) == ids(ordered)
            assert ids(ladder.best.orders() if ladder.best else ())[:1] == ids(ordered)[:1]
            ladder.check()


@SIDES
def test_a_deep_book_keeps_few_prices_near_and_gets_them_back(book, side):
    """Placed from the worst to the best and from the best to the worst; emptied from the best."""
    ladder = book.side(side)
    worst_first = range(1, 2_501) if side is Side.BUY else range(5_000, 2_500, -1)
    best_first = range(5_000, 2_500, -1) if side is Side.BUY else range(1, 2_501)
    orders = filled(book, side, *worst_first, *best_first)
    ladder.check()
    assert len(ladder._near) <= NEAR_LEVELS_MAX
    assert len(ladder._near) + sum(map(len, ladder._far)) == 5_000
    sign = -1 if side is Side.BUY else 1
    for order in sorted(orders, key=lambda order: order.price * sign):
        assert ladder.best.price == order.price
        ladder.remove(order)
    assert ladder.best is None
    ladder.check()


# --- icebergs -----------------------------------------------------------------------------------


def iceberg(book, number, quantity, display, side=Side.SELL, price=100):
    order = new_order(book, number, side, price, quantity, display=display)
    book.side(side).add(order)
    return order


def shown(order):
    return order.leaves, order.hidden


@pytest.mark.parametrize(
    ("quantity", "display", "hidden"), [(10, 3, 7), (10, 10, 0), (10, 11, 0), (1, 1, 0), (4, 0, 0)]
)
def test_what_an_iceberg_hides(book, quantity, display, hidden):
    order = iceberg(book, 1, quantity, display)
    assert order.hidden == hidden
    assert book.depth(Side.SELL, 1) == [(100, quantity - hidden, 1)]
    assert book.asks.best.hidden == hidden
    book.check()


def test_a_level_sums_shown_and_hidden_lots_apart(book):
    first, second = iceberg(book, 1, 10, 3), iceberg(book, 2, 5, 2)
    filled(book, Side.SELL, 100)
    best = book.asks.best
    assert (best.quantity, best.hidden, best.count) == (15, 10, 3)
    book.asks.remove(first)
    assert (best.quantity, best.hidden, best.count) == (12, 3, 2)
    book.asks.take(second, 1)
    assert (best.quantity, best.hidden, shown(second)) == (11, 3, (4, 3))
    book.check()


def test_a_refill_shows_the_next_slice_at_the_end_of_the_queue(book):
    order = iceberg(book, 1, 7, 3)
    iceberg(book, 2, 1, 0)
    for leaves, hidden, queue in ((4, 1, [2, 1]), (1, 0, [2, 1])):
        book.asks.take(order, order.leaves - order.hidden)
        book.asks.refill(order)
        assert shown(order) == (leaves, hidden)
        assert ids_at_best(book.asks) == queue
        book.check()


def test_a_refill_of_the_only_order_keeps_its_level(book):
    order = iceberg(book, 1, 7, 3)
    book.asks.take(order, 3)
    book.asks.refill(order)
    assert book.depth(Side.SELL, 9) == [(100, 3, 1)]
    assert book.asks.best.head is order
    book.check()


@pytest.mark.parametrize(("leaves", "hidden"), [(9, 6), (4, 1), (3, 0), (2, 0), (1, 0), (10, 7)])
def test_less_takes_hidden_lots_first(book, leaves, hidden):
    order = iceberg(book, 1, 10, 3)
    iceberg(book, 2, 1, 0)
    book.asks.reduce(order, leaves)
    assert shown(order) == (leaves, hidden)
    assert ids_at_best(book.asks) == [1, 2]
    book.check()


def test_reshow_changes_both_parts_in_place(book):
    order = iceberg(book, 1, 10, 3)
    iceberg(book, 2, 1, 0)
    book.asks.reshow(order, 8, 2)
    assert shown(order) == (8, 2)
    assert (book.asks.best.quantity, book.asks.best.hidden) == (7, 2)
    assert ids_at_best(book.asks) == [1, 2]
    book.check()


# --- bands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ppm", "reference", "last", "low", "high"),
    [
        (100_000, 50, 0, 45, 55),
        (100_000, 50, 100, 90, 110),
        (1, 50, 0, 50, 50),
        (99_999, 50, 0, 46, 54),
        (PPM, 50, 0, 0, 100),
        (0, 0, 7, 0, INT_MAX),
    ],
)
def test_the_band_is_around_the_last_price_or_the_reference(ppm, reference, last, low, high):
    book = new_book(band_ppm=ppm, reference_price=reference)
    book.last_price = last
    assert book.band() == (low, high)


@pytest.mark.parametrize(
    ("side", "price", "opposite", "limit"),
    [
        (Side.BUY, 0, 50, 55),
        (Side.BUY, 54, 50, 54),
        (Side.BUY, 56, 50, 55),
        (Side.BUY, 56, None, 55),
        (Side.SELL, 0, 50, 45),
        (Side.SELL, 46, 50, 46),
        (Side.SELL, 44, 50, 45),
        (Side.SELL, 44, None, 45),
    ],
)
def test_the_band_is_a_limit(side, price, opposite, limit):
    book = new_book(band_ppm=100_000, reference_price=50)
    if opposite is not None:
        contra = Side.SELL if side is Side.BUY else Side.BUY
        filled(book, contra, opposite)
    assert book.limit_within_band(side, price) == limit


@pytest.mark.parametrize("price", [0, 44])
def test_the_best_price_on_the_near_side_of_the_band_is_not_skipped(price):
    """An ask below the band: nothing trades, though one within the band is behind it."""
    book = new_book(band_ppm=100_000, reference_price=50)
    filled(book, Side.SELL, 44, 50)
    assert not book.asks.crosses(book.limit_within_band(Side.BUY, price))
    book = new_book(band_ppm=100_000, reference_price=50)
    filled(book, Side.BUY, 56, 50)
    assert not book.bids.crosses(book.limit_within_band(Side.SELL, price))


@pytest.mark.parametrize("price", [0, 7])
def test_without_a_band_the_limit_is_the_orders(price):
    book = new_book()
    assert [book.limit_within_band(side, price) for side in Side] == [price, price]


def test_a_band_that_reaches_down_to_zero_still_is_a_limit():
    """0 would mean none: there is no order at 0."""
    book = new_book(band_ppm=PPM, reference_price=50)
    assert book.limit_within_band(Side.SELL, 0) == 1


# --- what check finds -----------------------------------------------------------------------------


def spoil_hidden(book):
    book.bids.best.hidden += 1


def hide_more(book):
    book.bids.best.head.hidden += 1


def spoil_quantity(book):
    book.bids.best.quantity += 1


def spoil_best(book):
    book.bids.best = None


def lose_a_price(book):
    book.bids._near.clear()


def put_all_prices_far(book):
    book.bids._far.append(list(book.bids._near))
    book.bids._near.clear()


def lose_a_first(book):
    book.bids._far_firsts.append(1)


def spoil_link(book):
    book.bids.best.head.next.previous = None


def close_ring(book):
    book.bids.best.tail.next = book.bids.best.head


def spoil_price(book):
    book.bids.best.head.price += 1


def cross(book):
    book.asks.add(new_order(book, 9, Side.SELL, 99))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (spoil_quantity, "sum of leaves"),
        (spoil_best, "cached best"),
        (lose_a_price, "ordered prices and the levels"),
        (put_all_prices_far, "0 prices are near"),
        (lose_a_first, "filed wrongly"),
        (spoil_link, "linked wrongly"),
        (close_ring, "links and count"),
        (spoil_price, "foreign price"),
        (cross, "crossed"),
        (spoil_hidden, "sum of hidden lots"),
        (hide_more, "sum of hidden lots"),
    ],
)
def test_check_sees_what_is_wrong(book, damage, complaint):
    filled(book, Side.BUY, 100, 100)
    book.check()
    damage(book)
    with pytest.raises(InvariantViolation, match=complaint):
        book.check()


def test_in_a_call_a_book_may_cross(book):
    filled(book, Side.BUY, 100)
    book.set_status(InstrumentStatus.CALL_AUCTION)
    cross(book)
    book.check()
    book.set_status(InstrumentStatus.HALTED)
    with pytest.raises(InvariantViolation, match="crossed"):
        book.check()
