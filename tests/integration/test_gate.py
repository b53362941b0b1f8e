"""Admission: TLS and its reload, limits per source and per user, heartbeats."""

from __future__ import annotations

import math
import os
import socket
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
import trustme

from hpe.errors import ConfigError
from hpe.protocol.base import Request, type_number
from hpe.protocol.control import Heartbeat, Hello, Ping, Pong
from hpe.protocol.limits import HEARTBEAT_MS_MIN, SILENCE_HEARTBEATS
from hpe.protocol.money import BalanceReply, Deposit, GetBalance
from hpe.protocol.orders import CancelOrder
from tests.support.certificates import write_certificate
from tests.support.gatehouse import (
    KEY,
    OPERATOR,
    figure,
    give_strangers,
    log_on,
    operator,
    trader,
    write_keys,
)
from tests.support.service import running_service
from tests.support.wire import WireClient, named, pack, pack_request, until, wire

USD = 3
HEARTBEAT = [6, 0, 0]


# --- TLS ------------------------------------------------------------------------------------------


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def secured(port: int, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    return await trio.open_ssl_over_tcp_stream("127.0.0.1", port, ssl_context=context)


async def test_everything_works_the_same_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    keys = write_keys(tmp_path / "keys.json", operator(OPERATOR))
    with trio.fail_after(120):
        async with running_service(
            tmp_path, keys_file=keys, **write_certificate(authority, tmp_path)
        ) as service:
            stream = await secured(service.port, trusting(authority))
            client = WireClient(stream)  # type: ignore[arg-type]  # the same methods
            assert (await log_on(client, OPERATOR, 7))[0] == 1
            frames = [pack_request(Deposit(n, USD, 1)) for n in range(1, 301)]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send, *frames)
                assert [row[1] for row in await client.responses(300)] == list(range(1, 301))
            await client.send(b"\0\0\0\0")
            assert named(await client.until_closed()) == [(0, "empty_frame")]
            await stream.aclose()
            await until(lambda: figure(service.engine, "connections") == 0)
            assert figure(service.engine, "connections_faulty") == 0


async def test_strangers_to_tls_end_themselves_only(tmp_path: Path) -> None:
    authority = trustme.CA()
    settings = write_certificate(authority, tmp_path)
    with trio.fail_after(120):
        async with running_service(tmp_path, **settings) as service:
            stream = await secured(service.port, trusting(authority))
            client = WireClient(stream)  # type: ignore[arg-type]  # the same methods
            await client.log_on(7)
            give_strangers(service, 0.3)
            async with wire(service.port) as plain, wire(service.port) as silent:
                await plain.send(pack_request(Hello(1, 1, 7)))
                assert (await plain.stream.receive_some(100))[:1] in (b"\x15", b""), "a TLS alert"
                assert await silent.stream.receive_some(100) == b""
            await until(lambda: figure(service.engine, "connections") == 1)
            assert (await client.ask(Deposit(1, USD, 1)))[0] == 69
            await stream.aclose()


async def test_a_reload_gives_new_connections_the_new_certificate(tmp_path: Path) -> None:
    old, new = trustme.CA(), trustme.CA()
    settings = write_certificate(old, tmp_path)
    with trio.fail_after(120):
        async with running_service(tmp_path, **settings) as service, AsyncExitStack() as stack:
            before = await stack.enter_async_context(await secured(service.port, trusting(old)))
            client = WireClient(before)  # type: ignore[arg-type]  # the same methods
            await client.log_on(7)
            write_certificate(new, tmp_path)
            await service.engine.reload()
            with pytest.raises(trio.BrokenResourceError):
                async with await secured(service.port, trusting(old)) as stream:
                    await stream.do_handshake()
            async with await secured(service.port, trusting(new)) as stream:
                await stream.do_handshake()
            assert (await client.ask(Deposit(1, USD, 1)))[0] == 69
            os.truncate(settings["tls_key"], 20)
            with pytest.raises(ConfigError):
                await service.engine.reload()
            async with await secured(service.port, trusting(new)) as stream:
                await stream.do_handshake()


async def test_a_certificate_that_is_half_written_holds_no_revocation_up(tmp_path: Path) -> None:
    authority = trustme.CA()
    path = tmp_path / "keys.json"
    settings = {
        "keys_file": write_keys(path, trader(KEY, 7)),
        **write_certificate(authority, tmp_path),
    }
    with trio.fail_after(120):
        async with running_service(tmp_path, **settings) as service:
            async with await secured(service.port, trusting(authority)) as stream:
                client = WireClient(stream)  # type: ignore[arg-type]  # the same methods
                assert (await log_on(client, KEY, 7))[0] == 1
                os.truncate(settings["tls_key"], 20)
                write_keys(path, operator(OPERATOR))
                with pytest.raises(ConfigError, match=r"tls_key .* ends 1 connections"):
                    await service.engine.reload()
                assert named([await client.receive() or []]) == [(0, "key_revoked")]
            async with await secured(service.port, trusting(authority)) as stream:
                client = WireClient(stream)  # type: ignore[arg-type]  # the same methods
                assert (await log_on(client, OPERATOR, 7))[0] == 1


# --- limits ---------------------------------------------------------------------------------------


async def test_one_source_cannot_take_all_places(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with (
            running_service(
                tmp_path, connections_per_source_max=4, strangers_per_source_max=2
            ) as service,
            wire(service.port, user=7) as first,
            wire(service.port),
            wire(service.port),
        ):
            await until(lambda: figure(service.engine, "strangers") == 2)
            async with wire(service.port) as third_stranger:
                refusal = await third_stranger.until_closed()
                assert named(refusal) == [(0, "too_many_connections")]
            other = await trio.open_tcp_stream("127.0.0.1", service.port, local_address="127.0.0.9")
            async with other:
                await WireClient(other).log_on(8)
            assert (await first.ask(Deposit(1, USD, 1)))[0] == 69


async def test_one_key_cannot_take_all_places(tmp_path: Path) -> None:
    path = write_keys(tmp_path / "keys.json", trader(KEY, 7), operator(OPERATOR))
    with trio.fail_after(120):
        async with running_service(tmp_path, keys_file=path, connections_per_key_max=2) as service:
            async with wire(service.port) as first, wire(service.port) as second:
                assert (await log_on(first, KEY, 7))[0] == 1
                assert (await log_on(second, KEY, 7))[0] == 1
                async with wire(service.port) as third:
                    refusal = await log_on(third, KEY, 7)
                    assert refusal[3:5] == [504, "too_many_connections"]
                    assert "desk-1" in refusal[5]
                    assert await third.until_closed() == []
                async with wire(service.port) as other:
                    assert (await log_on(other, OPERATOR, 7))[0] == 1
                assert (await first.ask(GetBalance(2, USD)))[0] == 33
            await until(lambda: figure(service.engine, "connections") == 0)
            async with wire(service.port) as again:
                assert (await log_on(again, KEY, 7))[0] == 1
            assert not service.engine._stages.gate.authenticator._connections.get("chief")


async def test_above_the_rate_requests_are_throttled_and_then_the_connection_is_cut(
    tmp_path: Path,
) -> None:
    limits = {"messages_per_s": 20, "messages_burst": 10, "cancels_per_s": 20}
    with trio.fail_after(120):
        async with (
            running_service(tmp_path, **limits) as service,
            wire(service.port, user=8) as other,
            wire(service.port, user=7, window=1_000) as client,
        ):
            await client.send(*[pack(69, n, USD, 1) for n in range(1, 16)])
            rows = await client.responses(15)
            assert [row[0] for row in rows[:10]] == [69] * 10
            assert named(rows[10:]) == [(n, "throttled") for n in range(11, 16)]
            assert rows[-1][6] is True, "retryable"
            # Cancels have their own bucket; nobody else is held back.
            await client.send(pack_request(CancelOrder(16, 5)))
            assert (await client.responses(1))[0][0] == 65
            assert (await other.ask(Deposit(1, USD, 1)))[0] == 69
            await client.send(*[pack(69, n, USD, 1) for n in range(17, 100)])
            rows = await client.until_closed()
            assert named(rows[-1:]) == [(0, "rate_exceeded")]
            assert figure(service.engine, "throttled") >= 20
            assert (await other.ask(Deposit(2, USD, 1)))[0] == 69


# --- heartbeats -----------------------------------------------------------------------------------


async def log_on_beating(client: WireClient, heartbeat_ms: int, user: int = 7) -> None:
    welcome = await client.ask(Hello(1, 1, user, heartbeat_ms=heartbeat_ms))
    assert welcome[13] == heartbeat_ms


async def test_a_quiet_server_sends_heartbeats_and_a_silent_client_is_cut(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port) as client:
            await log_on_beating(client, HEARTBEAT_MS_MIN)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(say_again_and_again, client, Heartbeat(2))
                assert await client.receive() == HEARTBEAT
                nursery.cancel_scope.cancel()
            start_s = trio.current_time()
            await client.send(pack_request(Heartbeat(2)))
            rows = await client.until_closed()
            waited_s = trio.current_time() - start_s
            assert named(rows[-1:]) == [(0, "heartbeat_timeout")]
            assert rows[:-1] == [HEARTBEAT] * (len(rows) - 1)
            assert waited_s >= SILENCE_HEARTBEATS * HEARTBEAT_MS_MIN / 1_000
            assert figure(service.engine, "heartbeats_missed") == 1


async def say_again_and_again(client: WireClient, words: Request, times: float = math.inf) -> None:
    while times > 0:
        await client.send(pack_request(words))
        await trio.sleep(0.1)  # the pace of this client
        times -= 1


@pytest.mark.parametrize("sign_of_life", [Heartbeat(2), Ping(2)])
async def test_a_client_that_says_anything_lives(
    tmp_path: Path, sign_of_life: Heartbeat | Ping
) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port) as client:
            await log_on_beating(client, HEARTBEAT_MS_MIN)
            await say_again_and_again(client, sign_of_life, 15)
            replies = {type_number(BalanceReply), type_number(Pong)}
            assert (await client.ask(GetBalance(3, USD)))[0] in replies
            assert figure(service.engine, "heartbeats_missed") == 0


async def test_a_trickle_of_bytes_that_makes_no_frame_is_silence(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port) as client:
            await log_on_beating(client, HEARTBEAT_MS_MIN)
            async with trio.open_nursery() as nursery:

                async def trickle() -> None:
                    await client.send((2_000).to_bytes(4, "big"))
                    while True:
                        await client.send(b"\x00")
                        await trio.sleep(0.05)  # the pace of this client

                nursery.start_soon(trickle)
                rows = await client.until_closed()
                nursery.cancel_scope.cancel()
            assert named(rows[-1:]) == [(0, "heartbeat_timeout")]
            assert figure(service.engine, "heartbeats_missed") == 1


async def test_a_half_open_connection_is_noticed_by_its_silence(tmp_path: Path) -> None:
    """The peer's machine is gone without a word: nothing comes, and nothing is refused either."""
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=8) as other:
            with socket.create_connection((service.host, service.port)) as silent:
                silent.sendall(pack_request(Hello(1, 1, 7, heartbeat_ms=1)))
                await until(lambda: figure(service.engine, "strangers") == 0)
                await until(lambda: figure(service.engine, "connections") == 1)
            assert (await other.ask(Deposit(1, USD, 1)))[0] == 69
