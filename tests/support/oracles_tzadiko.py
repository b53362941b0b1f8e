"""The tests of Tzadiko's order book: orders of four types, and how many are left at the end.

Its market order is defined as a good-till-cancel limit order at the worst price of the other
side, so that is what is submitted here (our own market order would never rest). Its modify is a
cancel and a new order of the same id and type, on a side of its own.
"""

from __future__ import annotations

from hpe.protocol.enums import Side, TimeInForce
from tests.support.core_driver import CoreFactory
from tests.support.oracles_market import SAME, SIDES, Case, CaseVerdict, OracleMarket, Placed

TYPES = {
    "GoodTillCancel": TimeInForce.GTC,
    "FillAndKill": TimeInForce.IOC,
    "FillOrKill": TimeInForce.FOK,
    "Market": TimeInForce.GTC,
}
TRADER = "the only one"


def run(case: Case, new_core: CoreFactory) -> CaseVerdict:
    """Run a test and compare the orders that are left."""
    market = OracleMarket(new_core)
    types: dict[int, TimeInForce] = {}
    for command in case["in"]:
        match command:
            case ["A", letter, kind, price, quantity, name]:
                types[name] = TYPES[kind]
                placed = Placed(TRADER, name, SIDES[letter])
                limit = _worst_price(market, placed.side) if kind == "Market" else price
                market.submit(placed, limit, quantity, types[name])
            case ["C", name]:
                assert market.cancel(TRADER, name)
            case ["M", name, letter, price, quantity]:
                assert market.cancel(TRADER, name)
                placed = Placed(TRADER, name, SIDES[letter])
                market.submit(placed, price, quantity, types[name])
            case _:
                raise ValueError(command)
    market.check()
    sides = [placed.side for placed, _ in market.open_orders()]
    left = {
        "all": len(sides),
        "bids": sides.count(Side.BUY),
        "asks": sides.count(Side.SELL),
    }
    expected = case["orders_left"]
    return CaseVerdict(SAME, [] if left == expected else [f"{left} left, expected {expected}"])


def _worst_price(market: OracleMarket, side: Side) -> int:
    bids, asks = market.levels()
    return (asks if side is Side.BUY else bids)[-1][0]
