"""One connection of the client over a stream in memory: logon, heartbeats, silence, last frames."""

import hashlib
import hmac

import msgspec
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from hpe.access.keys import Key
from hpe.client.channel import SessionChannel
from hpe.client.link import SECOND_LOOK_S, Link
from hpe.errors import ConnectionLost, HpeError, ProtocolError, RequestRefused
from hpe.protocol.base import Reply
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Challenge, Error, HeartbeatReport, Hello, Logon, Welcome
from hpe.protocol.enums import Role
from hpe.protocol.frames import encode_frame
from hpe.protocol.money import GetBalance

HELLO = Hello(1, 1, 7, key_id="alice")
KEY = Key("alice", bytes(range(32)))
NONCE = b"s" * 32


def welcome(heartbeat_ms: int = 1_000) -> Welcome:
    return Welcome(1, 0, 1, 9, 4, 0, 1, "batch", "hpe", 2048, 1 << 20, Role.TRADER, heartbeat_ms, 0)


class ScriptedPeer:
    """The other end of the stream: says what the test tells it."""

    def __init__(self) -> None:
        stream, self.stream = memory_stream_pair()
        self.link = Link(stream)
        self.received = b""

    async def say(self, *messages: Reply) -> None:
        await self.stream.send_all(b"".join(encode_frame(message) for message in messages))

    async def hear(self) -> bytes:
        """Return the body of the next frame."""
        while len(self.received) < 4 or len(self.received) < 4 + self._length():
            data = await self.stream.receive_some()
            assert data
            self.received += data
        end = 4 + self._length()
        body, self.received = self.received[4:end], self.received[end:]
        return bytes(body)

    def _length(self) -> int:
        return int.from_bytes(self.received[:4], "big")


def channel_of(link: Link) -> SessionChannel:
    return SessionChannel(link.send, session_id=9, window=4, last_request_id=0)


async def test_logon_without_and_with_a_key() -> None:
    server = ScriptedPeer()
    await server.say(welcome())
    assert await server.link.log_on(HELLO, None) == welcome()

    server = ScriptedPeer()
    await server.say(Challenge(1, 0, NONCE), welcome())
    assert await server.link.log_on(HELLO, KEY) == welcome()
    hello = await server.hear()
    logon = msgspec.msgpack.decode(await server.hear(), type=Logon)
    assert msgspec.msgpack.decode(hello, type=Hello) == HELLO
    proven = b"hpe logon 1\0" + NONCE + logon.nonce + hashlib.sha256(hello).digest()
    assert logon.signature == hmac.digest(KEY.secret, proven, "sha256")
    assert logon.request_id == 1


async def test_a_server_that_wants_a_key_and_gets_none() -> None:
    server = ScriptedPeer()
    await server.say(Challenge(1, 0, NONCE))
    with pytest.raises(RequestRefused, match="asks for a key") as caught:
        await server.link.log_on(HELLO, None)
    assert caught.value.code == ErrorCode.AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([Error(1, 0, 207, "authentication_failed", "", False, True, False)], RequestRefused),
        ([Challenge(1, 0, NONCE), Challenge(1, 0, NONCE)], ProtocolError),
        ([HeartbeatReport(1, 0)], ProtocolError),
        ([], ConnectionLost),
    ],
)
async def test_logons_that_fail(messages: list[Reply], error: type[HpeError]) -> None:
    server = ScriptedPeer()
    await server.say(*messages)
    await server.stream.send_eof()
    with pytest.raises(error):
        await server.link.log_on(HELLO, KEY)


async def test_a_client_with_nothing_to_send_sends_a_heartbeat(autojump_clock: MockClock) -> None:
    server = ScriptedPeer()
    await server.say(welcome(heartbeat_ms=1_000))
    await server.link.log_on(HELLO, None)
    await server.hear()
    channel = channel_of(server.link)
    heard: list[tuple[float, int]] = []
    start = trio.current_time()

    async def listen() -> None:
        while True:
            body = await server.hear()
            heard.append((round(trio.current_time() - start, 2), body[1]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        nursery.start_soon(server.link.serve, channel)
        await trio.sleep(1.5)
        channel.send_nowait(GetBalance(0, 1))
        await trio.sleep(1.4)
        nursery.cancel_scope.cancel()
    # One second after the welcome, the request, one second after the request.
    assert heard == [(1.0, 6), (1.5, 33), (2.5, 6)]


async def test_a_silent_server_is_given_up(autojump_clock: MockClock) -> None:
    server = ScriptedPeer()
    await server.say(welcome(heartbeat_ms=1_000))
    await server.link.log_on(HELLO, None)
    reasons: list[HpeError] = []
    start = trio.current_time()

    async def serve() -> None:
        reasons.append(await server.link.serve(channel_of(server.link)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        # Heartbeats keep it alive, also one that comes between the two looks.
        for pause_s in (2.9, 2.9, 2.9, 3 + SECOND_LOOK_S / 2):
            await trio.sleep(pause_s)
            await server.say(HeartbeatReport(1, 0))
        assert not reasons
    [reason] = reasons
    assert isinstance(reason, ConnectionLost)
    assert "nothing was heard from the server for 3 s" in str(reason)
    assert trio.current_time() - start == pytest.approx(3 * 2.9 + 3 + 3 + 1.5 * SECOND_LOOK_S)


async def test_the_servers_last_words_are_the_reason() -> None:
    server = ScriptedPeer()
    words = Error(0, 0, 205, "session_replaced", "newer", False, True, False)
    await server.say(welcome(), words)
    await server.link.log_on(HELLO, None)
    reason = await server.link.serve(channel_of(server.link))
    assert isinstance(reason, RequestRefused)
    assert reason.name == "session_replaced"


async def test_a_broken_stream_is_a_reason_like_any_other() -> None:
    server = ScriptedPeer()
    await server.say(welcome())
    await server.link.log_on(HELLO, None)
    reasons: list[HpeError] = []

    async def serve() -> None:
        reasons.append(await server.link.serve(channel_of(server.link)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await wait_all_tasks_blocked()
        await server.stream.aclose()
    assert isinstance(reasons[0], ConnectionLost)
