"""The TCP front door: listeners, the accept loop, TLS, the caps on connections.

Owns the listening sockets; runs in the Trio loop. Each accepted stream becomes a Connection in
the nursery that outlives the pipeline, so replies are still written when listening is over.
Guarantees: a connection's fault never reaches another one or the accept loop; running out of
file descriptors delays new connections and nothing else, and so does a flood of them (pacing.py);
no source can take all places or try keys for ever. Relies on Trio for TCP_NODELAY on accepted
sockets and for sleeping and logging when accept fails for want of resources.
"""

from __future__ import annotations

import resource
import socket
import ssl
from typing import Final

import trio

from hpe.errors import ListenError
from hpe.messages import ERROR_TRAITS, ErrorCode
from hpe.net.connection import Connection
from hpe.net.farewell import ClientStream, contain, refuse_connection
from hpe.net.logon import Refusal
from hpe.net.pacing import PacedListener
from hpe.net.sources import Sources
from hpe.net.surroundings import Surroundings
from hpe.net.wire import Wire

DESCRIPTORS_RESERVED: Final = 512
"""Kept for the log, its rotation and everything else that opens files; a log that cannot open
its next segment ends the service, a client that must wait ends nothing."""

PORT_TRIES: Final = 16
"""How often a port that is free on one address of a host may be taken on another one."""

REFUSALS_MAX: Final = 64
"""Refused connections that are told why at the same time; beyond that they are just closed."""


KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""A peer that vanished without a word is noticed by the kernel after 45 s of silence, also before
logon and while heartbeats are far apart."""


class Server:
    """Accepts connections for one switchboard.

    Args:
        nursery: in which connections live.
        connections_max: as configured; the descriptor limit may lower it.
        sources: what one address may have.
        around: for each connection.
        tls: for connections accepted from now on; None serves them in plain text.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        connections_max: int,
        sources: Sources,
        around: Surroundings,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._nursery = nursery
        self._sources = sources
        self.around = around
        self.tls = tls
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
            listeners = await _bind(host, port)
        except OSError as error:
            raise ListenError(f"cannot listen on {host}:{port}: {error}") from error
        for listener in listeners:
            for option in KEEPALIVE:  # what is accepted inherits it, at no cost
                listener.socket.setsockopt(*option)
        name = listeners[0].socket.getsockname()
        around = self.around
        paced = [
            PacedListener(listener, around.arrivals, around.entrances, self._turns_away)
            for listener in listeners
        ]
        with trio.CancelScope() as accepting:
            self._accepting.append(accepting)
            task_status.started(int(name[1]))
            await trio.serve_listeners(self._accepted, paced, handler_nursery=self._nursery)

    def stop(self) -> None:
        """Close the listeners; connections go on, and end as soon as they can."""
        self.around.exits.open()
        for accepting in self._accepting:
            accepting.cancel()

    def _turns_away(self, stream: trio.SocketStream) -> bool:
        """Whether a connection is closed at once: no place for its source, and no time to say so.

        It takes no turn then: a crowd from one source keeps others no longer than it must.
        """
        if self._refusing < REFUSALS_MAX:
            return False
        try:
            address = stream.socket.getpeername()[0]
        except OSError:
            return True
        now_s = trio.current_time()
        code = self._sources.refuses(address, now_s)
        if code is None:
            return False
        self.refused += 1
        refusal = Refusal(code, ERROR_TRAITS[code].text)
        self.around.logon_log.refused(refusal, None, address, now_s)
        return True

    async def _accepted(self, stream: trio.SocketStream) -> None:
        try:
            address = stream.socket.getpeername()[0]
        except OSError:  # it has gone already
            await trio.aclose_forcefully(stream)
            return
        place = self._sources.enter(address, trio.current_time())
        if isinstance(place, ErrorCode):
            await self._refuse(stream, place, address)
            return
        try:
            if len(self.around.switchboard) >= self.connections_max:
                await self._refuse(stream, ErrorCode.TOO_MANY_CONNECTIONS, address)
                return
            wire = Wire(stream.socket)
            connection = Connection(self._secured(wire), wire, place, self.around)
            name = f"connection {connection.session.connection}"
            faulty = await contain(connection.serve(), name)
            self.faulty += faulty  # others were counted meanwhile
        finally:
            place.leave()

    def _secured(self, wire: Wire) -> ClientStream:
        if self.tls is None:
            return wire
        # Messages have a length of their own: who hangs up without a TLS goodbye hangs up.
        return trio.SSLStream(wire, self.tls, server_side=True, https_compatible=True)

    async def _refuse(self, stream: trio.SocketStream, code: ErrorCode, address: str) -> None:
        self.refused += 1
        refusal = Refusal(code, ERROR_TRAITS[code].text)
        self.around.logon_log.refused(refusal, None, address, trio.current_time())
        if self._refusing >= REFUSALS_MAX:
            await trio.aclose_forcefully(stream)
            return
        self._refusing += 1
        try:
            await contain(
                refuse_connection(self._secured(Wire(stream.socket)), code), "refused connection"
            )
        finally:
            self._refusing -= 1


async def _bind(host: str, port: int) -> list[trio.SocketListener]:
    """Listen on all addresses of a host, on one port; port 0 finds one that is free on all.

    Raises:
        OSError: one of the addresses cannot be bound.
    """
    for tries_left in reversed(range(PORT_TRIES)):
        listeners = await trio.open_tcp_listeners(port, host=host)
        ports = {int(listener.socket.getsockname()[1]) for listener in listeners}
        if len(ports) == 1:
            break
        for listener in listeners:
            listener.socket.close()
        try:
            return await trio.open_tcp_listeners(min(ports), host=host)
        except OSError:
            if not tries_left:
                raise
    return listeners


def _connections_possible() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 2**31
    # With a tiny limit the reserve would leave nothing: share it half and half.
    return max(soft - DESCRIPTORS_RESERVED, soft // 2)
