"""Where Trio and threads meet: hosted threads, hand-offs in both directions.

Owns every crossing between the Trio loop and the matching, WAL and recovery threads; the only
module that knows both. Each class says which side may call which method. Guarantees: a hosted
thread that dies brings its nursery down and one that is asked to stop finishes first; nothing
handed over is stranded; idle costs nothing. Relies on CPython: appending to and popping from
the two ends of a deque, reading and writing one attribute and `SimpleQueue.put` are atomic
under the GIL. Trio objects are never touched from a thread except through `run_sync_soon` and
`trio.from_thread`: a memory channel used from a thread loses its parked receiver for good.
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
    """A blocking function that looks at `stop` every now and then."""

    def __call__(self, *, stop: Callable[[], bool]) -> Result_co:
        """Work; return or raise soon after `stop()` became true."""


class _Host:
    """One long-lived thread: its body, and whether anybody asked it to end."""

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
            # In this task. `started` does nothing under a pending cancellation: then nobody
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
        # Never abandoned: what it accepted has to be finished.
        await trio.to_thread.run_sync(
            thread,
            thread_name=self._name,
            abandon_on_cancel=False,
            limiter=trio.CapacityLimiter(1),
        )
        if not self.stopping:
            await trio.lowlevel.checkpoint()  # a cancelled start is no fault of the thread
            raise InvariantViolation(f"thread {self._name} ended although nobody stopped it")


@contextlib.asynccontextmanager
async def hosted_thread(
    name: str,
    body: Callable[[], None],
    stop: Callable[[], None],
    place: ThreadPlace = contextlib.nullcontext,
) -> AsyncIterator[int]:
    """Run `body` in a thread of its own for as long as the context is open.

    Leaving calls `stop` (which must make `body` finish what it has and return; it may be called
    when the thread is already gone) and waits for the thread, whatever the reason for leaving
    is. An exception in the thread, or its unasked end, cancels the context and comes out of it.

    Args:
        name: of the thread, as `ps -L` and statistics show it (15 characters).
        body: blocking; called in the thread once.
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

    Cancellation: raised once the job returned, and in place of whatever it raised then. A job
    that succeeded all the same gives its result, so that nothing it opened is lost.
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
            return None, error  # raised again below, outside the nursery, which would wrap it

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
    """Items from one thread to one Trio task, with one wake-up for all that is waiting.

    Created in the Trio loop. Its bound is that of the producer: credits limit what can be in
    the pipeline, and every item here carries some of it.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()  # appended by the thread, popped by Trio
        # True from ringing until the Trio side looks: set by the thread, cleared by Trio. An own
        # flag because run_sync_soon(idempotent=True) still pays a lock and a send per call.
        self._rung = False
        self._token = trio.lowlevel.current_trio_token()
        # Capacity 1: any number of rings before the next look are one.
        self._bell_in, self._bell_out = trio.open_memory_channel[None](1)

    def put(self, item: T) -> None:
        """Hand over an item. Thread: the one producer."""
        self._items.append(item)
        if not self._rung:
            self._rung = True
            self._token.run_sync_soon(self._ring)

    def _ring(self) -> None:
        # An exception here would be TrioInternalError and the end of the process.
        with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError):
            self._bell_in.send_nowait(None)

    async def take(self) -> list[T]:
        """Wait for items and return all that are there. Thread: Trio, one task."""
        await self._bell_out.receive()
        # Cleared before draining: an item put during the drain rings again, so none is stranded.
        self._rung = False
        return self.take_nowait()

    def take_nowait(self) -> list[T]:
        """Return all that is there, possibly nothing. Thread: Trio."""
        items: list[T] = []
        while self._items:
            items.append(self._items.popleft())
        return items


class Slots:
    """How many batches the Trio side may have outstanding at a thread.

    The thread rings only when the Trio side said that it waits: an idle or unsaturated service
    pays nothing for this. Created in the Trio loop.

    Args:
        count: batches outstanding at most.
        wake: called in the Trio loop when a slot came free; must not raise.
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
        """Batches handed over and not yet freed."""
        return self._taken - self._freed

    def take(self) -> bool:
        """Take a slot if there is one, else have `wake` called when there is. Thread: Trio."""
        if self.outstanding >= self._count:
            self._wanted = True
            # Looked at again after raising the flag: a slot freed in between rang nobody.
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
