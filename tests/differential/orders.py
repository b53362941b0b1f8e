"""Requests about orders: new ones of every kind, and changes of those that are there.

Each maker takes where to aim and the user of the session, and returns a request under id 1. Owned
by one stream; one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from hpe.core.trading.orders import Order
from hpe.protocol.base import Request
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.flags import ORDER_CANCEL_ON_DISCONNECT, ORDER_POST_ONLY
from hpe.protocol.limits import INT_MAX
from hpe.protocol.orders import (
    CancelOrder,
    MassCancel,
    OrderTerms,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from tests.differential.aim import SIDES, Aim

Maker = Callable[[Aim, int], Request]
_GTC, _GTD, _IOC, _FOK = TimeInForce.GTC, TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK
_TIFS: Final = tuple(TimeInForce)
_LIMIT, _MARKET = OrderType.LIMIT, OrderType.MARKET


def new_order(
    aim: Aim,
    instrument: int,
    side: Side,
    kind: OrderType,
    tif: TimeInForce,
    price: int,
    quantity: int,
    flags: int = 0,
    terms: OrderTerms | None = None,
) -> SubmitOrder:
    """Make an order with what a stream draws for every order."""
    if aim.chance("disconnect"):
        flags |= ORDER_CANCEL_ON_DISCONNECT
    if tif is _GTD:
        terms = replace(terms or OrderTerms(), expires_ns=aim.expiry())
    return SubmitOrder(
        1, instrument, aim.client_id(), side, kind, tif, price, quantity, flags, aim.policy(),
        terms, aim.other_user(),
    )  # fmt: skip


def limit(aim: Aim, user: int) -> SubmitOrder:
    """Make a limit order that may rest."""
    instrument, middle, spread = aim.market()
    side = aim.random.choice(SIDES)
    return new_order(
        aim, instrument, side, _LIMIT, _GTC, aim.price(middle, spread), aim.quantity()
    )  # fmt: skip


def cross(aim: Aim, user: int) -> SubmitOrder:
    """Make a limit order at the other side's best price."""
    instrument, middle, spread = aim.market()
    side = aim.random.choice(SIDES)
    price = aim.near_best(instrument, side, middle, spread)
    return new_order(aim, instrument, side, _LIMIT, _GTC, price, aim.quantity())


def ioc(aim: Aim, user: int) -> SubmitOrder:
    """Make a limit order that does not rest."""
    order = cross(aim, user)
    return replace(order, time_in_force=aim.random.choice((_IOC, _FOK)))


def market(aim: Aim, user: int) -> SubmitOrder:
    """Make a market order by quantity."""
    instrument, _, _ = aim.market()
    tif = aim.random.choice((_IOC, _IOC, _FOK, _GTC, _GTD) if aim.chance("bound") else (_IOC, _FOK))
    return new_order(aim, instrument, aim.random.choice(SIDES), _MARKET, tif, 0, aim.quantity())


def budget(aim: Aim, user: int) -> SubmitOrder:
    """Make a market order by budget."""
    instrument, middle, _ = aim.market()
    tif = aim.random.choice((_IOC, _IOC, _FOK))
    terms = OrderTerms(budget=aim.budget(instrument, middle))
    return new_order(aim, instrument, Side.BUY, _MARKET, tif, 0, 0, 0, terms)


def stop(aim: Aim, user: int) -> SubmitOrder:
    """Make a stop that becomes a market order."""
    instrument, middle, spread = aim.market()
    side, tif = aim.random.choice(SIDES), aim.random.choice(_TIFS)
    quantity, money = aim.quantity(), 0
    if side is Side.BUY:
        quantity, money = 0, aim.budget(instrument, middle)
    terms = OrderTerms(aim.price(middle, spread), budget=money)
    return new_order(aim, instrument, side, OrderType.STOP, tif, 0, quantity, 0, terms)


def trailing(aim: Aim, user: int) -> SubmitOrder:
    """Make a trailing stop, of few different distances."""
    order = stop(aim, user)
    assert order.terms is not None
    trail = aim.random.choice((1, 1, 2, 3, 5)) if aim.random.random() < 0.97 else INT_MAX
    return replace(order, terms=replace(order.terms, stop_price=0, trail=trail))


def stop_limit(aim: Aim, user: int) -> SubmitOrder:
    """Make a stop that becomes a limit order."""
    instrument, middle, spread = aim.market()
    terms = OrderTerms(aim.price(middle, spread))
    if aim.random.random() < 0.15:
        terms = replace(terms, display_quantity=aim.random.randint(1, 4))
    side, tif = aim.random.choice(SIDES), aim.random.choice((*_TIFS, _GTC, _GTC))
    price = aim.price(middle, spread)
    return new_order(
        aim, instrument, side, OrderType.STOP_LIMIT, tif, price, aim.quantity(), 0, terms
    )  # fmt: skip


def iceberg(aim: Aim, user: int) -> SubmitOrder:
    """Make an iceberg."""
    order = aim.random.choice((limit, cross, gtd))(aim, user)
    display = aim.random.randint(1, max(1, aim.tuning.lots // 2))
    if order.quantity > 200 * display:
        display = max(1, order.quantity // 50)  # else there would be no end of fills
    return replace(order, terms=replace(order.terms or OrderTerms(), display_quantity=display))


def post_only(aim: Aim, user: int) -> SubmitOrder:
    """Make an order that must not trade on arrival."""
    order = aim.random.choice((limit, limit, gtd, iceberg, cross))(aim, user)
    return replace(order, flags=order.flags | ORDER_POST_ONLY)


def minimum(aim: Aim, user: int) -> SubmitOrder:
    """Make an order of which some must trade at once."""
    order = aim.random.choice((cross, cross, iceberg, market, ioc))(aim, user)
    least = aim.random.randint(1, max(1, aim.tuning.lots))
    return replace(order, terms=replace(order.terms or OrderTerms(), minimum_quantity=least))


def gtd(aim: Aim, user: int) -> SubmitOrder:
    """Make an order that ends at a time."""
    order = aim.random.choice((limit, limit, cross))(aim, user)
    terms = replace(order.terms or OrderTerms(), expires_ns=aim.expiry())
    return replace(order, time_in_force=_GTD, terms=terms)


def wrong_order(aim: Aim, user: int) -> SubmitOrder:
    """Make an order with a field or two that another kind of order would have."""
    random = aim.random
    makers = (limit, cross, market, budget, stop, trailing, stop_limit, iceberg, post_only, minimum)
    order = random.choice(makers)(aim, user)
    for _ in range(random.choice((1, 1, 2))):
        name = random.choice(
            (*OrderTerms.__struct_fields__, "price", "quantity", "flags", "time_in_force", "type")
        )
        if name == "time_in_force":
            order = replace(order, time_in_force=random.choice(_TIFS))
        elif name == "type":
            order = replace(order, order_type=random.choice(tuple(OrderType)))
        elif name == "flags":
            order = replace(order, flags=order.flags ^ ORDER_POST_ONLY)
        elif name in ("price", "quantity"):
            order = replace(order, **{name: 0 if getattr(order, name) else 6})
        else:
            terms = order.terms or OrderTerms()
            value = 0 if getattr(terms, name) else random.choice((1, random.randint(1, 60)))
            order = replace(order, terms=replace(terms, **{name: value}))
    return order


def pair(aim: Aim, user: int) -> SubmitOco:
    """Make an order of which one leg cancels the other; mostly one that can be taken."""
    random = aim.random
    instrument, middle, spread = aim.market()
    side, book = random.choice(SIDES), aim.book(instrument)
    last = book.last_price if book is not None and book.last_price else middle
    sign = -1 if side is Side.BUY else 1
    price = max(1, last + sign * random.randint(0, spread + 1))
    stop_price = max(1, last - sign * random.randint(0, spread + 1))
    stop_limit_price = aim.price(middle, spread) if random.random() < 0.5 else 0
    money = aim.budget(instrument, middle) if side is Side.BUY and not stop_limit_price else 0
    if random.random() < 0.04:
        money = random.choice((0, 50))
    ids = aim.client_id(), aim.client_id()
    flags = ORDER_CANCEL_ON_DISCONNECT if aim.chance("disconnect") else 0
    return SubmitOco(
        1, instrument, side, max(1, aim.quantity()), price, stop_price, stop_limit_price, money,
        *ids, aim.expiry() if random.random() < 0.3 else 0, aim.policy(), aim.other_user(), flags,
    )  # fmt: skip


# --- orders that are there -----------------------------------------------------------------------


def _target(aim: Aim, user: int) -> tuple[Order | None, int]:
    """Return an order to name, mostly an open one of the user, and whom the request names."""
    random, world = aim.random, aim.world
    if not aim.chance("aimed"):
        return None, aim.other_user()
    chance = random.random()
    if chance < 0.6:
        return world.order(user), 0
    order = world.busy_order() if chance < 0.8 else None
    if order is None:
        order = world.any_order(_TESTS[random.randrange(len(_TESTS))])
    if order is None:
        return None, 0
    return order, 0 if order.user == user and random.random() < 0.7 else order.user


_TESTS: Final[tuple[Callable[[Order], object] | None, ...]] = (
    None,
    lambda order: order.partner is not None,
    lambda order: order.waiting,
    lambda order: order.hidden,
    lambda order: order.cum,
    lambda order: order.time_in_force is _GTD,
    lambda order: order.terms is not None and order.terms.trail,
    lambda order: order.flags & ORDER_POST_ONLY,
    lambda order: order.state.name == "QUEUED",
)


def _named(aim: Aim, order: Order | None) -> tuple[int, int]:
    """Return the two ids by which a request names an order, mostly one of them 0."""
    random = aim.random
    if order is None:
        last = aim.world.exchange.last_order_id
        if random.random() < 0.3:
            return 0, random.randint(1, 9)
        return max(0, last - random.randint(0, 12)), 0
    if random.random() < 0.01:
        return order.order_id, order.client_order_id
    if order.client_order_id and random.random() < 0.4:
        return 0, order.client_order_id
    return order.order_id, 0


def cancel(aim: Aim, user: int) -> CancelOrder:
    """Make a cancel."""
    order, owner = _target(aim, user)
    return CancelOrder(1, *_named(aim, order), owner)


def replacement(aim: Aim, user: int) -> ReplaceOrder:
    """Make a replace."""
    order, owner = _target(aim, user)
    return _change(aim, order, owner)


def replacement_busy(aim: Aim, user: int) -> ReplaceOrder:
    """Make a replace of an order whose instrument has unfinished work, if there is one."""
    order = aim.world.busy_order()
    if order is None:
        return replacement(aim, user)
    return _change(aim, order, order.user)


def _change(aim: Aim, order: Order | None, owner: int) -> ReplaceOrder:
    """Change an order in one of the ways in which orders can be changed, or cannot."""
    random = aim.random
    instrument = order.instrument_id if order is not None else 1
    _, middle, spread = aim.market_of(instrument)
    leaves = order.leaves if order is not None else 5
    done = order.cum + order.canceled if order is not None else 0
    new = max(0, leaves + random.choice((-leaves, -2, -1, -1, 0, 0, 1, 3)))
    if aim.chance("bound"):
        new = random.choice((0, 2**55, INT_MAX))
    total, open_lots = random.choice(((new + done, None), (None, new), (None, new)))
    if total is not None and total > INT_MAX:
        total = INT_MAX
    if random.random() < 0.02:
        total, open_lots = random.choice(((None, None), (new, new)))
    price = stop_price = None
    chance = random.random()
    if chance < 0.25:
        price = aim.price(middle, spread)
    elif chance < 0.4 and order is not None:
        price = aim.near_best(instrument, order.side, middle, spread)
    elif chance < 0.5 and order is not None:
        price = order.price or None
    if order is not None and order.waiting and random.random() < 0.4:
        stop_price = aim.price(middle, spread) if random.random() < 0.7 else order.trigger() or None
    elif random.random() < 0.02:
        stop_price = aim.price(middle, spread)
    gtd_order = order is not None and order.time_in_force is _GTD
    expires = aim.expiry() if random.random() < (0.5 if gtd_order else 0.02) else 0
    if expires and random.random() < 0.5:
        total = open_lots = None
    if total is None and open_lots is None and order is None:
        open_lots = new
    return ReplaceOrder(
        1, *_named(aim, order), total, open_lots, price, random.random() < 0.12, stop_price, owner,
        expires,
    )  # fmt: skip


def mass_cancel(aim: Aim, user: int) -> MassCancel:
    """Cancel many orders."""
    random = aim.random
    instrument = random.choice((0, aim.market()[0]))
    owner = aim.user() if random.random() < 0.3 else 0
    return MassCancel(1, instrument, random.choice((0, 1, 2)), owner, random.random() < 0.25)


MAKERS: Final[dict[str, Maker]] = {
    "limit": limit, "cross": cross, "ioc": ioc, "market": market, "budget": budget, "stop": stop,
    "stop_limit": stop_limit, "trailing": trailing, "pair": pair, "iceberg": iceberg,
    "post_only": post_only, "minimum": minimum, "gtd": gtd, "wrong_order": wrong_order,
    "cancel": cancel, "replace": replacement, "replace_busy": replacement_busy,
    "mass_cancel": mass_cancel,
}  # fmt: skip
