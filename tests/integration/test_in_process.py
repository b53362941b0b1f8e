"""The engine inside a program: the sketch's methods, concurrency, deadlines, faults."""

from __future__ import annotations

import contextlib
import inspect
from pathlib import Path

import msgspec
import pytest
import trio

from hpe.client import BalanceView, Client
from hpe.config.settings import demo_config
from hpe.errors import (
    ConfigError,
    ConnectionLost,
    DataDirectoryBusy,
    NotConnected,
    OrderRejected,
    QueryTimeout,
    ReplyTimeout,
)
from hpe.inprocess import InProcessApi
from hpe.protocol.enums import OrderStatus, SelfTrade
from tests.support.gated_files import GatedFiles
from tests.support.in_process import PAIR, deposit, engine
from tests.support.service import running_service
from tests.support.wire import wire


async def test_the_sketch_from_deposit_to_trade(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            assert exchange.phase.value == "ready"
            async with exchange.client(user=1) as one, exchange.client(user=2) as two:
                await one.deposit("BTC", 10**10)
                await two.deposit("USD", 10**12)
            held = await exchange.lock_balance(1, "BTC", 1_000)
            assert (held.available, held.locked) == (10**10 - 1_000, 1_000)
            await exchange.unlock_balance(1, "BTC", 1_000)
            ask = await exchange.submit_order(1, PAIR, "sell", 10, 5_000)
            deal = await exchange.submit_order(2, PAIR, "buy", 4)
            assert deal.status is OrderStatus.FILLED
            assert [fill.price for fill in deal.fills] == [5_000]
            book = await exchange.get_orderbook(1, PAIR)
            assert book.raw.asks == [(5_000, 6, 1)]
            gone = await exchange.cancel_order(1, PAIR, ask.order_id)
            assert gone.status is OrderStatus.CANCELED
            with pytest.raises(OrderRejected, match="unknown_order"):
                await exchange.cancel_order(1, PAIR, ask.order_id)
            balance = await exchange.get_balance(1, "USD")
            assert (balance.available, balance.locked) == (4 * 5_000, 0)
        assert exchange.phase.value == "stopped"


def test_the_sketchs_methods_are_calls_of_a_client() -> None:
    sketch = "submit_order cancel_order get_orderbook lock_balance unlock_balance get_balance"
    for name in sketch.split():
        own, call = getattr(InProcessApi, name), getattr(Client, name)
        assert own.__doc__ == call.__doc__
        parameters = [*inspect.signature(own).parameters]
        assert parameters[:2] == ["self", "session_user"]
        assert parameters[2:] == [*inspect.signature(call).parameters][1:]


async def test_a_hundred_concurrent_callers_are_all_answered(tmp_path: Path) -> None:
    callers, rounds = 100, 5
    done: list[int] = []

    async def call(number: int) -> None:
        user = 1 + number % 10
        for step in range(rounds):
            side = "buy" if (number + step) % 2 else "sell"
            order = await exchange.submit_order(user, PAIR, side, 1 + step, 5_000)
            assert order.leaves + order.cum + order.canceled == 1 + step
            done.append(order.order_id)

    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            async with exchange.client(user=11) as operator:
                for user in range(1, 11):
                    await operator.deposit("BTC", 2**40, user)
                    await operator.deposit("USD", 2**40, user)
            async with trio.open_nursery() as nursery:
                for number in range(callers):
                    nursery.start_soon(call, number)
            assert len(set(done)) == callers * rounds
            for asset in ("BTC", "USD"):
                rows = [await exchange.get_balance(user, asset) for user in range(1, 11)]
                assert sum(row.available + row.locked for row in rows) == 10 * 2**40


async def test_first_calls_of_one_user_share_one_session(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            async with exchange.client(user=7) as client:
                await client.deposit("USD", 20)
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(exchange.lock_balance, 7, "USD", 1)
            assert (await exchange.get_balance(7, "USD")).held == 20
            assert exchange.statistics()["connections"] == 1


async def test_a_reply_timeout_names_the_request_and_outcome_tells_how_it_ended(
    tmp_path: Path,
) -> None:
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(120):
        async with engine(tmp_path, files=files, request_timeout_ms=500) as exchange:
            while True:  # a busy machine may take longer than that
                with contextlib.suppress(QueryTimeout, NotConnected):
                    await exchange.get_balance(7, "USD")
                    break
            await deposit(exchange, 100)
            files.gate.clear()
            with pytest.raises(ReplyTimeout) as late:
                await exchange.lock_balance(7, "USD", 11)
            with pytest.raises(QueryTimeout):
                await exchange.get_balance(7, "USD")  # a read of what is not durable waits too
            files.gate.set()
            balance = await exchange.retry(lambda: exchange.outcome(late.value))
            assert isinstance(balance, BalanceView)
            assert (balance.available, balance.held) == (89, 11)
            again = await exchange.outcome(late.value)
            assert again == balance, "asking twice applies nothing"
            assert (await exchange.get_balance(7, "USD")).held == 11


async def test_the_default_deadline_is_a_tenth_of_a_second(tmp_path: Path) -> None:
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(120):
        async with engine(tmp_path, files=files, request_timeout_ms=100) as exchange:
            async with exchange.client(user=7, timeout_s=100) as client:
                await client.deposit("USD", 11)
            await exchange.retry(lambda: exchange.get_balance(7, "USD"))
            files.gate.clear()
            start_s = trio.current_time()
            with pytest.raises(ReplyTimeout):
                await exchange.lock_balance(7, "USD", 11)
            assert trio.current_time() - start_s >= 0.1
            with pytest.raises(NotConnected, match=r"not attached yet, after 0.1 s; nothing was"):
                await exchange.lock_balance(8, "USD", 11)
            files.gate.set()


async def test_state_and_sequence_survive_a_restart(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            async with exchange.client(user=7) as client:
                await client.deposit("BTC", 10**9)
            order = await exchange.submit_order(7, PAIR, "sell", 10, 5_000)
            before = exchange.durable_sequence.value
        async with engine(tmp_path) as exchange:
            assert exchange.durable_sequence.value >= before
            gone = await exchange.cancel_order(7, PAIR, order.order_id)
            assert (gone.status, gone.canceled) == (OrderStatus.CANCELED, 10)


async def test_the_configurations_terms_hold_and_change_at_a_start(tmp_path: Path) -> None:
    btc = msgspec.structs.replace(demo_config().instruments[0], base_atoms_per_lot=1)
    terms = {"self_trade": "cancel_taker", "band_ppm": 100_000, "reference_price": 5_000}
    with trio.fail_after(120):
        for taker_fee_ppm, band_high in ((500, 5_500), (700, 6_600)):
            row = msgspec.structs.replace(btc, taker_fee_ppm=taker_fee_ppm, **terms)
            settings = {"instruments": (row,), "open_orders_per_user_max": 1}
            async with engine(tmp_path, **settings) as exchange, exchange.client(user=7) as client:
                state = await client.get_instrument(PAIR)
                assert (state.raw.taker_fee_ppm, state.band_high) == (taker_fee_ppm, band_high)
                [listed] = await client.list_instruments()
                assert listed.raw is not None
                assert listed.raw.self_trade == SelfTrade.CANCEL_TAKER
                await client.deposit("BTC", 10**6)
                order = await client.submit_order(PAIR, "sell", 10, 5_450)
                with pytest.raises(OrderRejected, match="too_many_orders"):
                    await client.submit_order(PAIR, "sell", 10, 5_450)
                await client.cancel_order(PAIR, order.order_id)
            terms["reference_price"] = 6_000


async def test_cached_sessions_are_closed_at_a_clean_stop(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            assert (await exchange.get_balance(7, "USD")).available == 0
        sequence = exchange.durable_sequence.value
        async with engine(tmp_path) as exchange:
            assert exchange.durable_sequence.value == sequence, "there was nothing to detach"


async def test_the_bodys_exception_comes_out_as_it_is_after_a_drain(tmp_path: Path) -> None:
    exchange = engine(tmp_path)

    async def use() -> None:
        async with exchange:
            await deposit(exchange, 1)
            raise KeyError("mine")

    with trio.fail_after(120):
        with pytest.raises(KeyError, match="mine"):
            await use()
        assert exchange.phase.value == "stopped"


async def test_cancellation_stops_it_and_it_starts_again(tmp_path: Path) -> None:
    with trio.fail_after(120):
        with trio.CancelScope() as scope:
            async with engine(tmp_path) as exchange:
                await deposit(exchange, 3)
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        async with engine(tmp_path) as exchange:
            assert (await exchange.get_balance(7, "USD")).available == 3


async def test_calls_outside_its_lifetime_are_refused(tmp_path: Path) -> None:
    exchange = engine(tmp_path)
    with pytest.raises(ConnectionLost, match="not running"):
        await exchange.get_balance(7, "USD")
    with pytest.raises(ConnectionLost, match="not running"):
        async with exchange.client(user=7):
            pytest.fail("it is not running")
    with pytest.raises(ConnectionLost, match="stopped"):
        await exchange.listen("127.0.0.1", 0)


async def test_start_up_faults_come_out_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path):
            with pytest.raises(DataDirectoryBusy):
                async with engine(tmp_path):
                    pytest.fail("two engines on one directory")
        monkeypatch.setenv("HPE_COMPILED", "0")
        with pytest.raises(ConfigError, match="core: found 'compiled'"):
            async with engine(tmp_path, core="compiled"):
                pytest.fail("HPE_COMPILED=0 keeps the compiled core away")
        async with engine(tmp_path) as exchange:
            assert exchange.phase.value == "ready"


async def test_the_phase_can_be_awaited(tmp_path: Path) -> None:
    exchange, leave = engine(tmp_path), trio.Event()

    async def use() -> None:
        async with exchange:
            await leave.wait()

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(use)
            for phase in ("recovering", "ready"):
                await exchange.phase.wait_value(phase)
            leave.set()
            for phase in ("draining", "stopped"):
                await exchange.phase.wait_value(phase)


async def test_tcp_and_in_process_see_one_exchange(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7):
            async with service.engine.client(user=7) as client:
                await client.deposit("USD", 42)
            balance = await service.engine.get_balance(7, "USD")
            assert balance.available == 42
            assert service.engine.statistics()["connections"] == 2


async def test_one_engine_object_may_be_entered_again(tmp_path: Path) -> None:
    exchange = engine(tmp_path)
    with trio.fail_after(120):
        for times in (1, 2):
            async with exchange:
                assert await deposit(exchange, 3) == 3 * times
