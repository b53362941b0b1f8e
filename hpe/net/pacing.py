"""Pacing: a crowd of strangers comes and goes when those who trade have nothing under way.

Owns how fast connections are accepted, take the costly steps of their beginning, and end; runs in
the Trio loop, whose time is everybody's: each such step costs it 0.1 to 0.8 ms, and Trio runs all
tasks that can run before it looks at the network again. Guarantees: while requests are between
reader and dispatcher such a step happens only every HELD_S_MAX, otherwise STEPS_PER_S times a
second, half as often where somebody trades, each kind for itself and in the order of coming; what
is beyond waits in the kernel's queue or in memory that is bounded by the caps on connections. On an
idle service nobody waits.
"""

from __future__ import annotations

import random
from math import inf
from typing import Final

import trio

STEPS_PER_S: Final = 1_000
"""Sustained; about a quarter of the loop's time. 10,000 clients are back 10 s after a restart."""

TRADING_INTERVALS: Final = 2
LATELY_S: Final = 0.1
"""Where there was a request within this time, every step counts for so many: else the gaps between
two requests of somebody would be full of strangers, and the next one would meet one of them."""

STEPS_BURST: Final = 2
"""At once, after a quiet time."""

HELD_S_MAX: Final = 0.004
"""How long those who trade may keep the next one from passing."""


TRICKLE_S_MIN: Final = 0.25
TRICKLE_S_MAX: Final = 2.0
"""How long a stranger who sent part of a message is not read: doubled from time to time, as each
of his bytes may cost the loop as much as an order."""


class Trickle:
    """A stranger who sends his messages in parts."""

    __slots__ = ("_pause_s",)

    def __init__(self) -> None:
        self._pause_s = TRICKLE_S_MIN

    async def pause(self) -> None:
        """Wait before he is read again; a crowd of them not all for the same time."""
        await trio.sleep(random.uniform(0.5, 1.5) * self._pause_s)
        self._pause_s = min(2 * self._pause_s, TRICKLE_S_MAX)


class Traffic:
    """Whether requests are under way: handed to the core, and their replies not yet sent on."""

    def __init__(self) -> None:
        self._batches = 0
        self._ended_s = -inf
        self._calm = trio.lowlevel.ParkingLot()

    def begins(self) -> None:
        """A batch with requests of clients is handed over."""
        self._batches += 1

    def ends(self, batches: int, now_s: float) -> None:
        """So many of them are through."""
        self._batches -= batches
        if batches:
            self._ended_s = now_s
        if not self._batches:
            self._calm.unpark_all()

    @property
    def under_way(self) -> bool:
        """Whether there are any."""
        return self._batches > 0

    def was_lately(self, now_s: float) -> bool:
        """Whether there are any, or were a moment ago."""
        return self._batches > 0 or now_s - self._ended_s < LATELY_S

    async def wait_calm(self, deadline_s: float) -> None:
        """Wait until nothing is under way, or for the deadline; no checkpoint when it is so."""
        if self._batches:
            with trio.move_on_at(deadline_s):
                while self._batches:
                    await self._calm.park()


class Turnstile:
    """Lets tasks through one after the other, in the order in which they came.

    Args:
        traffic: that has precedence.
        per_s: how many pass per second, on average.
        burst: how many at once.
    """

    def __init__(
        self, traffic: Traffic, per_s: float = STEPS_PER_S, burst: int = STEPS_BURST
    ) -> None:
        self._traffic = traffic
        self._interval_s = 1 / per_s
        self._ahead_s_max = (burst - 1) / per_s
        # When everything that passed will have had its interval, and when the last one passed.
        self._paid_until_s = self._passed_s = -inf
        self._queue = trio.Lock()

    async def wait(self) -> None:
        """Wait for one's turn; no checkpoint when there is nothing to wait for.

        Cancellation: safe; the turn is the next one's.
        """
        now_s = trio.current_time()
        if self._queue.locked() or self._traffic.under_way or now_s < self._open_s:
            async with self._queue:
                if trio.current_time() < self._open_s:
                    await trio.sleep_until(self._open_s)
                await self._traffic.wait_calm(self._passed_s + HELD_S_MAX)
            now_s = trio.current_time()
        self._passed_s = now_s
        intervals = TRADING_INTERVALS if self._traffic.was_lately(now_s) else 1
        self._paid_until_s = max(self._paid_until_s, now_s) + intervals * self._interval_s

    @property
    def _open_s(self) -> float:
        return self._paid_until_s - self._ahead_s_max

    def open(self) -> None:
        """Let everybody through from now on."""
        self._traffic = Traffic()
        self._interval_s = 0.0
        self._paid_until_s = -inf


class PacedListener(trio.abc.Listener[trio.SocketStream]):
    """Hands over what it accepts through a turnstile.

    Args:
        listener: what really accepts.
        turnstile: shared by listeners.
    """

    def __init__(self, listener: trio.SocketListener, turnstile: Turnstile) -> None:
        self._listener = listener
        self._turnstile = turnstile

    async def accept(self) -> trio.SocketStream:
        """Wait for a connection that is still there, then for the turnstile."""
        stream = await self._listener.accept()
        while _is_gone(stream):  # who only knocks keeps nobody else from his turn
            stream.socket.close()
            stream = await self._listener.accept()
        try:
            await self._turnstile.wait()
        except BaseException:
            stream.socket.close()
            raise
        return stream

    async def aclose(self) -> None:
        """Close the listener."""
        await self._listener.aclose()


def _is_gone(stream: trio.SocketStream) -> bool:
    """Whether a connection was reset before anybody took it."""
    try:
        stream.socket.getpeername()
    except OSError:
        return True
    return False
