"""Pacing: a crowd of strangers comes and goes a few at a time.

Owns how fast connections are accepted and ended; runs in the Trio loop, whose time is everybody's:
a connection that comes or goes costs it 0.1 ms and more, and Trio runs all tasks that can run
before it looks at the network again. Guarantees: a flood of connections takes a bounded share of
the loop, what is beyond waits in the kernel's queue; a thousand connections that end in one moment
do not hold those that stay up. An idle service accepts and ends at once.
"""

from __future__ import annotations

from typing import Final

import trio

ACCEPTS_PER_S: Final = 1_000
"""Sustained; about a quarter of the loop's time. 10,000 clients are back 10 s after a restart."""

ACCEPTS_BURST: Final = 100
"""At once, after a quiet time."""

STEPS_AT_ONCE: Final = 16
"""Connections that may take a costly step of their beginning, or of their end, in one round of the
loop: a handshake or a proof is up to 0.8 ms."""


class PacedListener(trio.abc.Listener[trio.SocketStream]):
    """Accepts at most ACCEPTS_PER_S over all listeners of one pace.

    Args:
        listener: what really accepts.
        pace: shared by listeners.
    """

    def __init__(self, listener: trio.SocketListener, pace: Pace) -> None:
        self._listener = listener
        self._pace = pace

    async def accept(self) -> trio.SocketStream:
        """Wait for the pace, then for a connection."""
        await self._pace.wait()
        stream = await self._listener.accept()
        self._pace.passed(trio.current_time())
        return stream

    async def aclose(self) -> None:
        """Close the listener."""
        await self._listener.aclose()


class Pace:
    """When the next one may pass: `interval_s` apart on average, `burst` of them at once.

    Kept as the time at which everything that passed will have had its interval.
    """

    def __init__(self, per_s: float = ACCEPTS_PER_S, burst: int = ACCEPTS_BURST) -> None:
        self._interval_s = 1 / per_s
        self._ahead_s_max = burst / per_s
        self._paid_until_s = float("-inf")

    async def wait(self) -> None:
        """Wait until one may pass."""
        await trio.sleep_until(self._paid_until_s - self._ahead_s_max)

    def passed(self, now_s: float) -> None:
        """Note that one has passed."""
        self._paid_until_s = max(self._paid_until_s, now_s) + self._interval_s


class Turnstile:
    """Lets tasks through a few per round of the loop."""

    def __init__(self, at_once: int = STEPS_AT_ONCE) -> None:
        self._room = trio.Semaphore(at_once)

    async def wait(self) -> None:
        """Wait for one's turn.

        Cancellation: safe.
        """
        async with self._room:
            await trio.lowlevel.checkpoint()
