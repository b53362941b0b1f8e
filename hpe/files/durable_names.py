"""Names in a directory, made durable.

Blocking; any thread may call it. Guarantee: what was created, renamed or removed in a directory
before `sync_directory` returned is so after a power cut, too. Relies on POSIX: the sync of a file
covers its content, and only that of its directory covers its name.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make the entries of a directory durable.

    Raises:
        OSError: it cannot be opened or synced.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
