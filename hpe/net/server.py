"""The TCP front door: listeners, the accept loop, the cap on connections.

Owns the listening sockets; runs in the Trio loop. Each accepted stream becomes a Connection in
the nursery that outlives the pipeline, so replies are still written when listening is over.
Guarantees: a connection's fault never reaches another one or the accept loop; running out of
file descriptors delays new connections and nothing else. Relies on Trio for TCP_NODELAY on
accepted sockets and for sleeping and logging when accept fails for want of resources.
"""

from __future__ import annotations

import resource
from typing import Final

import trio

from hpe.errors import ListenError
from hpe.messages import ErrorCode
from hpe.net.connection import Connection, Limits, contain, refuse_connection
from hpe.net.switchboard import Switchboard

DESCRIPTORS_RESERVED: Final = 512
"""Kept for the log, its rotation and everything else that opens files; a log that cannot open
its next segment ends the service, a client that must wait ends nothing."""

REFUSALS_MAX: Final = 64
"""Refused connections that are told why at the same time; beyond that they are just closed."""


class Server:
    """Accepts connections for one switchboard.

    Args:
        switchboard: where connections enter.
        nursery: in which connections live.
        connections_max: as configured; the descriptor limit may lower it.
        limits: for each connection.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        nursery: trio.Nursery,
        connections_max: int,
        limits: Limits,
    ) -> None:
        self._switchboard = switchboard
        self._nursery = nursery
        self._limits = limits
        self.connections_max = min(connections_max, _connections_possible())
        self.refused = 0
        self.faulty = 0
        self._accepting: list[trio.CancelScope] = []
        self._refusing = 0

    async def listen(self, host: str, port: int, task_status: trio.TaskStatus[int]) -> None:
        """Accept until `stop`; `started` gives the bound port.

        Raises:
            ListenError: the address cannot be bound.
        """
        try:
            listeners = await trio.open_tcp_listeners(port, host=host)
        except OSError as error:
            raise ListenError(f"cannot listen on {host}:{port}: {error}") from error
        name = listeners[0].socket.getsockname()
        with trio.CancelScope() as accepting:
            self._accepting.append(accepting)
            task_status.started(int(name[1]))
            await trio.serve_listeners(self._accepted, listeners, handler_nursery=self._nursery)

    def stop(self) -> None:
        """Close the listeners; connections go on."""
        for accepting in self._accepting:
            accepting.cancel()

    async def _accepted(self, stream: trio.SocketStream) -> None:
        if len(self._switchboard) >= self.connections_max:
            await self._refuse(stream)
            return
        connection = Connection(stream, self._switchboard, self._limits)
        name = f"connection {connection.session.connection}"
        self.faulty += await contain(connection.serve(), name)

    async def _refuse(self, stream: trio.SocketStream) -> None:
        self.refused += 1
        if self._refusing >= REFUSALS_MAX:
            await trio.aclose_forcefully(stream)
            return
        self._refusing += 1
        try:
            life = refuse_connection(stream, ErrorCode.TOO_MANY_CONNECTIONS)
            await contain(life, "refused connection")
        finally:
            self._refusing -= 1


def _connections_possible() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 2**31
    # With a tiny limit the reserve would leave nothing: share it half and half.
    return max(soft - DESCRIPTORS_RESERVED, soft // 2)
