"""More stops fire at once than one command may: the rest fire in a command of their own."""

from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.limits import STOPS_PER_COMMAND_MAX
from hpe.protocol.money import Deposit
from hpe.protocol.orders import OrderTerms, SubmitOrder
from tests.model.play import Play
from tests.model.seats import PlayStep

STOPS = STOPS_PER_COMMAND_MAX + 3
BATCH = 300


def test_what_one_command_may_not_fire_fires_with_the_next_batch(new_core):
    play = Play(new_core, 0, 2 * STOPS, 2 * STOPS)
    send(play, 0, Deposit(1, 1, 2 * STOPS))
    send(play, 0, *(stop_at(2 + number % 3) for number in range(STOPS)))
    send(play, 1, limit(Side.BUY, 4, 1), limit(Side.BUY, 1, STOPS - 10))
    before = play.state.sequence
    send(play, 2, limit(Side.SELL, 4, 1))
    assert play.state.sequence == before + 1
    assert play.state.unfinished() == [1]
    send(play, 1, Deposit(1, 1, 1))
    fired = [order for order in play.state.open if not order.waiting]
    print(f"{play.state.trades} trades, {len(fired)} orders rest")
    assert play.state.sequence == before + 3
    assert play.state.trades == 1 + STOPS - 10
    play.venue.check()


def send(play, place, *commands):
    for start in range(0, len(commands), BATCH):
        play.execute([PlayStep(place, command, 1) for command in commands[start : start + BATCH]])


def limit(side, price, quantity):
    return SubmitOrder(1, 1, 0, side, OrderType.LIMIT, TimeInForce.GTC, price, quantity)


def stop_at(stop_price):
    terms, kind = OrderTerms(stop_price=stop_price), OrderType.STOP_LIMIT
    return SubmitOrder(1, 1, 0, Side.SELL, kind, TimeInForce.GTC, 1, 1, 0, 0, terms)
