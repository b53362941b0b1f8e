"""A flood of orders: several sessions that together ask for more than a service can do.

`Flood` starts and ends the process; `python -m tests.support.flood` is the process. It sends at a
fixed rate, whatever is answered, as far as the windows allow, and counts every request: executed,
refused as busy, otherwise answered, or not answered.
"""

from __future__ import annotations

import json
import select
import sys
import time
from array import array
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hpe.protocol.base import type_number
from hpe.protocol.codes import ErrorCode
from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.frames import encode_frame
from hpe.protocol.orders import OrderResponse, SubmitOrder
from tests.support.line import ERROR, REPORTS, Line
from tests.support.watcher import READY, Watcher, told_to_stop

SESSIONS: Final = 8
USERS: Final = range(2_000, 2_000 + SESSIONS)
"""One user per session."""

WINDOW: Final = 1_024
PULSE_S: Final = 0.002
LAST_S: Final = 60.0
"""Time limit for the answers after the last order."""

_FIRST_ID: Final = 2**20
_KIND: Final = type_number(SubmitOrder)
_HEAD, _TAIL = encode_frame(
    SubmitOrder(_FIRST_ID, 1, 0, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 1, 1)
).split(_FIRST_ID.to_bytes(4, "big"))
"""The bytes around the request id, which always takes four bytes."""

_RESPONSE: Final = msgspec.msgpack.Decoder(OrderResponse)
_BUSY: Final = b"\xcd" + int(ErrorCode.BUSY).to_bytes(2, "big")


class FloodResult(NamedTuple):
    """The results of a flood; latencies from sending, in milliseconds: p50, p99, longest."""

    seconds: float
    executed: int
    busy: int
    others: int
    unanswered: int
    executed_ms: tuple[float, float, float]
    busy_ms: tuple[float, float, float]

    @property
    def offered_per_s(self) -> float:
        """The number of orders sent per second."""
        return (self.executed + self.busy + self.others + self.unanswered) / self.seconds

    @property
    def executed_per_s(self) -> float:
        """The number of orders executed per second."""
        return self.executed / self.seconds


class Flood(Watcher):
    """The process; a context manager.

    Args:
        port: the service's port.
        folder: where it writes.
        per_s: orders per second; 0: as many as the windows allow.
        window: orders in flight per session.
    """

    def __init__(self, port: int, folder: Path, *, per_s: int = 0, window: int = WINDOW) -> None:
        super().__init__("tests.support.flood", folder, [str(port), str(per_s), str(window)])

    def stop(self) -> FloodResult:
        """End the process; return the results once everything is answered."""
        return FloodResult(*self.noted())


class _Session:
    """One session of the flood; answers come in the order of the requests."""

    def __init__(self, port: int, user: int, window: int) -> None:
        self.line = Line(port)
        self.line.log_on(user, window=window)
        self.line.socket.setblocking(False)
        self.sent_s = array("d")
        self.executed = array("d")
        self.busy = array("d")
        self.others = 0
        self._window = window
        self._unsent = b""

    @property
    def unanswered(self) -> int:
        return len(self.sent_s) - len(self.executed) - len(self.busy) - self.others

    @property
    def room(self) -> int:
        return 0 if self._unsent else self._window - self.unanswered

    def send(self, count: int) -> None:
        """Send this many orders, or the rest of earlier ones."""
        if not self._unsent:
            first = _FIRST_ID + len(self.sent_s)
            self._unsent = b"".join(
                _HEAD + number.to_bytes(4, "big") + _TAIL for number in range(first, first + count)
            )
            self.sent_s.extend([time.monotonic()] * count)
        try:
            self._unsent = self._unsent[self.line.socket.send(self._unsent) :]
        except BlockingIOError:
            pass

    def flush(self) -> None:
        """Send what the kernel did not take before."""
        if self._unsent:
            self.send(0)

    def take(self) -> None:
        """Count the answers that have arrived."""
        now_s = time.monotonic()
        for body in self.line.bodies(0):
            kind = body[1]
            if kind in REPORTS:
                continue
            took_ms = 1_000 * (now_s - self.sent_s[int.from_bytes(body[3:7], "big") - _FIRST_ID])
            if kind == ERROR and body[8:11] == _BUSY:
                self.busy.append(took_ms)
            elif kind == _KIND and not _RESPONSE.decode(body).reason:
                self.executed.append(took_ms)
            else:
                self.others += 1


def _figures(samples: list[float]) -> tuple[float, float, float]:
    if not samples:
        return (0.0, 0.0, 0.0)
    samples.sort()
    return samples[len(samples) // 2], samples[int(len(samples) * 0.99)], samples[-1]


def _main(port: int, per_s: int, window: int, log_file: Path) -> None:
    sessions = [_Session(port, user, window) for user in USERS]
    print(READY, flush=True)
    begin_s = time.monotonic()
    sent = 0
    while not told_to_stop(0):
        due = int((time.monotonic() - begin_s) * per_s) - sent if per_s else window * SESSIONS
        for session in sessions:
            count = max(0, min(session.room, due // SESSIONS + 1))
            session.flush()
            if count:
                session.send(count)
                sent += count
        _take(sessions, PULSE_S)
    seconds = time.monotonic() - begin_s
    deadline_s = time.monotonic() + LAST_S
    while any(session.unanswered for session in sessions) and time.monotonic() < deadline_s:
        for session in sessions:
            session.flush()
        _take(sessions, PULSE_S)
    account = FloodResult(
        seconds,
        sum(len(session.executed) for session in sessions),
        sum(len(session.busy) for session in sessions),
        sum(session.others for session in sessions),
        sum(session.unanswered for session in sessions),
        _figures([took for session in sessions for took in session.executed]),
        _figures([took for session in sessions for took in session.busy]),
    )
    log_file.write_text(json.dumps(account))


def _take(sessions: list[_Session], wait_s: float) -> None:
    lines = {session.line.socket: session for session in sessions}
    for ready in select.select(list(lines), [], [], wait_s)[0]:
        lines[ready].take()


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
