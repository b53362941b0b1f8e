"""Effort: the one meter of what a batch has done, and what is charged for it.

Part of the deterministic core. The effort of commands and timers decides when a batch is full and
what is left to `continue` commands, so these charges are a rule of the exchange; the effort of
queries decides only about queries, because no query is in the log. A charge reflects what a step
costs compared with an order that just rests, which costs nothing here. Source: protocol.md,
"Effort"; a test compares its table with the constants of this module.
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
"""With less, more `continue` commands than a batch may have would fit into their part of it."""

CLEARING: Final = 8
"""Computing the price of a call takes 2 us per level, a row of a query a quarter of that."""

PASSED_PER_ROW: Final = 8
"""Orders passed by a search for dead ones that cost 1 together: 0.3 us each, a tenth of a fill."""

SNAPSHOT: Final = 1
COPIES_PER_ROW: Final = 8
"""Rows that cost 1 together if the batch makes this snapshot anyway."""


def clearing_effort(levels: int) -> int:
    """Return the cost of computing the price of a call in which this many levels cross."""
    return CLEARING * levels


def rows_passed(orders: int) -> int:
    """Return the cost of this many orders that a search for dead ones passes."""
    return orders // PASSED_PER_ROW


class Effort:
    """The effort of the current batch so far.

    `spent` by commands and timers, `asked` by queries, `wasted` by searches for commands that were
    then refused. Charges only increase them; the driver resets them when a batch begins. No query
    and no refused command is in the log, so `asked` never decides about a command, and `wasted`
    only about commands that would search for the same. `taken_off` counts the orders that mass
    cancels canceled, by the key of the session, or without one by user.
    """

    __slots__ = ("asked", "spent", "taken_off", "wasted")

    def __init__(self) -> None:
        self.spent = self.asked = self.wasted = 0
        self.taken_off: dict[tuple[int, int], int] = {}

    def begin(self) -> None:
        """Begin a batch."""
        self.spent = self.asked = self.wasted = 0
        self.taken_off.clear()

    def charge(self, each: int, count: int = 1) -> None:
        """Charge commands or timers for `count` things at `each`."""
        self.spent += each * count

    def ask(self, each: int, count: int = 1) -> None:
        """Charge queries for `count` things at `each`."""
        self.asked += each * count

    def waste(self, each: int, count: int = 1) -> None:
        """Charge a command that is then refused for `count` things at `each`."""
        self.wasted += each * count
