"""Commands and queries through frames: rejects in their documented order, bounds, responses."""

from functools import partial

import pytest

from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import Liquidity, OrderStatus, OrderType, Side, TimeInForce
from hpe.protocol.limits import AMOUNT_MAX, INT_MAX
from hpe.protocol.listings import AddInstrument
from hpe.protocol.money import Deposit, GetBalance, LockBalance, UnlockBalance, Withdraw
from hpe.protocol.orders import ReplaceOrder, ReplaceResponse, SubmitOrder
from tests.support.core_parts import climb

BUY, SELL = Side
GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD


# --- orders -----------------------------------------------------------------------------------


@pytest.fixture
def bounded(market):
    """Instrument 2, of the same assets: price 10..1,000, quantity 2..2^60, notional 100 up."""
    lister = market.attach(1_000)
    limits = (1, 1, 10, 1_000, 2, 2**60, 100)
    lister.get_id(AddInstrument(lister.next_id(), "BOUNDED", 1, 2, *limits))
    return market


def submit_with(client, **fields):
    values = {"client_order_id": 0, "side": BUY, "order_type": OrderType.LIMIT, "flags": 0}
    return client.ask(SubmitOrder(request_id=client.next_id(), **{**values, **fields}))


def test_submit_rejects_in_the_documented_order(bounded, other):
    client = bounded.attach(3)
    other.submit(SELL, 1_000, 10, instrument=2)
    client.deposit(2, 10)
    client.submit(BUY, 1, 1, client_order_id=7)
    bounded.configure(open_orders_max=2)
    wrong = {
        "instrument": 9, "client_order_id": 7, "time_in_force": IOC, "price": 1_001,
        "quantity": 2**60 + 1, "flags": 1,
    }  # fmt: skip
    accepted = climb(
        partial(submit_with, client),
        wrong,
        [
            (RejectReason.INVALID_COMBINATION, {"time_in_force": GTC}),
            (RejectReason.UNKNOWN_INSTRUMENT, {"instrument": 2}),
            (RejectReason.PRICE_OUT_OF_RANGE, {"price": 1_000}),
            (RejectReason.QUANTITY_OUT_OF_RANGE, {"quantity": 2**60}),
            (RejectReason.NOTIONAL_OUT_OF_RANGE, {"quantity": 50}),
            (RejectReason.DUPLICATE_CLIENT_ORDER_ID, {"client_order_id": 8}),
            (RejectReason.TOO_MANY_ORDERS, partial(bounded.configure, open_orders_max=3)),
            (RejectReason.POST_ONLY_WOULD_CROSS, {"flags": 0}),
            (RejectReason.INSUFFICIENT_FUNDS, partial(client.deposit, 2, 49_991)),
        ],
    )
    assert (accepted.reason, accepted.cum, accepted.leaves) == (0, 10, 40)
    bounded.check()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"price": 9}, RejectReason.PRICE_OUT_OF_RANGE),
        ({"price": 10}, RejectReason.NONE),
        ({"price": 1_000}, RejectReason.NONE),
        ({"price": 1_001}, RejectReason.PRICE_OUT_OF_RANGE),
        ({"price": INT_MAX}, RejectReason.PRICE_OUT_OF_RANGE),
        ({"quantity": 1}, RejectReason.QUANTITY_OUT_OF_RANGE),
        ({"quantity": 2}, RejectReason.NONE),
        ({"quantity": 2**60 + 1}, RejectReason.QUANTITY_OUT_OF_RANGE),
        ({"quantity": INT_MAX}, RejectReason.QUANTITY_OUT_OF_RANGE),
        ({"price": 10, "quantity": 9}, RejectReason.NOTIONAL_OUT_OF_RANGE),
        ({"price": 10, "quantity": 10}, RejectReason.NONE),
        ({"price": 20, "quantity": 2**60}, RejectReason.NOTIONAL_OUT_OF_RANGE),
    ],
)
def test_the_bounds_of_an_instrument(bounded, client, fields, reason):
    values = {"instrument": 2, "time_in_force": GTC, "price": 100, "quantity": 10, **fields}
    assert submit_with(client, **values).reason == reason


def test_market_orders_have_a_quantity_bound_and_no_notional(bounded, client, other):
    market = {"instrument": 2, "order_type": OrderType.MARKET, "time_in_force": IOC, "price": 0}
    assert submit_with(client, **market, quantity=1).reason == RejectReason.QUANTITY_OUT_OF_RANGE
    other.submit(SELL, 10, 10, instrument=2)
    assert submit_with(client, **market, quantity=2).status == OrderStatus.FILLED


@pytest.mark.parametrize("order_type", OrderType)
@pytest.mark.parametrize("tif", TimeInForce)
@pytest.mark.parametrize("price", [0, 100])
@pytest.mark.parametrize("flags", [0, 1])
def test_which_combinations_are_valid(client, order_type, tif, price, flags):
    """Without terms: no order that expires and no stop is complete. With them: test_admission."""
    limit = order_type is OrderType.LIMIT and price > 0
    limit = limit and (tif is GTC or (tif in (IOC, FOK) and not flags))
    market = order_type is OrderType.MARKET and not price and tif in (IOC, FOK) and not flags
    fields = {"instrument": 1, "order_type": order_type, "time_in_force": tif}
    response = submit_with(client, **fields, price=price, quantity=1, flags=flags)
    invalid = response.reason == RejectReason.INVALID_COMBINATION
    assert invalid is not (limit or market)


def test_a_rejected_order_uses_no_id_and_binds_no_money(client):
    first = client.submit(BUY, 10, 1)
    assert client.submit(BUY, 10, 10**6).reason == RejectReason.INSUFFICIENT_FUNDS
    assert client.submit(BUY, 10, 1).order_id == first.order_id + 1
    assert client.money(2) == (999_980, 20, 0)


def test_a_client_order_id_is_unique_among_live_orders_of_a_user(client, other):
    order = client.submit(BUY, 10, 1, client_order_id=5)
    duplicate = RejectReason.DUPLICATE_CLIENT_ORDER_ID
    assert client.submit(SELL, 20, 1, client_order_id=5).reason == duplicate
    assert other.submit(SELL, 20, 1, client_order_id=5).reason == 0
    client.cancel(order.order_id)
    again = client.submit(BUY, 10, 1, client_order_id=5)
    assert again.reason == 0
    other.submit(SELL, 10, 1)
    assert client.submit(BUY, 10, 1, client_order_id=5).reason == 0


def test_the_limit_of_open_orders_counts_what_rests(market, client):
    market.configure(open_orders_max=2)
    orders = [client.submit(BUY, 10, 1) for _ in range(2)]
    assert client.submit(BUY, 10, 1).reason == RejectReason.TOO_MANY_ORDERS
    assert client.replace(orders[0].order_id, leaves_quantity=2).reason == 0
    client.cancel(orders[0].order_id)
    assert client.submit(BUY, 10, 1).reason == 0


def test_cancel_rejects_in_the_documented_order(client, other):
    theirs = other.submit(BUY, 10, 1, client_order_id=3)
    mine = client.submit(BUY, 10, 1, client_order_id=4)
    invalid, unknown = RejectReason.INVALID_COMBINATION, RejectReason.UNKNOWN_ORDER
    assert client.cancel(0, 0).reason == invalid
    assert client.cancel(99, 99).reason == invalid
    assert client.cancel(mine.order_id, 4).reason == invalid
    assert client.cancel(99).reason == unknown
    assert client.cancel(0, 99).reason == unknown
    assert client.cancel(theirs.order_id).reason == unknown
    assert client.cancel(0, 3).reason == unknown
    assert client.cancel(INT_MAX).reason == unknown
    assert client.cancel(0, 4).order_id == mine.order_id
    assert client.cancel(mine.order_id).reason == unknown
    assert other.cancel(theirs.order_id).reason == CancelReason.REQUESTED


def test_replace_rejects_in_the_documented_order(bounded, other):
    client = bounded.attach(3)
    other.submit(SELL, 1_000, 10, instrument=2)
    client.deposit(2, 1_000)
    order = client.submit(BUY, 100, 10, instrument=2, post_only=True)
    other_order = other.submit(BUY, 20, 10, instrument=2)

    def replace(**fields):
        return client.get(ReplaceResponse, ReplaceOrder(client.next_id(), **fields))

    wrong = {
        "order_id": other_order.order_id, "client_order_id": 1, "leaves_quantity": 2**60 + 1,
        "price": 1_001,
    }  # fmt: skip
    replaced = climb(
        replace,
        wrong,
        [
            (RejectReason.INVALID_COMBINATION, {"client_order_id": 0}),
            (RejectReason.UNKNOWN_ORDER, {"order_id": order.order_id}),
            (RejectReason.PRICE_OUT_OF_RANGE, {"price": 1_000}),
            (RejectReason.QUANTITY_OUT_OF_RANGE, {"leaves_quantity": 2**60}),
            (RejectReason.NOTIONAL_OUT_OF_RANGE, {"leaves_quantity": 20}),
            (RejectReason.POST_ONLY_WOULD_CROSS, {"price": 999}),
            (RejectReason.INSUFFICIENT_FUNDS, partial(client.deposit, 2, 18_980)),
        ],
    )
    assert (replaced.reason, replaced.leaves) == (0, 20)
    assert client.money(2) == (0, 19_980, 0)
    bounded.check()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"price": 11},
        {"requeue": True},
        {"quantity": 5, "leaves_quantity": 5},
        {"quantity": 0, "leaves_quantity": 0},
    ],
)
def test_replace_takes_exactly_one_quantity(client, fields):
    order = client.submit(BUY, 10, 8)
    assert client.replace(order.order_id, **fields).reason == RejectReason.INVALID_COMBINATION
    assert client.book().bids == [(10, 8, 1)]


def test_replace_by_client_id(client):
    order = client.submit(BUY, 10, 8, client_order_id=6)
    by_client_id = ReplaceOrder(client.next_id(), 0, 6, leaves_quantity=5)
    response = client.get(ReplaceResponse, by_client_id)
    assert (response.order_id, response.leaves, response.quote_total) == (order.order_id, 5, 0)


def test_the_quantity_bound_of_a_replace_counts_what_was_filled(bounded, client, other):
    order = client.submit(SELL, 10, 100, instrument=2)
    other.submit(BUY, 10, 60, instrument=2)
    too_much = client.replace(order.order_id, leaves_quantity=2**60 - 59)
    assert too_much.reason == RejectReason.QUANTITY_OUT_OF_RANGE
    assert client.replace(order.order_id, leaves_quantity=10).leaves == 10


def test_the_money_of_an_orders_whole_life_is_bounded(market):
    seller, buyer = market.attach(3), market.attach(4)
    seller.deposit(1, 10)
    buyer.deposit(2, AMOUNT_MAX)
    order = seller.submit(SELL, 2**61, 2)
    buyer.submit(BUY, 2**61, 1)
    assert seller.replace(order.order_id, leaves_quantity=1, price=2**61).reason == 0
    more = seller.replace(order.order_id, leaves_quantity=2, price=2**61)
    assert more.reason == RejectReason.NOTIONAL_OUT_OF_RANGE
    assert seller.replace(order.order_id, leaves_quantity=0).quote_total == 2**61


def test_a_market_buy_at_the_largest_notional(market):
    seller, buyer = market.attach(3), market.attach(4)
    seller.deposit(1, AMOUNT_MAX)
    buyer.deposit(2, AMOUNT_MAX)
    seller.submit(SELL, 2**31, 2**31)
    response = buyer.submit(BUY, 0, INT_MAX, IOC)
    assert (response.cum, response.quote_total) == (2**31, AMOUNT_MAX)
    assert response.reason == CancelReason.NO_LIQUIDITY
    assert seller.money(2) == (AMOUNT_MAX, 0, 0)
    market.check()


# --- what a response and a report say ---------------------------------------------------------


def test_the_response_of_an_order_that_trades(client, other):
    maker = other.submit(SELL, 100, 5)
    assert (maker.status, maker.leaves, maker.fill_count) == (OrderStatus.NEW, 5, 0)
    taker = client.submit(BUY, 101, 8, client_order_id=44)
    assert taker.status == OrderStatus.PARTIALLY_FILLED
    assert (taker.leaves, taker.cum, taker.canceled) == (3, 5, 0)
    assert (taker.quote_total, taker.fill_count, taker.first_trade_id) == (500, 1, 1)
    assert taker.sequence == maker.sequence + 1
    assert taker.time_ns == maker.time_ns + 1


def test_reports_of_both_sides(market, client, other):
    maker = other.submit(SELL, 100, 5, client_order_id=3)
    taker = client.submit(BUY, 101, 8, client_order_id=44)
    (_, mine), (_, theirs) = market.private[1], market.private[2]
    assert client.fills == [mine]
    shared = (taker.sequence, taker.time_ns, 1, 100, 5)
    for report in (mine, theirs):
        assert shared == (
            report.sequence, report.time_ns, report.trade_id, report.last_price,
            report.last_quantity,
        )  # fmt: skip
    assert (mine.order_id, mine.client_order_id, mine.side) == (taker.order_id, 44, BUY)
    assert (mine.liquidity, mine.request_id) == (Liquidity.TAKER, taker.request_id)
    assert (mine.status, mine.leaves, mine.cum) == (OrderStatus.PARTIALLY_FILLED, 3, 5)
    assert (theirs.order_id, theirs.client_order_id, theirs.side) == (maker.order_id, 3, SELL)
    assert (theirs.liquidity, theirs.request_id) == (Liquidity.MAKER, 0)
    assert (theirs.status, theirs.leaves, theirs.cum) == (OrderStatus.FILLED, 0, 5)
    assert (mine.contra_order_id, theirs.contra_order_id) == (maker.order_id, taker.order_id)


def test_each_report_of_a_sweep_has_the_state_after_its_own_fill(client, other):
    for price in (100, 101, 102):
        other.submit(SELL, price, 2)
    client.submit(BUY, 102, 5)
    assert [(fill.leaves, fill.cum) for fill in client.fills] == [(3, 2), (1, 4), (0, 5)]
    statuses = [OrderStatus.PARTIALLY_FILLED, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED]
    assert [fill.status for fill in client.fills] == statuses
    assert [fill.trade_id for fill in client.fills] == [1, 2, 3]


def test_a_trade_with_oneself_gives_both_reports_the_takers_first(market, client):
    client.submit(SELL, 100, 5)
    client.submit(BUY, 100, 5)
    told = market.private[1][-2:]
    assert [report.liquidity for report in told] == [Liquidity.TAKER, Liquidity.MAKER]
    assert told[1].private_sequence == told[0].private_sequence + 1
    assert len(client.fills) == 1


def test_every_response_keeps_quantity_as_the_sum_of_its_parts(client, other):
    order = client.submit(SELL, 100, 9)
    other.submit(BUY, 100, 4)
    for leaves in (5, 3, 6):
        response = client.replace(order.order_id, leaves_quantity=leaves)
        assert (response.leaves, response.cum, response.canceled) == (leaves, 4, 0)
    response = client.cancel(order.order_id)
    assert (response.leaves, response.cum, response.canceled) == (0, 4, 6)


# --- money ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "reason", "repair"),
    [
        (LockBalance, RejectReason.INSUFFICIENT_FUNDS, Deposit),
        (UnlockBalance, RejectReason.INSUFFICIENT_HOLD, None),
        (Withdraw, RejectReason.INSUFFICIENT_FUNDS, Deposit),
    ],
)
def test_money_rejects_in_the_documented_order(market, command, reason, repair):
    client = market.attach(3)
    assert client.ask(command(client.next_id(), 3, 10)).reason == RejectReason.UNKNOWN_ASSET
    assert client.ask(command(client.next_id(), 2, 10)).reason == reason
    if repair is not None:
        client.ask(repair(client.next_id(), 2, 10))
    else:
        client.deposit(2, 10)
        client.ask(LockBalance(client.next_id(), 2, 10))
    assert client.ask(command(client.next_id(), 2, 10)).reason == 0
    assert client.ask(command(client.next_id(), 2, 1)).reason == reason


def test_deposit_rejects_in_the_documented_order(market):
    client = market.attach(3)
    client.deposit(2, AMOUNT_MAX)
    unknown = client.ask(Deposit(client.next_id(), 3, AMOUNT_MAX))
    assert (unknown.reason, unknown.available) == (RejectReason.UNKNOWN_ASSET, 0)
    limit = client.ask(Deposit(client.next_id(), 2, 1))
    assert (limit.reason, limit.available) == (RejectReason.DEPOSIT_LIMIT, AMOUNT_MAX)


def test_money_of_another_user(market, client):
    response = client.ask(Deposit(client.next_id(), 2, 70, 5))
    assert (response.reason, response.available) == (0, 70)
    response = client.ask(LockBalance(client.next_id(), 2, 30, 5))
    assert (response.available, response.held, response.reserved) == (40, 30, 0)
    reply = client.balance(2, user=5)
    assert (reply.available, reply.locked, reply.held) == (40, 30, 30)
    assert client.money(2) == (1_000_000, 0, 0)


# --- queries ----------------------------------------------------------------------------------


def test_the_book_and_its_depth(client, other):
    for price in (98, 99, 99):
        client.submit(BUY, price, 2)
    for price in (101, 102):
        other.submit(SELL, price, 3)
    book = client.book()
    assert book.bids == [(99, 4, 2), (98, 2, 1)]
    assert book.asks == [(101, 3, 1), (102, 3, 1)]
    assert (book.reason, book.last_price, book.book_sequence) == (0, 0, 5)
    assert client.book(depth=1).bids == [(99, 4, 2)]
    other.submit(SELL, 99, 1)
    assert (client.book().last_price, client.book().book_sequence) == (99, 6)


def test_queries_of_what_is_unknown(client):
    book = client.book(instrument=9)
    assert (book.reason, book.bids, book.asks) == (RejectReason.UNKNOWN_INSTRUMENT, [], [])
    reply = client.balance(9)
    assert (reply.reason, reply.available, reply.locked) == (RejectReason.UNKNOWN_ASSET, 0, 0)


def test_an_account_that_was_never_used_is_empty(client):
    assert client.balance(2, user=77).available == 0
    client.venue.check()


def test_a_query_shows_the_newest_sequence(client):
    sequence = client.submit(BUY, 10, 1).sequence
    assert client.ask(GetBalance(1, 1)).sequence == sequence
    assert client.book().sequence == sequence


def test_an_order_of_the_largest_fields_is_refused_by_name(client):
    placed = client.submit(BUY, INT_MAX, INT_MAX)
    assert placed.reason == RejectReason.NOTIONAL_OUT_OF_RANGE
    resting = client.submit(BUY, 10, 1)
    replaced = client.ask(
        ReplaceOrder(client.next_id(), resting.order_id, 0, leaves_quantity=INT_MAX, price=INT_MAX)
    )
    assert replaced.reason == RejectReason.NOTIONAL_OUT_OF_RANGE
    client.venue.check()
