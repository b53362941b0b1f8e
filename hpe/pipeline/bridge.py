"""Where Trio and threads meet: hosted threads, hand-offs in both directions.

Owns the threads that the service hosts, and the ways back from them into the Trio loop; batches
reach the matching thread through a queue of the sequencer's. Each class says which side may call
which method. Guarantees: a hosted thread that dies brings down its nursery, and one that is asked
to stop finishes its work first; nothing that was handed over is stranded; an idle bridge costs
nothing. Relies on CPython: appending to and popping from the two ends of a deque, reading and
writing one attribute and `SimpleQueue.put` are atomic under the GIL. Trio objects are never touched
from a thread except through `run_sync_soon` and `trio.from_thread`: a memory channel used from a
thread loses its parked receiver for good.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, Protocol, TypeVar, cast

import trio

from hpe.errors import InvariantViolation

T = TypeVar("T")
Result_co = TypeVar("Result_co", covariant=True)


ThreadPlace = Callable[[], contextlib.AbstractContextManager[None]]


class Interruptible(Protocol[Result_co]):
    """A blocking function that checks `stop` regularly."""

    def __call__(self, *, stop: Callable[[], bool]) -> Result_co:
        """Do the work; return or raise soon after `stop()` became true."""


class _Host:
    """One long-lived thread: its body, and whether it was asked to end."""

    def __init__(self, name: str, body: Callable[[], None], place: ThreadPlace) -> None:
        self._name = name
        self._body = body
        self._place = place
        self.stopping = False

    async def run(self, task_status: trio.TaskStatus[int]) -> None:
        """Run the body in its own thread until it returns; report `started` from inside it.

        The thread reports, not this task: a cancellation that arrives before the thread exists
        would otherwise leave a stage that looks started and never takes anything.
        """

        def begin(native_id: int) -> bool:
            # In this task. Under a pending cancellation `started` does nothing: then nothing
            # will ever ask the thread to stop, so it must not begin.
            if trio.current_effective_deadline() == -float("inf"):
                return False
            task_status.started(native_id)
            return True

        def thread() -> None:
            with self._place():
                if trio.from_thread.run_sync(begin, threading.get_native_id()):
                    self._body()

        # Its own limiter: a resident thread must not hold one of the shared tokens forever.
        # Never abandoned: it has to finish what it accepted.
        await trio.to_thread.run_sync(
            thread,
            thread_name=self._name,
            abandon_on_cancel=False,
            limiter=trio.CapacityLimiter(1),
        )
        if not self.stopping:
            await trio.lowlevel.checkpoint()  # a canceled start is not the thread's fault
            raise InvariantViolation(f"thread {self._name} ended without being asked to")


@contextlib.asynccontextmanager
async def hosted_thread(
    name: str,
    body: Callable[[], None],
    stop: Callable[[], None],
    place: ThreadPlace = contextlib.nullcontext,
) -> AsyncIterator[int]:
    """Run `body` in a thread of its own for as long as the context is open.

    Leaving the context for any reason calls `stop` (which must make `body` finish its work and
    return; the thread may already be gone) and waits for the thread. An exception in the thread,
    or an end without `stop`, cancels the context and is raised from it.

    Args:
        name: the thread's name, as `ps -L` and statistics show it (15 characters).
        body: blocking; called once in the thread.
        stop: called in the Trio loop; must not block.
        place: entered by the thread before it reports that it is live (pinning).

    Yields:
        The native thread id.
    """
    host = _Host(name, body, place)
    async with trio.open_nursery() as nursery:
        try:
            yield await nursery.start(host.run)
        finally:
            host.stopping = True
            stop()


async def run_interruptible(name: str, work: Interruptible[T]) -> T:
    """Run one long blocking job in a thread; cancellation asks it to stop and waits for it.

    Cancellation: raised once the job has returned, in place of any exception of its own. A job
    that succeeds anyway returns its result, so that nothing it opened is lost.
    """
    stopping = False

    async def watch() -> None:
        nonlocal stopping
        try:
            await trio.sleep_forever()
        finally:
            stopping = True

    def attempt() -> tuple[T, None] | tuple[None, Exception]:
        try:
            return work(stop=lambda: stopping), None
        except Exception as error:
            return None, error  # raised below, outside the nursery, which would wrap it

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        result, error = await trio.to_thread.run_sync(
            attempt,
            thread_name=name,
            abandon_on_cancel=False,
            limiter=trio.CapacityLimiter(1),
        )
        nursery.cancel_scope.cancel()
    if error is not None:
        await trio.lowlevel.checkpoint_if_cancelled()
        raise error
    return cast(T, result)


class Outbox(Generic[T]):
    """Items from one thread to one Trio task, with one wake-up for all items that wait.

    Created in the Trio loop. Its bound is the producer's: credits limit what can be in the
    pipeline, and every item here carries some of it.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()  # appended by the thread, popped by Trio
        # True from the ring until Trio looks: set by the thread, cleared by Trio. A separate
        # flag, because run_sync_soon(idempotent=True) still costs a lock and a send per call.
        self._rung = False
        self._token = trio.lowlevel.current_trio_token()
        # Capacity 1: any number of rings before the next look count as one.
        self._bell_in, self._bell_out = trio.open_memory_channel[None](1)

    def put(self, item: T) -> None:
        """Hand over an item. Thread: the one producer."""
        self._items.append(item)
        if not self._rung:
            self._rung = True
            self._token.run_sync_soon(self._ring)

    def _ring(self) -> None:
        # An exception here would become TrioInternalError and end the process.
        with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError):
            self._bell_in.send_nowait(None)

    async def take(self) -> list[T]:
        """Wait for items and return all that are there. Thread: Trio, one task."""
        await self._bell_out.receive()
        # Cleared before draining: an item put during the drain rings again.
        self._rung = False
        return self.take_nowait()

    def take_nowait(self) -> list[T]:
        """Return all waiting items, possibly none. Thread: Trio."""
        items: list[T] = []
        while self._items:
            items.append(self._items.popleft())
        return items


class Slots:
    """How many batches the Trio side may have outstanding at a thread.

    The thread rings only if the Trio side said that it waits, so an idle or unsaturated service
    pays nothing for this. Created in the Trio loop.

    Args:
        count: maximum number of outstanding batches.
        wake: called in the Trio loop when a slot is freed; must not raise.
    """

    def __init__(self, count: int, wake: Callable[[], None]) -> None:
        self._count = count
        self._wake = wake
        self._token = trio.lowlevel.current_trio_token()
        self._taken = 0  # written by Trio only
        self._freed = 0  # written by the thread only
        self._wanted = False  # set by Trio, cleared by the thread

    @property
    def outstanding(self) -> int:
        """The number of batches handed over and not yet freed."""
        return self._taken - self._freed

    def take(self) -> bool:
        """Take a slot and return True, or have `wake` called when one is freed. Thread: Trio."""
        if self.outstanding >= self._count:
            self._wanted = True
            # Checked again after setting the flag: a slot freed in between rang no bell.
            if self.outstanding >= self._count:
                return False
        self._taken += 1
        return True

    def free(self) -> None:
        """Release a slot. Thread: the consumer of the batches."""
        self._freed += 1
        if self._wanted:
            self._wanted = False
            self._token.run_sync_soon(self._wake)
