"""Kinds of orders of the compiled core against the reference's table."""

from itertools import product

from hpe.core.trading.kinds import RESTING, STOPS, is_for, kind_of
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.limits import AMOUNT_MAX


def test_kinds_are_those_of_the_reference(execution):
    valid = 0
    for order_type, tif, budget in product(OrderType, TimeInForce, (0, 1, AMOUNT_MAX)):
        kind = kind_of(order_type, tif, budget)
        found = execution.kind_of(order_type, tif, budget)
        if kind is None:
            assert found is None, (order_type, tif, budget)
            continue
        valid += 1
        assert found == kind._replace(reserves=kind.reserves.name), (order_type, tif, budget)
        for side in Side:
            expected = is_for(kind, side)
            assert execution.is_for(order_type, tif, budget, side) == expected, (kind, side)
    assert valid == 2 * 2 + 2 * 3 + 4 * 3 + 2 * 2


def test_what_waits_and_what_rests(execution):
    assert [each for each in OrderType if execution.is_stop(each)] == list(STOPS)
    assert [each for each in TimeInForce if execution.is_resting(each)] == list(RESTING)
