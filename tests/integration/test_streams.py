"""Private streams and market data over TCP, as bare frames: order, resumption, slow readers."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from hpe.net.watchdog import STALL_S
from hpe.protocol.base import Request
from hpe.protocol.control import Hello, Ping, ServerInfo
from hpe.protocol.enums import Channel, OrderType, Side, TimeInForce
from hpe.protocol.limits import HEARTBEAT_MS_MAX
from hpe.protocol.market_data import Subscribe, Unsubscribe
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import SubmitOrder
from hpe.protocol.reports import SubscribePrivate, UnsubscribePrivate
from tests.support.service import ServiceProcess, running_service
from tests.support.wire import Row, WireClient, named, pack_request, until, wire

BTC, USD, PAIR = 1, 3, 1
WELCOME_PRIVATE_SEQUENCE = 14
PRIVATE_UPDATE, LEVELS_UPDATE = 123, 125
BALANCE_REPORT = 119


def order(request_id: int, side: Side, price: int, quantity: int, user: int = 0) -> SubmitOrder:
    return SubmitOrder(
        request_id, PAIR, 0, side, OrderType.LIMIT, TimeInForce.GTC, price, quantity, user=user
    )


async def next_of(client: WireClient, *types: int) -> Row:
    """Return the next message of these types, leaving out what comes before it."""
    while True:
        row = await client.receive()
        assert row is not None, "the stream ended"
        if row[0] in types:
            return row


async def answer(client: WireClient, request: Request) -> Row:
    """Send a request; give what has its id and is its response."""
    await client.send(pack_request(request))
    while True:
        row = await client.receive()
        assert row is not None, "the stream ended"
        if row[1] == request.request_id and row[0] < 112:
            return row


class PrivateFollower:
    """Reads private updates of one user and holds them against each other."""

    def __init__(self, client: WireClient, last: int) -> None:
        self.client = client
        self.last = last
        self.reports: list[Row] = []

    async def until(self, last: int) -> None:
        while self.last < last:
            _, request_id, flags, _, first, through, reports = await next_of(
                self.client, PRIVATE_UPDATE
            )
            assert (request_id, flags) == (0, 0)
            assert first == self.last + 1, "a gap or a repetition"
            assert [report[3] for report in reports] == list(range(first, through + 1))
            self.reports += reports
            self.last = through


async def deposits(client: WireClient, count: int, first_id: int = 1) -> None:
    frames = [pack_request(Deposit(first_id + n, USD, 5)) for n in range(count)]
    await client.send(*frames)
    await client.responses(count)


async def test_a_private_stream_tells_everything_from_where_it_begins(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            assert await answer(client, SubscribePrivate(1)) == [8, 1, 0, 7, 0, 0]
            async with wire(service.port, user=7) as trader:
                await deposits(trader, 3)
            follower = PrivateFollower(client, 0)
            await follower.until(1)
            assert {report[0] for report in follower.reports} == {BALANCE_REPORT}
            ended = await answer(client, UnsubscribePrivate(2))
            assert ended == [9, 2, 0, 7]
            async with wire(service.port) as later:
                welcome = await later.log_on(7)
                await deposits(later, 3)
            last = follower.last
            assert welcome[WELCOME_PRIVATE_SEQUENCE] >= last
            again = await answer(client, SubscribePrivate(3, last))
            assert again[:5] == [8, 3, 0, 7, last]
            await follower.until(again[5])
            assert service.engine.statistics()["private_streams"] == 1


async def test_a_stream_goes_on_after_the_connection_and_after_the_service(tmp_path: Path) -> None:
    with trio.fail_after(120):
        with ServiceProcess(tmp_path) as process:
            async with wire(process.port, user=7) as client:
                await answer(client, SubscribePrivate(1))
                await deposits(client, 50, 2)
                process.kill()
        with ServiceProcess(tmp_path) as process:
            async with wire(process.port) as client:
                welcome = await client.log_on(7)
                last = welcome[WELCOME_PRIVATE_SEQUENCE]
                assert last > 0
                assert (await answer(client, SubscribePrivate(1, 0)))[3:] == [7, 0, last]
                follower = PrivateFollower(client, 0)
                await follower.until(last)
                assert follower.reports[-1][6:8] == [USD, 250]


async def test_positions_ahead_and_too_old_are_refused_with_the_bound(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            await deposits(client, 1)
            ahead = await answer(client, SubscribePrivate(2, 10))
            assert named([ahead]) == [(2, "resume_ahead")]
            assert ahead[7] is False, "not fatal"
            assert service.engine._stages is not None
            ring = service.engine._stages.switchboard.streams.ring
            ring.restore(9, 100)  # a user whose reports are all forgotten
            old = await answer(client, SubscribePrivate(3, 99, 9))
            assert named([old]) == [(3, "resume_too_old")]
            assert "101" in old[5], "says what is the oldest that is kept"
            assert (await answer(client, SubscribePrivate(4, 100, 9)))[3:] == [9, 100, 100]


async def test_one_connection_follows_many_users(tmp_path: Path) -> None:
    users = range(100, 160)
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            for user in users:
                assert (await answer(client, SubscribePrivate(user, 0, user)))[0] == 8
            async with wire(service.port, user=8, window=1_000) as gateway:
                frames = [pack_request(Deposit(user, USD, user, user)) for user in users]
                await gateway.send(*frames)
                await gateway.responses(len(users))
            seen: dict[int, int] = {}
            while len(seen) < len(users):
                update = await next_of(client, PRIVATE_UPDATE)
                seen[update[3]] = update[6][-1][7]
            assert seen == {user: user for user in users}
        assert not service.engine.statistics()


# --- market data ----------------------------------------------------------------------------------


@asynccontextmanager
async def market(tmp_path: Path) -> AsyncIterator[tuple[int, WireClient]]:
    """A service and a trader with money."""
    async with running_service(tmp_path) as service, wire(service.port, user=8) as trader:
        for number, asset in ((1, BTC), (2, USD)):
            await answer(trader, Deposit(number, asset, 2**50))
        yield service.port, trader


async def test_updates_follow_the_snapshot_without_a_gap(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with market(tmp_path) as (port, trader), wire(port, user=7) as client:
            await answer(trader, order(3, Side.SELL, 5_000, 10))
            row = await answer(client, Subscribe(1, PAIR, Channel.LEVELS, 10))
            assert row[4:7] == [0, PAIR, Channel.LEVELS]
            snapshot = row[7]
            assert snapshot[0] == LEVELS_UPDATE
            assert snapshot[7:9] == [[], [[5_000, 10, 1]]]
            position = snapshot[5]
            for number in range(4, 10):
                await answer(trader, order(number, Side.BUY, 4_000 + number, 1))
            while position < snapshot[5] + 6:
                update = await next_of(client, LEVELS_UPDATE)
                assert update[4] == position + 1
                position = update[5]
            gone = await answer(client, Unsubscribe(2, PAIR, Channel.LEVELS))
            assert gone == [7, 2, 0, PAIR, Channel.LEVELS]
            await answer(trader, order(20, Side.BUY, 4_000, 1))
            assert (await answer(client, Ping(3)))[0] == 2
            with trio.move_on_after(0.1) as quiet:
                await next_of(client, LEVELS_UPDATE)
            assert quiet.cancelled_caught


async def test_a_refused_subscribe_leaves_nothing_behind(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            assert service.engine._stages is not None
            topics = service.engine._stages.switchboard.streams.topics
            unknown = await answer(client, Subscribe(1, 99, Channel.LEVELS, 10))
            assert unknown[7] is None
            await answer(client, GetBalance(2, USD))
            assert topics.wanted == b""
            assert not topics.asking
            await answer(client, Subscribe(3, PAIR, Channel.BEST, 10))
            assert topics.wanted == b"\0\0\0\1\1"
            assert service.engine.statistics()["subscriptions"] == 1
        async with running_service(tmp_path) as service:
            async with wire(service.port, user=7) as client:
                await answer(client, Subscribe(3, PAIR, Channel.BEST, 10))
            await until(lambda: service.engine.statistics()["connections"] == 0)
            assert service.engine.statistics()["subscriptions"] == 0


async def never_reads(port: int, *requests: Request) -> trio.socket.SocketType:
    """Log on with a tiny window of TCP, ask, and read nothing."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.setblocking(False)
    slow = trio.socket.from_stdlib_socket(raw)
    await slow.connect(("127.0.0.1", port))
    for request in (Hello(1, 1, 7, heartbeat_ms=HEARTBEAT_MS_MAX), *requests):
        await slow.send(pack_request(request))
    return slow


async def test_unread_market_data_cuts_nobody_and_unread_private_data_does(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with market(tmp_path) as (port, trader):
            reader = await never_reads(port, Subscribe(2, PAIR, Channel.ORDERS))
            follower = await never_reads(port, SubscribePrivate(2, None, 8))
            async with wire(port, user=9) as watcher:
                number = 3
                start_s = trio.current_time()

                async def strangers_cut() -> int:
                    row = await answer(watcher, ServerInfo(number))
                    return int(row[9]["slow_consumers"])

                # Fill the kernel's buffers of both; then only the private one may be cut.
                while not await strangers_cut():
                    frames = []
                    for _ in range(50):
                        frames.append(pack_request(order(number, Side.BUY, 1 + number % 900, 1)))
                        number += 1
                    await trader.send(*frames)
                    for _ in range(50):
                        await next_of(trader, 64)
                assert trio.current_time() - start_s > STALL_S
                deadline_s = trio.current_time() + 2 * STALL_S
                while trio.current_time() < deadline_s:
                    assert await strangers_cut() == 1
                    await answer(trader, order(number, Side.BUY, 1_000, 1))
                    number += 1
                    await trio.sleep(0.05)  # a pace, no synchronization
                details = (await answer(watcher, ServerInfo(number)))[9]
                assert details["connections"] == 3, "the market reader is still there"
                assert details["subscriptions"] == 1
            follower.close()
            reader.close()
