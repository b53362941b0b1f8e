"""The money side of orders: reserve, settle, release."""

import pytest

from hpe.core.money.balances import Account, BalanceCache
from hpe.core.money.fees import rates_of
from hpe.core.trading.executor import AuctionFill, Executor
from hpe.core.trading.matcher import Fill
from hpe.core.trading.orders import Terms
from hpe.protocol.enums import Side
from tests.unit.core.parts import FREE, new_book, new_order

LOT, TICK = 3, 7


def funded(available):
    account = Account(1, 1)
    account.available = available
    return account


def amounts(account):
    return account.available, account.reserved, account.held


def fill(maker, price, quantity):
    """Make a fill; what it says of leaves and cum is for reports, not for money."""
    return Fill(maker, price, quantity, 0, 0, 0, 0)


@pytest.fixture
def executor():
    return Executor(BalanceCache())


def house(executor):
    """Return what the house has of the quote asset."""
    return executor._house(2).available


@pytest.fixture
def book():
    return new_book(base_atoms_per_lot=LOT, quote_atoms_per_tick=TICK)


def order_of(executor, book, side, price, quantity, funds=100_000, rates=FREE):
    """Make an order that has reserved what it needs."""
    order = new_order(book, 1, side, price, quantity, paying=funded(funds), rates=rates)
    assert executor.reserve(order, executor.requirement(book.instrument, order, price, quantity))
    return order


def test_what_an_order_reserves(executor, book):
    buy = new_order(book, side=Side.BUY)
    sell = new_order(book, side=Side.SELL)
    assert executor.requirement(book.instrument, buy, 11, 5) == 11 * 5 * TICK
    assert executor.requirement(book.instrument, sell, 11, 5) == 5 * LOT


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
    executor.settle(book.instrument, taker, [fill(maker, 15, 4)])
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
    executor.settle(book.instrument, taker, [fill(makers[0], 12, 5), fill(makers[1], 11, 4)])
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
    executor.settle(book.instrument, taker, [fill(makers[0], 10, 4), fill(makers[1], 12, 2)])
    assert taker.reserved == 0
    assert amounts(taker.paying) == (1_000 - 64 * TICK, 0, 0)


def test_release_gives_everything_back_once(executor, book):
    order = order_of(executor, book, Side.BUY, 10, 10, 1_000)
    executor.release(order)
    executor.release(order)
    assert (order.reserved, amounts(order.paying)) == (0, (1_000, 0, 0))


# --- fees -----------------------------------------------------------------------------------------


def test_a_limit_buy_reserves_its_worst_fee_and_a_sell_none(executor, book):
    rates = rates_of(200_000, 100_000)
    buy, sell = (new_order(book, side=side, rates=rates) for side in Side)
    assert executor.requirement(book.instrument, buy, 11, 5) == 11 * 5 * TICK + 11 * TICK
    assert executor.requirement(book.instrument, sell, 11, 5) == 5 * LOT
    buy.fee_rest = 999_999
    assert executor.requirement(book.instrument, buy, 11, 1) == 11 * TICK + 15, (
        "15.4, of which 0.999999 is paid"
    )


def test_both_sides_pay_and_the_house_collects(executor, book):
    taker = order_of(executor, book, Side.BUY, 20, 10, rates=rates_of(0, 100_000))
    maker = order_of(executor, book, Side.SELL, 20, 10, rates=rates_of(50_000, 0))
    taker.leaves = maker.leaves = 0
    fills = [fill(maker, 20, 10)]
    executor.settle(book.instrument, taker, fills)
    paid = 20 * 10 * TICK
    assert (fills[0].taker_fee, fills[0].maker_fee) == (140, 70)
    assert amounts(taker.paying) == (100_000 - paid - 140, 0, 0)
    assert amounts(maker.receiving) == (paid - 70, 0, 0)
    assert (taker.fee_total, maker.fee_total, house(executor)) == (140, 70, 210)


def test_a_rebate_comes_out_of_the_house_in_the_same_trade(executor, book):
    taker = order_of(executor, book, Side.SELL, 20, 10, rates=rates_of(0, 100_000))
    maker = order_of(executor, book, Side.BUY, 20, 10, rates=rates_of(-50_000, 100_000))
    taker.leaves = maker.leaves = 0
    executor.settle(book.instrument, taker, [fill(maker, 20, 10)])
    paid = 20 * 10 * TICK
    assert amounts(maker.paying) == (100_000 - paid + 70, 0, 0)
    assert amounts(taker.receiving) == (paid - 140, 0, 0)
    assert (maker.fee_total, house(executor)) == (-70, 70)


def test_fill_by_fill_the_fee_is_that_of_the_whole(executor):
    book = new_book()
    taker = order_of(executor, book, Side.BUY, 1, 10, rates=rates_of(0, 1))
    charges = []
    for left in range(9, -1, -1):
        maker = order_of(executor, book, Side.SELL, 1, 1)
        taker.leaves, maker.leaves = left, 0
        one = fill(maker, 1, 1)
        executor.settle(book.instrument, taker, [one])
        charges.append(one.taker_fee)
        assert taker.reserved == left, "the fee of all ten is paid with the first"
    assert charges == [1, *[0] * 9]
    assert (taker.fee_total, house(executor)) == (1, 1)


def test_a_maker_gets_back_what_was_reserved_for_a_worse_fee(executor, book):
    maker = order_of(executor, book, Side.BUY, 20, 10, rates=rates_of(0, 500_000))
    assert maker.reserved == 20 * 10 * TICK * 3 // 2
    taker = order_of(executor, book, Side.SELL, 20, 4)
    maker.leaves = 6
    one = fill(maker, 20, 4)
    one.maker_leaves = 6
    executor.settle(book.instrument, taker, [one])
    assert maker.reserved == 20 * 6 * TICK * 3 // 2
    assert amounts(maker.paying) == (100_000 - 20 * 4 * TICK - maker.reserved, maker.reserved, 0)


def test_in_an_uncross_both_pay_the_taker_rate_and_the_buyer_gets_the_rest_back(executor, book):
    rates = rates_of(900_000, 100_000)
    buy = order_of(executor, book, Side.BUY, 25, 10, rates=rates)
    sell = order_of(executor, book, Side.SELL, 15, 4, rates=rates)
    one = AuctionFill(buy, sell, 20, 4, 6, 4, 0, 4)
    executor.settle_auction(book.instrument, one)
    paid = 20 * 4 * TICK
    assert (one.buy_fee, one.sell_fee, house(executor)) == (56, 56, 112)
    assert amounts(buy.receiving) == (4 * LOT, 0, 0)
    assert amounts(sell.receiving) == (paid - 56, 0, 0)
    assert (sell.reserved, buy.reserved) == (0, executor.requirement(book.instrument, buy, 25, 6))
    assert amounts(buy.paying) == (100_000 - paid - 56 - buy.reserved, buy.reserved, 0)
    assert buy.quote_total == sell.quote_total == paid


def test_a_pair_needs_the_larger_of_both(executor, book):
    limit, stop = (order_of(executor, book, Side.BUY, price, 10) for price in (10, 12))
    limit.terms, stop.terms = Terms(partner=stop), Terms(partner=limit)
    assert executor.pair_requirement(book.instrument, limit, 10, 10) == 12 * 10 * TICK
    assert executor.pair_requirement(book.instrument, stop, 12, 10) == 12 * 10 * TICK
    assert executor.pair_requirement(book.instrument, limit, 15, 10) == 15 * 10 * TICK
    alone = order_of(executor, book, Side.BUY, 10, 10)
    assert executor.pair_requirement(book.instrument, alone, 10, 10) == 10 * 10 * TICK
