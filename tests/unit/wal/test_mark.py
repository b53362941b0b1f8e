"""The head mark's bytes, and what a start refuses because of it."""

from random import Random

import pytest

from hpe.core import new_core
from hpe.errors import LogVersionError, WalDamagedError
from hpe.wal.files import DirectoryFiles
from hpe.wal.mark import MARK_NAME, HeadMark, Mark, empty_mark, read_mark
from hpe.wal.recovery import recover
from hpe.wal.segments import survey
from tests.support.faulty_files import FaultyFiles, Killed
from tests.support.log_builder import BATCH, bodies, build_log, outputs, put_mark

SLOT_BYTES = 108
MARK = Mark(b"L" * 16, 3, 44, b"S" * 16, b"T" * 16, 173, 4377, closed=True)


@pytest.fixture
def log(tmp_path):
    """Return a log of several segments whose mark names the newest."""
    build_log(tmp_path, outputs(6), segment_bytes_max=1000)
    build_log(tmp_path, [], segment_bytes_max=1000)
    assert read_mark(DirectoryFiles(tmp_path)).number == 5
    return tmp_path


def names(log):
    return sorted(path.name for path in log.glob("*.hpewal"))


def refused(log, words):
    with pytest.raises(WalDamagedError, match=words):
        survey(DirectoryFiles(log))


def test_what_is_written_is_read(tmp_path):
    files = DirectoryFiles(tmp_path)
    assert read_mark(files) is None
    head = HeadMark(files)
    head.begin(MARK)
    assert read_mark(files) == MARK
    for number in range(4, 9):
        mark = MARK._replace(number=number, closed=number % 2 == 0)
        head.write(mark)
        assert read_mark(files) == mark
    head.close()
    data = (tmp_path / MARK_NAME).read_bytes()
    assert len(data) == 4096 + SLOT_BYTES
    assert data[:8] == data[4096:4104] == b"HPEMARK\n"


def test_the_older_slot_counts_when_the_newer_one_is_torn(tmp_path):
    files = FaultyFiles(DirectoryFiles(tmp_path))
    files.lock()
    head = HeadMark(files)
    head.begin(MARK)
    head.write(MARK._replace(number=4))
    head.write(MARK._replace(number=5))
    head._file.write(0, [bytes(50)])
    head._file.write(0, [b"x" * 100])
    found = set()
    for seed in range(60):
        files.power_cut(tmp_path / str(seed), Random(seed))
        found.add(read_mark(DirectoryFiles(tmp_path / str(seed))).number)
    # Slot 0 has number 4, slot 4096 number 5: a torn write over one leaves the other.
    assert found <= {4, 5}
    assert 5 in found
    head.close()
    files.close()


@pytest.mark.parametrize("slot", [0, 4096])
def test_every_flipped_bit_of_a_slot_is_seen(tmp_path, slot):
    put_mark(tmp_path, MARK)
    path = tmp_path / MARK_NAME
    good = path.read_bytes()
    for bit in range(8 * SLOT_BYTES):
        data = bytearray(good)
        data[slot + bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        assert read_mark(DirectoryFiles(tmp_path)) == MARK  # of the other slot
        data[4096 - slot + bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        assert isinstance(read_mark(DirectoryFiles(tmp_path)), WalDamagedError)


@pytest.mark.parametrize("length", [0, 1, SLOT_BYTES - 1])
def test_a_mark_that_is_cut_short_is_no_mark(log, length):
    path = log / MARK_NAME
    path.write_bytes(path.read_bytes()[:length])
    refused(log, "head.mark: neither of its two slots is readable")


def test_segments_without_a_mark_are_refused(log):
    (log / MARK_NAME).unlink()
    refused(log, f"head.mark: missing, but there is {names(log)[-1]}")


def test_a_mark_of_another_log_is_refused(log, tmp_path):
    put_mark(log, empty_mark(b"x" * 16))
    refused(log, rf"head.mark: log 7878.*; but {names(log)[0]} belongs to another log")


def test_a_missing_mark_is_reported_after_another_version(log):
    path = log / names(log)[0]
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"\0\0\0\5" + data[12:])
    (log / MARK_NAME).unlink()
    with pytest.raises(LogVersionError, match="format version 5"):
        survey(DirectoryFiles(log))


def test_a_missing_newest_segment_is_refused_with_both_named(log):
    newest = names(log)[-1]
    (log / newest).unlink()
    refused(log, rf"segment 5, .*; but segment 5 \({newest}\) is missing: the newest one is 0+44")
    for name in names(log):
        (log / name).unlink()
    refused(log, r"is missing: the newest one is none")


def test_an_older_copy_of_a_marked_segment_is_refused_behind_a_newer_one_too(tmp_path):
    build_log(tmp_path, outputs(3))
    first = tmp_path / names(tmp_path)[0]
    older = first.read_bytes()
    build_log(tmp_path, outputs(5)[3:], segment_bytes_max=1500)
    assert read_mark(DirectoryFiles(tmp_path)).number == 1  # the rotations have no mark yet
    assert len(names(tmp_path)) == 3
    assert len(bodies(DirectoryFiles(tmp_path))) == 5
    first.write_bytes(older)
    refused(tmp_path, rf"but {first.name} is another one, written before or after it")


def test_newer_segments_that_do_not_reach_the_mark_are_refused(tmp_path):
    build_log(tmp_path, outputs(5), segment_bytes_max=1500)
    mark = read_mark(DirectoryFiles(tmp_path))
    put_mark(tmp_path, mark._replace(durable_sequence=44))
    refused(tmp_path, "durable up to sequence 44 .*; but 0+44.hpewal continues sequence 43")
    put_mark(tmp_path, mark._replace(closed=True))
    refused(tmp_path, "closed; but there is a newer segment, 0+44.hpewal")
    put_mark(tmp_path, mark._replace(durable_sequence=43))
    assert len(bodies(DirectoryFiles(tmp_path))) == 5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"offset": 500}, r"but in 0+1.hpewal sequence 173 ends at offset \d+"),
        ({"durable_sequence": 172}, r"but in 0+1.hpewal sequence 43 ends at offset \d+"),
        ({"durable_sequence": 174}, r"ends at sequence 173, but 174 was durable"),
        ({"offset": 2 << 20}, r"but 0+1.hpewal ends at offset \d+"),
        ({"salt": b"x" * 16, "other_salt": b"y" * 16}, "is another one"),
    ],
)
def test_a_mark_that_the_segment_contradicts(tmp_path, wrong, words):
    build_log(tmp_path, outputs(4))
    build_log(tmp_path, [])
    put_mark(tmp_path, read_mark(DirectoryFiles(tmp_path))._replace(**wrong))
    refused(tmp_path, words)


def test_either_salt_is_accepted_until_one_is_named(tmp_path):
    build_log(tmp_path, outputs(4))
    mark = read_mark(DirectoryFiles(tmp_path))
    put_mark(tmp_path, mark._replace(salt=b"x" * 16))
    assert len(bodies(DirectoryFiles(tmp_path))) == 4
    put_mark(tmp_path, mark._replace(other_salt=b"x" * 16))
    assert len(bodies(DirectoryFiles(tmp_path))) == 4


def test_a_new_log_has_its_mark_first_and_keeps_its_id(tmp_path):
    """At every step of the first start: killed there, the next one makes the same log."""
    fail_at, failed, ids = 1, True, set()
    while failed:
        fail_at += 1
        directory = tmp_path / str(fail_at)
        files = FaultyFiles(DirectoryFiles(directory), fail_at, "killed")
        try:
            recover(directory, new_core(), BATCH, files=files).log.close()
            failed = False
        except Killed:
            pass
        files.close()
        found = read_mark(DirectoryFiles(directory))
        if names(directory):
            assert found is not None
        recover(directory, new_core(), BATCH).log.close()
        again = read_mark(DirectoryFiles(directory))
        assert again.number == 1
        if found is not None:
            assert again.log_id == found.log_id
            ids.add(found.number)
    assert ids == {0, 1}


def test_leftovers_of_a_mark_go(log):
    (log / f"{MARK_NAME}.new").write_bytes(b"x")
    build_log(log, [])
    assert not (log / f"{MARK_NAME}.new").exists()
