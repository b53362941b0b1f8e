"""Delisting over TCP: what follows an instrument ends cleanly, and its symbol is free."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest
import trio

from hpe.client.client import Client, connect
from hpe.client.sync import connect_sync
from hpe.client.views import BalanceReportView
from hpe.errors import OrderRejected, StreamEnded
from tests.support.service import running_service

PATIENCE_S = 120
"""Deadline of the tests: a shared machine may be slow."""


async def test_streams_and_books_of_a_delisted_instrument_end(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path, auto_create=True) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as watcher,
            connect(service.address, user=2, timeout_s=PATIENCE_S) as operator,
        ):
            await operator.resolve_instrument("NEW", "OLD")
            async with (
                watcher.book("NEW/OLD") as book,
                watcher.orders_book("NEW/OLD") as orders,
                watcher.best("NEW/OLD") as best,
                watcher.status("NEW/OLD") as status,
                watcher.trades("NEW/OLD") as trades,
                watcher.best("BTC/USD") as other,
            ):
                await operator.delist_instrument("NEW/OLD")
                for stream in (book, orders, best, status):
                    with pytest.raises(StreamEnded, match="delisted"):
                        await stream.changed()
                    assert not stream.live
                assert [trade async for trade in trades] == []
                assert other.live
            await operator.delist_asset("NEW")
            for client in (watcher, operator):
                with pytest.raises(LookupError):
                    await client.get_instrument("NEW/OLD")
            await operator.resolve_instrument("NEW", "OLD")
            assert (await operator.instrument("NEW/OLD")).base.id == 6


async def test_what_is_used_stays(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            await client.deposit("USD", 100)
            await client.submit_order("BTC/USD", "buy", 1, 1)
            with pytest.raises(OrderRejected, match="in_use"):
                await client.delist_instrument("BTC/USD")
            with pytest.raises(OrderRejected, match="in_use"):
                await client.delist_asset("USD")


async def test_a_blocking_iteration_over_trades_ends(tmp_path: Path) -> None:
    def follow(address: str) -> list[object]:
        with (
            connect_sync(address, user=1, timeout_s=PATIENCE_S) as client,
            client.trades("ETH/USD") as trades,
        ):
            client.delist_instrument("ETH/USD")
            return list(trades)

    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            assert await trio.to_thread.run_sync(follow, service.address) == []


async def settle(client: Client, symbol: str, amount: int) -> None:
    """Leave a report of an asset, and nothing in the account."""
    await client.deposit(symbol, amount)
    await client.withdraw(symbol, amount)


async def test_reports_about_what_was_delisted_are_shown(tmp_path: Path) -> None:
    """One who never saw it listed gets its raw integers and no number that could be wrong."""
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path, auto_create=True) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            await client.resolve_instrument("NEW", "OLD")
            new = await client.asset("NEW")
            await settle(client, "NEW", 5)
            await client.deposit("USD", 7)
            await client.delist_instrument("NEW/OLD")
            await client.delist_asset("NEW")
            async with connect(service.address, user=1, timeout_s=PATIENCE_S) as late:
                for each, symbol in ((client, "NEW"), (late, f"asset {new.id}")):
                    async with each.private_events(after=0) as events:
                        put, taken, usd = [await anext(events) for _ in range(3)]
                    assert isinstance(put, BalanceReportView)
                    assert isinstance(taken, BalanceReportView)
                    assert isinstance(usd, BalanceReportView)
                    assert (put.symbol, taken.symbol, usd.symbol) == (symbol, symbol, "USD")
                    assert (put.raw.available, usd.available) == (new.amounts.count(5), 7)
                    assert put.available.is_nan() == (each is late)


async def list_new(operator: Client, decimals: int, quote_atoms_per_tick: int) -> None:
    usd = await operator.asset("USD")
    base = await operator.add_asset("NEW", decimals)
    await operator.add_instrument(
        "NEW/USD", base, usd.id, quote_atoms_per_tick=quote_atoms_per_tick
    )


async def enter(stream: AbstractAsyncContextManager[object]) -> None:
    async with stream:
        pass


SYMBOL_CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "submit_order": lambda client: client.submit_order("NEW/USD", "buy", 1, 5),
    "list_orders": lambda client: client.list_orders("NEW/USD"),
    "mass_cancel": lambda client: client.mass_cancel("NEW/USD"),
    "get_orderbook": lambda client: client.get_orderbook("NEW/USD"),
    "get_balance": lambda client: client.get_balance("NEW"),
    "book": lambda client: enter(client.book("NEW/USD")),
    "trades": lambda client: enter(client.trades("NEW/USD")),
}


async def test_a_symbol_that_is_listed_anew_has_its_new_scale(tmp_path: Path) -> None:
    """What was known of the symbol is rejected once, whatever names it, and forgotten then."""
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as operator,
            AsyncExitStack() as stack,
        ):
            await operator.deposit("USD", 1_000)
            await list_new(operator, decimals=2, quote_atoms_per_tick=1)
            clients = {}
            for name in SYMBOL_CALLS:
                connection = connect(service.address, user=1, timeout_s=PATIENCE_S)
                clients[name] = await stack.enter_async_context(connection)
                await clients[name].instrument("NEW/USD")
            await operator.delist_instrument("NEW/USD")
            await operator.delist_asset("NEW")
            await list_new(operator, decimals=4, quote_atoms_per_tick=100)
            order = await operator.submit_order("NEW/USD", "buy", 1, 5)
            for name, call in SYMBOL_CALLS.items():
                with pytest.raises(OrderRejected, match="unknown_"):
                    await call(clients[name])
                await call(clients[name])
                if name == "mass_cancel":  # it found the order
                    order = await operator.submit_order("NEW/USD", "buy", 1, 5)
                shown = await clients[name].get_order(order.order_id)
                assert (shown.price, shown.quantity, shown.raw.price) == (5, 1, 5)
