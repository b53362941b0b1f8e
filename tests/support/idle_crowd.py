"""A crowd of logged-on sessions that only send heartbeats: a lean process with one epoll.

`IdleCrowd` starts and ends the process; `python -m tests.support.idle_crowd` is the process. Each
session logs on as a user of its own and then sends a heartbeat when one is due; what it receives is
counted and dropped.
"""

from __future__ import annotations

import json
import math
import resource
import select
import socket
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Final, NamedTuple

from hpe.protocol.control import Heartbeat, Hello
from hpe.protocol.frames import encode_frame, type_of
from tests.support.hostile import source_of
from tests.support.line import WELCOME
from tests.support.watcher import READY, Watcher, told_to_stop

FIRST_USER: Final = 10_000
AT_ONCE: Final = 100
"""Hellos in flight at the same time."""

SLICES: Final = 50
"""Heartbeats are spread over this many parts of an interval."""

PATIENCE_S: Final = 120
_HEARTBEAT: Final = encode_frame(Heartbeat(0))


class Idled(NamedTuple):
    """What a crowd recorded: sessions held to the end, lost ones, and those that got a heartbeat.

    It does not end before all have got one, within PATIENCE_S.
    """

    held: int
    lost: int
    beaten: int


class IdleCrowd(Watcher):
    """The process; a context manager: inside, all sessions are logged on.

    Args:
        port: the service's port.
        folder: where it writes.
        count: number of sessions.
        heartbeat_ms: the heartbeat interval in hello.
    """

    def __init__(self, port: int, folder: Path, count: int, heartbeat_ms: int) -> None:
        arguments = [str(port), str(count), str(heartbeat_ms)]
        super().__init__("tests.support.idle_crowd", folder, arguments)

    def stop(self) -> Idled:
        """End the process, and return what it recorded."""
        return Idled(*self.noted())


def _log_on(port: int, count: int, heartbeat_ms: int) -> Iterator[socket.socket]:
    """Connect and log on, some at a time."""
    for first in range(0, count, AT_ONCE):
        group = []
        for number in range(first, min(first + AT_ONCE, count)):
            made = socket.create_connection(
                ("127.0.0.1", port), PATIENCE_S, source_address=(source_of(number), 0)
            )
            made.send(encode_frame(Hello(1, 1, FIRST_USER + number, heartbeat_ms=heartbeat_ms)))
            group.append(made)
        for made in group:
            welcome = made.recv(4_096)
            if type_of(welcome[4:]) != WELCOME:
                raise SystemExit(f"no welcome: {welcome!r}")
            made.setblocking(False)
            yield made


def _main(port: int, count: int, heartbeat_ms: int, log_file: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = {made.fileno(): made for made in _log_on(port, count, heartbeat_ms)}
    poll = select.epoll()
    for descriptor in crowd:
        poll.register(descriptor, select.EPOLLIN)
    print(READY, flush=True)
    members = [*crowd.values()]
    slices = cycle(members[start::SLICES] for start in range(SLICES))
    beaten: set[int] = set()
    lost = 0
    # Twice as often as necessary: a crowd that waits for a CPU must not look dead.
    pause_s = heartbeat_ms / 1_000 / 2 / SLICES
    due_s = time.monotonic()
    stop_s = math.inf
    while stop_s == math.inf or (len(beaten) + lost < count and time.monotonic() < stop_s):
        left_s = max(0.0, due_s - time.monotonic())
        if stop_s < math.inf:
            time.sleep(left_s)
        elif told_to_stop(left_s):
            stop_s = time.monotonic() + PATIENCE_S
        due_s += pause_s
        for made in next(slices):
            if made.fileno() in crowd:
                made.send(_HEARTBEAT)
        for descriptor, _ in poll.poll(0, count):
            if crowd[descriptor].recv(4_096):
                beaten.add(descriptor)
            else:
                lost += 1
                crowd.pop(descriptor).close()
    log_file.write_text(json.dumps([len(crowd), lost, len(beaten)]))


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
