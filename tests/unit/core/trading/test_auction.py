"""The price of an uncross against every price tried out, and who trades at it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpe.core.trading.auction import NO_CLEARING, clearing, fill_auction
from hpe.protocol.enums import InstrumentStatus, Side
from tests.unit.core.parts import new_book, new_order

BUY, SELL = Side

prices = st.integers(1, 12) | st.integers(1, 60)
rows = st.lists(
    st.tuples(st.sampled_from(Side), prices, st.integers(1, 9), st.integers(0, 4)), max_size=14
)


MANY = 1_000


def collected(plan):
    """Rest (side, price, quantity, display or 0) in a call, in that order; ids count from 1."""
    book = new_book()
    book.set_status(InstrumentStatus.CALL_AUCTION)
    for number, (side, price, quantity, display) in enumerate(plan, 1):
        book.side(side).add(new_order(book, number, side, price, quantity, display=display))
    return book


def volume_and_surplus(plan, price):
    bids = sum(row[2] for row in plan if row[0] is BUY and row[1] >= price)
    asks = sum(row[2] for row in plan if row[0] is SELL and row[1] <= price)
    return min(bids, asks), bids - asks


def tried_out(plan):
    """Find the clearing by the words of the rule, over every candidate."""
    found = {price: volume_and_surplus(plan, price) for _, price, *_ in plan}
    most = max((volume for volume, _ in found.values()), default=0)
    if not most:
        return NO_CLEARING
    best = {price: surplus for price, (volume, surplus) in found.items() if volume == most}
    least = min(map(abs, best.values()))
    best = {price: surplus for price, surplus in best.items() if abs(surplus) == least}
    pressure = sum(best.values())
    if pressure > 0:
        price = max(best)
    elif pressure < 0:
        price = min(best)
    else:
        price = (min(best) + max(best)) // 2
    return price, *volume_and_surplus(plan, price)


@given(rows)
@example([(BUY, 10, 5, 0), (SELL, 7, 5, 0)])
@example([(BUY, 10, 5, 0), (BUY, 8, 1, 0), (SELL, 8, 5, 0), (SELL, 9, 1, 0)])
def test_the_clearing_is_the_one_that_trying_every_price_finds(plan):
    book = collected(plan)
    before = list(book.orders()), book.sequence
    assert tuple(clearing(book)) == tuple(tried_out(plan))
    assert (list(book.orders()), book.sequence) == before


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        # Surplus +2 at both 8 and 10: more wants to buy, so the highest.
        ([(BUY, 10, 7, 0), (SELL, 8, 5, 0)], (10, 5, 2)),
        # Surplus -2 at both: the lowest.
        ([(BUY, 10, 5, 0), (SELL, 8, 7, 0)], (8, 5, -2)),
        # None at both: the middle, rounded down.
        ([(BUY, 10, 5, 0), (SELL, 7, 5, 0)], (8, 5, 0)),
        # +1 at 7 and -1 at 10: they cancel out, the middle again.
        ([(BUY, 10, 5, 0), (BUY, 7, 1, 0), (SELL, 7, 5, 0), (SELL, 10, 1, 0)], (8, 5, 0)),
        # The most volume goes before the least surplus.
        ([(BUY, 10, 1, 0), (BUY, 9, 8, 0), (SELL, 9, 3, 0), (SELL, 10, 1, 0)], (9, 3, 6)),
        # The hidden part of an iceberg counts.
        ([(BUY, 10, 9, 1), (SELL, 10, 4, 2)], (10, 4, 5)),
    ],
)
def test_pressure_decides_between_equals(plan, expected):
    assert tuple(clearing(collected(plan))) == expected == tuple(tried_out(plan))


@pytest.mark.parametrize(
    "plan", [[], [(BUY, 10, 1, 0)], [(SELL, 10, 1, 0)], [(BUY, 9, 1, 0), (SELL, 10, 1, 0)]]
)
def test_without_a_cross_there_is_no_clearing(plan):
    book = collected(plan)
    assert clearing(book) == NO_CLEARING
    assert fill_auction(book, *clearing(book)[:2], MANY) == []
    assert book.last_price == 0


@given(rows)
def test_filling_trades_the_volume_at_one_price_and_leaves_no_cross(plan):
    book = collected(plan)
    orders = {order.order_id: order for order in book.orders()}
    price, volume, _ = clearing(book)
    fills = fill_auction(book, price, volume, MANY)
    assert sum(fill.quantity for fill in fills) == volume
    assert {fill.price for fill in fills} <= {price}
    for number, (side, limit, quantity, display) in enumerate(plan, 1):
        order = orders[number]
        assert order.leaves + order.cum == quantity
        if order.cum:
            assert limit >= price if side is BUY else limit <= price
            assert order.hidden == (max(order.leaves - display, 0) if display else 0)
    for fill in fills:
        assert fill.quantity > 0
    book.set_status(InstrumentStatus.TRADING)
    book.check()
    assert book.last_price == price


@given(rows)
def test_better_prices_then_older_orders_are_filled_first(plan):
    book = collected(plan)
    in_turn = {side: [o for o in book.orders() if o.side is side] for side in Side}
    price, volume, _ = clearing(book)
    fill_auction(book, price, volume, MANY)
    for side in Side:
        filled = [order.cum for order in in_turn[side]]
        whole = [order.leaves == 0 for order in in_turn[side]]
        first_open = whole.index(False) if False in whole else len(whole)
        assert not any(filled[first_open + 1 :]), "nobody trades before an order ahead is filled"


def test_each_fill_is_the_smaller_of_the_two_first_orders():
    book = collected([(BUY, 10, 5, 2), (BUY, 10, 4, 0), (SELL, 9, 3, 0), (SELL, 10, 6, 1)])
    fills = fill_auction(book, 10, 9, MANY)
    assert [(f.buy.order_id, f.sell.order_id, f.quantity) for f in fills] == [
        (1, 3, 3), (1, 4, 2), (2, 4, 4),
    ]  # fmt: skip
    assert [(f.buy_leaves, f.buy_cum, f.sell_leaves, f.sell_cum) for f in fills] == [
        (2, 3, 0, 3), (0, 5, 4, 2), (0, 4, 0, 6),
    ]  # fmt: skip


def test_what_is_left_of_an_iceberg_shows_a_new_slice_in_its_place():
    book = collected([(BUY, 10, 9, 4), (BUY, 10, 1, 0), (SELL, 10, 3, 0)])
    fill_auction(book, 10, 3, MANY)
    assert book.depth(BUY, 5) == [(10, 5, 2)]
    head = book.bids.best.head
    assert (head.order_id, head.leaves, head.hidden) == (1, 6, 2)
    book.check()


def test_an_iceberg_that_did_not_trade_stays_as_it_is():
    book = collected([(BUY, 10, 1, 0), (BUY, 10, 9, 4), (SELL, 10, 1, 0)])
    untouched = book.bids.best.tail
    book.bids.take(untouched, 3)
    fill_auction(book, 10, 1, MANY)
    assert (untouched.leaves, untouched.hidden) == (6, 5)
    assert book.depth(BUY, 5) == [(10, 1, 1)]


@given(rows, st.integers(1, 3))
def test_parts_of_an_uncross_are_the_same_as_the_whole(plan, fills_max):
    """However few fills a command may have."""
    whole, parts = collected(plan), collected(plan)
    price, volume, _ = clearing(whole)
    expected = [_row(fill) for fill in fill_auction(whole, price, volume, MANY)]
    found = []
    while volume:
        part = fill_auction(parts, price, volume, fills_max)
        assert 0 < len(part) <= fills_max
        volume -= sum(fill.quantity for fill in part)
        found += map(_row, part)
    assert found == expected
    for side in Side:
        assert parts.depth(side, 99) == whole.depth(side, 99)


def _row(fill):
    return (
        fill.buy.order_id, fill.sell.order_id, fill.price, fill.quantity, fill.buy_leaves,
        fill.buy_cum, fill.sell_leaves, fill.sell_cum,
    )  # fmt: skip
