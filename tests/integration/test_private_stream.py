"""The client's private stream against a real service: every report once, whatever happens."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from hpe.client.backoff import Backoff
from hpe.client.client import Client, connect
from hpe.client.streams import PrivateEvent, PrivateEvents, RawSnapshot, Snapshot
from hpe.client.views import (
    BalanceReportView,
    ExecutionView,
    HoldReportView,
    OrderReportView,
    PreventedMatchView,
)
from hpe.core.output.private_ring import PrivateRing
from hpe.errors import RequestRefused
from hpe.protocol.codes import CancelReason, ErrorCode
from hpe.protocol.enums import SelfTrade, Side
from hpe.protocol.money import Deposit, LockBalance, ReleaseHold
from hpe.protocol.orders import CancelOrder, ReplaceOrder
from hpe.protocol.reports import (
    BalanceReport,
    ExecutionReport,
    HoldReport,
    OrderReport,
    PrivateReport,
)
from tests.support.cutting_proxy import cutting_proxy
from tests.support.integers import executed, limit_order
from tests.support.service import RunningService, running_service

PATIENCE_S = 120


async def events_up_to(stream: PrivateEvents, last: int) -> list[PrivateEvent]:
    taken: list[PrivateEvent] = []
    while stream.position is None or stream.position < last:
        taken.append(await anext(stream))
    return taken


def words(event: PrivateEvent) -> str:
    match event:
        case OrderReportView():
            return event.exec_type.name.lower()
        case HoldReportView():
            return f"hold {event.change.name.lower()}"
        case _:
            return type(event.raw).__name__


async def test_everything_that_happens_is_told_in_order(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as alice,
            connect(service.address, user=2, timeout_s=PATIENCE_S) as bob,
            alice.private_events() as events,
        ):
            btc = (await alice.asset("BTC")).id
            await bob.deposit("USD", 1_000)
            await executed(alice, Deposit(0, btc, 10**9))
            sell = await executed(alice, limit_order(Side.SELL, 5, 100))
            await executed(bob, limit_order(Side.BUY, 2, 100))
            await executed(alice, ReplaceOrder(0, sell.order_id, 0, leaves_quantity=2))
            await executed(alice, CancelOrder(0, sell.order_id))
            await executed(alice, LockBalance(0, btc, 70, hold_id=9))
            await executed(alice, ReleaseHold(0, 9))
            taken = await events_up_to(events, 12)
    assert [words(event) for event in taken] == [
        *("BalanceReport", "new", "BalanceReport"),
        *("ExecutionReport", "BalanceReport", "BalanceReport"),
        *("replaced", "BalanceReport", "canceled", "BalanceReport"),
        *("hold locked", "BalanceReport"),
    ]
    numbers = [event.private_sequence for event in taken if not isinstance(event, Snapshot)]
    assert numbers == [*range(1, 13)]
    fill, canceled = taken[3], taken[8]
    assert isinstance(fill, ExecutionView)
    assert (fill.raw.request_id, fill.raw.last_quantity, fill.raw.leaves) == (0, 2, 3)
    assert isinstance(canceled, OrderReportView)
    assert canceled.reason == CancelReason.REQUESTED


async def test_what_is_told_with_the_answer_is_in_the_stream_as_well(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
            client.private_events() as events,
        ):
            pair = await client.instrument("BTC/USD")
            await client.deposit("BTC", 1)
            await client.deposit("USD", 1_000)
            await client.submit_order(pair, "sell", pair.lot_size, pair.tick_size)
            policy = SelfTrade.CANCEL_MAKER
            bought = await client.submit_order(
                pair, "buy", pair.lot_size, pair.tick_size, self_trade=policy
            )
            prevented = [
                event
                for event in await events_up_to(events, bought.raw.sequence)
                if isinstance(event, PreventedMatchView)
            ]
            assert prevented == [*bought.events]


async def test_a_stream_goes_on_from_a_position_that_was_kept(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            async with connect(service.address, user=1, timeout_s=PATIENCE_S) as client:
                async with client.private_events(after=0) as events:
                    for _ in range(5):
                        await client.deposit("USD", 1)
                    await events_up_to(events, 3)
                    position = events.position
                assert client.welcome.private_sequence == 0
            async with (
                connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
                client.private_events(position) as events,
            ):
                assert client.welcome.private_sequence == 5
                await client.deposit("USD", 1)
                rest = await events_up_to(events, 6)
                accounts = [event for event in rest if isinstance(event, BalanceReportView)]
                assert [account.available for account in accounts] == [4, 5, 6]
                with pytest.raises(RequestRefused) as caught:
                    async with client.private_events(1, user=3):
                        pytest.fail("begun")
                assert caught.value.code == ErrorCode.RESUME_AHEAD


async def test_users_of_one_client_have_their_own_streams(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
            client.private_events() as own,
            client.private_events(user=2) as others,
        ):
            await client.deposit("USD", 3, user=2)
            await client.deposit("USD", 1)
            first, second = await anext(own), await anext(others)
            assert isinstance(first, BalanceReportView)
            assert isinstance(second, BalanceReportView)
            assert (first.available, second.available) == (1, 3)
            assert (own.position, others.position) == (1, 1)


async def test_a_slow_reader_and_cuts_lose_nothing(tmp_path: Path) -> None:
    deposits = 300
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            cutting_proxy(service.port) as proxy,
            connect(service.address, user=2, timeout_s=PATIENCE_S) as other,
            connect(proxy.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            asset = (await other.asset("USD")).id
            session = client.session
            events = PrivateEvents(
                session.requests, session.subscriptions, session.listings, 1, 0, waiting_max=7
            )
            session.subscriptions.open(events)
            taken: list[PrivateEvent] = []

            async def deposit() -> None:
                for _ in range(deposits):
                    await executed(other, Deposit(0, asset, 1, 1))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(deposit)
                while len(taken) < deposits:
                    taken.append(await anext(events))
                    if len(taken) % 100 == 0:
                        proxy.cut()
            assert client.reconnects >= 2
    assert [event.private_sequence for event in taken if isinstance(event, BalanceReportView)] == [
        *range(1, deposits + 1)
    ]


class KnownOrders:
    """What a user can know of himself by a stream alone: applied in order, snapshots included."""

    def __init__(self) -> None:
        self.open: dict[int, int] = {}
        self.balances: dict[int, tuple[int, int, int]] = {}
        self.holds: dict[int, int] = {}
        self.fills: list[tuple[int, int]] = []

    def apply(self, event: PrivateReport | RawSnapshot) -> None:
        match event:
            case RawSnapshot():
                self.open = {row.order_id: row.leaves for row in event.orders}
                self.balances = {row[0]: row[1:4] for row in event.balances}
                self.holds = {row[0]: row[2] for row in event.holds}
                self.fills += [(row.private_sequence, row.quantity) for row in event.fills]
            case ExecutionReport():
                self.fills.append((event.private_sequence, event.last_quantity))
                self._leave(event.order_id, event.leaves)
            case OrderReport():
                self._leave(event.order_id, event.leaves)
            case HoldReport():
                self.holds[event.hold_id] = event.remaining
            case BalanceReport():
                self.balances[event.asset] = event.available, event.reserved, event.held

    def _leave(self, order_id: int, leaves: int) -> None:
        self.open[order_id] = leaves
        if not leaves:
            del self.open[order_id]


async def happenings(client: Client, hold_ids: Iterator[int], rounds: int) -> None:
    """Let the client's user rest, trade, cancel and hold, against himself and others."""
    for number in range(rounds):
        sell = await executed(client, limit_order(Side.SELL, 3, 100 + number % 7))
        await executed(client, limit_order(Side.BUY, 2, 100 + number % 7, user=2))
        if number % 3:
            await executed(client, CancelOrder(0, sell.order_id))
        hold_id = next(hold_ids)
        await executed(client, LockBalance(0, 1, 5, hold_id=hold_id))
        if number % 2:
            await executed(client, ReleaseHold(0, hold_id))


async def compare(book: KnownOrders, client: Client) -> None:
    orders = [order.raw for order in await client.list_orders()]
    assert book.open == {row.order_id: row.leaves for row in orders}
    assert {asset: row for asset, row in book.balances.items() if any(row)} == {
        account.raw[0]: account.raw[1:4] for account in await client.list_balances()
    }
    assert {hold: amount for hold, amount in book.holds.items() if amount} == {
        held.raw[0]: held.raw[2] for held in await client.list_holds()
    }
    assert book.fills == [
        (fill.private_sequence, fill.raw.quantity) for fill in await client.list_fills()
    ]


@pytest.mark.parametrize("busy", [False, True], ids=["quiet", "while it goes on"])
async def test_beyond_the_ring_a_snapshot_and_what_follows_are_all_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    monkeypatch.setattr("hpe.engine.PrivateRing", lambda: PrivateRing(reports_max=64))
    book = KnownOrders()
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            cutting_proxy(service.port) as proxy,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as actor,
            connect(
                proxy.address, user=1, timeout_s=PATIENCE_S, backoff=Backoff(0.01, 0.01)
            ) as client,
            client.private_events(after=0) as events,
        ):
            await executed(actor, Deposit(0, 1, 10**9))
            await executed(actor, Deposit(0, 3, 10**9, 2))
            hold_ids = itertools.count(1)
            await happenings(actor, hold_ids, 10)
            for _ in range(2):
                proxy.budget = (0, 0)
                proxy.cut()
                await client.connected.wait_value(False)
                before = events.snapshots
                missed = await private_position(service) + 400
                while await private_position(service) < missed:
                    await happenings(actor, hold_ids, 20)
                proxy.budget = (None, None)
                async with trio.open_nursery() as nursery:
                    if busy:
                        nursery.start_soon(happenings, actor, hold_ids, 30)
                    while events.snapshots == before:
                        book.apply((await anext(events)).raw)
                last = await private_position(service)
                while events.position is not None and events.position < last:
                    book.apply((await anext(events)).raw)
                assert events.position == last
                await compare(book, actor)
            assert len(book.fills) > 100


async def private_position(service: RunningService) -> int:
    """Return how many reports the user has: a fresh welcome says it."""
    async with connect(service.address, user=1, timeout_s=PATIENCE_S) as other:
        return other.welcome.private_sequence
