"""Effort does not depend on the code path: an order costs what it does to others."""

import pytest

from hpe.core.contract import Limits
from hpe.protocol.control import Error
from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.money import Deposit
from hpe.protocol.operations import SetStatus, Uncross
from hpe.protocol.orders import CancelOrder, OrderTerms, ReplaceOrder, SubmitOco, SubmitOrder
from tests.support.core_pit import Pit, buy_up_to, pit_before_the_dead
from tests.support.meter import spent_by

BUY, SELL = Side
LATER = 10**18 + 10**12

WAYS = {
    "plain": {},
    "expires": {"tif": TimeInForce.GTD, "expires_ns": LATER},
    "of its session": {"flags": 2},
    "iceberg": {"display_quantity": 1},
    "stop": {"order_type": OrderType.STOP_LIMIT, "stop_price": 130},
}


@pytest.mark.parametrize("way", WAYS)
def test_an_order_that_only_comes_changes_and_goes_costs_nothing_on_any_path(way, new_core):
    pit, terms = Pit(new_core), dict(WAYS[way])
    kind = terms.pop("order_type", OrderType.LIMIT)
    flags, tif = terms.pop("flags", 0), terms.pop("tif", TimeInForce.GTC)
    more = OrderTerms(**terms) if terms else None
    order = SubmitOrder(pit.bob.next_id(), 1, 0, BUY, kind, tif, 90, 5, flags, terms=more)
    assert spent_by(pit.bob, order) == 0
    placed = pit.bob.ask(order)
    assert placed.reason == 0
    for fields in (
        {"leaves_quantity": 4},
        {"leaves_quantity": 6},
        {"requeue": True, "quantity": 9},
    ):
        replace = ReplaceOrder(pit.bob.next_id(), placed.order_id, 0, **fields)
        assert spent_by(pit.bob, replace) == 0
        assert pit.bob.ask(replace).reason == 0
    assert spent_by(pit.bob, CancelOrder(pit.bob.next_id(), placed.order_id, 0)) == 0
    pit.venue.check()


def test_the_first_order_of_a_user_costs_what_his_second_does(new_core):
    """It takes the long way, as there is no account to credit yet."""
    pit = Pit(new_core)
    new = pit.venue.attach(3)
    new.deposit(2, 10**6)
    costs = []
    for _ in range(2):
        order = SubmitOrder(new.next_id(), 1, 0, BUY, OrderType.LIMIT, TimeInForce.GTC, 90, 1)
        costs.append(spent_by(new, order))
        assert new.ask(order).leaves == 1
    assert costs == [0, 0]


def test_an_uncross_costs_no_more_than_is_charged_for_it(new_core):
    """No stops waited: there is nothing that goes on."""
    pit = Pit(new_core)
    pit.alice.ask(SetStatus(pit.alice.next_id(), 1, InstrumentStatus.CALL_AUCTION))
    assert spent_by(pit.alice, Uncross(pit.alice.next_id(), 1)) == 1
    for side in (BUY, SELL):
        pit.alice.submit(side, 100, 1)
    assert spent_by(pit.alice, Uncross(pit.alice.next_id(), 1)) == 1 + 2 + 1


def test_stops_that_go_on_with_the_market_cost_that_as_well(new_core):
    pit = Pit(new_core, Limits(stops=1))
    pit.trade_at(100)
    pit.sell_stops(3, trigger=99)
    pit.bob.submit(BUY, 99, 1)
    pit.bob.ask(pit.set_off(99))
    assert pit.unfinished, "one had its turn, the next has it in the next batch"
    halted, closed, open_again = (
        SetStatus(pit.alice.next_id(), 1, status)
        for status in (
            InstrumentStatus.HALTED,
            InstrumentStatus.CANCEL_ONLY,
            InstrumentStatus.TRADING,
        )
    )
    assert pit.alice.ask(halted).reason == 0
    assert not pit.unfinished
    assert spent_by(pit.alice, closed) == 0
    triggered_and_canceled = 2
    assert spent_by(pit.alice, open_again) == 1 + triggered_and_canceled


def test_what_a_command_does_to_other_orders_costs(new_core):
    pit = Pit(new_core)
    pit.trade_at(100)
    pair = SubmitOco(pit.alice.next_id(), 1, SELL, 1, 115, 86)
    assert spent_by(pit.alice, pair) == 0
    cancel = CancelOrder(pit.alice.next_id(), pit.alice.ask(pair).limit_order_id, 0)
    assert spent_by(pit.alice, cancel) == 1, "a report on the other leg"


def test_what_does_not_have_to_look_is_executed_behind_those_that_may_not(new_core):
    """Looking for dead orders in vain uses up a batch for whoever would have to look as well."""
    pit = pit_before_the_dead(new_core, effort=40)
    orders = [buy_up_to(pit, 102, 1_000) for _ in range(10)]
    *refused, deposited, ask = pit.bob.send(
        *orders,
        Deposit(pit.bob.next_id(), 1, 1),
        SubmitOrder(pit.bob.next_id(), 1, 0, SELL, OrderType.LIMIT, TimeInForce.GTC, 101, 1),
    )
    assert {type(reply) for reply in refused} == {Error}
    assert deposited.reason == 0
    assert isinstance(ask, Error), "it would have to look, too"
    pit.venue.check()
