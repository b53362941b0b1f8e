"""The only module of the log that touches a file system: a narrow interface, implemented once.

Owns the data directory's lock, the modes of its files (directory 0700, files 0600: they hold
everyone's orders) and the mapping of operating system errors to WalWriteError and WalReadError.
One thread at a time may use an open file; the log thread and the thread that fills files ahead
share a directory. Guarantees: a write is one system call whose count is checked; a handle that
failed once refuses every later call, because a kernel that failed a sync drops the dirty pages
and reports success the next time. Content is durable only once `datasync` or `sync` has returned,
a name only once `sync_directory` has. Once locked, the directory keeps being used wherever it is
moved; `check_place` compares it with what the configured path leads to.
Relies on Linux or POSIX semantics of rename, fsync of a directory, and flock. Source:
docs/log-format.md, "Disks" and "Locking".
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from hpe.errors import DataDirectoryBusy, WalError, WalReadError, WalWriteError
from hpe.files.durable_names import sync_directory
from hpe.wal.log import Piece

LOCK_NAME: Final = "lock"
ASIDE_SUFFIX: Final = ".new"
"""Suffix of unfinished files; a file that still carries it after a crash is worthless."""

_WRITE_FLAGS: Final = os.O_WRONLY | os.O_CLOEXEC
"""Without O_APPEND: with it, Linux writes at the end of the file, whatever the offset."""

_PARTS_MAX: Final = os.sysconf("SC_IOV_MAX")


class NoSpace(WalWriteError):
    """The disk or a quota has no room for a file or for what is written to it.

    Never raised for names and directories: after a failure there, the log must not go on.
    """


class WriteFile(Protocol):
    """A file open for writing; the caller tracks the offsets."""

    def write(self, offset: int, parts: Sequence[Piece]) -> None:
        """Write all parts, one after the other, at `offset` in one system call.

        Raises:
            NoSpace: there is no room for all of it; the handle refuses every later call.
            WalWriteError: the write failed; the handle refuses every later call.
        """

    def truncate(self, size_bytes: int) -> None:
        """Cut the file to `size_bytes`; durable after `sync`. Raises like `write`."""

    def datasync(self) -> None:
        """Make the content durable, with the metadata needed to read it.

        Raises:
            WalWriteError: the sync failed; the handle refuses every later call.
        """

    def sync(self) -> None:
        """Make content and metadata durable. Raises like `datasync`."""

    def named(self, name: str) -> None:
        """Note the file's new name, which error messages and `check_place` use."""

    def check_place(self) -> None:
        """Verify that the configured path still leads to this file.

        Raises:
            WalWriteError: the file or its directory was removed, moved or replaced.
        """

    def close(self) -> None:
        """Close the file. Makes nothing durable."""


class LogFiles(Protocol):
    """One data directory. Names are plain file names in it."""

    def lock(self) -> None:
        """Create the directory if it does not exist, and lock it until `close`.

        Raises:
            DataDirectoryBusy: another process holds the lock; the message names the process.
            WalWriteError: the directory cannot be created, made durable or locked.
        """

    def names(self) -> list[str]:
        """Return the names of the directory's files, sorted."""

    def read(self, name: str, bytes_max: int | None = None) -> bytes:
        """Return a file's content, or its first `bytes_max` bytes.

        Raises:
            WalReadError: the file cannot be read.
        """

    def create(self, name: str) -> WriteFile:
        """Open a new, empty file; an existing file of that name is replaced."""

    def open_in_place(self, name: str) -> WriteFile:
        """Open an existing file in order to overwrite parts of it."""

    def rename(self, old: str, new: str) -> None:
        """Rename a file, replacing any file of the new name; durable after `sync_directory`."""

    def remove(self, name: str) -> None:
        """Remove a file; durable after `sync_directory`."""

    def sync_directory(self) -> None:
        """Make creations, renames and removals durable."""

    def close(self) -> None:
        """Release the lock. Open files stay open."""


def write_file(files: LogFiles, name: str, chunks: Iterable[bytes]) -> WriteFile:
    """Create `name` so that after a crash it is whole and durable, or not there at all.

    Args:
        files: The directory.
        name: The final name; an existing file of that name is replaced.
        chunks: The content, in pieces of at most a few MiB.

    Returns:
        The file, open for writing; the caller closes it.

    Raises:
        WalWriteError: a step failed. `name` is unchanged or, after the rename, new.
    """
    aside = name + ASIDE_SUFFIX
    file = files.create(aside)
    offset = 0
    try:
        for chunk in chunks:
            file.write(offset, [chunk])
            offset += len(chunk)
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


@contextmanager
def _mapped_write(action: str, path: Path) -> Iterator[None]:
    with _mapped(WalWriteError, action, path):
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace(f"cannot {action} {path}: {error.strerror}") from error
            raise


class DirectoryFile:
    """WriteFile on a file descriptor, which is not used again after a failure."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._failed = False
        opened = os.fstat(descriptor)
        self._identity = opened.st_dev, opened.st_ino

    def write(self, offset: int, parts: Sequence[Piece]) -> None:
        """See WriteFile."""
        if len(parts) > _PARTS_MAX:
            parts = [b"".join(parts)]  # with so many parts, each is short
        with self._once("write to"):
            written = os.pwritev(self._descriptor, parts, offset)
            size_bytes = sum(map(len, parts))
            if written != size_bytes:
                # A full disk shows up like this first. The written part stays, as a torn tail.
                raise NoSpace(f"wrote {written} of {size_bytes} bytes to {self._path}")

    def truncate(self, size_bytes: int) -> None:
        """See WriteFile."""
        with self._once("truncate"):
            os.ftruncate(self._descriptor, size_bytes)

    def datasync(self) -> None:
        """See WriteFile."""
        with self._once("sync"):
            os.fdatasync(self._descriptor)

    def sync(self) -> None:
        """See WriteFile."""
        with self._once("sync"):
            os.fsync(self._descriptor)

    def named(self, name: str) -> None:
        """See WriteFile."""
        self._path = self._path.with_name(name)

    def check_place(self) -> None:
        """See WriteFile. A file that a path leads to has a link, so one `stat` is enough."""
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
        self._failed = True  # until the block has succeeded, however it is left
        with _mapped_write(action, self._path):
            yield
        self._failed = False


class DirectoryFiles:
    """LogFiles on a directory of the file system."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = Path(directory)
        self._descriptor: int | None = None  # of the directory, while it is locked
        self._lock_descriptor: int | None = None

    def lock(self) -> None:
        """See LogFiles.

        Both the directory and the lock file are locked. The lock file alone is not enough: if
        it is removed, a second service would create and lock a new one.
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
            return "unknown"  # the lock file was removed or cannot be read

    def names(self) -> list[str]:
        """See LogFiles."""
        with _mapped(WalReadError, "list", self._directory):
            return sorted(os.listdir(self._place()))

    def read(self, name: str, bytes_max: int | None = None) -> bytes:
        """See LogFiles."""

        def opener(path: str, flags: int) -> int:
            # Without O_NONBLOCK, opening a pipe would wait forever; regular files ignore it.
            return os.open(path, flags | os.O_NONBLOCK, dir_fd=self._descriptor)

        with (
            _mapped(WalReadError, "read", self._directory / name),
            open(self._name(name), "rb", opener=opener) as file,
        ):
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            return file.read(-1 if bytes_max is None else bytes_max)

    def create(self, name: str) -> WriteFile:
        """See LogFiles."""
        with _mapped_write("create", self._directory / name):
            flags = _WRITE_FLAGS | os.O_CREAT | os.O_TRUNC
            descriptor = os.open(self._name(name), flags, 0o600, dir_fd=self._descriptor)
        # Errors and `check_place` use the name that the file is going to have.
        return DirectoryFile(descriptor, self._directory / name.removesuffix(ASIDE_SUFFIX))

    def open_in_place(self, name: str) -> WriteFile:
        """See LogFiles."""
        path = self._directory / name
        with _mapped(WalWriteError, "open", path):
            descriptor = os.open(self._name(name), _WRITE_FLAGS, dir_fd=self._descriptor)
        return DirectoryFile(descriptor, path)

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
        # Closing the descriptor releases its flock.
        for descriptor in (self._lock_descriptor, self._descriptor):
            if descriptor is not None:
                os.close(descriptor)
        self._lock_descriptor = self._descriptor = None

    def _place(self) -> int | Path:
        return self._directory if self._descriptor is None else self._descriptor

    def _name(self, name: str) -> str | Path:
        """Return the name inside the locked directory, or the path where none is locked."""
        return self._directory / name if self._descriptor is None else name


def _make_directory(path: Path) -> None:
    """Create a directory and its missing parents, and make all of their entries durable.

    A power cut could take the whole log together with an entry that is not durable. An earlier
    start may have created any of these directories and died before it synced them. So every entry
    that this user can have created is synced, up to a parent that the user cannot write to or that
    is on another file system.
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
