"""The only place where the log touches a file system: a narrow interface and its real form.

Owns the data directory's lock, the modes of its files (directory 0700, files 0600: they hold
everybody's orders) and the mapping of operating system errors to WalWriteError and WalReadError.
One thread at a time may use an open file; a directory is shared by the log's thread and the one
that fills ahead. Guarantees: a write is one system call whose count is checked; a handle that
failed once refuses everything after, because a kernel that failed a sync forgets the dirty pages
and reports success the next time. Nothing is durable before `datasync`/`sync` returned, and no
name before `sync_directory` did. Once locked, every name is looked up in the directory that was
locked, wherever it is by then; `check_place` compares that with what the configured path leads to.
Relies on Linux or POSIX semantics of rename, fsync of a directory, and flock. Source:
docs/log-format.md, "Disks" and "Place".
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

LOCK_NAME: Final = "lock"
ASIDE_SUFFIX: Final = ".new"
"""Names of files that are not finished; whatever carries it after a crash is worth nothing."""

_WRITE_FLAGS: Final = os.O_WRONLY | os.O_CLOEXEC
"""Without O_APPEND: with it, Linux writes at the end whatever offset is asked for."""

_PARTS_MAX: Final = os.sysconf("SC_IOV_MAX")


class NoSpace(WalWriteError):
    """The disk, or a quota, has no room for a file or what is written to it.

    Of names and directories it is not told: after a failure there nobody may go on.
    """


class WriteFile(Protocol):
    """A file open for writing at offsets that its user tracks."""

    def write(self, offset: int, parts: Sequence[bytes]) -> None:
        """Write all parts, one behind the other, at `offset` with one write.

        Raises:
            NoSpace: there is no room for all of it; the handle refuses everything after.
            WalWriteError: it failed; the handle refuses everything after.
        """

    def truncate(self, size_bytes: int) -> None:
        """Take off what is behind `size_bytes`; durable with `sync`. Raises like `write`."""

    def datasync(self) -> None:
        """Make the content durable, and of the metadata what is needed to read it.

        Raises:
            WalWriteError: it failed; the handle refuses everything after.
        """

    def sync(self) -> None:
        """Make content and metadata durable. Raises like `datasync`."""

    def named(self, name: str) -> None:
        """Note the name that it was given: its errors and `check_place` go by that."""

    def check_place(self) -> None:
        """Prove that the file still is what its configured path leads to.

        Raises:
            WalWriteError: it was removed, moved or replaced, or its directory was.
        """

    def close(self) -> None:
        """Let go of the file; makes nothing durable."""


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

    def create(self, name: str) -> WriteFile:
        """Open a new, empty file, in place of one that may have that name."""

    def open_in_place(self, name: str) -> WriteFile:
        """Open a file that is there, to write over parts of it."""

    def rename(self, old: str, new: str) -> None:
        """Rename a file, replacing any file of the new name; durable with `sync_directory`."""

    def remove(self, name: str) -> None:
        """Remove a file; durable with `sync_directory`."""

    def sync_directory(self) -> None:
        """Make creations, renames and removals durable."""

    def close(self) -> None:
        """Release the lock. Files that are open stay open."""


def write_file(files: LogFiles, name: str, chunks: Iterable[bytes]) -> WriteFile:
    """Create `name` with a content so that it exists whole and durable, or not at all.

    Args:
        files: The directory.
        name: The final name; a file that has it is replaced.
        chunks: The content, in pieces of at most a few MiB.

    Returns:
        The file, open for writing; the caller closes it.

    Raises:
        WalWriteError: a step failed. `name` is as before, or (after the rename) new.
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
    """The real WriteFile: a file descriptor that is not used again after a failure."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._failed = False
        opened = os.fstat(descriptor)
        self._identity = opened.st_dev, opened.st_ino

    def write(self, offset: int, parts: Sequence[bytes]) -> None:
        """See WriteFile."""
        if len(parts) > _PARTS_MAX:
            parts = [b"".join(parts)]  # so many are short
        with self._once("write to"):
            written = os.pwritev(self._descriptor, parts, offset)
            size_bytes = sum(map(len, parts))
            if written != size_bytes:
                # A full disk shows like this first. What was written stays: it is a torn tail.
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
        with _mapped_write(action, self._path):
            yield
        self._failed = False


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

    def create(self, name: str) -> WriteFile:
        """See LogFiles."""
        with _mapped_write("create", self._directory / name):
            flags = _WRITE_FLAGS | os.O_CREAT | os.O_TRUNC
            descriptor = os.open(self._name(name), flags, 0o600, dir_fd=self._descriptor)
        # The file is named by what it is going to be called: in errors, and where it is looked for.
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
