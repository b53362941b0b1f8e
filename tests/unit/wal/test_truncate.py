"""The operator's cut: exact, copied first, and a log that recovery accepts afterwards."""

import pytest

from hpe.core import new_core
from hpe.errors import DataDirectoryBusy, WalDamagedError, WalReadError, WalWriteError
from hpe.wal.files import DirectoryFiles
from hpe.wal.mark import read_mark
from hpe.wal.recovery import recover
from hpe.wal.segments import survey
from hpe.wal.truncate import truncate
from tests.support.faulty_files import FaultyFiles, Killed
from tests.support.log_builder import (
    BATCH,
    INTERVAL,
    bodies,
    build_log,
    contents,
    frames_of,
    outputs,
)

LAST_SEQUENCES = [output.last_sequence for output in outputs(8)]


@pytest.fixture
def log(tmp_path):
    build_log(tmp_path, outputs(8), BATCH, segment_bytes_max=1500)
    return tmp_path


def cut(log, at):
    files = DirectoryFiles(log)
    try:
        return truncate(files, at)
    finally:
        files.close()


def kept_bytes(log):
    return sum(len(frames_of(path)) for path in log.glob("*.cut"))


@pytest.mark.parametrize("count", range(9))
def test_cutting_at_every_record(log, count):
    before = sum(len(frames_of(path)) for path in log.glob("*.hpewal"))
    at = LAST_SEQUENCES[count - 1] if count else 0
    result = cut(log, at)
    assert result.position == at
    assert sorted(result.kept) == sorted(path.name for path in log.glob("*.cut"))
    assert bodies(DirectoryFiles(log)) == [output.body for output in outputs(8)[:count]]
    left = sum(path.stat().st_size for path in log.glob("*.hpewal"))
    assert left + kept_bytes(log) == before
    mark = read_mark(DirectoryFiles(log))
    end = survey(DirectoryFiles(log)).end
    assert (mark.durable_sequence, mark.offset, mark.closed) == (at, len(end.data), True)
    core = new_core()
    recover(log, core, BATCH).log.close()
    assert core.last_sequence == at


def test_cutting_inside_a_record_names_where_a_cut_is_possible(log):
    before = contents(log)
    with pytest.raises(
        WalDamagedError, match=r"100 is inside the record 44\.\.173; cut at 43 or 173"
    ):
        cut(log, 100)
    assert contents(log) == before


def test_cutting_beyond_the_end_is_refused(log):
    with pytest.raises(WalDamagedError, match="the last readable sequence is 238, not 239"):
        cut(log, 239)


def test_the_way_past_damage(log):
    path = sorted(log.glob("*.hpewal"))[1]
    data = bytearray(path.read_bytes())
    data[150] ^= 1
    path.write_bytes(data)
    with pytest.raises(WalDamagedError, match="offset 104"):
        recover(log, new_core(), BATCH)
    with pytest.raises(WalDamagedError, match=f"{path.name} at offset 104"):
        cut(log, LAST_SEQUENCES[-1])
    first = int(path.name[:20])
    with pytest.raises(WalDamagedError, match=f"the last readable sequence is {first - 1}, not"):
        cut(log, first)
    cut(log, first - 1)
    core = new_core()
    recover(log, core, BATCH).log.close()
    assert core.last_sequence == first - 1
    assert path.name.encode() in b" ".join(p.name.encode() for p in log.glob("*.cut"))


def test_a_damaged_header_behind_the_cut_does_not_matter(log):
    path = max(log.glob("*.hpewal"))
    path.write_bytes(b"")
    cut(log, int(path.name[:20]) - 1)
    recover(log, new_core(), BATCH).log.close()


def test_past_a_promise_that_is_not_kept(tmp_path):
    """The header says more was durable than is left, at a frame's border: nothing to cut off."""
    build_log(tmp_path, outputs(4), INTERVAL)
    build_log(tmp_path, [], INTERVAL)
    path = max(tmp_path.glob("*.hpewal"))
    path.write_bytes(path.read_bytes()[: survey(DirectoryFiles(tmp_path)).end.entries[-1].offset])
    with pytest.raises(WalDamagedError, match="durable up to sequence 173 at offset"):
        recover(tmp_path, new_core(), INTERVAL)
    assert cut(tmp_path, 43).kept == []
    recover(tmp_path, new_core(), INTERVAL).log.close()


def test_not_beside_a_service_and_not_in_a_mistyped_directory(log, tmp_path):
    result = recover(log, new_core(), BATCH)
    with pytest.raises(DataDirectoryBusy):
        cut(log, 0)
    result.log.close()
    with pytest.raises(WalReadError, match="No such file"):
        cut(tmp_path / "none", 0)
    assert not (tmp_path / "none").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(WalDamagedError, match="no segment holds sequence 5"):
        cut(tmp_path / "empty", 5)


@pytest.mark.parametrize("kind", ["eio", "killed"])
def test_interrupted_anywhere_and_repeated_it_ends_the_same(tmp_path, kind):
    fail_at, failed = 0, True
    while failed:
        fail_at += 1
        log = tmp_path / str(fail_at)
        build_log(log, outputs(8), BATCH, segment_bytes_max=1500)
        files = FaultyFiles(DirectoryFiles(log), fail_at, kind)
        try:
            truncate(files, 41)
            failed = False
        except (WalWriteError, WalReadError, Killed):
            read = bodies(DirectoryFiles(log))
            assert read == [output.body for output in outputs(8)[: len(read)]]
            assert len(read) >= 2
        files.close()
        cut(log, 41)
        assert bodies(DirectoryFiles(log)) == [output.body for output in outputs(2)]
        # Four segments went whole and one in part; each is kept once.
        assert len(list(log.glob("*.cut"))) == 5
    assert fail_at > 15
