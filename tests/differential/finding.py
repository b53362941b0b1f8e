"""One stream from its seed to its verdict: generated, compared, made small, stored.

A `Finder` owns the child process of its judge; one thread uses it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.differential.generating import StreamMaker
from tests.differential.judging import STEP_CPU_S, Comparer, Comparison
from tests.differential.reached import Coverage
from tests.differential.recording import RecordedStream, save
from tests.differential.shrinking import TRIES_MAX, Shrinker
from tests.differential.telling import told


class Found(NamedTuple):
    """What became of one stream; `path` and `text` belong to the smallest one that fails."""

    verdict: Comparison
    frames: int
    path: Path | None = None
    text: str = ""


class Finder:
    """Looks for differences between two cores."""

    def __init__(
        self,
        first: str,
        second: str,
        folder: Path,
        step_cpu_s: float = STEP_CPU_S,
        tries_max: int = TRIES_MAX,
        reached: Coverage | None = None,
    ) -> None:
        self.reached = reached
        self.judge = Comparer(first, second, folder, step_cpu_s)
        self.folder, self.tries_max = folder, tries_max

    def __enter__(self) -> Finder:
        return self

    def __exit__(self, *_: object) -> None:
        self.judge.close()

    def stream(self, seed: int) -> Found:
        """Generate one stream and compare the cores by it."""
        stream = StreamMaker(seed, reached=self.reached)
        recording = stream.run()
        if stream.error is not None:
            path = self.folder / f"{seed}.stream"
            save(recording, path)
            verdict = Comparison("reference", len(stream.steps) - 1, repr(stream.error))
            return Found(verdict, stream.frames, path, repr(stream.error))
        verdict = self.judge.judge(recording, stream.summaries)
        if verdict.good:
            return Found(verdict, stream.frames)
        save(recording, self.folder / f"{seed}-whole.stream")
        small, verdict = self.shrunk(recording, verdict)
        path = self.folder / f"{seed}.stream"
        save(small, path)
        return Found(verdict, stream.frames, path, told(self.judge, small, verdict))

    def shrunk(
        self, recording: RecordedStream, verdict: Comparison
    ) -> tuple[RecordedStream, Comparison]:
        """Return the smallest recording that fails in the same way, and how it does."""

        def fails(candidate: RecordedStream) -> bool:
            return self.judge.judge(candidate).is_like(verdict)

        cut = recording.of(recording.steps[: verdict.step + 1])
        small = Shrinker(cut if fails(cut) else recording, fails, self.tries_max).shrink()
        return small, self.judge.judge(small)
