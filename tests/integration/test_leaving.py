"""What a client leaves behind: nothing if all was answered, otherwise a session to resume."""

import logging
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from hpe.client.client import Client, connect
from hpe.client.session import LOGOUT_S
from hpe.client.sync import connect_sync
from hpe.client.views import BalanceView, OrderView
from hpe.config.settings import Config
from hpe.errors import ConnectionLost, NotConnected, QueryTimeout, ReplyTimeout, RequestRefused
from hpe.protocol.codes import ErrorCode
from tests.support.cutting_proxy import cutting_proxy
from tests.support.gated_files import GatedFiles
from tests.support.service import RunningService, running_service

PATIENCE_S = 120


async def stays(service: RunningService, session_id: int) -> bool:
    """True if the session can be taken up again; it then ends."""
    try:
        async with connect(service.address, user=1, session_id=session_id) as client:
            return client.session_id == session_id
    except RequestRefused as error:
        if error.code != ErrorCode.UNKNOWN_SESSION:
            raise
        return False


async def test_a_block_that_is_left_logs_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hpe.client")
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            async with connect(service.address, user=1) as client:
                await client.deposit("USD", 5)
                session_id = client.session_id
            assert not await stays(service, session_id)
    assert not [record for record in caplog.records if record.name == "hpe.client"]


async def test_a_session_stays_on_request_and_its_id_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hpe.client")
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            async with connect(service.address, user=1, keep_session=True) as client:
                session_id = client.session_id
            assert f"session {session_id} stays (keep_session was requested)" in caplog.text
            assert await stays(service, session_id)
            with suppress(ZeroDivisionError):
                async with connect(service.address, user=1) as client:
                    session_id = client.session_id
                    raise ZeroDivisionError
            assert f"session {session_id} stays (the client left with an exc" in caplog.text
            assert await stays(service, session_id)


async def test_leaving_waits_a_second_for_a_logout_that_nobody_answers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hpe.client")
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service, cutting_proxy(service.port) as proxy:
            async with connect(proxy.address, user=1) as client:
                session_id = client.session_id
                proxy.stall()
                begun_s = trio.current_time()
            assert trio.current_time() - begun_s >= LOGOUT_S
            told = f"session {session_id} stays (logging out took longer than {LOGOUT_S:g} s)"
            assert told in caplog.text


async def test_a_blocking_client_leaves_the_same_way(tmp_path: Path) -> None:
    def script(address: str) -> tuple[int, int]:
        with connect_sync(address, user=1) as client:
            left = client.session_id
        with suppress(ZeroDivisionError), connect_sync(address, user=1) as client:
            kept = client.session_id
            raise ZeroDivisionError
        return left, kept

    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            left, kept = await trio.to_thread.run_sync(script, service.address)
            assert not await stays(service, left)
            assert await stays(service, kept)


async def test_a_session_in_process_leaves_the_same_way(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            async with service.engine.client(user=1) as client:
                await client.deposit("USD", 5)
                session_id = client.session_id
            assert not await stays(service, session_id)
            async with service.engine.client(user=1, keep_session=True) as client:
                session_id = client.session_id
            assert await stays(service, session_id)


async def test_a_time_out_is_unanswered_until_its_outcome_was_heard(tmp_path: Path) -> None:
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path, files=files) as service:
            async with connect(service.address, user=1, timeout_s=PATIENCE_S) as client:
                error = await timed_out(client, files)
                session_id = client.session_id
            # Another client of that session can ask; what it asks for was executed once.
            async with connect(
                service.address, user=1, session_id=session_id, timeout_s=PATIENCE_S
            ) as client:
                account = await client.outcome(error)
                assert isinstance(account, BalanceView)
                assert account.available == 5
            assert not await stays(service, session_id)
            async with connect(service.address, user=1, timeout_s=PATIENCE_S) as client:
                error = await timed_out(client, files)
                account = await client.outcome(error)
                assert isinstance(account, BalanceView)
                assert account.available == 10
                session_id = client.session_id
            assert not await stays(service, session_id)


async def timed_out(client: Client, files: GatedFiles) -> ReplyTimeout:
    """Deposit 5 USD while the disk stands still."""
    await client.asset("USD")
    files.gate.clear()
    client.requests.timeout_s = 0.05
    with pytest.raises(ReplyTimeout, match=r"outcome\(error\)") as caught:
        await client.deposit("USD", 5)
    with pytest.raises(QueryTimeout, match="can be sent again") as query:
        await client.get_balance("USD")
    with pytest.raises(ValueError, match="the timeout of a query, which has none"):
        await client.outcome(query.value)
    with pytest.raises(ValueError, match="found an error of session 99999"):
        await client.outcome(ReplyTimeout(99_999, 1))
    files.gate.set()
    client.requests.timeout_s = PATIENCE_S
    return caught.value


async def test_the_retry_helper_makes_one_order_of_a_late_one(tmp_path: Path) -> None:
    """The natural retry makes two."""
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path, files=files) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            await client.deposit("BTC", 5)
            client.requests.timeout_s = 0.05
            files.gate.clear()
            asked = 0

            async def sell() -> OrderView:
                nonlocal asked
                asked += 1
                return await client.submit_order("BTC/USD", "sell", 1, 100)

            async def open_gate() -> None:
                await trio.to_thread.run_sync(files.waiting.wait)
                await trio.sleep(0.2)  # several deadlines pass
                files.gate.set()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(open_gate)
                order = await client.retry(sell)
            assert (order.symbol, order.leaves, asked) == ("BTC/USD", 1, 1)
            assert [row.order_id for row in await client.list_orders()] == [order.order_id]


async def test_without_a_connection_nothing_is_sent_and_it_is_said_so(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            cutting_proxy(service.port) as proxy,
            connect(proxy.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            await client.asset("USD")
            proxy.budget = (0, 0)
            proxy.cut()
            await client.connected.wait_value(False)
            client.requests.timeout_s = 0.05
            with pytest.raises(NotConnected, match=r"no connection for 0.05 s; nothing was sent"):
                await client.deposit("USD", 1)
            proxy.budget = (None, None)
            assert (await client.retry(lambda: client.deposit("USD", 1))).available == 1


async def test_a_call_after_the_block_says_so(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            async with connect(service.address, user=1) as client:
                await client.asset("USD")
            with pytest.raises(ConnectionLost, match="the client was left"):
                await client.deposit("USD", 1)


async def test_the_default_deadlines(tmp_path: Path) -> None:
    """Over TCP it outlives a restart of the service; in process there is none to wait for."""
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path, request_timeout_ms=Config().request_timeout_ms) as service,
            connect(service.address, user=1) as client,
        ):
            assert client.requests.timeout_s == 5
            async with service.engine.client(user=7) as local:
                assert local.requests.timeout_s == 0.1
