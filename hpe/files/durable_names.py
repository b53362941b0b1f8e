"""Make names in a directory durable.

Blocking; any thread may call it. Guarantee: names that were created, renamed or removed before
`sync_directory` returned stay so after a power cut. Relies on POSIX: syncing a file covers its
content, and only syncing its directory covers its name.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make the entries of a directory durable.

    Raises:
        OSError: the directory cannot be opened or synced.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
