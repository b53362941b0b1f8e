"""The kraken-style order book exercises: two traders, acknowledgements and top of book.

Two files of one form. In kraken_match crossing orders trade; in kraken_no_cross they are refused,
which is our post-only. The published outputs differ in one word: kraken_no_cross acknowledges a
cancel with A, kraken_match says C. A flush (F) takes all orders away and says nothing.
Half of the outputs of kraken_match were never published; those cases have a derived one.
"""

from __future__ import annotations

from typing import Any

from hpe.protocol.codes import RejectReason
from hpe.protocol.enums import OrderStatus, Side, TimeInForce
from hpe.protocol.market_data import BookLevel
from hpe.protocol.orders import MassCancel, MassCancelResponse
from tests.support.core_driver import CoreFactory
from tests.support.oracles_market import (
    DERIVED,
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

Line = list[Any]


def run(case: Case, new_core: CoreFactory) -> CaseVerdict:
    """Run a scenario and compare its output line by line."""
    exercise = _Exercise(new_core, refuses_crossing=case["crossing_orders"] == "rejected")
    symbols = {command[2] for command in case["in"] if command[0] == "N"}
    assert len(symbols) == 1, "a scenario is about one book"
    for command in case["in"]:
        exercise.execute(command)
    exercise.market.check()
    published = case["out"] is not None
    expected = case["out"] if published else case["out_derived"]
    return CaseVerdict(SAME if published else DERIVED, compared(exercise.output, expected))


class _Exercise:
    """One scenario as it goes; `output` is in the exercise's form."""

    def __init__(self, new_core: CoreFactory, *, refuses_crossing: bool) -> None:
        self.market = OracleMarket(new_core)
        self.output: list[Line] = []
        self._refuses_crossing = refuses_crossing
        self._top = self._top_of_book()

    def execute(self, command: Line) -> None:
        """Execute one line of the input."""
        match command:
            case ["N", user, _, price, quantity, letter, order]:
                self._new(Placed(user, order, SIDES[letter]), price, quantity)
            case ["C", user, order]:
                assert self.market.cancel(user, order)
                self.output.append(["A" if self._refuses_crossing else "C", user, order])
            case ["F"]:
                self._flush()
                return
            case _:
                raise ValueError(command)
        self._show_top()

    def _new(self, placed: Placed, price: int, quantity: int) -> None:
        tif = TimeInForce.GTC if price else TimeInForce.IOC
        response, trades = self.market.submit(
            placed, price, quantity, tif, post_only=self._refuses_crossing
        )
        if response.status == OrderStatus.REJECTED:
            assert response.reason == RejectReason.POST_ONLY_WOULD_CROSS
            self.output.append(["R", placed.trader, placed.name])
            return
        self.output.append(["A", placed.trader, placed.name])
        self.output += [_trade(trade) for trade in trades]

    def _flush(self) -> None:
        owner = self.market.owner
        *_, response = owner.send(
            MassCancel(owner.next_id(), instrument=self.market.instrument, all_users=True)
        )
        assert isinstance(response, MassCancelResponse)
        assert (response.reason, response.remaining) == (0, 0)
        assert self.market.levels() == ([], [])

    def _show_top(self) -> None:
        top = self._top_of_book()
        for side, best in top.items():
            if best != self._top[side]:
                self.output.append(["B", LETTERS[side], *best])
        self._top = top

    def _top_of_book(self) -> dict[Side, Line]:
        bids, asks = self.market.levels()
        return {Side.BUY: _best(bids), Side.SELL: _best(asks)}


def _best(levels: list[BookLevel]) -> Line:
    """Return price and quantity of the best level, in the exercise's form."""
    return list(levels[0][:2]) if levels else ["-", "-"]


def _trade(trade: OracleTrade) -> Line:
    buyer, seller = sorted((trade.taker, trade.maker), key=lambda placed: placed.side)
    return [
        "T", buyer.trader, buyer.name, seller.trader, seller.name, trade.price, trade.quantity
    ]  # fmt: skip
