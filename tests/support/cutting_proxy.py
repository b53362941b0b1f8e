"""A TCP proxy that cuts its connections where a test wants, at any byte.

Every client connection gets one connection to the service. `cut_after` bytes of the named direction
pass, then both sides are reset or closed; bytes under way beyond that are lost, as if a cable had
been pulled.
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
    """Forwards everything until a connection has used up its budget.

    Attributes:
        address: where clients connect.
        budget: bytes that each direction of a new connection may pass before it is cut; None: all.
        passed: bytes that each direction passed, over all connections.
        connections: number of connections so far.
        receive_bytes: receive buffer towards the service; 0: the system's default.
        reset: True if a cut is a reset (the peer's unread bytes are lost), False for a close.
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
        self._held: trio.Event | None = None
        self._port = port
        self._scopes: list[trio.CancelScope] = []

    def cut(self) -> None:
        """Cut every open connection."""
        for scope in self._scopes:
            scope.cancel()

    def stall(self) -> None:
        """Stop forwarding until `go_on`; the connections stay open."""
        self._open = trio.Event()

    def hold_next(self) -> trio.Event:
        """Let the next connection reach the service only when this event is set."""
        self._held = trio.Event()
        return self._held

    def go_on(self) -> None:
        """Forward again."""
        self._open.set()

    async def carry(self, client: trio.SocketStream) -> None:
        """Forward one connection until it ends."""
        self.connections += 1
        budget = self.budget
        held, self._held = self._held, None
        if held is not None:
            await held.wait()
        server = await self._dial()
        async with client, server, trio.open_nursery() as nursery:
            scope = nursery.cancel_scope
            self._scopes.append(scope)
            nursery.start_soon(self._pass, client, server, TO_SERVER, budget[TO_SERVER], scope)
            nursery.start_soon(self._pass, server, client, TO_CLIENT, budget[TO_CLIENT], scope)
        self._scopes.remove(scope)

    async def _dial(self) -> trio.SocketStream:
        upstream = trio.socket.socket()
        if self.receive_bytes:  # before connecting: an offered window cannot be taken back
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
            pass  # one side is gone, so the other one is closed, too
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
