"""Clients that ask for much and read little or late: others are served, nothing stays forever."""

from __future__ import annotations

import gc
import socket
import struct
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
import trio
import trustme

from hpe.core.output.private_ring import CHUNKS_PER_SEGMENT
from hpe.engine import HighPerformanceEngine
from hpe.net import connection
from hpe.net import watchdog as watchdog
from hpe.net.connection import Connection
from hpe.net.delivery.switchboard import Switchboard
from hpe.net.session import SessionProtocol
from hpe.protocol.base import Request
from hpe.protocol.control import Heartbeat, Hello, Logout, Ping, ServerInfo
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.market_data import GetOrderbook
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import SubmitOrder
from hpe.protocol.reports import SubscribePrivate
from tests.integration.test_gate import secured, trusting
from tests.support.certificates import write_certificate
from tests.support.service import RunningService, running_service
from tests.support.wire import Row, WireClient, named, pack_request, until, wire

USD, PAIR = 3, 1
PRIVATE_UPDATE = 123

REPORTS = 15_000
"""Several sends."""


def switchboard_of(engine: HighPerformanceEngine) -> Switchboard:
    assert engine._stages is not None
    return engine._stages.switchboard


class SlowClient(WireClient):
    """Little of what it does not read is in the kernels' buffers."""

    raw: trio.SocketStream

    async def trickle(self, times: int) -> bytes:
        """Read a little at a time, as slowly as makes no standstill; return b"" at the end."""
        data = b"?"
        for _ in range(times):
            data = await self.stream.receive_some(500)
            if not data:
                break
            await trio.sleep(0.05)  # the pace of this client
        return data


@asynccontextmanager
async def slow_client(service: RunningService, user: int, window: int) -> AsyncIterator[SlowClient]:
    raw = trio.socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    await raw.connect((service.host, service.port))
    async with trio.SocketStream(raw) as stream:
        client = SlowClient(stream)
        await client.log_on(user, window=window)
        port = [*switchboard_of(service.engine)._ports.values()][-1]
        accepted = cast(Connection, port)._wire.socket
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        yield client


async def reports(client: WireClient, count: int, first_id: int = 2) -> None:
    """Make this many private reports, and some more, for the client's user."""
    await client.ask(Deposit(first_id, USD, 2**50))
    orders = [
        SubmitOrder(n, PAIR, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 4_000 + n % 100, 1)
        for n in range(first_id + 1, first_id + 1 + count)
    ]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send, *map(pack_request, orders))
        await client.responses(count)


# --- replies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("polling", [True, False])
async def test_replies_to_a_slow_reader_arrive_whole_and_in_order(
    tmp_path: Path, polling: bool
) -> None:
    """The kernel takes parts of what is sent at once; the writer and later replies follow."""
    unread, read_meanwhile, at_once = 200, 400, 5
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, polling=polling) as service,
            wire(service.port, user=8) as maker,
            slow_client(service, user=9, window=1_000) as client,
        ):
            await reports(maker, 200)
            book = await maker.ask(GetOrderbook(1, PAIR, 100))

            async def ask(first: int, count: int) -> None:
                for start in range(first, first + count, at_once):
                    ids = range(start, start + at_once)
                    await client.send(*[pack_request(GetOrderbook(n, PAIR, 100)) for n in ids])
                    await maker.ask(GetBalance(1, USD))

            await ask(1, unread)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, 1 + unread, read_meanwhile)
                rows = await client.responses(unread + read_meanwhile)
            assert [row[1] for row in rows] == [*range(1, 1 + unread + read_meanwhile)]
            assert all(row[2:] == book[2:] for row in rows)


# --- control --------------------------------------------------------------------------------------


class ControlPerStep(trio.abc.Instrument):
    """How many control messages one step of a task answers at most."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = self.now = 0
        control = SessionProtocol.control

        def counting(session: SessionProtocol, *args: object) -> object:
            self.now += 1
            self.most = max(self.most, self.now)
            return control(session, *args)  # type: ignore[arg-type]  # passed on as they came

        monkeypatch.setattr(SessionProtocol, "control", counting)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.now = 0


async def test_a_flood_of_pings_leaves_the_loop_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 5_000  # in one read
    steps = ControlPerStep(monkeypatch)
    with trio.fail_after(120):
        async with (
            running_service(tmp_path) as service,
            wire(service.port, user=7, window=16_384) as client,
        ):
            trio.lowlevel.add_instrument(steps)
            try:
                await client.send(*[pack_request(Ping(n, n)) for n in range(1, count + 1)])
                rows = await client.responses(count)
            finally:
                trio.lowlevel.remove_instrument(steps)
            assert [row[1] for row in rows] == list(range(1, count + 1))
            assert 1 < steps.most <= connection.CHUNKS_AT_ONCE


async def test_control_that_is_not_read_is_held_back_like_requests(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with (
            running_service(tmp_path) as service,
            wire(service.port, user=8) as other,
            slow_client(service, 7, window=64) as client,
        ):
            credits, most, number = switchboard_of(service.engine).credits, 0, 0
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_until_cut, client, pack_request(ServerInfo(1)) * 40_000)
                while not service.engine.statistics()["slow_consumers"]:
                    most = max(most, credits.reply_bytes)
                    number += 1
                    assert (await other.ask(GetBalance(number, USD)))[0] == 33
            assert most < 65 * 2_000, "a window of answers"
            await until(lambda: service.engine.statistics()["connections"] == 1)
            assert (credits.bytes, credits.reply_bytes) == (0, 0)


async def send_until_cut(client: WireClient, data: bytes) -> None:
    try:
        await client.send(data)
    except trio.BrokenResourceError:
        return


async def test_control_is_throttled_and_heartbeats_are_not(tmp_path: Path) -> None:
    limits = {"messages_per_s": 20, "messages_burst": 10}
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, **limits) as service,
            wire(service.port, user=8) as other,
            wire(service.port, user=7) as client,
        ):
            asked: list[Request] = [Heartbeat(n) for n in range(1, 51)]
            asked += [Ping(n) for n in range(51, 61)]
            asked += [Ping(61), SubscribePrivate(62), Logout(63)]
            await client.send(*map(pack_request, asked))
            rows = await client.until_closed()
            assert [row[0] for row in rows[:10]] == [2] * 10
            assert named(rows[10:]) == [(61, "throttled"), (62, "throttled")]
            assert rows[-1][:2] == [3, 63], "logout costs no token"
            async with wire(service.port, user=7) as again:
                await again.send(*[pack_request(Ping(n)) for n in range(60)])
                assert named((await again.until_closed())[-1:]) == [(0, "rate_exceeded")]
            assert (await other.ask(Ping(1)))[0] == 2


# --- ends -----------------------------------------------------------------------------------------


async def test_what_the_ring_loses_behind_the_end_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STALL_S", "BEHIND_S"):  # however long it takes to ask, and this client to read
        monkeypatch.setattr(watchdog, name, 100.0)
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as trader:
            ring = switchboard_of(service.engine).streams.ring
            async with slow_client(service, 7, window=64) as client:
                assert (await client.ask(SubscribePrivate(1)))[0] == 8
                await reports(trader, REPORTS)
                await client.stream.send_eof()
                sealed = cast(
                    Connection, [*switchboard_of(service.engine)._ports.values()][-1]
                )._send_queue
                await until(lambda: sealed.sealed)
                ring._reports_max = 100
                for number in range(3 * CHUNKS_PER_SEGMENT):
                    await trader.ask(Deposit(2 * REPORTS + number, USD, 5))
                rows = await client.until_closed()
            assert rows[-1][0] == PRIVATE_UPDATE
            assert rows[-1][5] < REPORTS, "what was on its way, and then the end"
            assert (await trader.ask(Deposit(4 * REPORTS, USD, 5)))[0] == 69


@pytest.mark.parametrize("replaced", [True, False])
async def test_a_trickle_of_bytes_does_not_postpone_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    """In ten times the time that it has it could not have taken a tenth of what is left."""
    monkeypatch.setattr(watchdog, "BEHIND_S", 1.0)
    bites_max = 200
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as trader:
            async with slow_client(service, 7, window=64) as client:
                assert (await client.ask(SubscribePrivate(1)))[0] == 8
                await reports(trader, REPORTS)
                start_s = trio.current_time()
                if replaced:
                    newer = wire(service.port, user=7, session_id=client.session_id)
                    await newer.__aenter__()
                else:
                    await client.stream.send_eof()
                with suppress(trio.BrokenResourceError):
                    assert await client.trickle(bites_max) == b""
                assert trio.current_time() - start_s >= watchdog.BEHIND_S
                if replaced:
                    await newer.__aexit__(None, None, None)
            left = 2 if replaced else 1
            await until(lambda: int(service.engine.statistics()["connections"]) <= left)


async def test_a_client_that_reads_its_replies_too_slowly_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "BEHIND_S", 1.0)
    with trio.fail_after(120):
        async with (
            running_service(tmp_path) as service,
            wire(service.port, user=8) as other,
            slow_client(service, 7, window=1_000) as client,
        ):
            await reports(other, 100)
            await client.send(*[pack_request(GetOrderbook(n, PAIR, 100)) for n in range(1, 501)])
            while not service.engine.statistics()["slow_consumers"]:
                assert await client.trickle(1)
            last: Row = []
            try:
                while (row := await client.receive()) is not None:
                    last = row
            except (trio.BrokenResourceError, AssertionError):
                last = []  # it was not told: nothing more was taken in time
            assert not last or named([last]) == [(0, "slow_consumer")]
            assert (await other.ask(GetBalance(1, USD)))[0] == 33


# --- TLS ------------------------------------------------------------------------------------------


async def test_tls_connections_that_ended_are_freed_without_the_collector(tmp_path: Path) -> None:
    authority = trustme.CA()
    made: list[weakref.ref[object]] = []
    with trio.fail_after(120):
        async with running_service(
            tmp_path, connections_max=2, **write_certificate(authority, tmp_path)
        ) as service:
            context = trusting(authority)
            gc.collect()
            gc.disable()
            try:
                for _ in range(3):
                    stream = await secured(service.port, context)
                    client = WireClient(stream)  # type: ignore[arg-type]  # the same methods
                    await client.log_on(7)
                    for port in switchboard_of(service.engine)._ports.values():
                        made.append(weakref.ref(cast(Connection, port)._stream))
                    del port
                    await stream.aclose()
                    await until(lambda: service.engine.statistics()["connections"] == 0)
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert len(made) == 3
                assert [each() for each in made] == [None] * 3
            finally:
                gc.enable()


async def test_connections_that_were_reset_are_freed_without_the_collector(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service:
            gc.collect()
            gc.disable()
            try:
                for _ in range(3):
                    async with wire(service.port, user=7) as client:
                        client.stream.setsockopt(
                            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                        )
                    await until(lambda: service.engine.statistics()["connections"] == 0)
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert not [item for item in gc.get_objects() if type(item) is Connection]
            finally:
                gc.enable()
            assert service.engine.statistics()["connections_faulty"] == 3


async def test_a_crowd_of_strangers_is_let_in_by_turns(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, trio.open_nursery() as nursery:

            async def come(user: int) -> None:
                async with wire(service.port) as client:
                    assert (await client.ask(Hello(1, 1, user)))[0] == 1

            for user in range(1, 101):
                nursery.start_soon(come, user)
