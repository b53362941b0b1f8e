"""Kill -9 under load, and an oracle outside the service that remembers every answer.

A trader with one session sends seeded commands in a window and records every response that reaches
it; at a random moment the service is killed. After the restart the trader resumes the session,
sends the unanswered commands again (same bytes), and asks again for answers that it has: they must
be the same as before, marked as duplicates. In some rounds, more stops than one batch can serve
have just been set off. At the end, crash_replay.py replays the log from the beginning.
"""

from __future__ import annotations

import random
import select
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import msgspec

from hpe.core.codec import encode, with_duplicate_flag
from hpe.protocol.base import Request, type_number
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error, Hello
from hpe.protocol.flags import FLAG_DUPLICATE
from hpe.protocol.frames import frame
from hpe.protocol.operations import ConservationReply, GetConservation
from hpe.protocol.reports import ExecutionReport, OrderReport, PreventedMatch
from tests.support.crash_replay import BrokenPromise, TraderAnswers, recoveries, replay_and_compare
from tests.support.crash_traffic import ASSETS, DEPOSIT, USER, CrashTraffic, opening
from tests.support.service import ServiceProcess

WINDOW = 256
REPORT_TYPES = frozenset(
    type_number(report) for report in (ExecutionReport, OrderReport, PreventedMatch)
)
ERROR_TYPE = type_number(Error)
LAST_MOMENT_S = 0.006
"""A window of commands takes about this long from the socket to its answers."""

CROWD_EVERY = 4
CROWD_MOMENT_S = 0.03
"""A crowd of stops that was set off is served for about this long."""


class TraderConnection:
    """One blocking connection of the trader."""

    def __init__(self, port: int, session_id: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.send(frame(encode(Hello(1, 1, USER, session_id, WINDOW))))
        welcome = msgpack.unpackb(next(iter(self.receive())))
        if welcome[0] != 1:
            raise BrokenPromise(f"no welcome but {welcome}")
        self.session_id: int = welcome[4]
        self.last_request_id: int = welcome[6]

    def send(self, frames: bytes) -> None:
        self._socket.sendall(frames)

    def receive(self) -> list[bytes]:
        """Wait for at least one whole frame; return all bodies received, [] at the end."""
        while True:
            bodies = list(self._cut())
            if bodies:
                return bodies
            try:
                data = self._socket.recv(262_144)
            except ConnectionResetError:
                data = b""
            if not data:
                return []
            self._buffer += data

    def _cut(self) -> Iterator[bytes]:
        position = 0
        while len(self._buffer) - position >= 4:
            (length,) = struct.unpack_from(">I", self._buffer, position)
            if len(self._buffer) - position - 4 < length:
                break
            yield self._buffer[position + 4 : position + 4 + length]
            position += 4 + length
        self._buffer = self._buffer[position:]

    def readable(self) -> bool:
        return bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        self._socket.close()


class Totals(NamedTuple):
    """What a run of rounds did."""

    rounds: int
    acknowledged: int
    resent: int
    asked_again: int
    refused: int
    state_hash: str
    seen: Counter[str]


class CrashTrader:
    """The load and the oracle."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.traffic = CrashTraffic(self.random)
        self.answers = TraderAnswers()
        self.next_id = 1
        self.unanswered: dict[int, bytes] = {}
        self.resent = 0
        self.asked_again = 0
        self._last_before = 0  # the last request id that the service knew when we reattached

    def connect(self, port: int) -> TraderConnection:
        """Attach, and resolve the requests that the last connection left unanswered."""
        wire = TraderConnection(port, self.answers.session_id)
        self.answers.session_id = wire.session_id
        self._last_before = wire.last_request_id
        highest = max(self.answers.answered, default=0)
        if wire.last_request_id < highest:
            raise BrokenPromise(f"{highest} was answered, the service knows {wire.last_request_id}")
        self.resent += len(self.unanswered)
        wire.send(b"".join(self.unanswered.values()))
        self._collect_until_quiet(wire)
        self._ask_again(wire)
        return wire

    def _collect_until_quiet(self, wire: TraderConnection) -> None:
        while self.unanswered:
            bodies = wire.receive()
            if not bodies:
                raise BrokenPromise("the connection ended while requests were open")
            self.take(bodies)

    def _ask_again(self, wire: TraderConnection) -> None:
        """Ask again for remembered answers: they must differ only in the duplicate flag."""
        answered = self.answers.answered
        recent = sorted(answered)[-WINDOW:]
        chosen = sorted(self.random.sample(recent, min(len(recent), 64)))
        wire.send(b"".join(answered[request_id][0] for request_id in chosen))
        expected = [with_duplicate_flag(answered[request_id][1]) for request_id in chosen]
        got: list[bytes] = []
        while len(got) < len(expected):
            bodies = wire.receive()
            if not bodies:
                raise BrokenPromise("the connection ended while asking again")
            got += bodies
        if got != expected:
            raise BrokenPromise("a repeated request was answered otherwise than before")
        self.asked_again += len(chosen)

    def open(self, wire: TraderConnection) -> None:
        """Make the deposits and list the instruments that the traffic needs."""
        self._send(wire, opening())
        self._collect_until_quiet(wire)

    def _send(self, wire: TraderConnection, requests: list[Request]) -> None:
        frames = []
        for request in requests:
            fields = [getattr(request, name) for name in request.__struct_fields__]
            fields[0] = self.next_id
            data = frame(encode(type(request)(*fields)))
            self.unanswered[self.next_id] = data
            frames.append(data)
            self.next_id += self.random.choice((1, 1, 1, 2))
        wire.send(b"".join(frames))

    def take(self, bodies: list[bytes]) -> None:
        """Record what was received: reports belong to the response that follows them."""
        for body in bodies:
            fields = msgpack.unpackb(body)
            if fields[0] in REPORT_TYPES:
                continue
            if fields[0] == ERROR_TYPE:
                self._note_refusal(fields)
                continue
            request = self.unanswered.pop(fields[1])
            plain = self._without_flag(body) if fields[2] & FLAG_DUPLICATE else body
            self.answers.answered[fields[1]] = (request, plain)
            self.traffic.note(fields)

    def _note_refusal(self, fields: list[Any]) -> None:
        """Record a refusal: by a full batch, or of an id skipped before a kill."""
        request_id, code = fields[1], fields[3]
        passed_over = code == ErrorCode.NOT_EXECUTED and request_id <= self._last_before
        if code != ErrorCode.BUSY and not passed_over:
            raise BrokenPromise(f"refused: {fields}")
        del self.unanswered[request_id]
        self.answers.refused.add(request_id)

    @staticmethod
    def _without_flag(body: bytes) -> bytes:
        fields = msgpack.unpackb(body)
        fields[2] &= ~FLAG_DUPLICATE
        packed: bytes = msgpack.packb(fields)
        if with_duplicate_flag(packed) != body:
            raise BrokenPromise("the duplicate differs in more than its flag")
        return packed

    def load(self, wire: TraderConnection, acknowledged_max: int) -> None:
        """Send in a window until this many answers have come."""
        answered = self.answers.answered
        enough = len(answered) + acknowledged_max
        while len(answered) < enough:
            room = WINDOW - len(self.unanswered)
            self._send(wire, self.traffic.commands(self.random.randint(0, room)))
            if self.unanswered:
                self.take(wire.receive())

    def gather_crowd(self, wire: TraderConnection) -> None:
        """Submit many stops that wait, and wait for all answers."""
        self._collect_until_quiet(wire)
        crowd = self.traffic.crowd()
        for start in range(0, len(crowd), WINDOW):
            self._send(wire, crowd[start : start + WINDOW])
            self._collect_until_quiet(wire)

    def send_unanswered(self, wire: TraderConnection, *, set_off: bool) -> None:
        """Send a full window and wait for a random moment of its life.

        With `set_off`, the trade that fires the crowd is its first command, or is sent ahead: then
        the rest of the window arrives while stops are being served.
        """
        moment_s = LAST_MOMENT_S
        if set_off:
            self._collect_until_quiet(wire)
            self._send(wire, [self.traffic.set_off()])
            if self.random.random() < 0.5:
                self._pass_time(CROWD_MOMENT_S)
            else:
                moment_s = CROWD_MOMENT_S
        self._send(wire, self.traffic.commands(WINDOW - len(self.unanswered)))
        self._pass_time(moment_s)

    def _pass_time(self, moment_s: float) -> None:
        select.select([], [], [], moment_s * self.random.random() ** 3)

    def drain_after_death(self, wire: TraderConnection) -> None:
        """Read the replies that the dead service had given to the kernel: they count."""
        while wire.readable():
            bodies = wire.receive()
            if not bodies:
                return
            self.take(bodies)


def crash_rounds(directory: Path, *, rounds: int, acknowledged_max: int, seed: int) -> Totals:
    """Kill a loaded service again and again; raise BrokenPromise if a promise is broken.

    Args:
        directory: the service's directory; its data is in `data`.
        rounds: number of kills.
        acknowledged_max: answered commands per round, at most; a crowd of stops not counted.
        seed: decides the load and the moments.
    """
    trader = CrashTrader(seed)
    for number in range(rounds):
        crowded = number % CROWD_EVERY == CROWD_EVERY - 1
        with ServiceProcess(directory) as service:
            wire = trader.connect(service.port)
            if number == 0:
                trader.open(wire)
            trader.load(wire, trader.random.randint(1, acknowledged_max))
            if crowded:
                trader.gather_crowd(wire)
            trader.send_unanswered(wire, set_off=crowded)
            service.kill()
            trader.drain_after_death(wire)
            wire.close()
    with ServiceProcess(directory) as service:
        wire = trader.connect(service.port)
        _check_conservation(wire)
        wire.close()
        service.terminate()
        if service.wait() != 0:
            raise BrokenPromise(f"the last stop failed:\n{service.errors()}")
        restarts = recoveries(service.errors())
    state_hash, seen = replay_and_compare(directory / "data", trader.answers, restarts)
    with ServiceProcess(directory) as service:
        if f"state {state_hash}" not in service.errors():
            raise BrokenPromise(
                f"the service did not recover state {state_hash}:\n{service.errors()}"
            )
    answers = trader.answers
    return Totals(
        rounds, len(answers.answered), trader.resent, trader.asked_again, len(answers.refused),
        state_hash, seen,
    )  # fmt: skip


def _check_conservation(wire: TraderConnection) -> None:
    """Check conservation: DEPOSIT of each asset came in, nothing went out."""
    for number, asset in enumerate(ASSETS, 1):
        wire.send(frame(encode(GetConservation(2**40 + number, asset))))
        reply = msgspec.msgpack.decode(wire.receive()[0], type=ConservationReply)
        if (
            reply.net_deposits != DEPOSIT
            or reply.available + reply.reserved + reply.held != DEPOSIT
        ):
            raise BrokenPromise(f"money was lost or made: {reply}")
