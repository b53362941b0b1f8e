"""`hpe replay` over TCP against the real service: recorded flow, and flow that must be refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from bench import mb
from hpe.cli import main, replay
from hpe.client.client import Client
from hpe.errors import RequestRefused
from hpe.orderflow.files import Command, Expected, Op, Outcome, RecordedLevel, ReportStream
from hpe.orderflow.judge import ExpectationJudge, Judge
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Side
from tests.support.naive_book import NaiveBook
from tests.support.service import ServiceProcess

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ServiceProcess(tmp_path_factory.mktemp("service")) as service:
        yield service.address


@pytest.mark.parametrize(
    "name",
    ["lobster_msft_1000rows", "lobster_goog", "sse_600519_to_1000", "flash1_normal_100k"],
    ids=str,
)
def test_recorded_flow_comes_out_exactly(
    name: str, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = DATA / f"{name}.cmd.csv.gz"
    if not flow.exists():
        pytest.skip("the recorded order flow (shared/data beside the project) is not here")
    assert main(["replay", str(flow), "--address", address]) == 0
    assert "all exact" in capsys.readouterr().out


# --- flow of our own: the recorded one may be absent ----------------------------------------------

FLOW = [
    Command(1, Op.LIMIT, 11, Side.SELL, 5, 101),
    Command(2, Op.LIMIT, 12, Side.SELL, 5, 101),
    Command(3, Op.REDUCE, 11, Side.SELL, 2, 101),
    Command(4, Op.POST_ONLY, 13, Side.BUY, 5, 101),
    Command(5, Op.IMMEDIATE, 14, Side.BUY, 4, 102),
    Command(6, Op.IMMEDIATE, 15, Side.BUY, 9, 102),
    Command(7, Op.LIMIT, 16, Side.BUY, 6, 100),
    Command(8, Op.CANCEL, 16, Side.BUY, 6, 100),
    Command(9, Op.CALL, 0, Side.BUY, 0, 0),
    Command(10, Op.LIMIT, 17, Side.BUY, 5, 103),
    Command(11, Op.LIMIT, 18, Side.SELL, 3, 100),
    Command(12, Op.LIMIT, 19, Side.SELL, 4, 102),
    Command(13, Op.UNCROSS, 0, Side.BUY, 0, 0),
    Command(14, Op.CONTINUOUS, 0, Side.BUY, 0, 0),
    Command(15, Op.IMMEDIATE, 20, Side.BUY, 3, 102),
]
LETTERS = {Op.LIMIT: "L", Op.IMMEDIATE: "I", Op.POST_ONLY: "M", Op.CANCEL: "C", Op.REDUCE: "X"}
PHASES = {Op.CALL: 1, Op.UNCROSS: 2, Op.CONTINUOUS: 3}


def command_line(command: Command) -> str:
    seq, op, order_id, side, quantity, price = command
    if op in PHASES:
        return f"{seq},0,P,0,-,0,{PHASES[op]}"
    return f"{seq},0,{LETTERS[op]},{order_id},{side.name[0]},{quantity},{price}"


def filled(outcome: Outcome) -> Counter[int]:
    """Add up what each order traded in an auction."""
    quantities = Counter[int]()
    for order_id, quantity, _ in outcome.fills:
        quantities[order_id] += quantity
    return quantities


def write_flow(folder: Path) -> tuple[Path, Path]:
    """Write FLOW and what the naive book makes of it; gives both files."""
    commands = ["seq,ts,op,order_id,side,qty,price"]
    expected = ["after_seq,kind,a,b,c"]
    book = NaiveBook()
    for command in FLOW:
        seq, op = command.seq, command.op
        commands.append(command_line(command))
        outcome = book.apply(command)
        if op is Op.UNCROSS:
            expected.append("{},U,{},{},".format(seq, *outcome.auction))
            expected += [f"{seq},F,{one},{size}," for one, size in filled(outcome).items()]
        else:
            expected += [f"{seq},T,{maker},{size},{at}" for maker, size, at in outcome.fills]
        if op is Op.IMMEDIATE and outcome.canceled:
            expected.append(f"{seq},K,{outcome.canceled},,")
        bids, asks = book.book()
        expected.append(f"{seq},Q,{best(bids)},{best(asks)},")
        expected.append(f"{seq},D,{levels(bids)},{levels(asks)},")
    files = folder / "own.cmd.csv", folder / "own.exp.csv"
    for file, lines in zip(files, (commands, expected), strict=True):
        file.write_text("\n".join(lines) + "\n")
    return files


def best(side: list[RecordedLevel]) -> str:
    return "{}x{}".format(*(side[0] if side else (0, 0)))


def levels(side: list[RecordedLevel]) -> str:
    return " ".join(f"{price}:{size}" for price, size in side)


def test_a_flow_that_comes_out_as_expected(
    tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flow, _ = write_flow(tmp_path)
    assert main(["replay", str(flow), "--address", address]) == 0
    assert (
        capsys.readouterr()
        .out.rstrip()
        .endswith(
            "checked 4 trades, 30 books, 4 canceled quantities, 1 auctions, "
            "3 orders filled in auctions: all exact"
        )
    )


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("5,T,11,3,101", "5,T,12,3,101", "trades"),
        ("6,K,5,,", "6,K,4,,", "canceled 5 of it, expected 4"),
        ("2,Q,0x0,101x10,", "2,Q,0x0,101x9,", "asks [(101, 10)], expected [(101, 9)]"),
        ("7,D,100:6,,", "7,D,100:6 99:1,,", "bids [(100, 6)], expected [(100, 6), (99, 1)]"),
        ("13,U,102,5,", "13,U,103,5,", "auction 5@102, expected 5@103"),
        ("13,F,18,3,", "13,F,18,2,", "order 18 traded 3 in the auction, expected 2"),
    ],
)
def test_a_difference_is_named(
    right: str,
    wrong: str,
    complaint: str,
    tmp_path: Path,
    address: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flow, expectations = write_flow(tmp_path)
    text = expectations.read_text()
    assert f"\n{right}\n" in text
    other = tmp_path / "other.exp.csv"
    other.write_text(text.replace(f"\n{right}\n", f"\n{wrong}\n"))
    assert main(["replay", str(flow), "--expect", str(other), "--address", address]) == 1
    out = capsys.readouterr().out
    assert complaint in out
    assert "1 DIFFERENCES" in out


def test_replay_starts_and_stops_a_service_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = list(mb.messages("normal", 300))
    stream, book = ReportStream(), NaiveBook()
    for message in messages:
        stream.add(message, book.apply(message))
    (tmp_path / "mb.cmd.csv").write_text("\n".join(map(mb.flow_line, messages)) + "\n")
    (tmp_path / "mb.sha256.csv").write_text(f"{len(messages)},0,{stream.hexdigest()}\n")
    assert main(["replay", str(tmp_path / "mb.cmd.csv")]) == 0
    assert "checked 1 report hashes" in capsys.readouterr().out
    (tmp_path / "mb.sha256.csv").write_text(f"{len(messages)},0,{'0' * 64}\n")
    assert main(["replay", str(tmp_path / "mb.cmd.csv")]) == 1


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("N,S,L,1,1,1\n", "no own.sha256.csv.gz beside"),
        ("", "contains no commands"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    lines: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = tmp_path / "own.cmd.csv"
    flow.write_text(lines)
    assert main(["replay", str(flow)]) == 2
    assert complaint in capsys.readouterr().err


def test_an_address_that_is_none_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow, _ = write_flow(tmp_path)
    assert main(["replay", str(flow), "--address", "nowhere:port"]) == 2
    assert "nowhere:port" in capsys.readouterr().err


def test_a_refusal_as_busy_starts_the_flow_again(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows: list[int] = []
    real = replay.replay

    async def busy_at_first(
        client: Client, commands: list[Command], judge: Judge
    ) -> replay.ReplayResult:
        windows.append(client.requests.window)
        result = await real(client, commands, judge)
        if client.requests.window > 4:
            raise RequestRefused(9, ErrorCode.BUSY, "busy", "waited too long", True)
        return result

    monkeypatch.setattr(replay, "replay", busy_at_first)
    recording = replay.Recording(FLOW[:2], lambda: ExpectationJudge({}))
    result = trio.run(replay.replay_at, address, recording, 64)
    assert windows == [64, 16, 4]
    assert result.differences == []


async def test_an_unexpected_trade_is_a_difference(address: str) -> None:
    crossing = [FLOW[0], Command(2, Op.LIMIT, 17, Side.BUY, 5, 101)]
    recording = replay.Recording(crossing, lambda: ExpectationJudge({}))
    result = await replay.replay_at(address, recording, 8)
    assert result.differences == ["command 2 (limit): trades 11:5@101, expected none"]


async def test_the_fills_of_large_auctions_are_read_page_by_page(address: str) -> None:
    sides = (Side.BUY, Side.SELL)
    flow: list[Command] = []
    for first_id in (0, 10_000):
        orders = [(Op.LIMIT, first_id + number, sides[number % 2], 1) for number in range(1, 1_401)]
        ops = [(Op.CALL, 0, Side.BUY, 0), *orders, (Op.UNCROSS, 0, Side.BUY, 0)]
        flow += [Command(len(flow) + seq, *op, 100) for seq, op in enumerate(ops, 1)]
    book = NaiveBook()
    outcomes = {command.seq: book.apply(command) for command in flow}
    expected = {
        seq: Expected(auction=outcome.auction, filled=filled(outcome))
        for seq, outcome in outcomes.items()
        if outcome.fills
    }
    assert [one.auction for one in expected.values()] == 2 * [(100, 700)]
    recording = replay.Recording(flow, lambda: ExpectationJudge(expected))
    assert (await replay.replay_at(address, recording, 256)).differences == []


def test_a_service_that_does_not_start_ends_the_replay_with_its_last_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, _ = write_flow(tmp_path)
    monkeypatch.setenv("HPE_COMPILED", "0")
    assert main(["replay", str(flow), "--core", "compiled"]) == 70
    error = capsys.readouterr().err
    assert "hpe serve ended with 78" in error
    assert "core: found 'compiled'" in error
