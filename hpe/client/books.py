"""Market data in the client library: books that maintain themselves, trades, best prices, status.

A part of Client (hpe/client/client.py), and the streams that it returns; one task waits on a
stream, any may read it. Guarantees: a book is either the server's as of its `sequence`, verified by
the checksum, or not `live`; if updates are missed, do not fit or lie too deep, for example after a
reconnect, another snapshot repairs the book without the caller's help. Prices and quantities are
Decimals; `raw` has them in the integers of the wire.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Generic, TypeVar

from hpe.client import aio
from hpe.client.arguments import checked, integer
from hpe.client.calls import ClientCalls, StreamCall
from hpe.client.listings import word
from hpe.client.maintained_book import LevelsBook, MaintainedBook, OrdersBook, Verdict
from hpe.client.market_views import (
    BestView,
    BookOrderView,
    BookView,
    LevelView,
    StatusView,
    TradeView,
)
from hpe.client.results import rejected
from hpe.client.scales import InstrumentView
from hpe.client.subscriptions import Stream, Subscriptions, followed
from hpe.errors import HpeError, OrderRejected, StreamEnded
from hpe.protocol.base import Reply
from hpe.protocol.enums import Channel, Side
from hpe.protocol.limits import CHECKSUM_LEVELS, DEPTH_MAX
from hpe.protocol.market_data import (
    BestUpdate,
    LevelsUpdate,
    OrdersUpdate,
    StatusUpdate,
    Subscribe,
    Subscribed,
    TradesUpdate,
)

DEPTH_MIN: Final = 4 * CHECKSUM_LEVELS
"""Levels of the smallest snapshot: the checksum covers a quarter of it."""

TRADES_WAITING_MAX: Final = 16_384
"""Trades that may wait for their reader."""


class MarketStream(Stream):
    """The parts that all market-data streams share.

    Attributes:
        instrument: the instrument's view.
        resyncs: number of snapshots after the first one.
        unlisted: True if the stream ended because the instrument is not listed.
    """

    def __init__(self, instrument: InstrumentView, channel: Channel, depth: int) -> None:
        super().__init__((channel, instrument.id))
        self.instrument = instrument
        self.resyncs = -1
        self.unlisted = False
        self._request = checked(Subscribe(0, instrument.id, channel, depth))

    def ask(self) -> Subscribe:
        """Return the request for a snapshot and the updates after it."""
        return self._request

    def take(self, message: Reply) -> None:
        """Process the snapshot or an update."""
        if not isinstance(message, Subscribed):
            if self.live:
                self._update(message)
        elif message.snapshot is None:
            self.end(rejected(message))  # unknown_instrument, the only reason there is
        else:
            self.resyncs += 1
            self._snapshot(message)

    @abstractmethod
    def _snapshot(self, subscribed: Subscribed) -> None:
        """Start over with a snapshot."""

    @abstractmethod
    def _update(self, message: Reply) -> None:
        """Process an update; there was a snapshot before it."""

    def end(self, reason: HpeError) -> None:
        """Note that nothing more comes."""
        self.unlisted = self.unlisted or isinstance(reason, OrderRejected | StreamEnded)
        super().end(reason)

    async def changed(self) -> None:
        """Wait until something changed since the last call, or since the block began.

        Raises:
            RequestRefused: the server ended the stream.
            StreamEnded: the instrument was delisted.
            ConnectionLost: the client has ended.
        """
        await aio.checkpoint()
        self._raise_failure()
        await self._wait_news()
        self._raise_failure()


_B = TypeVar("_B", bound=MaintainedBook[Any])


class _BookStream(MarketStream, Generic[_B]):
    """A book that maintains itself.

    Attributes:
        live: True if it is the server's book as of `sequence`; else a snapshot is on its way.
        raw: the same book in ticks and lots, for reading only.
        mismatches: how often a checksum did not match: never, if both sides are right.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        instrument: InstrumentView,
        channel: Channel,
        depth: int,
        book: _B,
    ) -> None:
        super().__init__(instrument, channel, max(integer("depth", depth, 1), DEPTH_MIN))
        self.mismatches = 0
        self.raw: Final = book
        self._subscriptions = subscriptions
        self._renewing = False

    @property
    def sequence(self) -> int:
        """book_sequence of the newest change that is in the book."""
        return self.raw.sequence

    @property
    def bids(self) -> list[LevelView]:
        """The known bid levels, best first."""
        return [self.instrument.level(row) for row in self.raw.bids()]

    @property
    def asks(self) -> list[LevelView]:
        """The known ask levels, best first."""
        return [self.instrument.level(row) for row in self.raw.asks()]

    def view(self, depth: int | None = None) -> BookView:
        """Return the best `depth` levels of each side, or all that are known."""
        book, level = self.raw, self.instrument.level
        return BookView(
            symbol=self.instrument.symbol,
            sequence=book.sequence,
            time_ns=book.time_ns,
            bids=tuple(level(row) for row in book.bids(depth)),
            asks=tuple(level(row) for row in book.asks(depth)),
        )

    def suspend(self) -> None:
        """Wait for the snapshot of the next connection."""
        super().suspend()
        self._renewing = True

    def _snapshot(self, subscribed: Subscribed) -> None:
        self._renewing = False
        self._judge(self.raw.load(subscribed))

    def _update(self, message: Reply) -> None:
        assert isinstance(message, LevelsUpdate | OrdersUpdate)
        self._judge(self.raw.apply(message))

    def _judge(self, verdict: Verdict) -> None:
        if verdict is Verdict.APPLIED:
            self._begin()
        elif verdict is not Verdict.IGNORED:
            self.live = False
            self.mismatches += verdict is Verdict.MISMATCH
        if (not self.live or self.raw.shallow) and not self._renewing:
            self._renewing = True
            self._subscriptions.renew(self)


class MaintainedLevels(_BookStream[LevelsBook]):
    """A book of price levels. Made by `Client.book`."""


class MaintainedOrders(_BookStream[OrdersBook]):
    """A book of single orders. Made by `Client.orders_book`."""

    def orders(self, side: Side | str) -> list[BookOrderView]:
        """Return the known orders of a side: best price first, then in queue order."""
        rows = self.raw.orders(word("side", Side, side))
        return [self.instrument.book_order(row) for row in rows]


class BestPrices(MarketStream):
    """The newest best prices. Made by `Client.best`; `now` is their current value."""

    now: BestView

    def _snapshot(self, subscribed: Subscribed) -> None:
        assert isinstance(subscribed.snapshot, BestUpdate)
        self._set(subscribed.snapshot)

    def _update(self, message: Reply) -> None:
        assert isinstance(message, BestUpdate)
        if message.time_ns > self.now.time_ns:
            self._set(message)

    def _set(self, update: BestUpdate) -> None:
        self.now = self.instrument.best(update)
        self._begin()


class MarketStatus(MarketStream):
    """The newest state of an instrument. Made by `Client.status`; `now` is its current value."""

    now: StatusView

    def _snapshot(self, subscribed: Subscribed) -> None:
        assert isinstance(subscribed.snapshot, StatusUpdate)
        self._set(subscribed.snapshot)

    def _update(self, message: Reply) -> None:
        assert isinstance(message, StatusUpdate)
        if message.time_ns > self.now.time_ns:
            self._set(message)

    def _set(self, update: StatusUpdate) -> None:
        self.now = self.instrument.status(update)
        self._begin()


class Trades(MarketStream):
    """The trades of an instrument, as an async iterator. Made by `Client.trades`.

    Attributes:
        gaps: how often trades were missed: by a lost connection, or because they were not read.
    """

    def __init__(self, instrument: InstrumentView) -> None:
        super().__init__(instrument, Channel.TRADES, 1)
        self.gaps = 0
        self._last: int | None = None
        self._waiting: deque[TradeView] = deque()

    def __aiter__(self) -> Trades:
        """Iterate over the trades for as long as the instrument is listed."""
        return self

    async def __anext__(self) -> TradeView:
        """Return the next trade; raise what `changed` raises. Cancellation: safe.

        Raises:
            StopAsyncIteration: the instrument was delisted.
        """
        await aio.checkpoint()
        while not self._waiting:
            try:
                self._raise_failure()
            except StreamEnded:
                raise StopAsyncIteration from None
            await self._wait_news()
        return self._waiting.popleft()

    def _snapshot(self, subscribed: Subscribed) -> None:
        assert isinstance(subscribed.snapshot, TradesUpdate)
        if self._last is None:
            self._last = subscribed.snapshot.previous_trade_id
        self._add(subscribed.snapshot)
        self._begin()

    def _update(self, message: Reply) -> None:
        assert isinstance(message, TradesUpdate)
        self._add(message)
        self._news.set()

    def _add(self, update: TradesUpdate) -> None:
        assert self._last is not None
        if update.previous_trade_id > self._last:
            self.gaps += 1
            self._last = update.previous_trade_id
        for row in update.trades:
            trade_id = row[0]
            if trade_id > self._last:
                self._last = trade_id
                self._waiting.append(self.instrument.trade(row, update.time_ns))
        while len(self._waiting) > TRADES_WAITING_MAX:
            self._waiting.popleft()
            self.gaps += 1


class MarketDataCalls(ClientCalls):
    """Market data as methods of a client. Each returns a stream for the length of a block.

    Entering waits, however long it takes, for the first snapshot. Every method raises LookupError
    for an unknown symbol, RequestRefused if the server refuses, ValueError if this client already
    follows the same, ConnectionLost if the client has ended.
    """

    @StreamCall
    @asynccontextmanager
    async def book(
        self, instrument: InstrumentView | str, *, depth: int = DEPTH_MAX
    ) -> AsyncIterator[MaintainedLevels]:
        """Maintain a book of price levels.

        Args:
            instrument: its view or symbol.
            depth: levels per side of a snapshot; at least a quarter of them, or all there are,
                are known at any time.
        """
        view = await self.session.view(instrument)
        stream = MaintainedLevels(
            self.session.subscriptions, view, Channel.LEVELS, depth, LevelsBook()
        )
        async with self._following(stream):
            yield stream

    @StreamCall
    @asynccontextmanager
    async def orders_book(
        self, instrument: InstrumentView | str, *, depth: int = DEPTH_MAX
    ) -> AsyncIterator[MaintainedOrders]:
        """Maintain a book of single orders; the arguments are those of `book`."""
        view = await self.session.view(instrument)
        stream = MaintainedOrders(
            self.session.subscriptions, view, Channel.ORDERS, depth, OrdersBook()
        )
        async with self._following(stream):
            yield stream

    @StreamCall
    @asynccontextmanager
    async def best(self, instrument: InstrumentView | str) -> AsyncIterator[BestPrices]:
        """Follow the best prices."""
        stream = BestPrices(await self.session.view(instrument), Channel.BEST, 1)
        async with self._following(stream):
            yield stream

    @StreamCall
    @asynccontextmanager
    async def trades(self, instrument: InstrumentView | str) -> AsyncIterator[Trades]:
        """Follow the trades, from now on."""
        stream = Trades(await self.session.view(instrument))
        async with self._following(stream):
            yield stream

    @StreamCall
    @asynccontextmanager
    async def status(self, instrument: InstrumentView | str) -> AsyncIterator[MarketStatus]:
        """Follow what may be done with an instrument's orders, and its call auctions."""
        stream = MarketStatus(await self.session.view(instrument), Channel.STATUS, 1)
        async with self._following(stream):
            yield stream

    @asynccontextmanager
    async def _following(self, stream: MarketStream) -> AsyncIterator[None]:
        """Follow a stream; after a delisting, look its symbol up again."""
        try:
            async with followed(self.session.subscriptions, stream):
                yield
        finally:
            if stream.unlisted:
                self.session.listings.forget()
