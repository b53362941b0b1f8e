"""At the bound of an order's life, 2^62 quote atoms, which random values seldom meet exactly."""

import pytest

from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.limits import AMOUNT_MAX
from hpe.protocol.money import Deposit, Withdraw
from hpe.protocol.orders import ReplaceOrder, SubmitOrder
from tests.model.play import DEPOSITS, Play
from tests.model.seats import USERS, PlayStep

PRICE = 2**40
LOTS_MAX = AMOUNT_MAX // (2 * PRICE)
"""What one order may have at that price on instrument 1, of which a tick is two atoms."""


@pytest.mark.parametrize(("more", "open_lots"), [(0, LOTS_MAX), (1, LOTS_MAX // 2)])
def test_what_an_order_traded_counts_when_it_is_replaced(new_core, more, open_lots):
    play = Play(new_core)
    steps = [
        *(PlayStep(0, Withdraw(1, 2, DEPOSITS[2], user), 1) for user in sorted({*USERS} - {1})),
        PlayStep(0, Deposit(1, 2, AMOUNT_MAX - DEPOSITS[2]), 1),
        PlayStep(0, Deposit(1, 1, LOTS_MAX, 2), 1),
        PlayStep(0, submit(Side.BUY, LOTS_MAX // 2), 1),
        PlayStep(1, submit(Side.SELL, LOTS_MAX // 4), 1),
        PlayStep(0, ReplaceOrder(1, 1, 0, quantity=LOTS_MAX + more), 1),
    ]
    for step in steps:
        play.execute([step])
    play.venue.check()
    (order,) = play.state.open
    assert order.cum == LOTS_MAX // 4
    assert order.quantity == open_lots


def submit(side, quantity):
    limit, gtc = OrderType.LIMIT, TimeInForce.GTC
    return SubmitOrder(1, 1, 0, side, limit, gtc, PRICE, quantity)
