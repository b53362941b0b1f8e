"""Crowds of requests that belong together: what is left unfinished of them goes on in parts.

Owned by one stream; one thread.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from hpe.protocol.base import Request
from hpe.protocol.enums import InstrumentStatus, OrderType, Side, TimeInForce
from hpe.protocol.operations import SetStatus, Uncross
from hpe.protocol.orders import OrderTerms, SubmitOrder
from tests.differential import orders
from tests.differential.aim import SIDES, Aim
from tests.differential.orders import new_order

_GTC, _GTD, _IOC, _LIMIT = TimeInForce.GTC, TimeInForce.GTD, TimeInForce.IOC, OrderType.LIMIT
_TIFS: Final = tuple(TimeInForce)


def crowd(aim: Aim, user: int) -> list[Request]:
    """Make requests that belong together."""
    makers = (_stops, _trails, _call, _call, _sweep, _jump, _dying, _icebergs, _own_orders)
    return aim.random.choice(makers)(aim)


def _many(aim: Aim) -> int:
    return aim.random.choice((3, 5, 9, 20))


def _limits(aim: Aim, instrument: int, count: int, **given: int) -> list[Request]:
    """Make limits of several users around the middle of one instrument."""
    _, middle, spread = aim.market_of(instrument)
    return [
        replace(
            new_order(
                aim, instrument, aim.random.choice(SIDES), _LIMIT, _GTC,
                aim.price(middle, spread), aim.random.randint(1, 6),
            ),
            user=aim.user(), **given,
        )
        for _ in range(count)
    ]  # fmt: skip


def _trade(aim: Aim, instrument: int, price: int, quantity: int, maker: Side) -> list[Request]:
    """Make two limits that trade with each other, if nothing better is there."""
    taker = Side.SELL if maker is Side.BUY else Side.BUY
    return [
        SubmitOrder(1, instrument, 0, side, _LIMIT, _GTC, price, quantity, user=aim.user())
        for side in (maker, taker)
    ]


def _stops(aim: Aim) -> list[Request]:
    """Make stops of one or two triggers, and a trade there."""
    random = aim.random
    instrument, middle, spread = aim.market()
    price = aim.price(middle, spread)
    made: list[Request] = []
    for _ in range(_many(aim)):
        order = random.choice((orders.stop, orders.stop_limit, orders.stop_limit))(aim, 0)
        terms = replace(order.terms or OrderTerms(), stop_price=price + random.choice((0, 0, 1)))
        made.append(replace(order, instrument=instrument, terms=terms, user=aim.user()))
    return made + _trade(aim, instrument, price, 3, random.choice(SIDES))


def _trails(aim: Aim) -> list[Request]:
    """Make trailing stops, and trades that move the price away and back."""
    random = aim.random
    instrument, middle, spread = aim.market()
    made = _trade(aim, instrument, middle, 1, Side.BUY)
    made += [
        replace(orders.trailing(aim, 0), instrument=instrument, user=aim.user())
        for _ in range(_many(aim))
    ]  # fmt: skip
    for _ in range(random.randint(1, 4)):
        made += _trade(aim, instrument, aim.price(middle, spread), 1, random.choice(SIDES))
    return made


def _call(aim: Aim) -> list[Request]:
    """Hold a call in which much crosses; often it ends at once."""
    random = aim.random
    instrument = aim.market()[0]
    made: list[Request] = [SetStatus(1, instrument, InstrumentStatus.CALL_AUCTION)]
    made += _limits(aim, instrument, _many(aim) + 4)
    if random.random() < 0.3:
        made += [replace(orders.stop(aim, 0), instrument=instrument) for _ in range(3)]
    if random.random() < 0.7:
        made.append(Uncross(1, instrument, random.choice(tuple(InstrumentStatus)[:3])))
    return made


def _sweep(aim: Aim) -> list[Request]:
    """Make small makers, and one taker for all of them."""
    instrument, middle, _ = aim.market()
    side = aim.random.choice(SIDES)
    sign = -1 if side is Side.BUY else 1
    made: list[Request] = [
        SubmitOrder(
            1, instrument, 0, side, _LIMIT, _GTC, max(1, middle + sign * aim.random.randint(0, 2)),
            aim.random.randint(1, 3), user=aim.user(),
        )
        for _ in range(_many(aim))
    ]  # fmt: skip
    taker = Side.SELL if side is Side.BUY else Side.BUY
    price = max(1, middle + sign * aim.random.randint(0, 3))
    made.append(new_order(aim, instrument, taker, _LIMIT, aim.random.choice(_TIFS), price, 60))
    return made


def _jump(aim: Aim) -> list[Request]:
    """Trade far from the middle, where bands end, and go on with what comes then."""
    instrument, middle, spread = aim.market()
    price = max(1, middle + aim.random.choice((-1, 1)) * max(spread * 3, middle // 5))
    return _trade(aim, instrument, price, 9, aim.random.choice(SIDES)) + _limits(
        aim, instrument, 4
    )  # fmt: skip


def _dying(aim: Aim) -> list[Request]:
    """Make orders that all end at the same time, which may meet others before they are ended."""
    when = aim.expiry()
    made = _limits(aim, aim.market()[0], _many(aim))
    return [
        replace(each, time_in_force=_GTD, terms=OrderTerms(expires_ns=when))
        for each in made if isinstance(each, SubmitOrder)
    ]  # fmt: skip


def _icebergs(aim: Aim) -> list[Request]:
    """Make icebergs at one price, and a taker that goes around them more than once."""
    instrument, middle, _ = aim.market()
    side = aim.random.choice(SIDES)
    made: list[Request] = [
        SubmitOrder(
            1, instrument, 0, side, _LIMIT, _GTC, middle, aim.random.randint(4, 12),
            terms=OrderTerms(display_quantity=aim.random.randint(1, 3)), user=aim.user(),
        )
        for _ in range(aim.random.randint(2, 4))
    ]  # fmt: skip
    taker = Side.SELL if side is Side.BUY else Side.BUY
    made.append(new_order(aim, instrument, taker, _LIMIT, _IOC, middle, aim.random.randint(5, 30)))
    return made


def _own_orders(aim: Aim) -> list[Request]:
    """Let one user's orders meet under every policy."""
    random = aim.random
    instrument, middle, spread = aim.market()
    owner, made = aim.user(), []
    for policy in random.sample(range(1, 6), 4):
        for side in random.sample(SIDES, 2):
            order = new_order(
                aim, instrument, side, _LIMIT, random.choice((_GTC, _GTC, _IOC)),
                aim.price(middle, min(spread, 2)), random.randint(1, 9),
            )  # fmt: skip
            made.append(replace(order, self_trade=policy, user=owner))
    return [*made]
