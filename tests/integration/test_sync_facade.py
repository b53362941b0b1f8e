"""The synchronous facade against a real service in this process, called from other threads."""

import re
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import trio

from hpe.client.client import connect
from hpe.client.sync import connect_sync
from hpe.errors import ConnectionLost, OrderRejected
from tests.support.service import running_service

PATIENCE_S = 120


async def in_a_script(tmp_path: Path, script: Callable[[str], None]) -> None:
    """Run a blocking script in a thread while the service runs in this loop."""
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            await trio.to_thread.run_sync(script, service.address)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hpe-client")]


async def test_a_script_trades(tmp_path: Path) -> None:
    def script(address: str) -> None:
        with connect_sync(address, user=1, timeout_s=PATIENCE_S) as client:
            client.deposit("BTC", Decimal(1))
            order = client.submit_order("BTC/USD", "sell", Decimal("0.5"), Decimal(100))
            assert client.get_orderbook("BTC/USD").asks[0].quantity == Decimal("0.5")
            assert client.get_balance("BTC").locked == Decimal("0.5")
            client.cancel_order("BTC/USD", order.order_id)
            with pytest.raises(OrderRejected, match="unknown_order"):
                client.cancel_order("BTC/USD", order.order_id)
            pairs = client.run(client.client.list_instruments)
            assert [view.symbol for view in pairs] == ["BTC/USD", "ETH/USD"]
            assert client.ping() > 0

    await in_a_script(tmp_path, script)


async def test_a_script_runs_an_auction_and_moves_money(tmp_path: Path) -> None:
    def script(address: str) -> None:
        with connect_sync(address, user=1, timeout_s=PATIENCE_S) as client:
            client.deposit("BTC", 5)
            client.deposit("USD", 1000)
            client.set_fees("BTC/USD", 0, 1_000)
            client.set_status("BTC/USD", "call_auction")
            client.submit_order("BTC/USD", "sell", 1, 99)
            client.submit_order("BTC/USD", "buy", 1, 101)
            assert client.get_instrument("BTC/USD").indicative_price == 100
            assert client.uncross("BTC/USD").volume == 1
            assert [fill.fee for fill in client.list_fills()] == [Decimal("0.1")] * 2
            both = client.submit_oco("BTC/USD", "sell", 1, 110, 90)
            assert client.get_order(both.stop_order_id).waiting
            assert len(client.list_orders()) == 2
            assert client.block_user(2) == 0
            assert client.mass_cancel().canceled == 2
            assert client.transfer("BTC", 1, to_user=2).available == 4
            client.lock_balance("BTC", 2, hold_id=1)
            assert client.capture_hold(1, Decimal("0.5"), to_user=2).remaining == Decimal("1.5")
            assert [hold.hold_id for hold in client.list_holds()] == [1]
            assert client.release_hold(1).balance.held == 0
            assert [account.symbol for account in client.list_balances()] == ["BTC", "USD"]
            assert client.get_conservation("BTC").net_deposits == 5
            assert len(client.get_state_hash().state_hash) == 32

    await in_a_script(tmp_path, script)


async def test_a_session_is_taken_up_again(tmp_path: Path) -> None:
    def script(address: str) -> None:
        with connect_sync(address, user=1, keep_session=True) as client:
            session_id = client.session_id
        with connect_sync(address, user=1, session_id=session_id) as client:
            assert client.session_id == session_id
        with pytest.raises(ConnectionLost, match="the client was left: nothing was sent"):
            client.ping()

    await in_a_script(tmp_path, script)


async def test_several_threads_share_one_client(tmp_path: Path) -> None:
    def script(address: str) -> None:
        with connect_sync(address, user=1, timeout_s=PATIENCE_S) as client:
            threads = [threading.Thread(target=client.deposit, args=("USD", 3)) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert client.get_balance("USD").available == 30

    await in_a_script(tmp_path, script)


async def test_errors_leave_the_block_and_the_thread_ends(tmp_path: Path) -> None:
    def script(address: str) -> None:
        with pytest.raises(ZeroDivisionError), connect_sync(address, user=1):
            raise ZeroDivisionError

    await in_a_script(tmp_path, script)


async def test_a_script_follows_streams(tmp_path: Path) -> None:
    def script(address: str) -> None:
        with (
            connect_sync(address, user=1, timeout_s=PATIENCE_S) as client,
            client.private_events() as events,
            client.book("BTC/USD") as book,
            client.trades("BTC/USD") as trades,
        ):
            assert (client.connected, client.reconnects, client.failure) == (True, 0, None)
            assert client.welcome.session_id == client.session_id
            client.deposit("BTC", 1)
            client.deposit("USD", 1_000)
            client.submit_order("BTC/USD", "sell", 1, 100)
            book.changed()
            assert book.look(lambda book: book.view(1).asks[0].price) == 100
            client.submit_order("BTC/USD", "buy", 1, 100)
            assert next(trades).quantity == 1
            assert [next(events).private_sequence for _ in range(6)] == [1, 2, 3, 4, 5, 6]

    await in_a_script(tmp_path, script)


def test_no_service_is_the_same_error_and_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(ConnectionLost), connect_sync("127.0.0.1:1", user=1):
        pytest.fail("connected")
    assert threading.active_count() == before


async def test_a_script_gets_an_error_that_says_what_was_wrong(tmp_path: Path) -> None:
    """The same words as the asynchronous client's, and a way on where there is one."""

    def script(address: str) -> None:
        with connect_sync(address, user=1, timeout_s=PATIENCE_S) as client:
            with pytest.raises(OrderRejected) as caught:
                client.withdraw("USD", Decimal("12.34"))
            assert caught.value.detail == "amount: found 12.340000, allowed what is available"
            with pytest.raises(ValueError, match=r"amount: found 0\.000000, allowed 0\.000001 to "):
                client.deposit("USD", 0)
            with pytest.raises(TypeError, match="retry: found BalanceView, allowed a function"):
                client.retry(client.deposit("USD", 1))  # type: ignore[arg-type]  # wrong on purpose
            with pytest.raises(TypeError, match="outcome: found ValueError, allowed the Reply"):
                client.outcome(ValueError())  # type: ignore[arg-type]  # wrong on purpose
            with client.book("BTC/USD") as book, client.trades("BTC/USD") as trades:
                for stream, name in ((book, "asks"), (book, "topic"), (trades, "live")):
                    with pytest.raises(AttributeError) as missed:
                        getattr(stream, name)
                    assert str(missed.value) == (
                        f"'SyncStream' object has no attribute {name!r}; read it where nothing "
                        f"changes meanwhile: look(lambda stream: stream.{name})"
                    )
                with pytest.raises(AttributeError, match=r"no attribute 'bid'$"):
                    _ = book.bid
                assert not hasattr(book, "_stranger")
                assert book.look(lambda each: each.asks) == []

    await in_a_script(tmp_path, script)


async def test_the_asynchronous_client_says_the_same(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            with pytest.raises(TypeError, match="retry: found coroutine, allowed a function"):
                await client.retry(client.deposit("USD", 1))  # type: ignore[arg-type]  # wrong on purpose
            with pytest.raises(TypeError, match="outcome: found ValueError, allowed the Reply"):
                await client.outcome(ValueError())  # type: ignore[arg-type]  # wrong on purpose
            with pytest.raises(OrderRejected) as caught:
                await client.submit_order("BTC/USD", "buy", Decimal(1), 1, expires_ns=1)
            detail = r"expires_ns: found 1, allowed above \d+, the command's time"
            assert re.fullmatch(detail, caught.value.detail)
            assert (await client.get_balance("USD")).available == 0
