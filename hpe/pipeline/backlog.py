"""The requests that wait for the matcher, and an estimate of how long they will take.

Owns the counts of waiting frames, separately for those that will be executed and those that will
only be refused, and the measured time per frame; used by the sequencer in the Trio loop, which
passes the time. Guarantee: one batch that took long does not look like an overload.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

from hpe.core.contract import Run

EXECUTED_WORK: Final = 4
REFUSED_WORK: Final = 1
"""A refused frame, from arrival to reply, is a quarter of an executed one's work (3, 12 us)."""

COST_S_FIRST: Final = 20e-6
COST_S_MIN: Final = 1e-6
COST_S_MAX: Final = 5e-3
"""Seconds per executed frame: the first estimate, and the bounds of every later one."""

COST_KEPT_S: Final = 1.0
"""Older measurements say nothing about the present."""

_COST_WEIGHT: Final = 1 / 8
_COST_JUMP_MAX: Final = 4.0
"""The weight of the newest measurement, and the multiple of the estimate at which it is capped: one
batch that searched much is not an overload."""


def work_of(run: Run) -> int:
    """Return how much work a run is."""
    return run.chunk.count * (REFUSED_WORK if run.admit else EXECUTED_WORK)


class Backlog:
    """Frames that wait: to be executed, and to be refused."""

    __slots__ = ("accepted", "refused")

    def __init__(self) -> None:
        self.accepted = 0
        self.refused = 0

    def add(self, run: Run) -> None:
        """Count a run in."""
        if run.admit:
            self.refused += run.chunk.count
        else:
            self.accepted += run.chunk.count

    def remove(self, run: Run) -> None:
        """Count a run out."""
        if run.admit:
            self.refused -= run.chunk.count
        else:
            self.accepted -= run.chunk.count


class RunQueue(Backlog):
    """The waiting requests of one connection."""

    __slots__ = ("runs",)

    def __init__(self) -> None:
        super().__init__()
        self.runs: deque[Run] = deque()

    def append(self, run: Run) -> None:
        """Queue a run."""
        self.runs.append(run)
        self.add(run)

    def pop(self) -> Run:
        """Remove and return the first run."""
        run = self.runs.popleft()
        self.remove(run)
        return run


class Cost:
    """How long a frame takes, measured on batches for which the matcher did not wait.

    Such a batch is handed over when an earlier one is done: the time between two handovers is
    that of one batch, whatever it was spent on. In small batches most of it is overhead.

    Args:
        outstanding: after this many further batches, a batch is done.
        work_min: least work of a batch that is measured.
    """

    def __init__(self, outstanding: int, work_min: int) -> None:
        self._work_min = work_min
        self._frame_s = COST_S_FIRST
        self._measured_s = self._handed_over_s = -inf
        self._work = deque((0,) * outstanding, outstanding)

    def frame_s(self, now_s: float) -> float:
        """Return the current estimate of seconds per executed frame."""
        return self._frame_s if now_s - self._measured_s <= COST_KEPT_S else COST_S_FIRST

    def note(self, work: int, now_s: float, *, saturated: bool) -> None:
        """Note that a batch is handed over.

        Args:
            work: its work, see `work_of`.
            now_s: the time.
            saturated: True if the matcher has worked all the time since the previous one.
        """
        through = self._work[0]
        if saturated and through >= self._work_min:
            before_s = self.frame_s(now_s)
            newest_s = (now_s - self._handed_over_s) * EXECUTED_WORK / through
            newest_s = min(newest_s, _COST_JUMP_MAX * before_s)
            frame_s = before_s + _COST_WEIGHT * (newest_s - before_s)
            self._frame_s = min(max(frame_s, COST_S_MIN), COST_S_MAX)
            self._measured_s = now_s
        self._handed_over_s = now_s
        self._work.append(work)
