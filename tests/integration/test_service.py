"""The service over TCP: real sockets, real threads, real files."""

from __future__ import annotations

import gc
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import trio

from hpe.core import new_core
from hpe.net.connection import Connection
from hpe.protocol.control import Hello, Logout, Ping, ServerInfo
from hpe.protocol.enums import OrderStatus, OrderType, Side, TimeInForce
from hpe.protocol.market_data import GetOrderbook
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import SubmitOrder
from tests.support.service import ServiceProcess, running_service
from tests.support.wire import Row, WireClient, named, pack, pack_request, wire

BTC, USD, PAIR = 1, 3, 1
LIMIT, GTC = OrderType.LIMIT, TimeInForce.GTC
BUSY = 500


def order(request_id: int, side: Side, price: int, quantity: int) -> SubmitOrder:
    return SubmitOrder(request_id, PAIR, 0, side, LIMIT, GTC, price, quantity)


async def fund(client: WireClient, first_id: int = 1, amount: int = 2**50) -> None:
    for number, asset in enumerate((BTC, USD)):
        response = await client.ask(Deposit(first_id + number, asset, amount))
        assert response[4] == 0, response


async def test_a_first_order_over_tcp(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with (
            running_service(tmp_path) as service,
            wire(service.port) as maker,
            wire(service.port, user=8) as taker,
        ):
            welcome = await maker.log_on(7, window=100)
            assert welcome[3:7] == [1, maker.session_id, 100, 0]
            assert welcome[8] == "batch"
            await fund(maker)
            await fund(taker)
            sold = await maker.ask(order(3, Side.SELL, 5_000, 10))
            assert sold[6] == OrderStatus.NEW
            await taker.send(pack_request(order(3, Side.BUY, 5_001, 4)))
            report, bought = await taker.receive(), await taker.receive()
            assert report is not None
            assert bought is not None
            assert (report[0], report[1], report[14:16]) == (120, 3, [5_000, 4])
            assert bought[6] == OrderStatus.FILLED
            book = await maker.ask(GetOrderbook(4, PAIR, 5))
            assert book[8:] == [[], [[5_000, 6, 1]]]


async def test_a_thousand_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with (
            running_service(tmp_path) as service,
            wire(service.port, user=7, window=1_000) as client,
        ):
            frames = [pack_request(Deposit(number, USD, 1)) for number in range(1, 1_001)]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send, *frames)
                rows = await client.responses(1_000)
            assert [row[1] for row in rows] == list(range(1, 1_001))
            assert [row[6] for row in rows] == list(range(1, 1_001)), "available after each"
            sequences = [row[3] for row in rows]
            assert sequences == list(range(sequences[0], sequences[0] + 1_000))
            assert service.engine.durable_sequence.value == sequences[-1]


async def test_requests_behind_hello_are_served_after_it(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port) as client:
            await client.send(
                pack_request(Hello(1, 1, 7)),
                *[pack_request(Deposit(number, USD, 1)) for number in range(1, 50)],
                pack_request(Ping(50, 99)),
            )
            rows = await client.responses(51)
            assert rows[0][0] == 1
            assert [row[1] for row in rows if row[0] == 69] == list(range(1, 50))


async def trade(port: int, user: int, orders: int) -> list[Row]:
    """Be one of many: fund, then submit orders that cross those of the others."""
    async with wire(port, user=user) as client:
        await fund(client)
        rows = []
        request_id = 3
        for number in range(orders):
            side = Side.BUY if (user + number) % 2 else Side.SELL
            while True:
                row = await client.ask(order(request_id, side, 5_000 + number % 3, 1 + number))
                request_id += 1
                if row[0] == 64 or row[3] != BUSY:  # busy: not executed, asked again
                    break
            rows.append(row)
        return rows


async def test_a_hundred_connections_at_once_are_answered_and_money_is_conserved(
    tmp_path: Path,
) -> None:
    users, orders = 100, 10
    answers: list[Row] = []

    async def one(user: int) -> None:
        answers.extend(await trade(service.port, user, orders))

    with trio.fail_after(120):
        async with running_service(tmp_path) as service:
            async with trio.open_nursery() as nursery:
                for user in range(1, users + 1):
                    nursery.start_soon(one, user)
            assert len(answers) == users * orders
            assert {row[0] for row in answers} == {64}
            assert any(row[11] for row in answers), "nothing traded"
            async with wire(service.port, user=500) as auditor:
                for asset in (BTC, USD):
                    total = 0
                    for user in range(1, users + 1):
                        row = await auditor.ask(GetBalance(1, asset, user))
                        total += row[6] + row[7]
                    assert total == users * 2**50


async def test_a_repeated_request_after_a_cut_connection_is_applied_once(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service:
            async with wire(service.port, user=7) as first:
                await fund(first, amount=1_000)
                before = await first.ask(Deposit(3, USD, 500))
                # Cut it hard: the server sees a reset.
                first.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            async with wire(service.port, user=7, session_id=first.session_id) as second:
                again = await second.ask(Deposit(3, USD, 500))
                assert again == [*before[:2], 1, *before[3:]], "the duplicate flag and nothing else"
                balance = await second.ask(GetBalance(4, USD))
                assert balance[6] == 1_500
                reused = await second.ask(Deposit(3, USD, 501))
                assert named([reused]) == [(3, "id_reused")]


async def test_a_repeated_request_after_kill_9_is_answered_as_before(tmp_path: Path) -> None:
    with trio.fail_after(120):
        with ServiceProcess(tmp_path) as process:
            async with wire(process.port, user=7) as client:
                before = [await client.ask(Deposit(number, USD, 10)) for number in (1, 2, 3)]
                process.kill()
        with ServiceProcess(tmp_path) as process:
            async with wire(process.port, user=7, session_id=client.session_id) as client:
                after = [await client.ask(Deposit(number, USD, 10)) for number in (1, 2, 3)]
                assert after == [[*row[:2], 1, *row[3:]] for row in before]
                assert (await client.ask(GetBalance(4, USD)))[6] == 30


async def test_a_newer_connection_takes_the_session(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as old:
            await fund(old)
            async with wire(service.port) as new:
                welcome = await new.log_on(7, session_id=old.session_id)
                assert welcome[6] == 2, "the last request id goes with the session"
                rows = await old.until_closed()
                assert named(rows) == [(0, "session_replaced")]
                assert (await new.ask(Deposit(3, USD, 1)))[0] == 69


async def test_a_session_of_another_user_or_of_nobody_is_refused(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as owner:
            for user, session_id in ((8, owner.session_id), (7, 999)):
                async with wire(service.port) as client:
                    await client.send(pack_request(Hello(1, 1, user, session_id)))
                    assert named(await client.until_closed()) == [(1, "unknown_session")]


async def test_logout_answers_what_came_before_it_and_forgets_the_session(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service:
            async with wire(service.port, user=7) as client:
                deposits = [pack_request(Deposit(number, USD, 1)) for number in range(1, 40)]
                await client.send(*deposits, pack_request(Logout(40)))
                rows = await client.until_closed()
            assert [row[1] for row in rows] == list(range(1, 41))
            assert rows[-1][0] == 3
            async with wire(service.port) as client:
                await client.send(pack_request(Hello(1, 1, 7, client.session_id or 1)))
                assert named(await client.until_closed()) == [(1, "unknown_session")]


async def test_a_client_that_stops_sending_still_gets_every_reply(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            await client.send(*[pack_request(Deposit(n, USD, 1)) for n in range(1, 201)])
            await client.stream.send_eof()
            assert [row[1] for row in await client.until_closed()] == list(range(1, 201))


async def test_server_info_tells_about_threads_queues_and_connections(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            await fund(client)
            row = await client.ask(ServerInfo(3))
            assert row[4:7] == ["ready", new_core().name, "batch"]
            assert row[7] == service.engine.durable_sequence.value
            assert row[8] == 1
            details = row[9]
            assert details["frames"] >= 3
            assert details["credits_bytes"] == len(pack_request(ServerInfo(1))), "its own"
            for thread in ("trio", "wal", "matcher"):
                assert details[f"{thread}_cpu_user_s"] >= 0
                assert details[f"{thread}_switches_voluntary"] >= 0


async def test_a_slow_reader_blocks_nobody_and_is_cut(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=8) as other:
            await fund(other)
            for number in range(40):
                await other.ask(order(3 + number, Side.SELL, 5_000 + number, 1))
            with socket.socket() as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                raw.setblocking(False)
                slow = trio.socket.from_stdlib_socket(raw)
                await slow.connect((service.host, service.port))
                await slow.send(pack_request(Hello(1, 1, 7, 0, 16_384)))
                books = b"".join(pack_request(GetOrderbook(n, PAIR, 1_000)) for n in range(1, 200))
                async with trio.open_nursery() as nursery:
                    # Asks without ever reading, until the server has cut it.
                    nursery.start_soon(_send_until_cut, slow, books)
                    while service.engine.statistics()["connections_faulty"] == 0:
                        row = await other.ask(GetBalance(1, BTC))
                        assert row[0] == 33
                        await trio.sleep(0.01)  # a pace, no synchronization
            assert (await other.ask(Deposit(90, USD, 1)))[0] == 69


async def _send_until_cut(slow: trio.socket.SocketType, data: bytes) -> None:
    try:
        while True:
            await slow.send(data)
    except OSError:
        return


async def test_connections_above_the_cap_are_told_so(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, connections_max=2) as service,
            wire(service.port, user=7) as first,
            wire(service.port, user=8),
        ):
            async with wire(service.port) as third:
                assert named(await third.until_closed()) == [(0, "too_many_connections")]
            assert (await first.ask(Deposit(1, USD, 1)))[0] == 69
            assert service.engine.statistics()["connections_refused"] == 1


async def test_a_burst_beyond_the_window_is_held_back_not_refused(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            count = 5_000
            frames = [pack(33, number, USD) for number in range(1, count + 1)]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send, *frames)
                rows = await client.responses(count)
            assert [row[1] for row in rows] == list(range(1, count + 1))
            assert {row[0] for row in rows} == {33}
            # 64 by the window, and at most one chunk of 256 beyond it.
            assert service.engine.statistics()["frames_waiting_peak"] <= 64 + 256


async def test_a_restart_logs_detaches_and_no_second_configure(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with AsyncExitStack() as left_open:
            async with running_service(tmp_path) as service:
                await left_open.enter_async_context(wire(service.port, user=7))
            assert service.engine.durable_sequence.value == 2, "configure and one attach"
        for _ in range(2):
            async with running_service(tmp_path) as service:
                assert service.engine.durable_sequence.value == 3, "one detach, and only once"


async def test_a_connection_that_ended_is_freed_without_the_collector(tmp_path: Path) -> None:
    # While serving, garbage in cycles that lived long is never collected (collector.py).
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=8) as other:
            gc.collect()
            gc.disable()
            try:
                for _ in range(10):
                    async with wire(service.port, user=7) as client:
                        await fund(client)
                while service.engine.statistics()["connections"] != 1:
                    await other.ask(GetBalance(1, USD))
                await other.ask(GetBalance(1, USD))
                alive = [item for item in gc.get_objects() if type(item) is Connection]
                assert len(alive) == 1
            finally:
                gc.enable()
