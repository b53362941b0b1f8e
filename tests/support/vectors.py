"""Golden vectors: what a core is given, batch by batch, and every byte that it gives back.

A vector begins with a new core, or with one that loaded `start`. Its steps have the batch, the
output and the state hash behind it; some have the whole dump. Everything is JSON with bytes in
hexadecimal, frames and rows one by one, so that a core in any language can be held against it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from hpe.core.contract import CORE_VERSION, Batch, Core, Run
from hpe.protocol.frames import chunk_of
from tests.support.core_driver import CoreFactory, Venue, bodies_of, framed, wanted_of
from tests.support.listed import Listed, Progress

FOLDER: Final = Path(__file__).parents[1] / "vectors"


class VectorStep(NamedTuple):
    """One batch, what it gave, and the state behind it; `dump` is empty where it is not told."""

    batch: Batch
    output: Listed
    state_hash: bytes
    dump: list[bytes]


class Vector(NamedTuple):
    """A history."""

    about: str
    core_version: int
    start: list[bytes]
    steps: list[VectorStep]

    def new_core(self, factory: CoreFactory) -> Core:
        """Make the core that it begins with."""
        core = factory()
        if self.start:
            core.load(self.start)
        return core


class RecordingVenue(Venue):
    """A venue that notes down all that passes through its core."""

    def __init__(self, new_core: CoreFactory) -> None:
        super().__init__(new_core)
        self.start: list[bytes] = []
        self.steps: list[VectorStep] = []

    def begin_with(self, start: list[bytes]) -> None:
        """Go on with another core, that loaded a state; what was noted down is forgotten."""
        self.core = self.new_core()
        self.core.load(start)
        self.start, self.steps = start, []

    def apply(self, *runs: Run, wait_ns: int | None = None) -> Listed:
        """Apply one batch and note it down."""
        output = super().apply(*runs, wait_ns=wait_ns)
        batch = Batch(self.time_ns, list(runs), wanted_of(self.wanted))
        self.steps.append(VectorStep(batch, output, self.core.state_hash(), []))
        return output

    def note_dump(self) -> None:
        """Let the newest step tell the whole state."""
        self.steps[-1] = self.steps[-1]._replace(dump=list(self.core.dump()))


def recorded(new_core: CoreFactory, about: str, play: Callable[[RecordingVenue], None]) -> Vector:
    """Play a history and note it down; its last step tells the state."""
    venue = RecordingVenue(new_core)
    play(venue)
    venue.core.check()
    venue.note_dump()
    return Vector(about, CORE_VERSION, venue.start, venue.steps)


def written(vector: Vector) -> str:
    """Return the text of a vector's file."""
    value = {
        "about": vector.about,
        "core_version": vector.core_version,
        "start": _hexes(vector.start),
        "steps": [_step_value(step) for step in vector.steps],
    }
    return json.dumps(value, indent=1) + "\n"


def read(path: Path) -> Vector:
    """Read a vector's file."""
    value = json.loads(path.read_text(encoding="utf-8"))
    return Vector(
        value["about"],
        value["core_version"],
        _bytes(value["start"]),
        [_step(each) for each in value["steps"]],
    )


def _hexes(parts: list[bytes]) -> list[str]:
    return [part.hex() for part in parts]


def _bytes(hexes: list[str]) -> list[bytes]:
    return [bytes.fromhex(each) for each in hexes]


def _cut(frames: bytes) -> list[str]:
    """Write frames one by one; what is no whole frame stands last."""
    try:
        return [framed(body).hex() for body in bodies_of(frames)]
    except AssertionError:
        return [frames.hex()]


def _step_value(step: VectorStep) -> dict[str, Any]:
    batch, output = step.batch, step.output
    return {
        "batch": {
            "time_ns": batch.time_ns,
            "wanted": batch.wanted.hex(),
            "runs": [_of_run(run) for run in batch.runs],
        },
        "output": {
            **output._asdict(),
            "replies": [[connection, _cut(frames)] for connection, frames in output.replies],
            "private": [[*row, _cut(frames)] for *row, frames in output.private],
            "market": [[*row, _cut(frames)] for *row, frames in output.market],
            "body": output.body.hex(),
            "progress": [each._asdict() for each in output.progress],
        },
        "state_hash": step.state_hash.hex(),
        "dump": _hexes(step.dump),
    }


def _of_run(run: Run) -> dict[str, Any]:
    return {
        "connection": run.connection,
        "attach": run.attach,
        "admit": run.admit,
        "frame_count": run.chunk.count,
        "frames": _cut(run.chunk.frames),
    }


def _run(row: dict[str, Any]) -> Run:
    chunk = chunk_of(b"".join(_bytes(row["frames"])))
    assert chunk.count == row["frame_count"]
    return Run(row["connection"], row["attach"], row["admit"], chunk)


def _step(value: dict[str, Any]) -> VectorStep:
    batch, output = value["batch"], value["output"]
    runs = [_run(run) for run in batch["runs"]]
    rows = {
        name: [(*row, b"".join(_bytes(frames))) for *row, frames in output[name]]
        for name in ("replies", "private", "market")
    }
    others = {
        "body": bytes.fromhex(output["body"]),
        "subscribed": [tuple(row) for row in output["subscribed"]],
        "progress": [Progress(**each) for each in output["progress"]],
        "weights": [tuple(row) for row in output["weights"]],
    }
    return VectorStep(
        Batch(batch["time_ns"], runs, bytes.fromhex(batch["wanted"])),
        Listed(**{**output, **rows, **others}),
        bytes.fromhex(value["state_hash"]),
        _bytes(value["dump"]),
    )
