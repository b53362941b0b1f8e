"""Commands that change nothing do not fill the log without end."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from hpe.protocol.base import Request
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.flags import FLAG_DUPLICATE
from hpe.protocol.listings import ResolveInstrument
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import CancelOrder, MassCancel, ReplaceOrder, SubmitOrder
from tests.support.gatehouse import KEY, OPERATOR, log_on, operator, trader, write_keys
from tests.support.log_builder import frames_of
from tests.support.service import running_service
from tests.support.wire import WireClient, named, pack_request, wire

BTC, USD = 1, 3
BURST = 200
LIMITS = {"rejects_per_s": 1, "rejects_burst": BURST}
"""A rate so low that nothing is paid for while a test lasts."""


def order(request_id: int, price: int = 100, tif: int = TimeInForce.GTC) -> SubmitOrder:
    return SubmitOrder(request_id, 1, 0, Side.BUY, OrderType.LIMIT, tif, price, 1)


def log_bytes(folder: Path) -> int:
    return sum(len(frames_of(path)) for path in (folder / "data").glob("*.hpewal"))


IDLE: dict[str, list[Request]] = {
    "order without money": [order(0, 1_000_000)],
    "unknown instrument": [SubmitOrder(0, 99, 0, 1, 2, 1, 1, 1)],
    "ioc that finds nothing": [order(0, 1, TimeInForce.IOC)],
    "replace of an unknown order": [ReplaceOrder(0, 77, 0, 5)],
    "replace that changes nothing": [ReplaceOrder(0, 1, 0, 1)],
    "pair that exists": [ResolveInstrument(0, "BTC", "USD")],
}
IDLE_CANCELS: dict[str, list[Request]] = {
    "cancel of an unknown order": [CancelOrder(0, 77)],
    "mass cancel of nothing": [MassCancel(0, 1, 2)],
}


async def flood(client: WireClient, first_id: int, count: int, kinds: list[Request]) -> list[str]:
    """Send `count` requests, 50 at a time, and return the names of the errors, "" for others."""
    told: list[str] = []
    for start in range(0, count, 50):
        ids = range(first_id + start, first_id + start + 50)
        frames = [pack_request(_with_id(kinds[n % len(kinds)], n)) for n in ids]
        await client.send(*frames)
        rows = await client.responses(50)
        assert [row[1] for row in rows] == [*ids]
        told += [row[4] if row[0] == 31 else "" for row in rows]
    return told


def _with_id(request: Request, request_id: int) -> Request:
    fields = [getattr(request, name) for name in request.__struct_fields__]
    return type(request)(request_id, *fields[1:])


@pytest.mark.parametrize("idle", IDLE)
async def test_commands_that_change_nothing_are_throttled_beyond_their_burst(
    tmp_path: Path, idle: str
) -> None:
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, **LIMITS) as service,
            wire(service.port, user=8) as other,
            wire(service.port, user=7, window=1_000) as client,
        ):
            assert (await client.ask(Deposit(1, USD, 1_000_000)))[4] == 0
            assert (await client.ask(order(2)))[4] == 0
            told = await flood(client, 3, 2 * BURST, IDLE[idle])
            assert told[:BURST] == [""] * BURST
            assert told[BURST + 50 :] == ["throttled"] * (BURST - 50)
            before = log_bytes(tmp_path)
            told = await flood(client, 1_000, 2 * BURST, IDLE[idle])
            assert told == ["throttled"] * (2 * BURST)
            assert log_bytes(tmp_path) == before
            # Everything but commands of this user goes on: cancels, queries, repeats, others.
            assert (await client.ask(GetBalance(2_000, USD)))[0] == 33
            repeated = await client.ask(order(2))
            assert (repeated[0], repeated[2]) == (64, FLAG_DUPLICATE)
            assert (await client.ask(CancelOrder(2_001, 1)))[4] == 101
            assert named([await client.ask(order(2_002))]) == [(2_002, "throttled")]
            assert (await other.ask(Deposit(1, USD, 5)))[4] == 0


@pytest.mark.parametrize("idle", IDLE_CANCELS)
async def test_cancels_of_nothing_have_a_burst_of_their_own(tmp_path: Path, idle: str) -> None:
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, **LIMITS) as service,
            wire(service.port, user=7) as client,
        ):
            assert (await client.ask(Deposit(1, USD, 1_000_000)))[4] == 0
            told = await flood(client, 3, 2 * BURST, IDLE_CANCELS[idle])
            assert told[:BURST] == [""] * BURST
            assert told[BURST + 50 :] == ["throttled"] * (BURST - 50)
            assert (await client.ask(order(1_000)))[4] == 0, "orders go on"


async def test_all_connections_of_a_key_share_what_it_may_have(tmp_path: Path) -> None:
    keys = write_keys(tmp_path / "keys.json", trader(KEY, 7, 8), operator(OPERATOR))
    unknown: list[Request] = [ReplaceOrder(0, 77, 0, 5)]
    with trio.fail_after(120):
        async with running_service(tmp_path, keys_file=keys, **LIMITS) as service:
            async with wire(service.port) as first:
                await log_on(first, KEY, 7)
                assert "throttled" in await flood(first, 2, BURST + 100, unknown)
            async with wire(service.port) as second, wire(service.port) as chief:
                await log_on(second, KEY, 8)
                assert await flood(second, 2, 50, unknown) == ["throttled"] * 50
                await log_on(chief, OPERATOR, 1)
                assert (await chief.ask(Deposit(2, USD, 5, 7)))[4] == 0


async def test_a_trader_who_trades_is_never_throttled(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, **LIMITS) as service,
            wire(service.port, user=7) as client,
        ):
            await client.ask(Deposit(1, USD, 1_000_000_000))
            for number in range(2, 4 * BURST, 4):
                placed = await client.ask(order(number))
                replaced = await client.ask(ReplaceOrder(number + 1, placed[7], 0, 2))
                moved = await client.ask(ReplaceOrder(number + 2, placed[7], 0, 2, None, 101))
                canceled = await client.ask(CancelOrder(number + 3, placed[7]))
                assert [row[0] for row in (placed, replaced, moved, canceled)] == [64, 66, 66, 65]
