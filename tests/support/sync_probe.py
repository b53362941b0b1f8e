"""The probe: syncs a file of its own beside the service's log, and notes how long each sync takes.

What a durable reply waits for at least. `SyncProbe` starts and ends the process;
`python -m tests.support.sync_probe` is the process. It appends and syncs as the log does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Final

from tests.support.watcher import READY, Sample, Watcher, told_to_stop

SYNC_BYTES: Final = 512
SYNC_EVERY_S: Final = 0.01


class SyncProbe(Watcher):
    """The process; a context manager.

    Args:
        folder: on the disk in question.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("tests.support.sync_probe", folder, [])

    def stop(self) -> list[Sample]:
        """End it; return the syncs."""
        return [Sample(*row) for row in self.noted()]


def _main(log_file: Path) -> None:
    syncs: list[Sample] = []
    path = log_file.with_suffix(".sync")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    print(READY, flush=True)
    while not told_to_stop(SYNC_EVERY_S):
        os.write(descriptor, bytes(SYNC_BYTES))
        begin_s = time.monotonic()
        os.fdatasync(descriptor)
        syncs.append(Sample(begin_s, time.monotonic() - begin_s))
    os.close(descriptor)
    log_file.write_text(json.dumps(syncs))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
