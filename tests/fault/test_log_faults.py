"""Every file operation of a log's life fails in turn: nothing that was published is lost.

The life: recovery of a log with several segments, the log thread over more batches with rotations,
stop. After the fault, the real files are recovered, twice.
"""

import pytest

from hpe.core import new_core
from hpe.errors import WalReadError, WalWriteError
from hpe.wal.files import DirectoryFiles
from hpe.wal.recovery import recover
from tests.support.faulty_files import FaultyFiles, Killed
from tests.support.log_builder import (
    BATCH,
    EVERY_THREE,
    INTERVAL,
    bodies,
    build_log,
    outputs,
    serve,
    shorten,
)

MADE = outputs(9)
SEGMENT_BYTES_MAX = 1500
POLICIES = [BATCH, EVERY_THREE, INTERVAL]


def live(directory, policy, files):
    """Run the life; give what was published durable, and the error that ended it."""
    published = []
    try:
        serve(
            directory, MADE, policy, published,
            files=files, segment_bytes_max=SEGMENT_BYTES_MAX, filling_from=1,
        )  # fmt: skip
    except (WalWriteError, WalReadError, Killed) as error:
        return published, error
    finally:
        files.close()
    return published, None


@pytest.fixture(scope="module", params=POLICIES, ids=lambda policy: policy.mode)
def policy(request):
    return request.param


def begin(directory, policy):
    """Make the log that the life starts with: a torn tail, a leftover, two segments."""
    build_log(directory, MADE[:4], policy, segment_bytes_max=SEGMENT_BYTES_MAX)
    last = max(directory.glob("*.hpewal"))
    shorten(last, 600)
    (directory / f"{last.name}.new").write_bytes(b"leftover")


def operations(directory, policy):
    begin(directory, policy)
    files = FaultyFiles(DirectoryFiles(directory))
    published, error = live(directory, policy, files)
    assert error is None
    assert published[-1] == MADE[-1].last_sequence
    assert set(files.operations) >= {
        "read", "remove", "create", "rename", "write", "fill", "datasync", "overwrite", "truncate",
    }  # fmt: skip
    # Rotations both ways: into a new file, and into one that was filled ahead.
    rotations = [
        files.operations[index + 2]
        for index, operation in enumerate(files.operations)
        if operation == "truncate"
    ]
    assert {"create", "write"} <= set(rotations)
    return len(files.operations)


@pytest.mark.parametrize("kind", ["eio", "enospc", "short", "killed"])
def test_every_operation_fails_once(memory_path, policy, kind):
    for fail_at in range(1, operations(memory_path / "whole", policy) + 1):
        directory = memory_path / str(fail_at)
        begin(directory, policy)
        files = FaultyFiles(DirectoryFiles(directory), fail_at, kind)
        published, error = live(directory, policy, files)
        assert files.failed
        if error is None:
            # Want of room while a segment was filled ahead: it is made again without that, or the
            # log goes on without a spare; nothing else may fail unnoticed.
            assert kind in ("enospc", "short")
            reached = files.operations[fail_at - 1 : fail_at + 1]
            assert reached[0] in ("create", "write", "fill", "datasync", "sync")
            assert reached[1] in ("create", "remove") or reached[0] == "create"
            assert published[-1] == MADE[-1].last_sequence
        else:
            # Nothing came after the failure, neither another operation nor a publishing.
            assert len(files.operations) == fail_at
        durable = max(published, default=0)
        check_recovers(directory, policy, durable)


def check_recovers(directory, policy, durable):
    """Recover with the real files: a prefix that holds `durable`, the same one every time."""
    hashes = set()
    for _ in range(2):
        core = new_core()
        result = recover(directory, core, policy, segment_bytes_max=SEGMENT_BYTES_MAX)
        result.log.close()
        assert core.last_sequence >= durable
        hashes.add((core.last_sequence, core.state_hash()))
    assert len(hashes) == 1
    read = bodies(DirectoryFiles(directory))
    assert read == [output.body for output in MADE[: len(read)]]


@pytest.mark.parametrize("kind", ["eio", "killed"])
def test_a_failed_recovery_loses_nothing_and_can_be_repeated(memory_path, policy, kind):
    """The log before recovery must be there after any number of interrupted recoveries."""
    begin(memory_path / "log", policy)
    reference = new_core()
    for output in MADE[:3]:
        reference.replay(output.body)
    fail_at = 0
    while True:
        fail_at += 1
        files = FaultyFiles(DirectoryFiles(memory_path / "log"), fail_at, kind)
        core = new_core()
        try:
            recover(memory_path / "log", core, policy, files=files).log.close()
        except (WalWriteError, WalReadError, Killed):
            files.close()
            assert bodies(DirectoryFiles(memory_path / "log")) == [o.body for o in MADE[:3]]
        else:
            break
    assert not files.failed
    assert fail_at > 10
    assert core.state_hash() == reference.state_hash()
    suffixes = [path.suffix for path in (memory_path / "log").iterdir()]
    assert sorted(suffixes) == ["", ".cut", ".hpewal", ".hpewal", ".mark"]  # "" is the lock
