"""Recorded order flow: its files, and the report stream of the flash1 form.

Owns the two file forms (`NAME.cmd.csv` with `NAME.exp.csv`, and the flash1 form with its hashes),
the expectations and the report stream that is hashed. Pure, apart from reading the named files;
any thread may use it, one object per run. Depends on nothing but the wire, so that the replay over
TCP, the conformance run on the bare core and the naive book of the tests read the same lines.
judge.py judges the results; wire.py translates to and from the wire.

`NAME.cmd.csv` (header `seq,ts,op,order_id,side,qty,price`): S and L are limit orders, I immediate
or cancel, M post-only that must be refused; C and Z cancel (`qty` is what must still be open); R,
z and X reduce by `qty`; P is a phase (price 1 call, 2 uncross now, 3 continuous trading); H is
ignored.
`NAME.exp.csv` (`after_seq,kind,a,b,c`): T is a fill, K the canceled rest of an I, Q the best
quotes, D levels of the book, U price and volume of an auction, F what an order traded in it.
flash1: `N,side,L|I,id,qty,price`, `C,id`, `M,side,id,qty,price`; the seq is the line from 0.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from hpe.errors import HpeError
from hpe.protocol.enums import Side


class OrderFlowError(HpeError):
    """A line of an order-flow file does not have its form."""

    exit_code = 65


class Op(Enum):
    """The action of a command."""

    LIMIT = "limit"
    IMMEDIATE = "immediate-or-cancel"
    POST_ONLY = "post-only, to be refused"
    CANCEL = "cancel"
    REDUCE = "reduce"
    MODIFY = "modify"
    CALL = "call phase"
    UNCROSS = "uncross"
    CONTINUOUS = "continuous trading"


class Command(NamedTuple):
    """One command of a flow; for CANCEL and REDUCE, `quantity` is as the file's form defines it.

    A phase (CALL, UNCROSS, CONTINUOUS) belongs to no order; its other fields are meaningless.
    """

    seq: int
    op: Op
    order_id: int
    side: Side
    quantity: int
    price: int


RecordedLevel = tuple[int, int]
"""Price, size."""

NO_AUCTION: Final[RecordedLevel] = (0, 0)
"""Price and volume of an uncross in which nothing traded."""


class RecordedFill(NamedTuple):
    """One trade of a command: the maker's id in the flow, quantity, price.

    An uncross has no maker: each of its trades is two of these, one for each order.
    """

    maker: int
    quantity: int
    price: int


class Outcome(NamedTuple):
    """What an engine did with a command: `canceled` is the quantity that this command canceled.

    `auction` is price and volume of an uncross. `reason` is the RejectReason of a refused command.
    """

    accepted: bool
    fills: list[RecordedFill]
    canceled: int
    auction: RecordedLevel = NO_AUCTION
    reason: int = 0


class Book(NamedTuple):
    """Levels, best first."""

    bids: list[RecordedLevel]
    asks: list[RecordedLevel]


class ExpectedBook(NamedTuple):
    """The expected best levels of each side: the listed ones, and at least `at_least` of them."""

    bids: list[RecordedLevel]
    asks: list[RecordedLevel]
    at_least: int

    @property
    def depth(self) -> int:
        """The number of levels to ask for; 0 levels cannot be asked for."""
        return max(len(self.bids), len(self.asks), 1)


@dataclass(slots=True)
class Expected:
    """The conditions that must hold right after one command."""

    fills: list[RecordedFill] = field(default_factory=list)
    canceled: int = 0
    books: list[ExpectedBook] = field(default_factory=list)
    auction: RecordedLevel = NO_AUCTION
    filled: dict[int, int] = field(default_factory=dict)
    """Of an uncross: order id -> quantity."""


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
_PHASES: Final = {"1": Op.CALL, "2": Op.UNCROSS, "3": Op.CONTINUOUS}
_SIDES: Final = {"B": Side.BUY, "S": Side.SELL}
_FLASH1_OPS: Final = {"L": Op.LIMIT, "I": Op.IMMEDIATE}


# --- reading ------------------------------------------------------------------------------------


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, which is gzipped if its name ends in .gz."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    return data.decode("ascii").splitlines()


def is_flash1(lines: list[str]) -> bool:
    """True for the flash1 form: only the cmd form has a header."""
    return not (lines and lines[0].startswith("seq,"))


def parse_commands(lines: list[str]) -> Iterator[Command]:
    """Yield the commands of a file of either form.

    Raises:
        OrderFlowError: a line does not have its form; the message names the line.
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
        return Command(int(seq), _PHASES[price], 0, Side.BUY, 0, 0)
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
            # The form does not name the side of a cancel, and no code needs it.
            return Command(seq, Op.CANCEL, int(order_id), Side.BUY, 0, 0)
    raise ValueError("unknown message")


def parse_expectations(lines: Iterable[str]) -> dict[int, Expected]:
    """Parse an .exp.csv: seq of a command -> what must be true after it.

    Raises:
        OrderFlowError: a line does not have its form; the message names the line.
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
        expected.fills.append(RecordedFill(int(a), int(b), int(c)))
    elif kind == "K":
        expected.canceled = int(a)
    elif kind == "Q":
        expected.books.append(ExpectedBook(_levels(a, "x"), _levels(b, "x"), at_least=1))
    elif kind == "D":
        expected.books.append(ExpectedBook(_levels(a, ":"), _levels(b, ":"), at_least=0))
    elif kind == "U":
        expected.auction = (int(a), int(b))
    elif kind == "F":
        expected.filled[int(a)] = int(b)
    else:
        raise ValueError(kind)


def _levels(text: str, separator: str) -> list[RecordedLevel]:
    pairs = (level.split(separator) for level in text.split())
    return [(int(price), int(size)) for price, size in pairs if size != "0"]


def parse_checkpoints(lines: Iterable[str]) -> dict[int, str]:
    """Parse a .sha256.csv: number of messages -> hash of the report stream after them."""
    rows = (line.split(",") for line in lines if not line.startswith("messages,"))
    return {int(messages): digest for messages, _, digest in rows}


# --- the report stream of the flash1 form --------------------------------------------------------


class ReportStream:
    """The flash1 report stream of one run, hashed while it grows."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._separator = ""
        self._placed: dict[int, tuple[int, int]] = {}
        self.trades = 0
        self.messages = 0

    def add(self, command: Command, outcome: Outcome) -> list[str]:
        """Append the lines of one command, and return them."""
        lines = self._lines(command, outcome)
        self._hash.update((self._separator + "\n".join(lines)).encode("ascii"))
        self._separator = "\n"
        self.trades += len(outcome.fills)
        self.messages += 1
        return lines

    def hexdigest(self) -> str:
        """Return the SHA-256 of all lines up to now."""
        return self._hash.hexdigest()

    def _lines(self, command: Command, outcome: Outcome) -> list[str]:
        # Lines are sorted by (sequence, type), so the lines of one command by type.
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
