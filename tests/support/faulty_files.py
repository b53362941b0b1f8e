"""A data directory that fails where a test wants, and remembers what a power cut would keep.

`FaultyFiles` wraps real files. It counts operations and makes the N-th one fail: with an error
(`eio`, `enospc`), by writing less than asked (`short`), or by ending the process (`killed`). It
also tracks what is durable: content as of the last sync of each file, names up to the last sync of
the directory. `power_cut` writes what a disk may hold after a power cut: everything durable and any
part of the rest, sector by sector. A write of zeros counts as `fill`, a write to a file that was
opened in place as `overwrite`. One thread at a time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Literal

from hpe.errors import WalError, WalReadError, WalWriteError
from hpe.wal.files import LOCK_NAME, LogFiles, NoSpace, WriteFile
from hpe.wal.format import SECTOR_BYTES
from hpe.wal.log import Piece

FaultKind = Literal["eio", "enospc", "short", "killed"]
_IN_FILES = ("create", "write", "fill", "overwrite", "truncate", "datasync", "sync")
_ERRNO = {"eio": errno.EIO, "enospc": errno.ENOSPC, "short": errno.ENOSPC}


class Killed(BaseException):
    """The process ended here; no code may catch this."""


_Change = tuple[int, bytes] | int
"""Bytes written at an offset, or a new size."""


def _apply(change: _Change, data: bytearray) -> None:
    if isinstance(change, int):
        del data[change:]
    else:
        offset, written = change
        data[offset : offset + len(written)] = written


class _Content:
    """The content of a file: what was written, and how much of it is durable."""

    def __init__(self, data: bytes = b"") -> None:
        self._durable = data
        self._changes: list[_Change] = []  # since the last sync
        self.size = len(data)

    def write(self, offset: int, data: bytes) -> None:
        assert offset <= self.size, "a write behind the end leaves a hole"
        self._changes.append((offset, data))
        self.size = max(self.size, offset + len(data))

    def truncate(self, size: int) -> None:
        assert size <= self.size
        self._changes.append(size)
        self.size = size

    def sync(self) -> None:
        data = bytearray(self._durable)
        for change in self._changes:
            _apply(change, data)
        self._durable = bytes(data)
        self._changes.clear()

    def _images(self) -> list[bytes]:
        """Return the durable content, and the content after each later change."""
        data = bytearray(self._durable)
        images = [self._durable]
        for change in self._changes:
            _apply(change, data)
            images.append(bytes(data))
        return images

    def after_power_cut(self, random: Random) -> bytes:
        """Return the durable content with none, a beginning, or random sectors of the rest."""
        images = self._images()
        choice = random.randrange(3)
        if choice == 0 or len(images) == 1:
            return images[0]
        if choice == 1:
            return self._up_to_a_byte_or_sector(images, random)
        # Each sector is as it was at first, or after any of the changes; so is the size.
        sizes = [*map(len, images), random.randrange(max(map(len, images)) + 1)]
        size = max(min(map(len, images)), random.choice(sizes))
        kept = bytearray()
        for start in range(0, size, SECTOR_BYTES):
            sector = random.choice(images)[start : start + SECTOR_BYTES]
            kept += sector.ljust(min(SECTOR_BYTES, size - start), b"\0")
        return bytes(kept[:size])

    def _up_to_a_byte_or_sector(self, images: list[bytes], random: Random) -> bytes:
        """Apply the changes in order, the last one in part."""
        count = random.randrange(1, len(images))
        before, change = images[count - 1], self._changes[count - 1]
        if isinstance(change, int):
            return random.choice((before, images[count]))
        offset, written = change
        part = written_in_part(len(before), offset, written, random.randrange(len(written) + 1))
        return before[:offset] + part + before[offset + len(part) :]


def written_in_part(size: int, offset: int, data: bytes, count: int) -> bytes:
    """Return how much of a `count`-byte partial write takes effect: inside a file, whole sectors.

    Beyond the end, the size shows how far it came. Inside the file no kernel and no disk writes
    part of a sector: a killed process stops between two pages.
    """
    if offset + count < size:
        border = (offset + count) // SECTOR_BYTES * SECTOR_BYTES
        count = max(0, border - offset)
    return data[:count]


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
            return  # a second process: what the first one wrote did not become durable by this
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

    def create(self, name: str) -> WriteFile:
        self.step("create", WalWriteError)
        file = self._files.create(name)
        content = self._contents[name] = _Content()
        self._directories.append(dict(self._contents))
        return _FaultyFile(self, file, content, "write")

    def open_in_place(self, name: str) -> WriteFile:
        self.step("open_in_place", WalWriteError)
        file = self._files.open_in_place(name)
        return _FaultyFile(self, file, self._contents[name], "overwrite")

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
        """Write what the disk may hold now to a new directory."""
        assert self._locked, "what is durable is known only once the directory was taken"
        directory.mkdir()
        for name, content in random.choice(self._directories).items():
            (directory / name).write_bytes(content.after_power_cut(random))

    def restart(self, fail_at: int, kind: FaultKind) -> None:
        """Begin a new process on the same machine: its page cache survives."""
        self._files.close()
        self._fail_at, self._kind, self._dead = fail_at, kind, False
        self.operations.clear()

    def step(self, operation: str, error_type: type[WalError]) -> None:
        """Count an operation; fail if its number has come."""
        if self._dead:
            raise Killed
        self.operations.append(operation)
        if len(self.operations) == self._fail_at:
            self.fail(operation, error_type)

    def is_next(self) -> bool:
        """True if the next operation is the one that fails."""
        return len(self.operations) + 1 == self._fail_at

    def fail(self, operation: str, error_type: type[WalError]) -> None:
        """Fail according to the kind of fault."""
        if self._kind == "killed":
            self._dead = True
            raise Killed
        number = _ERRNO[self._kind]
        if number == errno.ENOSPC and operation in _IN_FILES:
            error_type = NoSpace
        raise error_type(f"cannot {operation}: {os.strerror(number)}") from OSError(
            number, os.strerror(number)
        )

    def written_of(self, size: int, offset: int, data: bytes) -> bytes:
        """Return what the failing write of `data` still writes into a file of that size."""
        if self._kind not in ("short", "killed"):
            return b""
        return written_in_part(size, offset, data, len(data) // 2)


class _FaultyFile:
    """A WriteFile that fails when its FaultyFiles says so; a write counts as `operation`."""

    def __init__(
        self, files: FaultyFiles, file: WriteFile, content: _Content, operation: str
    ) -> None:
        self._files = files
        self._file = file
        self._content = content
        self._operation = operation

    def write(self, offset: int, parts: Sequence[Piece]) -> None:
        whole = b"".join(parts)
        operation = "fill" if whole == bytes(len(whole)) else self._operation
        if self._files.is_next():
            written = self._files.written_of(self._content.size, offset, whole)
            parts = [written]
        else:
            written = whole
        self._file.write(offset, parts)
        self._content.write(offset, written)
        self._files.step(operation, WalWriteError)

    def truncate(self, size_bytes: int) -> None:
        self._files.step("truncate", WalWriteError)
        self._file.truncate(size_bytes)
        self._content.truncate(size_bytes)

    def datasync(self) -> None:
        self._files.step("datasync", WalWriteError)
        self._file.datasync()
        self._content.sync()

    def sync(self) -> None:
        self._files.step("sync", WalWriteError)
        self._file.sync()
        self._content.sync()

    def named(self, name: str) -> None:
        self._file.named(name)

    def check_place(self) -> None:
        self._file.check_place()

    def close(self) -> None:
        self._file.close()
