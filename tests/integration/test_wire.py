"""The socket of a connection: when it last gave bytes to the kernel."""

import socket

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.net.server import INHERITED
from hpe.net.sockets import RECEIVE_BYTES
from hpe.net.wire import Wire


async def test_progress_is_noted_in_the_middle_of_a_long_send(mock_clock: MockClock) -> None:
    """A slow reader and one that stands still are told apart while the same send goes on."""
    ours, peer = socket.socketpair()
    theirs = trio.socket.from_stdlib_socket(peer)
    wire, data = Wire(ours), bytes(16 * 1024 * 1024)
    received = 0
    with ours, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wire.send_all, data)
            await wait_all_tasks_blocked()
            begun_s = wire.progress_s
            mock_clock.jump(1)
            assert wire.progress_s == begun_s, "nobody reads"
            while wire.progress_s == begun_s:
                received += len(await theirs.recv(RECEIVE_BYTES))
                await wait_all_tasks_blocked()
            assert wire.progress_s == begun_s + 1
            assert received < len(data) / 2, "the send goes on"
            while received < len(data):
                received += len(await theirs.recv(RECEIVE_BYTES))


def test_what_is_sent_at_once_stays_within_the_bound() -> None:
    """The kernel would take megabytes for a client that does not read."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for option in INHERITED:
            server.setsockopt(*option)
        with socket.create_connection(server.getsockname()) as client:
            ours = server.accept()[0]
            ours.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            trio.run(_send_until_full, ours, client)


async def _send_until_full(ours: socket.socket, client: socket.socket) -> None:
    with ours:
        wire, piece, sent = Wire(ours), bytes(2_048), 0
        while now := wire.send_now(piece):
            sent += now
        assert sent < 256 * 1024
        assert ours.send(piece) == len(piece), "only the bound keeps it from going on"
        sent += len(piece)
        while sent:
            sent -= len(client.recv(RECEIVE_BYTES))
        await trio.lowlevel.wait_writable(ours)
        assert wire.send_now(piece) == len(piece)
