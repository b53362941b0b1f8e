"""The kinds of orders: one table of what each of them needs and may do.

Part of the deterministic core. A kind is an order's type, whether its time in force lets it rest,
and whether it spends a budget; a combination that is not in the table is invalid. Everything that
depends on the kind of an order reads this table.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from hpe.protocol.enums import OrderType, Side, TimeInForce


class Reserve(enum.Enum):
    """What a buy of a kind reserves; a sell of any kind reserves its base."""

    BASE = enum.auto()
    """Nothing: there are only sells."""

    NOTIONAL = enum.auto()
    """The notional at the limit, and the worst fee."""

    COST = enum.auto()
    """The present cost, fee included."""

    BUDGET = enum.auto()
    """The budget: there are only buys, which have no quantity."""


class Kind(NamedTuple):
    """What orders of one kind need and may do.

    `waits`: it is a stop, which waits for its trigger. `needs_price`: it must have a limit; others
    must not. `may_rest`: what does not trade at once stays in the book. `in_call`: a call accepts
    it, unless it is post-only or has a minimum quantity. `quantity`, `price`, `trigger`: a
    replace may change this field; the trigger only while the stop waits and does not trail, the end
    of a gtd order wherever it may change the quantity.
    """

    waits: bool
    needs_price: bool
    may_rest: bool
    in_call: bool
    reserves: Reserve
    quantity: bool
    price: bool
    trigger: bool


RESTING: Final = (TimeInForce.GTC, TimeInForce.GTD)
"""Times in force with which the part that does not trade at once rests."""

_LIMIT: Final = OrderType.LIMIT
_MARKET: Final = OrderType.MARKET
_STOP: Final = OrderType.STOP
_STOP_LIMIT: Final = OrderType.STOP_LIMIT
_NOTIONAL: Final = Reserve.NOTIONAL
_COST: Final = Reserve.COST
_BUDGET: Final = Reserve.BUDGET
_BASE: Final = Reserve.BASE

# type, whether it rests, whether it has a budget:
#     waits  price  rest   call   reserves   | a replace changes quantity, price, trigger
KINDS: Final = {
    (_LIMIT, True, False): Kind(False, True, True, True, _NOTIONAL, True, True, False),
    (_LIMIT, False, False): Kind(False, True, False, False, _NOTIONAL, False, False, False),
    (_MARKET, False, False): Kind(False, False, False, False, _COST, False, False, False),
    (_MARKET, False, True): Kind(False, False, False, False, _BUDGET, False, False, False),
    (_STOP, True, False): Kind(True, False, False, True, _BASE, True, False, True),
    (_STOP, False, False): Kind(True, False, False, True, _BASE, True, False, True),
    (_STOP, True, True): Kind(True, False, False, True, _BUDGET, False, False, False),
    (_STOP, False, True): Kind(True, False, False, True, _BUDGET, False, False, False),
    (_STOP_LIMIT, True, False): Kind(True, True, True, True, _NOTIONAL, True, True, True),
    (_STOP_LIMIT, False, False): Kind(True, True, False, True, _NOTIONAL, True, True, True),
}

STOPS: Final = tuple(dict.fromkeys(key[0] for key, kind in KINDS.items() if kind.waits))
"""Types of orders that wait for a trigger."""

_BY_FIELDS: Final = {
    (order_type, time_in_force, has_budget): kind
    for (order_type, stays, has_budget), kind in KINDS.items()
    for time_in_force in TimeInForce
    if stays is (time_in_force in RESTING)
}
"""The same table by every time in force, for the look-up of most orders that trade."""


def kind_of(order_type: OrderType, time_in_force: TimeInForce, budget: int) -> Kind | None:
    """Return the kind of an order, None if its combination is invalid."""
    return _BY_FIELDS.get((order_type, time_in_force, budget > 0))


def is_for(kind: Kind, side: Side) -> bool:
    """True if there are orders of a kind on a side."""
    return kind.reserves is not (_BASE if side is Side.BUY else _BUDGET)
