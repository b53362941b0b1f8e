"""The power is cut at every file operation of a log's life; the disk keeps any part of the rest.

Under `batch` everything published must come back. Under the relaxed policies everything published
as durable must, and the log is never refused: a power cut leaves a torn tail, not damage.
"""

from random import Random

import pytest

from hpe.config.settings import SyncPolicy
from hpe.core import new_core
from hpe.errors import WalError
from hpe.wal.files import DirectoryFiles
from hpe.wal.recovery import recover
from hpe.wal.writer import FileLog
from tests.support.faulty_files import FaultyFiles, Killed
from tests.support.log_builder import (
    BATCH,
    EVERY_THREE,
    INTERVAL,
    bodies,
    continuing,
    outputs,
    serve,
)

MADE = outputs(16)
SEGMENT_BYTES_MAX = 3000
CUTS_PER_OPERATION = 6
RELAXED = SyncPolicy(mode="every", every_commands=1000, interval_ms=60_000)


@pytest.mark.parametrize("policy", [BATCH, EVERY_THREE, INTERVAL], ids=lambda policy: policy.mode)
@pytest.mark.parametrize("kind", ["killed", "eio"])
def test_what_was_published_durable_survives(memory_path, policy, kind):
    fail_at, failed, kept = 1, True, set()  # 1 is the lock: before it there is no log to lose
    while failed:
        fail_at += 1
        files = FaultyFiles(DirectoryFiles(memory_path / f"log{fail_at}"), fail_at, kind)
        published = []
        failed = not lives(memory_path / f"log{fail_at}", policy, published, files)
        for cut in range(CUTS_PER_OPERATION):
            seed = fail_at * CUTS_PER_OPERATION + cut
            directory = memory_path / f"cut{seed}"
            files.power_cut(directory, Random(seed))
            kept.add(check(directory, policy, max(published, default=0), seed))
    assert fail_at > 30
    assert len(kept) > 10, "the cuts left too little to tell anything"


@pytest.mark.parametrize("policy", [EVERY_THREE, INTERVAL], ids=lambda policy: policy.mode)
def test_a_start_may_read_what_the_disk_does_not_have(memory_path, policy):
    """A killed process leaves its last records in the page cache; the next start replays them.

    Until it has written the segment anew the power may take them again: whatever the start has
    written by then, the mark above all, must not call them durable.
    """
    fail_at, failed, kept = 1, True, set()
    while failed:
        fail_at += 1
        files = FaultyFiles(DirectoryFiles(memory_path / f"log{fail_at}"))
        killed_between_syncs(files)
        files.restart(fail_at, "killed")
        try:
            recover(memory_path / f"log{fail_at}", new_core(), policy, files=files).log.close()
            failed = False
        except Killed:
            pass
        files.close()
        for seed in range(CUTS_PER_OPERATION):
            directory = memory_path / f"cut{fail_at}-{seed}"
            files.power_cut(directory, Random(seed))
            kept.add(check(directory, policy, MADE[0].last_sequence, seed))
    assert fail_at > 15
    assert MADE[0].last_sequence in kept
    assert MADE[3].last_sequence in kept


def killed_between_syncs(files):
    """Log four groups of which only the first is durable."""
    log = FileLog(files, RELAXED)
    log.open()
    tail = log.sync()
    log.append(tail, continuing(log, tail, MADE[0]))
    tail = log.sync()
    for output in MADE[1:4]:
        tail = log.append(tail, continuing(log, tail, output))
    log.close()


def lives(directory, policy, published, files):
    try:
        serve(
            directory, MADE, policy, published,
            files=files, segment_bytes_max=SEGMENT_BYTES_MAX, filling_from=6,
        )  # fmt: skip
    except (WalError, Killed):
        return False
    finally:
        files.close()
    return True


def check(directory, policy, durable, seed):
    """Recover what the disk kept, let the power go in that too, and recover again."""
    random = Random(seed)
    files = FaultyFiles(DirectoryFiles(directory), random.randrange(2, 20), "killed")
    try:
        recover(directory, new_core(), policy, files=files).log.close()
    except Killed:
        pass
    files.close()
    again = directory.with_suffix(".again")
    files.power_cut(again, random)
    core = new_core()
    recover(again, core, policy).log.close()
    assert core.last_sequence >= durable, f"seed {seed}: lost what was durable"
    read = bodies(DirectoryFiles(again))
    assert read == [output.body for output in MADE[: len(read)]], f"seed {seed}"
    return core.last_sequence
