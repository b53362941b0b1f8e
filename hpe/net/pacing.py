"""Pacing: a crowd of strangers comes and goes when those who trade have nothing under way.

Owns how fast connections are accepted, take the costly steps of their beginning, and end; runs in
the Trio loop, whose time is everybody's: each such step costs it 0.1 to 0.8 ms, and Trio runs all
tasks that can run before it looks at the network again. Guarantees: while requests are between
reader and dispatcher such a step happens only every HELD_S_MAX, where somebody trades TRADING_PER_S
times a second, each kind for itself and in the order of coming; who was let in comes to the end of
his logon; what is beyond waits in the kernel's queue or in memory that is bounded by the caps on
connections. On an idle service nobody waits.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf
from typing import Final

import trio

IDLE_PER_S: Final = 4_000
"""Where nobody trades: all of the loop's time and more."""

TRADING_PER_S: Final = 1_000
CROWD_PER_S: Final = 1_150
"""Where somebody does: steps of logons; arrivals and ends, so that a crowd of a thousand that came
in one moment is served, and gone again, within a second. At 1,250 of all three the storm's p99 was
40 % higher."""

LATELY_S: Final = 0.1
"""So long after a request somebody trades."""

TRADING_BURST: Final = 2
IDLE_BURST: Final = 8
"""At once, after a quiet time; the loop's clock ticks in milliseconds."""

HELD_S_MAX: Final = 0.004
LOGON_HELD_S_MAX: Final = 0.002
"""How long those who trade may keep the next one from passing."""

LOGONS_WAITING_MAX: Final = 50
"""While so many wait for their next step nobody else is served: else all would take their first
steps, and none the last one in time."""

GONE_PER_TURN: Final = 16
"""Connections that were reset meanwhile, or are turned away, taken off the kernel's queue on one
turn: the 4,000 that it keeps at most are through within a second, where somebody trades, too."""


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

    One task serves those who wait: that costs less than if each looked at the time for himself.

    Args:
        traffic: that has precedence.
        per_s: how many pass per second where somebody trades, on average.
        held_s_max: how long one may be held for requests that are under way.
    """

    def __init__(
        self,
        traffic: Traffic,
        per_s: float = TRADING_PER_S,
        held_s_max: float = HELD_S_MAX,
        *,
        idle_per_s: float = IDLE_PER_S,
    ) -> None:
        self._traffic = traffic
        self._interval_s = 1 / per_s
        self._idle_interval_s = 1 / idle_per_s
        self._held_s_max = held_s_max
        # When the next one may pass, and when the last one did.
        self._open_s = self._passed_s = -inf
        self._queue = trio.lowlevel.ParkingLot()
        self._bell = trio.lowlevel.ParkingLot()
        self._few = trio.lowlevel.ParkingLot()

    @property
    def waiting(self) -> int:
        """How many wait here."""
        return len(self._queue)

    async def wait(self) -> None:
        """Wait for one's turn; no checkpoint when there is nothing to wait for.

        Cancellation: safe; the turn is the next one's.
        """
        now_s = trio.current_time()
        if not self._queue and not self._traffic.under_way and now_s >= self._open_s:
            self._pass(now_s)
            return
        self._bell.unpark_all()
        await self._queue.park()

    async def wait_few(self) -> None:
        """Wait until no crowd waits here."""
        while self.waiting >= LOGONS_WAITING_MAX:
            await self._few.park()

    async def serve(self) -> None:
        """Let those who wait through, until cancelled; one task."""
        while True:
            while not self._queue:
                self._few.unpark_all()  # all may have given up before their turn
                await self._bell.park()
            if trio.current_time() < self._open_s:
                await trio.sleep_until(self._open_s)
            await self._traffic.wait_calm(self._passed_s + self._held_s_max)
            now_s = trio.current_time()
            while self._queue and now_s >= self._open_s:
                self._queue.unpark()
                self._pass(now_s)
                if self._traffic.under_way:
                    break
            if self.waiting < LOGONS_WAITING_MAX:
                self._few.unpark_all()

    def _pass(self, now_s: float) -> None:
        trading = self._traffic.was_lately(now_s)
        interval_s = self._interval_s if trading else self._idle_interval_s
        burst = TRADING_BURST if trading else IDLE_BURST
        earliest_s = now_s - (burst - 1) * interval_s
        self._open_s = max(self._open_s, earliest_s) + interval_s
        self._passed_s = now_s

    def open(self) -> None:
        """Let everybody through from now on; nobody has to serve any more."""
        self._traffic = Traffic()
        self._interval_s = self._idle_interval_s = 0.0
        self._open_s = -inf
        self._queue.unpark_all()
        self._few.unpark_all()


class PacedListener(trio.abc.Listener[trio.SocketStream]):
    """Hands over what it accepts through a turnstile, while no crowd waits behind it.

    Args:
        listener: what really accepts.
        arrivals: shared by listeners.
        entrances: where those who were handed over wait for the steps of their logon.
        turns_away: tells of a connection that it is to be closed, so that it takes no turn.
    """

    def __init__(
        self,
        listener: trio.SocketListener,
        arrivals: Turnstile,
        entrances: Turnstile,
        turns_away: Callable[[trio.SocketStream], bool],
    ) -> None:
        self._turns_away = turns_away
        self._listener = listener
        self._arrivals = arrivals
        self._entrances = entrances

    async def accept(self) -> trio.SocketStream:
        """Wait for a connection that is still there, then for its turn."""
        gone = 0
        while True:
            stream = await self._listener.accept()
            if not _is_gone(stream) and not self._turns_away(stream):
                break
            stream.socket.close()  # who only knocks keeps nobody else from his turn
            gone += 1
            if not gone % GONE_PER_TURN:
                await self._arrivals.wait()
        try:
            await self._arrivals.wait()
            await self._entrances.wait_few()
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
