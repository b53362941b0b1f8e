"""A TCP proxy that cuts its connections where a test says, byte by byte.

Every connection of the client gets one connection to the service. `cut_after` bytes of the named
direction pass, then both sides are reset or closed; what was on its way beyond is lost, as with a
cable that is pulled.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio

TO_SERVER, TO_CLIENT = 0, 1
_RESET = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Passes everything on, until a connection has passed its share.

    Attributes:
        address: where clients connect to.
        budget: bytes that each direction of a new connection may pass, the next byte cuts it;
            None: all.
        passed: bytes that each direction passed, over all connections.
        connections: how many there were.
        receive_bytes: how much of the service's waits here unread; 0: what the system likes.
        reset: whether a cut is a reset (the peer's unread bytes are lost) or a close.
    """

    def __init__(self, port: int) -> None:
        self.address = ""
        self.budget: tuple[int | None, int | None] = (None, None)
        self.passed = [0, 0]
        self.connections = 0
        self._open = trio.Event()
        self._open.set()
        self.receive_bytes = 0
        self.reset = False
        self._port = port
        self._scopes: list[trio.CancelScope] = []

    def cut(self) -> None:
        """Cut every connection that is open."""
        for scope in self._scopes:
            scope.cancel()

    def stall(self) -> None:
        """Have everything wait, until `go_on`; the connections stay."""
        self._open = trio.Event()

    def go_on(self) -> None:
        """Pass on what waits."""
        self._open.set()

    async def carry(self, client: trio.SocketStream) -> None:
        """Be the life of one connection."""
        self.connections += 1
        budget = self.budget
        server = await self._dial()
        async with client, server, trio.open_nursery() as nursery:
            scope = nursery.cancel_scope
            self._scopes.append(scope)
            nursery.start_soon(self._pass, client, server, TO_SERVER, budget[TO_SERVER], scope)
            nursery.start_soon(self._pass, server, client, TO_CLIENT, budget[TO_CLIENT], scope)
        self._scopes.remove(scope)

    async def _dial(self) -> trio.SocketStream:
        upstream = trio.socket.socket()
        if self.receive_bytes:  # before connecting: a window that was offered cannot be taken back
            upstream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_bytes)
        await upstream.connect(("127.0.0.1", self._port))
        return trio.SocketStream(upstream)

    async def _pass(
        self,
        source: trio.SocketStream,
        sink: trio.SocketStream,
        direction: int,
        left: int | None,
        scope: trio.CancelScope,
    ) -> None:
        try:
            over = False
            while not over and (data := await source.receive_some(65_536)):
                if left is not None:
                    over = len(data) > left
                    data = data[:left]
                    left -= len(data)
                await self._open.wait()
                await sink.send_all(data)
                self.passed[direction] += len(data)
        except trio.BrokenResourceError:
            pass  # one of the two is gone: so is the other
        if self.reset:
            for stream in (source, sink):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        scope.cancel()


@asynccontextmanager
async def cutting_proxy(port: int) -> AsyncIterator[CuttingProxy]:
    """Run a proxy in front of a service on loopback for the length of a block."""
    proxy = CuttingProxy(port)
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, proxy.carry, 0, host="127.0.0.1")
        [listener] = await nursery.start(serve)
        proxy.address = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        yield proxy
        nursery.cancel_scope.cancel()
