"""Random queries about the state of a reference core, with every field they have.

For the tests of the compiled core; pure but for the given random source, and only reads the core.
"""

from __future__ import annotations

from random import Random

from hpe.core.driver import ReferenceCore
from hpe.protocol.base import Request
from hpe.protocol.limits import DEPTH_MAX, HOUSE_USER, ID_MAX, INT_MAX, PAGE_MAX
from hpe.protocol.listings import GetInstrument, ListAssets, ListInstruments
from hpe.protocol.market_data import GetOrderbook
from hpe.protocol.money import GetBalance, ListBalances, ListHolds
from hpe.protocol.operations import GetConservation, GetStateHash
from hpe.protocol.orders import GetOrder, ListFills, ListOrders

OWNERS = (0, 0, 0, 1, 2, 3, 4, 7, 8, HOUSE_USER, INT_MAX - 1)


def query_of(random: Random, core: ReferenceCore) -> Request:
    """Make a query of any kind."""
    owner = random.choice(OWNERS)
    limit = random.choice((1, 1, 2, 3, 4, 8, PAGE_MAX))
    listed = random.choice((1, 2, 3, 4, random.randint(1, 12), ID_MAX))
    of_orders = random.choice((0, listed, listed))
    queries: tuple[Request, ...] = (
        GetOrderbook(1, listed, random.choice((1, 2, 5, DEPTH_MAX))),
        GetBalance(1, listed, owner),
        ListAssets(1, _after(random), limit),
        ListInstruments(1, _after(random), limit),
        GetOrder(1, _order_id(random, core), 0, owner),
        GetOrder(1, _order_id(random, core), 0, owner),
        GetOrder(1, 0, random.randint(0, 7), owner),
        GetOrder(1, _order_id(random, core), random.randint(0, 1), owner),
        ListOrders(1, of_orders, 0, limit, owner),
        ListOrders(1, of_orders, _order_id(random, core), limit, owner),
        ListFills(1, random.choice((0, 1, 2, _report(random, core), INT_MAX)), limit, owner),
        ListFills(1, _report(random, core), limit, owner),
        ListBalances(1, _after(random), limit, owner),
        ListHolds(1, random.choice((0, 1, 2, 3, 4, INT_MAX)), limit, owner),
        GetInstrument(1, listed),
        GetConservation(1, listed),
        GetStateHash(1),
    )
    return random.choice(queries)


def _after(random: Random) -> int:
    return random.choice((0, 0, 1, 2, 3, 6, ID_MAX))


def _order_id(random: Random, core: ReferenceCore) -> int:
    """Choose the id of an open order, of one that ended, of a recent or of a later one, or 0."""
    exchange = core.exchange
    users = [*exchange.orders.users.values()]
    opened = [*random.choice(users).by_id]
    ended = [order.order_id for order in exchange.orders.ended]
    recent = max(0, exchange.last_order_id - random.randint(-2, 12))
    return random.choice([recent, 0, INT_MAX, *random.choice((opened, ended))])


def _report(random: Random, core: ReferenceCore) -> int:
    """Choose the private sequence of a fill that is kept, or one near it."""
    users = [*core.exchange.orders.users.values()]
    kept = [report.private_sequence for user in users for report in user.fills.rows]
    return max(0, random.choice(kept) + random.choice((-1, 0, 0, 1))) if kept else 0
