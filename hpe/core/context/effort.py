"""Effort: the one meter of what a batch has done, and what is charged for what.

Part of the deterministic core. What commands and time spend decides when a batch is full and what
goes on in `continue` commands, so these charges are a rule of the exchange; what queries spend
decides about queries alone, as no query is in the log. A charge is about what a thing costs beside
an order that just rests, which costs nothing here. Source: protocol.md, "Effort"; a test holds its
table against the constants of this module.
"""

from __future__ import annotations

from typing import Final

FILL: Final = 1
MATCH: Final = 1
REACHED: Final = 1
LEVEL: Final = 1
ROW: Final = 1
REPORT: Final = 1
FIRED: Final = 1
MOVED: Final = 1
ACT: Final = 1
RESUMED: Final = 1
UNCROSS: Final = 1
REVOKED: Final = 1
DELISTING: Final = 1
CONTINUE: Final = 8
"""With less, more `continue` than a batch may have commands would fit into their part of a body."""

CLEARING: Final = 8
"""Finding the price of a call takes 2 us for each level, a row of a query a quarter of that."""

PASSED_PER_ROW: Final = 8
"""Orders that cost one when a search for dead ones passes them: 0.3 us each, a tenth of a fill."""

SNAPSHOT: Final = 1
COPIES_PER_ROW: Final = 8
"""Rows of a snapshot that cost one when the batch makes it anyway."""


def clearing_effort(levels: int) -> int:
    """Return what it costs to find the price of a call in which so many levels cross."""
    return CLEARING * levels


def rows_passed(orders: int) -> int:
    """Return what so many orders cost that a search for dead ones passes."""
    return orders // PASSED_PER_ROW


class Effort:
    """What the batch that runs has cost so far.

    `spent` by commands and time, `asked` by queries, `wasted` by what was looked for before a
    command was refused. Only charges make them more; the driver sets them to 0 when a batch begins.
    No query and no refused command is in the log, so `asked` never decides about a command, and
    `wasted` only about those that would look for the same.
    """

    __slots__ = ("asked", "spent", "wasted")

    def __init__(self) -> None:
        self.spent = self.asked = self.wasted = 0

    def begin(self) -> None:
        """Begin a batch."""
        self.spent = self.asked = self.wasted = 0

    def charge(self, each: int, count: int = 1) -> None:
        """Charge commands or time for this many things."""
        self.spent += each * count

    def ask(self, each: int, count: int = 1) -> None:
        """Charge queries for this many things."""
        self.asked += each * count

    def waste(self, each: int, count: int = 1) -> None:
        """Charge a command that is refused for this many things."""
        self.wasted += each * count
