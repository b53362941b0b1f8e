"""Read small files that others write: settings, keys, certificates.

Owns how they are read; blocking, any thread may call it. Guarantees: a path is opened once and
without waiting, and what is checked and read is the opened file, even if another one takes its
place afterwards. Only a regular file is read, and at most FILE_BYTES_MAX of it, whatever size it
reports or grows to. Symbolic links are followed by that one opening: container platforms mount
secrets and configurations as links, and a user that can change the link can change the file
itself. Rules: docs/operations.md, "Files".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hpe.errors import ConfigError

FILE_BYTES_MAX: Final = 1024 * 1024
"""Enough for some 5,000 keys or pairs, or four times the certificates that a system trusts. A
larger file was given by mistake, and a sparse one must not exhaust the service's memory."""

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def read_small(
    path: str | Path, check: Callable[[os.stat_result, str | Path], None] | None = None
) -> bytes:
    """Read a whole file.

    Args:
        path: the file's path.
        check: called with the status of the opened file; raises if it is not acceptable.

    Raises:
        ConfigError: the file cannot be read, is not a regular file, or is too large.
    """
    try:
        # O_NONBLOCK, because opening a pipe must not block the service.
        descriptor = os.open(path, _FLAGS)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{path}: is not a file")
            if check is not None:
                check(status, path)
            if status.st_size <= FILE_BYTES_MAX:
                content = _read_bounded(descriptor)
                if len(content) <= FILE_BYTES_MAX:
                    return content
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    found = max(status.st_size, FILE_BYTES_MAX + 1)
    raise ConfigError(f"{path}: found {found} bytes; allowed: {FILE_BYTES_MAX}")


@contextmanager
def file_of(content: bytes) -> Iterator[str]:
    """Yield a path that leads to this content and nothing else while the block lasts.

    For libraries that read only files. The content stays in memory.

    Raises:
        ConfigError: the system does not support files in memory.
    """
    try:
        descriptor = os.memfd_create("hpe", os.MFD_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"cannot create a file in memory: {error.strerror}") from error
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _read_bounded(descriptor: int) -> bytes:
    """Read to the end of the file, or one byte more than is allowed."""
    pieces, room = [], FILE_BYTES_MAX + 1
    while room and (piece := os.read(descriptor, room)):
        pieces.append(piece)
        room -= len(piece)
    return b"".join(pieces)
