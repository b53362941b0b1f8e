"""Credits: how much unanswered data from clients may be in memory.

Owns only the counting; used by reader and writer tasks and the dispatcher, all in the Trio loop. A
reader takes credits before it hands frames over, and they are returned when the reply bytes are
given to the kernel, so a client that sends without reading is no longer read from. Per connection
the bound is in frames (its window), over all connections in bytes. A quarter of the bytes is
reserved for connections that have little in flight, so that a flood cannot keep a client from
canceling. Waiting replies are counted over all connections, too: if there is too much of either,
`pressed` is true and slow readers are cut. Guarantees: the bounds of what is in flight are exceeded
by at most one chunk per connection, because a chunk is never split; when there is room, one reader
that can use it wakes up, and wakes the next one if there is more; counts that contradict themselves
end the service, because every connection depends on them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import trio

from hpe.errors import InvariantViolation

FRAMES_BEFORE_LOGON: Final = 1
"""Before its logon, a connection may have one request in flight: hello."""

FRAMES_MIN: Final = 64
"""Queries do not count against a session's window, so a narrow window must not slow them down."""

LITTLE_BYTES: Final = 16 * 1024
"""In flight on one connection: some hundred cancels, or one chunk of orders."""


REPLIES_WAITING_BYTES_MAX: Final = 256 * 1024 * 1024
"""Replies of all connections that may wait before late readers are cut sooner: the most that
sixteen of them may have."""


class CreditPool:
    """The bytes in flight of all connections.

    `bytes_max` is for connections that have little in flight, `bytes_shared_max` for the others;
    send queues add to and subtract from `reply_bytes`.
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.bytes_shared_max = bytes_max - bytes_max // 4
        self.bytes = 0
        self.bytes_peak = 0
        self.reply_bytes = 0
        # Accounts whose readers wait for room, longest first: those with little in flight, others.
        self._little: OrderedDict[CreditAccount, None] = OrderedDict()
        self._others: OrderedDict[CreditAccount, None] = OrderedDict()

    @property
    def pressed(self) -> bool:
        """True if so much is in flight or waiting that others must be held back."""
        return self.bytes >= self.bytes_shared_max or self.reply_bytes >= REPLIES_WAITING_BYTES_MAX

    def take(self, size: int) -> None:
        """Add bytes."""
        self.bytes += size
        if self.bytes > self.bytes_peak:
            self.bytes_peak = self.bytes

    def give_back(self, size: int) -> None:
        """Subtract bytes, and wake a reader that waits for room."""
        self.bytes -= size
        if self.bytes < 0:
            raise InvariantViolation(f"{-self.bytes} bytes more were returned than taken")
        self.wake_next()

    def wake_next(self) -> None:
        """Wake the longest-waiting reader for which there is room."""
        if self._little and self.bytes < self.bytes_max:
            waiting = self._little
        elif self._others and self.bytes < self.bytes_shared_max:
            waiting = self._others
        else:
            return
        account = next(iter(waiting))
        del waiting[account]
        account.wake()

    def has_room(self, held: int) -> bool:
        """True if a connection with this many bytes in flight may take more."""
        return self.bytes < (self.bytes_max if held < LITTLE_BYTES else self.bytes_shared_max)

    def enter(self, account: CreditAccount) -> None:
        """Queue an account to be woken when there is room for it."""
        (self._little if account.bytes < LITTLE_BYTES else self._others)[account] = None

    def leave(self, account: CreditAccount) -> None:
        """Remove an account from the queue; harmless if it was already woken."""
        self._little.pop(account, None)
        self._others.pop(account, None)


class CreditAccount:
    """One connection's frames and bytes in flight."""

    __slots__ = ("_lot", "_pool", "bytes", "frames", "frames_max")

    def __init__(self, pool: CreditPool) -> None:
        self.frames_max = FRAMES_BEFORE_LOGON
        self.frames = 0
        self.bytes = 0
        self._pool = pool
        # Created when a task first waits: most connections never fill their window.
        self._lot: trio.lowlevel.ParkingLot | None = None

    def take(self, frames: int, size: int) -> None:
        """Take credits without waiting."""
        self.frames += frames
        self.bytes += size
        self._pool.take(size)

    @property
    def exhausted(self) -> bool:
        """True if a bound is reached, so that `acquire` would wait."""
        return self.frames >= self.frames_max or not self._pool.has_room(self.bytes)

    async def acquire(self, frames: int, size: int) -> None:
        """Wait until the bounds are not reached, then take credits.

        Cancellation: safe; nothing was taken.
        """
        while self.frames >= self.frames_max:
            await self._wait()
        pool = self._pool
        while not pool.has_room(self.bytes):
            pool.enter(self)
            try:
                await self._wait()
            except trio.Cancelled:
                pool.leave(self)
                pool.wake_next()  # this one does not use the room, so wake the next
                raise
            pool.leave(self)
        self.take(frames, size)
        pool.wake_next()

    def release(self, frames: int, size: int) -> None:
        """Return credits."""
        self.frames -= frames
        self.bytes -= size
        if self.frames < 0:
            raise InvariantViolation(f"{-self.frames} requests more were answered than taken")
        self._pool.give_back(size)
        self.wake()

    def wake(self) -> None:
        """Wake the tasks that wait here, so that they check again."""
        if self._lot:
            self._lot.unpark_all()

    async def wait_answered(self) -> None:
        """Wait until nothing is in flight."""
        while self.frames:
            await self._wait()

    async def _wait(self) -> None:
        if self._lot is None:
            self._lot = trio.lowlevel.ParkingLot()
        await self._lot.park()
