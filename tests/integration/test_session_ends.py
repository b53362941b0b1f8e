"""Sessions against the real service: revoked keys, logouts, cut connections, and room."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import trio

from hpe.access.keys import Key
from hpe.cli import main
from hpe.core.contract import DEFAULT_LIMITS
from hpe.protocol.control import Logout
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.flags import (
    HELLO_CANCEL_ON_DISCONNECT,
    LOGOUT_KEEP_ORDERS,
    ORDER_CANCEL_ON_DISCONNECT,
)
from hpe.protocol.market_data import GetOrderbook
from hpe.protocol.money import Deposit
from hpe.protocol.orders import SubmitOrder
from tests.support.gatehouse import KEY, OPERATOR, OTHER, log_on, operator, trader, write_keys
from tests.support.service import running_service
from tests.support.wire import WireClient, named, pack_request, until, wire

USD = 3
HOUR_MS = 3_600_000
BOUND = {"flags": HELLO_CANCEL_ON_DISCONNECT, "grace_ms": HOUR_MS}
LIMIT, GTC = OrderType.LIMIT, TimeInForce.GTC
BUY = SubmitOrder(5, 1, 0, Side.BUY, LIMIT, GTC, 1, 1)
BOUND_BUY = SubmitOrder(5, 1, 0, Side.BUY, LIMIT, GTC, 1, 1, ORDER_CANCEL_ON_DISCONNECT)


async def bids(client: WireClient) -> int:
    """Count the price levels of the first instrument's bids."""
    return len((await client.ask(GetOrderbook(1, 1, 10)))[8])


async def bound_order(port: int, key: Key) -> int:
    """Leave a session with an order that its grace keeps for an hour; return the session."""
    async with wire(port) as client:
        session_id: int = (await log_on(client, key, 7, **BOUND))[4]
        assert (await client.ask(BUY))[4] == 0
    return session_id


async def pay(chief: WireClient) -> None:
    assert (await chief.ask(Deposit(2, USD, 10**9, 7)))[4] == 0


async def test_a_revoked_key_takes_its_sessions_along(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    path = write_keys(keys, trader(KEY, 7), operator(OPERATOR))
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, keys_file=path) as service,
            wire(service.port) as chief,
            wire(service.port) as staying,
        ):
            await log_on(chief, OPERATOR, 1)
            await pay(chief)
            left = await bound_order(service.port, KEY)
            attached = (await log_on(staying, KEY, 7, **BOUND))[4]
            assert (await staying.ask(BUY))[4] == 0
            assert await bids(chief) == 1
            write_keys(keys, trader(OTHER, 7), operator(OPERATOR))
            assert "1 are revoked or changed" in await service.engine.reload()
            assert named(await staying.until_closed()) == [(0, "key_revoked")]
            assert await bids(chief) == 1, "a new secret keeps sessions and orders"
            async with wire(service.port) as again:
                assert (await log_on(again, OTHER, 7, session_id=attached, **BOUND))[4] == attached
                write_keys(keys, operator(OPERATOR))
                await service.engine.reload()
                assert named(await again.until_closed()) == [(0, "key_revoked")]
            assert await bids(chief) == 0, "attached or within its grace"
            write_keys(keys, trader(KEY, 7), operator(OPERATOR))
            await service.engine.reload()
            for session_id in (left, attached):
                async with wire(service.port) as client:
                    row = await log_on(client, KEY, 7, session_id=session_id)
                    assert named([row]) == [(1, "unknown_session")]
            async with wire(service.port) as client:
                assert (await log_on(client, KEY, 7))[0] == 1, "a key that came back is a good one"
    assert main(["verify", str(tmp_path / "data")]) == 0


async def test_a_key_that_was_revoked_while_nothing_ran_is_revoked_at_the_start(
    tmp_path: Path,
) -> None:
    keys = tmp_path / "keys.json"
    path = write_keys(keys, trader(KEY, 7), operator(OPERATOR))
    with trio.fail_after(120):
        async with running_service(tmp_path, keys_file=path) as service:
            async with wire(service.port) as chief:
                await log_on(chief, OPERATOR, 1)
                await pay(chief)
            session_id = await bound_order(service.port, KEY)
        async with running_service(tmp_path) as service, wire(service.port, 7) as client:
            assert await bids(client) == 1, "without a key file no key is revoked"
        write_keys(keys, operator(OPERATOR))
        async with running_service(tmp_path, keys_file=path) as service:
            async with wire(service.port) as chief:
                await log_on(chief, OPERATOR, 1)
                assert await bids(chief) == 0
            sequence = service.engine.durable_sequence.value
        write_keys(keys, trader(OTHER, 7), operator(OPERATOR))
        async with running_service(tmp_path, keys_file=path) as service:
            assert service.engine.durable_sequence.value > sequence
            async with wire(service.port) as client:
                row = await log_on(client, OTHER, 7, session_id=session_id)
                assert named([row]) == [(1, "unknown_session")]


async def test_a_logout_cancels_the_orders_unless_it_keeps_them(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, 7) as watcher:
            await pay(watcher)
            for flags, left in ((0, 0), (LOGOUT_KEEP_ORDERS, 1)):
                async with wire(service.port, 7) as client:
                    assert (await client.ask(BOUND_BUY))[4] == 0
                    await client.send(pack_request(Logout(9, flags)))
                    assert [row[:2] for row in await client.until_closed()] == [[3, 9]]
                assert await bids(watcher) == left
    assert main(["verify", str(tmp_path / "data")]) == 0


async def test_bytes_that_are_no_protocol_end_the_session_s_orders_once(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, 7) as watcher:
            await pay(watcher)
            async with wire(service.port, 7) as client:
                assert (await client.ask(BOUND_BUY))[4] == 0
                before = service.engine.durable_sequence.value
                await client.send(b"\x00\x00\x00\x02\x92\xc1")
                assert named(await client.until_closed()) == [(0, "bad_messagepack")]
            await until(lambda: int(service.engine.statistics()["connections"]) == 1)
            assert await bids(watcher) == 0
            assert service.engine.durable_sequence.value == before + 1, "detached once"
    assert main(["verify", str(tmp_path / "data")]) == 0


async def test_a_refusal_names_the_limit_and_operators_have_places_of_their_own(
    tmp_path: Path,
) -> None:
    path = write_keys(tmp_path / "keys.json", trader(KEY, 7), operator(OPERATOR))
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, keys_file=path, connections_per_key_max=1_000) as service,
            AsyncExitStack() as stack,
        ):
            for _ in range(DEFAULT_LIMITS.room.operators):  # they leave their sessions behind
                async with wire(service.port) as client:
                    assert (await log_on(client, OPERATOR, 1))[0] == 1
            for _ in range(DEFAULT_LIMITS.room.operators):
                client = await stack.enter_async_context(wire(service.port))
                assert (await log_on(client, OPERATOR, 1))[0] == 1
            async with wire(service.port) as further:
                row = await log_on(further, OPERATOR, 1)
                assert named([row]) == [(1, "too_many_sessions")]
                assert "operators" in row[5]
            for _ in range(6):
                async with wire(service.port) as client:
                    welcome = await log_on(client, KEY, 7, window=16_384)
                    assert welcome[5] == 16_384, "what was left takes little"
