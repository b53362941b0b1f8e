"""An order has one state: the table of moves, and that nothing else moves."""

from itertools import product

import pytest

from hpe.core.trading.order_states import MOVES, OrderState
from hpe.errors import InvariantViolation
from hpe.protocol.enums import OrderType, Side
from hpe.protocol.orders import CancelOrder, ReplaceOrder
from tests.support.core_parts import place
from tests.support.core_pit import Pit
from tests.unit.core.parts import new_book, new_order

BUY, SELL = Side
ARRIVING, WAITING, QUEUED, RESTING, ENDED = OrderState
ALLOWED = {
    (ARRIVING, WAITING), (ARRIVING, RESTING), (ARRIVING, ENDED), (WAITING, QUEUED),
    (WAITING, ENDED), (QUEUED, ARRIVING), (QUEUED, ENDED), (RESTING, ARRIVING), (RESTING, ENDED),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [*product(OrderState, OrderState)])
def test_no_order_moves_otherwise(before, after):
    order = new_order(new_book())
    order.state = before
    if (before, after) in ALLOWED:
        order.move(after)
        assert order.state is after
    else:
        with pytest.raises(AssertionError):
            order.move(after)
    assert {(state, to) for state, tos in MOVES.items() for to in tos} == ALLOWED


def test_a_stop_waits_and_then_rests(new_core):
    pit = Pit(new_core)
    pit.trade_at(100)
    pit.bob.submit(BUY, 90, 1)
    order_id = place(pit.alice, SELL, 95, 1, OrderType.STOP_LIMIT, stop_price=90).order_id
    order = pit.venue.core.exchange.orders.users[1].by_id[order_id]
    assert order.state is WAITING
    pit.bob.send(pit.set_off())
    pit.finish()
    assert order.state is RESTING
    pit.venue.check()


def test_a_replaced_order_rests_again_and_a_canceled_one_has_ended(new_core):
    pit = Pit(new_core)
    order_id = pit.bob.submit(BUY, 90, 5).order_id
    order = pit.venue.core.exchange.orders.users[2].by_id[order_id]
    for price in (91, 89):
        pit.bob.ask(ReplaceOrder(pit.bob.next_id(), order_id, 0, leaves_quantity=5, price=price))
        assert order.state is RESTING
    pit.bob.ask(CancelOrder(pit.bob.next_id(), order_id, 0))
    assert order.state is ENDED


@pytest.mark.parametrize("state", [ARRIVING, WAITING, QUEUED, ENDED])
def test_a_resting_order_of_another_state_is_found(state, new_core):
    pit = Pit(new_core)
    order_id = pit.bob.submit(BUY, 90, 5).order_id
    pit.venue.check()
    pit.venue.core.exchange.orders.users[2].by_id[order_id].state = state
    with pytest.raises(InvariantViolation):
        pit.venue.check()
