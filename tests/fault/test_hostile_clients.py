"""No neighbor hurts a client: hostile ones do their worst while a canary trades.

Every test runs a service in a process of its own and one kind of attack on it. The verdict is the
canary's (tests/support/canary.py): every reply within a second, none missing, none twice. Then the
statistics must show what happened, and descriptors, threads and memory must be released. A late
result is tried again: the machine pauses now and then, but an attack that works does so each time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
import trio

from hpe.access.keys import Key
from hpe.net.limits.sources import FAILED_LOGONS_MAX
from hpe.net.watchdog import STALL_S, WATCH_S
from hpe.protocol.enums import Channel
from hpe.protocol.limits import HEARTBEAT_MS_MIN, SILENCE_HEARTBEATS
from tests.support import hostile
from tests.support.canary import PAUSE_S, REPLY_S_MAX, Canary, endowment
from tests.support.canary import USER as CANARY_USER
from tests.support.line import Line, Refused, figures_over, statistics
from tests.support.members import CANARY_KEY, TRADER, TRADER_KEY, operate, write_keys
from tests.support.service import ServiceProcess
from tests.support.tries import in_time, repeated_if_late

pytestmark = pytest.mark.alone

MEMORY_BYTES_MAX: Final = 32 * 1024 * 1024
"""What a service may keep of an attack, with what the canary's trading itself leaves."""

HANGS_S: Final = 30.0
"""What takes longer than this will not come any more."""

SLOW_S: Final = 2.0
"""For a thousand that leave by themselves: a machine that is used by others, too."""

CHANNELS: Final = tuple(Channel)


class Scene:
    """A service under attack, and what it was before.

    Attributes:
        port: of the service.
        figures: its statistics, once `settled`.
    """

    def __init__(self, service: ServiceProcess, key: Key | None) -> None:
        self.port = service.port
        self.figures: dict[str, Any] = {}
        self._key = key
        self._process = psutil.Process(service.pid)
        self._before = self._holdings()

    def statistics(self) -> dict[str, Any]:
        """Ask the service."""
        self.figures = statistics(self.port, CANARY_USER, self._key)
        return self.figures

    async def until(
        self, condition: Callable[[dict[str, Any]], bool], line: Line | None = None
    ) -> float:
        """Ask again and again, over a line if there is one, until something holds; tells how long.

        Args:
            condition: of the figures.
            line: where new connections may find no place.
        """
        begin_s = time.monotonic()
        while not condition(figures_over(line) if line else self.statistics()):
            assert time.monotonic() - begin_s < HANGS_S, f"after {HANGS_S} s: {self.figures}"
            await trio.sleep(0.05)  # a pace, no synchronization
        return time.monotonic() - begin_s

    async def settled(self) -> None:
        """See that only the canary is left, and that everything came back."""
        await self.until(lambda figures: figures["connections"] <= 2)
        assert self.figures["strangers"] == 0
        deadline_s = time.monotonic() + HANGS_S
        while self._holdings() > self._before:
            assert time.monotonic() < deadline_s, (self._holdings(), self._before)
            await trio.sleep(0.05)
        grown = self._process.memory_info().rss - self.memory_before
        print(f"memory grew by {grown / 2**20:.1f} MiB")
        assert grown < MEMORY_BYTES_MAX

    def _holdings(self) -> tuple[int, int]:
        """Descriptors and threads."""
        self.memory_before = getattr(self, "memory_before", self._process.memory_info().rss)
        return self._process.num_fds(), self._process.num_threads()


@asynccontextmanager
async def under_attack(
    tmp_path: Path, *, with_keys: bool = False, pause_s: float = PAUSE_S, **settings: object
) -> AsyncIterator[Scene]:
    """Run a service with its canary for the length of an attack, then check the canary."""
    if with_keys:
        settings["keys_file"] = write_keys(tmp_path / "keys.json")
    environment = {f"HPE_{name.upper()}": str(value) for name, value in settings.items()}
    with ExitStack() as stack:
        service = stack.enter_context(ServiceProcess(tmp_path, environment=environment))
        if with_keys:
            operate(service.port, endowment(1))
        key = CANARY_KEY if with_keys else None
        canary = stack.enter_context(Canary(service.port, tmp_path, key=key, pause_s=pause_s))
        scene = Scene(service, key)
        with trio.fail_after(3 * HANGS_S):
            yield scene
            await scene.settled()
        log = canary.stop()
        print(log.describe())
        assert log.faults == []
        assert "fault of the server" not in service.errors()
        in_time(log.worst_s(), REPLY_S_MAX, "a reply")


@repeated_if_late
async def test_slow_loris(tmp_path: Path) -> None:
    """A thousand half headers are gone a second after the deadline, whatever is dribbled.

    Where the machine needs long for a thousand that leave by themselves, half as long again as
    that: they are read again and again, and told why they have to go.
    """
    deadline_s = 2.0
    async with under_attack(tmp_path, logon_timeout_s=deadline_s) as scene:
        begin_s = time.monotonic()
        await hostile.passers_by(scene.port, 1_000)
        await scene.until(lambda figures: figures["connections_accepted"] > 1_000)
        await scene.until(lambda figures: not figures["strangers"])
        leaving_s = time.monotonic() - begin_s
        ends = await hostile.half_headers(scene.port, 1_000, dribble_s=0.25)
        assert Counter(end.words for end in ends) == {"logon_timeout": 1_000}
        first_s, last_s = min(end.after_s for end in ends), max(end.known_s for end in ends)
        print(
            f"half headers closed after {first_s:.2f} to {last_s:.2f} s; "
            f"{leaving_s:.2f} s for as many that leave"
        )
        assert first_s >= deadline_s
        slow = leaving_s > SLOW_S
        in_time(last_s, deadline_s + (1.5 * leaving_s if slow else 1.0), "the last to be closed")


@repeated_if_late
async def test_market_data_that_nobody_reads(tmp_path: Path) -> None:
    """Subscribers that do not read, or hardly: they miss updates, they are not cut."""
    never, slowly, pace_s = 24, 8, 0.05
    async with under_attack(tmp_path) as scene, trio.open_nursery() as nursery:
        for number in range(never + slowly):
            pace = pace_s if number >= never else None
            nursery.start_soon(hostile.never_read, scene.port, 100 + number, CHANNELS, pace)
        nursery.start_soon(hostile.stir, scene.port, 99, 1_500)
        subscriptions = (never + slowly) * len(CHANNELS)
        await scene.until(lambda figures: figures["subscriptions"] == subscriptions)
        await scene.until(lambda figures: figures["market_updates_merged"])
        await trio.sleep(STALL_S + WATCH_S)  # for as long as private data would have had
        figures = scene.statistics()
        assert figures["subscriptions"] == subscriptions
        assert figures["slow_consumers"] == 0
        nursery.cancel_scope.cancel()


@repeated_if_late
async def test_private_streams_that_nobody_reads(tmp_path: Path) -> None:
    """A client that does not take its private stream is cut, and may come back for it."""
    readers = 16
    async with under_attack(tmp_path) as scene, trio.open_nursery() as nursery:
        for _ in range(readers):
            nursery.start_soon(hostile.never_read, scene.port, 99, ())
        await scene.until(lambda figures: figures["private_streams"] == readers)
        nursery.start_soon(hostile.stir, scene.port, 99, 1_500)
        took_s = await scene.until(lambda figures: figures["slow_consumers"] == readers)
        print(f"{readers} streams cut {took_s:.1f} s after their reports began")
        nursery.cancel_scope.cancel()


@repeated_if_late
async def test_logon_floods_with_bad_signatures(tmp_path: Path) -> None:
    """A source that guesses is refused, whatever key it names; others with that key are not."""
    guessers, tries = hostile.SOURCES[1:], 60
    async with under_attack(tmp_path, with_keys=True) as scene:
        told: Counter[str] = Counter()

        async def guess(number: int) -> None:
            source = guessers[number]
            key = (CANARY_KEY, TRADER_KEY, Key("nobody", bytes(32)))[number % 3]
            words = await hostile.bad_signatures(scene.port, tries, key, source=source)
            assert words[:FAILED_LOGONS_MAX] == ["authentication_failed"] * FAILED_LOGONS_MAX
            told.update(words[FAILED_LOGONS_MAX:])

        await hostile.crowd(len(guessers), guess)
        # Only so many refused ones are told why at the same time.
        assert told.keys() <= {"too_many_logons", ""}
        assert told["too_many_logons"] > tries
        with Line(scene.port, guessers[0]) as line, pytest.raises(Refused, match="too_many_logons"):
            line.log_on(TRADER, TRADER_KEY)
        with Line(scene.port) as line:
            assert line.log_on(TRADER, TRADER_KEY)
        await scene.settled()
        assert scene.figures["logons_failed"] == len(guessers) * FAILED_LOGONS_MAX
        assert scene.figures["connections_refused"] == sum(told.values()) + 1


@repeated_if_late
async def test_connection_floods_to_the_cap(tmp_path: Path) -> None:
    """Places run out, not descriptors; the excess is told so, and afterwards there is room."""
    places, attempts = 300, 1_200
    settings = {"connections_max": places, "logon_timeout_s": 2 * HANGS_S}
    async with under_attack(tmp_path, **settings) as scene:
        told: Counter[str] = Counter()
        all_judged = trio.Event()

        async def flood(number: int) -> None:
            source = hostile.source_of(number)
            count = attempts // len(hostile.SOURCES)
            hold = all_judged.wait
            told.update(await hostile.connections(scene.port, count, hold, source=source))

        with Line(scene.port) as line:
            line.log_on(CANARY_USER, window=1)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hostile.crowd, len(hostile.SOURCES), flood)
                # No connection gives back its place before the last one has asked for one.
                refused = attempts - (places - 2)
                await scene.until(lambda figures: figures["connections_refused"] == refused, line)
                all_judged.set()
        print(f"{attempts} attempts: {told}")
        # Two places are the canary's and this line's. Some were closed without a word, as too many
        # were being told.
        assert told[""] == places - 2
        assert told["too_many_connections"] > 0
        assert told["too_many_connections"] + told["closed"] == attempts - told[""]
        await scene.settled()
        assert scene.figures["connections_refused"] == attempts - told[""]


@repeated_if_late
async def test_segments_of_one_byte(tmp_path: Path) -> None:
    clients, requests = 20, 20
    async with under_attack(tmp_path) as scene:
        replies = await hostile.crowd(
            clients, lambda n: hostile.single_bytes(scene.port, 100 + n, requests)
        )
        for rows in replies:
            assert [row[1] for row in rows] == [1, *range(1, requests + 1)]
            assert rows[-1][6] == requests, "a deposit was lost or made twice"


@repeated_if_late
async def test_resets_at_random_points(tmp_path: Path) -> None:
    async with under_attack(tmp_path, logon_timeout_s=1) as scene:
        await hostile.resets(scene.port, 600, seed=4)


@repeated_if_late
async def test_noise(tmp_path: Path) -> None:
    async with under_attack(tmp_path) as scene:
        ends = await hostile.garbage(scene.port, 600, seed=5)
        words = Counter(end.words for end in ends)
        print(words)
        assert {"frame_too_large", "empty_frame", "bad_messagepack"} <= words.keys()


@repeated_if_late
async def test_half_open_connections(tmp_path: Path) -> None:
    """Who says nothing for three heartbeats is taken for dead, and told so."""
    clients, silence_s = 200, SILENCE_HEARTBEATS * HEARTBEAT_MS_MIN / 1_000
    async with under_attack(tmp_path) as scene:
        begin_s = time.monotonic()
        await hostile.crowd(clients, lambda n: hostile.visit(scene.port, 500 + n), 100)
        leaving_s = time.monotonic() - begin_s
        ends = await hostile.crowd(clients, lambda n: hostile.silence(scene.port, 100 + n), 100)
        assert Counter(end.words for end in ends) == {"heartbeat_timeout": clients}
        first_s, last_s = min(end.after_s for end in ends), max(end.known_s for end in ends)
        print(
            f"silent clients cut after {first_s:.2f} to {last_s:.2f} s; "
            f"{leaving_s:.2f} s for as many that come and leave"
        )
        assert first_s >= silence_s
        slow = leaving_s > SLOW_S
        in_time(last_s, silence_s + (1.5 * leaving_s if slow else 1.0), "the last to be cut")
        await scene.settled()
        assert scene.figures["heartbeats_missed"] == clients


@repeated_if_late
async def test_request_floods(tmp_path: Path) -> None:
    """Above the rate: throttled; going on above twice the rate: cut. Others have their own rate.

    It is low enough for a slow machine to ask more than twice as much; the canary asks less.
    """
    limits = {"messages_per_s": 500, "messages_burst": 500}
    async with under_attack(tmp_path, pause_s=0.02, **limits) as scene:
        told = await hostile.request_flood(scene.port, 7, 16_000)
        counts = Counter(told)
        print(counts)
        assert counts.keys() == {"", "throttled", "rate_exceeded"}
        assert told[-1] == "rate_exceeded"
        await scene.settled()
        # What the last answers were of, the reset of the cut connection may have destroyed.
        assert scene.figures["throttled"] >= counts["throttled"] > 0
        assert scene.figures["frames_busy"] == 0


@repeated_if_late
async def test_session_floods(tmp_path: Path) -> None:
    """One user's sessions do not use up those of the others."""
    async with under_attack(tmp_path, with_keys=True) as scene:
        told = await hostile.session_flood(scene.port, TRADER, TRADER_KEY, 100)
        counts = Counter(told)
        print(counts)
        assert counts.keys() <= {"", "too_many_sessions"}
        assert counts[""] >= 4, "the share of its key, and what was left takes little"
        await scene.settled()
        for user, key in ((CANARY_USER, CANARY_KEY), (TRADER, TRADER_KEY)):
            with Line(scene.port) as line:
                assert line.log_on(user, key, window=64)
