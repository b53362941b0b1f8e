"""Recorded order flow: its files, and what must come out of an engine that is fed with it.

Owns the two file forms (`NAME.cmd.csv` with `NAME.exp.csv`, and the flash1 form with its hashes),
the expectations and the report stream that is hashed. Pure besides reading the named files; any
thread may use it, one object per run. It relies on messages.py alone, so that the replay over
TCP, the conformance run on the bare core and the naive book of the tests are judged by the same
lines. The wire's side of it is in orderflow_wire.py.

`NAME.cmd.csv` (header `seq,ts,op,order_id,side,qty,price`): S and L limit orders, I immediate or
cancel, M post-only that must be refused, C and Z cancel (`qty` = what must still be open), R, z
and X take `qty` off, P auction phase, H ignored. `NAME.exp.csv` (`after_seq,kind,a,b,c`): T fill,
K canceled rest of an I, Q best quotes, D levels of the book, U and F auction.
flash1: `N,side,L|I,id,qty,price`, `C,id`, `M,side,id,qty,price`; the seq is the line from 0.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from hpe.errors import HpeError
from hpe.messages import Side


class OrderFlowError(HpeError):
    """A line of an order-flow file is not of its form."""

    exit_code = 65


class AuctionsUnsupported(OrderFlowError):
    """The file holds auction phases, which the engine does not have."""


class Op(Enum):
    """What a command asks for."""

    LIMIT = "limit"
    IMMEDIATE = "immediate-or-cancel"
    POST_ONLY = "post-only, to be refused"
    CANCEL = "cancel"
    REDUCE = "reduce"
    MODIFY = "modify"


class Command(NamedTuple):
    """One command of a flow; for CANCEL and REDUCE `quantity` is as the file's form says."""

    seq: int
    op: Op
    order_id: int
    side: Side
    quantity: int
    price: int


class Fill(NamedTuple):
    """One trade of a command: the maker's id in the flow, quantity, price."""

    maker: int
    quantity: int
    price: int


class Outcome(NamedTuple):
    """What an engine made of a command: `canceled` is what this command took off."""

    accepted: bool
    fills: list[Fill]
    canceled: int


Level = tuple[int, int]
"""Price, size."""


class Book(NamedTuple):
    """Levels, best first."""

    bids: list[Level]
    asks: list[Level]


class ExpectedBook(NamedTuple):
    """The best levels of each side: all that are listed, and at least `at_least` of them."""

    bids: list[Level]
    asks: list[Level]
    at_least: int

    @property
    def depth(self) -> int:
        """Levels that have to be asked for; no book of none can be."""
        return max(len(self.bids), len(self.asks), 1)


@dataclass(slots=True)
class Expected:
    """What must be true right after one command."""

    fills: list[Fill] = field(default_factory=list)
    canceled: int = 0
    books: list[ExpectedBook] = field(default_factory=list)


_CMD_OPS: Final = {
    "S": Op.LIMIT,
    "L": Op.LIMIT,
    "I": Op.IMMEDIATE,
    "M": Op.POST_ONLY,
    "C": Op.CANCEL,
    "Z": Op.CANCEL,
    "R": Op.REDUCE,
    "z": Op.REDUCE,
    "X": Op.REDUCE,
}
_SIDES: Final = {"B": Side.BUY, "S": Side.SELL}
_FLASH1_OPS: Final = {"L": Op.LIMIT, "I": Op.IMMEDIATE}


# --- reading ------------------------------------------------------------------------------------


def read_lines(path: Path) -> list[str]:
    """Read a text file, gzipped when its name ends in .gz."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    return data.decode("ascii").splitlines()


def is_flash1(lines: list[str]) -> bool:
    """Tell the two forms apart: only the cmd form has a header."""
    return not (lines and lines[0].startswith("seq,"))


def parse_commands(lines: list[str]) -> Iterator[Command]:
    """Parse a file of either form.

    Raises:
        OrderFlowError: naming the line; AuctionsUnsupported for a phase of an auction.
    """
    flash1 = is_flash1(lines)
    for index, line in enumerate(lines if flash1 else lines[1:]):
        try:
            command = _flash1_command(index, line) if flash1 else _cmd_command(line)
        except (ValueError, KeyError) as error:
            number = index + (1 if flash1 else 2)
            raise OrderFlowError(f"line {number} is no command: {line!r} ({error})") from error
        if command is not None:
            yield command


def _cmd_command(line: str) -> Command | None:
    seq, _, op, order_id, side, quantity, price = line.split(",")
    if op == "H":
        return None
    if op == "P":
        raise AuctionsUnsupported(f"command {seq} is an auction phase: auctions are not supported")
    return Command(
        int(seq), _CMD_OPS[op], int(order_id), _SIDES[side], int(quantity), int(price or 0)
    )


def _flash1_command(seq: int, line: str) -> Command:
    match line.split(","):
        case ["N", side, kind, order_id, quantity, price]:
            op = _FLASH1_OPS[kind]
            return Command(seq, op, int(order_id), _SIDES[side], int(quantity), int(price))
        case ["M", side, order_id, quantity, price]:
            return Command(seq, Op.MODIFY, int(order_id), _SIDES[side], int(quantity), int(price))
        case ["C", order_id]:
            # The form does not name the side of a cancel and nothing asks for it.
            return Command(seq, Op.CANCEL, int(order_id), Side.BUY, 0, 0)
    raise ValueError("unknown message")


def parse_expectations(lines: Iterable[str]) -> dict[int, Expected]:
    """Parse an .exp.csv: seq of a command -> what must be true after it.

    Raises:
        OrderFlowError: naming the line; AuctionsUnsupported for the result of an auction.
    """
    expected: dict[int, Expected] = {}
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith("after_seq,"):
            continue
        try:
            seq, kind, a, b, c = line.split(",")
            _add_expectation(expected.setdefault(int(seq), Expected()), kind, a, b, c)
        except ValueError as error:
            raise OrderFlowError(f"line {number} is no expectation: {line!r}") from error
    return expected


def _add_expectation(expected: Expected, kind: str, a: str, b: str, c: str) -> None:
    if kind == "T":
        expected.fills.append(Fill(int(a), int(b), int(c)))
    elif kind == "K":
        expected.canceled = int(a)
    elif kind == "Q":
        expected.books.append(ExpectedBook(_levels(a, "x"), _levels(b, "x"), at_least=1))
    elif kind == "D":
        expected.books.append(ExpectedBook(_levels(a, ":"), _levels(b, ":"), at_least=0))
    elif kind in ("U", "F"):
        raise AuctionsUnsupported("auction results are expected: auctions are not supported")
    else:
        raise ValueError(kind)


def _levels(text: str, separator: str) -> list[Level]:
    pairs = (level.split(separator) for level in text.split())
    return [(int(price), int(size)) for price, size in pairs if size != "0"]


def parse_checkpoints(lines: Iterable[str]) -> dict[int, str]:
    """Parse a .sha256.csv: number of messages -> hash of the report stream after them."""
    rows = (line.split(",") for line in lines if not line.startswith("messages,"))
    return {int(messages): digest for messages, _, digest in rows}


# --- judging ------------------------------------------------------------------------------------


class Judge(Protocol):
    """Compares what an engine did with what a recording says. One object per run."""

    def books_wanted(self, command: Command) -> list[int]:
        """Give the depths of the books that must be asked for right after a command."""

    def judge(self, command: Command, outcome: Outcome, books: list[Book]) -> list[str]:
        """Give what differs after a command; `books` answers `books_wanted`."""

    def finish(self) -> list[str]:
        """Give what was expected and never came up."""

    def summary(self) -> str:
        """Say what was checked."""


class ExpectationJudge:
    """Judges by an .exp.csv: every fill, refusal, canceled quantity and book exactly."""

    def __init__(self, expected: dict[int, Expected]) -> None:
        self._expected = dict(expected)
        self._nothing = Expected()
        self._counts = Counter[str]()

    def books_wanted(self, command: Command) -> list[int]:
        """Give the depths of the expected books."""
        return [book.depth for book in self._expected.get(command.seq, self._nothing).books]

    def judge(self, command: Command, outcome: Outcome, books: list[Book]) -> list[str]:
        """Compare; a command without expectations must not trade."""
        expected = self._expected.pop(command.seq, self._nothing)
        self._counts["trades"] += len(expected.fills)
        self._counts["books"] += len(expected.books)
        if command.op in (Op.CANCEL, Op.IMMEDIATE):
            self._counts["canceled quantities"] += 1
        found = differences(command, outcome, expected)
        for book, expected_book in zip(books, expected.books, strict=True):
            found += book_differences(command, book, expected_book)
        return found

    def finish(self) -> list[str]:
        """Name expectations of commands that the flow does not have."""
        return [f"no command {seq}, but expectations of it" for seq in self._expected]

    def summary(self) -> str:
        """Count what was compared."""
        return ", ".join(f"{count:,} {what}" for what, count in self._counts.items())


class HashJudge:
    """Judges a flash1 flow by the hashes of its report stream."""

    def __init__(self, checkpoints: dict[int, str]) -> None:
        self._checkpoints = dict(checkpoints)
        self._stream = ReportStream()
        self._checked = 0

    def books_wanted(self, command: Command) -> list[int]:
        """Nothing: the stream says all."""
        return []

    def judge(self, command: Command, outcome: Outcome, books: list[Book]) -> list[str]:
        """Compare the hash where the recording has one."""
        self._stream.add(command, outcome)
        messages = self._stream.messages
        wanted = self._checkpoints.pop(messages, None)
        if wanted is None:
            return []
        self._checked += 1
        found = self._stream.hexdigest()
        if found == wanted:
            return []
        return [f"after {messages} messages: report hash {found}, expected {wanted}"]

    def finish(self) -> list[str]:
        """Name checkpoints that the flow did not reach."""
        return [f"no message {messages}, but a hash of it" for messages in self._checkpoints]

    def summary(self) -> str:
        """Count what was compared."""
        return f"{self._checked} report hashes over {self._stream.trades:,} trades"


def differences(command: Command, outcome: Outcome, expected: Expected) -> list[str]:
    """Compare an outcome with what the recording says; no difference gives []."""
    found = []
    if outcome.fills != expected.fills:
        found.append(f"trades {_show(outcome.fills)}, expected {_show(expected.fills)}")
    must_be_accepted = command.op is not Op.POST_ONLY
    if command.op is Op.CANCEL:
        # Cancelling what is gone is a reject: nothing was open.
        if outcome.canceled != command.quantity:
            found.append(f"canceled {outcome.canceled}, expected {command.quantity}")
    elif outcome.accepted != must_be_accepted:
        words = {True: "accepted", False: "refused"}
        found.append(f"{words[outcome.accepted]}, expected {words[must_be_accepted]}")
    elif command.op is Op.IMMEDIATE and outcome.canceled != expected.canceled:
        found.append(f"canceled {outcome.canceled} of it, expected {expected.canceled}")
    return [f"command {command.seq} ({command.op.value}): {text}" for text in found]


def book_differences(command: Command, book: Book, expected: ExpectedBook) -> list[str]:
    """Compare the book after a command with an expected one; no difference gives []."""
    found = []
    for name, levels, wanted in (
        ("bids", book.bids, expected.bids),
        ("asks", book.asks, expected.asks),
    ):
        compared = levels[: max(len(wanted), expected.at_least)]
        if compared != wanted:
            found.append(f"after command {command.seq}: {name} {compared}, expected {wanted}")
    return found


def _show(fills: list[Fill]) -> str:
    return " ".join(f"{fill.maker}:{fill.quantity}@{fill.price}" for fill in fills) or "none"


class ReportStream:
    """The flash1 report stream of one run, hashed as it grows."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._separator = ""
        self._placed: dict[int, tuple[int, int]] = {}
        self.trades = 0
        self.messages = 0

    def add(self, command: Command, outcome: Outcome) -> list[str]:
        """Append the lines of one command, which are returned too."""
        lines = self._lines(command, outcome)
        self._hash.update((self._separator + "\n".join(lines)).encode("ascii"))
        self._separator = "\n"
        self.trades += len(outcome.fills)
        self.messages += 1
        return lines

    def hexdigest(self) -> str:
        """Give the SHA-256 of everything up to now."""
        return self._hash.hexdigest()

    def _lines(self, command: Command, outcome: Outcome) -> list[str]:
        # Lines are sorted by (sequence, type): one command's in the order of their types.
        seq, op, order_id, _, quantity, price = command
        side = command.side - 1
        if op is Op.CANCEL:
            if not outcome.accepted:
                return [f"4,{seq},{order_id}"]
            side, price = self._placed.pop(order_id)
            return [f"2,{seq},{side},{order_id},{price}"]
        if not outcome.accepted:
            return [f"5,{seq},{order_id}"]
        trades = [
            f"1,{seq},{fill.price},{fill.quantity},{fill.maker},{order_id}"
            for fill in outcome.fills
        ]
        self._placed[order_id] = (side, price)
        if op is Op.MODIFY:
            return [*trades, f"3,{seq},{side},{order_id},{price},{quantity}"]
        lines = [f"0,{seq},{side},{order_id},{price},{quantity}", *trades]
        if outcome.canceled:
            lines.append(f"2,{seq},{side},{order_id},{price}")
        return lines
