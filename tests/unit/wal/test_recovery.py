"""Recovery: the same state again, durable before anything new, and nothing changed on refusal."""

import stat

import pytest

from hpe.core import new_core
from hpe.core.codec import decode_body, encode_body
from hpe.errors import (
    DataDirectoryBusy,
    Diverged,
    InvariantViolation,
    RecoveryStopped,
    WalDamagedError,
)
from hpe.wal.files import DirectoryFiles
from hpe.wal.format import SyncMode
from hpe.wal.recovery import recover
from hpe.wal.segments import survey
from tests.support.core_around import CoreAround
from tests.support.faulty_files import FaultyFiles
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
    shorten,
)


def recovered(directory, policy=BATCH, **settings):
    core = new_core()
    result = recover(directory, core, policy, **settings)
    result.log.close()
    return core, result


def last_segment(directory):
    return max(directory.glob("*.hpewal"))


def test_a_new_directory(tmp_path):
    core, result = recovered(tmp_path / "data")
    assert result.tail == (0, 0)
    assert result.report[:3] == (1, 0, 0)
    assert core.last_sequence == 0
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@pytest.mark.parametrize("segment_bytes_max", [1, 1000, 1 << 20])
@pytest.mark.parametrize("policy", [BATCH, EVERY_THREE, INTERVAL])
def test_the_state_comes_back_every_time(tmp_path, policy, segment_bytes_max):
    expected = new_core()
    for number in range(0, 12, 4):
        made = outputs(12)[number : number + 4]
        for output in made:
            expected.replay(output.body)
        build_log(tmp_path, made, policy, segment_bytes_max=segment_bytes_max)
        for _ in range(2):
            core, result = recovered(tmp_path, policy, segment_bytes_max=segment_bytes_max)
            assert core.state_hash() == expected.state_hash() == result.report.state_hash
            assert result.tail[:2] == (core.last_sequence, core.last_sequence)
            assert result.report.cut is None


def test_recovering_is_repeatable_and_the_log_goes_on(tmp_path):
    tail = build_log(tmp_path, outputs(4), segment_bytes_max=1000)
    assert recovered(tmp_path)[1].tail == tail
    result = recover(tmp_path, new_core(), BATCH)
    assert result.tail == tail
    result.log.append(tail, continuing(result.log, tail, outputs(5)[4]))
    result.log.close()
    assert bodies(DirectoryFiles(tmp_path)) == [output.body for output in outputs(5)]


def test_the_last_segment_is_written_anew_before_the_end(tmp_path):
    build_log(tmp_path, outputs(4))
    before = last_segment(tmp_path).stat().st_ino
    files = FaultyFiles(DirectoryFiles(tmp_path))
    result = recover(tmp_path, new_core(), EVERY_THREE, files=files)
    result.log.close()
    assert files.operations == [
        "lock", "names", "read", "names", "read", "read", "names",
        # The mark that names both salts, the segment, and the mark that names the new one.
        "create", "write", "sync", "rename", "sync_directory", "open_in_place",
        "create", *["write"] * 5, "fill", "sync", "rename", "sync_directory",
        "overwrite", "datasync",
    ]  # fmt: skip
    assert last_segment(tmp_path).stat().st_ino != before
    header = survey(DirectoryFiles(tmp_path)).segments[-1].header
    assert header.durable_sequence == result.tail.position
    assert header.sync_mode is SyncMode.EVERY


def test_what_recovery_made_durable_is_damage_afterwards_not_a_tail(tmp_path):
    """Even under a relaxed policy: the header promises it from then on."""
    build_log(tmp_path, outputs(4), INTERVAL)
    recovered(tmp_path, INTERVAL)
    path = last_segment(tmp_path)
    shorten(path, 1)
    before = contents(tmp_path)
    with pytest.raises(WalDamagedError, match="durable up to sequence 173 at offset"):
        recovered(tmp_path, INTERVAL)
    assert contents(tmp_path) == before


def test_a_torn_tail_is_cut_kept_and_reported_once(tmp_path):
    build_log(tmp_path, outputs(4))
    path = last_segment(tmp_path)
    whole = frames_of(path)
    shorten(path, 700)
    core, result = recovered(tmp_path)
    cut = result.report.cut
    assert core.last_sequence == result.tail.position == 43
    assert cut.first_sequence == 44
    assert "torn tail" in cut.describe()
    assert "none was answered (sync batch)" in cut.describe()
    (kept,) = tmp_path.glob("*.cut")
    assert kept.name.startswith(f"{path.name}.{cut.offset}.")
    assert path.read_bytes()[104:] != whole[104 : cut.offset]  # a new salt
    assert kept.read_bytes() == cut.data == whole[cut.offset : -700].rstrip(b"\0")
    assert recovered(tmp_path)[1].report.cut is None
    assert bodies(DirectoryFiles(tmp_path)) == [output.body for output in outputs(3)]


def test_two_cuts_at_one_place_keep_both(tmp_path):
    for missing_bytes in (700, 900):
        build_log(tmp_path, outputs(4)[len(bodies(DirectoryFiles(tmp_path))) :])
        path = last_segment(tmp_path)
        shorten(path, missing_bytes)
        # What recovery wrote anew is durable; what was appended later is not known to be.
        recovered(tmp_path)
    assert len(list(tmp_path.glob("*.cut"))) == 2


def test_leftovers_of_an_interrupted_recovery_go(tmp_path):
    build_log(tmp_path, outputs(2))
    (tmp_path / (last_segment(tmp_path).name + ".new")).write_bytes(b"x")
    (tmp_path / "something.new").write_bytes(b"not ours")
    recovered(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.new")) == ["something.new"]


@pytest.mark.parametrize("field", ["trades", "output_digest", "groups"])
def test_another_outcome_stops_recovery_and_changes_nothing(tmp_path, field):
    made = list(outputs(5))
    body = decode_body(made[3].body)
    wrong = {
        "trades": body.trades[1:],
        "output_digest": body.output_digest ^ 1,
        "groups": [(s, u, frames.replace(b"\x03", b"\x04")) for s, u, frames in body.groups],
    }
    made[3] = made[3]._replace(body=encode_body(body._replace(**{field: wrong[field]})))
    build_log(tmp_path, made)
    before = contents(tmp_path)
    with pytest.raises(Diverged, match=r"diverged at sequence (4[4-9]|\d{2,3})"):
        recovered(tmp_path)
    assert contents(tmp_path) == before


def test_a_state_that_contradicts_itself_stops_recovery_and_changes_nothing(tmp_path):
    class Contradictory(CoreAround):
        def check(self):
            raise InvariantViolation("balances and deposits differ")

    build_log(tmp_path, outputs(2))
    before = contents(tmp_path)
    with pytest.raises(InvariantViolation):
        recover(tmp_path, Contradictory(), BATCH)
    assert contents(tmp_path) == before


def test_a_record_that_claims_other_commands_than_it_holds_diverges(tmp_path):
    first = outputs(1)[0]
    build_log(tmp_path, [first._replace(last_sequence=2)])
    with pytest.raises(Diverged, match="sequence 1: the log's record ends at sequence 2"):
        recovered(tmp_path)


@pytest.mark.parametrize("records", [1, 3])
def test_recovery_stops_when_asked_and_changes_nothing(tmp_path, records):
    build_log(tmp_path, outputs(4))
    before = contents(tmp_path)
    core = new_core()
    answers = iter([*[False] * (records - 1), True])
    with pytest.raises(RecoveryStopped, match="at sequence"):
        recover(tmp_path, core, BATCH, stop=lambda: next(answers))
    assert core.last_sequence == outputs(4)[records - 1].last_sequence
    assert contents(tmp_path) == before
    recovered(tmp_path)


def test_a_refusal_releases_the_directory_and_a_success_holds_it(tmp_path):
    build_log(tmp_path, outputs(1)[:0])
    result = recover(tmp_path, new_core(), BATCH)
    with pytest.raises(DataDirectoryBusy):
        recover(tmp_path, new_core(), BATCH)
    result.log.close()
    path = last_segment(tmp_path)
    path.write_bytes(b"x" * 200)
    for _ in range(2):
        with pytest.raises(WalDamagedError, match="a segment starts"):
            recover(tmp_path, new_core(), BATCH)
