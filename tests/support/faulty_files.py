"""A data directory that fails where a test wants it to, and remembers what a power cut keeps.

`FaultyFiles` wraps real files. It counts operations and makes the N-th one fail: with an error
(`eio`, `enospc`), by writing less than asked (`short`), or by ending the process (`killed`). It
also keeps what is durable: content up to the last sync of each file, what was written over since
then, names up to the last sync of the directory. `power_cut` gives what a disk may hold after the
power went: all that is durable and any part of the rest. One thread at a time.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random
from typing import Literal

from hpe.errors import WalError, WalReadError, WalWriteError
from hpe.wal.files import LOCK_NAME, AppendFile, LogFiles, OverwriteFile, WriteFile
from hpe.wal.format import SECTOR_BYTES

FaultKind = Literal["eio", "enospc", "short", "killed"]
_ERRNO = {"eio": errno.EIO, "enospc": errno.ENOSPC, "short": errno.ENOSPC}


class Killed(BaseException):
    """The process ended here; nothing in it may catch that."""


class _Content:
    """A file apart from its names: what was written, and how much of it is durable."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.durable_bytes = len(data)
        self._overwritten: list[tuple[int, bytes]] = []

    def overwrite(self, offset: int, data: bytes) -> None:
        assert offset + len(data) <= self.durable_bytes, "only what is there is written over"
        end = offset + len(data)
        self._overwritten.append((offset, bytes(self.data[offset:end])))
        self.data[offset:end] = data

    def sync(self) -> None:
        self.durable_bytes = len(self.data)
        self._overwritten.clear()

    def _partly_overwritten(self, random: Random) -> bytearray:
        """Take back some of what was written over: none of it, all, or the end of a write."""
        data = bytearray(self.data)
        for offset, before in reversed(self._overwritten):
            kept = random.choice((0, random.randrange(len(before) + 1), len(before)))
            data[offset + kept : offset + len(before)] = before[kept:]
        return data

    def after_power_cut(self, random: Random) -> bytes:
        """Keep what is durable and, of the rest, nothing, a beginning, or random sectors."""
        data = self._partly_overwritten(random)
        durable, rest = data[: self.durable_bytes], data[self.durable_bytes :]
        choice = random.randrange(3)
        if choice == 0:
            return bytes(durable)
        if choice == 1:
            return bytes(durable + rest[: random.randrange(len(rest) + 1)])
        kept = data
        start = self.durable_bytes
        while start < len(kept):
            end = min((start // SECTOR_BYTES + 1) * SECTOR_BYTES, len(kept))
            if random.randrange(2):
                kept[start:end] = bytes(end - start)
            start = end
        return bytes(kept)


class FaultyFiles:
    """LogFiles that fail at the `fail_at`-th operation, counted from 1; 0 never."""

    def __init__(self, files: LogFiles, fail_at: int = 0, kind: FaultKind = "eio") -> None:
        self._files = files
        self._fail_at = fail_at
        self._kind = kind
        self._dead = False
        self._locked = False
        self.operations: list[str] = []
        self._contents: dict[str, _Content] = {}
        # Every state that the directory has had since it was synced; the first is durable.
        self._directories: list[dict[str, _Content]] = [{}]

    @property
    def failed(self) -> bool:
        """True if the fault was reached."""
        return 0 < self._fail_at <= len(self.operations)

    def lock(self) -> None:
        self.step("lock", WalWriteError)
        self._files.lock()
        if self._locked:
            return  # a second process: what the first wrote is no more durable than it was
        self._locked = True
        for name in self._files.names():
            if name != LOCK_NAME:
                self._contents[name] = _Content(self._files.read(name))
        self._directories = [dict(self._contents)]

    def names(self) -> list[str]:
        self.step("names", WalReadError)
        return self._files.names()

    def read(self, name: str, bytes_max: int | None = None) -> bytes:
        self.step("read", WalReadError)
        return self._files.read(name, bytes_max)

    def create(self, name: str) -> AppendFile:
        self.step("create", WalWriteError)
        file = self._files.create(name)
        content = self._contents[name] = _Content()
        self._directories.append(dict(self._contents))
        return _FaultyAppendFile(self, file, content)

    def open_in_place(self, name: str) -> OverwriteFile:
        self.step("open_in_place", WalWriteError)
        return _FaultyOverwriteFile(self, self._files.open_in_place(name), self._contents[name])

    def rename(self, old: str, new: str) -> None:
        self.step("rename", WalWriteError)
        self._files.rename(old, new)
        self._contents[new] = self._contents.pop(old)
        self._directories.append(dict(self._contents))

    def remove(self, name: str) -> None:
        self.step("remove", WalWriteError)
        self._files.remove(name)
        del self._contents[name]
        self._directories.append(dict(self._contents))

    def sync_directory(self) -> None:
        self.step("sync_directory", WalWriteError)
        self._files.sync_directory()
        self._directories = [dict(self._contents)]

    def close(self) -> None:
        self._files.close()  # also what the end of a process does

    def power_cut(self, directory: Path, random: Random) -> None:
        """Write to a new directory what the disk may hold now."""
        assert self._locked, "what is durable is known only once the directory was taken"
        directory.mkdir()
        for name, content in random.choice(self._directories).items():
            (directory / name).write_bytes(content.after_power_cut(random))

    def restart(self, fail_at: int, kind: FaultKind) -> None:
        """Begin a new process on the same machine: its page cache lives on."""
        self._files.close()
        self._fail_at, self._kind, self._dead = fail_at, kind, False
        self.operations.clear()

    def step(self, operation: str, error_type: type[WalError]) -> None:
        """Count an operation; fail if it is the one."""
        if self._dead:
            raise Killed
        self.operations.append(operation)
        if len(self.operations) == self._fail_at:
            self.fail(operation, error_type)

    def is_next(self) -> bool:
        """True if the next operation is the one that fails."""
        return len(self.operations) + 1 == self._fail_at

    def fail(self, operation: str, error_type: type[WalError]) -> None:
        """Fail as the kind of fault says."""
        if self._kind == "killed":
            self._dead = True
            raise Killed
        number = _ERRNO[self._kind]
        raise error_type(f"cannot {operation}: {os.strerror(number)}") from OSError(
            number, os.strerror(number)
        )

    def written_of(self, data: bytes) -> bytes:
        """Return what the failing write of `data` still writes."""
        return data[: len(data) // 2] if self._kind in ("short", "killed") else b""


class _FaultyFile:
    def __init__(self, files: FaultyFiles, file: WriteFile, content: _Content) -> None:
        self._files = files
        self._file = file
        self._content = content

    def datasync(self) -> None:
        self._files.step("datasync", WalWriteError)
        self._file.datasync()
        self._content.sync()

    def sync(self) -> None:
        self._files.step("sync", WalWriteError)
        self._file.sync()
        self._content.sync()

    def check_place(self) -> None:
        self._file.check_place()

    def close(self) -> None:
        self._file.close()


class _FaultyAppendFile(_FaultyFile):
    def __init__(self, files: FaultyFiles, file: AppendFile, content: _Content) -> None:
        super().__init__(files, file, content)
        self._append_file = file

    def append(self, data: bytes) -> None:
        written = self._files.written_of(data) if self._files.is_next() else data
        self._append_file.append(written)
        self._content.data += written
        self._files.step("append", WalWriteError)


class _FaultyOverwriteFile(_FaultyFile):
    def __init__(self, files: FaultyFiles, file: OverwriteFile, content: _Content) -> None:
        super().__init__(files, file, content)
        self._overwrite_file = file

    def overwrite(self, offset: int, data: bytes) -> None:
        written = self._files.written_of(data) if self._files.is_next() else data
        self._overwrite_file.overwrite(offset, written)
        self._content.overwrite(offset, written)
        self._files.step("overwrite", WalWriteError)
