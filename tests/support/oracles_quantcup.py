"""The tests of the QuantCup matching challenge: limit orders, cancels, executions.

An execution is reported to both traders, the pair in either order. A cancel names an order by its
number in the input.
"""

from __future__ import annotations

from typing import Any

from tests.support.core_driver import CoreFactory
from tests.support.oracles_market import (
    LETTERS,
    SAME,
    SIDES,
    Case,
    CaseVerdict,
    OracleMarket,
    OracleTrade,
    Placed,
    compared,
)

Execution = dict[str, Any]


def run(case: Case, new_core: CoreFactory) -> CaseVerdict:
    """Run a test and compare its executions, pair by pair."""
    market = OracleMarket(new_core)
    orders: list[Placed] = []
    pairs: list[list[Execution]] = []
    for command in case["in"]:
        match command:
            case ["L", {"side": letter, "price": price, "qty": quantity, "trader": trader}]:
                orders.append(Placed(trader, len(orders) + 1, SIDES[letter]))
                _, trades = market.submit(orders[-1], price, quantity)
                pairs += [_pair(trade) for trade in trades]
            case ["C", number]:
                assert market.cancel(orders[number - 1].trader, number)
            case _:
                raise ValueError(command)
    market.check()
    expected = [_by_side(pair) for pair in case["executions_in_pairs"]]
    return CaseVerdict(SAME, compared(pairs, expected))


def _pair(trade: OracleTrade) -> list[Execution]:
    return _by_side(
        [
            {
                "side": LETTERS[placed.side],
                "price": trade.price,
                "qty": trade.quantity,
                "trader": placed.trader,
            }
            for placed in (trade.maker, trade.taker)
        ]
    )


def _by_side(pair: list[Execution]) -> list[Execution]:
    return sorted(pair, key=lambda execution: str(execution["side"]))
