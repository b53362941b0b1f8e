"""kill -9 at random moments under the real client library: it reconnects, and no caller notices.

Several tasks trade through one client each as if nothing could happen; a second client follows
their private stream. At the end, every command was executed once and answered with what the
private stream reports, and the stream has neither a gap nor a repetition.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from hpe.client.backoff import Backoff
from hpe.client.client import Client, connect
from hpe.client.results import OrderResult, balance_of
from hpe.client.streams import RawSnapshot
from hpe.errors import OrderRejected
from hpe.protocol.enums import ExecType, Side
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import CancelOrder
from hpe.protocol.reports import BalanceReport, ExecutionReport, OrderReport, PrivateReport
from tests.support.integers import executed, limit_order
from tests.support.service import ServiceProcess

SEED = int(os.environ.get("HPE_CRASH_SEED", "20260101"))
PATIENCE_S = 120
USER, OTHER = 1, 2
BASE, QUOTE = 1, 3
TASKS = 6
FUNDS = 10**15


class Traders:
    """The load: tasks of one client, and what they were told."""

    def __init__(self, client: Client, seed: int) -> None:
        self.client = client
        self.seed = seed
        self.orders: list[OrderResult] = []
        self.canceled = 0
        self.deposited = 0
        self.stop = False

    async def trade(self, number: int) -> None:
        """Submit, cancel, deposit; every answer counts."""
        dice = random.Random(self.seed * TASKS + number)
        client_order_id = number + 1
        while not self.stop:
            client_order_id += TASKS
            side, price = dice.choice([Side.BUY, Side.SELL]), dice.randint(95, 105)
            new = limit_order(side, dice.randint(1, 5), price, client_order_id=client_order_id)
            order = await executed(self.client, new)
            self.orders.append(order)
            if order.leaves and dice.random() < 0.7:
                await self._cancel(order.order_id)
            if dice.random() < 0.3:
                await executed(self.client, Deposit(0, QUOTE, 1))
                self.deposited += 1

    async def _cancel(self, order_id: int) -> None:
        try:
            await executed(self.client, CancelOrder(0, order_id))
            self.canceled += 1
        except OrderRejected as rejected:
            if rejected.name != "unknown_order":  # another task's order filled it
                raise


@asynccontextmanager
async def patient(address: str, user: int) -> AsyncIterator[Client]:
    async with connect(
        address, user=user, window=64, timeout_s=PATIENCE_S, backoff=Backoff(0.02, 0.1)
    ) as client:
        yield client


async def kill_often(directory: Path, kills: int, seed: int) -> str:
    """Run the load over `kills` deaths of the service; return a line that says what there was."""
    dice = random.Random(seed)
    told: list[PrivateReport | RawSnapshot] = []
    with ExitStack() as stack:
        service = stack.enter_context(ServiceProcess(directory))
        address = service.address
        async with (
            patient(address, USER) as client,
            patient(address, USER) as follower,
            follower.private_events(after=0) as events,
        ):
            traders = Traders(client, seed)
            await executed(client, Deposit(0, BASE, FUNDS))
            await executed(client, Deposit(0, QUOTE, FUNDS))

            async def follow() -> None:
                async for event in events:
                    told.append(event.raw)

            async with trio.open_nursery() as following:
                following.start_soon(follow)
                async with trio.open_nursery() as trading:
                    for number in range(TASKS):
                        trading.start_soon(traders.trade, number)
                    for _ in range(kills):
                        await trio.sleep(dice.uniform(0.05, 0.4))
                        service.kill()
                        service = ServiceProcess(directory, ["--port", address.split(":")[1]])
                        await trio.to_thread.run_sync(stack.enter_context, service)
                    traders.stop = True
                following.cancel_scope.cancel()
            last = await private_position(address)
            while events.position is None or events.position < last:
                told.append((await anext(events)).raw)
            assert [_number(event) for event in told] == [*range(1, last + 1)]
            await compare(traders, told)
            return (
                f"seed {seed}: {kills} kills, {client.reconnects} reconnects, "
                f"{len(traders.orders)} orders, {len(told)} events, "
                f"{sum(order.duplicate for order in traders.orders)} answered again"
            )


async def private_position(address: str) -> int:
    """Return how many reports the user has: a fresh welcome says it."""
    async with patient(address, USER) as client:
        return client.welcome.private_sequence


async def compare(traders: Traders, told: list[PrivateReport | RawSnapshot]) -> None:
    """Hold everything that was answered against everything that was told."""
    changes = [event for event in told if isinstance(event, OrderReport)]
    news = [event.order_id for event in changes if event.exec_type == ExecType.NEW]
    assert sorted(news) == sorted(order.order_id for order in traders.orders)
    ended = [event for event in changes if event.exec_type == ExecType.CANCELED]
    assert len(ended) == traders.canceled
    filled: Counter[int] = Counter()
    for event in told:
        if isinstance(event, ExecutionReport) and event.request_id:
            filled[event.order_id] += event.last_quantity
    assert filled == {order.order_id: order.cum for order in traders.orders if order.cum}
    balance = await traders.client.session.ask(GetBalance(0, QUOTE), balance_of)
    assert balance.available + balance.locked == FUNDS + traders.deposited
    newest = [event for event in told if isinstance(event, BalanceReport) and event.asset == QUOTE]
    assert newest[-1].available == balance.available


def _number(event: PrivateReport | RawSnapshot) -> int:
    assert not isinstance(event, RawSnapshot), "the ring was long enough"
    return event.private_sequence


def test_a_client_survives_kills(tmp_path: Path) -> None:
    print(trio.run(kill_often, tmp_path, 8, SEED))


@pytest.mark.release
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("directory", range(5))
def test_a_client_survives_a_hundred_kills(tmp_path: Path, directory: int) -> None:
    print(trio.run(kill_often, tmp_path, 20, SEED + directory))
