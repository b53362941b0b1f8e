"""A process beside the test that notes times, and how to start and stop it.

`Watcher` starts `python -m MODULE ARGUMENTS LOG_FILE`; the module's `main` says it is ready on
stdout, works until its stdin ends (`told_to_stop` is its pause), and leaves what it noted in the
file, as JSON. Times are those of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from tests.support.service import PROJECT

READY: Final = "ready"
STOP_S_MAX: Final = 120.0


class Sample(NamedTuple):
    """One thing that took time: when it began, and how long it took."""

    begin_s: float
    took_s: float


def percentile_s(samples: Sequence[Sample], per_cent: float) -> float:
    """Return the time within which this many per cent of the samples are."""
    took = sorted(sample.took_s for sample in samples)
    return took[min(len(took) - 1, int(len(took) * per_cent / 100))]


def describe(samples: Sequence[Sample]) -> str:
    """Return how long they took, in half a line."""
    p50, p99, worst = (1_000 * percentile_s(samples, per_cent) for per_cent in (50, 99, 100))
    return f"p50 {p50:.2f} p99 {p99:.2f} max {worst:.2f} ms"


class Watcher:
    """The process; a context manager that leaves nothing behind.

    Args:
        module: to run.
        folder: for what it writes.
        arguments: of the module.
    """

    def __init__(self, module: str, folder: Path, arguments: Sequence[str]) -> None:
        self._log_file = folder / f"{module.rpartition('.')[2]}-{time.monotonic_ns()}.json"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, str(self._log_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )

    def __enter__(self) -> Self:
        """Wait until it works."""
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != READY:
            self.__exit__()
            raise RuntimeError("the process beside the test did not begin")
        return self

    @property
    def works(self) -> bool:
        """True if it still runs."""
        return self._process.poll() is None

    def noted(self) -> Any:
        """End it, and return what it noted."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.wait(STOP_S_MAX):
            raise RuntimeError("the process beside the test failed")
        return json.loads(self._log_file.read_text())

    def __exit__(self, *_: object) -> None:
        """End it, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


def told_to_stop(pause_s: float) -> bool:
    """Pause; tells whether the work is over. For the process."""
    return bool(select.select([sys.stdin], [], [], pause_s)[0])
