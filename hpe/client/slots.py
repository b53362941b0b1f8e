"""The slots of a session's window: one for each request that may be unanswered.

Owns how many there are, while a newer connection may be granted fewer. Used by channel.py from one
event loop. Guarantee: once the requests beyond a smaller window are answered, no more than the
window allows are unanswered.
"""

from __future__ import annotations

from hpe.client import aio


class WindowSlots:
    """Slots, of which at most `size` are taken; `size` never exceeds the first one."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = aio.Semaphore(size, max_value=size)
        # Slots to drop when their requests are answered: the window has shrunk.
        self._withheld = 0

    async def take(self) -> None:
        """Wait for a slot and take it; cancellation is safe."""
        await self._free.acquire()

    def take_nowait(self) -> None:
        """Take a slot; raise aio.WouldBlock if none is free."""
        self._free.acquire_nowait()

    def release(self) -> None:
        """Return a slot; drop it while more are taken than the window allows."""
        if self._withheld:
            self._withheld -= 1
        else:
            self._free.release()

    def resize(self, size: int) -> None:
        """Change the number of slots."""
        for _ in range(self._size, size):
            self.release()
        for _ in range(size, self._size):
            try:
                self._free.acquire_nowait()
            except aio.WouldBlock:
                self._withheld += 1
        self._size = size
