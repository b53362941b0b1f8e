"""The waiting room: accepted connections wait here, by source, for their turn to be served.

Owns the connections between the kernel's queue and the service; runs in the Trio loop. The kernel's
queue is first come, first served, so a crowd from a few sources would delay all others. Connections
are therefore taken off it quickly, many at a time and cheaply, and wait in a room where sources
take turns. Guarantees: the room is bounded, in total and per source; when it is full, the source
with the most waiting gives way, not a newcomer from another source; connections that are turned
away, or are gone before their turn, take no turn; waiting ones are closed when listening ends.
"""

from __future__ import annotations

import errno
import logging
import socket
from typing import Final, NamedTuple, Protocol

import trio

from hpe.net.limits.pacing import Turnstile
from hpe.net.limits.rotation import Rotation
from hpe.net.limits.sources import source_of
from hpe.protocol.codes import ErrorCode

LOGGER: Final = logging.getLogger("hpe.net")

TAKEN_PER_TURN: Final = 16
"""Taken off the kernel's queue per turn, 0.03 ms each: the at most 4,000 that it holds pass within
a second, even while clients trade."""

GONE_PER_TURN: Final = 16
"""Connections found gone, closed per turn of those that are served."""

WAITING_MAX: Final = 4_096
"""Connections in the room, from all sources: as many as the kernel's queue holds."""

RESOURCES_PAUSE_S: Final = 0.1
"""If no descriptor, or no memory for one, is free, nothing is accepted for this long."""

_NO_RESOURCES: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS))
_OF_ONE_CONNECTION: Final = frozenset(
    (
        errno.EPERM, errno.ECONNABORTED, errno.ECONNRESET, errno.EPROTO, errno.ETIMEDOUT,
        errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENONET,
        errno.ENOPROTOOPT, errno.EOPNOTSUPP,
    )
)  # fmt: skip
"""Errors of accept for a connection that broke while queued: see accept(2)."""


class Door(Protocol):
    """Decides which connections are admitted and which are refused with a reason."""

    def refuses(self, address: str, waiting: int) -> ErrorCode | None:
        """Return why a connection would have no place beside `waiting` others of its source."""

    def can_tell(self, waiting: int) -> bool:
        """True if one more can be told why it is refused, beside `waiting` others."""

    def has_room(self, waiting: int) -> bool:
        """True if one more may wait, beside `waiting` others of all sources."""

    def turned_away(self, address: str, code: ErrorCode) -> None:
        """Note that a connection was refused."""


class _Arrival(NamedTuple):
    made: socket.socket
    address: str
    code: ErrorCode | None
    """The error with which it will be refused."""


class Arrivals:
    """The waiting room of a service, for all its listeners.

    Args:
        door: knows the bounds.
        intake: the turnstile for taking connections off the kernel's queue, many at a time.
        services: the turnstile for being served.
        entrances: the turnstile for the steps of logons.
    """

    def __init__(
        self, door: Door, intake: Turnstile, services: Turnstile, entrances: Turnstile
    ) -> None:
        self._door = door
        self._intake = intake
        self._services = services
        self._entrances = entrances
        self._room: Rotation[_Arrival] = Rotation()
        self._to_be_told = 0
        self._bell = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        """Return the number of waiting connections."""
        return len(self._room)

    async def collect(self, listening: socket.socket) -> None:
        """Accept connections from a non-blocking socket until canceled.

        Raises:
            OSError: the socket can accept no more.
        """
        while True:
            await trio.lowlevel.wait_readable(listening)
            await self._intake.wait()
            try:
                self._collect_some(listening)
            except OSError as error:
                if error.errno not in _NO_RESOURCES:
                    raise
                LOGGER.error("no connection can be accepted for %s s: %s", RESOURCES_PAUSE_S, error)
                await trio.sleep(RESOURCES_PAUSE_S)

    async def next(self) -> socket.socket:
        """Wait for a turn, then return the connection whose turn it is."""
        while True:
            await self._wait_for_any()
            await self._services.wait()
            await self._entrances.wait_few()
            gone = 0
            while gone < GONE_PER_TURN:
                if not self._room:
                    await self._wait_for_any()  # the turn passes to the next one
                arrival = self._room.take()
                self._to_be_told -= arrival.code is not None
                if not _has_gone(arrival.made):
                    return arrival.made
                arrival.made.close()
                gone += 1

    def close(self) -> None:
        """Close all waiting connections."""
        while self._room:
            self._room.take().made.close()
        self._to_be_told = 0

    async def _wait_for_any(self) -> None:
        while not self._room:
            await self._bell.park()

    def _collect_some(self, listening: socket.socket) -> None:
        for _ in range(TAKEN_PER_TURN):
            try:
                made, peer = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _OF_ONE_CONNECTION:
                    raise
            else:
                self._receive(made, str(peer[0]))

    def _receive(self, made: socket.socket, address: str) -> None:
        source = source_of(address)
        waiting = self._room.waiting(source)
        code = self._door.refuses(address, waiting)
        if code is not None and not self._door.can_tell(self._to_be_told):
            self._turn_away(made, address, code)
            return
        if not self._door.has_room(len(self._room)):
            # Two fewer: sources with equal numbers would otherwise push each other out in turn.
            if waiting + 1 >= self._room.longest:
                self._turn_away(made, address, ErrorCode.TOO_MANY_CONNECTIONS)
                return
            last = self._room.take_surplus()
            self._to_be_told -= last.code is not None
            self._turn_away(last.made, last.address, ErrorCode.TOO_MANY_CONNECTIONS)
        self._to_be_told += code is not None
        self._room.add(source, _Arrival(made, address, code))
        self._bell.unpark()

    def _turn_away(self, made: socket.socket, address: str, code: ErrorCode) -> None:
        made.close()
        self._door.turned_away(address, code)


def _has_gone(made: socket.socket) -> bool:
    """True if a connection was reset or closed while it waited, without having sent anything."""
    try:
        return not made.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
