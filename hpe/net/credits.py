"""Credits: how much of what clients sent may be in memory, unanswered.

Owns the counting, nothing else; used by reader and writer tasks and the dispatcher, all in the
Trio loop. A reader takes credits before it hands frames over, and they come back when the reply
bytes were given to the kernel, so a client that sends without reading stops being read. Per
connection the bound is in frames (its window), over all connections in bytes. Guarantee: both
bounds are exceeded by at most one chunk per connection, because a chunk is never split.
"""

from __future__ import annotations

from typing import Final

import trio

FRAMES_BEFORE_LOGON: Final = 1
"""A stranger may have one request in flight: hello."""

FRAMES_MIN: Final = 64
"""Queries do not count against a session's window; a narrow window must not slow them down."""


class CreditPool:
    """The bytes of all connections."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.bytes = 0
        self.bytes_peak = 0
        self._lot = trio.lowlevel.ParkingLot()

    def take(self, size: int) -> None:
        """Count bytes in."""
        self.bytes += size
        if self.bytes > self.bytes_peak:
            self.bytes_peak = self.bytes

    def give_back(self, size: int) -> None:
        """Count bytes out and wake readers that wait for room."""
        self.bytes -= size
        assert self.bytes >= 0, "credits given back twice"
        if self._lot and self.bytes < self.bytes_max:
            self._lot.unpark_all()

    async def wait_room(self) -> None:
        """Wait until the bound is not reached."""
        while self.bytes >= self.bytes_max:
            await self._lot.park()


class Account:
    """One connection's frames and bytes in flight."""

    def __init__(self, pool: CreditPool) -> None:
        self.frames_max = FRAMES_BEFORE_LOGON
        self.frames = 0
        self.bytes = 0
        self._pool = pool
        self._lot = trio.lowlevel.ParkingLot()

    def take(self, frames: int, size: int) -> None:
        """Take credits without waiting."""
        self.frames += frames
        self.bytes += size
        self._pool.take(size)

    async def acquire(self, frames: int, size: int) -> None:
        """Wait until the bounds are not reached, then take credits.

        Cancellation: safe; nothing was taken.
        """
        while self.frames >= self.frames_max:
            await self._lot.park()
        await self._pool.wait_room()
        self.take(frames, size)

    def release(self, frames: int, size: int) -> None:
        """Give credits back."""
        self.frames -= frames
        self.bytes -= size
        assert self.frames >= 0, "credits given back twice"
        self._pool.give_back(size)
        if self._lot:
            self._lot.unpark_all()

    async def wait_answered(self) -> None:
        """Wait until nothing is in flight."""
        while self.frames:
            await self._lot.park()
