"""`hpe replay`: feed recorded order flow to a service over TCP and check every answer.

Owns the command's arguments, files, wording and exit codes (0 all as recorded, 1 something
differed, 2 wrong usage or a flow that cannot be replayed); hpe/orderflow/judge.py judges what is
right. Runs in a process of its own: one Trio loop, a task that sends and one that judges.
Guarantees: commands are sent in the order of the file, pipelined on one connection, each followed
by the queries for its expected books; every reply is judged. The flow pauses only after an uncross,
until the fills of the auction have been listed page by page.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hpe.cli.spawn import spawned_service
from hpe.client.channel import SessionChannel
from hpe.client.client import Client, connect
from hpe.client.dialer import parse_address
from hpe.client.pending import Answer, Pending
from hpe.errors import HpeError, ProtocolError, RequestRefused
from hpe.extensions import CORE_CHOICES
from hpe.orderflow.files import (
    Book,
    Command,
    Op,
    is_flash1,
    parse_checkpoints,
    parse_commands,
    parse_expectations,
    read_lines,
)
from hpe.orderflow.judge import ExpectationJudge, HashJudge, Judge
from hpe.orderflow.wire import FlowTranslator
from hpe.protocol.base import Reply
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import Liquidity
from hpe.protocol.limits import AMOUNT_MAX, PAGE_MAX, WINDOW_MAX
from hpe.protocol.market_data import GetOrderbook, OrderbookReply
from hpe.protocol.orders import FillRow, FillsReply, ListFills

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_DIFFERENT: Final = 1
EXIT_UNUSABLE: Final = 2

WINDOW_DEFAULT: Final = 256
"""Requests in flight: enough to keep the service busy."""

DIFFERENCES_SHOWN_MAX: Final = 20

_PATIENT: Final = {
    "HPE_ORDERS_WAIT_MS_MAX": "60000",
    "HPE_CANCELS_WAIT_MS_MAX": "60000",
    "HPE_REJECTS_PER_S": "0",
}
"""A recording is in no hurry: on a busy machine its orders wait rather than be refused. And its
rejects are as recorded, only faster, so they must not be throttled."""

SETUP_TIMEOUT_S: Final = 5.0
"""Deadline of the few requests before the flow; generous, because a disk may be busy."""

STALL_S_MAX: Final = 30.0
"""If no answer comes for this long, the service has failed."""


def add_parsers(subparsers: SubParsers) -> None:
    """Add the command to the command line of hpe."""
    parser = subparsers.add_parser(
        "replay", help="feed recorded order flow to a service and check every answer"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="NAME.cmd.csv or .cmd.csv.gz")
    parser.add_argument(
        "--expect",
        type=Path,
        metavar="FILE",
        help="expected results (default: NAME.exp.csv or, for flash1, NAME.sha256.csv beside it)",
    )
    parser.add_argument("--address", help="HOST:PORT of a running service; else one is started")
    parser.add_argument(
        "--core", choices=CORE_CHOICES, default="auto", help="core of the service that is started"
    )
    parser.add_argument(
        "--window",
        type=int,
        choices=range(1, WINDOW_MAX + 1),
        metavar=f"1..{WINDOW_MAX}",
        default=WINDOW_DEFAULT,
        help="requests in flight",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay a file; return the exit code.

    Raises:
        HpeError: the service failed, or refused something for good.
    """
    try:
        if arguments.address:
            parse_address(arguments.address)
        recording = load(arguments.file, arguments.expect)
    except (OSError, ValueError) as error:
        print(f"hpe replay: {error}", file=sys.stderr)
        return EXIT_UNUSABLE
    with _service(arguments) as address:
        result = trio.run(replay_at, address, recording, arguments.window)
    for line in result.differences[:DIFFERENCES_SHOWN_MAX]:
        print(line)
    if len(result.differences) > DIFFERENCES_SHOWN_MAX:
        print(f"... and {len(result.differences) - DIFFERENCES_SHOWN_MAX:,} more")
    print(f"{arguments.file.name}: {result.text()}")
    return EXIT_DIFFERENT if result.differences else 0


@dataclass(slots=True)
class ReplayResult:
    """The result of one replay."""

    commands: int
    elapsed_s: float = 0.0
    checked: str = ""
    differences: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the result as one line."""
        verdict = f"{len(self.differences):,} DIFFERENCES" if self.differences else "all exact"
        rate = self.commands / self.elapsed_s
        return (
            f"{self.commands:,} commands in {self.elapsed_s:.1f} s ({rate:,.0f}/s), "
            f"checked {self.checked}: {verdict}"
        )


# --- files ----------------------------------------------------------------------------------------


class Recording(NamedTuple):
    """A flow, and a factory for the judge of one run of it."""

    commands: list[Command]
    judge: Callable[[], Judge]


def load(file: Path, expect: Path | None = None) -> Recording:
    """Read a flow and its expected results.

    Raises:
        OrderFlowError: a line does not have its form.
        OSError: a file cannot be read.
        ValueError: the file contains no commands.
    """
    lines = read_lines(file)
    commands = list(parse_commands(lines))
    if not commands:
        raise ValueError(f"{file} contains no commands")
    if is_flash1(lines):
        checkpoints = parse_checkpoints(read_lines(expect or _beside(file, "sha256.csv")))
        return Recording(commands, lambda: HashJudge(checkpoints))
    expected = parse_expectations(read_lines(expect or _beside(file, "exp.csv")))
    return Recording(commands, lambda: ExpectationJudge(expected))


def _beside(file: Path, ending: str) -> Path:
    """Return the file of the same name with another ending, compressed or not."""
    name = file.name.removesuffix(".gz").removesuffix(".cmd.csv")
    candidates = [file.with_name(f"{name}.{ending}{packed}") for packed in (".gz", "")]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"no {candidates[0].name} beside {file}: name one with --expect")


# --- the replay -----------------------------------------------------------------------------------


class _Sent(NamedTuple):
    """A sent command, the queries for the books after it, and the fills of an auction."""

    command: Command
    pending: Pending
    books: list[Pending]
    auction_fills: list[FillRow]


@contextmanager
def _service(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield the address of the running service, or of one started with an empty data folder."""
    if arguments.address:
        yield arguments.address
        return
    with (
        tempfile.TemporaryDirectory(prefix="hpe-replay-") as folder,
        spawned_service(Path(folder), core=arguments.core, settings=_PATIENT) as spawned,
    ):
        yield f"{spawned.host}:{spawned.port}"


async def replay_at(address: str, recording: Recording, window: int) -> ReplayResult:
    """Replay the flow. If a command was refused as busy, start again with fewer in flight.

    Every command after a refused one has another place in the queue, so the run is void. This
    ends: with one request in flight, none waits long enough to be refused.
    """
    while True:
        # A new user for each run: flow ids are client order ids, unique among a user's live orders.
        user = 1 + int.from_bytes(os.urandom(6), "big")
        # A command repeated on another connection is answered without its fills, so do not repeat.
        async with connect(
            address, user=user, window=window, timeout_s=SETUP_TIMEOUT_S, reconnect=False
        ) as client:
            try:
                return await replay(client, recording.commands, recording.judge())
            except RequestRefused as refusal:
                if refusal.code != ErrorCode.BUSY or window == 1:
                    raise
                window = max(window // 4, 1)
                print(f"hpe replay: {refusal}; again with {window} in flight", file=sys.stderr)


async def replay(client: Client, commands: list[Command], judge: Judge) -> ReplayResult:
    """Send a flow on a new pair and judge every answer.

    Raises:
        RequestRefused: a command was refused (busy), so what follows would mean something else.
        ProtocolError: no answer came for STALL_S_MAX, or one of the wrong kind.
    """
    requests = client.requests
    instrument = await _fund_fresh_pair(client)
    translator = FlowTranslator(instrument)
    send, receive = trio.open_memory_channel[_Sent](requests.window)
    result = ReplayResult(len(commands))
    start = time.perf_counter()
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_all, requests, translator, commands, judge, instrument, send)
            with _progress(len(commands)) as progress:
                async for sent in receive:
                    result.differences += await _judged(sent, translator, judge)
                    progress.advance(progress.task_ids[0])
    except* HpeError as group:
        failure = group.exceptions[0]
    if failure is not None:
        raise failure  # outside the nursery, so that it is not wrapped in an exception group
    result.elapsed_s = time.perf_counter() - start
    result.differences += judge.finish()
    result.checked = judge.summary()
    return result


async def _fund_fresh_pair(client: Client) -> int:
    """Create a pair that no other client uses, and deposit as much money as possible."""
    tag = os.urandom(6).hex()
    symbols = (f"REPLAY-B-{tag}", f"REPLAY-Q-{tag}")
    base, quote = [await client.add_asset(symbol, 0) for symbol in symbols]
    for symbol in symbols:
        await client.deposit(symbol, AMOUNT_MAX)
    return await client.add_instrument(f"REPLAY-{tag}", base, quote)


async def _send_all(
    requests: SessionChannel,
    translator: FlowTranslator,
    commands: list[Command],
    judge: Judge,
    instrument: int,
    sent: trio.MemorySendChannel[_Sent],
) -> None:
    seen = 0
    async with sent:
        for command in commands:
            pending = await requests.send(translator.request(command, 0))
            books = [
                await requests.send(GetOrderbook(0, instrument, depth))
                for depth in judge.books_wanted(command)
            ]
            fills: list[FillRow] = []
            if command.op is Op.UNCROSS:
                fills = await _fills_after(requests, seen)
                seen = fills[-1].private_sequence if fills else seen
            auction_fills = [row for row in fills if row.liquidity == Liquidity.AUCTION]
            await sent.send(_Sent(command, pending, books, auction_fills))


async def _fills_after(requests: SessionChannel, after: int) -> list[FillRow]:
    """Return all fills of this session's user after a private sequence."""
    rows: list[FillRow] = []
    while True:
        pending = await requests.send(ListFills(0, after))
        reply = (await _answered(pending, "list_fills")).response
        if not isinstance(reply, FillsReply):
            raise ProtocolError(f"list_fills was answered {reply}")
        rows += reply.rows
        if len(reply.rows) < PAGE_MAX:
            return rows
        after = rows[-1].private_sequence


async def _answered(pending: Pending, what: str) -> Answer:
    """Wait for an answer; a service that sends none for STALL_S_MAX has failed."""
    if not pending.answered:
        with trio.move_on_after(STALL_S_MAX) as deadline:
            await pending.wait()
        if deadline.cancelled_caught:
            raise ProtocolError(f"{what}: no answer in {STALL_S_MAX} s")
    return pending.answer()


async def _judged(sent: _Sent, translator: FlowTranslator, judge: Judge) -> list[str]:
    """Wait for the answers to a command, and return how they differ from the recording."""
    what = f"command {sent.command.seq}"
    response, reports, _ = await _answered(sent.pending, what)
    books = [_book((await _answered(pending, what)).response) for pending in sent.books]
    outcome = translator.outcome(sent.command, response, reports, sent.auction_fills)
    return judge.judge(sent.command, outcome, books)


def _book(reply: Reply) -> Book:
    if not isinstance(reply, OrderbookReply):
        raise ProtocolError(f"get_orderbook was answered {reply}")
    return Book(
        [(price, size) for price, size, _ in reply.bids],
        [(price, size) for price, size, _ in reply.asks],
    )


@contextmanager
def _progress(total: int) -> Iterator[Progress]:
    """Show a progress bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as progress:
        progress.add_task("replay", total=total)
        yield progress
