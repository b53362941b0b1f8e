"""A place for the files of simulated disks."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")  # a folder in it is made for each test, by mkdtemp


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder in memory, where the machine has that.

    What is durable FaultyFiles and the tests of damage decide themselves; a disk would only make
    some 10,000 recoveries wait for its syncs.
    """
    if not MEMORY.is_dir():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="hpe-", dir=MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
