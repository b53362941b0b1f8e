"""Small files that somebody else writes: settings, keys, certificates.

Owns how they are read; blocking, any thread may call it. Guarantees: a path is opened once, without
waiting for anything, and what is judged and read is what was opened: nothing that takes its place
afterwards is looked at. Only a regular file is read, and of it FILE_BYTES_MAX at most, however
large it says it is or becomes. Symbolic links are followed by that one opening: secrets and
configurations are mounted as links by container platforms, and a user that can change them can
change the file itself. Rules: docs/operations.md, "Files".
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
"""Of one file: some 5,000 keys or pairs, or four times the certificates that a system trusts. What
is larger was not meant to be read here, and a sparse file must not take the memory of a service."""

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def read_small(
    path: str | Path, check: Callable[[os.stat_result, str | Path], None] | None = None
) -> bytes:
    """Read a whole file.

    Args:
        path: of the file.
        check: looks at the status of what was opened, and raises what it does not like.

    Raises:
        ConfigError: it cannot be read, is no regular file, or is too large.
    """
    try:
        # Not blocking: a pipe of that name must not hold the service up.
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
    """Yield a path under which nothing but this content can be read, while the block lasts.

    For libraries that read files only. The content is in memory alone.

    Raises:
        ConfigError: the system has no such files.
    """
    try:
        descriptor = os.memfd_create("hpe", os.MFD_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"no file can be made in memory: {error.strerror}") from error
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _read_bounded(descriptor: int) -> bytes:
    """Read until the end, or one byte more than is allowed."""
    pieces, room = [], FILE_BYTES_MAX + 1
    while room and (piece := os.read(descriptor, room)):
        pieces.append(piece)
        room -= len(piece)
    return b"".join(pieces)
