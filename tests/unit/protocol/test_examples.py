"""The worked examples of protocol.md: by plain integer arithmetic, and by what the core does.

Every number of their tables is computed here a second time from the rule that it shows; then the
same trades are made and the core's answers are compared with the same rows.
"""

from __future__ import annotations

import pytest

from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.limits import HOUSE_USER, PPM
from hpe.protocol.listings import GetInstrument, InstrumentReply
from hpe.protocol.operations import SetStatus, SetStatusResponse, Uncross, UncrossResponse
from hpe.protocol.orders import OrderResponse, OrderTerms, SubmitOrder
from tests.support.protocol_examples import (
    BASE,
    PAIR,
    QUOTE,
    SECTIONS,
    START,
    numbers,
    orders_of,
    traders,
)


def ceil_ppm(micro: int) -> int:
    """Divide by 10^6 and round towards plus infinity."""
    return -(-micro // PPM)


FEE = numbers("the fee of an order")
RESERVATION = numbers("the reservation of a limit buy")
REBATE = numbers("a rebate and the house")
BUDGET = numbers("a market order by budget")
AUCTION = numbers("the price of an auction")
BAND = numbers("the bounds of a band")


FEE_RATE = 1_000


def test_arithmetic_of_the_fee():
    micro = charged = 0
    for row in FEE:
        micro += row["notional"] * FEE_RATE
        assert row["notional x rate, so far"] == micro
        assert row["fee so far"] == ceil_ppm(micro)
        assert row["charge"] == ceil_ppm(micro) - charged
        charged = ceil_ppm(micro)
    each_alone = sum(ceil_ppm(row["notional"] * FEE_RATE) for row in FEE)
    assert f"would charge {each_alone}." in SECTIONS["Example: the fee of an order"]
    assert each_alone > charged


def test_core_agrees_on_the_fee(venue):
    seller, buyer = traders(venue, taker_fee_ppm=FEE_RATE)
    for row in FEE:
        seller.submit(Side.SELL, 1, row["notional"])
    response = buyer.submit(Side.BUY, 1, sum(row["notional"] for row in FEE))
    assert [fill.last_quantity for fill in buyer.fills] == [row["notional"] for row in FEE]
    assert [fill.fee for fill in buyer.fills] == [row["charge"] for row in FEE]
    assert response.fee_total == FEE[-1]["fee so far"]


RESERVATION_RATES = {"maker_fee_ppm": 500, "taker_fee_ppm": 1_000}
RESERVATION_FILLS = (None, (4, 100, 1_000), None, (4, 106, 500))  # lots, price, rate


def test_arithmetic_of_the_reservation():
    worst = max(*RESERVATION_RATES.values(), 0)
    fee_micro = charged = reserved = 0
    for row, fill in zip(RESERVATION, RESERVATION_FILLS, strict=True):
        paid = 0
        if fill:
            lots, price, rate = fill
            fee_micro += lots * price * rate
            paid = lots * price + ceil_ppm(fee_micro) - charged
            charged = ceil_ppm(fee_micro)
        open_notional = row["leaves"] * row["limit"]
        needed = open_notional + ceil_ppm(fee_micro + open_notional * worst) - charged
        assert (row["N"], row["fee_micro"]) == (open_notional, fee_micro)
        assert (row["charged"], row["paid"]) == (charged, paid)
        assert row["reserved"] == needed
        assert row["given back"] == max(reserved - needed - paid, 0)
        reserved = needed


def test_core_agrees_on_the_reservation_at_acceptance(venue):
    _, buyer = traders(venue, **RESERVATION_RATES)
    buyer.submit(Side.BUY, RESERVATION[0]["limit"], RESERVATION[0]["leaves"])
    assert buyer.money(QUOTE)[1] == RESERVATION[0]["reserved"]


def test_core_agrees_on_the_reservation(venue):
    seller, buyer = traders(venue, **RESERVATION_RATES)
    accepted, filled, replaced, ended = RESERVATION
    owned = START

    def compare(row):
        nonlocal owned
        owned -= row["paid"]
        reserved = row["reserved"]
        assert buyer.money(QUOTE) == (owned - reserved, reserved, 0)

    seller.submit(Side.SELL, 100, 4)
    order = buyer.submit(Side.BUY, accepted["limit"], accepted["leaves"])
    assert (order.leaves, order.fee_total) == (filled["leaves"], filled["charged"])
    compare(filled)
    buyer.replace(order.order_id, leaves_quantity=replaced["leaves"], price=replaced["limit"])
    compare(replaced)
    seller.submit(Side.SELL, 106, 4)
    compare(ended)


REBATE_RATE, REBATE_TAKER_RATE = -300, 500


def test_arithmetic_of_the_rebate():
    micro = charged = house = 0
    for row in REBATE:
        taker = ceil_ppm(row["notional"] * REBATE_TAKER_RATE)
        micro += row["notional"] * REBATE_RATE
        assert row["taker's fee"] == taker
        assert row["maker's fee, so far"] == ceil_ppm(micro)
        assert row["maker's charge"] == ceil_ppm(micro) - charged
        house += taker + ceil_ppm(micro) - charged
        charged = ceil_ppm(micro)
        assert row["house, so far"] == house


def test_core_agrees_on_the_rebate(venue):
    seller, buyer = traders(venue, maker_fee_ppm=REBATE_RATE, taker_fee_ppm=REBATE_TAKER_RATE)
    seller.submit(Side.SELL, 1, sum(row["notional"] for row in REBATE))
    for row in REBATE:
        response = buyer.submit(Side.BUY, 1, row["notional"])
        assert response.fee_total == row["taker's fee"]
        assert venue.private[seller.user][-1].fee == row["maker's charge"]
        assert buyer.balance(QUOTE, HOUSE_USER).available == row["house, so far"]


BUDGET_AMOUNT, BUDGET_RATE = 1_000, 1_000


def with_fee(cost: int) -> int:
    return cost + ceil_ppm(cost * BUDGET_RATE)


def test_arithmetic_of_the_budget():
    cost = 0
    for row in BUDGET:
        price, lots = row["price"], 0
        while lots < row["lots there"] and with_fee(cost + price) <= BUDGET_AMOUNT:
            cost += price
            lots += 1
        assert (row["lots bought"], row["cost so far"]) == (lots, cost)
        assert row["fee so far"] == with_fee(cost) - cost
        assert row["left of the budget"] == BUDGET_AMOUNT - with_fee(cost)
    assert lots < BUDGET[-1]["lots there"]


def test_core_agrees_on_the_budget(venue):
    seller, buyer = traders(venue, taker_fee_ppm=BUDGET_RATE)
    for row in BUDGET:
        seller.submit(Side.SELL, row["price"], row["lots there"])
    terms = OrderTerms(budget=BUDGET_AMOUNT)
    kind, life = OrderType.MARKET, TimeInForce.IOC
    order = SubmitOrder(buyer.next_id(), PAIR, 0, Side.BUY, kind, life, 0, 0, 0, 0, terms)
    response = buyer.get(OrderResponse, order)
    assert [(fill.last_price, fill.last_quantity) for fill in buyer.fills] == [
        (row["price"], row["lots bought"]) for row in BUDGET
    ]
    last = BUDGET[-1]
    assert response.quote_total == last["cost so far"]
    assert response.fee_total == last["fee so far"]
    paid = BUDGET_AMOUNT - last["left of the budget"]
    assert buyer.money(QUOTE) == (START - paid, 0, 0)
    summary = f"quantity {response.cum}, cost {response.quote_total}, fee {response.fee_total}, "
    assert summary in SECTIONS["Example: a market order by budget"]


@pytest.mark.parametrize("row", AUCTION, ids=lambda row: row["decided by"])
def test_arithmetic_of_the_auction(row):
    bids, asks = orders_of(row["bids"]), orders_of(row["asks"])

    def sums(price):
        bid = sum(quantity for quantity, limit in bids if limit >= price)
        return bid, sum(quantity for quantity, limit in asks if limit <= price)

    def surplus(price):
        bid, ask = sums(price)
        return bid - ask

    candidates = sorted({price for _, price in (*bids, *asks)})
    volume = max(min(sums(price)) for price in candidates)
    best = [price for price in candidates if min(sums(price)) == volume]
    least = min(abs(surplus(price)) for price in best)
    best = [price for price in best if abs(surplus(price)) == least]
    pressure = sum(surplus(price) for price in best)
    price = (best[0] + best[-1]) // 2
    if pressure:
        price = best[-1] if pressure > 0 else best[0]
    expected = (price, volume, surplus(price)) if volume else (0, 0, 0)
    assert (row["price"], row["volume"], row["surplus"]) == expected


@pytest.mark.parametrize("row", AUCTION, ids=lambda row: row["decided by"])
def test_core_agrees_on_the_auction(row, venue):
    seller, buyer = traders(venue)
    call = SetStatus(seller.next_id(), PAIR, InstrumentStatus.CALL_AUCTION)
    assert seller.get(SetStatusResponse, call).reason == 0
    for trader, side, cell in ((buyer, Side.BUY, "bids"), (seller, Side.SELL, "asks")):
        for quantity, price in orders_of(row[cell]):
            assert trader.submit(side, price, quantity).leaves == quantity
    state = seller.get(InstrumentReply, GetInstrument(1, PAIR))
    assert (state.indicative_price, state.indicative_volume) == (row["price"], row["volume"])
    assert state.indicative_surplus == row["surplus"]
    outcome = seller.get(UncrossResponse, Uncross(seller.next_id(), PAIR))
    assert (outcome.price, outcome.volume) == (row["price"], row["volume"])
    assert buyer.money(BASE)[0] == START + row["volume"]


@pytest.mark.parametrize("row", BAND, ids=lambda row: f"{row['r']} {row['band_ppm']}")
def test_arithmetic_of_the_band(row):
    width = row["r"] * row["band_ppm"] // PPM
    assert (row["lowest"], row["highest"]) == (row["r"] - width, row["r"] + width)


@pytest.mark.parametrize("row", BAND, ids=lambda row: f"{row['r']} {row['band_ppm']}")
def test_core_agrees_on_the_band(row, venue):
    seller, _ = traders(venue, band_ppm=row["band_ppm"], reference_price=row["r"])
    state = seller.get(InstrumentReply, GetInstrument(1, PAIR))
    assert (state.band_low, state.band_high) == (row["lowest"], row["highest"])
