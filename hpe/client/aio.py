"""Everything that the client library needs from an event loop: sleep, tasks, sockets, TLS, threads.

Owns the client's every use of Trio, of sockets and of threads, so another event loop needs another
version of this module only. Guarantees: a stream from `open_stream` is connected, and
`close_stream` leaves no socket and no cyclic garbage behind; a LoopThread is a daemon, which does
not keep the interpreter from exiting, and its end is always reported.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from time import sleep as block
from typing import Final, TypeAlias

import trio
from trio_util import AsyncValue

from hpe.access.tls import break_cycle
from hpe.errors import ConnectionLost

__all__ = [
    "AsyncValue",
    "CancelScope",
    "Event",
    "Future",
    "Lock",
    "LoopThread",
    "Nursery",
    "Semaphore",
    "Stream",
    "StreamBroken",
    "TaskStatus",
    "TlsContext",
    "WouldBlock",
    "block",
    "checkpoint",
    "close_stream",
    "current_time",
    "move_on_after",
    "open_nursery",
    "open_stream",
    "sleep",
    "wait",
]

CancelScope: TypeAlias = trio.CancelScope
Event: TypeAlias = trio.Event
Lock: TypeAlias = trio.Lock
Nursery: TypeAlias = trio.Nursery
Semaphore: TypeAlias = trio.Semaphore
TaskStatus: TypeAlias = trio.TaskStatus
WouldBlock: TypeAlias = trio.WouldBlock
checkpoint = trio.lowlevel.checkpoint
current_time = trio.current_time
move_on_after = trio.move_on_after
open_nursery = trio.open_nursery
sleep = trio.sleep

Stream: TypeAlias = trio.abc.Stream
TlsContext: TypeAlias = ssl.SSLContext
StreamBroken: TypeAlias = trio.BrokenResourceError
"""A stream can carry no more; its cause says why."""

CLOSE_S: Final = 0.5
"""Time limit for closing TLS; without TLS there is nothing to close."""


async def open_stream(host: str, port: int, tls: TlsContext | None) -> Stream:
    """Connect to a server.

    Raises:
        ConnectionLost: no server listens there, or it cannot be reached.
    """
    try:
        stream = await trio.open_tcp_stream(host, port)
    except OSError as error:
        raise ConnectionLost(f"no connection to {host}:{port}: {error}") from error
    if tls is None:
        return stream
    # The handshake happens with the first bytes. Messages carry their own length, so a missing
    # TLS closing message only means that the connection was cut.
    return trio.SSLStream(stream, tls, server_hostname=host, https_compatible=True)


async def close_stream(stream: Stream) -> None:
    """Close a stream within CLOSE_S, even after a cancellation."""
    try:
        with move_on_after(CLOSE_S, shield=True):
            await stream.aclose()
    finally:
        # Like the service, a client that reconnects for days may run without a collector.
        if isinstance(stream, trio.SSLStream):
            break_cycle(stream)


class LoopThread:
    """An event loop in a daemon thread of its own.

    Args:
        main: what the loop runs; the thread ends with it.
        ended: called in that thread with the exception of `main`, None if it returned.
    """

    def __init__(
        self, main: Callable[[], Awaitable[None]], ended: Callable[[BaseException | None], None]
    ) -> None:
        self._main = main
        self._ended = ended
        self._thread = threading.Thread(target=self._run, name="hpe-client", daemon=True)
        self._up = threading.Event()
        self._token: trio.lowlevel.TrioToken

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wait_up(self, timeout_s: float) -> bool:
        """Wait until the loop runs; False on timeout."""
        return self._up.wait(timeout_s)

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def soon(self, function: Callable[..., object], *args: object) -> bool:
        """Run a function in the loop, which must have started; False if it has ended."""
        try:
            self._token.run_sync_soon(function, *args)
        except trio.RunFinishedError:
            return False
        return True

    def would_stall(self) -> bool:
        """True if blocking here would stop a loop: this one, or the caller's own."""
        return threading.current_thread() is self._thread or trio.lowlevel.in_trio_run()

    def _run(self) -> None:
        try:
            trio.run(self._begin)
        except BaseException as error:  # noqa: ASYNC103 - outside of the loop
            self._ended(error)  # there is nothing above this thread to raise it to
            return  # noqa: ASYNC104 - as above
        self._ended(None)

    async def _begin(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._up.set()
        await self._main()
