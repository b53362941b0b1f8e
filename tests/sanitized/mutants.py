"""Damaged bytes, as fast as the compiled core takes them: nothing may be read or written wrongly.

`python -m tests.sanitized.mutants --seconds 60`. Each seed gives a stream of tests/differential. In
the middle of it, the core gets frames made from those of the stream: requests with wrong fields, in
other forms, cut, longer, with bytes changed. Then others get its log and its dump with bytes
changed. What they answer is not compared, which the differential proof does; they must answer,
agree with themselves, and refuse with the errors of their contract. One thread.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from itertools import count, islice
from random import Random
from typing import Final

import msgspec

from hpe.core import new_core
from hpe.core.contract import SYSTEM_CONNECTION, Batch, Core, Run
from hpe.errors import Diverged, StateError
from hpe.protocol.base import type_number
from hpe.protocol.frames import Chunk, FrameScanner, chunk_of, encode_frame, frame
from hpe.protocol.internal import SessionAttached, SessionClosed, Tick
from hpe.protocol.limits import REQUEST_BYTES_MAX
from tests.differential.generating import StreamMaker
from tests.differential.hostile import extreme, fault, stretched
from tests.differential.recording import RecordedStream
from tests.support.hostile_frames import hostile_bodies

BATCHES: Final = 60
"""Of mutants, in the middle of a stream."""

FRAMES_MAX: Final = 48
COPIES: Final = 12
"""Damaged logs, and damaged dumps, of a stream."""


class Mutants:
    """Mutants of the bytes of one stream; `counts` says how many of each kind there were."""

    def __init__(self, seed: int, recording: RecordedStream, counts: Counter[str]) -> None:
        self.random, self.recording, self.counts = Random(f"mutants {seed}"), recording, counts
        self._strangers = hostile_bodies(seed)
        self._sessions = dict.fromkeys(range(1, 5), (0, 0))
        self._numbers: list[int] = []
        self._last_id = 0
        runs = [run for step in recording.steps for run in step.runs if run.connection]
        self._bodies = [body for run in runs for body in run.bodies if body]

    def play(self) -> None:
        """Play the stream to some place, send mutants, then damage the log and the dump."""
        core = new_core(self.recording.limits, "compiled")
        steps = self.recording.steps
        stop = self.random.randrange(len(steps) // 4, len(steps))
        log, time_ns = [], 0
        for step in steps[:stop]:
            batch = step.batch()
            log.append(bytes(core.apply(batch).body))
            time_ns = step.time_ns
        for number in range(1, BATCHES + 1):
            runs = [self._comings(core), *map(self._run, self._numbers)]
            output = core.apply(Batch(time_ns + number, list(filter(None, runs)), self._wanted()))
            log.append(bytes(output.body))
            self._follow(output.replies_to(SYSTEM_CONNECTION))
            self.counts["replies"] += len(chunk_of(bytes(output.replies)).table)
        core.check()
        self._logs([body for body in log if body])
        self._dumps([bytes(row) for row in core.dump()])

    def _wanted(self) -> bytes:
        numbers = range(1, 4)
        return b"".join(n.to_bytes(4, "big") + bytes([self.random.randrange(32)]) for n in numbers)

    def _comings(self, core: Core) -> Run:
        """Let all users come whose connection was cut, and some begin anew."""
        attached, number = dict(core.attached_sessions()), core.last_attach_number
        there, commands, self._numbers = set(attached.values()), b"", []
        for user, (session_id, old) in self._sessions.items():
            if session_id and self.random.random() < 0.1:
                commands += encode_frame(SessionClosed(1, session_id, old))
                session_id = 0
            if not session_id or old not in there:
                number, old = number + 1, number + 1
                commands += encode_frame(SessionAttached(old, session_id, user, 0))
            self._sessions[user] = session_id, old
            self._numbers.append(old)
        return Run(SYSTEM_CONNECTION, 0, 0, chunk_of(commands or encode_frame(Tick(1))))

    def _follow(self, replies: bytes) -> None:
        """Learn which sessions the users have."""
        users = {number: user for user, (_, number) in self._sessions.items()}
        for body in chunk_of(replies).bodies:
            kind, number, *rest = msgspec.msgpack.decode(body)
            if kind == type_number(SessionAttached):
                self._sessions[users[number]] = rest[3], number

    def _run(self, number: int) -> Run | None:
        """Return a run of mutants of one session, cut out of a damaged stream as from a socket."""
        random = self.random
        share = random.choice((0.02, 0.1, 0.5))  # most mutants end the connection
        bodies = [self._body(share) for _ in range(random.randint(1, FRAMES_MAX))]
        stream = b"".join(map(frame, bodies))
        if random.random() < share:
            stream = self._damaged(stream)
        chunks = FrameScanner(REQUEST_BYTES_MAX).feed(stream)
        if not chunks:
            return None
        chunk: Chunk = random.choice(chunks)
        self.counts["frames"] += len(chunk.table)
        return Run(number, number, 0, chunk)

    def _body(self, share: float) -> bytes:
        """Return a request, or in this share of all cases what was one."""
        random = self.random
        body = self._numbered(random.choice(self._bodies))
        if random.random() >= share:
            return body
        roll = random.random()
        if roll < 0.2:
            return next(self._strangers)[:REQUEST_BYTES_MAX] or b"\x90"
        if roll < 0.5:
            return self._damaged(body)
        try:
            return random.choice((extreme, fault, stretched))(random, body) or b"\x90"
        except (ValueError, TypeError, IndexError, OverflowError):  # the stream's own are bad, too
            return self._damaged(body)

    def _numbered(self, body: bytes) -> bytes:
        """Return a request with the next id, if it is one."""
        self._last_id += 1
        try:
            values = msgspec.msgpack.decode(body)
            return msgspec.msgpack.encode([values[0], self._last_id, *values[2:]])
        except (ValueError, TypeError, IndexError, KeyError):  # the stream has mutants, too
            return body

    def _damaged(self, data: bytes) -> bytes:
        """Change, remove or insert some bytes; there is at least one left."""
        random, changed = self.random, bytearray(data)
        for _ in range(random.choice((1, 1, 2, 5))):
            at = random.randrange(len(changed))
            match random.randrange(5):
                case 0:
                    changed[at:] = changed[at : at + 1]
                case 1:
                    changed[at:at] = random.randbytes(random.randint(1, 9))
                case 2:
                    changed[at] = random.choice(b"\x00\x7f\x80\x90\x9f\xc1\xcf\xd3\xdc\xdd\xff")
                case 3:
                    changed[at] ^= 1 << random.randrange(8)
                case _:
                    changed[at : at + random.randint(1, 4)] = changed[at : at + 1]
        return bytes(changed)

    def _new(self) -> Core:
        return new_core(self.recording.limits, "compiled", seed=self.random.randrange(2**64))

    def _logs(self, log: list[bytes]) -> None:
        """Replay logs up to a body that is damaged."""
        for _ in range(COPIES):
            core, place = self._new(), self.random.randrange(len(log))
            for body in log[:place]:
                core.replay(body)
            self.counts["bodies"] += 1
            try:
                core.replay(self._damaged(log[place]))
            except Diverged:
                self.counts["bodies refused"] += 1

    def _dumps(self, rows: list[bytes]) -> None:
        """Load dumps with a damaged row."""
        for _ in range(COPIES):
            damaged, core = list(rows), self._new()
            place = self.random.randrange(len(rows))
            damaged[place] = self._damaged(rows[place])
            self.counts["dumps"] += 1
            try:
                core.load(damaged)
            except StateError:
                self.counts["dumps refused"] += 1
            else:
                list(core.dump())


def main() -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.sanitized.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed of the first")
    parser.add_argument("--seconds", type=float, default=60.0, help="begin no stream after that")
    parser.add_argument("--streams", type=int, help="how many at most")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    end_s = time.monotonic() + given.seconds
    for seed in islice(count(given.seed), given.streams):
        if time.monotonic() >= end_s:
            break
        print(f"seed {seed}", flush=True)
        Mutants(seed, StreamMaker(seed).run(), counts).play()
    print(dict(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
