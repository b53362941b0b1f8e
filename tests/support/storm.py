"""The storm: every kind of hostile client at once, in a process of its own, until told to stop.

`Storm` starts and ends the process; `python -m tests.support.storm` is the process. Each attack
has a pace, so that a storm is as hard on every machine. It runs on what CPU nobody else wants:
attackers have machines of their own, and what is measured beside them is the service, not who of
several processes gets a CPU first. Where nothing is measured it is a process like any other: a
machine that others use may have no CPU left that nobody wants.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from hpe.access.keys import Key
from hpe.protocol.enums import Channel
from tests.support import hostile
from tests.support.members import GATEWAY_KEY, GATEWAY_USERS
from tests.support.watcher import READY, Watcher

STIRRER: Final = GATEWAY_USERS[0]
HALF_HEADERS: Final = 1_000
NEVER_READING: Final = 20
SLOWLY_READING: Final = 10
PRIVATE_UNREAD: Final = 10
STIRRED_PER_S: Final = 200
HOLD: Final = partial(trio.sleep, 0.5)
SETTINGS: Final = {
    "HPE_CONNECTIONS_MAX": "1150",
    "HPE_MESSAGES_PER_S": "3000",
    "HPE_MESSAGES_BURST": "500",
    "HPE_SESSION_EXPIRY_S": "5",
}
"""What the service has to be set to for all of the storm to be one; and it has keys."""

DESCRIPTION: Final = (
    f"{HALF_HEADERS} half headers held, {NEVER_READING} never-reading and {SLOWLY_READING} "
    f"slow-reading subscribers of all channels, {PRIVATE_UNREAD} unread private streams of a user "
    f"with {STIRRED_PER_S} orders/s; per second 100 connections, 40 bad logons, 20 resets, 20 of "
    "noise, 20 silent sessions, one flood of 800 requests, one stranger in segments of a byte"
)


class Storm(Watcher):
    """The process; a context manager. It rages from entering to leaving.

    Args:
        port: of the service.
        folder: for what it writes.
        yields: whether it runs on what CPU nobody else wants.
    """

    def __init__(self, port: int, folder: Path, *, yields: bool = False) -> None:
        super().__init__("tests.support.storm", folder, [str(port), *["yields"] * yields])


async def _again(pause_s: float, attack: Callable[[], Awaitable[Any]]) -> None:
    """Attack again and again; not all attacks in the same moment."""
    await trio.sleep(random.uniform(0, pause_s))
    while True:
        due_s = trio.current_time() + pause_s
        try:
            await attack()
        except* hostile.GONE:
            pass  # being cut is what an attacker expects
        await trio.sleep_until(due_s)


async def _rage(port: int) -> None:
    seed = time.monotonic_ns()
    wrong, key = Key("nobody", bytes(32)), GATEWAY_KEY
    channels = tuple(Channel)
    attacks: list[tuple[float, Callable[[], Awaitable[Any]]]] = [
        (0.0, lambda: hostile.half_headers(port, HALF_HEADERS, dribble_s=0.5)),
        (1.0, lambda: hostile.connections(port, 100, HOLD, source=hostile.SOURCES[1])),
        (1.0, lambda: hostile.bad_signatures(port, 40, wrong, source=hostile.SOURCES[2])),
        (1.0, lambda: hostile.resets(port, 20, seed)),
        (1.0, lambda: hostile.garbage(port, 20, seed)),
        (1.0, lambda: hostile.crowd(20, lambda n: hostile.silence(port, 500 + n, key))),
        (1.0, lambda: hostile.request_flood(port, 600, 800, key=key)),
        (1.0, lambda: hostile.single_bytes(port, 601, 5)),
    ]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hostile.stir, port, STIRRER, STIRRED_PER_S, key)
        for number in range(NEVER_READING + SLOWLY_READING):
            pace_s = 0.1 if number >= NEVER_READING else None
            read = partial(hostile.never_read, port, 100 + number, channels, pace_s, key=key)
            nursery.start_soon(_again, 0.1, read)
        for _ in range(PRIVATE_UNREAD):
            nursery.start_soon(_again, 1.0, lambda: _unread(port, key))
        for pause_s, attack in attacks:
            nursery.start_soon(_again, pause_s, attack)
        print(READY, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


async def _unread(port: int, key: Key) -> None:
    """Do not read the private stream, longer than a service stands it; then come back."""
    with trio.move_on_after(5.0):
        await hostile.never_read(port, STIRRER, (), key=key)


if __name__ == "__main__":
    if "yields" in sys.argv:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    trio.run(_rage, int(sys.argv[1]))
