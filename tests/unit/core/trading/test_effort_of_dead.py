"""The cost of searching for dead orders: executed commands pay, refused ones may waste a bound."""

import pytest

from hpe.core.context.effort import CONTINUE
from hpe.core.trading.orders import Order
from hpe.protocol.codes import ErrorCode, RejectReason
from hpe.protocol.control import Error
from hpe.protocol.enums import ExecType, OrderType, Side, TimeInForce
from hpe.protocol.orders import SubmitOco, SubmitOrder
from tests.support.core_parts import place
from tests.support.core_pit import DEAD, LIVING, buy_up_to, pit_before_the_dead

BUY, SELL = Side
FIT = 40
"""80 orders are passed for 10 rows, so 4 commands may look at them in vain in one batch."""


@pytest.fixture
def pit(new_core):
    """Return a pit with sellers who live, and behind them dead ones that nothing ends for long."""
    return pit_before_the_dead(new_core, FIT)


def spent(pit):
    return pit.venue.core.exchange.market.effort.spent


@pytest.fixture
def looked(monkeypatch):
    """Return a list that grows with every order that somebody looks at."""
    seen, is_dead = [], Order.is_dead
    monkeypatch.setattr(
        Order, "is_dead", lambda order, at: seen.append(order) or is_dead(order, at)
    )
    return seen


def test_a_batch_of_refused_commands_looks_at_so_many_orders_at_most(pit, looked):
    pit.bob.deposit(1, 1)
    before, looked[:] = spent(pit), []
    replies = pit.bob.send(*[buy_up_to(pit, 102, 1_000) for _ in range(50)])
    assert [type(reply) for reply in replies] == [Error] * 50
    assert {reply.code for reply in replies} == {ErrorCode.BUSY}
    assert LIVING < len(looked) <= FIT // 10 * (LIVING + DEAD)
    assert spent(pit) == before, "nobody who replays the log sees what was refused"
    looked.clear()
    assert pit.bob.refused(buy_up_to(pit, 102, 1_000)).code == ErrorCode.BUSY
    assert len(looked) >= LIVING + DEAD, "the next batch looks again"
    pit.venue.check()


@pytest.mark.parametrize("quantity", [8, LIVING])
def test_an_executed_command_pays_for_it_also_when_rejected(pit, quantity):
    poor = pit.venue.attach(3)
    pit.bob.deposit(1, 1)
    before = spent(pit)
    order = SubmitOrder(poor.next_id(), 1, 0, BUY, OrderType.LIMIT, TimeInForce.GTC, 101, quantity)
    assert poor.ask(order).reason == RejectReason.INSUFFICIENT_FUNDS
    assert spent(pit) == before + quantity // 8
    pair = SubmitOco(poor.next_id(), 1, SELL, 1, 111, 86)
    assert poor.ask(pair).reason == RejectReason.INSUFFICIENT_FUNDS
    assert spent(pit) == before, "it stands behind nobody"
    pit.venue.check()


def test_a_stop_that_waits_behind_the_dead_pays_in_every_body(pit):
    pit.venue.limit(continue_effort=CONTINUE)
    pit.bob.deposit(1, 1)
    before = spent(pit)
    assert place(pit.bob, BUY, 102, 1_000, OrderType.STOP_LIMIT, stop_price=100).reason == 0
    assert pit.unfinished
    assert pit.reports(2, ExecType.TRIGGERED) == []
    for _ in range(2):
        pit.venue.apply()
        assert spent(pit) == before + CONTINUE + (LIVING + DEAD) // 8
    pit.venue.check()
