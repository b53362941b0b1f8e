"""Polled sockets: one epoll over the plain connections that are logged on, drained in passes.

Owns that epoll; used by one task and the readers that attend, all in the Trio loop. A reader that
waits for bytes in Trio costs a system call to arm its socket, one to disarm it, and two task
switches for every message. Here all ready sockets are read in one pass while their readers sleep.
Guarantees: a connection's task stays its owner. It is parked inside its reading scope, so deadlines
and cancellation reach it as before, and leaving for any reason unregisters the socket before it can
be closed. Whatever needs the reader (end, fault, a request that has to wait) becomes the result of
`attend`. One pass reads at most PASS_BYTES, continues where the last one stopped, and then lets
other tasks run. Relies on a level-triggered epoll: a late event of a descriptor that has meanwhile
been reused finds nothing to read, so events carry no generation. Rules: docs/architecture.md, "The
pipeline"; docs/decisions/0044.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast

import outcome
import trio

RECEIVE_BYTES: Final = 64 * 1024
"""One read: about a thousand orders, a few batches; more would only wait in our memory."""

PASS_BYTES: Final = 256 * 1024
"""Read from all sockets in one pass: some milliseconds."""

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Absorb(Protocol[Result_co]):
    """Processes bytes without waiting."""

    def __call__(self, data: memoryview, /) -> Result_co | None:
        """Process bytes, which are invalid after the call; None continues, any other value ends."""


class _Attendance(NamedTuple):
    """A waiting reader."""

    task: trio.lowlevel.Task
    plain: socket.socket
    absorb: Callable[[memoryview], object]


@contextlib.contextmanager
def polling(wanted: bool) -> Iterator[Poller | None]:
    """Yield a poller; None if it is turned off or the system has no epoll."""
    if wanted and hasattr(select, "epoll"):
        with contextlib.closing(Poller()) as poller:
            yield poller
    else:
        yield None


class Poller:
    """The established plain connections of one engine."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._attending: dict[int, _Attendance] = {}
        self._ready: deque[int] = deque()  # sockets that the last pass did not reach
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))

    def close(self) -> None:
        """Close the epoll; no reader may attend any more."""
        self._epoll.close()

    async def attend(self, plain: socket.socket, absorb: Absorb[Result]) -> Result | None:
        """Have `absorb` process what arrives on a socket, until it returns a value.

        Returns:
            What `absorb` returned; None at the end of the input.

        Raises:
            OSError: the kernel's error; and whatever `absorb` raises.
        """
        number = plain.fileno()
        self._epoll.register(number, select.EPOLLIN)
        self._attending[number] = _Attendance(trio.lowlevel.current_task(), plain, absorb)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._forget(number)
            return trio.lowlevel.Abort.SUCCEEDED

        return cast(Result | None, await trio.lowlevel.wait_task_rescheduled(abort))

    async def serve(self) -> None:
        """Read until canceled."""
        while True:
            if not self._ready:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self._ready += [number for number, _ in self._epoll.poll(0)]
            room = PASS_BYTES
            while self._ready and room > 0:
                room -= self._read(self._ready.popleft())
            await trio.lowlevel.checkpoint()

    def _read(self, number: int) -> int:
        """Read a socket once if a reader attends to it; return the number of bytes."""
        attendance = self._attending.get(number)
        if attendance is None:
            return 0
        count = 0
        try:
            count = attendance.plain.recv_into(self._buffer)
            result = attendance.absorb(self._buffer[:count]) if count else None
        except BlockingIOError:
            return count
        except Exception as fault:
            self._wake(number, attendance, outcome.Error(fault))
        else:
            if result is not None or not count:
                self._wake(number, attendance, outcome.Value(result))
        return count

    def _wake(self, number: int, attendance: _Attendance, result: outcome.Outcome[Any]) -> None:
        self._forget(number)
        trio.lowlevel.reschedule(attendance.task, result)

    def _forget(self, number: int) -> None:
        del self._attending[number]
        self._epoll.unregister(number)
