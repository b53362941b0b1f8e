"""What a kind of order is: one table.

Part of the deterministic core. A kind is an order's type, whether its time in force lets it stay,
and whether it spends a budget; a combination that is not in the table is none. Everything that
asks what kinds of orders may do asks here.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from hpe.messages import OrderType, TimeInForce


class Reserve(enum.Enum):
    """What a buy of a kind reserves; a sell of any kind reserves its base."""

    BASE = enum.auto()
    """There are only sells."""

    NOTIONAL = enum.auto()
    """Its notional at the limit, and the worst fee."""

    COST = enum.auto()
    """What it costs now, fee included."""

    BUDGET = enum.auto()


class Kind(NamedTuple):
    """What orders of one kind need and may do.

    `needs_price`: it has a limit, all others have none. `may_rest`: what does not trade at once
    stays in the book. `in_call`: a call accepts it, if it is neither post-only nor has a minimum
    quantity. `quantity`, `price`, `trigger`: a replace may change that, the trigger while it waits
    and does not trail; the end of a gtd order it may change wherever it may change the quantity.
    """

    needs_price: bool
    may_rest: bool
    in_call: bool
    reserves: Reserve
    quantity: bool
    price: bool
    trigger: bool


RESTING: Final = (TimeInForce.GTC, TimeInForce.GTD)
"""Times in force with which what does not trade at once stays."""

_LIMIT: Final = OrderType.LIMIT
_MARKET: Final = OrderType.MARKET
_STOP: Final = OrderType.STOP
_STOP_LIMIT: Final = OrderType.STOP_LIMIT
_NOTIONAL: Final = Reserve.NOTIONAL
_COST: Final = Reserve.COST
_BUDGET: Final = Reserve.BUDGET
_BASE: Final = Reserve.BASE

# type, whether it stays, whether it has a budget:
#     price  rest   call   reserves   | a replace changes quantity, price, trigger
KINDS: Final = {
    (_LIMIT, True, False): Kind(True, True, True, _NOTIONAL, True, True, False),
    (_LIMIT, False, False): Kind(True, False, False, _NOTIONAL, False, False, False),
    (_MARKET, False, False): Kind(False, False, False, _COST, False, False, False),
    (_MARKET, False, True): Kind(False, False, False, _BUDGET, False, False, False),
    (_STOP, True, False): Kind(False, False, True, _BASE, True, False, True),
    (_STOP, False, False): Kind(False, False, True, _BASE, True, False, True),
    (_STOP, True, True): Kind(False, False, True, _BUDGET, False, False, False),
    (_STOP, False, True): Kind(False, False, True, _BUDGET, False, False, False),
    (_STOP_LIMIT, True, False): Kind(True, True, True, _NOTIONAL, True, True, True),
    (_STOP_LIMIT, False, False): Kind(True, False, True, _NOTIONAL, True, True, True),
}


def kind_of(order_type: OrderType, time_in_force: TimeInForce, budget: int) -> Kind | None:
    """Return the kind of an order, None if there is none like it."""
    return KINDS.get((order_type, time_in_force in RESTING, budget > 0))
