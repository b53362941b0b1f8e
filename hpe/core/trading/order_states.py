"""The state of an order, and its legal moves.

Part of the deterministic core; one table. Between two commands no order is arriving.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class OrderState(IntEnum):
    """Where an order is: arriving, waiting for its trigger, in line, in the book, or ended."""

    ARRIVING = 0
    WAITING = 1
    QUEUED = 2
    RESTING = 3
    ENDED = 4


ARRIVING: Final = OrderState.ARRIVING
WAITING: Final = OrderState.WAITING
QUEUED: Final = OrderState.QUEUED
RESTS: Final = OrderState.RESTING
ENDED: Final = OrderState.ENDED

MOVES: Final = {
    ARRIVING: (WAITING, RESTS, ENDED),
    WAITING: (QUEUED, ENDED),
    QUEUED: (ARRIVING, ENDED),
    RESTS: (ARRIVING, ENDED),  # arriving: it was replaced and lost its place
    ENDED: (),
}
