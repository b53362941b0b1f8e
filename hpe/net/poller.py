"""Polled sockets inside Trio: readers that sleep while one task reads for all of them.

Owns which reader waits for which slot (sockets.py reads); used by one task and the readers that
attend, all in the Trio loop. A reader that waits for bytes in Trio costs a system call to arm its
socket, one to disarm it, and two task switches for every message. Here all ready sockets are read
in one pass while their readers sleep. Guarantees: a connection's task stays its owner. It is parked
inside its reading scope, so deadlines and cancellation reach it as before, and leaving for any
reason closes its slot before the socket can be closed. Whatever needs the reader (end, fault, a
request that has to wait) becomes the result of `attend`. Other tasks run after each pass. What one
pass read for a reader that is canceled in the same pass is dropped: such a reader relies on nothing
that comes later. Rules: docs/architecture.md, "The pipeline"; docs/decisions/0044.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import outcome
import trio

from hpe.net.sockets import PolledSockets, Received

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)
Gathering = Callable[[], contextlib.AbstractContextManager[None]]


class Absorb(Protocol[Result_co]):
    """Processes bytes without waiting."""

    def __call__(self, data: memoryview, /) -> Result_co | None:
        """Process bytes, which are invalid after the call; None continues, any other value ends."""


class _Attendance(NamedTuple):
    """A waiting reader."""

    task: trio.lowlevel.Task
    absorb: Callable[[memoryview], object]


@contextlib.contextmanager
def polling(wanted: bool, gathering: Gathering) -> Iterator[Poller | None]:
    """Yield a poller; None if it is turned off or the system has no epoll."""
    if wanted and hasattr(select, "epoll"):
        with contextlib.closing(Poller(gathering)) as poller:
            yield poller
    else:
        yield None


class Poller:
    """The established plain connections of one engine.

    Args:
        gathering: entered for each pass, in which readers offer requests.
    """

    def __init__(self, gathering: Gathering = contextlib.nullcontext) -> None:
        self._gathering = gathering
        self._sockets = PolledSockets()
        self._attending: dict[int, _Attendance] = {}  # by slot

    def close(self) -> None:
        """Close the epoll; no reader may attend any more."""
        self._sockets.close_all()

    async def attend(self, plain: socket.socket, absorb: Absorb[Result]) -> Result | None:
        """Have `absorb` process what arrives on a socket, until it returns a value.

        Returns:
            What `absorb` returned; None at the end of the input.

        Raises:
            OSError: the kernel's error; and whatever `absorb` raises.
        """
        slot = self._sockets.open(plain)
        self._attending[slot] = _Attendance(trio.lowlevel.current_task(), absorb)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._forget(slot)
            return trio.lowlevel.Abort.SUCCEEDED

        return cast(Result | None, await trio.lowlevel.wait_task_rescheduled(abort))

    async def serve(self) -> None:
        """Read until canceled."""
        while True:
            if not self._sockets.unfinished:
                await trio.lowlevel.wait_readable(self._sockets.fileno())
            self._read()
            await trio.lowlevel.checkpoint()

    # A function of its own: variables of a task that sleeps would keep the last reader alive.
    def _read(self) -> None:
        """Read in one pass."""
        with self._gathering():
            for slot, received in self._sockets.ready():
                attendance = self._attending.get(slot)
                if attendance is not None:  # it may have left during this pass
                    self._give(slot, attendance, received)

    def _give(self, slot: int, attendance: _Attendance, received: Received) -> None:
        """Give a reader what was received for it, and wake it if it is needed."""
        if isinstance(received, OSError):
            self._wake(slot, attendance, outcome.Error(received))
            return
        try:
            result = attendance.absorb(received) if received else None
        except Exception as fault:
            self._wake(slot, attendance, outcome.Error(fault))
        else:
            if result is not None or not received:
                self._wake(slot, attendance, outcome.Value(result))

    def _wake(self, slot: int, attendance: _Attendance, result: outcome.Outcome[Any]) -> None:
        self._forget(slot)
        trio.lowlevel.reschedule(attendance.task, result)

    def _forget(self, slot: int) -> None:
        del self._attending[slot]
        self._sockets.close(slot)
