"""Sockets that are read in passes: whatever happens to them, each gives exactly its own bytes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.net.sockets import PASS_BYTES, RECEIVE_BYTES, PolledSockets

PEERS = 4
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["write", "read", "pause", "resume", "end", "replace"]),
        st.integers(0, PEERS - 1),
        st.sampled_from([1, 7, 900, RECEIVE_BYTES - 1, RECEIVE_BYTES + 1]),
    ),
    max_size=60,
)


class Pair:
    """A socket that is polled, its peer, and what the one should read from the other."""

    def __init__(self, sockets: PolledSockets) -> None:
        self.sockets = sockets
        self.ours, self.peer = socket.socketpair()
        self.ours.setblocking(False)
        self.peer.setblocking(False)
        self.slot: int | None = None
        self.written = bytearray()
        self.read = bytearray()
        self.ended = False  # the peer has closed its direction
        self.seen = False  # and that was read
        self.resume()

    def write(self, size: int, mark: int) -> None:
        if not self.ended:
            data = bytes([mark % 251]) * size
            try:
                self.written += data[: self.peer.send(data)]
            except BlockingIOError:
                return  # full: that is what it looks like to a client, too

    def pause(self) -> None:
        if self.slot is not None:
            self.sockets.close(self.slot)
            self.slot = None

    def resume(self) -> None:
        if self.slot is None:
            self.slot = self.sockets.open(self.ours)

    def end(self) -> None:
        self.peer.shutdown(socket.SHUT_WR)
        self.ended = True

    def close(self) -> None:
        self.pause()
        self.ours.close()
        self.peer.close()


@pytest.fixture
def sockets() -> Iterator[PolledSockets]:
    made = PolledSockets()
    yield made
    made.close_all()


def read_pass(sockets: PolledSockets, pairs: list[Pair]) -> int:
    """Read one pass; check whose bytes came; return how many sockets gave something."""
    by_slot = {pair.slot: pair for pair in pairs if pair.slot is not None}
    arrivals = sockets.ready()
    assert len({slot for slot, _ in arrivals}) == len(arrivals)  # each socket once
    size = 0
    for slot, received in arrivals:
        assert not isinstance(received, OSError)
        pair = by_slot[slot]  # no slot that is closed
        size += len(received)
        pair.read += received
        pair.seen = pair.seen or not received
        assert pair.written.startswith(pair.read)
        assert pair.ended or received
    assert size <= PASS_BYTES + RECEIVE_BYTES
    return len(arrivals)


@given(ACTIONS)
def test_each_slot_gives_its_own_bytes_in_order(actions: list[tuple[str, int, int]]) -> None:
    sockets = PolledSockets()
    pairs = [Pair(sockets) for _ in range(PEERS)]
    slots = [pair.slot for pair in pairs]
    try:
        for mark, (action, number, size) in enumerate(actions):
            pair = pairs[number]
            if action == "write":
                pair.write(size, mark)
            elif action == "read":
                read_pass(sockets, pairs)
            elif action == "replace":  # its descriptor is another socket then
                pair.close()
                pairs[number] = Pair(sockets)
                slots.append(pairs[number].slot)
            else:
                getattr(pair, action)()
        assert len(set(slots)) == len(slots)  # never used again
        for pair in pairs:
            pair.resume()
        while any(pair.read != pair.written or pair.ended > pair.seen for pair in pairs):
            assert read_pass(sockets, pairs) or sockets.unfinished
    finally:
        for pair in pairs:
            pair.close()
        sockets.close_all()


def test_a_reset_is_returned_as_the_error_of_its_slot(sockets: PolledSockets) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        with closing(server.accept()[0]) as ours, Other(sockets) as other:
            ours.setblocking(False)
            slot = sockets.open(ours)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
            other.write(3, 1)
            found = dict(sockets.ready())
            assert isinstance(found[slot], ConnectionResetError)
            assert found[slot].__traceback__ is None  # it would keep what the pass read
            assert other.slot is not None
            assert found[other.slot] == other.written
            sockets.close(slot)


class Other(Pair):
    """A pair that closes itself."""

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def test_a_slot_is_closed_once(sockets: PolledSockets) -> None:
    with Other(sockets) as pair:
        slot = pair.slot
        assert slot is not None
        pair.pause()
        with pytest.raises(KeyError):
            sockets.close(slot)
