"""What may be asked for at all: every combination of fields, and the bounds of one order."""

from itertools import product

import pytest

from hpe.core.context.holders import NOBODY
from hpe.core.money.fees import rates_of
from hpe.core.trading.admission import (
    admits_notional,
    admitted_to_call,
    barred,
    beyond_band,
    check_expiry,
    check_notional,
    check_price,
    check_quantity,
    contradicts,
)
from hpe.core.trading.order_index import UserOrders
from hpe.core.trading.orders import Terms
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.limits import AMOUNT_MAX, INT_MAX
from hpe.protocol.orders import OrderTerms, SubmitOco, SubmitOrder
from tests.unit.core.parts import FREE, new_book, new_order, new_stop

BUY, SELL = Side
GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT
STOP, STOP_LIMIT = OrderType.STOP, OrderType.STOP_LIMIT
ALL, RESTING, AT_ONCE = {*TimeInForce}, {GTC, GTD}, {IOC, FOK}
BOTH = {BUY, SELL}

TABLE = (
    # The orders of protocol.md: type, times in force, sides, what it needs, what it may have.
    (LIMIT, ALL, BOTH, {"price"}, set()),
    (LIMIT, RESTING, BOTH, {"price"}, {"post_only", "display"}),
    (LIMIT, RESTING | {IOC}, BOTH, {"price", "minimum"}, set()),
    (MARKET, AT_ONCE, BOTH, set(), set()),
    (MARKET, {IOC}, BOTH, {"minimum"}, set()),
    (MARKET, AT_ONCE, {BUY}, {"budget"}, set()),
    (STOP, ALL, {SELL}, {"stop_price"}, set()),
    (STOP, ALL, {SELL}, {"trail"}, set()),
    (STOP, ALL, {BUY}, {"stop_price", "budget"}, set()),
    (STOP, ALL, {BUY}, {"trail", "budget"}, set()),
    (STOP_LIMIT, ALL, BOTH, {"stop_price", "price"}, set()),
)


def is_in_the_table(order_type, tif, side, quantity, fields):
    have = {name for name, value in fields.items() if value}
    if ("expires" in have) is not (tif is GTD):
        return False
    have.discard("expires")
    if max(fields["display"], fields["minimum"]) > quantity or (fields["budget"] and quantity):
        return False
    return any(
        order_type is kind and tif in tifs and side in sides and needs <= have <= needs | may
        for kind, tifs, sides, needs, may in TABLE
    )


@pytest.mark.parametrize("order_type", OrderType)
@pytest.mark.parametrize("tif", TimeInForce)
def test_every_combination_of_fields(order_type, tif):
    """0 or not, for each field; display and minimum also at and above the quantity."""
    names = ("price", "post_only", "stop_price", "trail", "display", "minimum", "budget", "expires")
    values = ((0, 9), (0, 1), (0, 8), (0, 7), (0, 5, 6), (0, 5, 6), (0, 99), (0, 10))
    seen = set()
    for side, quantity, row in product(Side, (0, 5), product(*values)):
        fields = dict(zip(names, row, strict=True))
        price, flags, stop_price, trail, display, minimum, budget, expires = row
        terms = OrderTerms(stop_price, trail, display, minimum, budget, expires)
        command = SubmitOrder(1, 1, 0, side, order_type, tif, price, quantity, flags, 0, terms)
        expected = is_in_the_table(order_type, tif, side, quantity, fields)
        assert contradicts(command) is not expected, command
        seen.add(expected)
    possible = order_type is not MARKET or tif in AT_ONCE
    assert seen == ({True, False} if possible else {False})


@pytest.mark.parametrize("tif", [GTC, IOC, FOK])
def test_terms_that_ask_for_nothing_are_as_none(tif):
    for order_type, price in ((LIMIT, 5), (MARKET, 0), (STOP, 0)):
        rows = [
            contradicts(SubmitOrder(1, 1, 0, SELL, order_type, tif, price, 1, 0, 0, terms))
            for terms in (None, OrderTerms())
        ]
        assert rows[0] is rows[1]


def test_the_smallest_and_largest_of_each_quantity():
    def limit(quantity, **terms):
        return contradicts(
            SubmitOrder(1, 1, 0, BUY, LIMIT, GTC, 5, quantity, 0, 0, OrderTerms(**terms))
        )

    for name in ("display_quantity", "minimum_quantity"):
        assert not limit(1, **{name: 1})
        assert not limit(INT_MAX, **{name: INT_MAX})
        assert limit(1, **{name: 2})
        assert limit(INT_MAX - 1, **{name: INT_MAX})
    assert not limit(0), "no quantity at all is quantity_out_of_range"


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("limit_price", [0, 50])
@pytest.mark.parametrize("budget", [0, 900])
@pytest.mark.parametrize("ids", [(0, 0), (5, 0), (0, 5), (5, 6), (5, 5)])
def test_every_combination_of_a_pair(client, side, limit_price, budget, ids):
    """A budget is for the one stop that needs it: a buy's without a limit."""
    price, stop_price = (10, 60) if side is BUY else (90, 40)
    command = SubmitOco(client.next_id(), 1, side, 5, price, stop_price, limit_price, budget, *ids)
    valid = (budget > 0) is (side is BUY and not limit_price) and ids != (5, 5)
    reason = client.ask(command).reason
    assert reason == (RejectReason.NONE if valid else RejectReason.INVALID_COMBINATION)
    client.venue.check()


# --- states --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "plain", "special"),
    [
        (InstrumentStatus.TRADING, RejectReason.NONE, RejectReason.NONE),
        (InstrumentStatus.CANCEL_ONLY, RejectReason.NOT_TRADING, RejectReason.NOT_TRADING),
        (InstrumentStatus.HALTED, RejectReason.NOT_TRADING, RejectReason.NOT_TRADING),
        (InstrumentStatus.CALL_AUCTION, RejectReason.NONE, RejectReason.NOT_IN_CALL),
    ],
)
def test_what_a_status_and_the_kill_switch_refuse(status, plain, special):
    book, mine = new_book(), UserOrders({}, NOBODY)
    book.set_status(status)
    assert barred(book, mine, in_call=True) is plain
    assert barred(book, mine, in_call=False) is special
    mine.blocked = True
    assert barred(book, mine, in_call=True) is RejectReason.USER_BLOCKED
    assert barred(book, mine, in_call=False) is RejectReason.USER_BLOCKED


@pytest.mark.parametrize(
    ("order_type", "tif", "flags", "terms", "admitted"),
    [
        (LIMIT, GTC, 0, None, True),
        (LIMIT, GTD, 0, OrderTerms(expires_ns=9), True),
        (LIMIT, GTC, 0, OrderTerms(display_quantity=1), True),
        (LIMIT, GTC, 1, None, False),
        (LIMIT, GTC, 0, OrderTerms(minimum_quantity=1), False),
        (LIMIT, IOC, 0, None, False),
        (LIMIT, FOK, 0, None, False),
        (MARKET, IOC, 0, None, False),
        (MARKET, FOK, 0, OrderTerms(budget=9), False),
        *((kind, tif, 0, OrderTerms(stop_price=5), True)
          for kind in (STOP, STOP_LIMIT) for tif in TimeInForce),
    ],
)  # fmt: skip
def test_what_a_call_collects(order_type, tif, flags, terms, admitted):
    command = SubmitOrder(1, 1, 0, BUY, order_type, tif, 5, 5, flags, 0, terms)
    assert admitted_to_call(command) is admitted


# --- bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "quantity", "admitted"),
    [
        (1, 9, False),
        (1, 10, True),
        (1, AMOUNT_MAX, True),
        (1, AMOUNT_MAX + 1, False),
        (2**31, 2**31, True),
        (2**31, 2**31 + 1, False),
        (INT_MAX, INT_MAX, False),
    ],
)
def test_notional_stays_within_its_bounds(price, quantity, admitted):
    assert admits_notional(new_book(notional_min=10), FREE, price, quantity) is admitted


def test_notional_counts_atoms_per_tick():
    book = new_book(quote_atoms_per_tick=2**32)
    assert admits_notional(book, FREE, 2**15, 2**15)
    assert not admits_notional(book, FREE, 2**15, 2**15 + 1)


@pytest.mark.parametrize(("maker", "taker"), [(0, 1_000_000), (1_000_000, 0)])
def test_the_worst_fee_counts_against_the_bound_of_the_wire(maker, taker):
    """A rate of 100 % is beyond what the wire has: it makes the bound a round one."""
    rates = rates_of(maker, taker)
    assert admits_notional(new_book(), rates, 1, 2**61)
    assert not admits_notional(new_book(), rates, 1, 2**61 + 1)


def test_a_rebate_does_not_widen_the_bound():
    rates = rates_of(-999_999, 0)
    assert admits_notional(new_book(), rates, 1, AMOUNT_MAX)
    assert not admits_notional(new_book(), rates, 1, AMOUNT_MAX + 1)


def test_bounds_of_price_and_trigger():
    book = new_book(price_min=10, price_max=20)
    refused = RejectReason.PRICE_OUT_OF_RANGE
    for ticks, reason in ((9, refused), (10, 0), (20, 0), (21, refused)):
        assert check_price(book, new_order(book, price=ticks), 0) == reason
        assert check_price(book, new_stop(book, 1, SELL, ticks), 0) == reason
    assert check_price(book, new_order(book, price=0), 0) == 0, "a market order has none"


@pytest.mark.parametrize("trigger", [9, 1, 0, -1, -INT_MAX, 21])
def test_the_first_trigger_of_a_trailing_stop_has_the_bounds_of_a_price(trigger):
    book = new_book(price_min=10, price_max=20)
    book.last_price = 15
    stop = new_stop(book, 1, SELL, trigger, trail=15 - trigger)
    assert check_price(book, stop, 0) is RejectReason.PRICE_OUT_OF_RANGE


def test_bounds_of_the_quantity_and_that_a_budget_has_none():
    book = new_book(quantity_min=2, quantity_max=5)
    refused = RejectReason.QUANTITY_OUT_OF_RANGE
    for lots, reason in ((0, refused), (1, refused), (2, 0), (5, 0), (6, refused)):
        assert check_quantity(book, new_order(book, quantity=lots), 0) == reason
    spender = new_order(book, price=0, quantity=0)
    spender.terms = Terms(budget=7)
    assert check_quantity(book, spender, 0) == 0


def test_the_notional_of_a_budget_is_the_budget():
    book = new_book(notional_min=10, notional_max=20)
    refused = RejectReason.NOTIONAL_OUT_OF_RANGE
    for budget, reason in ((9, refused), (10, 0), (20, 0), (21, refused)):
        spender = new_order(book, price=0, quantity=0)
        spender.terms = Terms(budget=budget)
        assert check_notional(book, spender, 0) == reason
    assert check_notional(book, new_order(book, price=0, quantity=10**9), 0) == 0
    assert check_notional(book, new_stop(book, 1, SELL, 10**9), 0) == 0
    assert check_notional(book, new_order(book, price=3, quantity=3), 0) == refused


@pytest.mark.parametrize(
    ("expires_ns", "passed"), [(0, False), (99, True), (100, True), (101, False)]
)
def test_an_order_must_expire_later_than_now(expires_ns, passed):
    book = new_book()
    order = new_order(book)
    order.terms = Terms(expires_ns=expires_ns)
    reason = RejectReason.EXPIRY_PASSED if passed else RejectReason.NONE
    assert check_expiry(book, order, 100) is reason
    assert check_expiry(book, new_order(book), 100) is RejectReason.NONE


@pytest.mark.parametrize(
    ("side", "price", "beyond"),
    [(BUY, 55, False), (BUY, 56, True), (BUY, 1, False), (SELL, 45, False), (SELL, 44, True),
     (SELL, 99, False)],
)  # fmt: skip
def test_only_the_far_end_of_the_band_refuses(side, price, beyond):
    def asked(**changes):
        return new_book(band_ppm=100_000, reference_price=50, **changes)

    assert beyond_band(asked(), side, price) is beyond
    assert not beyond_band(asked(volatility_interruption=True), side, price)
    assert not beyond_band(new_book(), side, price)
    in_call = asked()
    in_call.set_status(InstrumentStatus.CALL_AUCTION)
    assert not beyond_band(in_call, side, price)
