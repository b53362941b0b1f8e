"""The engine inside a test: with assets without decimals, so that people's units are the wire's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import trio

import hpe
from hpe.client import Client
from hpe.config.settings import demo_config
from hpe.wal.files import LogFiles

PAIR = "BTC/USD"


def engine(
    tmp_path: Path, files: LogFiles | None = None, **settings: object
) -> hpe.HighPerformanceEngine:
    """Make an engine whose assets have no decimals: people's units are the wire's."""
    demo = demo_config()
    assets = tuple(msgspec.structs.replace(asset, decimals=0) for asset in demo.assets)
    pair = msgspec.structs.replace(demo.instruments[0], base_atoms_per_lot=1)
    settings = {
        "request_timeout_ms": 10_000,
        "orders_wait_ms_max": 30_000,
        "assets": assets,
        "instruments": (pair,),
        **settings,
    }
    config = demo_config(data_directory=str(tmp_path / "data"), **settings)
    return hpe.HighPerformanceEngine(config, files=files)


@asynccontextmanager
async def funded(tmp_path: Path) -> AsyncIterator[tuple[Client, Client]]:
    """Two clients in an engine, users 1 and 2, with plenty of both assets."""
    with trio.fail_after(120):
        async with (
            engine(tmp_path) as exchange,
            exchange.client(user=1) as one,
            exchange.client(user=2) as two,
        ):
            for client in (one, two):
                await client.deposit("BTC", 10**12)
                await client.deposit("USD", 10**12)
            yield one, two


async def deposit(exchange: hpe.HighPerformanceEngine, amount: int) -> Decimal:
    """Pay in for user 7 and return what is available then."""
    async with exchange.client(user=7) as client:
        return (await client.deposit("USD", amount)).available
