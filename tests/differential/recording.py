"""A stream of batches as a file: what two cores are given, exactly as they are given it.

Owns the form on disk: one MessagePack array of the limits, where the stream comes from, and its
batches with their bytes. Plain values; any thread may use them. A recording is whole: it replays
without the generator that made it. Guarantees that `parts` and `without` give recordings, so what
fails can be made smaller without knowing what its bytes mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from hpe.core.contract import Batch, Limits, Run
from hpe.protocol.frames import chunk_of, frame, split_frames

FORM: Final = 1
"""Raised whenever older files can no longer be read."""


class Frames(msgspec.Struct, array_like=True, frozen=True):
    """One run: consecutive frames of one connection."""

    connection: int
    attach: int
    admit: int
    frames: bytes

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of the frames."""
        return list(split_frames(self.frames))

    def of(self, bodies: list[bytes]) -> Frames:
        """Return the same run with other frames."""
        return msgspec.structs.replace(self, frames=b"".join(map(frame, bodies)))


class StreamStep(msgspec.Struct, array_like=True, frozen=True):
    """One batch, and what is done beside it.

    Before it: `asked`, the encoded configurations whose differences both cores are asked for, and
    `loads`, whether each goes on as a new core that loads the dump. After it: `hashes`, whether the
    state hash is compared and the state checked.
    """

    time_ns: int
    wanted: bytes
    runs: list[Frames]
    asked: list[bytes] = []
    loads: bool = False
    hashes: bool = False

    def batch(self) -> Batch:
        """Return what `apply` takes."""
        runs = [Run(r.connection, r.attach, r.admit, chunk_of(r.frames)) for r in self.runs]
        return Batch(self.time_ns, runs, self.wanted)


class RecordedStream(msgspec.Struct, array_like=True, frozen=True):
    """A stream. `origin` says how it was made; `replays`: a third core executes the log as well."""

    form: int
    origin: str
    limits: Limits
    replays: bool
    steps: list[StreamStep]

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return sum(len(run.bodies) for step in self.steps for run in step.runs)

    def of(self, steps: list[StreamStep]) -> RecordedStream:
        """Return a recording with other steps; its last one is compared by its state as well."""
        if steps and not steps[-1].hashes:
            steps = [*steps[:-1], msgspec.structs.replace(steps[-1], hashes=True)]
        return msgspec.structs.replace(self, steps=steps)


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(RecordedStream)


def save(recording: RecordedStream, path: Path) -> None:
    """Write a recording to disk."""
    path.write_bytes(_encoder.encode(recording))


def load(path: Path) -> RecordedStream:
    """Read a recording.

    Raises:
        ValueError: it has another form.
    """
    found = _decoder.decode(path.read_bytes())
    if found.form != FORM:
        raise ValueError(f"{path} has form {found.form}; this version reads {FORM}")
    return found
