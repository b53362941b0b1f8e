"""The only place where the log touches a file system: a narrow interface and its real form.

Owns the data directory's lock, the modes of its files (directory 0700, files 0600: they hold
everybody's orders) and the mapping of operating system errors to WalWriteError and WalReadError.
One thread at a time may use an object of this module. Guarantees: an append is one write whose
count is checked; a handle that failed once refuses everything after, because a kernel that failed
a sync forgets the dirty pages and reports success the next time. Nothing is durable before
`datasync`/`sync` returned, and no name before `sync_directory` did. Once locked, every name is
looked up in the directory that was locked, wherever it is by then; `check_place` compares that with
what the configured path leads to. Relies on Linux or POSIX semantics of rename, fsync of a
directory, and flock. Source: docs/log-format.md, "Disks" and "Place".
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
from hpe.files.durable_names import sync_directory

LOCK_NAME: Final = "lock"
ASIDE_SUFFIX: Final = ".new"
"""Names of files that are not finished; whatever carries it after a crash is worth nothing."""

_APPEND_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class WriteFile(Protocol):
    """A file open for writing."""

    def datasync(self) -> None:
        """Make the content durable, and of the metadata what is needed to read it.

        Raises:
            WalWriteError: it failed; the handle refuses everything after.
        """

    def sync(self) -> None:
        """Make content and metadata durable. Raises like `datasync`."""

    def check_place(self) -> None:
        """Prove that the file still is what its configured path leads to.

        Raises:
            WalWriteError: it was removed, moved or replaced, or its directory was.
        """

    def close(self) -> None:
        """Let go of the file; makes nothing durable."""


class AppendFile(WriteFile, Protocol):
    """A file open for writing at its end."""

    def append(self, data: bytes) -> None:
        """Write all of `data` with one write.

        Raises:
            WalWriteError: it failed or wrote less; the handle refuses everything after.
        """


class OverwriteFile(WriteFile, Protocol):
    """A file open for writing in place."""

    def overwrite(self, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset` with one write. Raises like AppendFile.append."""


class LogFiles(Protocol):
    """One data directory. Names are plain file names inside it."""

    def lock(self) -> None:
        """Create the directory if there is none, and take it until `close`.

        Raises:
            DataDirectoryBusy: another process has it; the message names the process.
            WalWriteError: it cannot be created, made durable or locked.
        """

    def names(self) -> list[str]:
        """List the directory's files, sorted."""

    def read(self, name: str, bytes_max: int | None = None) -> bytes:
        """Return a file's content, or its first `bytes_max` bytes.

        Raises:
            WalReadError: it cannot be read.
        """

    def create(self, name: str) -> AppendFile:
        """Open a new, empty file, in place of one that may have that name."""

    def open_in_place(self, name: str) -> OverwriteFile:
        """Open a file that is there, to write over parts of it."""

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


class _DirectoryFile:
    """The real WriteFile: a file descriptor that is not used again after a failure."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._failed = False
        opened = os.fstat(descriptor)
        self._identity = opened.st_dev, opened.st_ino

    def datasync(self) -> None:
        """See WriteFile."""
        with self._once("sync"):
            os.fdatasync(self._descriptor)

    def sync(self) -> None:
        """See WriteFile."""
        with self._once("sync"):
            os.fsync(self._descriptor)

    def check_place(self) -> None:
        """See WriteFile. A file that a path leads to has a link, so one system call tells all."""
        with _mapped(WalWriteError, "look for", self._path):
            try:
                found = os.stat(self._path)
            except (FileNotFoundError, NotADirectoryError):
                raise WalWriteError(
                    f"{self._path} was removed or moved while it was in use"
                ) from None
        if (found.st_dev, found.st_ino) != self._identity:
            raise WalWriteError(f"{self._path} was replaced while it was in use")

    def close(self) -> None:
        """See WriteFile."""
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

    def _check_whole(self, written: int, data: bytes) -> None:
        if written != len(data):
            # A full disk shows like this first. What was written stays: it is a torn tail.
            raise WalWriteError(f"wrote {written} of {len(data)} bytes to {self._path}")


class DirectoryAppendFile(_DirectoryFile):
    """The real AppendFile."""

    def append(self, data: bytes) -> None:
        """See AppendFile."""
        with self._once("write to"):
            self._check_whole(os.write(self._descriptor, data), data)


class DirectoryOverwriteFile(_DirectoryFile):
    """The real OverwriteFile."""

    def overwrite(self, offset: int, data: bytes) -> None:
        """See OverwriteFile."""
        with self._once("write to"):
            self._check_whole(os.pwrite(self._descriptor, data, offset), data)


class DirectoryFiles:
    """The real LogFiles: a directory of the file system."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = Path(directory)
        self._descriptor: int | None = None  # of the directory, while it is locked
        self._lock_descriptor: int | None = None

    def lock(self) -> None:
        """See LogFiles.

        Both the directory and the lock file are locked. The file alone is not enough: people
        remove it, and a second service would then lock a new one.
        """
        with _mapped(WalWriteError, "create", self._directory):
            _make_directory(self._directory)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            with _mapped(WalWriteError, "open", self._directory):
                self._descriptor = os.open(self._directory, flags)
            self._take(self._descriptor, self._directory)
            path = self._directory / LOCK_NAME
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            with _mapped(WalWriteError, "open", path):
                self._lock_descriptor = os.open(LOCK_NAME, flags, 0o600, dir_fd=self._descriptor)
            self._take(self._lock_descriptor, path)
            with _mapped(WalWriteError, "write to", path):
                os.ftruncate(self._lock_descriptor, 0)
                os.pwrite(self._lock_descriptor, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            self.close()
            raise

    def _take(self, descriptor: int, path: Path) -> None:
        with _mapped(WalWriteError, "lock", path):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataDirectoryBusy(
                    f"{self._directory} is in use by process {self._holder()}"
                ) from None

    def _holder(self) -> str:
        try:
            return self.read(LOCK_NAME, 32).decode("ascii", "replace").strip() or "unknown"
        except WalReadError:
            return "unknown"  # somebody removed the lock file, or never had the right to read it

    def names(self) -> list[str]:
        """See LogFiles."""
        with _mapped(WalReadError, "list", self._directory):
            return sorted(os.listdir(self._place()))

    def read(self, name: str, bytes_max: int | None = None) -> bytes:
        """See LogFiles."""

        def opener(path: str, flags: int) -> int:
            # A pipe would have the opening wait forever without O_NONBLOCK; files do not mind it.
            return os.open(path, flags | os.O_NONBLOCK, dir_fd=self._descriptor)

        with (
            _mapped(WalReadError, "read", self._directory / name),
            open(self._name(name), "rb", opener=opener) as file,
        ):
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            return file.read(-1 if bytes_max is None else bytes_max)

    def create(self, name: str) -> AppendFile:
        """See LogFiles."""
        with _mapped(WalWriteError, "create", self._directory / name):
            flags = _APPEND_FLAGS | os.O_CREAT | os.O_TRUNC
            descriptor = os.open(self._name(name), flags, 0o600, dir_fd=self._descriptor)
        # The file is named by what it is going to be called: in errors, and where it is looked for.
        return DirectoryAppendFile(descriptor, self._directory / name.removesuffix(ASIDE_SUFFIX))

    def open_in_place(self, name: str) -> OverwriteFile:
        """See LogFiles."""
        path = self._directory / name
        with _mapped(WalWriteError, "open", path):
            # Without O_APPEND: with it, Linux writes at the end whatever offset is asked for.
            flags = os.O_WRONLY | os.O_CLOEXEC
            descriptor = os.open(self._name(name), flags, dir_fd=self._descriptor)
        return DirectoryOverwriteFile(descriptor, path)

    def rename(self, old: str, new: str) -> None:
        """See LogFiles."""
        with _mapped(WalWriteError, "rename", self._directory / old):
            place = self._descriptor
            os.rename(self._name(old), self._name(new), src_dir_fd=place, dst_dir_fd=place)

    def remove(self, name: str) -> None:
        """See LogFiles."""
        with _mapped(WalWriteError, "remove", self._directory / name):
            os.unlink(self._name(name), dir_fd=self._descriptor)

    def sync_directory(self) -> None:
        """See LogFiles."""
        with _mapped(WalWriteError, "sync", self._directory):
            if self._descriptor is None:
                sync_directory(self._directory)
            else:
                os.fsync(self._descriptor)

    def close(self) -> None:
        """See LogFiles."""
        # A flock goes with its descriptor.
        for descriptor in (self._lock_descriptor, self._descriptor):
            if descriptor is not None:
                os.close(descriptor)
        self._lock_descriptor = self._descriptor = None

    def _place(self) -> int | Path:
        return self._directory if self._descriptor is None else self._descriptor

    def _name(self, name: str) -> str | Path:
        """Return what names a file: inside the locked directory its name, else its path."""
        return self._directory / name if self._descriptor is None else name


def _make_directory(path: Path) -> None:
    """Make a directory and those above it, and make all of their entries durable.

    An entry that is not durable could take the whole log with it. An earlier start may have made
    any of them and died before it synced them, so all entries are synced that this user can have
    made: up to a parent that it cannot write to, or that is on another file system.
    """
    missing = [parent for parent in (path, *path.parents) if not parent.is_dir()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700)
    path = path.resolve()
    device = path.stat().st_dev
    for parent in path.parents:
        if parent.stat().st_dev != device or not os.access(parent, os.R_OK | os.W_OK):
            return
        sync_directory(parent)
