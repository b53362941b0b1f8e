"""Private events in the client library: every report of a user, once and in order.

A part of Client (hpe/client/client.py), and the stream that it returns; one task iterates over a
stream. Guarantees: reports come in order of private_sequence, none missing and none twice, across
reconnects and restarts of the service; if the server no longer keeps the missing ones, a Snapshot
takes their place; a reader that falls behind loses nothing: what it does not take stays on the
server, and is fetched when it has caught up. Events are views with Decimals; `raw` is the report of
the wire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, TypeVar

from hpe.client import aio
from hpe.client.arguments import checked
from hpe.client.calls import ClientCalls, StreamCall
from hpe.client.channel import SessionChannel
from hpe.client.listings import KnownListings
from hpe.client.pages import read_balances, read_fills, read_holds, read_orders
from hpe.client.subscriptions import PRIVATE, RETRY_S, Stream, Subscriptions, followed
from hpe.client.views import (
    AccountView,
    BalanceReportView,
    ExecutionView,
    FillView,
    HoldReportView,
    HoldView,
    OrderReportView,
    OrderStateView,
    PreventedMatchView,
)
from hpe.errors import NotConnected, ProtocolError, ReplyTimeout, RequestRefused
from hpe.protocol.base import Reply
from hpe.protocol.codes import ErrorCode
from hpe.protocol.money import BalanceRow, HoldRow
from hpe.protocol.orders import FillRow, OrderRow
from hpe.protocol.reports import (
    BalanceReport,
    ExecutionReport,
    HoldReport,
    OrderReport,
    PrivateReport,
    PrivateSubscribed,
    PrivateUpdate,
    SubscribePrivate,
)

WAITING_MAX: Final = 16_384
"""Reports that wait here for their reader; more than that wait on the server."""


class RawSnapshot(NamedTuple):
    """The lists of a Snapshot in the integers of the wire."""

    sequence: int
    orders: list[OrderRow]
    balances: list[BalanceRow]
    holds: list[HoldRow]
    fills: list[FillRow]
    fills_complete_after: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A user's state, in place of reports that the server no longer keeps.

    `fills` are those after the last report before this; their effects are in the other lists. Fills
    with a private sequence at or below `fills_complete_after` may be missing; 0: none is. The
    reports that follow have a `sequence` above this one. If much happened while the lists were
    read, orders, balances and holds may be newer than `sequence` says: reports carry the state
    afterwards, not differences, so applying them again does no harm.
    """

    sequence: int
    orders: list[OrderStateView]
    balances: list[AccountView]
    holds: list[HoldView]
    fills: list[FillView]
    fills_complete_after: int
    raw: RawSnapshot = field(repr=False, compare=False)


class _Gap(NamedTuple):
    """Marks reports that the server did not keep; `last` is the newest of them."""

    last: int


ReportView = (
    ExecutionView | OrderReportView | PreventedMatchView | HoldReportView | BalanceReportView
)

PrivateEvent = ReportView | Snapshot
"""What happened."""

_R = TypeVar("_R")


class PrivateEvents(Stream):
    """The private stream of one user, as an async iterator. Made by `Client.private_events`.

    Attributes:
        user: the stream's user.
        position: private_sequence up to which everything was returned: `private_events(after=...)`
            continues after it. None before the stream began.
        snapshots: how often the server no longer kept missing reports.
    """

    def __init__(
        self,
        requests: SessionChannel,
        subscriptions: Subscriptions,
        listings: KnownListings,
        user: int,
        after: int | None,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        super().__init__((PRIVATE, user))
        self.user = user
        self.position = after
        self.snapshots = 0
        self._requests = requests
        self._subscriptions = subscriptions
        self._listings = listings
        self._waiting_max = waiting_max
        self._received = after  # private_sequence of the newest report received
        self._waiting: deque[PrivateReport | _Gap] = deque()
        self._paused = False  # True if too much waits and the server was told to stop
        self._too_old = False  # True if the next beginning follows a gap
        self._floor = 0  # sequence of the last snapshot, which includes reports up to it

    def __aiter__(self) -> PrivateEvents:
        """Iterate over the events, forever."""
        return self

    async def __anext__(self) -> PrivateEvent:
        """Return the next event.

        Raises:
            RequestRefused: the server ended the stream.
            ConnectionLost: the client has ended.

        Cancellation: safe; nothing is lost.
        """
        await aio.checkpoint()
        while True:
            while self._waiting:
                first = self._waiting[0]
                if isinstance(first, _Gap):
                    return await self._snapshot(first)
                view = None
                if first.sequence > self._floor:
                    view = await self._persist(partial(self._view, first))
                # No await after this: what is taken from the queue is returned.
                self._waiting.popleft()
                self.position = first.private_sequence
                if view is not None:
                    return view
            self._raise_failure()
            if self._paused:
                self._paused = False
                self._subscriptions.renew(self)
            await self._wait_news()

    async def _snapshot(self, gap: _Gap) -> Snapshot:
        """Return the user's state, read from the server."""
        raw = await self._persist(self._read)
        snapshot = await self._persist(partial(self._snapshot_view, raw))
        self._waiting.popleft()
        self._floor, self.position = snapshot.sequence, gap.last
        self.snapshots += 1
        return snapshot

    async def _persist(self, ask: Callable[[], Awaitable[_R]]) -> _R:
        """Ask until everything was received."""
        while True:
            try:
                return await ask()
            except (ReplyTimeout, NotConnected):
                continue
            except RequestRefused as error:
                if not error.retryable:
                    raise
                await aio.sleep(RETRY_S)

    async def _read(self) -> RawSnapshot:
        """Read all lists; fills first: `sequence` is theirs, and no other list is older."""
        requests, user = self._requests, self.user
        fills = await read_fills(requests, user, self.position or 0)
        orders = await read_orders(requests, user)
        balances = await read_balances(requests, user)
        holds = await read_holds(requests, user)
        return RawSnapshot(
            fills.sequence, orders.rows, balances.rows, holds.rows, fills.rows,
            fills.complete_after,
        )  # fmt: skip

    async def _snapshot_view(self, raw: RawSnapshot) -> Snapshot:
        asset, instrument = self._listings.asset_of, self._listings.instrument_of
        for row in raw.orders:
            self._listings.orders.add(row.order_id, row.instrument)
        return Snapshot(
            raw.sequence,
            [(await instrument(row.instrument)).order_state(row) for row in raw.orders],
            [(await asset(row[0])).account(row) for row in raw.balances],
            [(await asset(row[1])).hold(row) for row in raw.holds],
            [(await instrument(row.instrument)).fill(row) for row in raw.fills],
            raw.fills_complete_after,
            raw,
        )

    async def _view(self, report: PrivateReport) -> ReportView:
        if isinstance(report, BalanceReport):
            return (await self._listings.asset_of(report.asset)).balance_report(report)
        if isinstance(report, HoldReport):
            return (await self._listings.asset_of(report.asset)).hold_report(report)
        instrument = await self._listings.instrument_of(report.instrument)
        if isinstance(report, ExecutionReport):
            return instrument.execution(report)
        if isinstance(report, OrderReport):
            self._listings.orders.add(report.order_id, report.instrument)
        return instrument.event(report)

    # --- the subscriptions' side --------------------------------------------------------------

    def ask(self) -> SubscribePrivate | None:
        """Return the request for what follows the received reports."""
        if self._paused:
            return None
        return SubscribePrivate(0, None if self._too_old else self._received, self.user)

    def take(self, message: Reply) -> None:
        """Process the beginning or reports."""
        if isinstance(message, PrivateSubscribed):
            if self._too_old:
                self._too_old = False
                self._waiting.append(_Gap(message.after))
            elif self._received is None:
                self.position = message.after
            self._received = message.after
            self._begin()
        elif isinstance(message, PrivateUpdate) and self.live:
            self._add(message)

    def refused(self, error: RequestRefused) -> None:
        """Process a refusal; if it is beyond the server's ring, begin now and read a snapshot."""
        if error.code == ErrorCode.RESUME_TOO_OLD:
            self._too_old = True
            self._subscriptions.renew(self)
        else:
            self.end(error)

    def _add(self, update: PrivateUpdate) -> None:
        assert self._received is not None
        if update.last - update.first + 1 != len(update.reports):
            raise ProtocolError(
                f"private_update {update.first}..{update.last} has {len(update.reports)} reports"
            )
        if update.last <= self._received:
            return
        if update.first > self._received + 1:  # never sent by a correct server
            self.live = False
            self._subscriptions.renew(self)
            return
        self._waiting.extend(update.reports[self._received + 1 - update.first :])
        self._received = update.last
        self._news.set()
        if len(self._waiting) >= self._waiting_max:
            self.live, self._paused = False, True
            self._subscriptions.pause(self)


class StreamCalls(ClientCalls):
    """The private stream as a method of a client."""

    @StreamCall
    def private_events(
        self, after: int | None = None, user: int = 0
    ) -> AbstractAsyncContextManager[PrivateEvents]:
        """Follow a user's orders, holds and accounts for the length of a block.

        Use: `async with client.private_events() as events: async for event in events: ...`.
        Entering waits, however long it takes, until the server has begun the stream.

        Args:
            after: `position` of an earlier stream, to continue after it; None begins now.
            user: the stream's user; 0 for the session's own.

        Raises:
            RequestRefused: not allowed, or no report has that position yet (resume_ahead).
            ValueError: this client already follows the user.
            ConnectionLost: the client has ended.
        """
        session = self.session
        asked = checked(SubscribePrivate(0, after, user or session.user))
        events = PrivateEvents(
            session.requests, session.subscriptions, session.listings, asked.user, asked.after
        )
        return followed(session.subscriptions, events)
