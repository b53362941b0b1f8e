"""What type checkers see of a client's calls: mypy reads this, and it is never run."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from decimal import Decimal
from typing import assert_type

from hpe.client import BalanceView, Client, OrderView, SyncClient
from hpe.client.blocking import SyncStream
from hpe.client.books import BestPrices, Trades
from hpe.engine import HighPerformanceEngine


async def awaited(client: Client) -> None:
    """Every call is awaited; every stream is entered by `async with`."""
    assert_type(await client.deposit("BTC", 1), BalanceView)
    assert_type(await client.submit_order("BTC/USD", "buy", 1, Decimal(5)), OrderView)
    assert_type(client.best("BTC/USD"), AbstractAsyncContextManager[BestPrices])
    assert_type(await client.retry(lambda: client.deposit("BTC", 1)), BalanceView)
    await client.deposit("BTC", 1.5)  # type: ignore[arg-type]  # money is no float
    await client.deposit("BTC")  # type: ignore[call-arg]  # how much?
    await client.submit_order("BTC/USD", "buy", 1, prize=5)  # type: ignore[call-arg]  # price


def blocking(client: SyncClient) -> None:
    """The same calls wait, and the same streams are entered by `with`."""
    assert_type(client.deposit("BTC", 1), BalanceView)
    assert_type(client.submit_order("BTC/USD", "buy", 1, post_only=True), OrderView)
    assert_type(client.trades("BTC/USD"), AbstractContextManager[SyncStream[Trades]])
    assert_type(client.retry(lambda: client.deposit("BTC", 1)), BalanceView)
    client.deposit("BTC", 1.5)  # type: ignore[arg-type]  # money is no float
    client.submit_order("BTC/USD", "buy", 1, prize=5)  # type: ignore[call-arg]  # price


async def in_process(engine: HighPerformanceEngine) -> None:
    """The sketch's methods have the user in front."""
    assert_type(await engine.submit_order(7, "BTC/USD", "buy", 1, 5), OrderView)
    assert_type(await engine.lock_balance(7, "BTC", 1, hold_id=3), BalanceView)
    async with engine.client(user=7) as client:
        assert_type(client, Client)
    await engine.get_balance("BTC")  # type: ignore[call-arg, arg-type]  # whose?
