"""How the updates of one batch are cut into parts: each but the last is as full as it may be.

Pure. Source: protocol.md, "Limits of a core".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hpe.protocol.market_data import LevelsUpdate, MarketUpdate


def check_parts(sizes: list[int], most: int) -> None:
    """Check that updates of one batch are as full as they may be, but for the last."""
    assert all(size == most for size in sizes[:-1])
    assert 1 <= sizes[-1] <= most


def check_private_parts(rows: Sequence[tuple[int, int, int, bytes]], most: int) -> None:
    """Check the private updates of one batch, user by user."""
    for _, theirs in groupby(rows, lambda row: row[0]):
        check_parts([last - first + 1 for _, first, last, _ in theirs], most)


def changes_of(update: MarketUpdate) -> int:
    """Return how many rows an update has of those that are bounded."""
    if isinstance(update, LevelsUpdate):
        return len(update.bids) + len(update.asks)
    return len(getattr(update, "changes", getattr(update, "trades", (update,))))
