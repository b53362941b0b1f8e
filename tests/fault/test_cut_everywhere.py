"""The connection is cut at every byte of a conversation, in both directions, without effect.

A client holds the same conversation with one service again and again, each time as another user
and with its connection cut one byte later: in the middle of logon, of a command, of an answer,
of its private stream. Wherever it is cut, every command is executed once, answered as if nothing
had happened, and reported in the private stream once.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import trio

from hpe.client.backoff import Backoff
from hpe.client.client import Client, connect
from hpe.client.results import balance_of
from hpe.client.streams import PrivateEvents, Snapshot
from hpe.errors import ConnectionLost
from hpe.protocol.base import Request
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.market_data import GetOrderbook, OrderbookReply
from hpe.protocol.money import Deposit, GetBalance, LockBalance, ReleaseHold, Withdraw
from hpe.protocol.orders import CancelOrder, ReplaceOrder, SubmitOrder
from hpe.protocol.reports import BalanceReport
from tests.support.cutting_proxy import TO_CLIENT, TO_SERVER, CuttingProxy, cutting_proxy
from tests.support.integers import executed
from tests.support.service import running_service

PATIENCE_S = 120
PAIR, BASE, QUOTE = 1, 1, 3
WINDOW = 64
LAST_DEPOSIT = 987_654

VARYING = ("request_id", "sequence", "time_ns", "order_id", "contra_order_id", "trade_id")
"""Fields that differ from one conversation to the next although the same happened."""


def commands(maker: int, rounds: int) -> list[Request]:
    """Return the commands of a conversation: they leave no order and no hold behind."""
    buy, sell, limit = Side.BUY, Side.SELL, OrderType.LIMIT
    gtc, ioc = TimeInForce.GTC, TimeInForce.IOC
    asked: list[Request] = []
    for number in range(1, 1 + 10 * rounds, 10):
        asked += [
            Deposit(0, BASE, 10**8, maker),
            Deposit(0, QUOTE, 10**9),
            SubmitOrder(0, PAIR, number, sell, limit, gtc, 100, 5, user=maker),
            SubmitOrder(0, PAIR, number, buy, limit, gtc, 100, 2),
            SubmitOrder(0, PAIR, number + 1, buy, limit, gtc, 90, 7),
            ReplaceOrder(0, 0, number + 1, leaves_quantity=4),
            GetOrderbook(0, PAIR, 5),
            SubmitOrder(0, PAIR, number + 2, buy, limit, ioc, 100, 4),
            LockBalance(0, QUOTE, 500, hold_id=number),
            ReleaseHold(0, number),
            CancelOrder(0, 0, number + 1),
            CancelOrder(0, 0, number + 1),  # rejected: it is gone
            Withdraw(0, QUOTE, 1_000),
        ]
    return asked


class ConversationOutcome(NamedTuple):
    """What a conversation came to, without what always differs."""

    answers: list[Any]
    told: list[Any]
    balances: list[tuple[int, ...]]
    connections: int


def plain(message: Any) -> Any:
    """Return the fields of a message that the same conversation always has."""
    if isinstance(message, OrderbookReply):  # asked again later, it shows what is then
        return "OrderbookReply", message.reason
    fields = msgspec.structs.asdict(message)
    for name in (*VARYING, "flags", "first_trade_id", "private_sequence"):
        fields.pop(name, None)
    return type(message).__name__, fields


@asynccontextmanager
async def talking(proxy: CuttingProxy, user: int) -> AsyncIterator[Client]:
    """Connect through the proxy: the first connection is cut, those that follow are not."""
    cut = proxy.budget
    while True:
        try:
            async with connect(
                proxy.address,
                user=user,
                window=WINDOW,
                timeout_s=PATIENCE_S,
                backoff=Backoff(0.0, 0.0),
            ) as client:
                proxy.budget = (None, None)
                yield client
            return
        except ConnectionLost:
            assert proxy.budget == cut, "the client gave up"
            proxy.budget = (None, None)


async def converse(proxy: CuttingProxy, user: int, rounds: int) -> ConversationOutcome:
    before = proxy.connections
    async with talking(proxy, user) as client:
        requests = client.requests
        async with client.private_events(after=0) as events:
            pending = [await requests.send(request) for request in commands(user + 1, rounds)]
            answers = [(await request.wait()).response for request in pending]
            await executed(client, Deposit(0, QUOTE, LAST_DEPOSIT))
            told = await told_until_the_last(events)
        queries = [GetBalance(0, asset) for asset in (BASE, QUOTE)]
        balances = [await client.session.ask(query, balance_of) for query in queries]
    return ConversationOutcome(
        [plain(answer) for answer in answers],
        told,
        [*balances],
        proxy.connections - before,
    )


async def told_until_the_last(events: PrivateEvents) -> list[Any]:
    """Take everything up to the last deposit; give what does not depend on batches."""
    told: list[Any] = []
    before = 0
    for number in itertools.count(1):
        event = await anext(events)
        assert not isinstance(event, Snapshot)
        assert event.private_sequence == number, "a report is missing or repeated"
        report = event.raw
        if not isinstance(report, BalanceReport):
            told.append(plain(report))
        elif report.asset == QUOTE:
            if report.available - before == LAST_DEPOSIT:
                break
            before = report.available
    return told


async def cut_everywhere(tmp_path: Path, direction: int, rounds: int) -> int:
    """Cut one byte further on until there is nothing left to cut; return how often it was."""
    async with running_service(tmp_path) as service, cutting_proxy(service.port) as proxy:
        users = itertools.count(1, 2)
        expected = await converse(proxy, next(users), rounds)
        assert expected.connections == 1
        assert len(expected.told) > 8 * rounds
        for position in itertools.count():
            with trio.fail_after(PATIENCE_S):
                budget = [None, None]
                budget[direction] = position  # type: ignore[call-overload]  # None or a number
                proxy.budget = (budget[0], budget[1])
                proxy.reset = bool(position % 2)
                outcome = await converse(proxy, next(users), rounds)
            assert outcome[:3] == expected[:3], f"cut after {position} bytes"
            if outcome.connections == 1:
                return position
            assert outcome.connections == 2, f"cut after {position} bytes"
    raise AssertionError


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT], ids=["to server", "to client"])
async def test_a_cut_at_every_byte(tmp_path: Path, direction: int) -> None:
    positions = await cut_everywhere(tmp_path, direction, rounds=1)
    print(f"{positions} positions")
    assert positions > 200


@pytest.mark.release
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT], ids=["to server", "to client"])
async def test_a_cut_at_every_byte_of_forty_commands(tmp_path: Path, direction: int) -> None:
    positions = await cut_everywhere(tmp_path, direction, rounds=3)
    print(f"{positions} positions")
    assert positions > 600
