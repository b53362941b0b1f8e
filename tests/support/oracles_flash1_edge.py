"""flash1's edge cases: its report stream line by line, and the best quotes after each message.

One case is written in words (5,000 makers in one sweep); it is spelled out here and held against
those words.
"""

from __future__ import annotations

from typing import Any, Final

from hpe.orderflow.files import Command, Op, ReportStream
from hpe.orderflow.wire import FlowTranslator
from hpe.protocol.enums import Side
from hpe.protocol.market_data import BookLevel
from hpe.protocol.orders import OrderResponse
from tests.support.core_driver import CoreFactory
from tests.support.oracles_market import SAME, SIDES, Case, CaseVerdict, OracleMarket, compared

SWEPT: Final = 5_000
SWEEP_IN_WORDS: Final = (
    "NEW(i,SELL,1,100) for i in 1..5000, then NEW(5001,BUY,5000,100,IOC)",
    "10001 reports: 5001 acks, 5000 trades makers 1..5000",
)
TRADER = "the only one"


def run(case: Case, new_core: CoreFactory) -> CaseVerdict:
    """Run a case and compare every report and every best quote."""
    if isinstance(case["in"], str):
        assert (case["in"], case["reports"]) == SWEEP_IN_WORDS
        case = _the_sweep(case["best_bid_ask_after_each"])
    market = OracleMarket(new_core)
    client = market.client(TRADER)
    translator = FlowTranslator(market.instrument)
    stream = ReportStream()
    reports: list[str] = []
    quotes: list[list[int | None]] = []
    for seq, message in enumerate(case["in"]):
        command = _command(seq, message)
        *before, response = client.send(translator.request(command, client.next_id()))
        assert isinstance(response, OrderResponse)
        reports += stream.add(command, translator.outcome(command, response, before))
        quotes.append([_best(side) for side in market.levels()])
    market.check()
    differences = compared(reports, case["reports"])
    differences += compared(quotes, case["best_bid_ask_after_each"])
    return CaseVerdict(SAME, differences)


def _the_sweep(quotes_at_the_end: list[Any]) -> Case:
    makers = range(1, SWEPT + 1)
    taker = SWEPT + 1
    rests = [["N", maker, "S", 1, 100, "GTC"] for maker in makers]
    acks = [f"0,{maker - 1},1,{maker},100,1" for maker in makers]
    trades = [f"1,{SWEPT},100,1,{maker},{taker}" for maker in makers]
    return {
        "in": [*rests, ["N", taker, "B", SWEPT, 100, "IOC"]],
        "reports": [*acks, f"0,{SWEPT},0,{taker},100,{SWEPT}", *trades],
        "best_bid_ask_after_each": [*(SWEPT * [[None, 100]]), *quotes_at_the_end],
    }


def _command(seq: int, message: list[Any]) -> Command:
    match message:
        case ["N", name, letter, quantity, price, "GTC" | "IOC" as tif]:
            op = Op.LIMIT if tif == "GTC" else Op.IMMEDIATE
            return Command(seq, op, name, SIDES[letter], quantity, price)
        case ["M", name, letter, quantity, price]:
            return Command(seq, Op.MODIFY, name, SIDES[letter], quantity, price)
        case ["C", name]:
            return Command(seq, Op.CANCEL, name, Side.BUY, 0, 0)
    raise ValueError(message)


def _best(levels: list[BookLevel]) -> int | None:
    return levels[0][0] if levels else None
