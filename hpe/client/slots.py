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
        # Slots that no longer exist, but whose requests are still unanswered.
        self._withheld = 0

    async def take(self) -> None:
        """Wait for a slot and take it; cancellation is safe."""
        await self._free.acquire()

    def take_nowait(self) -> None:
        """Take a slot; raise aio.WouldBlock if none is free."""
        self._free.acquire_nowait()

    def release(self) -> None:
        """Give a slot back, unless the window has become too small for it."""
        if self._withheld:
            self._withheld -= 1
        else:
            self._free.release()

    def resize(self, size: int) -> None:
        """Take slots away, or give some of them back."""
        for _ in range(self._size, size):
            self.release()
        for _ in range(size, self._size):
            try:
                self._free.acquire_nowait()
            except aio.WouldBlock:
                self._withheld += 1
        self._size = size

    def end(self) -> None:
        """Withhold none any more: whoever waits is to be woken."""
        self._withheld = 0
