"""Judges of recorded order flow: compare what an engine did with what the recording says.

Owns the comparison of outcomes and books with a recording's expectations, or with the hashes of
its report stream. Pure; any thread may use it, one judge per run. Relies on files.py for the
recording's form and knows nothing of the wire: whatever runs an engine passes its outcomes.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from hpe.orderflow.files import (
    Book,
    Command,
    Expected,
    ExpectedBook,
    Op,
    Outcome,
    RecordedFill,
    ReportStream,
)
from hpe.protocol.codes import RejectReason


class Judge(Protocol):
    """Compares what an engine did with a recording. One object per run."""

    def books_wanted(self, command: Command) -> list[int]:
        """Return the depths of the books to ask for right after a command."""

    def judge(self, command: Command, outcome: Outcome, books: list[Book]) -> list[str]:
        """Return what differs after a command; `books` are the answers to `books_wanted`."""

    def finish(self) -> list[str]:
        """Return what was expected and did not happen."""

    def summary(self) -> str:
        """Return what was checked."""


class ExpectationJudge:
    """Compares every fill, refusal, canceled quantity, auction and book with an .exp.csv."""

    def __init__(self, expected: dict[int, Expected]) -> None:
        self._expected = dict(expected)
        self._nothing = Expected()
        self._counts = Counter[str]()

    def books_wanted(self, command: Command) -> list[int]:
        """Return the depths of the expected books."""
        return [book.depth for book in self._expected.get(command.seq, self._nothing).books]

    def judge(self, command: Command, outcome: Outcome, books: list[Book]) -> list[str]:
        """Return what differs; a command without expectations must not trade."""
        expected = self._expected.pop(command.seq, self._nothing)
        self._counts["trades"] += len(expected.fills)
        self._counts["books"] += len(expected.books)
        if command.op in (Op.CANCEL, Op.IMMEDIATE):
            self._counts["canceled quantities"] += 1
        if command.op is Op.UNCROSS:
            self._counts["auctions"] += 1
            self._counts["orders filled in auctions"] += len(expected.filled)
        found = differences(command, outcome, expected)
        for book, expected_book in zip(books, expected.books, strict=True):
            found += book_differences(command, book, expected_book)
        return found

    def finish(self) -> list[str]:
        """Return the expectations of commands that the flow does not contain."""
        return [f"no command {seq}, but expectations of it" for seq in self._expected]

    def summary(self) -> str:
        """Return the number of things compared."""
        return ", ".join(f"{count:,} {what}" for what, count in self._counts.items())


class HashJudge:
    """Compares a flash1 flow with the hashes of its report stream."""

    def __init__(self, checkpoints: dict[int, str]) -> None:
        self._checkpoints = dict(checkpoints)
        self._stream = ReportStream()
        self._checked = 0

    def books_wanted(self, command: Command) -> list[int]:
        """Return []: the report stream contains everything."""
        return []

    def judge(self, command: Command, outcome: Outcome, books: list[Book]) -> list[str]:
        """Return a difference if the recording has another hash at this point."""
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
        """Return the checkpoints that the flow did not reach."""
        return [f"no message {messages}, but a hash of it" for messages in self._checkpoints]

    def summary(self) -> str:
        """Return the number of hashes compared."""
        return f"{self._checked} report hashes over {self._stream.trades:,} trades"


def differences(command: Command, outcome: Outcome, expected: Expected) -> list[str]:
    """Return how an outcome differs from the recording; [] if it does not."""
    found = []
    if command.op is Op.UNCROSS:
        found += auction_differences(outcome, expected)
    elif outcome.fills != expected.fills:
        found.append(f"trades {_show(outcome.fills)}, expected {_show(expected.fills)}")
    must_be_accepted = command.op is not Op.POST_ONLY
    if command.op is Op.CANCEL:
        # Canceling an order that is gone is a reject: nothing was open.
        if outcome.canceled != command.quantity:
            why = f" ({_refused(outcome.reason)})" if outcome.reason else ""
            found.append(f"canceled {outcome.canceled}{why}, expected {command.quantity}")
    elif outcome.accepted != must_be_accepted:
        word = "accepted" if outcome.accepted else _refused(outcome.reason)
        found.append(f"{word}, expected {'accepted' if must_be_accepted else 'refused'}")
    elif command.op is Op.IMMEDIATE and outcome.canceled != expected.canceled:
        found.append(f"canceled {outcome.canceled} of it, expected {expected.canceled}")
    return [f"command {command.seq} ({command.op.value}): {text}" for text in found]


def auction_differences(outcome: Outcome, expected: Expected) -> list[str]:
    """Return how an uncross differs from the recording: price, volume, each order's fills."""
    found = []
    if outcome.auction != expected.auction:
        found.append(f"auction {_at(*outcome.auction)}, expected {_at(*expected.auction)}")
    filled = Counter[int]()
    for order_id, quantity, price in outcome.fills:
        filled[order_id] += quantity
        if price != outcome.auction[0]:
            found.append(f"order {order_id} traded at {price} in the auction")
    for order_id in sorted(filled.keys() | expected.filled.keys()):
        got, wanted = filled[order_id], expected.filled.get(order_id, 0)
        if got != wanted:
            found.append(f"order {order_id} traded {got} in the auction, expected {wanted}")
    if filled.total() != 2 * outcome.auction[1]:
        found.append(f"the auction's fills add up to {filled.total()} on both sides together")
    return found


def _at(price: int, quantity: int) -> str:
    return f"{quantity}@{price}"


def book_differences(command: Command, book: Book, expected: ExpectedBook) -> list[str]:
    """Return how the book after a command differs from an expected one; [] if it does not."""
    found = []
    for name, levels, wanted in (
        ("bids", book.bids, expected.bids),
        ("asks", book.asks, expected.asks),
    ):
        compared = levels[: max(len(wanted), expected.at_least)]
        if compared != wanted:
            found.append(f"after command {command.seq}: {name} {compared}, expected {wanted}")
    return found


def _refused(reason: int) -> str:
    names = {int(each): each.name.lower() for each in RejectReason}
    return f"refused: {names.get(reason, 'reason')} ({reason})"


def _show(fills: list[RecordedFill]) -> str:
    return " ".join(f"{fill.maker}:{fill.quantity}@{fill.price}" for fill in fills) or "none"
