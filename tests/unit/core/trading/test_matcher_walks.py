"""What would trade is what does trade: every walk, compared with matching a copy of the book."""

from fractions import Fraction
from math import ceil

from hypothesis import example, given
from hypothesis import strategies as st

from hpe.core.context.effort import Effort
from hpe.core.money.fees import rates_of
from hpe.core.trading.matcher import Matcher
from hpe.core.trading.orders import Terms
from hpe.protocol.enums import SelfTrade, Side
from hpe.protocol.limits import FILLS_PER_COMMAND_MAX, PPM
from tests.unit.core.parts import new_book, new_order

BUY, SELL = Side
ME, OTHER = 1, 2
TICK = 3
MANY = FILLS_PER_COMMAND_MAX
WITH_BUDGET = [SelfTrade.NONE, SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_MAKER]

makers = st.lists(
    st.tuples(
        st.sampled_from([ME, OTHER]), st.integers(1, 6), st.integers(1, 9), st.integers(0, 3)
    ),
    max_size=10,
)
limits = st.integers(0, 7)
fills_maxes = st.integers(1, 6) | st.just(MANY)


def resting(side, plan):
    """Rest (user, price, quantity, display or 0) against an aggressor of `side`, in that order."""
    book = new_book(quote_atoms_per_tick=TICK)
    contra = SELL if side is BUY else BUY
    for number, (user, price, quantity, display) in enumerate(plan, 1):
        order = new_order(book, number, contra, price, quantity, user=user, display=display)
        book.side(contra).add(order)
    return book


@given(
    st.sampled_from(Side), makers, st.sampled_from(SelfTrade), limits, st.integers(1, 30),
    fills_maxes,
)  # fmt: skip
@example(BUY, [(OTHER, 1, 1, 0)] * 5, SelfTrade.NONE, 0, 5, 3)
@example(
    BUY, [(OTHER, 1, 9, 2), (ME, 1, 1, 0)], SelfTrade.CANCEL_TAKER, 0, 9, FILLS_PER_COMMAND_MAX
)
@example(BUY, [(ME, 1, 3, 1), (OTHER, 2, 1, 0)], SelfTrade.CANCEL_MAKER, 0, 1, 2)
@example(SELL, [(ME, 1, 9, 2), (OTHER, 1, 5, 1)], SelfTrade.DECREMENT, 0, 11, MANY)
def test_walks_agree_with_matching(side, plan, policy, limit, quantity, fills_max):
    def order_of(book):
        return new_order(book, 99, side, 0, quantity, user=ME, self_trade=policy)

    book, matcher = resting(side, plan), Matcher(Effort(), fills_max)
    order, before = order_of(book), book.sequence
    fillable = max(n for n in range(quantity + 1) if matcher.fillable(book, order, limit, n))
    cost = matcher.cost(book, order, limit, 10**9)
    assert (book.sequence, order.leaves) == (before, quantity), "a walk changes nothing"
    matched = matcher.match(book, order, limit)
    fills = matched.fills
    book.check()
    traded = sum(fill.quantity for fill in fills)
    paid = sum(fill.price * fill.quantity for fill in fills)
    assert len(fills) + len(matched.prevented) <= fills_max
    if fills_max == MANY:
        assert (fillable, cost) == (traded, paid)
    else:  # where the limit is near, orders that would not be reached count as well
        assert fillable <= traded, "rather too little than a fill too many"
        assert cost >= paid, "rather too much than money that is not there"


@given(makers, st.sampled_from(WITH_BUDGET), limits, st.integers(1, 200), fills_maxes,
       st.sampled_from([0, 1, 333_333, PPM - 1]))  # fmt: skip
@example([(OTHER, 1, 1, 0)] * 5, SelfTrade.NONE, 0, 15, 3, 0)
@example([(OTHER, 2, 3, 0), (ME, 5, 9, 0)], SelfTrade.CANCEL_TAKER, 0, 20, MANY, 0)
@example([(OTHER, 2, 3, 0), (ME, 5, 9, 0)], SelfTrade.CANCEL_MAKER, 0, 90, MANY, 0)
@example([(OTHER, 1, 1, 0), (ME, 1, 1, 0)], SelfTrade.CANCEL_MAKER, 0, 4, MANY, 0)
@example([(OTHER, 1, 1, 0), (ME, 2, 1, 0)], SelfTrade.CANCEL_MAKER, 0, 4, MANY, 0)
def test_a_budget_buys_the_most_lots_that_it_pays_for(
    plan, policy, limit, amount, fills_max, taker_ppm
):
    book, matcher = resting(BUY, plan), Matcher(Effort(), fills_max)
    rates = rates_of(0, taker_ppm)
    order = new_order(book, 99, BUY, 0, 0, user=ME, self_trade=policy, rates=rates)
    order.terms = Terms(budget=amount)
    spendable, before = matcher.spendable(book, order, limit, amount), book.sequence
    assert book.sequence == before
    matched = matcher.match(book, order, limit)
    fills = matched.fills
    book.check()

    def price_of(ticks_lots):
        notional = ticks_lots * TICK
        return notional + ceil(Fraction(notional * taker_ppm, PPM))

    paid = sum(fill.price * fill.quantity for fill in fills)
    assert order.quantity == order.cum == sum(fill.quantity for fill in fills)
    assert order.leaves == 0
    assert [fill.taker_leaves + fill.taker_cum for fill in fills] == [order.cum] * len(fills)
    assert price_of(paid) <= amount
    best = book.asks.best
    if matched.spent:
        one_more = price_of(paid + best.price) if best is not None else price_of(paid) + 1
        assert one_more > amount
    elif not matched.exhausted and not matched.barred:
        assert best is None or not book.asks.crosses(limit)
    used_up = matched.spent and order.cum > 0
    assert used_up or not spendable
    if fills_max == MANY:
        assert spendable is used_up
