"""The judge of the crash test: replay the log and compare it with what was answered.

Replays a data directory's log from the beginning. Every recorded response must be the replay's,
every command must be in the log once with the bytes that were sent, refused commands must not be
in it, and each restart must have recovered a state of the replay. Also counts what happened in the
log, so that a test can tell whether its kills hit what they were meant to hit. No sockets, no
process.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgpack
import msgspec

from hpe.core import new_core
from hpe.core.codec import decode_body
from hpe.core.contract import Output
from hpe.core.decoding.judging import LOGGED_TABLES, decode_request
from hpe.protocol.base import type_number
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import ExecType
from hpe.protocol.frames import body_of, split_frames, type_of
from hpe.protocol.internal import Continue
from hpe.protocol.limits import COMMAND_FIRST, INTERNAL_FIRST
from hpe.protocol.registry import COMMANDS
from hpe.protocol.reports import OrderReport, PreventedMatch, PrivateUpdate
from hpe.wal.files import DirectoryFiles
from hpe.wal.segments import survey
from tests.support.listed import listed

_NAMES: Final = {type_number(command): command.__name__ for command in COMMANDS}
_REJECTS: Final = frozenset(RejectReason) - {RejectReason.NONE}
_updates: Final = msgspec.msgpack.Decoder(PrivateUpdate)


class BrokenPromise(AssertionError):
    """A promise was broken."""


class TraderAnswers:
    """What a trader was told: `answered` id -> (request frame, response body), `refused` ids."""

    def __init__(self) -> None:
        self.session_id = 0
        self.answered: dict[int, tuple[bytes, bytes]] = {}
        self.refused: set[int] = set()


class Replayed(NamedTuple):
    """The result of the replay; `seen` counts what happened on the way."""

    state_hash: str
    seen: Counter[str]


def recoveries(service_log: str) -> list[tuple[int, str]]:
    """Return (last sequence, state hash) of every start, from the service's output."""
    found = re.findall(r"recovered sequence (\d+) from .* state ([0-9a-f]{32})", service_log)
    return [(int(sequence), state_hash) for sequence, state_hash in found]


def replay_and_compare(
    data: Path, answers: TraderAnswers, recovered: Iterable[tuple[int, str]] = ()
) -> Replayed:
    """Replay the log from the beginning; every recorded answer must be the replay's, once.

    Args:
        data: the data directory; no process writes to it now.
        answers: what the trader was told.
        recovered: the last sequence and the state hash of every restart.
    """
    replay = _Replay(answers, recovered)
    for scan in survey(DirectoryFiles(data)).scans():
        for entry in scan.entries:
            for body in entry.record.bodies:
                replay.take(bytes(body))
    return replay.result()


class _Replay:
    """A core that goes through the log, and the answers that it has not reached yet."""

    def __init__(self, answers: TraderAnswers, recovered: Iterable[tuple[int, str]]) -> None:
        self._core = new_core()
        self._answers = answers
        self._open = dict(answers.answered)
        self._recovered = list(recovered)
        self._last_request_id = 0
        self._restarted = False  # True right after a restart, before the next batch
        self._seen: Counter[str] = Counter()
        self._meet_restarts()

    def take(self, body: bytes) -> None:
        """Replay one batch."""
        logged = decode_body(body)
        self._seen["batches that went on"] += self._core.unfinished
        output = self._core.replay(body)
        self._count_reports(output)
        self._restarted = False
        responses = _responses(output)
        for session_id, _, frames in logged.groups:
            if session_id:
                for request in split_frames(frames):
                    response = next(responses)
                    if session_id == self._answers.session_id:
                        self._compare(request, response)
            else:
                self._seen["continue"] += sum(
                    isinstance(decode_request(command, LOGGED_TABLES), Continue)
                    for command in split_frames(frames)
                )
        self._meet_restarts()

    def _meet_restarts(self) -> None:
        """Compare the state with those of the restarts that recovered up to here."""
        while self._recovered and self._recovered[0][0] == self._core.last_sequence:
            sequence, state_hash = self._recovered.pop(0)
            if state_hash != self._core.state_hash().hex():
                raise BrokenPromise(f"a restart recovered another state at sequence {sequence}")
            self._seen["kills amid a crowd"] += self._core.unfinished
            self._restarted = True

    def result(self) -> Replayed:
        """Check that nothing is missing, and return the result."""
        self._core.check()
        if self._open:
            raise BrokenPromise(f"{len(self._open)} acknowledged commands are not in the log")
        if self._recovered:
            raise BrokenPromise(
                f"no end of a batch is where a restart recovered: {self._recovered}"
            )
        return Replayed(self._core.state_hash().hex(), self._seen)

    def _compare(self, body: bytes, replayed: bytes) -> None:
        """Compare one logged command with what was answered."""
        request_id: int = msgpack.unpackb(body)[1]
        if request_id <= self._last_request_id:
            raise BrokenPromise(
                f"request {request_id} was executed again after {self._last_request_id}"
            )
        self._last_request_id = request_id
        if request_id in self._answers.refused:
            raise BrokenPromise(f"request {request_id} was refused, and executed all the same")
        if request_id not in self._open:
            return
        request, response = self._open.pop(request_id)
        if request[4:] != body:
            raise BrokenPromise(f"request {request_id} is logged with other content")
        if replayed != response:
            raise BrokenPromise(f"request {request_id} was answered otherwise than it replays")
        fields = msgpack.unpackb(response)
        if fields[4] not in _REJECTS:
            self._seen[_NAMES[fields[0]]] += 1

    def _count_reports(self, output: Output) -> None:
        for *_, frame in listed(output).private:
            for report in _updates.decode(body_of(frame)).reports:
                if isinstance(report, PreventedMatch):
                    self._seen["prevented match"] += 1
                elif isinstance(report, OrderReport):
                    told = CancelReason(report.reason) if report.reason else None
                    name = told.name if told else ExecType(report.exec_type).name
                    self._seen[name.lower()] += 1
                    self._seen["expired while dead"] += (
                        self._restarted and told is CancelReason.EXPIRED
                    )


def _responses(output: Output) -> Iterator[bytes]:
    """Yield the responses to a replayed body's client commands, without the reports."""
    for _, frames in listed(output).replies:
        for body in split_frames(frames):
            if COMMAND_FIRST <= type_of(body) < INTERNAL_FIRST:
                yield body
