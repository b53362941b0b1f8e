"""The data directory as others see it: who could change the log behind the service's back.

Pure but for one look at the directory; any thread may call it, before the log is opened. A user
that may write to a directory may rename and remove what is in it, whatever the modes of the files.
What no deployment needs is refused; what some need (a volume of a group, a directory of the user
that started a container) is reported. Rules: docs/operations.md, "Files".
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hpe.errors import ConfigError


def check_data_directory(path: str | Path) -> list[str]:
    """Return who else can change what is in the data directory: one sentence each, for the log.

    A directory that is not there yet is made by the log, for its owner alone.

    Raises:
        ConfigError: everybody can.
    """
    try:
        status = os.stat(path)
    except OSError:
        return []  # opening the log says more
    mode = stat.S_IMODE(status.st_mode)
    if mode & stat.S_IWOTH:
        raise ConfigError(
            f"data_directory: found mode {mode:04o} of {path}; allowed: one that lets others write "
            f"nothing, because who writes there can replace the log (chmod o-w {path})"
        )
    found = []
    if status.st_uid not in (os.geteuid(), 0):
        found.append(
            f"FOREIGN DIRECTORY: {path} belongs to user {status.st_uid}, this runs as "
            f"{os.geteuid()}: that user can replace the log"
        )
    if mode & stat.S_IWGRP:
        found.append(
            f"SHARED DIRECTORY: {path} has mode {mode:04o}: whoever is in group {status.st_gid} "
            "can replace the log"
        )
    return found
