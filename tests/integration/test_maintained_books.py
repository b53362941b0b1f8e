"""Books that maintain themselves, against a real service: equal to the engine's, come what may."""

import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from hpe.client.backoff import Backoff
from hpe.client.books import MaintainedLevels, MaintainedOrders
from hpe.client.client import Client, connect
from hpe.errors import OrderRejected
from hpe.net.delivery import conflation
from hpe.protocol.enums import InstrumentStatus, Side
from hpe.protocol.limits import HEARTBEAT_MS_MAX
from hpe.protocol.market_data import BookLevel, GetOrderbook, OrderbookReply
from hpe.protocol.money import Deposit
from hpe.protocol.orders import CancelOrder, ReplaceOrder
from tests.support.cutting_proxy import CuttingProxy, cutting_proxy
from tests.support.integers import executed, limit_order
from tests.support.service import running_service

PATIENCE_S = 300
PATIENT_HEARTBEAT_S = HEARTBEAT_MS_MAX / 1_000
"""Of those who hear nothing for most of the test, however long it takes."""

SEED = 20_260_101
STEPS = 500
STALLED_STEPS = 400
"""So long a slow reader reads nothing: more than fits the buffers of both sides."""
D = Decimal

Book = MaintainedLevels | MaintainedOrders
Sides = tuple[list[BookLevel], list[BookLevel]]


class BookMover:
    """Moves the book of one instrument and notes how it was at every book_sequence that it saw."""

    def __init__(self, client: Client, instrument: int, dice: random.Random) -> None:
        self.client = client
        self.instrument = instrument
        self.dice = dice
        self.truth: dict[int, Sides] = {}
        self.sequence = 0
        self._resting: list[int] = []

    async def fund(self) -> None:
        for asset in (1, 3):
            await executed(self.client, Deposit(0, asset, 10**17))

    async def step(self) -> None:
        """Do something to the book, then look at it."""
        dice, client = self.dice, self.client
        side = dice.choice([Side.BUY, Side.SELL])
        away = dice.randint(1, 60) if dice.random() < 0.8 else -2
        price = 1_000 - away if side is Side.BUY else 1_000 + away
        try:
            if self._resting and dice.random() < 0.35:
                chosen = self._resting.pop(dice.randrange(len(self._resting)))
                await executed(client, CancelOrder(0, chosen))
            elif self._resting and dice.random() < 0.2:
                chosen = dice.choice(self._resting)
                leaves = dice.randint(1, 5)
                await executed(client, ReplaceOrder(0, chosen, 0, leaves_quantity=leaves))
            else:
                display = dice.choice([0, 0, 0, 1])
                quantity, on = dice.randint(1, 9), self.instrument
                new = limit_order(side, quantity, price, instrument=on, display_quantity=display)
                order = await executed(client, new)
                if order.leaves:
                    self._resting.append(order.order_id)
        except OrderRejected:  # it was filled meanwhile
            pass
        await self.look()

    async def look(self) -> None:
        query = GetOrderbook(0, self.instrument, 1_000)
        book = await self.client.session.read(OrderbookReply, query)
        self.truth[book.book_sequence] = (book.bids, book.asks)
        self.sequence = book.book_sequence


class BookWatcher:
    """Compares a maintained book with the truth at every sequence that both saw."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.seen: dict[int, Sides] = {}
        self._goal = -1
        self._reached = trio.Event()

    async def watch(self) -> None:
        while True:
            if self.book.live:
                self.seen[self.book.sequence] = (self.book.raw.bids(), self.book.raw.asks())
                if self.book.sequence == self._goal:
                    self._reached.set()
            await self.book.changed()

    async def wait_for(self, sequence: int) -> None:
        """Wait until the book is at a sequence; one that stays behind fails the test."""
        self._goal = sequence
        if sequence not in self.seen:
            await self._reached.wait()

    def compare(self, trader: BookMover) -> int:
        compared = 0
        for sequence in self.seen.keys() & trader.truth.keys():
            for known, whole in zip(self.seen[sequence], trader.truth[sequence], strict=True):
                assert known == whole[: len(known)], f"at book_sequence {sequence}"
                # As deep as promised: a quarter of the snapshot, or all there is.
                assert len(known) >= min(len(whole), 10)
            compared += 1
        return compared


@asynccontextmanager
async def narrow_proxy(port: int) -> AsyncIterator[CuttingProxy]:
    async with cutting_proxy(port) as proxy:
        proxy.receive_bytes = 1
        yield proxy


@asynccontextmanager
async def watching(
    address: str, instrument: str, count: int, first_user: int, **options: Any
) -> AsyncIterator[list[BookWatcher]]:
    """Open `count` clients with one book each, every other one of single orders."""
    async with AsyncExitStack() as stack:
        watchers = []
        for number in range(count):
            client = await stack.enter_async_context(
                connect(
                    address,
                    user=first_user + number,
                    timeout_s=PATIENCE_S,
                    backoff=Backoff(0.02, 0.02),
                    **options,
                )
            )
            make = client.orders_book if number % 2 else client.book
            depth = (40, 60, 1_000)[number % 3]
            watcher = BookWatcher(await stack.enter_async_context(make(instrument, depth=depth)))
            watchers.append(watcher)
        async with trio.open_nursery() as nursery:
            for watcher in watchers:
                nursery.start_soon(watcher.watch)
            yield watchers
            nursery.cancel_scope.cancel()


async def cut_often(
    proxy: CuttingProxy, watchers: Sequence[BookWatcher], dice: random.Random
) -> None:
    """Cut the connections of a proxy again and again, some of them while they are stalled.

    Only once all who watch through it are back: on a slow machine, too, they see something.
    """
    while True:
        for watcher in watchers:
            while not watcher.book.live:
                await watcher.book.changed()
        await trio.sleep(dice.uniform(0.05, 0.3))
        proxy.stall()
        await trio.sleep(dice.uniform(0.0, 0.3))
        proxy.go_on()
        proxy.cut()


def keep_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have little wait for slow readers: small socket buffers, and short backlogs behind them."""

    async def small_listeners(port: int, **options: Any) -> list[trio.SocketListener]:
        listeners = await open_tcp_listeners(port, **options)
        for listener in listeners:
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        return listeners

    open_tcp_listeners = trio.open_tcp_listeners
    monkeypatch.setattr(trio, "open_tcp_listeners", small_listeners)
    monkeypatch.setattr(conflation, "RECENT_UPDATES_MAX", 4)
    monkeypatch.setattr(conflation, "KEPT_UPDATES_MAX", 8)


async def test_the_books_of_a_hundred_subscribers_are_the_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_little(monkeypatch)
    dice = random.Random(SEED)
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            narrow_proxy(service.port) as cut_proxy,
            narrow_proxy(service.port) as slow_proxy,
            connect(service.address, user=1, timeout_s=PATIENCE_S, window=256) as client,
            watching(service.address, "BTC/USD", 40, 100) as steady,
            watching(cut_proxy.address, "BTC/USD", 30, 200) as cut,
            watching(
                slow_proxy.address, "BTC/USD", 30, 300, heartbeat_s=PATIENT_HEARTBEAT_S
            ) as slow,
        ):
            trader = BookMover(client, 1, dice)
            await trader.fund()
            await trader.look()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cut_often, cut_proxy, cut, random.Random(SEED + 1))
                for number in range(STEPS):
                    if number == (STEPS - STALLED_STEPS) // 2:
                        slow_proxy.stall()
                    elif number == (STEPS + STALLED_STEPS) // 2:
                        slow_proxy.go_on()
                    await trader.step()
                nursery.cancel_scope.cancel()
            for proxy in (cut_proxy, slow_proxy):
                proxy.go_on()
            for watcher in (*steady, *cut, *slow):
                await watcher.wait_for(trader.sequence)
            compared = {
                name: sum(watcher.compare(trader) for watcher in watchers)
                for name, watchers in (("steady", steady), ("cut", cut), ("slow", slow))
            }
            details = (await client.server_info()).details
            backlog = {name: details[f"market_updates_{name}"] for name in ("merged", "dropped")}
            print(f"seed {SEED}: {len(trader.truth)} books, compared {compared}, {backlog}")
            assert all(backlog.values()), "nobody was slow enough"
            assert compared["steady"] > 40 * STEPS * 3 // 4
            assert compared["cut"] > 30 * 50
            assert compared["slow"] > 30 * (STEPS - STALLED_STEPS) // 2
            assert all(watcher.book.mismatches == 0 for watcher in (*steady, *cut, *slow))
            assert all(watcher.book.resyncs for watcher in cut)


async def test_a_book_is_the_engines_through_a_call_auction(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
            client.book("BTC/USD") as book,
            client.status("BTC/USD") as status,
            client.best("BTC/USD") as best,
            client.trades("BTC/USD") as trades,
        ):
            assert (best.now.bid, status.now.status) == (None, InstrumentStatus.TRADING)
            await client.deposit("BTC", 5)
            await client.deposit("USD", 1_000)
            await client.set_status("BTC/USD", "call_auction")
            await client.submit_order("BTC/USD", "sell", 2, 99)
            await client.submit_order("BTC/USD", "buy", 1, 101)
            while status.now.indicative_price != 100 and status.now.indicative_volume != 1:
                await status.changed()
            assert status.now.status is InstrumentStatus.CALL_AUCTION
            assert (best.now.bid, best.now.ask) == (D(101), D(99))
            opened = await client.uncross("BTC/USD")
            trade = await anext(trades)
            assert (trade.price, trade.quantity, trade.side) == (opened.price, D(1), None)
            while status.now.status is not InstrumentStatus.TRADING:
                await status.changed()
            while best.now.bid is not None:
                await best.changed()
            assert (best.now.ask, best.now.ask_quantity) == (D(99), D(1))
            while book.sequence < best.now.sequence:
                await book.changed()
            view = book.view()
            assert (view.bids, [row.quantity for row in view.asks]) == ((), [D(1)])
            await client.submit_order("BTC/USD", "buy", D("0.25"))
            sold = await anext(trades)
            assert (sold.price, sold.quantity, sold.side) == (D(99), D("0.25"), Side.BUY)


async def test_a_deep_call_that_goes_quiet_is_reported_to_its_end(tmp_path: Path) -> None:
    """More levels cross than are searched for every batch, and nothing comes behind the burst."""
    levels, pair = 1_500, "BTC/USD"
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
            client.status(pair) as status,
        ):
            await client.deposit("BTC", 10**6)
            await client.deposit("USD", 10**9)
            await client.set_status(pair, "call_auction")
            await client.submit_order(pair, "sell", levels, 100)
            async with trio.open_nursery() as nursery:
                for number in range(levels):
                    nursery.start_soon(client.submit_order, pair, "buy", 1, 100 + number)
            for _ in range(3):  # the second and the third right behind one that was told
                await client.submit_order(pair, "sell", 1, 100)
            while status.now.indicative_surplus != -3:
                await status.changed()
            state = await client.get_instrument(pair)
            assert status.now.indicative_price == state.indicative_price
            assert status.now.indicative_volume == state.indicative_volume == levels


async def test_a_book_of_orders_keeps_their_places(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
            client.orders_book("BTC/USD") as book,
        ):
            await executed(client, Deposit(0, 1, 10**12))
            await executed(client, Deposit(0, 3, 10**12))
            first, second, third = [
                (await executed(client, limit_order(Side.SELL, 5, 100))).order_id for _ in range(3)
            ]
            await executed(client, ReplaceOrder(0, second, 0, leaves_quantity=2))
            # It loses its place.
            await executed(client, ReplaceOrder(0, first, 0, leaves_quantity=6))
            await executed(client, limit_order(Side.BUY, 3, 100))
            last = await client.get_orderbook("BTC/USD")
            while book.sequence < last.book_sequence:
                await book.changed()
            assert book.raw.orders(Side.SELL) == [(third, 100, 4), (first, 100, 6)]


async def test_what_is_not_listed_cannot_be_followed(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            with pytest.raises(LookupError, match="no instrument"):
                async with client.book("X/Y"):
                    pytest.fail("begun")
            async with client.book("BTC/USD"):
                with pytest.raises(ValueError, match="levels of instrument 1: this client"):
                    async with client.book("BTC/USD"):
                        pytest.fail("begun")
