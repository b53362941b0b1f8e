"""The engine inside a program: the sketch's methods, concurrency, deadlines, faults."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio

import hpe
from hpe.client.channel import SessionChannel
from hpe.client.requests import RequestChannel
from hpe.client.results import Balance, OrderResult
from hpe.config.settings import demo_config
from hpe.errors import (
    ConfigError,
    ConnectionLost,
    DataDirectoryBusy,
    NotConnected,
    OrderRejected,
    ReplyTimeout,
)
from hpe.inprocess import InProcessApi
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import (
    InstrumentStatus,
    Liquidity,
    OrderStatus,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)
from hpe.protocol.reports import PreventedMatch
from hpe.wal.files import LogFiles
from tests.support.gated_files import GatedFiles
from tests.support.service import running_service
from tests.support.wire import named, wire

BTC, USD, PAIR = 1, 3, 1


def engine(
    tmp_path: Path, files: LogFiles | None = None, **settings: object
) -> hpe.HighPerformanceEngine:
    settings = {"request_timeout_ms": 10_000, **settings}
    config = demo_config(data_directory=str(tmp_path / "data"), **settings)
    return hpe.HighPerformanceEngine(config, files=files)


async def test_the_sketch_from_deposit_to_trade(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            assert exchange.phase.value == "ready"
            await exchange.deposit(1, BTC, 10**10)
            await exchange.deposit(2, USD, 10**12)
            held = await exchange.lock_balance(1, BTC, 1_000)
            assert (held.available, held.locked) == (10**10 - 1_000, 1_000)
            await exchange.unlock_balance(1, BTC, 1_000)
            ask = await exchange.submit_order(1, PAIR, Side.SELL, 10, 5_000)
            deal = await exchange.submit_order(
                2, PAIR, Side.BUY, 4, order_type=OrderType.MARKET, time_in_force=TimeInForce.IOC
            )
            assert deal.status is OrderStatus.FILLED
            assert [fill.last_price for fill in deal.fills] == [5_000]
            changed = await exchange.replace_order(1, ask.order_id, quantity=9)
            assert changed.leaves == 5
            book = await exchange.get_orderbook(1, PAIR)
            assert list(map(tuple, book.asks)) == [(5_000, 5, 1)]
            gone = await exchange.cancel_order(1, ask.order_id)
            assert gone.status is OrderStatus.CANCELED
            with pytest.raises(OrderRejected, match="unknown_order"):
                await exchange.cancel_order(1, ask.order_id)
            left = await exchange.withdraw(1, USD, 4 * 5_000 * 1)
            assert left.available == 0
        assert exchange.phase.value == "stopped"


def test_every_request_of_a_channel_has_its_twin_for_a_user() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    requests = public(RequestChannel) - public(SessionChannel)
    of_a_connection = {"ping", "logout", "server_info"}
    assert requests - of_a_connection <= public(InProcessApi)
    parameters = [*inspect.signature(InProcessApi.deposit).parameters]
    assert parameters == ["self", "session_user", "asset", "amount", "user"]


@asynccontextmanager
async def funded(tmp_path: Path) -> AsyncIterator[hpe.HighPerformanceEngine]:
    """An engine whose users 1 and 2 have plenty of both assets."""
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            for user in (1, 2):
                await exchange.deposit(user, BTC, 10**12)
                await exchange.deposit(user, USD, 10**12)
            yield exchange


async def test_orders_of_every_kind(tmp_path: Path) -> None:
    async with funded(tmp_path) as exchange:
        await exchange.set_fees(1, PAIR, 0, 1_000)
        ask = await exchange.submit_order(1, PAIR, Side.SELL, 10, 5_000, display_quantity=4)
        assert (await exchange.get_orderbook(2, PAIR)).asks == [(5_000, 4, 1)]
        deal = await exchange.submit_order(
            2, PAIR, Side.BUY, 5, 5_000, minimum_quantity=5, time_in_force=TimeInForce.IOC
        )
        assert (deal.cum, deal.quote_total, deal.fee_total) == (5, 25_000, 25)
        fills = await exchange.list_fills(1)
        assert [fill.quantity for fill in fills] == [4, 1], "a slice and a part of the next"
        assert {(fill.order_id, fill.liquidity) for fill in fills} == {
            (ask.order_id, Liquidity.MAKER)
        }
        own = await exchange.submit_order(
            1, PAIR, Side.BUY, 5, 5_000, self_trade=SelfTrade.CANCEL_TAKER
        )
        assert isinstance(own.events[0], PreventedMatch)
        stop = await exchange.submit_order(
            1, PAIR, Side.SELL, 3, order_type=OrderType.STOP, stop_price=4_000
        )
        both = await exchange.submit_oco(1, PAIR, Side.SELL, 2, 6_000, 3_000)
        moved = await exchange.replace_order(1, stop.order_id, quantity=3, stop_price=4_100)
        assert moved.leaves == 3
        assert (await exchange.get_order(1, stop.order_id)).stop_price == 4_100
        ids = [ask.order_id, stop.order_id, both.limit_order_id, both.stop_order_id]
        assert [row.order_id for row in await exchange.list_orders(1)] == ids
        assert await exchange.list_orders(2, user=1) == await exchange.list_orders(1, PAIR)
        assert await exchange.block_user(2, 1) == 4
        with pytest.raises(OrderRejected, match="user_blocked"):
            await exchange.submit_order(1, PAIR, Side.SELL, 1, 5_000)
        gone = await exchange.mass_cancel(1, PAIR, Side.SELL)
        assert gone.canceled == 4
        assert {order.reason for order in gone.orders} == {CancelReason.MASS_CANCEL}


async def test_a_market_order_with_a_budget_spends_it(tmp_path: Path) -> None:
    async with funded(tmp_path) as exchange:
        await exchange.submit_order(1, PAIR, Side.SELL, 10, 5_000)
        bought = await exchange.submit_order(
            2,
            PAIR,
            Side.BUY,
            0,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            budget=17_000,
        )
        assert isinstance(bought, OrderResult)
        assert (bought.status, bought.cum, bought.quote_total) == (OrderStatus.FILLED, 3, 15_000)


async def test_a_call_auction(tmp_path: Path) -> None:
    async with funded(tmp_path) as exchange:
        call = InstrumentStatus.CALL_AUCTION
        assert await exchange.set_status(1, PAIR, call) is call
        await exchange.submit_order(1, PAIR, Side.SELL, 10, 4_900)
        await exchange.submit_order(2, PAIR, Side.BUY, 10, 5_100)
        state = await exchange.get_instrument(1, PAIR)
        assert (state.indicative_price, state.indicative_volume) == (5_000, 10)
        opening = await exchange.uncross(1, PAIR)
        assert (opening.price, opening.volume) == (5_000, 10)
        assert (await exchange.get_instrument(1, PAIR)).status == InstrumentStatus.TRADING


async def test_transfers_and_holds(tmp_path: Path) -> None:
    async with funded(tmp_path) as exchange:
        start = 10**12
        paid = await exchange.transfer(1, USD, 100, to_user=2)
        assert paid == Balance(start - 100, 0, 0, 0)
        await exchange.lock_balance(1, USD, 50, hold_id=4)
        assert await exchange.list_holds(1) == [(4, USD, 50, 0)]
        captured = await exchange.capture_hold(1, 4, 20, to_user=2)
        assert (captured.remaining, captured.balance.held) == (30, 30)
        assert (await exchange.get_balance(2, USD)).available == start + 120
        assert (await exchange.release_hold(1, 4)).balance == Balance(start - 120, 0, 0, 0)
        assert await exchange.list_balances(2) == [
            (BTC, start, 0, 0, 0),
            (USD, start + 120, 0, 0, 0),
        ]
        sums = await exchange.get_conservation(1, USD)
        assert (sums.net_deposits, sums.available, sums.accounts) == (2 * start, 2 * start, 2)
        assert len((await exchange.get_state_hash(1)).state_hash) == 32


async def test_a_hundred_concurrent_callers_are_all_answered(tmp_path: Path) -> None:
    callers, rounds = 100, 5
    done: list[int] = []

    async def call(number: int) -> None:
        user = 1 + number % 10
        for step in range(rounds):
            side = Side.BUY if (number + step) % 2 else Side.SELL
            order = await exchange.submit_order(user, PAIR, side, 1 + step, 5_000)
            assert order.leaves + order.cum + order.canceled == 1 + step
            done.append(order.order_id)

    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            for user in range(1, 11):
                await exchange.deposit(user, BTC, 2**40)
                await exchange.deposit(user, USD, 2**40)
            async with trio.open_nursery() as nursery:
                for number in range(callers):
                    nursery.start_soon(call, number)
            assert len(set(done)) == callers * rounds
            for asset in (BTC, USD):
                rows = [await exchange.get_balance(user, asset) for user in range(1, 11)]
                assert sum(row.available + row.locked for row in rows) == 10 * 2**40


async def test_first_calls_of_one_user_share_one_session(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(exchange.deposit, 7, USD, 1)
            assert (await exchange.get_balance(7, USD)).available == 20
            assert exchange.statistics()["connections"] == 1


async def test_a_reply_timeout_names_the_request_and_outcome_tells_how_it_ended(
    tmp_path: Path,
) -> None:
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(120):
        async with engine(tmp_path, files=files) as exchange:
            await exchange.deposit(7, USD, 100)
            channel = await exchange.channel(7)
            files.gate.clear()
            channel.timeout_s = 0.05
            with pytest.raises(ReplyTimeout) as late:
                await exchange.deposit(7, USD, 11)
            assert late.value.session_id == channel.session_id
            with pytest.raises(ReplyTimeout):
                await exchange.get_balance(7, USD)  # a read of what is not durable waits too
            files.gate.set()
            channel.timeout_s = 10
            balance = await exchange.outcome(late.value)
            assert getattr(balance, "available", None) == 111
            again = await exchange.outcome(late.value)
            assert again == balance, "asking twice applies nothing"
            assert (await exchange.get_balance(7, USD)).available == 111


async def test_the_default_deadline_is_a_tenth_of_a_second(tmp_path: Path) -> None:
    files = GatedFiles(tmp_path / "data")
    with trio.fail_after(120):
        async with engine(tmp_path, files=files, request_timeout_ms=100) as exchange:
            await exchange.channel(7)
            files.gate.clear()
            start_s = trio.current_time()
            with pytest.raises(ReplyTimeout):
                await exchange.deposit(7, USD, 11)
            assert trio.current_time() - start_s >= 0.1
            with pytest.raises(NotConnected, match=r"not attached yet, after 0.1 s; nothing was"):
                await exchange.deposit(8, USD, 11)
            files.gate.set()


async def test_a_session_of_its_own_can_be_resumed(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            async with exchange.session(7, window=100, keep_session=True) as channel:
                assert channel.window == 100
                await channel.deposit(USD, 5)
                session_id, last = channel.session_id, channel.last_request_id
            with pytest.raises(ConnectionLost):
                await channel.deposit(USD, 5)
            async with exchange.session(7, session_id=session_id) as resumed:
                assert resumed.last_request_id == last
                assert (await resumed.deposit(USD, 5)).available == 10


async def test_a_session_that_was_taken_and_left_at_once_is_told_to_who_had_it(
    tmp_path: Path,
) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            with trio.CancelScope() as gone:
                gone.cancel()
                async with service.engine.session(7, session_id=client.session_id):
                    pytest.fail("it was not attached yet")
            assert named(await client.until_closed()) == [(0, "session_replaced")]
            async with service.engine.session(7, session_id=client.session_id) as again:
                assert (await again.deposit(USD, 5)).available == 5


async def test_state_and_sequence_survive_a_restart(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            order = None
            await exchange.deposit(7, BTC, 10**9)
            order = await exchange.submit_order(7, PAIR, Side.SELL, 10, 5_000)
            before = exchange.durable_sequence.value
        async with engine(tmp_path) as exchange:
            assert exchange.durable_sequence.value >= before
            gone = await exchange.cancel_order(7, order.order_id)
            assert (gone.status, gone.canceled) == (OrderStatus.CANCELED, 10)


async def test_the_configurations_terms_hold_and_change_at_a_start(tmp_path: Path) -> None:
    btc = demo_config().instruments[0]
    terms = {"self_trade": "cancel_taker", "band_ppm": 100_000, "reference_price": 5_000}
    with trio.fail_after(120):
        for taker_fee_ppm, band_high in ((500, 5_500), (700, 6_600)):
            row = msgspec.structs.replace(btc, taker_fee_ppm=taker_fee_ppm, **terms)
            settings = {"instruments": (row,), "open_orders_per_user_max": 1}
            async with engine(tmp_path, **settings) as exchange:
                state = await exchange.get_instrument(7, PAIR)
                assert (state.taker_fee_ppm, state.band_high) == (taker_fee_ppm, band_high)
                [listed] = await exchange.list_instruments(7)
                assert listed.self_trade == SelfTrade.CANCEL_TAKER
                await exchange.deposit(7, BTC, 10**6)
                order = await exchange.submit_order(7, PAIR, Side.SELL, 10, 5_450)
                with pytest.raises(OrderRejected, match="too_many_orders"):
                    await exchange.submit_order(7, PAIR, Side.SELL, 10, 5_450)
                await exchange.cancel_order(7, order.order_id)
            terms["reference_price"] = 6_000


async def test_cached_sessions_are_closed_at_a_clean_stop(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            await exchange.deposit(7, USD, 1)
        sequence = exchange.durable_sequence.value
        async with engine(tmp_path) as exchange:
            assert exchange.durable_sequence.value == sequence, "there was nothing to detach"


async def test_the_bodys_exception_comes_out_as_it_is_after_a_drain(tmp_path: Path) -> None:
    exchange = engine(tmp_path)

    async def use() -> None:
        async with exchange:
            await exchange.deposit(7, USD, 1)
            raise KeyError("mine")

    with trio.fail_after(120):
        with pytest.raises(KeyError, match="mine"):
            await use()
        assert exchange.phase.value == "stopped"


async def test_cancellation_stops_it_and_it_starts_again(tmp_path: Path) -> None:
    with trio.fail_after(120):
        with trio.CancelScope() as scope:
            async with engine(tmp_path) as exchange:
                await exchange.deposit(7, USD, 3)
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        async with engine(tmp_path) as exchange:
            assert (await exchange.get_balance(7, USD)).available == 3


async def test_calls_outside_its_lifetime_are_refused(tmp_path: Path) -> None:
    exchange = engine(tmp_path)
    with pytest.raises(ConnectionLost, match="not running"):
        await exchange.deposit(7, USD, 1)
    with pytest.raises(ConnectionLost, match="stopped"):
        await exchange.listen("127.0.0.1", 0)


async def test_start_up_faults_come_out_as_they_are(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path):
            with pytest.raises(DataDirectoryBusy):
                async with engine(tmp_path):
                    pytest.fail("two engines on one directory")
        with pytest.raises(ConfigError, match="compiled"):
            async with engine(tmp_path, core="compiled"):
                pytest.fail("there is no compiled core")
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
            await service.engine.deposit(7, USD, 42)
            balance = await service.engine.get_balance(7, USD)
            assert balance.available == 42
            assert service.engine.statistics()["connections"] == 2


async def test_one_engine_object_may_be_entered_again(tmp_path: Path) -> None:
    exchange = engine(tmp_path)
    with trio.fail_after(120):
        for times in (1, 2):
            async with exchange:
                assert (await exchange.deposit(7, USD, 3)).available == 3 * times


async def test_an_outcome_may_be_asked_by_several_at_once(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            await exchange.deposit(7, USD, 3)
            channel = await exchange.channel(7)
            late = ReplyTimeout(channel.session_id, channel.last_request_id)
            found = []

            async def ask() -> None:
                found.append(await exchange.outcome(late))

            async with trio.open_nursery() as nursery:
                for _ in range(100):
                    nursery.start_soon(ask)
            assert len(found) == 100
            assert {balance.available for balance in found} == {3}
            assert (await exchange.deposit(7, USD, 1)).available == 4
