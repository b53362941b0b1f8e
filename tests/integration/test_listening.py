"""Listening: a name with several addresses, and a crowd from one of them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from hpe.engine import HighPerformanceEngine
from hpe.errors import ListenError
from hpe.net.server import REFUSALS_MAX
from hpe.protocol.control import Hello
from tests.support.gatehouse import figure
from tests.support.line import ONE_AND_ZERO
from tests.support.service import running_service
from tests.support.wire import WireClient, pack_request, until

NAME = "exchange.test"
ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


class Resolver(trio.abc.HostnameResolver):
    """Gives one name three addresses."""

    async def getaddrinfo(self, host: Any, port: Any, *_: Any) -> Any:
        number = int(port or 0)
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, (address, number)) for address in ADDRESSES]

    async def getnameinfo(self, *_: Any) -> Any:
        raise NotImplementedError


@asynccontextmanager
async def engine_at(directory: Path) -> AsyncIterator[HighPerformanceEngine]:
    trio.socket.set_custom_hostname_resolver(Resolver())
    async with running_service(directory) as service:
        yield service.engine


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that is taken on the last of the addresses."""
    with socket.create_server((ADDRESSES[-1], 0)) as other:
        yield int(other.getsockname()[1])


async def test_all_addresses_of_a_name_have_the_announced_port(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine_at(tmp_path) as engine:
            for _ in range(5):
                port = await engine.listen(NAME, 0)
                for address in ADDRESSES:
                    async with await trio.open_tcp_stream(address, port) as stream:
                        await WireClient(stream).log_on(7)


async def test_a_name_with_an_address_that_is_taken_is_refused(tmp_path: Path, taken: int) -> None:
    with trio.fail_after(120):
        async with engine_at(tmp_path) as engine:
            with pytest.raises(ListenError, match=f"cannot listen on {NAME}:{taken}"):
                await engine.listen(NAME, taken)
            with pytest.raises(OSError, match="failed"):
                await trio.open_tcp_stream(ADDRESSES[0], taken)


async def test_a_crowd_of_one_source_does_not_keep_another_one_waiting(tmp_path: Path) -> None:
    """More come than are told why they are refused: the rest is closed, and counted."""
    crowd = 4 * REFUSALS_MAX
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, strangers_per_source_max=2) as service,
            AsyncExitStack() as stack,
        ):
            for _ in range(2 + crowd):
                stream = await trio.open_tcp_stream(
                    service.host, service.port, local_address=ADDRESSES[1]
                )
                await stack.enter_async_context(stream)
            async with await trio.open_tcp_stream(service.host, service.port) as stream:
                client = WireClient(stream)
                await client.send(pack_request(Hello(1, 1, 7)))
                assert (await client.receive() or [])[0] == 1
            await until(lambda: figure(service.engine, "connections_refused") == crowd)


async def test_clients_that_vanish_by_the_thousand_do_not_fill_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="hpe.net")
    with trio.fail_after(120):
        async with running_service(tmp_path) as service:
            strangers = [await trio.open_tcp_stream(service.host, service.port) for _ in range(100)]
            await until(lambda: figure(service.engine, "connections") == 100)
            for stranger in strangers:
                stranger.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ONE_AND_ZERO)
                await stranger.aclose()
            await until(lambda: figure(service.engine, "connections_faulty") == 100)
    lines = [line for line in caplog.messages if " ended: " in line]
    assert 50 <= len(lines) < 100
