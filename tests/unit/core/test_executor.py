"""The money side of orders: reserve, settle, release."""

import pytest

from hpe.core.balances import Account
from hpe.core.executor import Executor
from hpe.core.matcher import Fill
from hpe.messages import Side
from tests.unit.core.builders import new_book, new_order

LOT, TICK = 3, 7


def funded(available):
    account = Account()
    account.available = available
    return account


def amounts(account):
    return account.available, account.reserved, account.held


def fill(maker, price, quantity):
    """Make a fill; what it says of leaves and cum is for reports, not for money."""
    return Fill(maker, price, quantity, 0, 0, 0, 0)


@pytest.fixture
def executor():
    return Executor()


@pytest.fixture
def book():
    return new_book(base_atoms=LOT, quote_atoms=TICK)


def order_of(executor, book, side, price, quantity, funds=100_000):
    """Make an order that has reserved what it needs."""
    order = new_order(book, 1, side, price, quantity, paying=funded(funds))
    assert executor.reserve(order, executor.requirement(order, price, quantity))
    return order


def test_what_an_order_reserves(executor, book):
    buy = new_order(book, side=Side.BUY)
    sell = new_order(book, side=Side.SELL)
    assert executor.requirement(buy, 11, 5) == 11 * 5 * TICK
    assert executor.requirement(sell, 11, 5) == 5 * LOT


def test_reserve_moves_the_difference_both_ways(executor, book):
    order = new_order(book, paying=funded(100))
    assert executor.reserve(order, 60)
    assert amounts(order.paying) == (40, 60, 0)
    assert executor.reserve(order, 100)
    assert amounts(order.paying) == (0, 100, 0)
    assert executor.reserve(order, 30)
    assert amounts(order.paying) == (70, 30, 0)
    assert order.reserved == 30


def test_reserving_too_much_changes_nothing(executor, book):
    order = new_order(book, paying=funded(100))
    assert executor.reserve(order, 60)
    assert not executor.reserve(order, 101)
    assert (order.reserved, amounts(order.paying)) == (60, (40, 60, 0))


def test_a_taker_buy_gets_its_price_improvement_back(executor, book):
    taker = order_of(executor, book, Side.BUY, 20, 10)
    maker = order_of(executor, book, Side.SELL, 15, 4)
    taker.leaves, maker.leaves = 6, 0
    executor.settle(taker, [fill(maker, 15, 4)])
    paid, bought = 15 * 4 * TICK, 4 * LOT
    rest = 20 * 6 * TICK
    assert amounts(taker.paying) == (100_000 - paid - rest, rest, 0)
    assert (amounts(taker.receiving), taker.reserved) == ((bought, 0, 0), rest)
    assert amounts(maker.paying) == (100_000 - bought, 0, 0)
    assert (amounts(maker.receiving), maker.reserved) == ((paid, 0, 0), 0)
    assert taker.quote_total == maker.quote_total == paid


def test_a_taker_sell_is_paid_what_the_maker_bid(executor, book):
    taker = order_of(executor, book, Side.SELL, 10, 9)
    makers = [order_of(executor, book, Side.BUY, price, 5) for price in (12, 11)]
    taker.leaves = 0
    makers[1].leaves = 1
    executor.settle(taker, [fill(makers[0], 12, 5), fill(makers[1], 11, 4)])
    assert amounts(taker.receiving)[0] == (12 * 5 + 11 * 4) * TICK
    assert taker.reserved == 0
    assert makers[0].reserved == 0
    assert makers[1].reserved == 11 * TICK


def test_a_market_buy_reserves_and_pays_exactly_its_walk(executor, book):
    makers = [order_of(executor, book, Side.SELL, price, 4) for price in (10, 12)]
    for maker in makers:
        book.asks.add(maker)
    taker = new_order(book, 9, Side.BUY, 0, 6, paying=funded(1_000))
    assert executor.reserve(taker, 64 * TICK)
    executor.settle(taker, [fill(makers[0], 10, 4), fill(makers[1], 12, 2)])
    assert taker.reserved == 0
    assert amounts(taker.paying) == (1_000 - 64 * TICK, 0, 0)


def test_release_gives_everything_back_once(executor, book):
    order = order_of(executor, book, Side.BUY, 10, 10, 1_000)
    executor.release(order)
    executor.release(order)
    assert (order.reserved, amounts(order.paying)) == (0, (1_000, 0, 0))
