"""The power goes at every file operation of a log's life; the disk keeps any part of the rest.

Under `batch` everything published must come back. Under the relaxed policies everything published
as durable must, and the log is never refused: what a power cut leaves is a torn tail, not damage.
"""

from random import Random

import pytest

from hpe.core import new_core
from hpe.errors import WalError
from hpe.wal.files import DirectoryFiles
from hpe.wal.recovery import recover
from tests.support.faulty_files import FaultyFiles, Killed
from tests.support.log_builder import BATCH, EVERY_THREE, INTERVAL, bodies, outputs, serve

MADE = outputs(16)
SEGMENT_BYTES_MAX = 3000
CUTS_PER_OPERATION = 6


@pytest.mark.parametrize("policy", [BATCH, EVERY_THREE, INTERVAL], ids=lambda policy: policy.mode)
@pytest.mark.parametrize("kind", ["killed", "eio"])
def test_what_was_published_durable_survives(tmp_path, policy, kind):
    fail_at, failed, kept = 1, True, set()  # 1 is the lock: before it there is no log to lose
    while failed:
        fail_at += 1
        files = FaultyFiles(DirectoryFiles(tmp_path / f"log{fail_at}"), fail_at, kind)
        published = []
        failed = not lives(tmp_path / f"log{fail_at}", policy, published, files)
        for cut in range(CUTS_PER_OPERATION):
            seed = fail_at * CUTS_PER_OPERATION + cut
            directory = tmp_path / f"cut{seed}"
            files.power_cut(directory, Random(seed))
            kept.add(check(directory, policy, max(published, default=0), seed))
    assert fail_at > 30
    assert len(kept) > 10, "the cuts left too little to tell anything"


def lives(directory, policy, published, files):
    try:
        serve(directory, MADE, policy, published, files=files, segment_bytes_max=SEGMENT_BYTES_MAX)
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
