"""A venue with one pair and two rich traders, whose core can be made to split work into parts.

For tests of `continue`. The limits of one command and one batch are small enough here that a few
orders exceed them.
"""

from __future__ import annotations

from typing import Any, Final

from hpe.core.codec import decode_body
from hpe.core.contract import DEFAULT_LIMITS, Limits
from hpe.core.decoding.judging import LOGGED_TABLES, decode_request
from hpe.protocol.base import Request
from hpe.protocol.enums import ExecType, OrderType, Side, TimeInForce
from hpe.protocol.frames import split_frames
from hpe.protocol.orders import ListOrders, OrdersReply, SubmitOrder
from hpe.protocol.reports import ExecutionReport, OrderReport
from tests.support.core_driver import CoreFactory, Venue
from tests.support.core_parts import place

FUNDS: Final = 10**9


def limit_stops(pit: Pit, count: int) -> None:
    """Let this many stops fire in one command."""
    pit.venue.limit(stops=count)


def limit_effort(pit: Pit, effort: int) -> None:
    """Make a batch full after this many fills and reports; a quarter is for unfinished work."""
    pit.venue.limit(effort=effort, turns_effort=effort // 4, continue_effort=0)


def limit_fills(pit: Pit, fills: int) -> None:
    """Allow an uncross this many fills per command."""
    pit.venue.limit(uncross_fills=fills, part_fills=fills)


class Pit:
    """A venue with one pair and two traders, `alice` (user 1) and `bob` (user 2)."""

    def __init__(self, new_core: CoreFactory, limits: Limits = DEFAULT_LIMITS) -> None:
        self.venue = Venue(new_core, limits)
        self.alice, self.bob = self.venue.attach(1), self.venue.attach(2)
        self.alice.list_pair()
        for trader in (self.alice, self.bob):
            for asset in (1, 2):
                trader.deposit(asset, FUNDS)

    @property
    def unfinished(self) -> bool:
        """True if work is unfinished. Not asked by a query: its batch would continue the work."""
        return self.venue.core.unfinished

    def finish(self) -> None:
        """Apply empty batches until nothing is unfinished."""
        while self.unfinished:
            self.venue.apply()

    def trade_at(self, price: int) -> None:
        """Make one trade, which sets the last price."""
        self.alice.submit(Side.SELL, price, 1)
        self.bob.submit(Side.BUY, price, 1)

    def sell_stops(self, count: int, trigger: int = 90, **fields: Any) -> list[int]:
        """Submit sell stops of one lot each; return their ids."""
        kind = OrderType.STOP
        return [
            place(self.alice, Side.SELL, 0, 1, kind, stop_price=trigger, **fields).order_id
            for _ in range(count)
        ]

    def set_off(self, price: int = 90, quantity: int = 1) -> SubmitOrder:
        """Return a request that sells down to a price, so that stops above it fire."""
        kind, tif = OrderType.LIMIT, TimeInForce.GTC
        return SubmitOrder(self.bob.next_id(), 1, 0, Side.SELL, kind, tif, price, quantity)

    def reports(self, user: int, exec_type: ExecType) -> list[tuple[int, int]]:
        """Return (sequence, order id) of a user's reports of one kind."""
        return [
            (report.sequence, report.order_id)
            for report in self.venue.private.get(user, [])
            if isinstance(report, ExecutionReport | OrderReport) and report.exec_type == exec_type
        ]

    def everything(self) -> tuple[Any, ...]:
        """Return all that traders can see: accounts, the book, open orders, fills; no sequences."""
        traders = (self.alice, self.bob)
        money = [[trader.money(asset) for asset in (1, 2)] for trader in traders]
        rows = [trader.get(OrdersReply, ListOrders(1)).rows for trader in traders]
        fills = [
            (fill.trade_id, fill.order_id, fill.last_price, fill.last_quantity, fill.leaves)
            for user in (1, 2)
            for fill in self.venue.private.get(user, [])
            if isinstance(fill, ExecutionReport)
        ]
        book = self.alice.book()
        return money, book.bids, book.asks, book.last_price, rows, fills


def logged(body: bytes) -> list[tuple[int, list[type[Request]]]]:
    """Return (session, [kinds of commands]) of each group of a log body."""
    return [
        (session, [type(decode_request(frame, LOGGED_TABLES)) for frame in split_frames(frames)])
        for session, _, frames in decode_body(body).groups
    ]


LIVING: Final = 76
DEAD: Final = 4


def pit_before_the_dead(new_core: CoreFactory, effort: int) -> Pit:
    """Return a pit with living sell orders and, after them, dead ones that have not ended."""
    limits = Limits(acts=(1, 1, 1, 1, 1), dead=DEAD - 1, effort=effort, continue_effort=0)
    pit = Pit(new_core, limits)
    pit.trade_at(100)
    crowded = pit.alice.list_pair()
    pit.alice.deposit(4, 10**6)
    soon, gtd = pit.venue.time_ns + 10**9, TimeInForce.GTD
    for _ in range(30):
        place(pit.alice, Side.BUY, 1, 1, tif=gtd, expires_ns=soon - 1, instrument=crowded)
    for _ in range(LIVING):
        pit.alice.submit(Side.SELL, 101, 1)
    for _ in range(DEAD):
        place(pit.alice, Side.SELL, 102, 1, tif=gtd, expires_ns=soon)
    pit.venue.time_ns += 2 * 10**9
    pit.bob.deposit(1, 1)
    return pit


def buy_up_to(pit: Pit, price: int, quantity: int) -> SubmitOrder:
    """Return a bid of bob's, not sent yet."""
    kind, tif = OrderType.LIMIT, TimeInForce.GTC
    return SubmitOrder(pit.bob.next_id(), 1, 0, Side.BUY, kind, tif, price, quantity)
