"""The TCP front door: listeners, the accept loop, TLS, the caps on connections.

Owns the listening sockets; runs in the Trio loop. Each accepted stream becomes a Connection in
the nursery that outlives the pipeline, so replies are still sent after listening has ended.
Guarantees: a connection's fault never affects another one or the accept loop; running out of
file descriptors delays new connections and nothing else; a flood of new ones delays those of the
same sources (arrivals.py, pacing.py); no source can take all places or try keys forever. Relies
on Linux for what accepted sockets inherit from the listening ones.
"""

from __future__ import annotations

import resource
import socket
import ssl
from contextlib import ExitStack
from functools import partial
from typing import Final

import trio

from hpe.errors import ListenError
from hpe.net.arrivals import WAITING_MAX, Arrivals
from hpe.net.closing import ClientStream, contain, refuse_connection
from hpe.net.connection import Connection
from hpe.net.context import ConnectionContext
from hpe.net.limits.sources import Sources
from hpe.net.logon import LogonRefusal
from hpe.net.session import SessionProtocol
from hpe.net.wire import UNSENT_BYTES_MAX, Wire
from hpe.protocol.codes import ERROR_TRAITS, ErrorCode

DESCRIPTORS_RESERVED: Final = 512
"""Reserved for the log, its rotation and everything else that opens files: a log that cannot open
its next segment ends the service, but a client can wait."""

PORT_TRIES: Final = 16
"""How often to try if a port that is free on one address of a host is taken on another one."""

REFUSALS_MAX: Final = 64
"""Refused connections that are told why at the same time; more than that are just closed."""


INHERITED: Final = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""No reply waits for another one; data that a slow reader has not taken waits here, not in the
kernel; the kernel notices a peer that vanished after 45 s of silence, even before logon and while
heartbeats are far apart."""


class Server:
    """Accepts connections for one switchboard.

    Args:
        nursery: the nursery in which connections live.
        connections_max: as configured; the descriptor limit may lower it.
        sources: the limits of each source address.
        context: for each connection.
        tls: for connections accepted from now on; None serves them in plain text.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        connections_max: int,
        sources: Sources,
        context: ConnectionContext,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._nursery = nursery
        self._sources = sources
        self.context = context
        self.tls = tls
        self._descriptors = _connections_possible()
        self.connections_max = min(connections_max, self._descriptors)
        self.refused = 0
        self.faulty = 0
        self._accepting: list[trio.CancelScope] = []
        self._refusing = 0
        self.arrivals = Arrivals(self, context.intake, context.arrivals, context.entrances)

    async def listen(self, host: str, port: int, task_status: trio.TaskStatus[int]) -> None:
        """Accept connections until `stop`; `started` returns the bound port.

        Raises:
            ListenError: the address cannot be bound.
        """
        try:
            listeners = await _bind(host, port)
        except OSError as error:
            raise ListenError(f"cannot listen on {host}:{port}: {error}") from error
        name = listeners[0].socket.getsockname()
        with trio.CancelScope() as accepting, ExitStack() as stack:
            self._accepting.append(accepting)
            stack.callback(self.arrivals.close)
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    listening = stack.enter_context(_raw(listener))
                    nursery.start_soon(self.arrivals.collect, listening)
                nursery.start_soon(self._serve)
                task_status.started(int(name[1]))

    def stop(self) -> None:
        """Close the listeners and what waits there; connections end as soon as they can."""
        self.context.exits.open()
        for accepting in self._accepting:
            accepting.cancel()

    def figures(self) -> dict[str, int]:
        """Return counts of connections, of why they were cut, and of their streams."""
        context, switchboard = self.context, self.context.switchboard
        streams = switchboard.streams
        return {
            "connections": len(switchboard),
            "connections_accepted": switchboard.accepted,
            "connections_waiting": len(self.arrivals),
            "connections_refused": self.refused,
            "connections_faulty": self.faulty,
            "connections_max": self.connections_max,
            "strangers": switchboard.strangers,
            "logons_failed": context.logons_failed,
            "heartbeats_missed": context.heartbeats_missed,
            "slow_consumers": context.slow_consumers,
            "throttled": context.rates.throttled + context.rejects.throttled,
            "subscriptions": streams.topics.subscriptions,
            "market_updates_dropped": streams.topics.dropped,
            "market_updates_merged": streams.topics.merged,
            "private_streams": streams.private_streams,
            "private_reports_kept": streams.ring.reports,
            "orders_stalled": switchboard.stalled,
            "credits_bytes": switchboard.credits.bytes,
            "credits_bytes_peak": switchboard.credits.bytes_peak,
        }

    # --- what the waiting room asks -----------------------------------------------------------

    def refuses(self, address: str, waiting: int) -> ErrorCode | None:
        """Return why a connection would have no place beside `waiting` others of its source."""
        return self._sources.refuses(address, trio.current_time(), waiting)

    def can_tell(self, waiting: int) -> bool:
        """True if one more can be told why it is refused, beside `waiting` others."""
        return self._refusing + waiting < REFUSALS_MAX

    def has_room(self, waiting: int) -> bool:
        """True if one more may wait; it uses a descriptor of connections that do not exist yet."""
        free = self._descriptors - len(self.context.switchboard)
        return waiting < max(REFUSALS_MAX, min(WAITING_MAX, free))

    def turned_away(self, address: str, code: ErrorCode) -> None:
        """Count and log a connection that is refused."""
        self.refused += 1
        refusal = LogonRefusal(code, ERROR_TRAITS[code].text)
        self.context.logon_log.refused(refusal, None, address, trio.current_time())

    # --- connections --------------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            made = await self.arrivals.next()
            self._nursery.start_soon(self._accepted, made)

    async def _accepted(self, made: socket.socket) -> None:
        wire = Wire(made)
        try:
            await self._admit(wire)
        finally:
            wire.close()

    async def _admit(self, wire: Wire) -> None:
        try:
            address = wire.plain.getpeername()[0]
        except OSError:  # it is already gone
            return
        place = self._sources.enter(address, trio.current_time())
        if isinstance(place, ErrorCode):
            await self._refuse(wire, place, address)
            return
        try:
            if len(self.context.switchboard) >= self.connections_max:
                await self._refuse(wire, ErrorCode.TOO_MANY_CONNECTIONS, address)
                return
            connection = Connection(self._secured(wire), wire, place, self.context)
            session = connection.session
            name = f"connection {session.connection}"
            lost = partial(self._lost, name, session)
            faulty = await contain(connection.serve(), name, lost)
            self.faulty += faulty  # others were counted meanwhile
        finally:
            place.leave()

    def _lost(self, name: str, session: SessionProtocol | None, reason: str) -> None:
        attached = session is not None and session.session_id != 0
        self.context.logon_log.lost(name, reason, attached, trio.current_time())

    def _secured(self, wire: Wire) -> ClientStream:
        if self.tls is None:
            return wire
        # Messages carry their own length, so a hang-up without TLS's closing message is harmless.
        return trio.SSLStream(wire, self.tls, server_side=True, https_compatible=True)

    async def _refuse(self, wire: Wire, code: ErrorCode, address: str) -> None:
        self.turned_away(address, code)
        if self._refusing >= REFUSALS_MAX:
            return
        self._refusing += 1
        try:
            name = "refused connection"
            lost = partial(self._lost, name, None)
            await contain(refuse_connection(self._secured(wire), code), name, lost)
        finally:
            self._refusing -= 1


def _raw(listener: trio.SocketListener) -> socket.socket:
    """Return the socket of a listener, which then accepts many connections at a time."""
    for option in INHERITED:  # accepted sockets inherit it, at no cost
        listener.socket.setsockopt(*option)
    listening = socket.socket(fileno=listener.socket.detach())
    listening.setblocking(False)
    return listening


async def _bind(host: str, port: int) -> list[trio.SocketListener]:
    """Listen on all addresses of a host, on one port; port 0 finds a port that is free on all.

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
    # With a very low limit the reserve would leave nothing, so take half.
    return max(soft - DESCRIPTORS_RESERVED, soft // 2)
