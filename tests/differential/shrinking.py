"""Make a recording that fails as small as possible: fewer steps, fewer runs, fewer frames.

Pure but for the test that is passed in. Delta debugging: parts are left out, first large ones; what
still fails in the same way is kept. The result is the smallest one found within the number of
tries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from msgspec.structs import replace

from tests.differential.recording import RecordedStream, StreamStep

TRIES_MAX: Final = 3_000

Fails = Callable[[RecordedStream], bool]
Part = TypeVar("Part")


class OutOfTries(Exception):
    """The smallest recording so far has to do."""


class Shrinker:
    """Shrinks one recording; `best` is the smallest that fails."""

    def __init__(self, recording: RecordedStream, fails: Fails, tries_max: int = TRIES_MAX) -> None:
        self.best = recording
        self._fails, self._tries_left = fails, tries_max

    def shrink(self) -> RecordedStream:
        """Return the smallest recording that fails."""
        try:
            size = -1
            while size != (size := self.best.frames + len(self.best.steps)):
                self._steps()
                self._runs()
                self._frames()
                self._plainer()
        except OutOfTries:
            pass
        return self.best

    def _try(self, steps: list[StreamStep]) -> bool:
        """True if these steps fail too; then they are the best."""
        if not self._tries_left:
            raise OutOfTries
        self._tries_left -= 1
        candidate = self.best.of(steps)
        if not steps or not self._fails(candidate):
            return False
        self.best = candidate
        return True

    def _fewer(self, parts: list[Part], steps_of: Callable[[list[Part]], list[StreamStep]]) -> None:
        """Leave out parts, half of them at first, then smaller pieces."""
        size = len(parts) // 2
        while size:
            start = 0
            while start < len(parts):
                left = parts[:start] + parts[start + size :]
                if left and self._try(steps_of(left)):
                    parts = left
                else:
                    start += size
            size //= 2

    def _steps(self) -> None:
        self._fewer(self.best.steps, lambda steps: steps)

    def _runs(self) -> None:
        steps = self.best.steps
        rows = [(n, run) for n, step in enumerate(steps) for run in step.runs]

        def steps_of(left: list[tuple[int, object]]) -> list[StreamStep]:
            return [
                replace(step, runs=[run for at, run in left if at == number])
                for number, step in enumerate(steps)
            ]

        self._fewer(rows, steps_of)

    def _frames(self) -> None:
        steps = self.best.steps
        rows = [
            (n, r, body)
            for n, step in enumerate(steps)
            for r, run in enumerate(step.runs)
            for body in run.bodies
        ]

        def steps_of(left: list[tuple[int, int, bytes]]) -> list[StreamStep]:
            bodies: dict[tuple[int, int], list[bytes]] = {}
            for number, run, body in left:
                bodies.setdefault((number, run), []).append(body)
            return [
                replace(
                    step,
                    runs=[
                        run.of(bodies[number, r])
                        for r, run in enumerate(step.runs)
                        if (number, r) in bodies
                    ],
                )
                for number, step in enumerate(steps)
            ]

        self._fewer(rows, steps_of)

    def _plainer(self) -> None:
        """Leave out what is done beside the batches."""
        if self.best.replays:
            plain = replace(self.best, replays=False)
            if self._fails(plain):
                self.best = plain
        for number, step in enumerate(self.best.steps):
            for plain_step in (
                replace(step, asked=[], loads=False, hashes=False, wanted=b""),
                replace(step, asked=[]), replace(step, loads=False),
                replace(step, hashes=False), replace(step, wanted=b""),
            ):  # fmt: skip
                steps = self.best.steps
                if plain_step != steps[number]:
                    changed = [*steps[:number], plain_step, *steps[number + 1 :]]
                    if self._try(changed):
                        break
