"""Order-flow files, what is judged by them, and their translation to the wire."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from hpe.errors import ProtocolError
from hpe.orderflow.files import (
    Book,
    Command,
    Expected,
    ExpectedBook,
    Op,
    OrderFlowError,
    Outcome,
    RecordedFill,
    ReportStream,
    parse_checkpoints,
    parse_commands,
    parse_expectations,
    read_lines,
)
from hpe.orderflow.judge import ExpectationJudge, HashJudge, book_differences, differences
from hpe.orderflow.wire import FlowTranslator
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import ExecType, InstrumentStatus, Liquidity, OrderStatus, Side, TimeInForce
from hpe.protocol.money import BalanceReply
from hpe.protocol.operations import SetStatus, SetStatusResponse, Uncross, UncrossResponse
from hpe.protocol.orders import CancelOrder, FillRow, OrderResponse, ReplaceOrder, SubmitOrder
from hpe.protocol.reports import ExecutionReport
from tests.support.naive_book import NaiveBook

HEADER = "seq,ts,op,order_id,side,qty,price"


def order(seq: int, op: Op, order_id: int, side: Side, quantity: int, price: int) -> Command:
    return Command(seq, op, order_id, side, quantity, price)


# --- files --------------------------------------------------------------------------------------


def test_every_op_of_the_cmd_form_is_read() -> None:
    lines = [
        HEADER,
        "1,9,S,11,B,500,100",
        "2,9,L,12,S,5,101",
        "3,9,I,13,B,6,102",
        "4,9,M,14,S,7,99",
        "5,9,H,0,-,0,0",
        "6,9,C,11,B,500,100",
        "7,9,Z,12,S,5,",
        "8,9,R,12,S,1,101",
        "9,9,z,12,S,1,101",
        "10,9,X,12,S,1,101",
        "11,9,P,0,-,0,1",
        "12,9,P,0,-,0,2",
        "13,9,P,0,-,0,3",
    ]
    ops = [(command.seq, command.op) for command in parse_commands(lines)]
    assert ops == [
        (1, Op.LIMIT), (2, Op.LIMIT), (3, Op.IMMEDIATE), (4, Op.POST_ONLY), (6, Op.CANCEL),
        (7, Op.CANCEL), (8, Op.REDUCE), (9, Op.REDUCE), (10, Op.REDUCE),
        (11, Op.CALL), (12, Op.UNCROSS), (13, Op.CONTINUOUS),
    ]  # fmt: skip
    first = next(parse_commands(lines))
    assert first == order(1, Op.LIMIT, 11, Side.BUY, 500, 100)


def test_every_message_of_the_flash1_form_is_read() -> None:
    lines = ["N,S,L,8,88,33721", "N,B,I,9,1,2", "M,S,8,89,33720", "C,8"]
    assert list(parse_commands(lines)) == [
        order(0, Op.LIMIT, 8, Side.SELL, 88, 33721),
        order(1, Op.IMMEDIATE, 9, Side.BUY, 1, 2),
        order(2, Op.MODIFY, 8, Side.SELL, 89, 33720),
        order(3, Op.CANCEL, 8, Side.BUY, 0, 0),
    ]


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        ([HEADER, "1,9,L,12,S,5,101", "2,9,Q,12,S,5,101"], 3),
        ([HEADER, "1,9,L,12,S,five,101"], 2),
        ([HEADER, "1,9,L,12,X,5,101"], 2),
        ([HEADER, "1,9,P,0,-,0,4"], 2),
        (["N,S,L,8,88,33721", "N,S,L,8,88"], 2),
        (["N,S,G,8,88,1"], 1),
    ],
)
def test_a_line_of_another_form_is_named(lines: list[str], number: int) -> None:
    with pytest.raises(OrderFlowError, match=f"line {number} "):
        list(parse_commands(lines))


def test_expectations_are_read() -> None:
    expected = parse_expectations(
        [
            "after_seq,kind,a,b,c",
            "3,T,11,5,100",
            "3,T,12,6,101",
            "3,K,7,,",
            "3,Q,99x10,0x0,",
            "4,D,99:10 98:1,105:3,",
            "5,U,100,30,",
            "5,F,11,30,",
            "5,F,12,20,",
        ]
    )
    assert expected == {
        3: Expected(
            [RecordedFill(11, 5, 100), RecordedFill(12, 6, 101)],
            7,
            [ExpectedBook([(99, 10)], [], at_least=1)],
        ),
        4: Expected(books=[ExpectedBook([(99, 10), (98, 1)], [(105, 3)], at_least=0)]),
        5: Expected(auction=(100, 30), filled={11: 30, 12: 20}),
    }
    assert expected[4].books[0].depth == 2


@pytest.mark.parametrize("line", ["x,T,1,1,1", "1,W,1,1,1", "1,T,1,1", "1,Q,9,8,"])
def test_an_expectation_of_another_form_is_named(line: str) -> None:
    with pytest.raises(OrderFlowError, match="line 2 "):
        parse_expectations(["1,K,5,,", line])


def test_files_are_read_compressed_and_plain(tmp_path) -> None:
    (tmp_path / "a.csv").write_bytes(b"one\ntwo\n")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    assert read_lines(tmp_path / "a.csv") == read_lines(tmp_path / "a.csv.gz") == ["one", "two"]


# --- judging ------------------------------------------------------------------------------------

LIMIT = order(5, Op.LIMIT, 1, Side.BUY, 10, 100)
IMMEDIATE = order(5, Op.IMMEDIATE, 1, Side.BUY, 10, 100)
CANCEL = order(5, Op.CANCEL, 1, Side.BUY, 10, 100)
POST_ONLY = order(5, Op.POST_ONLY, 1, Side.BUY, 10, 100)
CALL = order(5, Op.CALL, 0, Side.BUY, 0, 0)
UNCROSS = order(5, Op.UNCROSS, 0, Side.BUY, 0, 0)
FILLS = [RecordedFill(7, 1, 100), RecordedFill(8, 2, 100)]


@pytest.mark.parametrize(
    ("command", "outcome", "expected", "equal"),
    [
        (LIMIT, Outcome(True, FILLS, 0), Expected(FILLS), True),
        (LIMIT, Outcome(True, FILLS[::-1], 0), Expected(FILLS), False),
        (LIMIT, Outcome(True, FILLS, 0), Expected(), False),
        (LIMIT, Outcome(False, [], 0), Expected(), False),
        (IMMEDIATE, Outcome(True, [], 10), Expected(canceled=10), True),
        (IMMEDIATE, Outcome(True, [], 0), Expected(canceled=10), False),
        (IMMEDIATE, Outcome(True, [], 10), Expected(), False),
        (CANCEL, Outcome(True, [], 10), Expected(), True),
        (CANCEL, Outcome(True, [], 9), Expected(), False),
        (CANCEL, Outcome(False, [], 0), Expected(), False),
        (POST_ONLY, Outcome(False, [], 0), Expected(), True),
        (POST_ONLY, Outcome(True, [], 0), Expected(), False),
        (CALL, Outcome(True, [], 0), Expected(), True),
        (CALL, Outcome(False, [], 0), Expected(), False),
        (UNCROSS, Outcome(True, [], 0), Expected(), True),
        (UNCROSS, Outcome(False, [], 0), Expected(), False),
    ],
)
def test_outcomes_are_compared(
    command: Command, outcome: Outcome, expected: Expected, equal: bool
) -> None:
    assert (differences(command, outcome, expected) == []) is equal


AUCTION = Expected(auction=(100, 5), filled={7: 3, 8: 2, 9: 5})
AUCTION_FILLS = [
    RecordedFill(9, 3, 100),
    RecordedFill(7, 3, 100),
    RecordedFill(9, 2, 100),
    RecordedFill(8, 2, 100),
]


@pytest.mark.parametrize(
    ("fills", "auction", "complaints"),
    [
        (AUCTION_FILLS, (100, 5), []),
        (AUCTION_FILLS, (99, 5), ["auction 5@99, expected 5@100"] + 4 * ["traded at 100"]),
        (AUCTION_FILLS, (100, 6), ["auction 6@100, expected 5@100", "add up to 10"]),
        (AUCTION_FILLS[:3], (100, 5), ["order 8 traded 0 ", "add up to 8"]),
        (
            [*AUCTION_FILLS[:3], RecordedFill(6, 2, 100)],
            (100, 5),
            ["order 6 traded 2 in the auction, expected 0", "order 8 traded 0 "],
        ),
        ([*AUCTION_FILLS[:3], RecordedFill(8, 2, 101)], (100, 5), ["order 8 traded at 101"]),
    ],
)
def test_auctions_are_compared(
    fills: list[RecordedFill], auction: tuple[int, int], complaints: list[str]
) -> None:
    found = differences(UNCROSS, Outcome(True, fills, 0, auction), AUCTION)
    assert len(found) == len(complaints)
    for text, complaint in zip(found, complaints, strict=True):
        assert complaint in text


@pytest.mark.parametrize(
    ("expected", "equal"),
    [
        (ExpectedBook([(99, 1)], [(101, 2)], at_least=1), True),
        (ExpectedBook([(99, 1)], [], at_least=0), True),
        (ExpectedBook([(99, 1)], [], at_least=1), False),
        (ExpectedBook([(99, 2)], [(101, 2)], at_least=1), False),
        (ExpectedBook([(99, 1), (98, 4)], [(101, 2)], at_least=0), True),
        (ExpectedBook([(99, 1), (98, 4), (97, 1)], [(101, 2)], at_least=0), False),
    ],
)
def test_books_are_compared_to_the_expected_depth(expected: ExpectedBook, equal: bool) -> None:
    book = Book([(99, 1), (98, 4)], [(101, 2)])
    assert (book_differences(LIMIT, book, expected) == []) is equal


def test_expectations_without_a_command_are_differences() -> None:
    judge = ExpectationJudge({5: Expected(FILLS), 6: Expected()})
    assert judge.books_wanted(LIMIT) == []
    assert judge.judge(LIMIT, Outcome(True, FILLS, 0), []) == []
    assert judge.finish() == ["no command 6, but expectations of it"]
    assert "2 trades" in judge.summary()


def test_auctions_are_counted() -> None:
    judge = ExpectationJudge({5: AUCTION})
    assert judge.judge(UNCROSS, Outcome(True, AUCTION_FILLS, 0, (100, 5)), []) == []
    assert judge.finish() == []
    assert judge.summary().endswith("1 auctions, 3 orders filled in auctions")


FLOW = [
    order(0, Op.LIMIT, 1, Side.SELL, 5, 101),
    order(1, Op.LIMIT, 2, Side.SELL, 5, 101),
    order(2, Op.IMMEDIATE, 3, Side.BUY, 7, 102),
    order(3, Op.MODIFY, 2, Side.SELL, 9, 100),
    order(4, Op.IMMEDIATE, 4, Side.BUY, 10, 100),
    order(5, Op.CANCEL, 2, Side.SELL, 0, 0),
    order(6, Op.MODIFY, 2, Side.SELL, 1, 1),
    order(7, Op.LIMIT, 5, Side.BUY, 1, 90),
    order(8, Op.CANCEL, 5, Side.BUY, 0, 0),
]
REPORT = [
    "0,0,1,1,101,5",
    "0,1,1,2,101,5",
    "0,2,0,3,102,7",
    "1,2,101,5,1,3",
    "1,2,101,2,2,3",
    "3,3,1,2,100,9",
    "0,4,0,4,100,10",
    "1,4,100,9,2,4",
    "2,4,0,4,100",
    "4,5,2",
    "5,6,2",
    "0,7,0,5,90,1",
    "2,8,0,5,90",
]


def test_the_report_stream_has_every_line_in_order() -> None:
    stream, book = ReportStream(), NaiveBook()
    lines = [line for command in FLOW for line in stream.add(command, book.apply(command))]
    assert lines == REPORT
    assert stream.hexdigest() == hashlib.sha256("\n".join(REPORT).encode()).hexdigest()
    assert (stream.messages, stream.trades) == (9, 3)


def test_hashes_are_compared_at_every_checkpoint() -> None:
    digest = hashlib.sha256("\n".join(REPORT[:5]).encode()).hexdigest()
    checkpoints = parse_checkpoints(
        ["messages,reports,sha256_of_canonical_text", f"3,5,{digest}", "4,6,wrong", "99,1,never"]
    )
    judge, book = HashJudge(checkpoints), NaiveBook()
    found = [judge.judge(command, book.apply(command), []) for command in FLOW]
    assert [index for index, lines in enumerate(found) if lines] == [3]
    assert judge.finish() == ["no message 99, but a hash of it"]
    assert judge.summary() == "2 report hashes over 3 trades"


# --- the wire -----------------------------------------------------------------------------------


def response(
    order_id: int, *, status: OrderStatus, reason: int = 0, canceled: int = 0
) -> OrderResponse:
    return OrderResponse(1, 0, 1, reason, 1, status, order_id, 0, 0, canceled, 0, 0, 0, 0)


def report(contra: int, liquidity: Liquidity) -> ExecutionReport:
    return ExecutionReport(
        1, 0, 1, 1, 1, ExecType.TRADE, OrderStatus.FILLED, 1, 901, 2, Side.BUY, liquidity, 1,
        100, 5, 0, 5, contra, 0,
    )  # fmt: skip


def test_commands_become_requests() -> None:
    translate = FlowTranslator(3).request
    limit = translate(order(1, Op.LIMIT, 7, Side.SELL, 50, 100), 1)
    assert isinstance(limit, SubmitOrder)
    assert (limit.instrument, limit.client_order_id, limit.flags) == (3, 7, 0)
    assert (limit.side, limit.price, limit.quantity) == (Side.SELL, 100, 50)
    immediate = translate(order(2, Op.IMMEDIATE, 8, Side.BUY, 5, 100), 2)
    assert isinstance(immediate, SubmitOrder)
    assert immediate.time_in_force is TimeInForce.IOC
    post_only = translate(order(3, Op.POST_ONLY, 9, Side.BUY, 5, 100), 3)
    assert isinstance(post_only, SubmitOrder)
    assert post_only.flags == 1
    assert translate(order(4, Op.CANCEL, 7, Side.SELL, 50, 100), 4) == CancelOrder(4, 0, 7)
    modify = translate(order(5, Op.MODIFY, 8, Side.BUY, 6, 101), 5)
    assert modify == ReplaceOrder(5, 0, 8, leaves_quantity=6, price=101, requeue=True)
    assert translate(CALL, 6) == SetStatus(6, 3, InstrumentStatus.CALL_AUCTION)
    assert translate(UNCROSS, 7) == Uncross(7, 3, InstrumentStatus.TRADING)
    continuous = order(8, Op.CONTINUOUS, 0, Side.BUY, 0, 0)
    assert translate(continuous, 8) == SetStatus(8, 3, InstrumentStatus.TRADING)


def test_what_is_taken_off_lowers_the_total_each_time() -> None:
    translate = FlowTranslator(3).request
    translate(order(1, Op.LIMIT, 7, Side.SELL, 50, 100), 1)
    reduce = order(2, Op.REDUCE, 7, Side.SELL, 20, 100)
    totals = [translate(reduce, request_id) for request_id in (2, 3, 4)]
    assert [total.quantity for total in totals if isinstance(total, ReplaceOrder)] == [30, 10, 0]


def test_makers_get_their_names_back() -> None:
    translator = FlowTranslator(3)
    maker = order(1, Op.LIMIT, 7, Side.SELL, 5, 100)
    translator.outcome(maker, response(900, status=OrderStatus.NEW), [])
    taker = order(2, Op.LIMIT, 8, Side.BUY, 5, 100)
    reports = [report(900, Liquidity.TAKER), report(901, Liquidity.MAKER)]
    outcome = translator.outcome(taker, response(901, status=OrderStatus.FILLED), reports)
    assert outcome == Outcome(True, [RecordedFill(7, 5, 100)], 0)


def test_rejects_and_canceled_quantities_are_told_apart() -> None:
    translator = FlowTranslator(3)
    gone = response(0, status=OrderStatus.REJECTED, reason=RejectReason.UNKNOWN_ORDER)
    cancel = order(1, Op.CANCEL, 7, Side.SELL, 5, 100)
    refused = translator.outcome(cancel, gone, [])
    assert refused == Outcome(False, [], 0, reason=RejectReason.UNKNOWN_ORDER)
    assert differences(cancel, refused, Expected()) == [
        "command 1 (cancel): canceled 0 (refused: unknown_order (2)), expected 5"
    ]
    limit = order(2, Op.LIMIT, 8, Side.SELL, 5, 100)
    poor = response(0, status=OrderStatus.REJECTED, reason=RejectReason.INSUFFICIENT_FUNDS)
    assert differences(limit, translator.outcome(limit, poor, []), Expected()) == [
        "command 2 (limit): refused: insufficient_funds (16), expected accepted"
    ]
    canceled = response(900, status=OrderStatus.CANCELED, reason=CancelReason.REQUESTED, canceled=5)
    assert translator.outcome(cancel, canceled, []) == Outcome(True, [], 5)


def fill_row(order_id: int, side: Side, quantity: int) -> FillRow:
    return FillRow(1, 1, 1, 3, order_id, 0, side, Liquidity.AUCTION, 100, quantity, 0, 0)


def test_the_fills_of_an_auction_get_their_names_back() -> None:
    translator = FlowTranslator(3)
    for flow_id, order_id in ((7, 900), (8, 901)):
        limit = order(flow_id, Op.LIMIT, flow_id, Side.SELL, 5, 100)
        translator.outcome(limit, response(order_id, status=OrderStatus.NEW), [])
    called = translator.outcome(CALL, SetStatusResponse(1, 0, 1, 0, 4), [])
    assert called == Outcome(True, [], 0)
    rows = [fill_row(901, Side.BUY, 5), fill_row(900, Side.SELL, 5)]
    outcome = translator.outcome(UNCROSS, UncrossResponse(1, 0, 1, 0, 1, 100, 5), [], rows)
    assert outcome == Outcome(True, [RecordedFill(8, 5, 100), RecordedFill(7, 5, 100)], 0, (100, 5))


def test_refused_phases_are_told() -> None:
    translator = FlowTranslator(3)
    no_call = UncrossResponse(1, 0, 1, RejectReason.NO_CALL, 1, 0, 0)
    assert translator.outcome(UNCROSS, no_call, []) == Outcome(
        False, [], 0, reason=RejectReason.NO_CALL
    )
    open_call = SetStatusResponse(1, 0, 1, RejectReason.CALL_OPEN, 4)
    assert translator.outcome(CALL, open_call, []) == Outcome(
        False, [], 0, reason=RejectReason.CALL_OPEN
    )


def test_an_answer_of_another_kind_is_no_outcome() -> None:
    balance = BalanceReply(1, 0, 1, 0, 1, 0, 0, 0, 0)
    with pytest.raises(ProtocolError, match="command 5 was answered BalanceReply"):
        FlowTranslator(3).outcome(CALL, balance, [])
