"""The socket of a connection: when it last gave bytes to the kernel."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from hpe.net.wire import RECEIVE_BYTES, Wire


async def test_progress_is_noted_in_the_middle_of_a_long_send(mock_clock: MockClock) -> None:
    """A slow reader and one that stands still are told apart while the same send goes on."""
    ours, theirs = trio.socket.socketpair()
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
