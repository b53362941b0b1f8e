"""Private reports: what happened to a user's orders, numbered per user.

Part of the deterministic core. Every event is counted whether somebody listens or not, so the
counters are state and hashed. A fill makes two reports, the taker's first; the taker's is also
sent on the connection that traded, directly before the command's response.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hpe.core.matcher import Match
from hpe.messages import ExecType, ExecutionReport, Liquidity, OrderStatus

_TRADE: Final = ExecType.TRADE
_TAKER: Final = Liquidity.TAKER
_MAKER: Final = Liquidity.MAKER
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_FILLED: Final = OrderStatus.FILLED


class PrivateFeed:
    """Counts and makes the execution reports of every user."""

    def __init__(self) -> None:
        self._sequences: dict[int, int] = {}

    def _next(self, user: int) -> int:
        """Count one event of a user."""
        sequence = self._sequences[user] = self._sequences.get(user, 0) + 1
        return sequence

    def reports(
        self, match: Match, sequence: int, time_ns: int
    ) -> Iterator[tuple[int, ExecutionReport]]:
        """Yield (user, report) for both sides of each fill, the taker's first."""
        taker = match.taker
        instrument_id = taker.book.instrument.instrument_id
        for trade_id, fill in enumerate(match.fills, match.first_trade_id):
            maker = fill.maker
            yield taker.user, ExecutionReport(
                match.request_id, 0, self._next(taker.user), sequence, time_ns, _TRADE,
                _status(fill.taker_leaves), instrument_id, taker.order_id,
                taker.client_order_id, taker.side, _TAKER, trade_id, fill.price,
                fill.quantity, fill.taker_leaves, fill.taker_cum, maker.order_id,
            )  # fmt: skip
            yield maker.user, ExecutionReport(
                0, 0, self._next(maker.user), sequence, time_ns, _TRADE,
                _status(fill.maker_leaves), instrument_id, maker.order_id,
                maker.client_order_id, maker.side, _MAKER, trade_id, fill.price,
                fill.quantity, fill.maker_leaves, fill.maker_cum, taker.order_id,
            )  # fmt: skip

    def rows(self) -> list[tuple[int, int]]:
        """Give (user, last private sequence), sorted."""
        return sorted(self._sequences.items())

    def restore(self, user: int, sequence: int) -> None:
        """Take over a dumped counter."""
        self._sequences[user] = sequence


def _status(leaves: int) -> OrderStatus:
    return _PARTIALLY_FILLED if leaves else _FILLED
