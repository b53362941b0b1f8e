"""Tests of new orders by the compiled core against the reference's, one by one."""

from collections import Counter
from functools import cache
from itertools import product
from random import Random

import pytest

from hpe.core.compiled.tables import flat_tables
from hpe.core.context.holders import NOBODY
from hpe.core.money.fees import rates_of
from hpe.core.trading.admission import (
    ORDER_CHECKS,
    admitted_to_call,
    barred,
    beyond_band,
    contradicts,
)
from hpe.core.trading.kinds import KINDS, RESTING
from hpe.core.trading.order_index import UserOrders
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Terms
from hpe.protocol.base import type_number
from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.limits import AMOUNT_MAX, INT_MAX, PPM
from hpe.protocol.orders import OrderTerms, SubmitOrder
from tests.unit.core.parts import new_instrument, new_order

COMMANDS = 20_000
ORDERS = 8_000
EXTREMES = (0, 1, 2, 2**31, AMOUNT_MAX - 1, AMOUNT_MAX, AMOUNT_MAX + 1, INT_MAX - 1, INT_MAX)
BOUNDS = (
    ("price_min", "price_max"), ("quantity_min", "quantity_max"), ("notional_min", "notional_max"),
)  # fmt: skip


@cache
def slots_of(message):
    kind = type_number(message)
    return flat_tables({kind: message}).slots[kind]


def decoded(command):
    """Return a command's values as they are decoded, and a bit for each that is nil.

    The fields of absent terms are 0.
    """
    values, nulls = [], 0
    for place, name in enumerate(slots_of(type(command))):
        outer, _, inner = name.partition(".")
        value = getattr(command, outer)
        if inner:
            value = getattr(value or OrderTerms(), inner)
        nulls |= (value is None) << place
        values.append(value if isinstance(value, int) else 0)
    return values, nulls


def some(random, *usual):
    """Return 0 mostly, else something usual, or any extreme."""
    return random.choice((0, 0, 0, *usual, *usual, random.choice(EXTREMES)))


def command_of(random):
    """Return a command whose fields fit together often enough."""
    order_type, tif = random.choice(list(OrderType)), random.choice(list(TimeInForce))
    has_price = (order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT)) is (random.random() < 0.9)
    ends = (tif is TimeInForce.GTD) is (random.random() < 0.9)
    budget = some(random, 9) if random.random() < 0.3 else 0
    terms = OrderTerms(
        some(random, 8), some(random, 7), some(random, 5), some(random, 5, 6),
        min(budget, AMOUNT_MAX), 10 if ends else 0,
    )  # fmt: skip
    quantity = random.choice((0, 5, 6, random.choice(EXTREMES)))
    return SubmitOrder(
        1, 1, 0, random.choice(list(Side)), order_type, tif, 9 if has_price else 0, quantity,
        random.choice((0, 0, 1, 2, 3)), 0, random.choice((terms, terms, None)),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_commands_are_judged_as_by_the_reference(admission, seed):
    random, seen = Random(seed), Counter()
    for _ in range(COMMANDS):
        command = command_of(random)
        values, _ = decoded(command)
        wrong, in_call = contradicts(command), admitted_to_call(command)
        assert admission.contradicts(values) == wrong, command
        assert admission.admitted_to_call(values) == in_call, command
        seen[command.order_type, wrong] += 1
        seen["in call"] += in_call and not wrong
    assert min(seen[each] for each in product(OrderType, (False, True))) > 20, seen
    assert seen["in call"] > 100


@pytest.mark.parametrize("order_type", OrderType)
@pytest.mark.parametrize("tif", TimeInForce)
def test_every_combination_of_fields(admission, order_type, tif):
    values = ((0, 9), (0, 1), (0, 8), (0, 7), (0, 5, 6), (0, 5, 6), (0, 99), (0, 10))
    for side, quantity, row in product(Side, (0, 5), product(*values)):
        price, flags, *terms = row
        command = SubmitOrder(
            1, 1, 0, side, order_type, tif, price, quantity, flags, 0, OrderTerms(*terms)
        )
        assert admission.contradicts(decoded(command)[0]) == contradicts(command), command


def instrument_of(random):
    """Return an instrument with bounds near what orders ask for, or at the extremes."""
    bounds = {}
    for low, high in BOUNDS:
        limits = (1, 5, 10, 100, *EXTREMES[1:])
        bounds[low], bounds[high] = sorted(random.choice(limits) for _ in range(2))
        bounds[high] = max(bounds[high], random.choice((1, 1_000, INT_MAX)))
    bounds["notional_max"] = min(bounds["notional_max"], AMOUNT_MAX)
    return new_instrument(
        **bounds,
        band_ppm=random.choice((0, 1, 100_000, PPM)),
        reference_price=random.choice((1, 50, INT_MAX)),
        quote_atoms_per_tick=random.choice((1, 3, 2**32, AMOUNT_MAX)),
        volatility_interruption=random.random() < 0.2,
    )


def order_of(random, book):
    """Return an order of a kind that exists; its numbers may be anything."""
    order_type, stays, has_budget = random.choice(list(KINDS))
    tif = random.choice([tif for tif in TimeInForce if (tif in RESTING) is stays])
    numbers = (1, 5, 10, 50, 100, 900, *EXTREMES)
    limited = KINDS[order_type, stays, has_budget].needs_price
    taker = random.choice((0, 2_500, PPM - 1))
    order = new_order(
        book, 1, random.choice(list(Side)), random.choice(numbers) or 1,
        random.choice(numbers), rates=rates_of(random.choice((-taker, 0, taker)), taker),
    )  # fmt: skip
    order.order_type, order.time_in_force = order_type, tif
    if not limited:
        order.price = 0
    if has_budget or random.random() < 0.5:
        budget = min(random.choice(numbers), AMOUNT_MAX) or 1
        stop_price = random.choice((0, -1, -INT_MAX, *numbers))
        order.terms = Terms(
            stop_price, random.choice((0, 7, INT_MAX)), budget=budget if has_budget else 0,
            expires_ns=random.choice((0, 99, 100, 101, INT_MAX)),
        )  # fmt: skip
    return order


@pytest.mark.parametrize("seed", range(4))
def test_orders_are_tested_as_by_the_reference(admission, seed):
    random, seen = Random(seed), Counter()
    for _ in range(ORDERS // 10):
        book = OrderBook(instrument_of(random))
        book.set_status(random.choice([InstrumentStatus.TRADING, *InstrumentStatus]))
        book.last_price = random.choice((0, 1, 50, INT_MAX))
        compiled = admission.Book(book.instrument, book.status, book.last_price)
        for _ in range(10):
            order = order_of(random, book)
            reasons = [check(book, order, 100) for check in ORDER_CHECKS]
            assert compiled.check(order, 100) == reasons, (book.instrument, order)
            beyond = beyond_band(book, order.side, order.price)
            assert compiled.beyond_band(order.side, order.price) == beyond
            seen.update(enumerate(reasons))
    for place in range(len(ORDER_CHECKS)):
        outcomes = [count for (at, _), count in seen.items() if at == place]
        assert len(outcomes) == 2, seen
        assert min(outcomes) > 20, seen


def test_the_worst_fee_counts_up_to_the_bound_of_the_wire(admission):
    book = OrderBook(new_instrument())
    compiled = admission.Book(book.instrument, book.status, 0)
    for taker, quantity in product((0, PPM - 1, PPM), (2**61 - 1, 2**61, 2**61 + 1, 2**62)):
        order = new_order(book, 1, Side.BUY, 1, quantity, rates=rates_of(0, taker))
        reasons = [check(book, order, 100) for check in ORDER_CHECKS]
        assert compiled.check(order, 100) == reasons
        refused = quantity > {0: 2**62, PPM - 1: 2**61 + 1, PPM: 2**61}[taker]
        assert (RejectReason.NOTIONAL_OUT_OF_RANGE in reasons) is refused


@pytest.mark.parametrize("status", InstrumentStatus)
def test_what_a_status_and_the_kill_switch_refuse(admission, status):
    book, mine = OrderBook(new_instrument()), UserOrders({}, NOBODY)
    book.set_status(status)
    compiled = admission.Book(book.instrument, status, 0)
    for mine.blocked, in_call in product((False, True), (False, True)):
        assert compiled.barred(mine.blocked, in_call) == barred(book, mine, in_call)
