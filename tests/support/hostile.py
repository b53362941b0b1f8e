"""Attacks of hostile clients on a service, each bounded in count and time, on loopback only.

Every function is one kind of attack on a service's port; it runs in a Trio loop and returns what
it saw. The tests decide what should have happened. Sources are the addresses 127.0.0.1 to
127.0.0.8, which a service counts separately.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple, Self, TypeVar

import msgpack
import msgspec
import trio

from hpe.access.keys import Key
from hpe.access.proofs import new_nonce, prove
from hpe.protocol.base import Request
from hpe.protocol.control import Hello, Logon
from hpe.protocol.enums import Channel, OrderType, Side, TimeInForce
from hpe.protocol.frames import encode_frame
from hpe.protocol.limits import HEARTBEAT_MS_MIN
from hpe.protocol.market_data import Subscribe
from hpe.protocol.money import Deposit, GetBalance
from hpe.protocol.orders import MassCancel, SubmitOrder
from hpe.protocol.reports import SubscribePrivate
from tests.support.line import CHALLENGE, ERROR, HEARTBEAT, ONE_AND_ZERO, REPORTS, WELCOME

SOURCES: Final = tuple(f"127.0.0.{number}" for number in range(1, 9))
GONE: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
DIALS_AT_ONCE: Final = 128
"""Connections being made at the same time: the kernel's listening queue is not the target."""

SMALL_SEGMENT: Final = 536
SMALL_BUFFER: Final = 2_048
"""With these, the kernels keep some 50 KiB for a client that does not read, not megabytes."""

STIRS_PER_S: Final = 50
BTC: Final = 1
USD: Final = 3
PAIR: Final = 1
Row = list[Any]
Result = TypeVar("Result")


class End(NamedTuple):
    """How a connection ended, and the last error that the service sent ("" for none).

    By the service's clock it lived for at most `after_s`; `known_s` is less than that by the time
    that this side needed to learn that the connection or the session existed.
    """

    after_s: float
    known_s: float
    words: str


class Enemy:
    """One connection that may break every rule; closed when its block is left.

    Attributes:
        stream: the socket.
        since_s: Trio time before which the service knew nothing of it.
        known_s: when this side knew that it existed, perhaps long after the service did.
    """

    def __init__(self, stream: trio.SocketStream, since_s: float) -> None:
        self.stream = stream
        self.since_s = since_s
        self.known_s = trio.current_time()
        self._buffer = b""

    def __enter__(self) -> Self:
        """Return the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.stream.socket.close()

    def reset_on_close(self) -> None:
        """Make the close a reset."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ONE_AND_ZERO)

    async def send(self, *frames: bytes) -> None:
        """Send bytes unchanged."""
        await self.stream.send_all(b"".join(frames))

    async def log_on(
        self, user: int, key: Key | None = None, *, window: int = 0, heartbeat_ms: int = 0
    ) -> Row:
        """Send hello, answer a challenge with the key, and return the reply."""
        key_id = key.id if key else ""
        greeting = Hello(1, 1, user, window=window, heartbeat_ms=heartbeat_ms, key_id=key_id)
        await self.send(encode_frame(greeting))
        row = await self.receive()
        if row and row[0] == CHALLENGE and key is not None:
            nonce = new_nonce()
            proof = prove(key, row[3], nonce, msgspec.msgpack.encode(greeting))
            await self.send(encode_frame(Logon(1, nonce, proof)))
            row = await self.receive()
        return row

    async def receive(self) -> Row:
        """Return the next message; [] once the connection has ended, in any way."""
        body = await self.receive_body()
        row: Row = msgpack.unpackb(body) if body else []
        return row

    async def receive_body(self) -> bytes:
        """Return the next message as received, b"" at the end."""
        while True:
            end = 4 + int.from_bytes(self._buffer[:4], "big")
            if len(self._buffer) >= max(5, end):
                body, self._buffer = self._buffer[4:end], self._buffer[end:]
                return body
            try:
                data = await self.stream.receive_some(65_536)
            except GONE:
                data = b""
            if not data:
                return b""
            self._buffer += data

    async def end(self) -> End:
        """Read until the end; return when it came and what the last error said."""
        words = ""
        while row := await self.receive():
            if row[0] == ERROR:
                words = row[4]
        now_s = trio.current_time()
        return End(now_s - self.since_s, now_s - self.known_s, words)


async def dial(port: int, source: str = SOURCES[0], *, small: bool = False) -> Enemy:
    """Connect.

    Args:
        port: the service's port.
        source: the address to connect from.
        small: True if the kernels are to buffer as little as possible for this connection.
    """
    made = trio.socket.socket()
    try:
        if small:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        await made.bind((source, 0))
        since_s = trio.current_time()
        await made.connect(("127.0.0.1", port))
        return Enemy(trio.SocketStream(made), since_s)
    except BaseException:
        made.close()
        raise


async def crowd(
    count: int, act: Callable[[int], Awaitable[Result]], at_once: int | None = None
) -> list[Result]:
    """Run a task this many times, `at_once` at a time; return the results in order."""
    results: dict[int, Result] = {}
    limiter = trio.CapacityLimiter(at_once or count)

    async def one(number: int) -> None:
        async with limiter:
            results[number] = await act(number)

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(one, number)
    return [results[number] for number in range(count)]


def source_of(number: int) -> str:
    """Return one of the sources."""
    return SOURCES[number % len(SOURCES)]


# --- strangers ------------------------------------------------------------------------------------


async def passers_by(port: int, count: int) -> None:
    """Send half a header and leave, all at once."""
    dialing = trio.Semaphore(DIALS_AT_ONCE)

    async def one(number: int) -> None:
        async with dialing:
            stranger = await dial(port, source_of(number))
        with stranger:
            await stranger.send(b"\0\0")

    await crowd(count, one)


async def half_headers(port: int, count: int, *, dribble_s: float) -> list[End]:
    """Send half a header; every other connection adds a byte of its hello now and then."""
    dialing = trio.Semaphore(DIALS_AT_ONCE)

    async def one(number: int) -> End:
        async with dialing:
            stranger = await dial(port, source_of(number))
        with stranger:
            async with trio.open_nursery() as nursery:
                await stranger.send(b"\0\0")
                if number % 2:
                    nursery.start_soon(_dribble, stranger, dribble_s)
                end = await stranger.end()
                nursery.cancel_scope.cancel()
            return end

    return await crowd(count, one)


async def _dribble(stranger: Enemy, pause_s: float) -> None:
    with suppress(*GONE):
        for byte in b"\0\x80\x99" + bytes(125):
            await trio.sleep(pause_s)
            await stranger.send(bytes([byte]))


async def bad_signatures(port: int, count: int, key: Key, *, source: str) -> list[str]:
    """Try a wrong secret again and again; return what each attempt was answered."""
    told = []
    wrong = Key(key.id, bytes(32))
    for _ in range(count):
        with await dial(port, source) as stranger:
            try:
                row = await stranger.log_on(7, wrong)
            except GONE:
                row = []
            told.append(row[4] if row else "")
    return told


async def connections(
    port: int, count: int, hold: Callable[[], Awaitable[object]], *, source: str
) -> list[str]:
    """Connect as often as possible and stay; return each one's last error, "" for none.

    Args:
        port: the service's port.
        count: number of connections.
        hold: each connection without an error is kept open until this returns.
        source: the address to connect from.
    """

    async def one(_: int) -> str:
        with await dial(port, source) as stranger:
            told = ""
            async with trio.open_nursery() as nursery:

                async def listen() -> None:
                    nonlocal told
                    told = (await stranger.end()).words or "closed"
                    nursery.cancel_scope.cancel()

                nursery.start_soon(listen)
                await hold()
                nursery.cancel_scope.cancel()
            return told

    return await crowd(count, one)


async def garbage(port: int, count: int, seed: int) -> list[End]:
    """Send noise: pure, after a right length, after a huge one, after a logon; some reset."""
    noise = random.Random(seed)

    async def one(number: int) -> End:
        body = noise.randbytes(noise.randrange(1, 400))
        prefix = noise.choice((b"", len(body).to_bytes(4, "big"), b"\xff" * 4, b"\0" * 4))
        with await dial(port, source_of(number)) as stranger:
            try:
                if number % 3 == 0:
                    await stranger.log_on(100 + number % 50)
                await stranger.send(prefix, body, body)
                if number % 4 == 0:
                    stranger.reset_on_close()
                    return End(0.0, 0.0, "reset")
                await stranger.stream.send_eof()
            except GONE:
                pass
            return await stranger.end()

    return await crowd(count, one, at_once=32)


async def resets(port: int, count: int, seed: int) -> None:
    """Break off a conversation with a reset after a random number of its bytes."""
    chance = random.Random(seed)

    async def one(number: int) -> None:
        said = encode_frame(Hello(1, 1, 100 + number % 50)) + b"".join(
            encode_frame(Deposit(request_id, USD, 1)) for request_id in range(1, 20)
        )
        with await dial(port, source_of(number)) as stranger, suppress(*GONE):
            await stranger.send(said[: chance.randrange(len(said) + 1)])
            if number % 2:
                await stranger.receive()
            stranger.reset_on_close()

    await crowd(count, one, at_once=32)


# --- clients --------------------------------------------------------------------------------------


async def single_bytes(port: int, user: int, requests: int) -> list[Row]:
    """Hold a whole conversation in segments of one byte; return the replies."""
    said = encode_frame(Hello(1, 1, user)) + b"".join(
        encode_frame(Deposit(request_id, USD, 1)) for request_id in range(1, requests + 1)
    )
    with await dial(port) as client:
        client.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in said:
            await client.send(bytes([byte]))
        return [await client.receive() for _ in range(requests + 1)]


async def visit(port: int, user: int) -> None:
    """Log on and leave."""
    with await dial(port) as client:
        await client.log_on(user)


async def silence(port: int, user: int, key: Key | None = None) -> End:
    """Log on with the shortest heartbeat, then neither send nor close anything."""
    with await dial(port) as client:
        client.since_s = trio.current_time()  # hello is the last thing that it sends
        await client.log_on(user, key, heartbeat_ms=HEARTBEAT_MS_MIN)
        client.known_s = trio.current_time()
        return await client.end()


async def never_read(
    port: int,
    user: int,
    channels: tuple[Channel, ...],
    pace_s: float | None = None,
    *,
    key: Key | None = None,
) -> None:
    """Subscribe to channels, or if none are given to its own private stream; then do not read.

    Args:
        port: the service's port.
        user: the session's user.
        channels: channels of the first instrument.
        pace_s: interval at which a little is read; None: nothing is ever read.
        key: the key to log on with.
    """
    with await dial(port, small=True) as client:
        await client.log_on(user, key)
        for number, channel in enumerate(channels, 1):
            await client.send(encode_frame(Subscribe(number, PAIR, channel)))
        if not channels:
            await client.send(encode_frame(SubscribePrivate(1)))
        with suppress(*GONE):
            while pace_s is not None:
                await trio.sleep(pace_s)
                if not await client.stream.receive_some(SMALL_BUFFER):
                    return
            await trio.sleep_forever()


async def request_flood(port: int, user: int, count: int, *, key: Key | None = None) -> list[str]:
    """Send far too many requests; return each answer: "" for success, else the error."""
    told: list[str] = []
    with await dial(port) as client:
        await client.log_on(user, key, window=16_384)

        async def ask() -> None:
            with suppress(*GONE):
                for first in range(1, count, 100):
                    frames = [encode_frame(GetBalance(first + n, USD)) for n in range(100)]
                    await client.send(*frames)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            while len(told) < count and (row := await client.receive()):
                told.append(row[4] if row[0] == ERROR else "")
            nursery.cancel_scope.cancel()
    return told


async def session_flood(port: int, user: int, key: Key | None, count: int) -> list[str]:
    """Open session after session with the largest window; return "" or the error of each."""

    async def one(_: int) -> str:
        with await dial(port) as client:
            row = await client.log_on(user, key, window=16_384)
            return "" if row and row[0] == WELCOME else str(row[4])

    return await crowd(count, one, at_once=16)


def stirring_money(user: int) -> list[Request]:
    """Return the deposits that `stir` needs; they use the first ids of its session."""
    return [Deposit(1, BTC, 10**15, user), Deposit(2, USD, 10**15, user)]


async def stir(port: int, user: int, per_s: int, key: Key | None = None) -> None:
    """Change the book of the first instrument at a pace, far from its middle, until canceled.

    This client behaves; it produces the data that others do not read. With a key, an operator must
    have made its deposits.
    """
    chance = random.Random(user)
    number = 3
    orders = per_s // STIRS_PER_S
    with await dial(port) as client:
        await client.log_on(user, key)
        if key is None:
            await client.send(*map(encode_frame, stirring_money(user)))
            await client.receive()
            await client.receive()
        while True:
            due_s = trio.current_time() + 1 / STIRS_PER_S
            requests: list[Request] = [_far_order(chance, number + n) for n in range(orders)]
            number += orders
            if chance.random() < 1 / 8:
                requests.append(MassCancel(number))
                number += 1
            await client.send(*map(encode_frame, requests))
            answered = 0
            while answered < len(requests):
                row = await client.receive()
                if not row:
                    return
                answered += row[0] not in REPORTS and row[0] != HEARTBEAT
            await trio.sleep_until(due_s)


def _far_order(chance: random.Random, request_id: int) -> SubmitOrder:
    side = chance.choice((Side.BUY, Side.SELL))
    price = 50_000 + (10_000 + chance.randrange(1_000)) * (-1 if side is Side.BUY else 1)
    return SubmitOrder(request_id, PAIR, 0, side, OrderType.LIMIT, TimeInForce.GTC, price, 1)
