"""Changes to a log while no service runs: refused, or nothing that was answered is missing.

A log is used and closed cleanly in every mode. Then its end is damaged, deleted, replaced by an
older copy, or cut: all of that is refused. The same after a kill just after a mark, and at every
step of an interrupted start.
"""

import argparse
import shutil
from itertools import groupby

import pytest

from hpe.cli.wal import add_parsers
from hpe.core import new_core
from hpe.errors import LogVersionError, WalDamagedError, WalReadError, WalWriteError
from hpe.wal.files import DirectoryFiles
from hpe.wal.mark import MARK_NAME, read_mark
from hpe.wal.recovery import recover
from hpe.wal.segments import survey
from hpe.wal.truncate import truncate
from hpe.wal.writer import FileLog
from tests.support.faulty_files import FaultyFiles, Killed
from tests.support.log_builder import (
    BATCH,
    EVERY_THREE,
    INTERVAL,
    bodies,
    build_log,
    contents,
    continuing,
    frames_of,
    outputs,
    serve,
)
from tests.support.service import ServiceProcess

MADE = outputs(15)
BEFORE, AFTER = MADE[:13], MADE[13:]
"""The last segment has one record of the life before and two of the one after."""

SEGMENT_BYTES_MAX = 3900
STEP = 3
"""Every third byte, another bit each time: all of them would take a minute, and find no more."""

POLICIES = [BATCH, EVERY_THREE, INTERVAL]


@pytest.fixture(params=POLICIES, ids=lambda policy: policy.mode)
def policy(request):
    return request.param


def last_segment(directory):
    return max(directory.glob("*.hpewal"))


def stopped(directory, policy, copies=None):
    """Make a log of two lives that both ended with a clean stop.

    `copies` gets the newest segment as it was after every publishing, with its name.
    """

    class CopyingList(list):
        def append(self, durable):
            super().append(durable)
            if copies is not None:
                path = last_segment(directory)
                copies.append((path.name, path.read_bytes()))

    for made in (BEFORE, AFTER):
        serve(
            directory, made, policy, CopyingList(),
            files=DirectoryFiles(directory), segment_bytes_max=SEGMENT_BYTES_MAX,
        )  # fmt: skip
    files = DirectoryFiles(directory)
    assert read_mark(files).closed
    assert bodies(files) == [output.body for output in MADE]
    assert len(list(directory.glob("*.hpewal"))) > 2
    assert len(survey(files).end.entries) == 3
    return directory


def refused(directory):
    """Expect a start to refuse, and verify to judge alike; nothing may change."""
    before = contents(directory)
    with pytest.raises(WalDamagedError) as caught:
        recover(directory, new_core(), BATCH, segment_bytes_max=SEGMENT_BYTES_MAX)
    assert {**contents(directory), "lock": b""} == {**before, "lock": b""}
    assert verify(directory) == 65
    return str(caught.value)


def found_wrong(directory):
    """Expect the part of a start that reads the end of a log to refuse it."""
    with pytest.raises((WalDamagedError, LogVersionError)):
        survey(DirectoryFiles(directory))


def verify(directory):
    """Run `hpe verify`; give its exit code."""
    parser = argparse.ArgumentParser()
    add_parsers(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["verify", str(directory)])
    code = arguments.run(arguments)
    assert isinstance(code, int)
    return code


def still_good(directory):
    recover(directory, new_core(), BATCH, segment_bytes_max=SEGMENT_BYTES_MAX).log.close()
    assert bodies(DirectoryFiles(directory)) == [output.body for output in MADE]


def test_one_flipped_bit_anywhere_in_the_last_segment(tmp_path, policy):
    path = last_segment(stopped(tmp_path, policy))
    good = path.read_bytes()
    for offset in range(0, len(good), STEP):
        data = bytearray(good)
        data[offset] ^= 1 << offset % 8
        path.write_bytes(data)
        found_wrong(tmp_path)
    refused(tmp_path)
    path.write_bytes(good)
    still_good(tmp_path)


def test_every_sector_zeroed(tmp_path, policy):
    path = last_segment(stopped(tmp_path, policy))
    good = path.read_bytes()
    for start in range(0, len(good), 512):
        end = min(start + 512, len(good))
        path.write_bytes(good[:start] + bytes(end - start) + good[end:])
        refused(tmp_path)
    path.write_bytes(good)
    still_good(tmp_path)


def test_every_length(tmp_path, policy):
    """Cut at a frame's border or inside one, or longer than it was."""
    path = last_segment(stopped(tmp_path, policy))
    good = path.read_bytes()
    borders = [entry.offset for entry in survey(DirectoryFiles(tmp_path)).end.entries]
    for length in range(0, len(good), STEP):
        path.write_bytes(good[:length])
        found_wrong(tmp_path)
    for length in borders:
        path.write_bytes(good[:length])
        assert path.name in refused(tmp_path)
    for more in (b"\0", bytes(600), good[borders[-1] :]):
        path.write_bytes(good + more)
        assert "closed; but" in refused(tmp_path)
    path.write_bytes(good)
    still_good(tmp_path)


def test_a_deleted_newest_segment(tmp_path, policy):
    path = last_segment(stopped(tmp_path, policy))
    good = path.read_bytes()
    path.unlink()
    message = refused(tmp_path)
    assert path.name in message
    assert last_segment(tmp_path).name in message
    path.write_bytes(good)
    still_good(tmp_path)


def test_older_copies_of_the_last_segment(tmp_path, policy):
    """Of the same life, and of before the last start."""
    copies = []
    stopped(tmp_path, policy, copies)
    path = last_segment(tmp_path)
    good = path.read_bytes()
    older = {data for name, data in copies if name == path.name} - {good}
    assert len(older) >= 2
    for data in older:
        path.write_bytes(data)
        refused(tmp_path)
    path.write_bytes(good)
    still_good(tmp_path)
    # The start wrote the segment anew: the copy has all that was answered, but goes on from there
    # no service's life.
    path.write_bytes(good)
    assert "is another one" in refused(tmp_path)


def test_the_mark_is_lost_or_older(tmp_path, policy):
    stopped(tmp_path / "log", policy)
    path = tmp_path / "log" / MARK_NAME
    good = path.read_bytes()
    for data in (b"", bytes(len(good)), good[:50]):
        path.write_bytes(data)
        refused(tmp_path / "log")
    path.unlink()
    refused(tmp_path / "log")
    stopped(tmp_path / "other", policy)
    path.write_bytes((tmp_path / "other" / MARK_NAME).read_bytes())
    assert "belongs to another log" in refused(tmp_path / "log")
    path.write_bytes(good)
    still_good(tmp_path / "log")
    path.write_bytes(good)
    refused(tmp_path / "log")


def test_every_bit_of_the_mark(tmp_path, policy):
    """One alone never hides anything and never refuses a good log."""
    path = stopped(tmp_path, policy) / MARK_NAME
    good = path.read_bytes()
    for offset in [*range(108), *range(4096, 4096 + 108)]:
        data = bytearray(good)
        data[offset] ^= 1 << offset % 8
        path.write_bytes(data)
        assert bodies(DirectoryFiles(tmp_path)) == [output.body for output in MADE]


def marked(directory, policy):
    """Make a log that was killed behind a mark; give the position and offset that the mark has."""
    build_log(directory, BEFORE, policy, segment_bytes_max=SEGMENT_BYTES_MAX)
    log = FileLog(DirectoryFiles(directory), policy, segment_bytes_max=2 * SEGMENT_BYTES_MAX)
    log.open()
    tail = log.sync()
    tail = log.append(tail, continuing(log, tail, MADE[13]))
    log.sync()
    log.mark()
    tail = log.append(tail, continuing(log, tail, MADE[14]))
    log.close()
    return read_mark(DirectoryFiles(directory))


def test_behind_a_mark_and_a_kill(tmp_path, policy):
    mark = marked(tmp_path, policy)
    path = last_segment(tmp_path)
    good = path.read_bytes()
    assert not mark.closed
    assert len(frames_of(path)) > mark.offset
    for length in [*range(0, len(frames_of(path)), STEP), mark.offset - 1, mark.offset]:
        path.write_bytes(good[:length])
        if length < mark.offset:
            found_wrong(tmp_path)
        else:
            assert survey(DirectoryFiles(tmp_path)).tail.position >= mark.durable_sequence
    for offset in [*range(0, mark.offset, STEP), mark.offset - 1]:
        data = bytearray(good)
        data[offset] ^= 1 << offset % 8
        path.write_bytes(data)
        found_wrong(tmp_path)
    path.unlink()
    refused(tmp_path)


def cut_at_a_frame(directory):
    path = last_segment(directory)
    data = path.read_bytes()
    offset = survey(DirectoryFiles(directory)).end.entries[-1].offset
    path.write_bytes(data[:offset])


def flipped_bit(directory):
    path = last_segment(directory)
    data = bytearray(path.read_bytes())
    data[len(frames_of(path)) - 20] ^= 1
    path.write_bytes(data)


def deleted(directory):
    last_segment(directory).unlink()


@pytest.mark.parametrize("kind", ["eio", "killed"])
def test_no_step_of_a_start_opens_a_gap(tmp_path, policy, kind):
    """A start that fails anywhere leaves a good log, and one that still is guarded as before."""
    origin = stopped(tmp_path / "log", policy)
    fail_at, failed = 1, True
    while failed:
        fail_at += 1
        directory = tmp_path / str(fail_at)
        shutil.copytree(origin, directory)
        files = FaultyFiles(DirectoryFiles(directory), fail_at, kind)
        try:
            recover(
                directory, new_core(), policy, files=files, segment_bytes_max=SEGMENT_BYTES_MAX
            ).log.close()
            failed = False
        except (Killed, WalWriteError, WalReadError):
            pass
        files.close()
        whole = contents(directory)
        assert bodies(DirectoryFiles(directory)) == [output.body for output in MADE]
        for change in (cut_at_a_frame, flipped_bit, deleted):
            change(directory)
            found_wrong(directory)
            for name, data in whole.items():
                (directory / name).write_bytes(data)
        still_good(directory)
    assert fail_at > 15


@pytest.mark.parametrize("kind", ["eio", "short", "killed"])
def test_no_step_of_a_cut_opens_a_gap(tmp_path, policy, kind):
    """Interrupted, `hpe wal truncate` leaves what a start refuses or a log that ends later."""
    kept = MADE[:10]
    at = kept[-1].last_sequence
    origin = stopped(tmp_path / "log", policy)
    fail_at, failed, results = 0, True, []
    while failed:
        fail_at += 1
        directory = tmp_path / str(fail_at)
        shutil.copytree(origin, directory)
        files = FaultyFiles(DirectoryFiles(directory), fail_at, kind)
        try:
            truncate(files, at)
            failed = False
        except (Killed, WalWriteError, WalReadError):
            pass
        files.close()
        try:
            read = len(bodies(DirectoryFiles(directory)))
        except WalDamagedError:
            read = 0
        results.append(read)
        files = DirectoryFiles(directory)
        assert truncate(files, at).position == at
        files.close()
        assert read_mark(DirectoryFiles(directory))[-3::2] == (at, True)
        assert bodies(DirectoryFiles(directory)) == [output.body for output in kept]
        cut_at_a_frame(directory)
        found_wrong(directory)
    assert fail_at > 20
    # 0: refused, because the newest segment is gone. From the mark on a start accepts the log, with
    # the segment that is cut still whole (11), and then cut.
    assert [read for read, _ in groupby(results)] == [15, 0, 11, 10]


@pytest.mark.parametrize("lost", ["newest segment", "mark", "both"])
def test_truncate_is_the_way_past_a_refusal(tmp_path, policy, lost):
    stopped(tmp_path, policy)
    files = DirectoryFiles(tmp_path)
    at = MADE[-1].last_sequence
    if lost != "mark":
        at = int(last_segment(tmp_path).name[:20]) - 1
        deleted(tmp_path)
    if lost != "newest segment":
        (tmp_path / MARK_NAME).unlink()
    refused(tmp_path)
    assert truncate(files, at) == (at, [])
    files.close()
    core = new_core()
    recover(tmp_path, core, policy).log.close()
    assert core.last_sequence == at


@pytest.mark.parametrize("sync", ["batch", "every=10000", "interval_ms=1000"])
def test_a_service_refuses_what_was_damaged_while_it_was_stopped(tmp_path, sync):
    data = tmp_path / "data"
    with ServiceProcess(tmp_path, ["--sync", sync]) as service:
        service.terminate()
        assert service.wait() == 0
    assert read_mark(DirectoryFiles(data)).closed
    flipped_bit(data)
    with pytest.raises(RuntimeError, match=r"(?s)exit 65 .*0+1\.hpewal"), ServiceProcess(tmp_path):
        pass
    assert verify(data) == 65


def test_a_cut_at_a_start_is_a_warning_of_its_own(tmp_path):
    data = tmp_path / "data"
    with ServiceProcess(tmp_path) as service:
        service.kill()
    path = last_segment(data)
    path.write_bytes(frames_of(path) + bytes(600) + b"\1")
    with ServiceProcess(tmp_path) as service:
        lines = service.errors().splitlines()
    (warning,) = [line for line in lines if "torn tail" in line]
    assert " WARNING hpe.engine: recovery cut a torn tail: 601 bytes of " in warning
