"""Private reports: what happened to a user's orders, numbered per user.

Part of the deterministic core. Every event is counted whether somebody listens or not, so the
counters are state and hashed. A fill makes two reports, the taker's first; the taker's is also
sent on the connection that traded, directly before the command's response.
"""

from __future__ import annotations

from hpe.core.matcher import Fill
from hpe.core.orders import Order
from hpe.messages import ExecType, ExecutionReport, Liquidity, OrderStatus


class PrivateFeed:
    """Counts and makes the execution reports of every user."""

    def __init__(self) -> None:
        self._sequences: dict[int, int] = {}

    def next_sequence(self, user: int) -> int:
        """Count one event of a user."""
        sequence = self._sequences.get(user, 0) + 1
        self._sequences[user] = sequence
        return sequence

    def fill_reports(
        self,
        fill: Fill,
        taker: Order,
        *,
        taker_leaves: int,
        taker_cum: int,
        request_id: int,
        sequence: int,
        time_ns: int,
        trade_id: int,
    ) -> tuple[tuple[int, ExecutionReport], tuple[int, ExecutionReport]]:
        """Make both sides' reports of one fill, each with the user that it belongs to.

        The taker's quantities are passed in because one command may have several fills: the
        order itself holds only the last state, each report the state after its own fill.
        """
        maker = fill.maker
        instrument_id = taker.book.instrument.instrument_id
        taker_status = OrderStatus.PARTIALLY_FILLED if taker_leaves else OrderStatus.FILLED
        taker_report = ExecutionReport(
            request_id, 0, self.next_sequence(taker.user), sequence, time_ns, ExecType.TRADE,
            taker_status, instrument_id, taker.order_id, taker.client_order_id, taker.side,
            Liquidity.TAKER, trade_id, fill.price, fill.quantity, taker_leaves, taker_cum,
            maker.order_id,
        )  # fmt: skip
        maker_report = ExecutionReport(
            0, 0, self.next_sequence(maker.user), sequence, time_ns, ExecType.TRADE,
            maker.status(), instrument_id, maker.order_id, maker.client_order_id,
            maker.side, Liquidity.MAKER, trade_id, fill.price, fill.quantity, maker.leaves,
            maker.cum, taker.order_id,
        )  # fmt: skip
        return (taker.user, taker_report), (maker.user, maker_report)

    def rows(self) -> list[tuple[int, int]]:
        """Give (user, last private sequence), sorted."""
        return sorted(self._sequences.items())

    def restore(self, user: int, sequence: int) -> None:
        """Take over a dumped counter."""
        self._sequences[user] = sequence
