"""The unfinished work of one instrument: queued stops, an uncross in parts.

Part of the deterministic core; kept by the instrument's book (orderbook.py). Stops that were
reached together form a line, in the order of their turns; the oldest line goes first. Removing
what a trade reached is itself done in parts, because any number of stops may wait at one price.
Source: protocol.md, "Unfinished work".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from sortedcontainers import SortedList

from hpe.core.trading.order_states import QUEUED
from hpe.core.trading.orders import Line, Order, StopRow, stop_sign
from hpe.core.trading.triggers import Firing
from hpe.errors import InvariantViolation
from hpe.protocol.enums import InstrumentStatus

_GOES_ON: Final = (InstrumentStatus.TRADING, InstrumentStatus.CALL_AUCTION)


class UncrossInProgress(NamedTuple):
    """An uncross with more fills than one command may have; `surplus` is as it began."""

    price: int
    volume_left: int
    surplus: int
    next_status: InstrumentStatus


class Work:
    """The unfinished work of one instrument.

    `lines` are the stops in the queue, `queued` is their number. `firings` are series of trades
    whose stops are still leaving their triggers; those of the first one join the last line if
    `is_open`. `interrupted`: an interruption is due to end, and its uncross has not begun.
    `listed`: its instrument gets turns.
    """

    __slots__ = (
        "firings", "interrupted", "is_open", "lines", "listed", "queued", "uncrossing",
    )  # fmt: skip

    def __init__(self) -> None:
        self.lines: deque[Line] = deque()
        self.queued = 0
        self.firings: deque[Firing] = deque()
        self.is_open = False
        self.uncrossing: UncrossInProgress | None = None
        self.interrupted = False
        self.listed = False

    @property
    def is_empty(self) -> bool:
        """True if nothing remains."""
        stops = self.queued or self.firings
        return not (stops or self.interrupted or self.uncrossing is not None)

    def goes_on(self, status: InstrumentStatus) -> bool:
        """True if something can be done now; in a halted or cancel-only market, stops wait."""
        if self.uncrossing is not None or self.interrupted:
            return True
        return status in _GOES_ON and not self.is_empty

    def file(self, rows: list[StopRow], is_last: bool) -> None:
        """Add stops of one side to the line in the making; `is_last` completes it."""
        if not self.is_open and rows:
            self.lines.append(SortedList())
            self.is_open = True
        if rows:
            line = self.lines[-1]
            line.update(rows)
            self.queued += len(rows)
            for _, _, order in rows:
                assert order.terms is not None
                order.terms.line = line
                order.move(QUEUED)
        self.is_open = self.is_open and not is_last

    def first_stop(self) -> Order:
        """Return the stop whose turn it is; there must be one."""
        lines = self.lines
        while not lines[0]:
            lines.popleft()
        return lines[0][0][2]

    def remove(self, order: Order) -> None:
        """Remove a stop that has its turn, or ended in its line."""
        terms = order.terms
        assert terms is not None
        assert terms.line is not None
        terms.line.remove(row_of(order))
        terms.line = None
        self.queued -= 1

    def restore(self, order: Order, number: int) -> None:
        """Put a stop into its line, counted from 1; lower lines must exist."""
        if number > len(self.lines):
            self.lines.append(SortedList())
        self.lines[-1].add(row_of(order))
        assert order.terms is not None
        order.terms.line = self.lines[-1]
        self.queued += 1

    def orders(self) -> Iterator[Order]:
        """Yield the stops in their lines, in order of turns."""
        return (order for line in self.lines for _, _, order in line)

    def check(self) -> None:
        """Check the lines and their number of stops."""
        count = 0
        for line in self.lines:
            for row in line:
                count += 1
                terms = row[2].terms
                filed = terms is not None and terms.line is line and row_of(row[2]) == row
                if not filed or row[2].state is not QUEUED:
                    raise InvariantViolation(f"stop {row[2].order_id} is in the wrong line")
        if count != self.queued:
            raise InvariantViolation(f"{count} stops are queued, {self.queued} are counted")


def row_of(order: Order) -> StopRow:
    """Return a queued stop's row: (negated rank of its trigger, place, order)."""
    terms = order.terms
    assert terms is not None
    sign = stop_sign(order.side)
    return -terms.stop_price * sign, terms.place, order
