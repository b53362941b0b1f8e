"""The only place where the log touches a file system: a narrow interface and its real form.

Owns the data directory's lock, the modes of its files (directory 0700, files 0600: they hold
everybody's orders) and the mapping of operating system errors to WalWriteError and WalReadError.
One thread at a time may use an object of this module. Guarantees: an append is one write whose
count is checked; a handle that failed once refuses everything after, because a kernel that failed
a sync forgets the dirty pages and reports success the next time. Nothing is durable before
`datasync`/`sync` returned, and no name before `sync_directory` did. Relies on Linux or POSIX
semantics of rename, fsync of a directory, and flock. Source: docs/log-format.md, "Disks".
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from hpe.errors import DataDirectoryBusy, WalError, WalReadError, WalWriteError

LOCK_NAME: Final = "lock"
ASIDE_SUFFIX: Final = ".new"
"""Names of files that are not finished; whatever carries it after a crash is worth nothing."""

_APPEND_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class AppendFile(Protocol):
    """A file open for writing at its end."""

    def append(self, data: bytes) -> None:
        """Write all of `data` with one write.

        Raises:
            WalWriteError: it failed or wrote less; the handle refuses everything after.
        """

    def datasync(self) -> None:
        """Make the content durable, and of the metadata what is needed to read it.

        Raises:
            WalWriteError: it failed; the handle refuses everything after.
        """

    def sync(self) -> None:
        """Make content and metadata durable. Raises like `datasync`."""

    def close(self) -> None:
        """Let go of the file; makes nothing durable."""


class LogFiles(Protocol):
    """One data directory. Names are plain file names inside it."""

    def lock(self) -> None:
        """Create the directory if there is none, and take it until `close`.

        Raises:
            DataDirectoryBusy: another process has it; the message names the process.
        """

    def names(self) -> list[str]:
        """List the directory's files, sorted."""

    def read(self, name: str, bytes_max: int | None = None) -> bytes:
        """Give a file's content, or its first `bytes_max` bytes.

        Raises:
            WalReadError: it cannot be read.
        """

    def create(self, name: str) -> AppendFile:
        """Open a new, empty file, in place of one that may have that name."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, also one that is taken; durable with `sync_directory`."""

    def remove(self, name: str) -> None:
        """Remove a file; durable with `sync_directory`."""

    def sync_directory(self) -> None:
        """Make creations, renames and removals durable."""

    def close(self) -> None:
        """Release the lock. Files that are open stay open."""


def write_file(files: LogFiles, name: str, chunks: Iterable[bytes]) -> AppendFile:
    """Create `name` with a content so that it exists whole and durable, or not at all.

    Args:
        files: The directory.
        name: The final name; a file that has it is replaced.
        chunks: The content, in pieces of at most a few MiB.

    Returns:
        The file, open for appending; the caller closes it.

    Raises:
        WalWriteError: a step failed. `name` is as before, or (after the rename) new.
    """
    aside = name + ASIDE_SUFFIX
    file = files.create(aside)
    try:
        for chunk in chunks:
            file.append(chunk)
        file.sync()
        files.rename(aside, name)
        files.sync_directory()
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def _mapped(error_type: type[WalError], action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise error_type(f"cannot {action} {path}: {error.strerror or error}") from error


class DirectoryAppendFile:
    """The real AppendFile: a file descriptor that is not used again after a failure."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._failed = False

    def append(self, data: bytes) -> None:
        """See AppendFile."""
        with self._once("write to"):
            written = os.write(self._descriptor, data)
            if written != len(data):
                # A full disk shows like this first. What was written stays: it is a torn tail.
                raise WalWriteError(f"wrote {written} of {len(data)} bytes to {self._path}")

    def datasync(self) -> None:
        """See AppendFile."""
        with self._once("sync"):
            os.fdatasync(self._descriptor)

    def sync(self) -> None:
        """See AppendFile."""
        with self._once("sync"):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """See AppendFile."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @contextmanager
    def _once(self, action: str) -> Iterator[None]:
        if self._failed:
            raise WalWriteError(f"{self._path} failed before and is not used again")
        self._failed = True  # until it went well, whatever leaves this block
        with _mapped(WalWriteError, action, self._path):
            yield
        self._failed = False


def _make_directory(path: Path) -> None:
    """Make a directory and those above it, each durable before the next.

    An entry that is not synced could take the whole log with it.
    """
    if not path.is_dir():
        _make_directory(path.parent)
        path.mkdir(mode=0o700)
        _sync_directory(path.parent)


class DirectoryFiles:
    """The real LogFiles: a directory of the file system."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = Path(directory)
        self._lock_descriptor = -1

    def lock(self) -> None:
        """See LogFiles."""
        with _mapped(WalWriteError, "create", self._directory):
            _make_directory(self._directory)
        path = self._directory / LOCK_NAME
        with _mapped(WalWriteError, "open", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        self._lock_descriptor = descriptor

    def _take(self, descriptor: int, path: Path) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise DataDirectoryBusy(f"{self._directory} is in use by process {holder}") from None
        with _mapped(WalWriteError, "write to", path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def names(self) -> list[str]:
        """See LogFiles."""
        with _mapped(WalReadError, "list", self._directory):
            return sorted(os.listdir(self._directory))

    def read(self, name: str, bytes_max: int | None = None) -> bytes:
        """See LogFiles."""
        path = self._directory / name
        with _mapped(WalReadError, "read", path):
            if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
                raise OSError(errno.EINVAL, "not a regular file")
        with _mapped(WalReadError, "read", path), path.open("rb") as file:
            return file.read(-1 if bytes_max is None else bytes_max)

    def create(self, name: str) -> AppendFile:
        """See LogFiles."""
        path = self._directory / name
        with _mapped(WalWriteError, "create", path):
            flags = _APPEND_FLAGS | os.O_CREAT | os.O_TRUNC
            descriptor = os.open(path, flags, 0o600)
        # Errors name the file by the name that it is going to have.
        return DirectoryAppendFile(descriptor, self._directory / name.removesuffix(ASIDE_SUFFIX))

    def rename(self, old: str, new: str) -> None:
        """See LogFiles."""
        path = self._directory / old
        with _mapped(WalWriteError, "rename", path):
            os.rename(path, self._directory / new)

    def remove(self, name: str) -> None:
        """See LogFiles."""
        path = self._directory / name
        with _mapped(WalWriteError, "remove", path):
            os.unlink(path)

    def sync_directory(self) -> None:
        """See LogFiles."""
        with _mapped(WalWriteError, "sync", self._directory):
            _sync_directory(self._directory)

    def close(self) -> None:
        """See LogFiles."""
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)  # the flock goes with the last descriptor
            self._lock_descriptor = -1


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
