"""Filling ahead: spares, segments that begin in one, and the effect of a full disk on them."""

import logging
import os
import threading
from itertools import pairwise

import pytest

from hpe.core import new_core
from hpe.errors import WalWriteError
from hpe.wal.files import DirectoryFiles
from hpe.wal.log import Record
from hpe.wal.recovery import recover
from hpe.wal.segments import survey
from hpe.wal.spare import NICENESS, PIECE_BYTES, SpareMaker
from hpe.wal.writer import FileLog, filled_bytes
from tests.support.faulty_files import FaultyFiles, Killed
from tests.support.log_builder import BATCH, EVERY_THREE, INTERVAL, build_log, frames_of, outputs

SIZE = 2 * PIECE_BYTES + 1000
OPERATIONS = ["create", *["fill", "datasync"] * 3, "sync"]


def locked(directory, fail_at=0, kind="eio"):
    files = FaultyFiles(DirectoryFiles(directory), fail_at, kind)
    files.lock()
    return files


def made(maker):
    while maker.step():
        pass
    return maker.take()


def test_a_spare_is_whole_zero_and_synced_piece_by_piece(tmp_path):
    files = locked(tmp_path)
    maker = SpareMaker(files, ".hpewal", SIZE)
    assert maker.take() is None
    spare = made(maker)
    assert files.operations[1:] == OPERATIONS
    assert spare.name == "spare-1.hpewal.new"
    assert files.read(spare.name) == bytes(SIZE)
    assert maker.take() is None
    assert made(maker).name == "spare-2.hpewal.new"
    files.close()


def test_there_is_one_spare_at_a_time(tmp_path):
    files = locked(tmp_path)
    maker = SpareMaker(files, ".hpewal", SIZE)
    while maker.step():
        pass
    done = len(files.operations)
    assert not maker.step()
    assert len(files.operations) == done
    maker.close()
    files.close()


@pytest.mark.parametrize("kind", ["enospc", "short"])
@pytest.mark.parametrize("fail_at", range(len(OPERATIONS)))
def test_want_of_room_ends_nothing_and_leaves_nothing(tmp_path, caplog, fail_at, kind):
    files = locked(tmp_path, fail_at + 2, kind)  # the lock is the first operation
    maker = SpareMaker(files, ".hpewal", SIZE)
    with caplog.at_level(logging.WARNING, "hpe.wal"):
        assert made(maker) is None
    assert files.failed
    (warning,) = caplog.messages
    assert warning.startswith("no room to fill the next segment ahead (cannot ")
    assert files.names() == ["lock"]
    # Asked again, it tries again.
    assert made(maker) is not None
    files.close()


@pytest.mark.parametrize("fail_at", range(len(OPERATIONS)))
def test_another_failure_of_the_disk_comes_out(tmp_path, fail_at):
    files = locked(tmp_path, fail_at + 2, "eio")
    maker = SpareMaker(files, ".hpewal", SIZE)
    with pytest.raises(WalWriteError, match="Input/output error"):
        made(maker)
    maker.close()
    files.close()


def test_discarding_removes_what_was_made_and_what_is_half_made(tmp_path):
    files = locked(tmp_path)
    maker = SpareMaker(files, ".hpewal", SIZE)
    maker.step()
    maker.step()
    assert len(files.names()) == 2
    maker.discard()
    assert files.names() == ["lock"]
    while maker.step():
        pass
    maker.discard()
    assert files.names() == ["lock"]
    maker.close()
    files.close()


def test_a_thread_makes_what_is_wanted_at_low_priority_and_stops(tmp_path):
    files = DirectoryFiles(tmp_path)
    files.lock()
    maker = SpareMaker(files, ".hpewal", SIZE)
    synced = threading.Event()
    niceness = []
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    class WatchedFiles(DirectoryFiles):
        def create(self, name):
            niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            file = files.create(name)
            real = file.sync

            def sync():
                real()
                synced.set()

            file.sync = sync
            return file

    maker._files = WatchedFiles(tmp_path)
    thread = threading.Thread(target=maker.serve)
    thread.start()
    assert not synced.wait(0.05)
    assert files.names() == ["lock"]
    maker.want()
    assert synced.wait(30)
    maker.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert niceness == [NICENESS]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
    assert len(files.read(maker.take().name)) == SIZE
    files.close()


def test_a_failure_in_the_thread_comes_out_of_serving(tmp_path):
    files = locked(tmp_path, 3, "eio")
    maker = SpareMaker(files, ".hpewal", SIZE)
    maker.want()
    with pytest.raises(WalWriteError, match="Input/output error"):
        maker.serve()
    maker.close()
    files.close()


# --- a log that uses them -------------------------------------------------------------------------


def opened(files, policy=BATCH, segment_bytes_max=3 * PIECE_BYTES):
    log = FileLog(files, policy, segment_bytes_max=segment_bytes_max)
    log.open()
    return log, log.sync()


def append(log, tail, size):
    record = Record(tail.position + 1, tail.position + 1, log.link(), (b"x" * size,))
    return log.append(tail, record)


def sizes(directory):
    return [path.stat().st_size for path in sorted(directory.glob("*.hpewal"))]


def test_how_far_a_segment_is_filled_before_it_has_a_name():
    half = PIECE_BYTES // 2
    assert filled_bytes(104, 64 * PIECE_BYTES) == PIECE_BYTES
    assert filled_bytes(half, 64 * PIECE_BYTES) == PIECE_BYTES
    assert filled_bytes(half + 1, 64 * PIECE_BYTES) == 2 * PIECE_BYTES
    assert filled_bytes(104, 900) == 900
    assert filled_bytes(1000, 900) == 1000


def test_without_a_spare_a_segment_gets_longer_than_it_was_filled(tmp_path):
    log, tail = opened(DirectoryFiles(tmp_path))
    assert sizes(tmp_path) == [PIECE_BYTES]
    for _ in range(5):
        tail = append(log, tail, 500_000)
    assert log.segment_count == 1
    assert PIECE_BYTES < sizes(tmp_path)[0] < 3 * PIECE_BYTES
    tail = append(log, tail, 800_000)
    assert log.segment_count == 2
    assert sizes(tmp_path)[1] == PIECE_BYTES
    log.close()
    first = next(survey(DirectoryFiles(tmp_path)).scans())
    assert first.end_offset == sizes(tmp_path)[0]


@pytest.mark.parametrize("policy", [BATCH, EVERY_THREE, INTERVAL], ids=lambda policy: policy.mode)
def test_a_spare_is_used_as_soon_as_what_was_filled_is_used_up(tmp_path, policy):
    files = FaultyFiles(DirectoryFiles(tmp_path))
    log, tail = opened(files, policy)
    assert not log.spares._wake.is_set()
    tail = append(log, tail, 400_000)
    assert not log.spares._wake.is_set()
    tail = append(log, tail, 400_000)
    assert log.spares._wake.is_set(), "half of it is used: a spare is wanted"
    while log.spares.step():
        pass
    done = len(files.operations)
    tail = append(log, tail, 400_000)
    assert files.operations[done : done + 7] == [
        "truncate", "sync", "write", "datasync", "rename", "sync_directory", "write",
    ]  # fmt: skip
    assert log.segment_count == 2
    first, second = sizes(tmp_path)
    assert (first, second) == (len(frames_of(min(tmp_path.glob("*.hpewal")))), 3 * PIECE_BYTES)
    log.sync()
    # A spare that was not there in time is used later.
    for _ in range(8):
        tail = append(log, tail, 400_000)
    assert log.segment_count == 3
    log.close()
    assert [record.last_sequence for record in survey(files).records(0)] == list(range(1, 12))
    assert sum("spare" in path.name for path in tmp_path.iterdir()) == 0
    files.close()


@pytest.mark.parametrize("policy", [BATCH, EVERY_THREE, INTERVAL], ids=lambda policy: policy.mode)
def test_a_segment_that_is_exactly_full(tmp_path, policy):
    """Not a byte of zeros is left; the next frame, or a start, finds the end all the same."""
    files = DirectoryFiles(tmp_path)
    log, tail = opened(files, policy, segment_bytes_max=1000)
    overhead = 104 + 42 + 56 + 4
    tail = append(log, tail, 1000 - overhead)
    assert sizes(tmp_path) == [1000]
    assert survey(files).tail.position == 1
    tail = append(log, tail, 10)
    assert log.segment_count == 2
    log.close()
    again = FileLog(DirectoryFiles(tmp_path), policy, segment_bytes_max=1000)
    assert again.open().position == 2
    again.sync()
    again.close()


def test_a_clean_stop_leaves_neither_zeros_nor_spares(tmp_path):
    log, tail = opened(DirectoryFiles(tmp_path))
    append(log, tail, 600_000)
    log.spares.step()
    log.spares.step()
    assert len(list(tmp_path.glob("spare-*"))) == 1
    log.mark(closed=True)
    log.close()
    assert list(tmp_path.glob("spare-*")) == []
    (path,) = tmp_path.glob("*.hpewal")
    assert frames_of(path) == path.read_bytes()


@pytest.mark.parametrize("steps", range(len(OPERATIONS)))
def test_killed_while_a_spare_is_made(tmp_path, steps):
    files = DirectoryFiles(tmp_path)
    log, tail = opened(files)
    append(log, tail, 600_000)
    for _ in range(steps):
        log.spares.step()
    log.close()  # what a kill leaves: nothing is removed, nothing sealed
    assert survey(DirectoryFiles(tmp_path)).tail.position == 1
    log, tail = opened(DirectoryFiles(tmp_path))
    assert tail.position == 1
    assert list(tmp_path.glob("spare-*")) == []
    log.close()


def test_cut_at_the_borders_of_pieces(tmp_path):
    """A file that is shorter than it was filled, with the records that fit what is left."""
    log, tail = opened(DirectoryFiles(tmp_path), segment_bytes_max=4 * PIECE_BYTES)
    for _ in range(12):
        tail = append(log, tail, 250_000)
    log.close()
    (path,) = tmp_path.glob("*.hpewal")
    data = path.read_bytes()
    ends = [entry.end_offset for entry in survey(DirectoryFiles(tmp_path)).end.entries]
    kept = []
    for border in range(3 * PIECE_BYTES, 0, -PIECE_BYTES):
        for length in (border + 1, border, border - 1):
            path.write_bytes(data[:length])
            image = survey(DirectoryFiles(tmp_path))
            kept.append(image.tail.position)
            assert image.tail.position == sum(end <= length for end in ends)
            assert image.cut is None or image.cut.offset in ends
    assert all(earlier >= later for earlier, later in pairwise(kept))
    assert len(set(kept)) == 3


# --- a disk without room --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["enospc", "short"])
def test_a_new_segment_without_room_for_zeros_begins_without_them(tmp_path, kind):
    start = FaultyFiles(DirectoryFiles(tmp_path / "other"))
    opened(start)[0].close()
    for fail_at, operation in enumerate(start.operations, 1):
        if operation != "fill":
            continue
        files = FaultyFiles(DirectoryFiles(tmp_path / str(fail_at)), fail_at, kind)
        log, tail = opened(files)
        assert files.failed
        assert sizes(tmp_path / str(fail_at)) == [104]
        tail = append(log, tail, 100)
        assert tail.durable_position == 1
        log.close()
        files.close()
        assert survey(DirectoryFiles(tmp_path / str(fail_at))).tail.position == 1


def test_an_append_without_room_fails_and_takes_nothing_that_was_there(tmp_path):
    start = FaultyFiles(DirectoryFiles(tmp_path / "other"))
    opened(start)[0].close()
    for kind in ("enospc", "short"):
        directory = tmp_path / kind
        files = FaultyFiles(DirectoryFiles(directory), len(start.operations) + 3, kind)
        log, tail = opened(files)
        tail = append(log, tail, 700_000)
        with pytest.raises(WalWriteError, match="No space left"):
            append(log, tail, 700_000)
        log.close()
        files.close()
        log = FileLog(DirectoryFiles(directory), BATCH)
        assert log.open().position == 1
        assert (log.cut is None) == (kind == "enospc")
        log.close()


@pytest.mark.parametrize("kind", ["eio", "killed"])
def test_any_failure_while_a_segment_begins_in_a_spare_loses_nothing(tmp_path, kind):
    made_outputs = outputs(6)

    def live(directory, files):
        result = recover(directory, new_core(), BATCH, segment_bytes_max=2500, files=files)
        log, tail = result.log, result.tail
        written = []
        try:
            for output in made_outputs:
                while log.spares.step():
                    pass
                record = Record(tail.position + 1, output.last_sequence, log.link(), (output.body,))
                tail = log.append(tail, record)
                written.append(tail.durable_position)
        except (WalWriteError, Killed):
            return written
        finally:
            log.close()
        return written

    files = FaultyFiles(DirectoryFiles(tmp_path / "whole"))
    whole = live(tmp_path / "whole", files)
    files.close()
    assert len(survey(DirectoryFiles(tmp_path / "whole")).segments) > 1
    started = files.operations.index("datasync")
    for fail_at in range(started + 2, len(files.operations) + 1):
        directory = tmp_path / str(fail_at)
        files = FaultyFiles(DirectoryFiles(directory), fail_at, kind)
        written = live(directory, files)
        files.close()
        core = new_core()
        recover(directory, core, BATCH).log.close()
        assert core.last_sequence >= max(written, default=0)
        assert core.last_sequence in (0, *whole)


def test_a_start_is_quick_whatever_a_segment_may_hold(tmp_path):
    """Hundreds of starts must not write 64 MiB each."""
    build_log(tmp_path, outputs(2), segment_bytes_max=64 * PIECE_BYTES)
    assert sizes(tmp_path) == [PIECE_BYTES]
