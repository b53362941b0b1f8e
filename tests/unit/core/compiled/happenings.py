"""Random orders and events of the reference core, small numbers and extreme ones.

Plain functions of a random generator and what it drew before; relies on hpe.core alone.
"""

from __future__ import annotations

from random import Random
from typing import Final

from hpe.core.context.holders import NOBODY
from hpe.core.money.balances import Account
from hpe.core.money.fees import rates_of
from hpe.core.money.holds import HoldEvent
from hpe.core.trading.events import AuctionMatch, Delisted, Event, order_change
from hpe.core.trading.executor import AuctionFill
from hpe.core.trading.matcher import Fill, Match, Prevented
from hpe.core.trading.order_states import ENDED, WAITING, OrderState
from hpe.core.trading.orders import Order, Terms, Trail
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import ExecType, HoldChange, OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.limits import ID_MAX, INT_MAX

EDGES: Final = (
    0, 1, 31, 32, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1,
    2**32, INT_MAX - 1, INT_MAX,
)  # fmt: skip
"""Where the forms of integers end."""

USERS: Final = (1, 2, 3, 127, 128, 70_000, 2**40, INT_MAX - 1)
HAPPENED: Final = (ExecType.CANCELED, ExecType.REPLACED)
NOTED: Final = (*HAPPENED, ExecType.NEW, ExecType.EXPIRED, ExecType.TRIGGERED)


def any_int(random: Random, largest: int = INT_MAX) -> int:
    """Return a number from 0 on: an edge, or one of any length."""
    number = random.choice(EDGES) if random.random() < 0.5 else random.getrandbits(63)
    return min(number >> random.choice((0, 0, 7, 24, 40)), largest)


def any_fee(random: Random) -> int:
    """Return a fee or a rebate."""
    return random.choice((1, -1)) * any_int(random) - random.randint(0, 1)


def change(random: Random, order: Order) -> None:
    """Change what can change of an order: quantities, prices, why it ended."""
    order.quantity = any_int(random)
    order.leaves = random.choice((0, order.quantity, random.randint(0, order.quantity)))
    rest = order.quantity - order.leaves
    order.cum = random.choice((0, rest, random.randint(0, rest)))
    order.canceled = rest - order.cum
    order.reason = 0 if order.leaves else random.choice((0, *CancelReason))
    order.price, order.state = any_int(random), random.choice(list(OrderState))
    if order.leaves == 0 and order.state is not WAITING:
        order.state = ENDED
    terms = order.terms
    if terms is not None:
        terms.stop_price, terms.trail, terms.group = any_int(random), any_int(random, 9), None
        if random.random() < 0.5:
            terms.group = Trail(random.randint(-1_000, 1_000))


def any_order(random: Random, order_id: int, user: int) -> Order:
    """Return an order of a user."""
    order = Order(
        order_id, user, any_int(random), random.randint(1, ID_MAX), random.choice(list(Side)),
        random.choice(list(OrderType)), TimeInForce.GTC, 0, 0, 0, 0,
        random.choice(list(SelfTrade)), rates_of(0, 0), Account(user, 1), Account(user, 2), NOBODY,
        terms=random.choice((None, Terms())),
    )  # fmt: skip
    change(random, order)
    return order


def any_match(random: Random, orders: list[Order], largest: int = 4) -> Match:
    """Return a match of one order with others."""
    taker, count = random.choice(orders), random.randint(0, largest)
    fills = [
        Fill(random.choice(orders), *(any_int(random) for _ in range(6)), any_fee(random),
             any_fee(random))
        for _ in range(count)
    ]  # fmt: skip
    places = sorted(random.randint(0, count) for _ in range(random.choice((0, 0, 1, largest))))
    prevented = [
        Prevented(random.choice(orders), *(any_int(random) for _ in range(5)), place)
        for place in places
    ]
    request_id = random.choice((0, any_int(random)))
    return Match(taker, request_id, any_int(random, INT_MAX - largest), fills, prevented)


def any_auction(random: Random, orders: list[Order]) -> AuctionMatch:
    """Return trades of an uncross."""
    fills = [
        AuctionFill(
            random.choice(orders), random.choice(orders), *(any_int(random) for _ in range(6)),
            any_fee(random), any_fee(random),
        )
        for _ in range(random.randint(1, 4))
    ]  # fmt: skip
    return AuctionMatch(random.randint(1, ID_MAX), any_int(random, INT_MAX - 4), fills)


def any_event(random: Random, orders: list[Order]) -> Event:
    """Return an event, of one of these orders if it is about an order."""
    order, kind = random.choice(orders), random.randrange(10)
    if kind < 2:
        return order
    if kind < 4:
        return order, random.choice(HAPPENED)
    if kind < 6:
        request_id = random.choice((0, any_int(random)))
        return order_change(order, random.choice(NOTED), request_id)
    if kind < 8:
        return any_match(random, orders)
    if kind == 8:
        return any_auction(random, orders)
    if random.random() < 0.3:
        return Delisted(random.randint(1, ID_MAX))
    return HoldEvent(
        random.choice(USERS), any_int(random), random.randint(1, ID_MAX),
        random.choice(list(HoldChange)), any_int(random), any_int(random), any_int(random),
    )  # fmt: skip


def append(outputs, event):
    """Append an event of the reference to the compiled ones."""
    match event:
        case Order():
            outputs.add_accepted(event.order_id)
        case order, exec_type:
            outputs.add_answered(order.order_id, exec_type)
        case Match():
            fills, prevented = event.fills, event.prevented
            ids = event.taker.order_id, event.request_id, event.first_trade_id
            outputs.add_match(*ids, fills, prevented)
        case AuctionMatch():
            outputs.add_auction(event.instrument_id, event.first_trade_id, event.fills)
        case HoldEvent():
            outputs.add_hold(event)
        case Delisted():
            outputs.add_delisted(event.instrument)
        case _:
            outputs.order_change(event.order.order_id, event.exec_type, event.request_id)
