"""The waiting room: which connections are taken off the kernel's queue, and whose turn is next."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from hpe.net.arrivals import GONE_PER_TURN, TAKEN_PER_TURN, Arrivals
from hpe.net.limits.pacing import IDLE_BURST, Traffic, Turnstile
from hpe.protocol.codes import ErrorCode
from tests.support.line import ONE_AND_ZERO
from tests.support.wire import until

HERE = "127.0.0.1"
CROWD = tuple(f"127.0.0.{number}" for number in range(2, 8))
HARDLY_PER_S = 0.001
"""Whoever is through has come with the burst: turns are counted, no time."""


class Bounds:
    """A door with bounds that a test sets."""

    def __init__(self, *, refused: str = "", per_source: int = 10_000, told: int = 0) -> None:
        self.room = 10_000
        self.refused = refused
        self.per_source = per_source
        self.told = told
        self.away: Counter[str] = Counter()

    def refuses(self, address: str, waiting: int) -> ErrorCode | None:
        refused = address == self.refused or waiting >= self.per_source
        return ErrorCode.TOO_MANY_CONNECTIONS if refused else None

    def can_tell(self, waiting: int) -> bool:
        return waiting < self.told

    def has_room(self, waiting: int) -> bool:
        return waiting < self.room

    def turned_away(self, address: str, code: ErrorCode) -> None:
        assert code is ErrorCode.TOO_MANY_CONNECTIONS
        self.away[address] += 1


class Hall:
    """A listening socket, its waiting room, and those who connect to it."""

    def __init__(self, nursery: trio.Nursery, stack: ExitStack) -> None:
        self._nursery = nursery
        self._stack = stack
        self.listening = stack.enter_context(socket.create_server((HERE, 0), backlog=2_048))
        self.listening.setblocking(False)
        self.scope = trio.CancelScope()

    def open(
        self, bounds: Bounds, *, services_per_s: float = 1e6, intake_per_s: float = 1e6
    ) -> Arrivals:
        turnstiles = [
            Turnstile(Traffic(), idle_per_s=per_s) for per_s in (intake_per_s, services_per_s, 1e6)
        ]
        for turnstile in turnstiles:
            self._nursery.start_soon(turnstile.serve)
        arrivals = Arrivals(bounds, *turnstiles)
        self._nursery.start_soon(self._collect, arrivals)
        self._stack.callback(arrivals.close)
        return arrivals

    async def _collect(self, arrivals: Arrivals) -> None:
        with self.scope:
            await arrivals.collect(self.listening)

    def dial(self, count: int = 1, source: str = HERE) -> list[socket.socket]:
        """Connect this many times, before the loop can do anything about it."""
        dialed = []
        for _ in range(count):
            made = socket.create_connection(
                self.listening.getsockname(), source_address=(source, 0)
            )
            self._stack.callback(made.close)
            dialed.append(made)
        return dialed


@pytest.fixture
def hall(nursery: trio.Nursery) -> Iterator[Hall]:
    with ExitStack() as stack:
        yield Hall(nursery, stack)


async def served(arrivals: Arrivals, count: int) -> list[tuple[str, int]]:
    """Serve this many; return their addresses."""
    peers = []
    with trio.fail_after(120):
        for _ in range(count):
            made = await arrivals.next()
            peers.append(made.getpeername())
            made.close()
    return peers


async def until_waiting(arrivals: Arrivals, count: int) -> None:
    with trio.fail_after(120):
        await until(lambda: len(arrivals) == count)


def is_closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


async def test_everybody_is_served_without_delay_where_nobody_waits(hall: Hall) -> None:
    arrivals = hall.open(Bounds())
    for _ in range(5):
        (client,) = hall.dial()
        with trio.fail_after(120):
            made = await arrivals.next()
        made.sendall(b"x")
        client.setblocking(True)
        assert client.recv(1) == b"x"
        made.close()


async def test_a_newcomer_is_served_within_a_few_turns_of_a_crowd(hall: Hall) -> None:
    """As many turns as there are sources, not as there are connections in front."""
    arrivals = hall.open(Bounds(), services_per_s=HARDLY_PER_S)
    for source in CROWD:
        hall.dial(50, source)
    (newcomer,) = hall.dial()
    await until_waiting(arrivals, 50 * len(CROWD) + 1)
    assert newcomer.getsockname() in await served(arrivals, len(CROWD) + 1)


async def test_only_so_many_are_taken_on_one_turn(hall: Hall) -> None:
    arrivals = hall.open(Bounds(), intake_per_s=HARDLY_PER_S)
    hall.dial(IDLE_BURST * TAKEN_PER_TURN + 40)
    await until_waiting(arrivals, IDLE_BURST * TAKEN_PER_TURN)
    await wait_all_tasks_blocked(0.02)
    assert len(arrivals) == IDLE_BURST * TAKEN_PER_TURN


@pytest.mark.parametrize("reset", [False, True])
async def test_connections_that_have_gone_take_no_turn(hall: Hall, reset: bool) -> None:
    """Those that were there when they were taken, too."""
    arrivals = hall.open(Bounds(), services_per_s=HARDLY_PER_S)
    gone = hall.dial(GONE_PER_TURN * (IDLE_BURST - 1))
    (client,) = hall.dial()
    await until_waiting(arrivals, len(gone) + 1)
    for leaving in gone:
        if reset:
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ONE_AND_ZERO)
        leaving.close()
    assert await served(arrivals, 1) == [client.getsockname()]


async def test_an_unused_turn_passes_to_the_next(hall: Hall) -> None:
    arrivals = hall.open(Bounds(), services_per_s=HARDLY_PER_S)
    peers: list[tuple[str, int]] = []

    async def serve_one() -> None:
        peers.extend(await served(arrivals, 1))

    async with trio.open_nursery() as serving:
        serving.start_soon(serve_one)
        for _ in range(3 * IDLE_BURST):
            hall.dial()[0].close()
            await wait_all_tasks_blocked(0.002)
        (client,) = hall.dial()
    assert peers == [client.getsockname()]


async def test_connections_that_are_turned_away_take_no_turn(hall: Hall) -> None:
    bounds = Bounds(refused=CROWD[0], told=2)
    arrivals = hall.open(bounds, services_per_s=HARDLY_PER_S)
    crowd = hall.dial(500, CROWD[0])
    (client,) = hall.dial()
    await until_waiting(arrivals, 3)
    assert client.getsockname() in await served(arrivals, 3)
    assert bounds.away == {CROWD[0]: 498}
    assert [is_closed(stranger) for stranger in crowd] == [True] * 500
    hall.dial(3, CROWD[0])
    await until_waiting(arrivals, 2)  # the two that were told have made room


async def test_what_waits_counts_among_what_a_source_may_have(hall: Hall) -> None:
    bounds = Bounds(per_source=10)
    arrivals = hall.open(bounds, services_per_s=HARDLY_PER_S)
    hall.dial(30, CROWD[0])
    hall.dial(5, CROWD[1])
    await until_waiting(arrivals, 15)
    assert bounds.away == {CROWD[0]: 20}


async def test_when_the_room_is_full_the_largest_crowd_gives_way(hall: Hall) -> None:
    bounds = Bounds()
    bounds.room = 60
    arrivals = hall.open(bounds)
    first = hall.dial(40, CROWD[0])
    second = hall.dial(20, CROWD[1])
    await until_waiting(arrivals, 60)
    (newcomer,) = hall.dial()
    with trio.fail_after(120):
        await until(lambda: bool(bounds.away))
    assert bounds.away == {CROWD[0]: 1}
    assert is_closed(first[-1])
    assert not is_closed(second[-1])
    hall.dial(10, CROWD[0])
    with trio.fail_after(120):
        await until(lambda: bounds.away[CROWD[0]] == 11)
    assert len(arrivals) == 60
    assert newcomer.getsockname() in await served(arrivals, 60)


async def test_what_waits_is_closed_when_listening_ends(hall: Hall, nursery: trio.Nursery) -> None:
    arrivals = hall.open(Bounds(), services_per_s=HARDLY_PER_S)
    await served_burst(hall, arrivals)
    clients = hall.dial(20)
    await until_waiting(arrivals, 20)
    with trio.move_on_after(0.02):
        await arrivals.next()  # it waits for a turn, with none in its hands
    assert len(arrivals) == 20
    hall.scope.cancel()
    arrivals.close()
    assert [is_closed(client) for client in clients] == [True] * 20
    assert len(arrivals) == 0


async def served_burst(hall: Hall, arrivals: Arrivals) -> None:
    hall.dial(IDLE_BURST)
    await served(arrivals, IDLE_BURST)
