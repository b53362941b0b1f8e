"""Price-time priority of one aggressor."""

import pytest

from hpe.core.context.effort import Effort
from hpe.core.contract import DEFAULT_LIMITS
from hpe.core.trading.matcher import Matcher
from hpe.protocol.enums import SelfTrade, Side
from tests.unit.core.parts import new_book, new_order


@pytest.fixture
def book():
    """Return a book with asks of 10: ids 1 and 2 at 101, 3 at 100, 4 at 102."""
    book = new_book()
    for number, price in ((1, 101), (2, 101), (3, 100), (4, 102)):
        book.asks.add(new_order(book, number, Side.SELL, price))
    return book


def match(book, price, quantity, side=Side.BUY):
    aggressor = new_order(book, 9, side, price, quantity)
    fills = Matcher(Effort()).match(book, aggressor, price).fills
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
    order = new_order(book, 9, Side.BUY, price, quantity)
    assert Matcher(Effort()).fillable(book, order, price, quantity) is fillable
    assert book.sequence == before


def test_the_cost_of_a_market_order_is_its_walk(book):
    matcher = Matcher(Effort())

    def cost(side, quantity):
        return matcher.cost(book, new_order(book, 9, side, 0, quantity), 0, 10**6)

    assert cost(Side.SELL, 5) == 0
    assert cost(Side.BUY, 15) == 10 * 100 + 5 * 101
    assert cost(Side.BUY, 99) == 10 * 100 + 20 * 101 + 10 * 102


def test_walks_end_as_soon_as_the_answer_is_known():
    effort = Effort()
    book, matcher = new_book(), Matcher(effort)
    for number in range(1, 101):
        book.asks.add(new_order(book, number, Side.SELL, number, quantity=1))
    hundred, three = (new_order(book, 900, Side.BUY, 0, quantity) for quantity in (100, 3))
    assert matcher.cost(book, hundred, 0, 2) == 3, "one step above what can be paid"
    assert effort.spent == 2
    assert matcher.fillable(book, three, 0, 3)
    assert effort.spent == 5
    matcher = Matcher(effort, 10)
    assert not matcher.fillable(book, hundred, 0, 100)
    assert effort.spent == 15
    assert matcher.cost(book, hundred, 0, 10**6) == sum(range(1, 11))
    assert effort.spent == 25


# --- self-trade prevention ----------------------------------------------------------------------


def met_own(policy, quantity, *rows, fills_max=DEFAULT_LIMITS.fills):
    """Buy against asks of (user, price, quantity, display); user 1 is the buyer's.

    Returns:
        The aggressor, its fills, the prevented matches, and the asks that are left.
    """
    book, matcher = new_book(), Matcher(Effort(), fills_max)
    for number, (user, price, lots, display) in enumerate(rows, 1):
        ask = new_order(book, number, Side.SELL, price, lots, user=user, display=display)
        book.asks.add(ask)
    aggressor = new_order(book, 9, Side.BUY, 0, quantity, self_trade=policy)
    matched = matcher.match(book, aggressor, 0)
    fills = [(fill.maker.order_id, fill.quantity) for fill in matched.fills]
    book.check()
    prevented = [
        (each.maker.order_id, each.price, each.maker_canceled, each.taker_canceled,
         each.maker_leaves, each.taker_leaves)
        for each in matched.prevented
    ]  # fmt: skip
    left = [(order.order_id, order.leaves, order.hidden) for order in book.orders()]
    return aggressor, fills, prevented, left, matched.barred


OWN_SECOND = ((2, 100, 4, 0), (1, 101, 5, 0), (2, 102, 9, 0))


@pytest.mark.parametrize(
    ("policy", "fills", "prevented", "left", "barred"),
    [
        (SelfTrade.NONE, [(1, 4), (2, 5), (3, 1)], [], [(3, 8, 0)], False),
        (SelfTrade.CANCEL_TAKER, [(1, 4)], [(2, 101, 0, 6, 5, 0)], [(2, 5, 0), (3, 9, 0)], True),
        (SelfTrade.CANCEL_MAKER, [(1, 4), (3, 6)], [(2, 101, 5, 0, 0, 6)], [(3, 3, 0)], False),
        (SelfTrade.CANCEL_BOTH, [(1, 4)], [(2, 101, 5, 6, 0, 0)], [(3, 9, 0)], True),
        (SelfTrade.DECREMENT, [(1, 4), (3, 1)], [(2, 101, 5, 5, 0, 1)], [(3, 8, 0)], False),
    ],
)
def test_what_a_policy_does_at_ones_own_order(policy, fills, prevented, left, barred):
    found = met_own(policy, 10, *OWN_SECOND)
    assert found[1:] == (fills, prevented, left, barred)
    aggressor = found[0]
    assert aggressor.quantity == aggressor.leaves + aggressor.cum + aggressor.canceled


def test_decrement_takes_the_smaller_of_both_leaves():
    aggressor, fills, prevented, left, barred = met_own(
        SelfTrade.DECREMENT, 3, (1, 100, 5, 0), (2, 100, 9, 0)
    )
    assert (fills, prevented, barred) == ([], [(1, 100, 3, 3, 2, 0)], False)
    assert left == [(1, 2, 0), (2, 9, 0)], "it keeps its place"
    assert (aggressor.leaves, aggressor.canceled) == (0, 3)


def test_decrement_counts_hidden_lots_and_takes_them_first():
    _, fills, prevented, left, _ = met_own(SelfTrade.DECREMENT, 5, (1, 100, 9, 3), (2, 100, 1, 0))
    assert (fills, prevented, left) == ([], [(1, 100, 5, 5, 4, 0)], [(1, 4, 1), (2, 1, 0)])
    _, fills, prevented, left, _ = met_own(SelfTrade.DECREMENT, 12, (1, 100, 9, 3), (2, 100, 5, 0))
    assert (fills, prevented, left) == ([(2, 3)], [(1, 100, 9, 9, 0, 3)], [(2, 2, 0)])


def test_a_canceled_iceberg_goes_with_what_it_hides():
    _, fills, prevented, left, _ = met_own(
        SelfTrade.CANCEL_MAKER, 5, (1, 100, 9, 3), (2, 100, 9, 0)
    )
    assert (fills, prevented, left) == ([(2, 5)], [(1, 100, 9, 0, 0, 5)], [(2, 4, 0)])


def test_several_own_orders_in_a_row_are_met_one_by_one():
    own = [(1, 100, lots, 0) for lots in (2, 3, 4)]
    _, fills, prevented, left, _ = met_own(SelfTrade.CANCEL_MAKER, 5, *own)
    assert (fills, left) == ([], [])
    assert [row[0] for row in prevented] == [1, 2, 3]
    _, _, prevented, left, _ = met_own(SelfTrade.DECREMENT, 6, *own)
    assert [row[2:] for row in prevented] == [(2, 2, 0, 4), (3, 3, 0, 1), (1, 1, 3, 0)]
    assert left == [(3, 3, 0)]


def test_ones_own_order_is_not_met_when_nothing_is_left_to_trade():
    for policy in SelfTrade:
        _, fills, prevented, _, barred = met_own(policy, 4, *OWN_SECOND)
        assert (fills, prevented, barred) == ([(1, 4)], [], False)


def test_prevented_matches_count_against_the_limit_of_fills():
    rows = [(1, 100, 1, 0), (2, 100, 1, 0)] * 3
    aggressor, fills, prevented, _, _ = met_own(SelfTrade.CANCEL_MAKER, 9, *rows, fills_max=3)
    assert (len(fills), len(prevented), aggressor.leaves) == (1, 2, 8)


# --- icebergs -----------------------------------------------------------------------------------


def test_a_slice_that_is_used_up_goes_behind_the_queue_of_its_price():
    _, fills, _, left, _ = met_own(SelfTrade.NONE, 8, (2, 100, 7, 3), (2, 100, 4, 0))
    assert fills == [(1, 3), (2, 4), (1, 1)]
    assert left == [(1, 3, 1)]


def test_two_icebergs_take_turns_to_the_last_lot():
    _, fills, _, left, _ = met_own(SelfTrade.NONE, 99, (2, 100, 5, 2), (2, 100, 3, 1))
    assert fills == [(1, 2), (2, 1), (1, 2), (2, 1), (1, 1), (2, 1)]
    assert left == []


def test_a_fill_tells_the_whole_leaves_of_an_iceberg():
    book = new_book()
    book.asks.add(new_order(book, 1, Side.SELL, 100, 7, display=3))
    fills = Matcher(Effort()).match(book, new_order(book, 9, Side.BUY, 100, 6), 100).fills
    assert [(fill.maker_leaves, fill.maker_cum) for fill in fills] == [(4, 3), (1, 6)]
