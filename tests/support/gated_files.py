"""A data directory whose syncs wait at a gate: nothing becomes durable until it opens."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from hpe.wal.files import DirectoryFiles, WriteFile
from hpe.wal.log import Piece


class GatedFiles(DirectoryFiles):
    """The real files; `gate` is open at first, `waiting` is set while a sync waits at it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()

    def create(self, name: str) -> WriteFile:
        """Create a file whose data syncs pass the gate."""
        return _GatedFile(super().create(name), self)


class _GatedFile:
    def __init__(self, file: WriteFile, files: GatedFiles) -> None:
        self._file = file
        self._files = files

    def write(self, offset: int, parts: Sequence[Piece]) -> None:
        self._file.write(offset, parts)

    def truncate(self, size_bytes: int) -> None:
        self._file.truncate(size_bytes)

    def datasync(self) -> None:
        if not self._files.gate.is_set():
            self._files.waiting.set()
            self._files.gate.wait()
        self._file.datasync()

    def sync(self) -> None:
        self._file.sync()

    def named(self, name: str) -> None:
        self._file.named(name)

    def check_place(self) -> None:
        self._file.check_place()

    def close(self) -> None:
        self._file.close()
