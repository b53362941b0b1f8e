"""Recorded order flow on the bare core and on the naive book, judged by the same expectations.

This proves of the core alone what `hpe replay` proves of the service. In addition, the private
stream reports the auction as list_fills does, and the log of the whole run replays to the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from hpe.orderflow.files import Book, Command, Op, parse_commands, parse_expectations, read_lines
from hpe.orderflow.judge import ExpectationJudge
from hpe.orderflow.wire import FlowTranslator
from hpe.protocol.base import Request
from hpe.protocol.enums import Liquidity
from hpe.protocol.limits import AMOUNT_MAX, PAGE_MAX
from hpe.protocol.market_data import GetOrderbook, OrderbookReply
from hpe.protocol.orders import FillRow, FillsReply, ListFills
from hpe.protocol.reports import ExecutionReport
from tests.support.core_driver import CoreFactory, Venue, VenueClient
from tests.support.faulty_cores import AuctionAt
from tests.support.naive_book import NaiveBook

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
RECORDINGS = ["lobster_msft_1000rows", "sse_600519_to_1000"]


def recording(name: str) -> tuple[list[Command], ExpectationJudge]:
    flow = DATA / f"{name}.cmd.csv.gz"
    if not flow.exists():
        pytest.skip("the recorded order flow (shared/data beside the project) is not here")
    expected = parse_expectations(read_lines(DATA / f"{name}.exp.csv.gz"))
    return list(parse_commands(read_lines(flow))), ExpectationJudge(expected)


class FlowClient:
    """One funded session on a new core that executes a flow command by command."""

    def __init__(self, core: CoreFactory) -> None:
        self.venue = Venue(core)
        self.client: VenueClient = self.venue.attach()
        self.instrument = self.client.list_pair()
        for asset in (1, 2):
            self.client.deposit(asset, AMOUNT_MAX)
        self.translator = FlowTranslator(self.instrument)
        self.auction_fills: list[FillRow] = []

    def judged(self, command: Command, judge: ExpectationJudge) -> list[str]:
        """Execute a command and return what differs."""
        requests: list[Request] = [self.translator.request(command, self.client.next_id())]
        for depth in judge.books_wanted(command):
            requests.append(GetOrderbook(self.client.next_query_id(), self.instrument, depth))
        replies = self.client.send(*requests)
        books = [book_of(reply) for reply in replies if isinstance(reply, OrderbookReply)]
        *reports, response = replies[: len(replies) - len(books)]
        auction_fills = self.fills_of_the_auction() if command.op is Op.UNCROSS else []
        self.auction_fills += auction_fills
        outcome = self.translator.outcome(command, response, reports, auction_fills)
        return judge.judge(command, outcome, books)

    def fills_of_the_auction(self) -> list[FillRow]:
        """Ask for all fills so far; those of the auction are among them."""
        rows: list[FillRow] = []
        page = None
        while page is None or len(page) == PAGE_MAX:
            after = rows[-1].private_sequence if rows else 0
            ask = ListFills(self.client.next_query_id(), after)
            page = self.client.get(FillsReply, ask).rows
            rows += page
        return [row for row in rows if row.liquidity == Liquidity.AUCTION]


def book_of(reply: OrderbookReply) -> Book:
    bids, asks = ([level[:2] for level in side] for side in (reply.bids, reply.asks))
    return Book(bids, asks)


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_core_gives_what_was_recorded(name: str, new_core: CoreFactory) -> None:
    commands, judge = recording(name)
    client = FlowClient(new_core)
    differences = [text for command in commands for text in client.judged(command, judge)]
    assert differences + judge.finish() == []
    assert private_auction_fills(client) == [ToldFill.of_row(row) for row in client.auction_fills]
    client.venue.check()


class ToldFill(NamedTuple):
    """What the private stream and list_fills both tell of one side of an auction's trade."""

    trade_id: int
    private_sequence: int
    order_id: int
    contra_order_id: int
    side: int
    price: int
    quantity: int

    @classmethod
    def of_row(cls, row: FillRow) -> ToldFill:
        return cls(
            row.trade_id, row.private_sequence, row.order_id, row.contra_order_id, row.side,
            row.price, row.quantity,
        )  # fmt: skip

    @classmethod
    def of_report(cls, report: ExecutionReport) -> ToldFill:
        return cls(
            report.trade_id, report.private_sequence, report.order_id, report.contra_order_id,
            report.side, report.last_price, report.last_quantity,
        )  # fmt: skip


def private_auction_fills(client: FlowClient) -> list[ToldFill]:
    reports = client.venue.private.get(client.client.user, [])
    return [
        ToldFill.of_report(report)
        for report in reports
        if isinstance(report, ExecutionReport) and report.liquidity == Liquidity.AUCTION
    ]


def lowest(prices: list[int]) -> int:
    return prices[0]


def middle(prices: list[int]) -> int:
    return (prices[0] + prices[-1]) // 2


@pytest.mark.parametrize("wrong", [lowest, middle])
def test_the_recording_catches_an_auction_without_market_pressure(
    new_core: CoreFactory, wrong: Callable[[list[int]], int]
) -> None:
    commands, judge = recording("sse_600519_to_1000")
    uncross = [command.op for command in commands].index(Op.UNCROSS)
    book = NaiveBook()
    for command in commands[:uncross]:
        book.apply(command)
    price = wrong([price for price, _ in book.best_prices()[0]])
    client = FlowClient(partial(AuctionAt, price, new_core=new_core))
    *before, at_the_end = [client.judged(command, judge) for command in commands[: uncross + 1]]
    assert not any(before)
    assert "expected 42718@1808080" in at_the_end[0]


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_naive_book_gives_what_was_recorded(name: str) -> None:
    commands, judge = recording(name)
    book = NaiveBook()
    differences: list[str] = []
    for command in commands:
        outcome = book.apply(command)
        books = [book.book() for _ in judge.books_wanted(command)]
        differences += judge.judge(command, outcome, books)
    assert differences + judge.finish() == []
