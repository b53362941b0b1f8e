"""The client library against a real service: Decimals, sessions, pipelining, lost connections."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import trio

from hpe.client.client import connect
from hpe.client.dialer import parse_address
from hpe.client.market_views import LevelView
from hpe.client.results import Balance
from hpe.errors import (
    AcknowledgedLost,
    ConnectionLost,
    OrderRejected,
    ProtocolError,
    RequestRefused,
)
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import OrderStatus, Side
from hpe.protocol.flags import FLAG_DUPLICATE
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import OrderResponse, SubmitOrder
from tests.support.integers import executed
from tests.support.service import running_service

PATIENCE_S = 120
"""Deadline of the tests: a shared machine may be slow; 100 ms is not what they are about."""

D = Decimal


async def test_two_users_trade_in_decimals(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as alice,
            connect(service.address, user=2, timeout_s=PATIENCE_S) as bob,
        ):
            pair = await alice.instrument("BTC/USD")
            assert (pair.tick_size, pair.lot_size) == (D("0.01"), D("0.0001"))
            await alice.deposit("BTC", D("1.5"))
            await bob.deposit("USD", D(100_000))
            sell = await alice.submit_order(pair, "sell", D("0.5"), D("65000.01"))
            assert (sell.status, sell.leaves) == (OrderStatus.NEW, D("0.5"))
            book = await bob.get_orderbook("BTC/USD", depth=5)
            assert book.asks == (LevelView(D("65000.01"), D("0.5"), 1),)
            assert (book.bids, book.last_price) == ((), None)

            buy = await bob.submit_order("BTC/USD", Side.BUY, D("0.2"), D(65_001))
            [fill] = buy.fills
            assert (fill.price, fill.quantity) == (D("65000.01"), D("0.2"))
            assert buy.status is OrderStatus.FILLED
            assert buy.quote_total == D("13000.002")
            account = await bob.get_balance("USD")
            assert (account.available, account.locked) == (D(100_000) - D("13000.002"), 0)
            assert (await alice.get_balance("BTC")).locked == D("0.3")
            # A market order has no price and takes what is there.
            market = await bob.submit_order(pair, "buy", D("0.1"))
            assert market.cum == D("0.1")
            assert (await bob.get_orderbook(pair)).last_price == D("65000.01")

            less = await alice.replace_order(pair, sell.order_id, leaves_quantity=D("0.1"))
            assert less.leaves == D("0.1")
            gone = await alice.cancel_order(pair, sell.order_id)
            assert (gone.status, gone.leaves) == (OrderStatus.CANCELED, 0)
            with pytest.raises(OrderRejected, match="unknown_order"):
                await alice.cancel_order(pair, sell.order_id)


async def test_money_moves_in_decimals(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            await client.deposit("USD", D("10.5"))
            assert (await client.lock_balance("USD", 4)).held == 4
            assert (await client.unlock_balance("USD", D("1.5"))).held == D("2.5")
            account = await client.withdraw("USD", D("7.999999"))
            assert (account.available, account.locked) == (D("0.000001"), D("2.5"))
            assert (account.reserved, account.held) == (0, D("2.5"))
            with pytest.raises(OrderRejected, match="insufficient_funds"):
                await client.withdraw("USD", 1)


async def test_what_is_off_the_grid_or_unknown_is_refused_before_sending(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            pair = await client.instrument("BTC/USD")
            sent = client.requests.last_request_id
            with pytest.raises(ValueError, match=r"multiples of 0\.0001"):
                await client.submit_order(pair, "buy", D("0.00001"), D(1))
            with pytest.raises(TypeError, match="found float"):
                await client.submit_order(pair, "buy", D("0.01"), 65000.1)  # type: ignore[arg-type]  # wrong on purpose
            with pytest.raises(ValueError, match="side: found 'hold', allowed buy, sell"):
                await client.submit_order(pair, "hold", D("0.01"), D(1))
            with pytest.raises(ValueError, match=r"time in force: .* allowed gtc, ioc, fok, gtd"):
                await client.submit_order(pair, "buy", D("0.01"), D(1), time_in_force="day")
            assert client.requests.last_request_id == sent
            with pytest.raises(LookupError, match=r"no instrument 'X/Y' \(known: BTC/USD, ETH/USD"):
                await client.instrument("X/Y")
            with pytest.raises(LookupError, match="no asset 'XRP'"):
                await client.deposit("XRP", 1)


async def test_requests_are_pipelined_and_answered_in_order(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, window=64, timeout_s=PATIENCE_S) as client,
        ):
            pair = await client.instrument("BTC/USD")
            await client.deposit("BTC", 10)
            channel = client.requests
            assert channel.window == 64
            pending = [
                await channel.send(SubmitOrder(0, pair.id, number, 2, 2, 1, 100 + number, 1))
                for number in range(1, 501)
            ]
            answers = [await request.wait() for request in pending]
            orders = [answer.response for answer in answers]
            assert all(isinstance(order, OrderResponse) for order in orders)
            sequences = [order.sequence for order in orders if isinstance(order, OrderResponse)]
            assert sequences == sorted(set(sequences))
            assert len(sequences) == 500


async def test_many_tasks_share_one_client(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, window=8, timeout_s=PATIENCE_S) as client,
        ):
            asset = await client.asset("USD")
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(client.deposit, "USD", 2)
            balance = await client.get_balance("USD")
            assert balance.raw == Balance(asset.amounts.count(100), 0, 0, 0)


async def test_a_session_is_taken_up_again_and_a_repeated_command_is_applied_once(
    tmp_path: Path,
) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            async with connect(
                service.address, user=1, timeout_s=PATIENCE_S, keep_session=True
            ) as client:
                asset = (await client.asset("USD")).id
                first = await client.requests.send(Deposit(0, asset, 5))
                answer = await first.wait()
                session_id, answered = client.session_id, client.requests.answered_request_id
            assert answered == first.request_id
            async with connect(
                service.address,
                user=1,
                session_id=session_id,
                timeout_s=PATIENCE_S,
                answered_request_id=answered,
            ) as client:
                assert client.session_id == session_id
                assert client.welcome.last_request_id == answered
                repeated = await (await client.requests.resend(first.frame)).wait()
                assert repeated.response.flags == FLAG_DUPLICATE
                assert repeated.response != answer.response
                assert (await client.get_balance("USD")).raw.available == 5
                assert (await executed(client, Deposit(0, asset, 1))).available == 6


async def test_a_server_that_forgot_what_it_answered_is_found_out(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            with pytest.raises(AcknowledgedLost) as caught:
                async with connect(service.address, user=1, answered_request_id=3):
                    pytest.fail("connected")
            assert caught.value.request_ids == range(1, 4)


async def test_a_session_of_nobody_is_refused(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            with pytest.raises(RequestRefused) as caught:
                async with connect(service.address, user=1, session_id=999):
                    pytest.fail("connected")
            assert caught.value.code == ErrorCode.UNKNOWN_SESSION


async def test_logout_ends_the_session_for_good(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            await client.logout()
            with pytest.raises(ConnectionLost):
                await client.ping()
            with pytest.raises(RequestRefused) as caught:
                async with connect(service.address, user=1, session_id=client.session_id):
                    pytest.fail("connected")
            assert caught.value.code == ErrorCode.UNKNOWN_SESSION


async def test_ping_and_server_info(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=1, timeout_s=PATIENCE_S) as client,
        ):
            assert 0 < await client.ping() < PATIENCE_S
            assert (await client.server_info()).phase == "ready"


async def test_the_callers_error_leaves_the_block_as_it_is(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            with pytest.raises(ZeroDivisionError):
                async with connect(service.address, user=1):
                    raise ZeroDivisionError
            with trio.move_on_after(0.01) as scope:
                async with connect(service.address, user=1):
                    await trio.sleep_forever()
            assert scope.cancelled_caught


async def test_the_environment_names_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            monkeypatch.setenv("HPE_ADDRESS", str(service.port))
            async with connect(user=1) as client:
                assert client.session_id > 0


# --- peers that are no service: real sockets, no engine -----------------------------------------


Handler = Callable[[trio.SocketStream], Awaitable[object]]


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    """Serve a handler on a loopback port; return the address."""
    serve = partial(trio.serve_tcp, handler, 0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(serve)
        yield f"127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def hang_up(stream: trio.SocketStream) -> None:
    await stream.aclose()


async def test_nobody_listens() -> None:
    async with listening(hang_up) as address:
        pass
    with pytest.raises(ConnectionLost, match=f"no connection to {address}"):
        async with connect(address, user=1):
            pytest.fail("connected")


async def test_a_service_that_hangs_up_before_welcome() -> None:
    async with listening(hang_up) as address:
        with pytest.raises(ConnectionLost, match=r"closed the connection|broke"):
            async with connect(address, user=1):
                pytest.fail("connected")


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n", b"\x00\x00\x00\x02\x92\x7f"])
async def test_a_peer_of_another_protocol(greeting: bytes) -> None:
    async def greet(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(greeting)

    async with listening(greet) as address:
        with pytest.raises(ProtocolError):
            async with connect(address, user=1):
                pytest.fail("connected")


async def test_without_reconnecting_a_cut_fails_what_is_unanswered(tmp_path: Path) -> None:
    """A relay between client and service is cut while requests wait."""
    cut = trio.Event()

    async with running_service(tmp_path) as service:

        async def relay(stream: trio.SocketStream) -> None:
            upstream = await trio.open_tcp_stream("127.0.0.1", service.port)
            async with stream, upstream:
                await upstream.send_all(await stream.receive_some())
                await stream.send_all(await upstream.receive_some())
                # After logon nothing is passed on any more.
                await cut.wait()

        async with (
            listening(relay) as address,
            connect(address, user=1, timeout_s=PATIENCE_S, reconnect=False) as client,
        ):
            pending = await client.requests.send(GetBalance(0, 1))
            cut.set()
            with trio.fail_after(PATIENCE_S), pytest.raises(ConnectionLost, match="unknown"):
                await pending.wait()
            with pytest.raises(ConnectionLost, match="not sent"):
                await client.ping()


async def test_the_example_market_maker_runs(tmp_path: Path, project_root: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            result = await trio.run_process(
                [
                    sys.executable,
                    str(project_root / "examples" / "quote_and_trade.py"),
                    *("--address", service.address, "--rounds", "20", "--seed", "7"),
                ],
                capture_stdout=True,
                env={"PYTHONPATH": str(project_root)},
            )
    assert b"seed 7: 20 rounds, " in result.stdout


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("7070", "127.0.0.1", 7070),
        ("localhost:1", "localhost", 1),
        ("[::1]:65535", "::1", 65535),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_address(text) == (host, port)


NAMES_THAT_ARE_NONE = ["a..b:1", "a" * 64 + ":1", "a\0b:1"]


@pytest.mark.parametrize(
    "text",
    ["", "host", ":7070", "host:", "host:0", "host:65536", "h:1x", *NAMES_THAT_ARE_NONE],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        parse_address(text)
