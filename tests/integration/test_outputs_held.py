"""What keeps an output: nothing for longer than it takes to log and to route it.

The core of these tests gives out views of memory that is counted. Readers that take nothing must
wait with copies of their own bytes, because a view keeps the memory of a whole batch.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

import hpe.engine
from hpe.net import watchdog
from hpe.net.connection import Connection
from hpe.protocol.enums import Channel, OrderType, Side, TimeInForce
from hpe.protocol.market_data import GetOrderbook, Subscribe
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import SubmitOrder
from hpe.protocol.reports import SubscribePrivate
from tests.integration.test_greedy_clients import slow_client, switchboard_of
from tests.support.pooled import PooledCore
from tests.support.service import RunningService, running_service
from tests.support.wire import Row, WireClient, pack_request, until, wire

USD, PAIR, LEVELS, READERS = 3, 1, 1_000, 500
QUERIES = range(10, 13)
IN_USE_MAX = 16
"""Outputs under way or just served, when no more than one request is: far fewer than readers."""


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> list[PooledCore]:
    """Let engines have pooled cores; return those that were made."""
    made: list[PooledCore] = []

    def new_core(**_: object) -> PooledCore:
        made.append(PooledCore())
        return made[-1]

    monkeypatch.setattr(hpe.engine, "new_core", new_core)
    for name in ("STALL_S", "BEHIND_S", "BEHIND_PRESSED_S"):
        monkeypatch.setattr(watchdog, name, 600.0)  # a reader that takes nothing is not cut here
    return made


async def fill_book(client: WireClient, first_id: int = 2) -> None:
    """Let one order rest at each of many prices."""
    await client.ask(Deposit(first_id, USD, 2**50))
    orders = [
        SubmitOrder(
            first_id + n, PAIR, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 4_000 + n, 1_000
        )
        for n in range(1, LEVELS + 1)
    ]
    await client.send(*map(pack_request, orders))
    await client.responses(LEVELS)


def connections_of(service: RunningService) -> list[Connection]:
    ports = switchboard_of(service.engine)._ports.values()
    return [port for port in ports if isinstance(port, Connection)]


async def test_500_slow_readers_hold_their_own_bytes_and_no_output(
    tmp_path: Path, cores: list[PooledCore]
) -> None:
    with trio.fail_after(200):
        async with running_service(tmp_path) as service, AsyncExitStack() as stack:
            maker = await stack.enter_async_context(wire(service.port, user=7))
            await fill_book(maker)
            readers = [
                await stack.enter_async_context(slow_client(service, 100 + number, 64))
                for number in range(READERS)
            ]
            # One after the other, because the rows that queries of one batch may show are bounded.
            queries = [pack_request(GetOrderbook(number, PAIR, LEVELS)) for number in QUERIES]
            for reader in readers:
                await reader.send(*queries)
                reader._buffer += await reader.stream.receive_some(1)
            slow = connections_of(service)[1:]
            await until(lambda: all(port.answered == len(queries) for port in slow))

            (pooled,) = cores
            assert all(port._account.frames for port in slow), "each waits with something"
            await maker.ask(GetBalance(9_999, USD))  # behind all before
            assert pooled.pool.in_use <= IN_USE_MAX

            answers: list[Row] = []

            async def read(reader: WireClient) -> None:
                answers.extend(await reader.responses(len(QUERIES)))

            async with trio.open_nursery() as nursery:
                for reader in readers:
                    nursery.start_soon(read, reader)
            assert sorted(row[1] for row in answers) == sorted([*QUERIES] * READERS)
            assert {len(row[8]) for row in answers} == {LEVELS}


async def test_followers_that_read_nothing_hold_no_output(
    tmp_path: Path, cores: list[PooledCore]
) -> None:
    """Reports stay in the ring, market data in the backlogs: both are copies."""
    with trio.fail_after(200):
        async with running_service(tmp_path) as service, AsyncExitStack() as stack:
            maker = await stack.enter_async_context(wire(service.port, user=7))
            for user in range(100, 120):
                reader = await stack.enter_async_context(slow_client(service, user, 64))
                await reader.ask(Subscribe(2, PAIR, Channel.ORDERS))
                await reader.ask(SubscribePrivate(3, 0))
            own = await stack.enter_async_context(slow_client(service, 7, 64))
            await own.ask(SubscribePrivate(2, 0))
            for first_id in (2, 2_002, 4_002):  # more than the buffers of sockets take
                await fill_book(maker, first_id)
            for request_id in range(6_002, 6_002 + 4 * IN_USE_MAX):  # in a batch of its own each
                await maker.ask(
                    SubmitOrder(
                        request_id, PAIR, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 4_000, 1
                    )
                )
            (pooled,) = cores
            streams = switchboard_of(service.engine).streams
            assert streams.ring.reports > 3 * LEVELS
            assert len(pooled.pool.made) > 4 * IN_USE_MAX
            await maker.ask(GetBalance(9_999, USD))  # behind all before
            assert pooled.pool.in_use <= IN_USE_MAX
