"""The log stage, driven by its steps: real files, but no thread, no queue, and a hand-set clock."""

import pytest

from hpe.config.settings import SyncPolicy
from hpe.errors import WalWriteError
from hpe.wal.files import DirectoryFiles
from hpe.wal.group_commit import BATCH_IDLE_S, GroupCommit
from hpe.wal.mark import read_mark
from hpe.wal.segments import survey
from hpe.wal.writer import FileLog
from tests.support.faulty_files import FaultyFiles
from tests.support.listed import Listed, packed
from tests.support.log_builder import BATCH, EVERY_THREE, INTERVAL, QUERY_ONLY


class DrivenGroupCommit:
    """A stage over a new log, the operations of its files, and the time."""

    def __init__(self, directory, policy, fail_at=0, *, segment_bytes_max=1 << 20):
        self.files = FaultyFiles(DirectoryFiles(directory), fail_at)
        self.log = FileLog(self.files, policy, segment_bytes_max=segment_bytes_max)
        self.log.open()
        self.now_s = 0.0
        self.stage = GroupCommit(self.log, self.log.sync(), policy, steady_s=lambda: self.now_s)
        self.seen = len(self.files.operations)

    def step(self, *outputs):
        return self.stage.step(list(outputs))

    def operations(self):
        """Return the operations since the last call."""
        seen, self.seen = self.seen, len(self.files.operations)
        return self.files.operations[seen:]

    def wait_ms(self):
        wait_s = self.stage.wait_s()
        return None if wait_s is None else round(wait_s * 1000)


@pytest.fixture
def steps(tmp_path):
    """Return a function that makes a stage and closes its log at the end."""
    made = []

    def new(policy, fail_at=0, **options):
        made.append(DrivenGroupCommit(tmp_path / str(len(made)), policy, fail_at, **options))
        return made[-1]

    yield new
    for each in made:
        each.log.close()


def output(last_sequence, body=b"body"):
    return packed(Listed(body=body, last_sequence=last_sequence))


def test_a_group_is_one_record_and_comes_out_durable(steps):
    log = steps(BATCH)
    group = [output(2, b"a"), QUERY_ONLY, output(5, b"b")]
    assert log.step(*group) == [(group, 5)]
    assert log.operations() == ["write", "datasync"]
    assert log.stage.tail == (5, 5)
    (record,) = survey(log.files).records(0)
    assert (record[:2], record.bodies) == ((1, 5), (b"a", b"b"))


def test_queries_alone_come_out_without_a_write(steps):
    log = steps(BATCH)
    assert log.step(QUERY_ONLY, QUERY_ONLY) == [([QUERY_ONLY] * 2, 0)]
    assert (log.operations(), log.wait_ms()) == ([], None)


def test_without_a_group_nothing_is_done_until_the_mark_is_due(steps):
    log = steps(BATCH)
    assert (log.wait_ms(), log.step()) == (None, [])
    log.step(output(1))
    log.operations()
    assert log.step() == []
    log.now_s += BATCH_IDLE_S - 0.001
    assert (log.wait_ms(), log.step(), log.operations()) == (1, [], [])
    log.now_s += 0.001
    assert (log.wait_ms(), log.step(), log.operations()) == (0, [], ["overwrite", "datasync"])
    assert read_mark(log.files).durable_sequence == 1
    assert log.wait_ms() is None


def test_a_relaxed_group_comes_out_at_once_and_is_synced_when_it_is_due(steps):
    log = steps(SyncPolicy(mode="interval", interval_ms=100))
    assert log.step(output(1)) == [([output(1)], 0)]
    log.now_s += 0.06
    assert log.step(output(2)) == [([output(2)], 0)]
    assert log.operations() == ["write"] * 2
    assert (log.wait_ms(), log.step()) == (40, [])
    log.now_s += 0.04
    assert (log.wait_ms(), log.step()) == (0, [([], 2)])
    assert log.operations() == ["datasync"]
    assert log.wait_ms() == 60, "then the mark, an interval after the last group"


def test_every_syncs_when_the_count_is_reached(steps):
    log = steps(EVERY_THREE)
    assert [log.step(output(n))[0].durable_position for n in (1, 2, 3)] == [0, 0, 3]
    assert log.operations() == ["write", "write", "write", "datasync"]


def test_a_new_segment_is_marked_by_the_step_behind_its_group(steps):
    log = steps(BATCH, segment_bytes_max=1)
    log.step(output(1))
    log.step()
    log.operations()
    log.step(output(2))
    assert "overwrite" not in log.operations()
    log.step()
    assert log.operations() == ["overwrite", "datasync"]


@pytest.mark.parametrize("policy", [BATCH, EVERY_THREE, INTERVAL], ids=lambda policy: policy.mode)
def test_a_stop_makes_everything_durable_and_closes_the_mark(steps, policy):
    log = steps(policy)
    log.step(output(1))
    assert log.stage.stop() == ([] if policy is BATCH else [([], 1)])
    assert log.stage.tail == (1, 1)
    assert read_mark(log.files)[-3::2] == (1, True)


@pytest.mark.parametrize("fault", ["write", "datasync"])
def test_nothing_comes_out_of_a_failure(steps, fault):
    other = steps(BATCH)
    log = steps(BATCH, other.seen + (1 if fault == "write" else 2))
    with pytest.raises(WalWriteError, match=f"cannot {fault}"):
        log.step(output(1))
    with pytest.raises(WalWriteError):
        log.step(output(1))
