"""Who else could change the log: the owner and mode of the data directory.

Apart from one `stat` of the directory, pure; any thread may call it, before the log is opened. A
user that may write to a directory may rename and remove the files in it, whatever their modes.
Access that no deployment needs is refused; access that some need (a volume of a group, a directory
of the user that started a container) is reported. Rules: docs/operations.md, "Files".
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hpe.errors import ConfigError


def check_data_directory(path: str | Path) -> list[str]:
    """Return a sentence for the log about each other user that can change the data directory.

    A directory that does not exist yet is created by the log, accessible to its owner alone.

    Raises:
        ConfigError: every user can change it.
    """
    try:
        status = os.stat(path)
    except OSError:
        return []  # opening the log will report more
    mode = stat.S_IMODE(status.st_mode)
    if mode & stat.S_IWOTH:
        raise ConfigError(
            f"data_directory: found mode {mode:04o} of {path}; allowed: a mode that does not let "
            f"others write, because they could replace the log (chmod o-w {path})"
        )
    found = []
    if status.st_uid not in (os.geteuid(), 0):
        found.append(
            f"FOREIGN DIRECTORY: {path} belongs to user {status.st_uid}, but hpe runs as "
            f"{os.geteuid()}: user {status.st_uid} can replace the log"
        )
    if mode & stat.S_IWGRP:
        found.append(
            f"SHARED DIRECTORY: {path} has mode {mode:04o}: members of group {status.st_gid} "
            "can replace the log"
        )
    return found
