"""Two cores and one recording: whether the second one, in a process of its own, does the same.

A `Comparer` owns the child process; one thread uses it. It plays the first core, the reference, in
this process. Guarantees that a crash, a hang and an exception of the second core are verdicts and
no failures of the judge.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from tests.conftest import PROJECT_ROOT
from tests.differential.child import LENGTH, Ask
from tests.differential.playing import BUFFERS, NAMES, StreamPlayer, Summary, factory_of
from tests.differential.recording import RecordedStream, save

FOLDER_VARIABLE: Final = "HPE_DIFFERENTIAL"
"""Names the folder in which the child process builds a core; see compiled.py."""

STEP_CPU_S: Final = 20.0
_SILENCE_S: Final = 600.0
"""Without a word for so long, the child does not even use its CPU."""


class Comparison(NamedTuple):
    """What became of a recording: `kind` is same, differs, signal, hang, raised or reference.

    `reference`: the first core itself failed. `step` is the first step that is not the same, and
    `what` says what about it.
    """

    kind: str
    step: int = -1
    what: str = ""

    @property
    def good(self) -> bool:
        """True if both cores did the same."""
        return self.kind == "same"

    def is_like(self, other: Comparison) -> bool:
        """True if this is the same kind of failure."""
        return self.kind == other.kind


SAME: Final = Comparison("same")


class Comparer:
    """Compares the core named `second` with the one named `first`."""

    def __init__(self, first: str, second: str, folder: Path, step_cpu_s: float = STEP_CPU_S):
        self.first, self.second = factory_of(first), second
        self.folder, self.step_cpu_s = folder, step_cpu_s
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Comparer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child process."""
        child, self._child = self._child, None
        if child is not None:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.close()
            child.stdout.close()
            child.wait()

    def judge(self, recording: RecordedStream, expected: list[Summary] | None = None) -> Comparison:
        """Compare the cores over a whole recording.

        Args:
            recording: the stream; written to disk before anything runs.
            expected: what the first core did, if that is known.
        """
        path = self.folder / "running.stream"
        save(recording, path)
        failed = None
        if expected is None:
            expected, failed = self._play_first(recording)
        verdict = SAME
        number = 0
        for kind, value in self._ask(path):
            if kind == "step" and verdict.good and number < len(expected):
                names = _differing(expected[number], value)
                if names:
                    verdict = Comparison("differs", number, ", ".join(names))
                number += 1
            elif kind == "raised" and verdict.good:
                verdict = Comparison("raised", number, value)
            elif kind == "ended" and value and verdict.good:
                verdict = _killed(number, value)
            elif kind == "silent":
                verdict = Comparison("hang", number, "it waits for something")
        if verdict.good and number < len(expected):
            verdict = Comparison("raised", number, "it ended before the stream did")
        if failed is not None and (verdict.good or verdict.step >= failed.step):
            return failed
        return verdict

    def whole(self, recording: RecordedStream, step: int) -> dict[str, tuple[bytes, bytes]]:
        """Return the buffers of one step's outputs that differ, of both cores."""
        path = self.folder / "running.stream"
        save(recording, path)
        player = StreamPlayer(self.first, recording.limits, recording.replays)
        for each in recording.steps[: step + 1]:
            player.play(each)
        rows = [value for kind, value in self._ask(path, step) if kind == "whole"]
        if not rows or player.output is None:
            return {}
        ours = [bytes(each) for each in player.output[:10]]
        pairs = zip(BUFFERS, ours, rows[0], strict=True)
        return {name: (one, other) for name, one, other in pairs if one != other}

    def _play_first(self, recording: RecordedStream) -> tuple[list[Summary], Comparison | None]:
        player, found = StreamPlayer(self.first, recording.limits, recording.replays), []
        try:
            for step in recording.steps:
                found.append(player.play(step))
        except Exception as error:  # what it raises is the verdict
            return found, Comparison("reference", len(found), repr(error))
        return found, None

    def _ask(self, path: Path, whole_at: int = -1) -> Iterator[tuple[str, Any]]:
        child = self._child or self._start()
        assert child.stdin is not None
        body = msgspec.msgpack.encode(Ask(str(path), self.step_cpu_s, whole_at))
        child.stdin.write(LENGTH.pack(len(body)) + body)
        child.stdin.flush()
        while True:
            kind, value = self._hear(child)
            yield kind, value
            if kind in ("ended", "silent"):
                break

    def _start(self) -> subprocess.Popen[bytes]:
        child = self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.differential.child", self.second],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT_ROOT,
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
            start_new_session=True,
        )
        kind, _ = self._hear(child)
        assert kind == "ready", f"no process with the core {self.second}"
        return child

    def _hear(self, child: subprocess.Popen[bytes]) -> tuple[str, Any]:
        """Return the next message, or kill a child that says nothing."""
        assert child.stdout is not None
        head = self._read(child, LENGTH.size)
        if head is None:
            os.killpg(child.pid, signal.SIGKILL)
            self._child = None
            child.wait()
            return "silent", None
        (size,) = LENGTH.unpack(head)
        found: tuple[str, Any] = msgspec.msgpack.decode(self._read(child, size) or b"")
        return found[0], found[1]

    def _read(self, child: subprocess.Popen[bytes], size: int) -> bytes | None:
        assert child.stdout is not None
        parts = b""
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while len(parts) < size:
                if not selector.select(_SILENCE_S):
                    return None
                more = os.read(child.stdout.fileno(), size - len(parts))
                if not more:
                    raise EOFError(f"the process with the core {self.second} is gone")
                parts += more
        return parts


def _differing(one: Summary, other: Summary) -> list[str]:
    return [name for name, a, b in zip(NAMES, one, other, strict=True) if a != b]


def _killed(step: int, status: int) -> Comparison:
    if not os.WIFSIGNALED(status):
        return Comparison("signal", step, f"exit status {os.waitstatus_to_exitcode(status)}")
    number = signal.Signals(os.WTERMSIG(status))
    if number is signal.SIGPROF:
        return Comparison("hang", step, "it does not come back")
    return Comparison("signal", step, number.name)
