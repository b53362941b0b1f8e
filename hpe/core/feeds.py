"""Private reports: what happened to a user's orders, numbered per user.

Part of the deterministic core. Every event is counted whether somebody listens or not, so the
counters are state and hashed. A fill makes two reports, the taker's first; the taker's is also
sent on the connection that traded, directly before the command's response.
"""

from __future__ import annotations

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

    def reports(
        self, match: Match, sequence: int, time_ns: int
    ) -> list[tuple[ExecutionReport, ExecutionReport]]:
        """Make (taker's report, maker's report) of each fill, in order."""
        taker, sequences = match.taker, self._sequences
        user, order_id, client_order_id = taker.user, taker.order_id, taker.client_order_id
        instrument_id, side = taker.book.instrument.instrument_id, taker.side
        trade_id = match.first_trade_id
        pairs = []
        for fill in match.fills:
            maker, price, quantity = fill.maker, fill.price, fill.quantity
            taker_sequence = sequences[user] = sequences.get(user, 0) + 1
            maker_sequence = sequences[maker.user] = sequences.get(maker.user, 0) + 1
            taker_report = ExecutionReport(
                match.request_id, 0, taker_sequence, sequence, time_ns, _TRADE,
                _PARTIALLY_FILLED if fill.taker_leaves else _FILLED, instrument_id, order_id,
                client_order_id, side, _TAKER, trade_id, price, quantity, fill.taker_leaves,
                fill.taker_cum, maker.order_id,
            )  # fmt: skip
            maker_report = ExecutionReport(
                0, 0, maker_sequence, sequence, time_ns, _TRADE,
                _PARTIALLY_FILLED if fill.maker_leaves else _FILLED, instrument_id,
                maker.order_id, maker.client_order_id, maker.side, _MAKER, trade_id, price,
                quantity, fill.maker_leaves, fill.maker_cum, order_id,
            )  # fmt: skip
            pairs.append((taker_report, maker_report))
            trade_id += 1
        return pairs

    def rows(self) -> list[tuple[int, int]]:
        """Give (user, last private sequence), sorted."""
        return sorted(self._sequences.items())

    def restore(self, user: int, sequence: int) -> None:
        """Take over a dumped counter."""
        self._sequences[user] = sequence
