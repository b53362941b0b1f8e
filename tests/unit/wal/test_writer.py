"""The file log: order of operations, rotation, policies, fencing."""

import pytest

from hpe.errors import DataDirectoryBusy, Fenced, WalWriteError
from hpe.wal.files import DirectoryFiles
from hpe.wal.log import Record, Tail
from hpe.wal.segments import segment_names, survey
from hpe.wal.writer import FileLog
from tests.support.faulty_files import FaultyFiles
from tests.support.log_builder import BATCH, EVERY_THREE, INTERVAL


@pytest.fixture
def files(tmp_path):
    files = FaultyFiles(DirectoryFiles(tmp_path))
    yield files
    files.close()


def opened(files, policy=BATCH, segment_bytes_max=1 << 20):
    log = FileLog(files, policy, segment_bytes_max=segment_bytes_max)
    log.open()
    return log, log.sync()


def record(log, tail, count=1, body=b"body"):
    return Record(tail.position + 1, tail.position + count, log.link(), (body,))


def test_a_new_log(files):
    log = FileLog(files, BATCH)
    assert log.open() == Tail(0, 0)
    assert log.sync() == Tail(0, 0)
    # A header is synced before the file gets its name, and the name before anything goes on; the
    # mark is there before the first segment, and names it before anything can be appended.
    assert files.operations[-14:] == [
        "create", "write", "sync", "rename", "sync_directory", "open_in_place",
        "create", "write", "fill", "sync", "rename", "sync_directory", "overwrite", "datasync",
    ]  # fmt: skip
    log.close()


def test_append_is_one_write_and_one_sync_under_batch(files):
    log, tail = opened(files)
    for _ in range(3):
        done = len(files.operations)
        tail = log.append(tail, record(log, tail, 2))
        assert files.operations[done:] == ["write", "datasync"]
    assert tail.position == tail.durable_position == 6
    assert [entry.durable_sequence for entry in survey(files).end.entries] == [0, 2, 4]
    log.close()


def test_every_counts_commands(files):
    log, tail = opened(files, EVERY_THREE)
    done = len(files.operations)
    synced = []
    for _ in range(7):
        tail = log.append(tail, record(log, tail))
        synced.append(tail.durable_position)
    assert synced == [0, 0, 3, 3, 3, 6, 6]
    assert files.operations[done:].count("datasync") == 2
    tail = log.append(tail, record(log, tail, 100))
    assert tail.durable_position == 107
    log.close()


def test_interval_leaves_syncing_to_the_caller(files):
    log, tail = opened(files, INTERVAL)
    done = len(files.operations)
    for _ in range(5):
        tail = log.append(tail, record(log, tail))
    assert tail[:2] == (5, 0)
    assert files.operations[done:] == ["write"] * 5
    assert log.sync()[:2] == (5, 5)
    log.close()


@pytest.mark.parametrize("policy", [BATCH, EVERY_THREE, INTERVAL])
def test_rotation_seals_the_old_segment_first(files, policy):
    log, tail = opened(files, policy, segment_bytes_max=400)
    while log.segment_count == 1:
        done = len(files.operations)
        before = tail
        tail = log.append(tail, record(log, tail, body=b"x" * 50))
    assert files.operations[done : done + 9] == [
        "truncate", "sync",
        "create", "write", "fill", "sync", "rename", "sync_directory", "write",
    ]  # fmt: skip
    assert tail.durable_position >= before.position
    image = survey(files)
    assert [segment.header.durable_sequence for segment in image.segments] == [0, before.position]
    assert [len(files.read(segment.name)) <= 400 for segment in image.segments] == [True, True]
    log.close()


@pytest.mark.parametrize("policy", [BATCH, EVERY_THREE, INTERVAL])
def test_behind_a_segment_that_is_gone_there_is_no_other(files, policy):
    log, tail = opened(files, policy, segment_bytes_max=400)
    tail = log.append(tail, record(log, tail))
    files.remove(segment_names(files)[-1])
    with pytest.raises(WalWriteError, match="removed or moved"):
        log.append(tail, record(log, tail, body=b"x" * 300))
    assert segment_names(files) == []
    log.close()


def test_a_record_longer_than_a_segment_gets_one_of_its_own(files):
    log, tail = opened(files, segment_bytes_max=300)
    for _ in range(3):
        tail = log.append(tail, record(log, tail, body=b"x" * 500))
    assert log.segment_count == 3
    assert [r.last_sequence for r in log.read(0)] == [1, 2, 3]
    log.close()


def test_another_tail_is_fenced_and_changes_nothing(files):
    log, tail = opened(files)
    newer = log.append(tail, record(log, tail))
    done = len(files.operations)
    wrong = [
        (tail, record(log, tail)),
        (newer, record(log, tail)),
        (newer, record(log, newer)._replace(previous_hash=b"x" * 16)),
        (newer, record(log, newer)._replace(first_sequence=3, last_sequence=3)),
    ]
    for expect, appended in wrong:
        with pytest.raises(Fenced, match=r"the log (that )?ends at 1"):
            log.append(expect, appended)
    assert len(files.operations) == done
    assert log.append(newer, record(log, newer)).position == 2
    log.close()


def test_nothing_is_appended_before_what_was_read_is_durable(files):
    log = FileLog(files, BATCH)
    tail = log.open()
    with pytest.raises(WalWriteError, match="call sync first"):
        log.append(tail, record(log, tail))
    log.close()


def test_after_a_failure_the_log_takes_nothing_more(tmp_path):
    start = FaultyFiles(DirectoryFiles(tmp_path / "other"))
    log, _ = opened(start)
    log.close()
    # The write of the second append.
    fail_at = len(start.operations) + 3
    files = FaultyFiles(DirectoryFiles(tmp_path / "log"), fail_at, kind="eio")
    log, tail = opened(files)
    tail = log.append(tail, record(log, tail))
    with pytest.raises(WalWriteError, match="Input/output error"):
        log.append(tail, record(log, tail))
    done = len(files.operations)
    for call in (lambda: log.append(tail, record(log, tail)), log.sync, log.mark):
        with pytest.raises(WalWriteError, match="failed before and accepts nothing more"):
            call()
    assert len(files.operations) == done
    log.close()


def test_an_oversized_record_is_refused_before_anything_is_written(files):
    log, tail = opened(files)
    done = len(files.operations)
    with pytest.raises(WalWriteError, match="at most"):
        log.append(tail, record(log, tail, body=bytes(5 << 20)))
    assert len(files.operations) == done
    log.close()


def test_the_lock_lasts_until_close(tmp_path, files):
    log, _ = opened(files)
    with pytest.raises(DataDirectoryBusy):
        FileLog(DirectoryFiles(tmp_path), BATCH).open()
    log.close()
    other = FileLog(DirectoryFiles(tmp_path), BATCH)
    other.open()
    other.close()


def test_every_segment_has_its_own_salt_and_the_logs_id(files):
    log, tail = opened(files, segment_bytes_max=200)
    for _ in range(4):
        tail = log.append(tail, record(log, tail, body=b"x" * 100))
    headers = [segment.header for segment in survey(files).segments]
    assert len({header.salt for header in headers}) == len(headers) == 4
    assert len({header.log_id for header in headers}) == 1
    log.close()
