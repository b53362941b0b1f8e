"""A server that only reads and answers: what the load generator could do with a faster service.

    python bench/null_server.py          prints its port; ends when its input is closed

Owns one thread and its sockets. It steps over the lengths of hpe's frames and sends the same bytes
for each; it decodes, executes and stores nothing. Guarantee: one answer per whole frame, in order,
and a connection that does not take its answers is not read. `null_run` puts a load on such a server
in a process of its own: a generator that is not much faster here than with the service was the
limit there.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from typing import Final

import psutil

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.load_engine import Measured
from bench.load_run import Shape, same_answer_run
from bench.services import Service
from bench.traffic import encode_traffic
from hpe.cli.spawn import STOP_S_MAX
from hpe.protocol.frames import encode_frame
from hpe.protocol.orders import OrderResponse

ANSWER: Final = encode_frame(
    OrderResponse(100_000, 0, 100_000, 0, 1, 0, 100_000, 1, 0, 0, 0, 0, 0, 0)
)
"""As long as the answer to an order that rests."""

RECEIVE_BYTES: Final = 1 << 18
BACKLOG: Final = 1_024
TRAFFIC_REQUESTS_MIN: Final = 100
"""Requests that each connection repeats, at least: enough to have every kind of the mix."""

_LENGTH: Final = Struct(">I")


class NullConnection:
    """One accepted connection: counts frames, and owes an answer for each."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._rest = b""
        self._owed = memoryview(b"")

    def fileno(self) -> int:
        """Return the socket's descriptor, for the selector."""
        return self._stream.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._stream.close()

    def receive(self) -> bool:
        """Read what has arrived; return False at the end."""
        data = self._stream.recv(RECEIVE_BYTES)
        self._owed = memoryview(ANSWER * self._count_frames(data))
        return bool(data)

    def send(self) -> bool:
        """Send what is owed; return False if the kernel takes no more for now."""
        try:
            while self._owed:
                self._owed = self._owed[self._stream.send(self._owed) :]
        except BlockingIOError:
            return False
        return True

    def _count_frames(self, data: bytes) -> int:
        buffer = self._rest + data if self._rest else data
        length_at = _LENGTH.unpack_from
        count = position = 0
        last = len(buffer) - _LENGTH.size
        while position <= last:
            following = position + _LENGTH.size + length_at(buffer, position)[0]
            if following > len(buffer):
                break
            position = following
            count += 1
        self._rest = buffer[position:]
        return count


def serve(listener: socket.socket) -> None:
    """Serve connections until the standard input is closed."""
    with selectors.EpollSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, events in selector.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is listener:
                    _accept(selector, listener)
                else:
                    _serve_one(selector, key.data, events)


def _accept(selector: selectors.BaseSelector, listener: socket.socket) -> None:
    stream, _ = listener.accept()
    stream.setblocking(False)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = NullConnection(stream)
    selector.register(connection, selectors.EVENT_READ, connection)


def _serve_one(selector: selectors.BaseSelector, connection: NullConnection, events: int) -> None:
    """Answer one connection; while the kernel takes no more, it is not read."""
    if events & selectors.EVENT_READ and not connection.receive():
        selector.unregister(connection)
        connection.close()
        return
    wanted = selectors.EVENT_READ if connection.send() else selectors.EVENT_WRITE
    if wanted != events:
        selector.modify(connection, wanted, connection)


# --- as a process of its own --------------------------------------------------------------------


@contextmanager
def null_service() -> Iterator[Service]:
    """Run a null server on a free port in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield Service("127.0.0.1", port, psutil.Process(process.pid))
        finally:
            process.stdin.close()
            process.wait(STOP_S_MAX)


def null_run(shape: Shape, mix: str, seed: int) -> Measured:
    """Run the load of a shape against a null server; return what was measured."""
    count = max(shape.window, TRAFFIC_REQUESTS_MIN)
    traffic = encode_traffic(mix, seed, 0, count, instrument=1)
    with null_service() as service:
        return same_answer_run(service, shape, traffic, ANSWER)


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    argparse.ArgumentParser(description="a server that only answers").parse_args(arguments)
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
