"""Bad input of every kind: a clear error, that connection at most, nothing else disturbed."""

from __future__ import annotations

import random
import socket
import struct
from pathlib import Path

import msgpack
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from hpe.net.connection import Connection
from hpe.net.limits.pacing import TRICKLE_S_MIN, Trickle
from hpe.net.server import INHERITED
from hpe.protocol.control import Hello, Ping
from hpe.protocol.market_data import GetOrderbook
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import SubmitOrder
from tests.support.gatehouse import give_strangers
from tests.support.service import running_service
from tests.support.wire import TOO_LARGE, WireClient, framed, named, pack, pack_request, until, wire

USD = 3
GOOD = pack_request(Deposit(1, USD, 5))
HELLO = pack_request(Hello(1, 1, 7))

# Before logon: what comes first on a fresh connection ends it, whatever it is.
STRANGERS = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "frame_too_large", "HTTP"),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "frame_too_large", "TLS"),
    "ssh": (b"SSH-2.0-OpenSSH_9.9\r\n", "frame_too_large", "SSH"),
    "little-endian length": (struct.pack("<I", 20) + bytes(20), "frame_too_large", "endian"),
    "no length prefix": (msgpack.packb([1, 1, 1, 7]), "frame_too_large", "prefix"),
    "empty frame": (bytes(4), "empty_frame", "0"),
    "hello above 256 bytes": (pack(1, 1, 1, 7, 0, 0, "x" * 300), "frame_too_large", "256"),
    "a command": (GOOD, "expected_hello", "hello"),
    "two commands": (GOOD + GOOD, "expected_hello", "hello"),
    "a ping": (pack_request(Ping(1)), "expected_hello", "hello"),
    "no MessagePack": (framed(b"\xc1\xc1"), "bad_messagepack", ""),
    "trailing bytes": (framed(msgpack.packb([1, 1, 1, 7]) + b"\0"), "trailing_bytes", ""),
    "a map": (framed(msgpack.packb({"a": 1})), "not_an_array", "array"),
    "another version": (pack(1, 1, 9, 7), "unsupported_version", "9"),
}

# After logon: these end the connection, after everything before them was answered.
FATAL = {
    "oversized": (struct.pack(">I", 2_049), "frame_too_large"),
    "oversized at every bound": (struct.pack(">I", 2**32 - 1), "frame_too_large"),
    "empty": (bytes(4), "empty_frame"),
    "trailing": (framed(msgpack.packb([69, 2, USD, 1]) + b"\xc0"), "trailing_bytes"),
    "truncated MessagePack": (framed(msgpack.packb([69, 2, USD, 2**40])[:-2]), "bad_messagepack"),
    "not MessagePack": (framed(b"\x94\x45\x02\xc1\xc1"), "bad_messagepack"),
    "text": (framed(b"\xa5hello"), "not_an_array"),
    "number": (framed(b"\x07"), "not_an_array"),
    "deep nesting": (framed(b"\x91" * 2_000 + b"\x01"), "bad_messagepack"),
    "huge array header": (framed(b"\xdd\xff\xff\xff\xff"), "bad_messagepack"),
    "huge inner array header": (framed(b"\x94\x45\x02\xdd\xff\xff\xff\xff\x01"), "bad_messagepack"),
    "huge string header": (framed(b"\x94\x45\x02\xdb\xff\xff\xff\xff\x01"), "bad_messagepack"),
    "bad UTF-8": (framed(b"\x94\x47\x02\xa2\xff\xfe\x02"), "bad_messagepack"),
    "control with trailing": (framed(msgpack.packb([2, 2, 0]) + b"\0"), "trailing_bytes"),
    "control with bad UTF-8": (framed(b"\x97\x01\x02\x01\x07\x00\x00\xa1\xff"), "bad_messagepack"),
}

# After logon: answered, not executed, and the connection goes on.
REFUSED = {
    "malformed internal command": (pack(112, 2), "unknown_type", ""),
    "unknown command": (pack(100, 2, 1), "unknown_type", ""),
    "unknown control": (pack(17, 2), "unknown_type", ""),
    "internal": (pack(114, 2, 1, 1), "unknown_type", ""),
    "negative type": (pack(-5, 2), "unknown_type", ""),
    "empty array": (pack(), "unknown_type", ""),
    "wrong field type": (pack(69, 2, "USD", 1), "bad_field", "asset"),
    "float": (pack(69, 2, USD, 1.0), "bad_field", "amount"),
    "missing field": (pack(69, 2, USD), "bad_field", "amount"),
    "unknown field": (pack(69, 2, USD, 1, 0, 9), "bad_field", ""),
    "amount 0": (pack(69, 2, USD, 0), "bad_field", "amount"),
    "amount above 2^62": (pack(69, 2, USD, 2**62 + 1), "bad_field", "amount"),
    "amount above 2^63": (pack(69, 2, USD, TOO_LARGE), "bad_field", "amount"),
    "negative": (pack(69, 2, USD, -1), "bad_field", "amount"),
    "asset above its bound": (pack(69, 2, 2**31, 1), "bad_field", "asset"),
    "request id 0": (pack(69, 0, USD, 1), "bad_field", "request_id"),
    "request id above 2^63": (pack(69, TOO_LARGE, USD, 1), "bad_field", "request_id"),
    "side 3": (pack(64, 2, 1, 0, 3, 2, 1, 100, 1, 0), "bad_field", "side"),
    "unknown flag": (pack(64, 2, 1, 0, 1, 2, 1, 100, 1, 4), "bad_field", "flags"),
    "depth 1001": (pack(32, 2, 1, 1_001), "bad_field", "depth"),
    "control with a bad field": (pack(2, 2, "x"), "bad_field", "token"),
    "hello again": (HELLO, "already_logged_on", ""),
}


@pytest.mark.parametrize("name", STRANGERS)
async def test_strangers_are_told_why_and_cut(tmp_path: Path, name: str) -> None:
    data, error, hint = STRANGERS[name]
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port) as client:
            await client.send(data)
            (row,) = await client.until_closed()
            assert (row[4], row[9]) == (error, ""), row
            assert hint in row[5], row
            assert row[7] is True
            assert row[8] is False
            await still_serves(service.port)


async def still_serves(port: int) -> None:
    async with wire(port, user=9) as other:
        assert (await other.ask(Deposit(1, USD, 5)))[6] == 5


async def test_fatal_frames_end_their_connection_after_earlier_answers(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=8) as other:
            for number, (name, (data, error)) in enumerate(FATAL.items(), 1):
                async with wire(service.port, user=7) as client:
                    await client.send(GOOD, data, GOOD)
                    rows = await client.until_closed()
                    assert [row[0] for row in rows] == [69, 31], (name, rows)
                    assert (rows[1][4], rows[1][9]) == (error, ""), (name, rows)
                    assert rows[1][7] is True, name
                assert (await other.ask(Deposit(number, USD, 1)))[6] == number, name
            deposits = await other.ask(GetBalance(99, USD, 7))
            assert deposits[6] == 5 * len(FATAL), "what came behind a fatal frame was executed"


async def test_refused_frames_are_answered_and_the_connection_goes_on(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            await client.send(GOOD)
            await client.responses(1)
            for name, (data, error, field) in REFUSED.items():
                await client.send(data)
                (row,) = await client.responses(1)
                assert row[0] == 31, (name, row)
                assert (row[4], row[9]) == (error, field), (name, row)
                assert (row[7], row[8]) == (False, False), name
            assert (await client.ask(GetBalance(99, USD)))[6] == 5


async def test_a_frame_cut_off_by_the_end_of_the_stream_is_no_fault(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7) as client:
            await client.send(GOOD, GOOD[:-3])
            await client.stream.send_eof()
            assert [row[0] for row in await client.until_closed()] == [69]


async def test_bytes_may_come_one_at_a_time(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port) as client:
            for byte in HELLO + GOOD:
                await client.send(bytes([byte]))
            welcome, deposit = await client.responses(2)
            assert (welcome[0], deposit[0]) == (1, 69)


async def test_a_connection_that_never_sends_hello_is_cut(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with (
            running_service(tmp_path) as service,
            wire(service.port, user=7) as logged_on,
        ):
            give_strangers(service, 0.2)
            async with wire(service.port) as silent:
                await silent.send(HELLO[:-1])
                assert named(await silent.until_closed()) == [(0, "logon_timeout")]
            assert (await logged_on.ask(Deposit(1, USD, 1)))[0] == 69


async def test_half_open_and_abandoned_connections_are_forgotten(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with running_service(tmp_path, logon_timeout_s=2) as service:
            for number in range(20):
                async with wire(service.port, user=7 if number % 2 else 0) as client:
                    await client.send(GOOD[: number % len(GOOD)])
            async with wire(service.port, user=8) as other:
                while service.engine.statistics()["connections"] != 1:
                    assert (await other.ask(GetBalance(1, USD)))[0] == 33
                    await trio.sleep(0.01)  # a pace, no synchronization
            assert service.engine.statistics()["credits_bytes"] == 0


async def test_a_stranger_that_sends_part_of_a_message_is_not_read_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = 0
    pause = Trickle.pause

    async def counted(trickle: Trickle) -> None:
        nonlocal pauses
        pauses += 1
        await pause(trickle)

    monkeypatch.setattr(Trickle, "pause", counted)
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port) as client:
            begin_s = trio.current_time()
            await client.send(HELLO[:5])
            await until(lambda: service.engine.statistics()["connections"] == 1)
            await until(lambda: pauses == 1)  # the part has been read
            await client.send(HELLO[5:])
            assert (await client.responses(1))[0][0] == 1
            assert trio.current_time() - begin_s >= TRICKLE_S_MIN / 2
            for request_id in range(1, 21):
                frame = pack_request(Deposit(request_id, USD, 5))
                await client.send(frame[:5])
                await wait_all_tasks_blocked(0.001)
                await client.send(frame[5:])
                assert (await client.responses(1))[0][1] == request_id
            assert pauses == 1, "a client is read at once"


async def test_the_kernel_is_asked_to_notice_vanished_peers(tmp_path: Path) -> None:
    """A peer that loses its network sends no FIN: only keepalive finds it."""
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=7):
            assert service.engine._stages is not None
            (port,) = service.engine._stages.switchboard._ports.values()
            assert isinstance(port, Connection)
            for level, option, value in INHERITED:
                assert port._stream.socket.getsockopt(level, option) == value


async def test_a_client_that_breaks_off_keeps_no_credits(tmp_path: Path) -> None:
    """It asks for much, reads nothing and resets: what it held goes back to the pool."""
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=8) as maker:
            await maker.ask(Deposit(1, 1, 10**12))
            orders = [SubmitOrder(2 + n, 1, 0, 2, 2, 1, 100_000 + n, 1) for n in range(1_000)]
            for first in range(0, 1_000, 50):
                await maker.send(*map(pack_request, orders[first : first + 50]))
                await maker.responses(50)

            def figure(name: str) -> int:
                return int(service.engine.statistics()[name])

            for _ in range(3):
                async with wire(service.port, user=9, window=1_000) as client:
                    query = pack_request(GetOrderbook(1, 1, 1_000))
                    frames = figure("frames") + 1_000
                    await client.send(*[query] * 1_000)
                    await until(lambda due=frames: figure("frames") >= due)
                    # Its answers are at the connection's writer when this later one is through.
                    assert (await maker.ask(GetBalance(1, USD)))[0] == 33
                    linger = struct.pack("ii", 1, 0)
                    client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            await until(lambda: figure("connections") == 1)
            await until(lambda: figure("credits_bytes") == 0)


@pytest.mark.parametrize("seed", range(5))
async def test_noise_never_disturbs_others(tmp_path: Path, seed: int) -> None:
    noise = random.Random(seed)
    with trio.fail_after(120):
        async with running_service(tmp_path) as service, wire(service.port, user=8) as other:
            for number in range(1, 21):
                async with wire(service.port, user=7) as client:
                    await send_noise(client, noise)
                assert (await other.ask(Deposit(number, USD, 1)))[6] == number


async def send_noise(client: WireClient, noise: random.Random) -> None:
    """Send mutated good frames and read whatever comes back."""
    frames = bytearray(GOOD * 20)
    for _ in range(noise.randrange(1, 8)):
        frames[noise.randrange(len(frames))] = noise.randrange(256)
    await client.send(bytes(frames))
    await client.stream.send_eof()
    await client.until_closed()
