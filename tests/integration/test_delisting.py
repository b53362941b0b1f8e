"""Delisting over TCP: what follows an instrument ends cleanly, and its symbol is free."""

from pathlib import Path

import pytest
import trio

from hpe.errors import OrderRejected, StreamEnded
from hpe.net.client import connect
from hpe.net.sync import connect_sync
from tests.support.service import running_service

PATIENCE_S = 20
"""Deadline of the tests: a shared machine may be slow."""


async def test_streams_and_books_of_a_delisted_instrument_end(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path, auto_create=True) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as watcher,
            connect(service.address, user=2, timeout_s=PATIENCE_S) as operator,
        ):
            await operator.requests.resolve_instrument("NEW", "OLD")
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
            with pytest.raises(OrderRejected, match="unknown_instrument"):
                await watcher.get_instrument("NEW/OLD")
            with pytest.raises(LookupError):
                await operator.instrument("NEW/OLD")
            await operator.requests.resolve_instrument("NEW", "OLD")
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
