"""A client that loses connections: what it repeats, what it waits for, when it ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from hpe.client import dialer
from hpe.client.backoff import Backoff
from hpe.client.client import Client, connect
from hpe.client.views import OrderReportView
from hpe.errors import AcknowledgedLost, ConnectionLost, NotConnected, RequestRefused, SessionTaken
from hpe.protocol.codes import CancelReason, ErrorCode
from hpe.protocol.enums import OrderStatus, Side
from hpe.protocol.limits import HEARTBEAT_MS_MIN
from hpe.protocol.money import Deposit
from tests.support.cutting_proxy import TO_CLIENT, TO_SERVER, CuttingProxy, cutting_proxy
from tests.support.service import RunningService, ServiceProcess, running_service

PATIENCE_S = 120


@asynccontextmanager
async def behind_a_proxy(
    tmp_path: Path, **options: Any
) -> AsyncIterator[tuple[RunningService, CuttingProxy, Client]]:
    """Yield a service, a proxy in front of it and a client behind both."""
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            cutting_proxy(service.port) as proxy,
            connect(
                proxy.address,
                user=1,
                **{"timeout_s": PATIENCE_S, "backoff": Backoff(0.01, 0.01), **options},
            ) as client,
        ):
            yield service, proxy, client


async def test_callers_notice_nothing_but_time(tmp_path: Path) -> None:
    async with behind_a_proxy(tmp_path) as (_, proxy, client):
        asset = await client.asset("USD")
        session_id = client.session_id
        for number in range(1, 6):
            proxy.cut()
            one = asset.amounts.value(1)
            assert (await client.deposit("USD", one)).available == number * one
            assert client.session_id == session_id
        assert client.reconnects == 5
        assert proxy.connections == 6


async def test_many_requests_in_flight_are_executed_once_each(tmp_path: Path) -> None:
    async with behind_a_proxy(tmp_path, window=32) as (_, proxy, client):
        await client.asset("USD")
        answered = 0

        async def deposits() -> None:
            nonlocal answered
            for _ in range(50):
                await client.deposit("USD", 1)
                await client.get_balance("USD")
                answered += 1

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(deposits)
            while answered < 900:
                await trio.sleep(0.02)
                proxy.cut()
                await client.connected.wait_value(True)
        assert client.reconnects > 3
        assert (await client.get_balance("USD")).available == 1_000


async def test_whether_there_is_a_connection_can_be_waited_for(tmp_path: Path) -> None:
    async with behind_a_proxy(tmp_path) as (_, proxy, client):
        assert client.connected.value
        proxy.cut()
        await client.connected.wait_value(False)
        await client.connected.wait_value(True)
        assert await client.ping() > 0


async def test_a_deadline_is_the_callers_and_the_command_goes_on(tmp_path: Path) -> None:
    async with behind_a_proxy(tmp_path) as (_, proxy, client):
        asset = await client.asset("USD")
        proxy.budget = (None, 0)  # the next connections say nothing
        proxy.cut()
        await client.connected.wait_value(False)
        client.requests.timeout_s = 0.05
        with pytest.raises(NotConnected, match="nothing was sent"):
            await client.deposit("USD", 1)
        proxy.budget = (None, None)
        await client.connected.wait_value(True)
        client.requests.timeout_s = PATIENCE_S
        pending = await client.requests.send(Deposit(0, asset.id, 2))
        proxy.cut()
        await pending.wait()
        assert (await client.get_balance("USD")).raw.available == 2


async def test_the_server_restarts_and_the_session_goes_on(tmp_path: Path) -> None:
    """A new engine on the same data directory and port."""
    restart = trio.Event()
    ports: list[int] = [0]

    async def serve(task_status: trio.TaskStatus[str]) -> None:
        async with running_service(tmp_path) as service:
            ports[0] = service.port
            task_status.started(service.address)
            await restart.wait()
        async with running_service(tmp_path) as service:
            await service.engine.listen(service.host, ports[0])
            await trio.sleep_forever()

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            address = await nursery.start(serve)
            async with connect(address, user=1, timeout_s=PATIENCE_S) as client:
                session_id = client.session_id
                async with client.private_events() as events, client.book("BTC/USD") as book:
                    await client.deposit("BTC", 5)
                    restart.set()
                    await client.connected.wait_value(False)
                    pair = await client.instrument("BTC/USD")
                    order = await client.submit_order(pair, "sell", 1, 100)
                    assert client.session_id == session_id
                    while book.sequence < 1:
                        await book.changed()
                    assert [level.quantity for level in book.view().asks] == [1]
                    told = [await anext(events) for _ in range(3)]
                    assert events.position == 3
                    assert isinstance(told[1], OrderReportView)
                    assert told[1].order_id == order.order_id
            nursery.cancel_scope.cancel()


def test_a_killed_server_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        with trio.fail_after(PATIENCE_S):
            with ServiceProcess(tmp_path) as first:
                port = first.port
                async with connect(first.address, user=1, timeout_s=PATIENCE_S) as client:
                    await client.deposit("USD", 5)
                    first.kill()
                    second = ServiceProcess(tmp_path, ["--port", str(port)])
                    with second:
                        assert (await client.deposit("USD", 1)).available == 6
                        assert client.reconnects == 1
            assert client.failure is not None

    trio.run(main)


async def test_another_client_takes_the_session_and_this_one_ends(tmp_path: Path) -> None:
    async with behind_a_proxy(tmp_path) as (service, _, client):
        session_id = client.session_id
        async with connect(service.address, user=1, session_id=session_id) as other:
            await client.connected.wait_value(False)
            with pytest.raises(ConnectionLost, match="session_replaced"):
                await client.ping()
            assert isinstance(client.failure, RequestRefused)
            assert client.failure.code == ErrorCode.SESSION_REPLACED
            assert client.reconnects == 0
            assert await other.ping() > 0


async def test_an_attempt_that_the_client_gave_up_and_that_comes_late_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hello takes the session from the connection that the client has meanwhile."""
    monkeypatch.setattr(dialer, "CONNECT_TIMEOUT_S", 0.5)
    async with behind_a_proxy(tmp_path) as (service, proxy, client):
        one = (await client.deposit("USD", 1)).available
        session_id = client.session_id
        late = proxy.hold_next()
        proxy.cut()
        assert (await client.deposit("USD", 1)).available == 2 * one
        assert (proxy.connections, client.reconnects) == (3, 1)
        late.set()
        await client.connected.wait_value(False)
        while not client.connected.value:
            assert client.failure is None
            await trio.sleep(0.01)
        assert client.reconnects == 2
        assert (await client.deposit("USD", 1)).available == 3 * one
        assert client.session_id == session_id
        assert client.failure is None
        async with connect(service.address, user=1, session_id=session_id) as other:
            await client.connected.wait_value(False)
            with pytest.raises(ConnectionLost, match="session_replaced"):
                await client.ping()
            assert await other.ping() > 0, "whoever takes the session otherwise has it"


async def test_a_session_that_was_used_meanwhile_is_not_gone_on_with(tmp_path: Path) -> None:
    async with behind_a_proxy(tmp_path) as (service, proxy, client):
        await client.deposit("USD", 1)
        proxy.budget = (0, 0)
        proxy.cut()
        await client.connected.wait_value(False)
        session_id = client.session_id
        async with connect(
            service.address,
            user=1,
            session_id=session_id,
            timeout_s=PATIENCE_S,
            keep_session=True,
        ) as other:
            await other.deposit("USD", 1)
            await other.deposit("USD", 1)
        proxy.budget = (None, None)
        with pytest.raises(ConnectionLost, match="another client used"):
            await client.ping()
        assert isinstance(client.failure, SessionTaken)


async def test_a_session_that_is_gone_ends_the_client(tmp_path: Path) -> None:
    async with behind_a_proxy(tmp_path) as (service, proxy, client):
        pair = await client.instrument("BTC/USD")
        await client.deposit("BTC", 1)
        proxy.budget = (0, 0)
        proxy.cut()
        await client.connected.wait_value(False)
        async with connect(
            service.address, user=1, session_id=client.session_id, timeout_s=PATIENCE_S
        ) as other:
            await other.logout()
        async with trio.open_nursery() as nursery:

            async def submit() -> None:
                with pytest.raises(ConnectionLost, match="unknown_session"):
                    await client.submit_order(pair, "sell", pair.lot_size, pair.tick_size)

            nursery.start_soon(submit)
            proxy.budget = (None, None)
        assert isinstance(client.failure, RequestRefused)


async def test_logout_is_done_however_often_it_takes(tmp_path: Path) -> None:
    async with behind_a_proxy(tmp_path) as (_, proxy, client):
        # The request arrives, the answer does not: the next connection finds the session closed.
        proxy.budget = (None, proxy.passed[TO_CLIENT])
        proxy.cut()
        await client.connected.wait_value(False)
        await client.connected.wait_value(True)
        proxy.budget = (None, None)
        await client.logout()
        assert proxy.connections == 3
        with pytest.raises(ConnectionLost):
            await client.ping()


async def test_without_reconnecting_the_client_ends_with_its_connection(tmp_path: Path) -> None:
    async with behind_a_proxy(tmp_path, reconnect=False) as (_, proxy, client):
        proxy.cut()
        await client.connected.wait_value(False)
        assert isinstance(client.failure, ConnectionLost)
        with pytest.raises(ConnectionLost, match="not sent"):
            await client.ping()
        assert proxy.connections == 1


async def test_acknowledgements_that_were_lost_end_the_client(tmp_path: Path) -> None:
    """A service under relaxed sync loses the end of its log; here it is made to."""
    async with behind_a_proxy(tmp_path) as (_, proxy, client):
        await client.deposit("USD", 1)
        client.requests.answered_request_id += 3
        proxy.cut()
        with pytest.raises(AcknowledgedLost, match="lost in a crash"):
            await client.ping()
        assert isinstance(client.failure, AcknowledgedLost)


async def test_heartbeats_keep_a_quiet_connection_and_silence_ends_one(tmp_path: Path) -> None:
    async with behind_a_proxy(tmp_path, heartbeat_s=0.1) as (_, proxy, client):
        assert client.welcome.heartbeat_ms == HEARTBEAT_MS_MIN
        before = list(proxy.passed)
        await trio.sleep(5 * HEARTBEAT_MS_MIN / 1_000)
        assert client.reconnects == 0
        assert proxy.passed[TO_SERVER] > before[TO_SERVER]
        assert proxy.passed[TO_CLIENT] > before[TO_CLIENT]
        # The socket stays open, but nothing comes any more.
        proxy.stall()
        await client.connected.wait_value(False)
        proxy.go_on()
        assert await client.ping() > 0
        assert client.reconnects == 1


async def test_cancel_on_disconnect_of_the_session_and_of_one_order(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            async with connect(
                service.address,
                user=1,
                timeout_s=PATIENCE_S,
                cancel_on_disconnect=True,
                keep_session=True,
            ) as client:
                pair = await client.instrument("BTC/USD")
                await client.deposit("BTC", 1)
                order = await client.submit_order(pair, "sell", pair.lot_size, pair.tick_size)
            async with connect(
                service.address, user=2, timeout_s=PATIENCE_S, keep_session=True
            ) as client:
                await client.deposit("BTC", 1)
                stays = await client.submit_order(pair, "sell", pair.lot_size, pair.tick_size)
                goes = await client.submit_order(
                    pair, "sell", pair.lot_size, pair.tick_size, cancel_on_disconnect=True
                )
            async with connect(service.address, user=3, timeout_s=PATIENCE_S) as client:

                async def status(user: int, order_id: int) -> OrderStatus:
                    return (await client.get_order(order_id, user=user)).status

                async with client.private_events(0, user=2) as events:
                    async for event in events:
                        if isinstance(event, OrderReportView) and event.reason:
                            assert event.order_id == goes.order_id
                            assert event.reason == CancelReason.DISCONNECTED
                            break
                assert await status(1, order.order_id) is OrderStatus.CANCELED
                assert await status(2, stays.order_id) is OrderStatus.NEW


async def test_back_within_the_grace_nothing_is_canceled(tmp_path: Path) -> None:
    options = {"cancel_on_disconnect": True, "grace_s": 5}
    async with behind_a_proxy(tmp_path, **options) as (_, proxy, client):
        pair = await client.instrument("BTC/USD")
        await client.deposit("BTC", 1)
        order = await client.submit_order(pair, "sell", pair.lot_size, pair.tick_size)
        proxy.cut()
        await client.connected.wait_value(False)
        assert (await client.get_order(order.order_id)).status is OrderStatus.NEW


async def test_orders_for_other_users(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            pair = await client.instrument("BTC/USD")
            await client.deposit("BTC", 1, user=5)
            lot, tick = pair.lot_size, pair.tick_size
            order = await client.submit_order(pair, Side.SELL, 2 * lot, tick, user=5)
            await client.replace_order(pair, order.order_id, leaves_quantity=lot, user=5)
            gone = await client.cancel_order(pair, order.order_id, user=5)
            assert gone.status is OrderStatus.CANCELED
            both = await client.submit_oco(pair, Side.SELL, lot, 2 * tick, tick, user=5)
            found = [row.order_id for row in await client.list_orders(user=5)]
            assert found == [both.limit_order_id, both.stop_order_id]
