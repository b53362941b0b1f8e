"""Kill -9 under load, and an oracle outside the service that remembers every answer.

A trader with one session sends seeded commands in a window, notes every response that reached
it, and at a random moment the service is killed. After the restart it resumes the session, sends
again what has no answer (same bytes), and asks again for answers that it has: they must come
back as before, marked as duplicates. At the end the log is replayed from the beginning by itself
and every noted response must be the one that the replay gives.
"""

from __future__ import annotations

import random
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgpack

from hpe.core import new_core
from hpe.core.codec import decode_body, encode, frame, split_frames, with_duplicate_flag
from hpe.core.reference import ReferenceCore
from hpe.messages import (
    CancelOrder,
    Deposit,
    GetBalance,
    Hello,
    OrderType,
    ReplaceOrder,
    Request,
    Side,
    SubmitOrder,
    TimeInForce,
    type_number,
)
from hpe.wal.files import DirectoryFiles
from hpe.wal.segments import survey
from tests.support.service import ServiceProcess

WINDOW = 256
USER = 7
REPORT_TYPE = 120
ERROR_TYPE = 31
DEPOSIT = 10**15
LAST_MOMENT_S = 0.006
"""A window of commands lives about this long from the socket to its answers."""


class Fault(AssertionError):
    """A promise was broken."""


class Wire:
    """One blocking connection of the trader."""

    def __init__(self, port: int, session_id: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.send(frame(encode(Hello(1, 1, USER, session_id, WINDOW))))
        welcome = msgpack.unpackb(next(iter(self.receive())))
        if welcome[0] != 1:
            raise Fault(f"no welcome but {welcome}")
        self.session_id: int = welcome[4]
        self.last_request_id: int = welcome[6]

    def send(self, frames: bytes) -> None:
        self._socket.sendall(frames)

    def receive(self) -> list[bytes]:
        """Wait for at least one whole frame; gives all bodies that are there, [] at the end."""
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
    state_hash: str


class Trader:
    """The load and the oracle."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.session_id = 0
        self.next_id = 1
        self.unanswered: dict[int, bytes] = {}
        self.answers: dict[int, tuple[bytes, bytes]] = {}  # id -> (request frame, response body)
        self.live: list[int] = []
        self.resent = 0
        self.asked_again = 0

    def connect(self, port: int) -> Wire:
        """Attach and settle what the last connection left open."""
        wire = Wire(port, self.session_id)
        self.session_id = wire.session_id
        highest = max(self.answers, default=0)
        if wire.last_request_id < highest:
            raise Fault(f"{highest} was answered, the service knows {wire.last_request_id}")
        self.resent += len(self.unanswered)
        wire.send(b"".join(self.unanswered.values()))
        self._collect_until_quiet(wire)
        self._ask_again(wire)
        return wire

    def _collect_until_quiet(self, wire: Wire) -> None:
        while self.unanswered:
            bodies = wire.receive()
            if not bodies:
                raise Fault("the connection ended while requests were open")
            self.take(bodies)

    def _ask_again(self, wire: Wire) -> None:
        """Every remembered answer that we have must come back with only the flag set."""
        recent = sorted(self.answers)[-WINDOW:]
        chosen = sorted(self.random.sample(recent, min(len(recent), 64)))
        wire.send(b"".join(self.answers[request_id][0] for request_id in chosen))
        expected = [with_duplicate_flag(self.answers[request_id][1]) for request_id in chosen]
        got: list[bytes] = []
        while len(got) < len(expected):
            bodies = wire.receive()
            if not bodies:
                raise Fault("the connection ended while asking again")
            got += bodies
        if got != expected:
            raise Fault("a repeated request was answered otherwise than before")
        self.asked_again += len(chosen)

    def fund(self, wire: Wire) -> None:
        for asset in (1, 2, 3):
            self._send(wire, [Deposit(0, asset, DEPOSIT)])
        self._collect_until_quiet(wire)

    def _send(self, wire: Wire, requests: list[Request]) -> None:
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
        """Note what came: reports belong to the response that follows them."""
        for body in bodies:
            fields = msgpack.unpackb(body)
            if fields[0] == REPORT_TYPE:
                continue
            if fields[0] == ERROR_TYPE:
                raise Fault(f"refused: {fields}")
            request = self.unanswered.pop(fields[1])
            plain = body if not fields[2] else self._without_flag(body)
            self.answers[fields[1]] = (request, plain)
            if fields[0] == type_number(SubmitOrder) and fields[8]:
                self.live.append(fields[7])

    @staticmethod
    def _without_flag(body: bytes) -> bytes:
        fields = msgpack.unpackb(body)
        fields[2] = 0
        packed: bytes = msgpack.packb(fields)
        if with_duplicate_flag(packed) != body:
            raise Fault("the duplicate differs in more than its flag")
        return packed

    def load(self, wire: Wire, acknowledged_max: int) -> None:
        """Send in a window until so many answers have come."""
        answered = len(self.answers)
        while len(self.answers) - answered < acknowledged_max:
            room = WINDOW - len(self.unanswered)
            burst = self.random.randint(0, room)
            self._send(wire, [self._command() for _ in range(burst)])
            if self.unanswered:
                self.take(wire.receive())

    def send_unanswered(self, wire: Wire) -> None:
        """Have a full window on its way, and let a random moment of its life pass."""
        self._send(wire, [self._command() for _ in range(WINDOW - len(self.unanswered))])
        select.select([], [], [], self.random.uniform(0, LAST_MOMENT_S))

    def _command(self) -> Request:
        draw = self.random.random()
        if self.live and draw < 0.35:
            index = self.random.randrange(len(self.live))
            self.live[index], self.live[-1] = self.live[-1], self.live[index]
            return CancelOrder(0, self.live.pop())
        if self.live and draw < 0.45:
            return ReplaceOrder(
                0, self.random.choice(self.live), 0, None, self.random.randint(1, 50), None, True
            )
        side = self.random.choice((Side.BUY, Side.SELL))
        tif = TimeInForce.IOC if draw > 0.9 else TimeInForce.GTC
        price = 100_000 + self.random.randint(-20, 20)
        quantity = self.random.randint(1, 50)
        return SubmitOrder(0, 1, 0, side, OrderType.LIMIT, tif, price, quantity)

    def drain_after_death(self, wire: Wire) -> None:
        """Take what the dead service had given to the kernel: those replies count."""
        while wire.readable():
            bodies = wire.receive()
            if not bodies:
                return
            self.take(bodies)


def crash_rounds(directory: Path, *, rounds: int, acknowledged_max: int, seed: int) -> Totals:
    """Kill a loaded service again and again; raises Fault when a promise is broken.

    Args:
        directory: of the service; its data is in `data`.
        rounds: kills.
        acknowledged_max: answered commands per round, at most.
        seed: of load and moments.
    """
    trader = Trader(seed)
    for number in range(rounds):
        with ServiceProcess(directory) as service:
            wire = trader.connect(service.port)
            if number == 0:
                trader.fund(wire)
            trader.load(wire, trader.random.randint(1, acknowledged_max))
            trader.send_unanswered(wire)
            service.kill()
            trader.drain_after_death(wire)
            wire.close()
    with ServiceProcess(directory) as service:
        wire = trader.connect(service.port)
        _check_conservation(wire)
        wire.close()
        service.terminate()
        if service.wait() != 0:
            raise Fault(f"the last stop failed:\n{service.errors()}")
    state_hash = replay_and_compare(directory / "data", trader)
    with ServiceProcess(directory) as service:
        if f"state {state_hash}" not in service.errors():
            raise Fault(f"the service did not recover state {state_hash}:\n{service.errors()}")
    return Totals(rounds, len(trader.answers), trader.resent, trader.asked_again, state_hash)


def _check_conservation(wire: Wire) -> None:
    """The only user deposited DEPOSIT of each asset: that is what it still has."""
    for number, asset in enumerate((1, 2, 3), 1):
        wire.send(frame(encode(GetBalance(2**40 + number, asset))))
        fields = msgpack.unpackb(wire.receive()[0])
        if fields[6] + fields[7] != DEPOSIT:
            raise Fault(f"asset {asset}: {fields[6]} available + {fields[7]} locked")


def replay_and_compare(data: Path, trader: Trader) -> str:
    """Replay the log from the beginning; every noted answer must be the replay's, once."""
    core = new_core()
    open_answers = dict(trader.answers)
    last_request_id = 0
    for scan in survey(DirectoryFiles(data)).scans():
        for entry in scan.entries:
            for body in entry.record.bodies:
                core.replay(body)
                for session_id, _, frames in decode_body(body).groups:
                    if session_id == trader.session_id:
                        last_request_id = _compare(core, frames, open_answers, last_request_id)
    core.check()
    if open_answers:
        raise Fault(f"{len(open_answers)} acknowledged commands are not in the log")
    return core.state_hash().hex()


def _compare(
    core: ReferenceCore,
    frames: bytes,
    open_answers: dict[int, tuple[bytes, bytes]],
    last_request_id: int,
) -> int:
    """Compare one logged group with what was answered; gives its last request id."""
    for body in split_frames(frames):
        request_id: int = msgpack.unpackb(body)[1]
        if request_id <= last_request_id:
            raise Fault(f"request {request_id} was executed again after {last_request_id}")
        last_request_id = request_id
        if request_id not in open_answers:
            continue
        request, response = open_answers.pop(request_id)
        if request[4:] != body:
            raise Fault(f"request {request_id} is logged with other content")
        if _remembered(core, request_id) != response:
            raise Fault(f"request {request_id} was answered otherwise than it replays")
    return last_request_id


def _remembered(core: ReferenceCore, request_id: int) -> bytes | None:
    """Give the replay's response; a group is never longer than what a session remembers."""
    for session in core.sessions:
        for entry in session.remembered:
            if entry.request_id == request_id:
                return entry.response
    return None
