"""Polled sockets: which are read, what wakes a reader, and that none delays the others."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from hpe.net.poller import Poller
from hpe.net.sockets import PASS_BYTES, RECEIVE_BYTES
from tests.support.wire import until


@pytest.fixture
async def poller(nursery: trio.Nursery) -> AsyncIterator[Poller]:
    with closing(Poller()) as made:
        nursery.start_soon(made.serve)
        yield made
        nursery.cancel_scope.cancel()


class PolledSocket:
    """A socket that is polled, and its peer."""

    def __init__(self, stack: ExitStack) -> None:
        ours, peer = socket.socketpair()
        self.ours = stack.enter_context(ours)
        self.peer = stack.enter_context(peer)
        self.ours.setblocking(False)
        self.absorbed: list[bytes] = []
        self.until = b"!"
        self.result: object = "not ended"
        self.absorb: Callable[[memoryview], bytes | None] = self.keep

    def keep(self, data: memoryview) -> bytes | None:
        self.absorbed.append(bytes(data))
        return self.absorbed[-1] if self.until in self.absorbed[-1] else None

    async def attend(self, poller: Poller) -> None:
        try:
            self.result = await poller.attend(self.ours, self.absorb)
        except OSError as fault:
            self.result = fault

    async def until_absorbed(self, size: int) -> None:
        with trio.fail_after(10):
            await until(lambda: sum(map(len, self.absorbed)) >= size)


@pytest.fixture
def pairs() -> Iterator[list[PolledSocket]]:
    with ExitStack() as stack:
        yield [PolledSocket(stack) for _ in range(24)]


async def test_a_reader_sleeps_until_it_is_needed(
    poller: Poller, pairs: list[PolledSocket], nursery: trio.Nursery
) -> None:
    pair, other = pairs[:2]
    for each in (pair, other):
        nursery.start_soon(each.attend, poller)
    await wait_all_tasks_blocked()
    for number in range(1, 4):
        pair.peer.send(b"abc")
        await pair.until_absorbed(3 * number)
    assert pair.result == "not ended"
    pair.peer.send(b"now!")
    await pair.until_absorbed(13)
    await wait_all_tasks_blocked()
    assert pair.result == b"now!"
    pair.peer.send(b"unread")
    await wait_all_tasks_blocked()
    assert b"unread" not in b"".join(pair.absorbed)  # nobody attends
    assert other.result == "not ended"
    pair.until = b"unread"
    with trio.fail_after(10):
        await pair.attend(poller)
    assert pair.result == b"unread"


async def test_an_end_and_a_fault_are_the_readers(
    poller: Poller, pairs: list[PolledSocket], nursery: trio.Nursery
) -> None:
    ended, broken, absorbing, other = pairs[:4]

    def refuse(_: memoryview) -> bytes | None:
        raise OSError("this one cannot be absorbed")

    absorbing.absorb = refuse
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = stack.enter_context(socket.create_connection(server.getsockname()))
        broken.ours = stack.enter_context(server.accept()[0])
        broken.ours.setblocking(False)
        for pair in (ended, broken, absorbing, other):
            nursery.start_soon(pair.attend, poller)
        await wait_all_tasks_blocked()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        ended.peer.close()
        absorbing.peer.send(b"x")
        other.peer.send(b"x")
        await other.until_absorbed(1)
        with trio.fail_after(10):
            await until(lambda: "not ended" not in (broken.result, ended.result, absorbing.result))
        assert isinstance(broken.result, ConnectionResetError)
    assert ended.result is None
    assert "cannot be absorbed" in str(absorbing.result)
    assert other.result == "not ended"


async def test_a_reader_that_leaves_may_close_its_socket_at_once(
    poller: Poller, pairs: list[PolledSocket], nursery: trio.Nursery
) -> None:
    """The same descriptor is another socket afterwards, and its bytes are its own."""
    first = pairs[0]
    with trio.move_on_after(0.01):
        await first.attend(poller)
    first.peer.send(b"to nobody")
    await wait_all_tasks_blocked()
    assert first.absorbed == []
    number = first.ours.fileno()
    first.ours.close()
    with ExitStack() as stack:
        second = PolledSocket(stack)
        while second.ours.fileno() != number:
            second = PolledSocket(stack)
        nursery.start_soon(second.attend, poller)
        await wait_all_tasks_blocked()
        second.peer.send(b"mine!")
        await second.until_absorbed(5)
        assert second.absorbed == [b"mine!"]
        assert first.absorbed == []
        await wait_all_tasks_blocked()


async def test_a_flood_leaves_the_loop_and_the_sockets_to_others(
    poller: Poller, pairs: list[PolledSocket], nursery: trio.Nursery
) -> None:
    """A pass ends after PASS_BYTES, and the next one begins with those that it did not reach."""
    order: list[int] = []
    flood = bytes(RECEIVE_BYTES)
    for number, pair in enumerate(pairs):
        pair.ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * RECEIVE_BYTES)
        pair.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * RECEIVE_BYTES)
        pair.peer.send(flood)

        def absorb(data: memoryview, number: int = number, pair: PolledSocket = pair) -> None:
            order.append(number)
            pair.absorbed.append(bytes(data))
            pair.peer.send(flood[: len(data)])  # there is always more

        pair.absorb = absorb
        nursery.start_soon(pair.attend, poller)
    passes = 0
    with trio.fail_after(10):
        while len(order) < 5 * len(pairs):
            before = sum(len(data) for pair in pairs for data in pair.absorbed)
            await trio.lowlevel.checkpoint()
            after = sum(len(data) for pair in pairs for data in pair.absorbed)
            # Two passes may come between two looks, the loop having no fixed order.
            assert after - before < 2 * (PASS_BYTES + RECEIVE_BYTES)
            passes += after > before
    assert passes >= len(order) * RECEIVE_BYTES / (PASS_BYTES + RECEIVE_BYTES) / 2
    assert all(order.count(number) >= 3 for number in range(len(pairs))), order
    nursery.cancel_scope.cancel()
