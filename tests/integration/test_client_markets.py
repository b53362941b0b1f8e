"""The client library's orders, markets and holds against a real service, in Decimals."""

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from hpe.client.client import Client, connect
from hpe.client.market_views import LevelView
from hpe.client.results import Balance
from hpe.client.scales import InstrumentView
from hpe.client.views import OrderReportView, PreventedMatchView
from hpe.errors import OrderRejected
from hpe.protocol.codes import CancelReason
from hpe.protocol.enums import (
    InstrumentStatus,
    Liquidity,
    OrderStatus,
    OrderType,
    SelfTrade,
    TimeInForce,
)
from hpe.protocol.limits import HOUSE_USER
from tests.support.service import running_service

PATIENCE_S = 120
"""Deadline of the tests: a shared machine may be slow; 100 ms is not what they are about."""

PAIR = "BTC/USD"
D = Decimal


class Floor(NamedTuple):
    """Two users with money: alice is user 1, bob user 2."""

    alice: Client
    bob: Client
    pair: InstrumentView


@asynccontextmanager
async def trading_floor(tmp_path: Path) -> AsyncIterator[Floor]:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as alice,
            connect(service.address, user=2, timeout_s=PATIENCE_S) as bob,
        ):
            for client in (alice, bob):
                await client.deposit("BTC", 10)
                await client.deposit("USD", 10_000)
            yield Floor(alice, bob, await alice.instrument(PAIR))


async def trade_at(floor: Floor, price: Decimal | int) -> None:
    """Make a price the last one."""
    await floor.bob.submit_order(PAIR, "sell", D("0.01"), price)
    done = await floor.alice.submit_order(PAIR, "buy", D("0.01"), price)
    assert done.status is OrderStatus.FILLED


async def test_fees_are_charged_and_the_house_pays_the_rebate(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, bob, pair):
        await alice.set_fees(PAIR, -100, 250)
        state = await alice.get_instrument(PAIR)
        assert (state.maker_fee_ppm, state.taker_fee_ppm) == (-100, 250)
        await alice.submit_order(pair, "sell", 1, 100)
        bought = await bob.submit_order(pair, "buy", 1, 100)
        assert (bought.quote_total, bought.fee_total) == (D(100), D("0.025"))
        assert bought.fills[0].fee == D("0.025")
        [sold] = await alice.list_fills()
        assert (sold.liquidity, sold.fee, sold.symbol) == (Liquidity.MAKER, D("-0.01"), PAIR)
        assert await alice.list_fills(after=sold.private_sequence) == []
        found = await alice.read_fills()
        assert (found.fills, found.complete_after) == ([sold], 0)
        assert await bob.list_fills(user=1) == [sold]
        assert (await alice.get_balance("USD")).available == D("10100.01")
        assert (await bob.get_balance("USD")).available == D("9899.975")
        assert (await bob.get_balance("USD", HOUSE_USER)).available == D("0.015")
        sums = await bob.get_conservation("USD")
        assert (sums.net_deposits, sums.available, sums.house) == (20_000, 20_000, D("0.015"))
        assert (sums.reserved, sums.held, sums.accounts) == (0, 0, 3)

        await alice.set_fees(PAIR, 0, 100, user=2)
        await alice.submit_order(pair, "sell", 2, 100)
        assert (await bob.submit_order(pair, "buy", 1, 100)).fee_total == D("0.01")
        await alice.set_fees(PAIR, None, None, user=2)
        assert (await bob.submit_order(pair, "buy", 1, 100)).fee_total == D("0.025")
        with pytest.raises(OrderRejected, match="fees_below_zero"):
            await alice.set_fees(PAIR, -251, 250)


async def test_an_end_is_moved_and_the_rest_stays(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, _, pair):
        end_ns = time.time_ns() + 10**12
        placed = await alice.submit_order(pair, "sell", 1, 100, expires_ns=end_ns)
        moved = await alice.replace_order(pair, placed.order_id, expires_ns=end_ns + 1)
        assert (moved.leaves, moved.status) == (1, OrderStatus.NEW)
        row = (await alice.get_order(placed.order_id)).raw
        assert (row.expires_ns, row.leaves) == (end_ns + 1, placed.raw.leaves)
        with pytest.raises(OrderRejected, match="expiry_passed"):
            await alice.replace_order(pair, placed.order_id, expires_ns=1)


async def test_a_stop_waits_is_moved_and_fires(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        alice, bob, pair = floor
        await trade_at(floor, 100)
        placed = await alice.submit_order(pair, "sell", 1, stop_price=98)
        assert (placed.status, placed.leaves) == (OrderStatus.NEW, 1)
        [waiting] = await alice.list_orders(pair)
        assert (waiting.order_type, waiting.waiting) == (OrderType.STOP, True)
        assert (waiting.price, waiting.stop_price, waiting.reserved) == (None, 98, 1)
        assert (await alice.get_instrument(pair)).waiting_stops == 1
        await alice.replace_order(pair, placed.order_id, quantity=1, stop_price=99)
        assert (await alice.get_order(placed.order_id)).stop_price == 99
        await bob.submit_order(pair, "buy", 1, 97)
        await trade_at(floor, 99)
        fired = await alice.get_order(placed.order_id)
        assert (fired.status, fired.cum, fired.waiting) == (OrderStatus.FILLED, 1, False)
        assert (fired.quote_total, fired.raw.reason) == (97, 0)


async def test_every_kind_of_stop_is_made_of_what_it_has(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        alice, _, pair = floor
        await trade_at(floor, 100)
        with_limit = await alice.submit_order(pair, "buy", 1, 102, stop_price=101)
        with_budget = await alice.submit_order(pair, "buy", stop_price=103, budget=50)
        trailing = await alice.submit_order(pair, "sell", 1, trail=D("0.5"), time_in_force="ioc")
        rows = await alice.list_orders()
        assert [row.order_id for row in rows] == [
            order.order_id for order in (with_limit, with_budget, trailing)
        ]
        kinds = [(row.order_type, row.price, row.stop_price) for row in rows]
        assert kinds == [
            (OrderType.STOP_LIMIT, 102, 101),
            (OrderType.STOP, None, 103),
            (OrderType.STOP, None, D("99.5")),
        ]
        assert [row.reserved for row in rows] == [102, 50, 1]
        assert [row.time_in_force for row in rows] == [
            TimeInForce.GTC,
            TimeInForce.GTC,
            TimeInForce.IOC,
        ]
        assert pair.quote.amounts.value(rows[1].raw.budget) == 50
        assert rows[2].raw.trail == 50


async def test_an_iceberg_a_minimum_and_a_budget(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, bob, pair):
        await alice.submit_order(pair, "sell", 1, 100, display_quantity=D("0.2"))
        assert (await bob.get_orderbook(pair)).asks == (LevelView(D(100), D("0.2"), 1),)
        much = await bob.submit_order(pair, "buy", 2, 100, minimum_quantity=D("1.5"))
        assert (much.status, much.cum) == (OrderStatus.CANCELED, 0)
        assert much.reason == CancelReason.MINIMUM_NOT_FILLABLE
        spent = await bob.submit_order(pair, "buy", budget=50)
        assert (spent.status, spent.cum, spent.quote_total) == (OrderStatus.FILLED, D("0.5"), 50)


async def test_a_pair_of_orders_of_which_one_cancels_the_other(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, bob, pair):
        first = await alice.submit_oco(pair, "sell", 1, 110, 90, limit_client_order_id=7)
        limit, stop = await alice.list_orders(pair)
        assert (limit.order_id, stop.order_id) == (first.limit_order_id, first.stop_order_id)
        assert (limit.client_order_id, limit.raw.linked_order_id) == (7, stop.order_id)
        await bob.submit_order(pair, "buy", D("0.5"), 110)
        gone = await alice.get_order(stop.order_id)
        assert (gone.status, gone.raw.reason) == (OrderStatus.CANCELED, CancelReason.LINKED)
        assert (await alice.get_order(client_order_id=7)).leaves == D("0.5")

        second = await alice.submit_oco(
            pair, "buy", 1, 80, 120, stop_limit_price=121, self_trade="cancel_both"
        )
        row = (await alice.get_order(second.stop_order_id)).raw
        assert (row.order_type, row.self_trade) == (OrderType.STOP_LIMIT, SelfTrade.CANCEL_BOTH)
        canceled = await alice.cancel_order(pair, second.stop_order_id)
        [event] = canceled.events
        assert isinstance(event, OrderReportView)
        assert (event.order_id, event.reason) == (second.limit_order_id, CancelReason.LINKED)
        third = await alice.submit_oco(pair, "buy", 1, 80, 120, budget=130)
        assert (await alice.get_order(third.limit_order_id)).reserved == 130


async def test_a_trade_of_a_user_with_itself_is_prevented(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, _, pair):
        await alice.submit_order(pair, "sell", 1, 100)
        own = await alice.submit_order(pair, "buy", 2, 100, self_trade="decrement")
        assert (own.cum, own.canceled, own.leaves) == (0, 1, 1)
        [event] = own.events
        assert isinstance(event, PreventedMatchView)
        assert (event.policy, event.taker_leaves) == (SelfTrade.DECREMENT, 1)
        with pytest.raises(ValueError, match=r"self trade: found 'no', allowed none, cancel_t"):
            await alice.submit_order(pair, "buy", 1, 100, self_trade="no")


async def test_many_orders_are_canceled_at_once(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, bob, pair):
        bids = [await alice.submit_order(pair, "buy", 1, price) for price in (98, 97)]
        await alice.submit_order(pair, "sell", 1, 100)
        await bob.submit_order(pair, "sell", 1, 101)
        result = await alice.mass_cancel(pair, "buy")
        assert (result.canceled, result.remaining) == (2, 0)
        assert [order.order_id for order in result.orders] == [order.order_id for order in bids]
        assert {order.reason for order in result.orders} == {CancelReason.MASS_CANCEL}
        everybodys = await alice.mass_cancel(all_users=True)
        assert (everybodys.canceled, len(everybodys.orders)) == (2, 1)
        assert await bob.list_orders() == []


async def test_a_blocked_user_may_only_cancel(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, bob, pair):
        order = await alice.submit_order(pair, "buy", 1, 98)
        assert await bob.block_user(1) == 1
        with pytest.raises(OrderRejected, match="user_blocked"):
            await alice.submit_order(pair, "buy", 1, 98)
        await alice.cancel_order(pair, order.order_id)
        assert await bob.block_user(1, False) == 0
        await alice.submit_order(pair, "buy", 1, 98)


async def test_a_call_gathers_orders_and_ends_at_one_price(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, bob, pair):
        assert await alice.set_status(pair, "halted") is InstrumentStatus.HALTED
        with pytest.raises(OrderRejected, match="not_trading"):
            await alice.submit_order(pair, "sell", 1, 99)
        await alice.set_status(pair, "call_auction")
        with pytest.raises(OrderRejected, match="not_in_call"):
            await alice.submit_order(pair, "sell", 1)
        await alice.submit_order(pair, "sell", 1, 99)
        await bob.submit_order(pair, "buy", 3, 101)
        state = await alice.get_instrument(pair)
        assert state.status is InstrumentStatus.CALL_AUCTION
        assert (state.indicative_price, state.indicative_volume) == (101, 1)
        assert (state.indicative_surplus, state.open_orders) == (2, 2)
        assert (state.last_price, state.band_low, state.band_high) == (None, None, None)
        with pytest.raises(OrderRejected, match="call_open"):
            await alice.set_status(pair, "trading")
        opened = await alice.uncross(pair, "cancel_only")
        assert (opened.symbol, opened.price, opened.volume) == (pair.symbol, D(101), D(1))
        state = await alice.get_instrument(pair)
        assert (state.status, state.last_price) == (InstrumentStatus.CANCEL_ONLY, 101)
        [sold] = await alice.list_fills()
        assert (sold.liquidity, sold.price) == (Liquidity.AUCTION, 101)
        with pytest.raises(OrderRejected, match="no_call"):
            await alice.uncross(pair)
        with pytest.raises(ValueError, match="status: found 'open', allowed trading"):
            await alice.set_status(pair, "open")
        await alice.set_status(pair, "call_auction")
        nothing = await alice.uncross(pair)
        assert (nothing.price, nothing.volume) == (None, D(0))


async def test_an_instrument_with_terms_of_its_own(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, bob, pair):
        await alice.add_instrument(
            "BTC/USD-BAND",
            pair.base.id,
            pair.quote.id,
            base_atoms_per_lot=10_000,
            notional_max=10**9,
            maker_fee_ppm=10,
            taker_fee_ppm=20,
            self_trade=SelfTrade.CANCEL_MAKER,
            band_ppm=50_000,
            reference_price=10_000,
        )
        banded = await alice.instrument("BTC/USD-BAND")
        state = await alice.get_instrument(banded)
        assert (state.band_low, state.band_high, state.taker_fee_ppm) == (95, 105, 20)
        with pytest.raises(OrderRejected, match="price_out_of_band"):
            await alice.submit_order(banded, "buy", 1, D("105.01"))
        with pytest.raises(OrderRejected, match="notional_out_of_range"):
            await alice.submit_order(banded, "buy", 10, D("100.01"))
        old = await alice.submit_order(banded, "sell", 1, 100)
        taken = await alice.submit_order(banded, "buy", 1, 100)
        assert (taken.cum, taken.leaves) == (0, 1)
        assert (await alice.get_order(old.order_id)).raw.reason == CancelReason.SELF_TRADE
        assert await bob.list_orders(banded, user=1) == await alice.list_orders(banded)


async def test_money_is_transferred_held_paid_out_and_given_back(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, bob, _):
        assert (await alice.transfer("USD", D("0.5"), 2)).available == D("9999.5")
        held = await alice.lock_balance("USD", 100, hold_id=7)
        assert (held.available, held.locked, held.reserved) == (D("9899.5"), D(100), D(0))
        assert held.raw == Balance(9_899_500_000, 100_000_000, 0, 100_000_000)
        await alice.lock_balance("USD", 5)
        with pytest.raises(OrderRejected, match="insufficient_hold"):
            await alice.unlock_balance("USD", 6)
        with pytest.raises(OrderRejected, match="duplicate_hold"):
            await alice.lock_balance("USD", 1, hold_id=7)
        [hold] = await alice.list_holds()
        assert (hold.hold_id, hold.symbol, hold.amount) == (7, "USD", D(100))
        assert hold.raw == (7, 3, 100_000_000, 0)
        assert await bob.list_holds(user=1) == await alice.list_holds()
        assert [
            (row.symbol, row.balance.available, row.balance.held, row.in_holds)
            for row in await alice.list_balances()
        ] == [("BTC", D(10), D(0), D(0)), ("USD", D("9894.5"), D(105), D(100))]
        paid = await alice.capture_hold(7, D("30.25"), to_user=2)
        assert (paid.symbol, paid.remaining, paid.balance.held) == ("USD", D("69.75"), D("74.75"))
        assert (await bob.get_balance("USD")).available == D("10030.75")
        back = await alice.release_hold(7, D("9.75"))
        assert (back.remaining, back.balance.available) == (60, D("9904.25"))
        with pytest.raises(ValueError, match="found 0, allowed above 0"):
            await alice.release_hold(7, 0)
        assert (await alice.release_hold(7)).remaining == 0
        with pytest.raises(LookupError, match="no hold 7"):
            await alice.capture_hold(7, 1, to_user=2)
        with pytest.raises(OrderRejected, match="unknown_hold"):
            await alice.release_hold(7)


async def test_orders_and_holds_end_by_themselves(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, _, pair):
        soon_ns = time.time_ns() + 300_000_000
        order = await alice.submit_order(pair, "buy", 1, 98, expires_ns=soon_ns)
        await alice.lock_balance("BTC", 1, hold_id=1, expires_ns=soon_ns)
        [row] = await alice.list_orders()
        assert (row.time_in_force, row.raw.expires_ns) == (TimeInForce.GTD, soon_ns)
        # Nobody sends a command any more: the service's own timer ends them.
        while await alice.list_orders():
            await alice.ping()
        assert await alice.list_holds() == []
        ended = await alice.get_order(order.order_id)
        assert (ended.status, ended.raw.reason) == (OrderStatus.EXPIRED, CancelReason.EXPIRED)
        assert ended.leaves == 0
        assert (await alice.get_balance("BTC")).available == 10
        with pytest.raises(OrderRejected, match="expiry_passed"):
            await alice.submit_order(pair, "buy", 1, 98, expires_ns=soon_ns)


async def test_the_state_hash_changes_with_the_state(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as (alice, _, _):
        first = await alice.get_state_hash()
        assert len(bytes.fromhex(first.state_hash)) == 16
        again = await alice.get_state_hash()
        assert (again.sequence, again.state_hash) == (first.sequence, first.state_hash)
        await alice.deposit("USD", 1)
        later = await alice.get_state_hash()
        assert later.sequence == first.sequence + 1
        assert later.state_hash != first.state_hash


EXAMPLE = """\
call: would trade 1.0000 at 100.00
opened: traded 1.0000 at 100.00
buyer's fill: auction fee 0.050000
taken: 0.6000 for 66.000000 fee 0.033000
open: stop 0.4000 fires at 105.00
order {limit}: limit filled
order {stop}: stop canceled
order {trailing}: stop filled
"""


async def test_the_example_prints_what_it_says(tmp_path: Path, project_root: Path) -> None:
    script = project_root / "examples" / "auction_and_stops.py"
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            result = await trio.run_process(
                [sys.executable, str(script), "--address", service.address],
                capture_stdout=True,
                env={"PYTHONPATH": str(project_root)},
            )
    printed = result.stdout.decode()
    assert printed.startswith(EXAMPLE.format(limit=4, stop=5, trailing=3))
    # 0.10 for the opening; 66 and 52 (0.5 at 104) were taken at 0.05 % and made at -0.01 %.
    assert printed.endswith("house: 0.147200\nconserved: True\n")
