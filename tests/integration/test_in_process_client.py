"""The client without a socket: every call, every stream, sessions and ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from hpe.client import HoldReportView, PreventedMatchView
from hpe.client.results import Balance
from hpe.core.output.private_ring import CHUNKS_PER_SEGMENT, PrivateRing
from hpe.errors import (
    ConnectionLost,
    OrderRejected,
    ReplyTimeout,
    RequestRefused,
)
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import InstrumentStatus, Liquidity, OrderStatus
from tests.support.in_process import PAIR, deposit, engine, funded
from tests.support.service import running_service
from tests.support.wire import named, wire


async def test_orders_of_every_kind(tmp_path: Path) -> None:
    async with funded(tmp_path) as (one, two):
        await one.set_fees(PAIR, 0, 1_000)
        ask = await one.submit_order(PAIR, "sell", 10, 5_000, display_quantity=4)
        assert (await two.get_orderbook(PAIR)).raw.asks == [(5_000, 4, 1)]
        deal = await two.submit_order(
            PAIR, "buy", 5, 5_000, minimum_quantity=5, time_in_force="ioc"
        )
        assert (deal.cum, deal.quote_total, deal.fee_total) == (5, 25_000, 25)
        fills = await one.list_fills()
        assert [fill.quantity for fill in fills] == [4, 1], "a slice and a part of the next"
        assert {(fill.order_id, fill.liquidity) for fill in fills} == {
            (ask.order_id, Liquidity.MAKER)
        }
        own = await one.submit_order(PAIR, "buy", 5, 5_000, self_trade="cancel_taker")
        assert isinstance(own.events[0], PreventedMatchView)
        stop = await one.submit_order(PAIR, "sell", 3, stop_price=4_000)
        both = await one.submit_oco(PAIR, "sell", 2, 6_000, 3_000)
        moved = await one.replace_order(PAIR, stop.order_id, quantity=3, stop_price=4_100)
        assert moved.leaves == 3
        assert (await one.get_order(stop.order_id)).stop_price == 4_100
        ids = [ask.order_id, stop.order_id, both.limit_order_id, both.stop_order_id]
        assert [order.order_id for order in await one.list_orders()] == ids
        assert await two.list_orders(user=1) == await one.list_orders(PAIR)
        assert await two.block_user(1) == 4
        with pytest.raises(OrderRejected, match="user_blocked"):
            await one.submit_order(PAIR, "sell", 1, 5_000)
        gone = await one.mass_cancel(PAIR, "sell")
        assert gone.canceled == 4
        assert {order.reason for order in gone.orders} == {CancelReason.MASS_CANCEL}


async def test_a_market_order_with_a_budget_spends_it(tmp_path: Path) -> None:
    async with funded(tmp_path) as (one, two):
        await one.submit_order(PAIR, "sell", 10, 5_000)
        bought = await two.submit_order(PAIR, "buy", budget=17_000)
        assert (bought.status, bought.cum, bought.quote_total) == (OrderStatus.FILLED, 3, 15_000)


async def test_a_call_auction(tmp_path: Path) -> None:
    async with funded(tmp_path) as (one, two):
        call = InstrumentStatus.CALL_AUCTION
        assert await one.set_status(PAIR, call) is call
        await one.submit_order(PAIR, "sell", 10, 4_900)
        await two.submit_order(PAIR, "buy", 10, 5_100)
        state = await one.get_instrument(PAIR)
        assert (state.indicative_price, state.indicative_volume) == (5_000, 10)
        opening = await one.uncross(PAIR)
        assert (opening.price, opening.volume) == (5_000, 10)
        assert (await one.get_instrument(PAIR)).status == InstrumentStatus.TRADING


async def test_transfers_and_holds(tmp_path: Path) -> None:
    async with funded(tmp_path) as (one, two):
        start = 10**12
        paid = await one.transfer("USD", 100, to_user=2)
        assert paid.raw == Balance(start - 100, 0, 0, 0)
        await one.lock_balance("USD", 50, hold_id=4)
        assert [(hold.hold_id, hold.amount) for hold in await one.list_holds()] == [(4, 50)]
        captured = await one.capture_hold(4, 20, to_user=2)
        assert (captured.remaining, captured.balance.held) == (30, 30)
        assert (await two.get_balance("USD")).available == start + 120
        assert (await one.release_hold(4)).balance.raw == Balance(start - 120, 0, 0, 0)
        accounts = {each.symbol: each.balance.available for each in await two.list_balances()}
        assert accounts == {"BTC": start, "USD": start + 120}
        sums = await one.get_conservation("USD")
        assert (sums.net_deposits, sums.available, sums.accounts) == (2 * start, 2 * start, 2)
        assert len((await one.get_state_hash()).state_hash) == 32


async def test_streams_come_without_a_socket_too(tmp_path: Path) -> None:
    async with (
        funded(tmp_path) as (one, two),
        one.private_events() as events,
        two.book(PAIR) as book,
        two.best(PAIR) as best,
        two.trades(PAIR) as trades,
        two.status(PAIR) as status,
    ):
        assert list(book.bids) == []
        await one.submit_order(PAIR, "buy", 10, 5_000)
        await book.changed()
        assert [(level.price, level.quantity) for level in book.bids] == [(5_000, 10)]
        await best.changed()
        assert best.now.bid == 5_000
        await two.submit_order(PAIR, "sell", 4, 5_000)
        trade = await anext(trades)
        assert (trade.price, trade.quantity) == (5_000, 4)
        told = [type(await anext(events)).__name__ for _ in range(4)]
        assert told[0] == "OrderReportView"
        assert "ExecutionView" in told
        await two.set_status(PAIR, "halted")
        await status.changed()
        assert status.now.status is InstrumentStatus.HALTED
        assert (await one.server_info()).phase == "ready"
        assert await one.ping() >= 0


async def test_private_events_go_on_behind_a_position(tmp_path: Path) -> None:
    async with funded(tmp_path) as (one, two):
        async with one.private_events() as events:
            await one.deposit("USD", 1)
            first = await anext(events)
            position = events.position
        for _ in range(3):
            await one.deposit("USD", 1)
        async with two.private_events(after=position, user=1) as events:
            rest = [await anext(events) for _ in range(3)]
        available = [event.available for event in (first, *rest)]
        assert available == [10**12 + number for number in range(1, 5)]
        with pytest.raises(RequestRefused, match="resume_ahead"):
            async with one.private_events(after=10_000):
                pytest.fail("nothing has that position yet")


async def test_more_reports_than_one_parcel_carries_all_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits behind the replies is the streams' task's to hand over."""
    monkeypatch.setattr("hpe.net.send_queue.TAKE_BYTES", 500)
    async with funded(tmp_path) as (one, two):
        for number in range(1, 51):
            await one.lock_balance("USD", 1, hold_id=number)
        last = 0
        async with two.private_events(after=0, user=1) as events:
            holds: list[int] = []
            while len(holds) < 50:
                event = await anext(events)
                assert event.raw.private_sequence > last
                last = event.raw.private_sequence
                if isinstance(event, HoldReportView):
                    holds.append(event.hold_id)
        assert holds == [*range(1, 51)]


async def test_a_session_of_its_own_can_be_resumed(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            async with exchange.client(user=7, window=100, keep_session=True) as client:
                assert client.welcome.window == client.requests.window == 100
                await client.deposit("USD", 5)
                session_id, last = client.session_id, client.requests.last_request_id
            with pytest.raises(ConnectionLost, match="the client was left"):
                await client.deposit("USD", 5)
            async with exchange.client(user=7, session_id=session_id) as resumed:
                assert resumed.session_id == session_id
                # Queries are not remembered: the last command was the last but none of them.
                assert resumed.welcome.last_request_id == last
                assert (await resumed.deposit("USD", 5)).available == 10


async def test_the_bodys_exception_leaves_a_client_as_it_is(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            with pytest.raises(KeyError, match="mine"):
                async with exchange.client(user=7) as client:
                    raise KeyError("mine")
            async with exchange.client(user=7, session_id=client.session_id) as again:
                assert again.session_id == client.session_id, "it stays"
            with pytest.raises(RequestRefused, match="unknown_session"):
                async with exchange.client(user=7, session_id=client.session_id):
                    pytest.fail("it was logged out")
            assert exchange.statistics()["connections"] == 0


async def test_a_client_that_outlives_its_engine_says_so(tmp_path: Path) -> None:
    entered, stopped = trio.Event(), trio.Event()

    async def stay_on() -> None:
        async with exchange.client(user=7) as client, client.private_events() as events:
            entered.set()
            await stopped.wait()
            with pytest.raises(ConnectionLost, match="the engine has stopped"):
                await client.deposit("USD", 1)
            with pytest.raises(ConnectionLost, match="the engine has stopped"):
                await anext(events)

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            async with engine(tmp_path) as exchange:
                nursery.start_soon(stay_on)
                await entered.wait()
            stopped.set()


async def test_the_former_holder_learns_that_its_session_was_taken(
    tmp_path: Path,
) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            with trio.CancelScope() as gone:
                gone.cancel()
                async with service.engine.client(user=7, session_id=client.session_id):
                    pytest.fail("it was not attached yet")
            assert named(await client.until_closed()) == [(0, "session_replaced")]
            async with service.engine.client(user=7, session_id=client.session_id) as again:
                assert (await again.deposit("USD", 5)).available == 5


async def test_an_outcome_may_be_asked_by_several_at_once(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            await deposit(exchange, 3)
            async with exchange.client(user=7) as client:
                await client.lock_balance("USD", 1)
                late = ReplyTimeout(client.session_id, client.requests.answered_request_id)
                found = []

                async def ask() -> None:
                    found.append(await client.outcome(late))

                async with trio.open_nursery() as nursery:
                    for _ in range(100):
                        nursery.start_soon(ask)
                assert len(found) == 100
                assert {balance.held for balance in found} == {1}
                assert (await client.deposit("USD", 1)).available == 3


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"user": 0}, "user: found 0, allowed 1 to"),
        ({"user": "BTC/USD"}, "user: found str 'BTC/USD', allowed an integer"),
        ({"window": 16_385}, "window: found 16385, allowed 0 to 16384"),
        ({"timeout_s": 0}, "timeout_s: found 0, allowed above 0"),
        ({"keep_session": 1}, "keep_session: found int 1, allowed True or False"),
    ],
)
async def test_wrong_options_are_refused_by_name(
    tmp_path: Path, options: dict[str, Any], text: str
) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange:
            with pytest.raises((TypeError, ValueError), match=text):
                async with exchange.client(**{"user": 7, **options}):
                    pytest.fail("attached")
            if "user" in options:
                with pytest.raises((TypeError, ValueError), match=text):
                    await exchange.get_balance(options["user"], "USD")
            assert exchange.statistics()["connections"] == 0


async def test_a_reader_that_the_ring_left_behind_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a pause of the loop in which more happened than the ring keeps."""
    monkeypatch.setattr("hpe.engine.PrivateRing", lambda: PrivateRing(reports_max=8))
    with trio.fail_after(120):
        async with engine(tmp_path) as exchange, exchange.client(user=7) as client:
            await client.deposit("USD", 1)
            async with client.private_events() as events:
                [local] = exchange._blocks
                ring = local._send_queue._ring
                first = ring.last(7) + 1
                for number in range(first, first + 3 * CHUNKS_PER_SEGMENT):
                    ring.put(7, number, number, b"never read")
                local._send_queue.notice(7)
                with pytest.raises(ConnectionLost, match="the private stream fell too far behind"):
                    await anext(events)
            assert client.failure is not None
            assert (await exchange.get_balance(7, "USD")).available == 1, "others go on"
