"""Market-data streams of the client against a scripted server: missed updates are repaired."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from hpe.client.books import (
    DEPTH_MIN,
    TRADES_WAITING_MAX,
    BestPrices,
    MaintainedLevels,
    MaintainedOrders,
    MarketStatus,
    MarketStream,
    Trades,
)
from hpe.client.decimals import price_grid, quantity_grid
from hpe.client.maintained_book import LevelsBook, OrdersBook, book_checksum
from hpe.client.market_views import BestView, BookOrderView, LevelView, TradeView
from hpe.client.scales import AssetView, InstrumentView
from hpe.client.subscriptions import followed
from hpe.errors import ConnectionLost, OrderRejected
from hpe.protocol.base import Reply
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import BookChange, Channel, InstrumentStatus, Side
from hpe.protocol.market_data import (
    BestUpdate,
    BookLevel,
    LevelsUpdate,
    OrdersSnapshot,
    OrdersUpdate,
    StatusUpdate,
    Subscribe,
    Subscribed,
    TradesUpdate,
    Unsubscribe,
)
from tests.support.stream_peer import StreamPeer, stream_peer

D = Decimal
BASE, QUOTE = AssetView.of((1, "BTC", 8)), AssetView.of((2, "USD", 2))
PAIR = InstrumentView(
    3,
    "BTC/USD",
    BASE,
    QUOTE,
    price_grid(
        "BTC/USD",
        base_atoms_per_lot=10**8,
        quote_atoms_per_tick=10,
        base_decimals=8,
        quote_decimals=2,
    ),
    quantity_grid("BTC/USD", 10**8, 8),
)
"""A tick is 0.1 USD, a lot one BTC."""


def subscribed(
    request: Subscribe, snapshot: Any, *, more_bids: bool = False, reason: int = 0
) -> Subscribed:
    return Subscribed(
        request.request_id, 0, 9, reason, PAIR.id, request.channel, snapshot, more_bids, False
    )


def levels(
    first: int, last: int, bids: list[BookLevel], whole: list[BookLevel] | None = None
) -> LevelsUpdate:
    """Return an update of bids; `whole` is the side afterwards, for the checksum."""
    rows = bids if whole is None else whole
    checksum = book_checksum([row[:2] for row in rows], [])
    return LevelsUpdate(0, 0, PAIR.id, first, last, last, bids, [], checksum)


@asynccontextmanager
async def following(peer: StreamPeer, stream: MarketStream, snapshot: Reply) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:

        async def answer() -> None:
            request = await peer.request(Subscribe)
            assert (request.channel, request.instrument) == stream.topic
            peer.say(subscribed(request, snapshot))

        nursery.start_soon(answer)
        async with followed(peer.subscriptions, stream):
            yield


def levels_book(peer: StreamPeer, depth: int = 40) -> MaintainedLevels:
    return MaintainedLevels(peer.subscriptions, PAIR, Channel.LEVELS, depth, LevelsBook())


async def no_change(stream: MarketStream) -> None:
    with trio.move_on_after(1) as scope:
        await stream.changed()
    assert scope.cancelled_caught


async def test_a_book_follows_its_updates(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer:
        book = levels_book(peer)
        async with following(peer, book, levels(0, 5, [(100, 2, 1)])):
            assert (book.live, book.sequence) == (True, 5)
            assert (book.raw.bids(), book.raw.asks()) == ([(100, 2, 1)], [])
            assert (book.bids, book.asks) == ([LevelView(D(10), D(2), 1)], [])
            await no_change(book)
            peer.say(
                levels(6, 8, [(100, 3, 2)]), levels(9, 9, [(99, 1, 1)], [(100, 3, 2), (99, 1, 1)])
            )
            await book.changed()
            assert book.view().bids == (LevelView(D(10), D(3), 2), LevelView(D("9.9"), D(1), 1))
            assert len(book.view(1).bids) == 1
            assert (book.sequence, book.resyncs, book.mismatches) == (9, 0, 0)
            await no_change(book)
        assert await peer.request(Unsubscribe) == Unsubscribe(2, PAIR.id, Channel.LEVELS)
        with pytest.raises(ConnectionLost, match="left"):
            await book.changed()


@pytest.mark.parametrize(
    ("bad", "mismatches"),
    [(levels(7, 7, [(100, 9, 1)]), 0), (levels(6, 6, [(100, 9, 1)], [(100, 8, 1)]), 1)],
    ids=["gap", "mismatch"],
)
async def test_a_book_that_is_wrong_is_not_live_until_the_next_snapshot(
    autojump_clock: MockClock, bad: LevelsUpdate, mismatches: int
) -> None:
    async with stream_peer() as peer:
        book = levels_book(peer)
        async with following(peer, book, levels(0, 5, [(100, 2, 1)])):
            peer.say(bad, levels(8, 8, [(100, 9, 1)]))
            assert not book.live
            request = await peer.request(Subscribe)
            await no_change(book)
            peer.say(levels(9, 9, [(100, 9, 1)]))
            assert not book.live
            peer.say(
                subscribed(request, levels(0, 9, [(100, 7, 1)])), levels(10, 10, [(100, 6, 1)])
            )
            await book.changed()
            assert (book.live, book.sequence, book.raw.bids()) == (True, 10, [(100, 6, 1)])
            assert (book.resyncs, book.mismatches) == (1, mismatches)
            await peer.quiet()


async def test_a_book_that_gets_shallow_stays_live_while_it_asks_for_more(
    autojump_clock: MockClock,
) -> None:
    rows = [(price, 1, 1) for price in range(100, 60, -1)]
    async with stream_peer() as peer:
        book = levels_book(peer)
        async with following(peer, book, levels(0, 1, [(1, 1, 1)])):
            peer.cut()
            assert not book.live
            peer.connect()
            first = await peer.request(Subscribe)
            peer.say(subscribed(first, levels(0, 1, rows), more_bids=True))
            for number, gone in enumerate(range(100, 69, -1), 2):
                peer.say(levels(number, number, [(gone, 0, 0)], rows[number - 1 :]))
            assert book.live
            assert len(book.bids) == 9
            again = await peer.request(Subscribe)
            peer.say(levels(33, 33, [(69, 0, 0)], rows[32:]))
            assert book.live
            peer.say(subscribed(again, levels(0, 33, [(68, 1, 1)]), more_bids=False))
            assert book.raw.bids() == [(68, 1, 1)]
            await peer.quiet()


async def test_a_small_book_asks_for_what_proves_it(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer:
        assert levels_book(peer, depth=1).ask().depth == DEPTH_MIN
        assert levels_book(peer, depth=900).ask().depth == 900


async def test_a_book_of_orders(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer:
        book = MaintainedOrders(peer.subscriptions, PAIR, Channel.ORDERS, 40, OrdersBook())
        checksum = book_checksum([(100, 5)], [])
        snapshot = OrdersSnapshot(0, 0, PAIR.id, 4, 1, [(7, 100, 2), (8, 100, 3)], [], checksum)
        async with following(peer, book, snapshot):
            assert book.raw.orders(Side.BUY) == [(7, 100, 2), (8, 100, 3)]
            assert book.orders("buy") == [
                BookOrderView(7, D(10), D(2)),
                BookOrderView(8, D(10), D(3)),
            ]
            rows = [
                (BookChange.CHANGED, Side.BUY, 7, 100, 1),
                (BookChange.REMOVED, Side.BUY, 8, 100, 0),
            ]
            checksum = book_checksum([(100, 1)], [])
            peer.say(OrdersUpdate(0, 0, PAIR.id, 5, 6, 2, rows, checksum))
            await book.changed()
            assert (book.raw.orders(Side.BUY), book.raw.bids()) == ([(7, 100, 1)], [(100, 1, 1)])
            assert book.bids == [LevelView(D(10), D(1), 1)]
            assert book.orders("sell") == []


@pytest.mark.parametrize(("reason", "name"), [(3, "unknown_instrument"), (99, "reason_99")])
async def test_a_subscription_that_is_rejected(
    autojump_clock: MockClock, reason: int, name: str
) -> None:
    async with stream_peer() as peer, trio.open_nursery() as nursery:

        async def serve() -> None:
            peer.say(subscribed(await peer.request(Subscribe), None, reason=reason))

        nursery.start_soon(serve)
        with pytest.raises(OrderRejected, match=name):
            async with followed(peer.subscriptions, levels_book(peer)):
                pytest.fail("begun")


def best(last: int, time_ns: int, bid: int) -> BestUpdate:
    return BestUpdate(0, 0, PAIR.id, last, time_ns, bid, 4, 0, 0)


async def test_best_prices_are_the_newest(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer:
        prices = BestPrices(PAIR, Channel.BEST, 1)
        async with following(peer, prices, best(1, 10, 100)):
            raw = best(1, 10, 100)
            assert prices.now == BestView("BTC/USD", 1, 10, D(10), D(4), None, D(0), raw)
            assert prices.now.raw == raw
            peer.say(best(0, 9, 5), best(1, 10, 5))  # from before the snapshot
            await no_change(prices)
            peer.say(best(2, 11, 101), best(3, 12, 0))
            await prices.changed()
            assert (prices.now.bid, prices.now.sequence) == (None, 3)


async def test_status(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer:
        status = MarketStatus(PAIR, Channel.STATUS, 1)
        snapshot = StatusUpdate(0, 0, PAIR.id, 1, 10, 4, 100, 90, 110, 101, 7, -2)
        async with following(peer, status, snapshot):
            now = status.now
            assert (now.symbol, now.status) == ("BTC/USD", InstrumentStatus.CALL_AUCTION)
            assert now.raw == snapshot
            assert (now.last_price, now.band_low, now.band_high) == (D(10), D(9), D(11))
            assert (now.indicative_price, now.indicative_volume) == (D("10.1"), D(7))
            assert now.indicative_surplus == D(-2)
            peer.say(StatusUpdate(0, 0, PAIR.id, 1, 11, 1, 0, 0, 0, 0, 0, 0))
            await status.changed()
            assert (status.now.status, status.now.band_low) == (InstrumentStatus.TRADING, None)


def trades(previous: int, *ids: int) -> TradesUpdate:
    rows = [(number, 100, 1, number % 3) for number in ids]
    return TradesUpdate(0, 0, PAIR.id, 1, 5, previous, rows)


async def test_trades_come_once_and_gaps_are_counted(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer:
        stream = Trades(PAIR)
        async with following(peer, stream, trades(10)):
            peer.say(trades(10, 11, 15), trades(10, 11), trades(15, 16))
            first = await anext(stream)
            raw = (11, 100, 1, Side.SELL)
            assert first == TradeView("BTC/USD", 11, 5, D(10), D(1), Side.SELL, raw)
            assert first.raw == raw
            assert [(await anext(stream)).trade_id for _ in range(2)] == [15, 16]
            assert stream.gaps == 0
            peer.say(trades(18, 21))
            last = await anext(stream)
            assert (last.trade_id, last.side, stream.gaps) == (21, None, 1)
            peer.cut()
            peer.connect()
            request = await peer.request(Subscribe)
            peer.say(trades(21, 22))  # of nobody's subscription
            peer.say(subscribed(request, trades(25)), trades(25, 26))
            assert (await anext(stream)).trade_id == 26
            assert stream.gaps == 2


async def test_trades_that_nobody_reads_are_bounded(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer:
        stream = Trades(PAIR)
        async with following(peer, stream, trades(0)):
            for number in range(1, TRADES_WAITING_MAX + 3):
                stream.take(trades(number - 1, number))
            assert stream.gaps == 2
            assert (await anext(stream)).trade_id == 3


async def test_a_narrow_window_is_enough_for_many_streams(autojump_clock: MockClock) -> None:
    async with stream_peer(window=1) as peer:
        books = [levels_book(peer), BestPrices(PAIR, Channel.BEST, 1), Trades(PAIR)]
        snapshots = {
            Channel.LEVELS: levels(0, 1, [(100, 1, 1)]),
            Channel.BEST: best(1, 1, 100),
            Channel.TRADES: trades(0),
        }
        for stream in books:
            peer.subscriptions.open(stream)
        for _ in range(2):
            for _ in books:
                request = await peer.request(Subscribe)
                assert peer.asked == []
                peer.say(subscribed(request, snapshots[Channel(request.channel)]))
            for stream in books:
                await stream.wait_begun()
                assert stream.live
            peer.cut()
            peer.connect()


async def test_a_refused_renewal_ends_the_stream(autojump_clock: MockClock) -> None:
    async with stream_peer() as peer:
        book = levels_book(peer)
        async with following(peer, book, levels(0, 5, [(100, 2, 1)])):
            peer.say(levels(9, 9, []))
            peer.refuse(await peer.request(Subscribe), ErrorCode.TOO_MANY_SUBSCRIPTIONS)
            with pytest.raises(Exception, match="too_many_subscriptions"):
                await book.changed()
