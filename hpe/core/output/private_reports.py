"""Private reports: what happened to a user's orders, holds and accounts, numbered per user.

Part of the deterministic core. Every event is counted, whether or not anyone subscribed, so the
counters are state and hashed. A fill makes two reports, the taker's first (in an uncross, the
buyer's). Fills of the taker, and whatever a command did to orders of its user beyond its
response, carry its request id: they are also sent on its connection, directly before the response.
Accounts that a batch changed are reported once, as they are at its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hpe.core.codec import encode
from hpe.core.money.balances import Account
from hpe.core.money.holds import HoldEvent
from hpe.core.output.batch import BatchWork
from hpe.core.trading.events import AuctionMatch, Event, OrderChange
from hpe.core.trading.executor import AuctionFill
from hpe.core.trading.matcher import Match, Prevented
from hpe.core.trading.order_index import OrderIndex
from hpe.core.trading.orders import Order
from hpe.errors import InvariantViolation
from hpe.protocol.base import type_number
from hpe.protocol.enums import ExecType, Liquidity, OrderStatus
from hpe.protocol.flags import FLAG_SELF_TRADE
from hpe.protocol.frames import PREFIXES
from hpe.protocol.reports import (
    BalanceReport,
    ExecutionReport,
    HoldReport,
    OrderReport,
    PreventedMatch,
    PrivateReport,
)

_TRADE: Final = ExecType.TRADE
_TAKER: Final = Liquidity.TAKER
_MAKER: Final = Liquidity.MAKER
_AUCTION: Final = Liquidity.AUCTION
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_FILLED: Final = OrderStatus.FILLED
_NEW: Final = ExecType.NEW
_STATUS_CANCELED: Final = OrderStatus.CANCELED
_ORDER_REPORT: Final = type_number(OrderReport)
_STATUS_NEW: Final = OrderStatus.NEW
_NO_FRAMES: Final[list[bytes]] = []


class PrivateFeed:
    """Numbers and makes the reports of every user; also keeps the fills for queries."""

    def __init__(self, orders: OrderIndex) -> None:
        self._orders = orders
        self._sequences: dict[int, int] = {}

    def report(self, event: Event, sequence: int, time_ns: int, work: BatchWork) -> list[bytes]:
        """Report everything in an event, in order.

        Orders that are accepted, canceled or replaced are the most frequent events, and reported
        inline; a tuple encodes to an OrderReport in half the time.

        Returns:
            The frames of those reports that also go to the connection of the command.
        """
        if isinstance(event, Order):
            order, exec_type, status, leaves = event, _NEW, _STATUS_NEW, event.quantity
            cum = canceled = reason = 0
        elif isinstance(event, tuple):
            order, exec_type = event
            leaves, cum, canceled, reason = order.leaves, order.cum, order.canceled, order.reason
            status = order.status() if leaves else _STATUS_CANCELED
        else:
            return self._report(event, sequence, time_ns, work)
        user, sequences = order.user, self._sequences
        number = sequences[user] = sequences.get(user, 0) + 1
        body = encode(
            (
                _ORDER_REPORT, 0, 0, number, sequence, time_ns, exec_type, status,
                order.instrument_id, order.order_id, order.client_order_id,
                order.side, leaves, cum, canceled, reason, order.order_type, order.price,
                0 if order.terms is None else order.trigger(),
            )
        )  # fmt: skip
        work.digested.append(body)
        theirs = work.private.get(user)
        if theirs is None:
            work.private[user] = (number, [body])
        else:
            theirs[1].append(body)
        return _NO_FRAMES

    def _report(self, event: Event, sequence: int, time_ns: int, work: BatchWork) -> list[bytes]:
        frames: list[bytes] = []
        for user, report in self._reports(event, sequence, time_ns):
            body = encode(report)
            if report.request_id:
                frames.append(PREFIXES[len(body)] + body)
            work.report(user, report.private_sequence, body)
        return frames

    def _reports(
        self, event: Event, sequence: int, time_ns: int
    ) -> list[tuple[int, PrivateReport]]:
        """Yield (user, report) of everything in an event, in order."""
        made: list[tuple[int, PrivateReport]] = []
        if isinstance(event, Match):
            done = 0
            for prevented in event.prevented:  # each in its place among the fills
                self._fills(event, done, prevented.fills_before, sequence, time_ns, made)
                self._prevented(event, prevented, sequence, time_ns, made)
                done = prevented.fills_before
            self._fills(event, done, len(event.fills), sequence, time_ns, made)
        elif isinstance(event, OrderChange):
            user = event.order.user
            made.append((user, self._change(event, self._next(user), sequence, time_ns)))
        elif isinstance(event, HoldEvent):
            made.append((event.user, self._hold(event, sequence, time_ns)))
        elif isinstance(event, AuctionMatch):
            self._auction(event, sequence, time_ns, made)
        return made

    def report_accounts(
        self, changed: Iterable[Account], sequence: int, time_ns: int, work: BatchWork
    ) -> None:
        """Report the accounts that a batch changed, after all its other reports."""
        for account in changed:
            user = account.user
            report = BalanceReport(
                0, 0, self._next(user), sequence, time_ns, account.asset, account.available,
                account.reserved, account.held, account.named,
            )  # fmt: skip
            work.report(user, report.private_sequence, encode(report))

    def _hold(self, event: HoldEvent, sequence: int, time_ns: int) -> HoldReport:
        return HoldReport(
            0, 0, self._next(event.user), sequence, time_ns, event.hold_id, event.asset,
            event.change, event.amount, event.remaining, event.expires_ns,
        )  # fmt: skip

    def last(self, user: int) -> int:
        """Return the newest private sequence of a user, 0 before the first."""
        return self._sequences.get(user, 0)

    def _next(self, user: int) -> int:
        number = self._sequences[user] = self._sequences.get(user, 0) + 1
        return number

    def _fills(
        self,
        match: Match,
        start: int,
        stop: int,
        sequence: int,
        time_ns: int,
        made: list[tuple[int, PrivateReport]],
    ) -> None:
        taker, sequences = match.taker, self._sequences
        user, order_id, client_order_id = taker.user, taker.order_id, taker.client_order_id
        instrument_id, side = taker.instrument_id, taker.side
        trade_id, keep = match.first_trade_id + start, self._orders.remember_fill
        for fill in match.fills[start:stop]:
            maker, price, quantity = fill.maker, fill.price, fill.quantity
            maker_user = maker.user
            flags = FLAG_SELF_TRADE if maker_user == user else 0
            taker_sequence = sequences[user] = sequences.get(user, 0) + 1
            maker_sequence = sequences[maker_user] = sequences.get(maker_user, 0) + 1
            taker_report = ExecutionReport(
                match.request_id, flags, taker_sequence, sequence, time_ns, _TRADE,
                _PARTIALLY_FILLED if fill.taker_leaves else _FILLED, instrument_id, order_id,
                client_order_id, side, _TAKER, trade_id, price, quantity, fill.taker_leaves,
                fill.taker_cum, maker.order_id, fill.taker_fee,
            )  # fmt: skip
            maker_report = ExecutionReport(
                0, flags, maker_sequence, sequence, time_ns, _TRADE,
                _PARTIALLY_FILLED if fill.maker_leaves else _FILLED, instrument_id,
                maker.order_id, maker.client_order_id, maker.side, _MAKER, trade_id, price,
                quantity, fill.maker_leaves, fill.maker_cum, order_id, fill.maker_fee,
            )  # fmt: skip
            made.append((user, taker_report))
            made.append((maker_user, maker_report))
            keep(user, taker_report)
            keep(maker_user, maker_report)
            trade_id += 1

    def _prevented(
        self,
        match: Match,
        prevented: Prevented,
        sequence: int,
        time_ns: int,
        made: list[tuple[int, PrivateReport]],
    ) -> None:
        taker = match.taker
        report = PreventedMatch(
            match.request_id, 0, self._next(taker.user), sequence, time_ns,
            taker.instrument_id, taker.self_trade, prevented.price,
            prevented.maker.order_id, taker.order_id, prevented.maker_canceled,
            prevented.taker_canceled, prevented.maker_leaves, prevented.taker_leaves,
        )  # fmt: skip
        made.append((taker.user, report))

    def _change(self, change: OrderChange, number: int, sequence: int, time_ns: int) -> OrderReport:
        order = change.order
        return OrderReport(
            change.request_id, 0, number, sequence, time_ns, change.exec_type, change.status,
            order.instrument_id, order.order_id, order.client_order_id,
            order.side, change.leaves, change.cum, change.canceled, change.reason,
            order.order_type, change.price, change.stop_price,
        )  # fmt: skip

    def _auction(
        self,
        match: AuctionMatch,
        sequence: int,
        time_ns: int,
        made: list[tuple[int, PrivateReport]],
    ) -> None:
        instrument_id = match.instrument_id
        for trade_id, fill in enumerate(match.fills, match.first_trade_id):
            flags = FLAG_SELF_TRADE if fill.buy.user == fill.sell.user else 0
            for order, contra, leaves, cum, fee in _sides(fill):
                report = ExecutionReport(
                    0, flags, self._next(order.user), sequence, time_ns, _TRADE,
                    _PARTIALLY_FILLED if leaves else _FILLED, instrument_id, order.order_id,
                    order.client_order_id, order.side, _AUCTION, trade_id, fill.price,
                    fill.quantity, leaves, cum, contra.order_id, fee,
                )  # fmt: skip
                made.append((order.user, report))
                self._orders.remember_fill(order.user, report)

    def check(self) -> None:
        """Check that everyone with reports is a user: the counters are in the users' rows."""
        for user in self._sequences:
            if user not in self._orders.users:
                raise InvariantViolation(f"user {user} has reports but does not exist")

    def restore(self, user: int, sequence: int) -> None:
        """Set a counter from a dump."""
        self._sequences[user] = sequence


def _sides(fill: AuctionFill) -> tuple[tuple[Order, Order, int, int, int], ...]:
    """Return (order, other order, leaves, cum, fee) of both sides, the buyer's first."""
    return (
        (fill.buy, fill.sell, fill.buy_leaves, fill.buy_cum, fill.buy_fee),
        (fill.sell, fill.buy, fill.sell_leaves, fill.sell_cum, fill.sell_fee),
    )
