"""The log thread's loop, with the real queue and real files."""

from queue import SimpleQueue
from threading import Thread

import pytest

from hpe.config.settings import SyncPolicy
from hpe.errors import WalWriteError
from hpe.machine import THIS_MACHINE
from hpe.wal.files import DirectoryFiles
from hpe.wal.group_commit import GroupCommit
from hpe.wal.log import RECORD_BYTES_MAX, RECORD_HEAD_BYTES, record_hash
from hpe.wal.mark import read_mark
from hpe.wal.segments import survey
from hpe.wal.thread import run
from hpe.wal.writer import FileLog
from tests.support.faulty_files import FaultyFiles
from tests.support.listed import Listed, packed
from tests.support.log_builder import BATCH, EVERY_THREE, INTERVAL, QUERY_ONLY


class Fixture:
    """A log, its inbox, and what was published: items, durable position, last file operation."""

    def __init__(self, directory, policy, fail_at=0, *, segment_bytes_max=1 << 20):
        self.files = FaultyFiles(DirectoryFiles(directory), fail_at)
        self.policy = policy
        self.log = FileLog(self.files, policy, segment_bytes_max=segment_bytes_max)
        self.log.open()
        self.tail = self.log.sync()
        self.started = len(self.files.operations)
        self.inbox = SimpleQueue()
        self.published = []
        self.hook = lambda: None
        self.now_s = 0.0

    def publish(self, items, durable_position):
        last_operation = self.files.operations[-1]
        self.published.append((items, durable_position, last_operation))
        self.hook()

    def put(self, *outputs):
        for output in outputs:
            self.inbox.put(output)

    def run(self):
        try:
            stage = GroupCommit(self.log, self.tail, self.policy, steady_s=lambda: self.now_s)
            run(stage, self.inbox, self.publish)
            return stage.tail
        finally:
            self.log.close()

    def records(self):
        return list(survey(self.files).records(0))


STOP = ["truncate", "sync", "overwrite", "datasync"]
"""What a clean stop does: the segment is sealed, then the mark is closed."""


def output(last_sequence, body=b"body"):
    return packed(Listed(body=body, last_sequence=last_sequence))


def test_what_waits_is_one_record_one_sync_one_publishing(tmp_path):
    loop = Fixture(tmp_path, BATCH)
    made = [output(2, b"a"), QUERY_ONLY, output(3, b"b"), output(9, b"c")]
    loop.put(*made, None)
    done = len(loop.files.operations)
    tail = loop.run()
    # The last ones seal the segment and mark the stop, behind what was published.
    assert loop.files.operations[done:] == ["write", "datasync", *STOP]
    assert loop.published == [(made, 9, "datasync")]
    assert (tail.position, tail.durable_position) == (9, 9)
    (record,) = loop.records()
    assert record[:2] == (1, 9)
    assert record.bodies == (b"a", b"b", b"c")


def test_queries_pass_in_order_without_a_record_or_a_sync(tmp_path):
    loop = Fixture(tmp_path, BATCH)
    done = len(loop.files.operations)
    loop.put(QUERY_ONLY, QUERY_ONLY, None)
    loop.run()
    assert loop.files.operations[done:] == STOP
    assert [published[:2] for published in loop.published] == [([QUERY_ONLY] * 2, 0)]


@pytest.mark.parametrize("policy", [BATCH, EVERY_THREE, INTERVAL], ids=lambda policy: policy.mode)
def test_queries_are_not_answered_from_a_log_that_is_elsewhere(tmp_path, policy):
    """What they show was durable in files that nobody will find any more."""
    loop = Fixture(tmp_path / "data", policy)
    gone = [lambda: (tmp_path / "data").rename(tmp_path / "moved"), lambda: None]

    def move():
        gone.pop(0)()
        loop.put(QUERY_ONLY, None)

    loop.hook = move
    loop.put(QUERY_ONLY)
    with pytest.raises(WalWriteError, match="while it was in use"):
        loop.run()
    assert [published[0] for published in loop.published] == [[QUERY_ONLY]]


def test_stop_alone_publishes_nothing(tmp_path):
    loop = Fixture(tmp_path, BATCH)
    loop.put(None)
    assert loop.run() == loop.tail
    assert loop.published == []


def operations(loop):
    """Return what was done at each publishing, and after it, without the start."""
    return loop.files.operations[loop.started :]


@pytest.mark.parametrize("policy", [BATCH, EVERY_THREE, INTERVAL], ids=lambda policy: policy.mode)
def test_the_mark_is_never_written_between_appends_that_follow_each_other(tmp_path, policy):
    loop = Fixture(tmp_path, policy)
    sequences = iter(range(2, 50))

    def more():
        loop.now_s += 0.1
        if loop.published[-1][0]:
            loop.put(next((output(n) for n in sequences), None))

    loop.hook = more
    loop.put(output(1))
    loop.run()
    assert operations(loop).count("write") == 49
    assert operations(loop).count("overwrite") == 1
    assert operations(loop)[-4:] == STOP
    assert read_mark(loop.files)[-3:] == (49, len(survey(loop.files).end.data), True)


@pytest.mark.parametrize(
    ("policy", "idle_s"),
    [
        (BATCH, 1.0),
        (SyncPolicy(mode="every", every_commands=100, interval_ms=200), 0.2),
        (SyncPolicy(mode="interval", interval_ms=200), 0.2),
    ],
    ids=["batch", "every", "interval"],
)
def test_the_mark_follows_when_nothing_was_appended_for_a_while(tmp_path, policy, idle_s):
    """Queries go on meanwhile: they are no appends."""
    loop = Fixture(tmp_path, policy)
    marks = []

    def pass_time():
        if not loop.published[-1][0]:
            return
        marks.append(operations(loop).count("overwrite"))
        loop.now_s += idle_s * 0.3
        # Twice something is appended, each time with queries behind it.
        step = len(marks)
        loop.put(output(2) if step == 6 else QUERY_ONLY if step < 12 else None)

    loop.hook = pass_time
    loop.put(output(1))
    loop.run()
    # 1.2 idle times after an append, and once; then there is nothing new to mark.
    assert marks == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2]
    assert operations(loop).count("overwrite") == 3


def test_a_new_segment_is_marked_at_once_behind_its_publishing(tmp_path):
    loop = Fixture(tmp_path, BATCH, segment_bytes_max=1)
    more = [output(2), output(3), None]
    loop.hook = lambda: loop.put(more.pop(0))
    loop.put(output(1))
    loop.run()
    seal = ["truncate", "sync"]
    rotation = [*seal, "create", "write", "sync", "rename", "sync_directory"]
    append, mark = ["write", "datasync"], ["overwrite", "datasync"]
    assert operations(loop) == [
        *append, *rotation, *append, *mark, *rotation, *append, *mark, *STOP,
    ]  # fmt: skip
    assert [published[2] for published in loop.published] == ["datasync"] * 3
    assert read_mark(loop.files).number == 3


def test_a_mark_that_fails_ends_the_log(tmp_path):
    start = Fixture(tmp_path / "other", BATCH)
    start.log.close()
    loop = Fixture(tmp_path / "log", BATCH, len(start.files.operations) + 6)
    loop.put(output(1), None)
    with pytest.raises(WalWriteError, match="cannot datasync"):
        loop.run()


def test_what_only_the_next_record_needs_is_computed_behind_the_publishing(tmp_path, monkeypatch):
    loop = Fixture(tmp_path, BATCH)
    events = []

    def watched(parts):
        events.append("hash")
        return record_hash(parts)

    def published():
        events.append("publish")
        loop.put(output(len(events) + 1) if len(events) < 5 else None)

    monkeypatch.setattr("hpe.wal.writer.record_hash", watched)
    loop.hook = published
    loop.put(output(1))
    loop.run()
    assert events == ["publish", "hash"] * 3
    assert len(loop.records()) == 3


def test_what_comes_while_a_group_is_written_is_the_next_group(tmp_path):
    loop = Fixture(tmp_path, BATCH)
    more = [(output(2), output(3)), (None,)]
    loop.hook = lambda: loop.put(*more.pop(0))
    loop.put(output(1))
    loop.run()
    assert [[o.last_sequence for o in group] for group, _, _ in loop.published] == [[1], [2, 3]]
    assert len(loop.records()) == 2


def test_a_group_ends_where_a_record_does_and_keeps_the_order(tmp_path):
    loop = Fixture(tmp_path, BATCH)
    large = bytes([1]) * (RECORD_BYTES_MAX // 3)
    loop.put(*(output(n, large) for n in range(1, 6)), output(6, b"small"), QUERY_ONLY, None)
    loop.run()
    groups = [[o.last_sequence for o in group] for group, _, _ in loop.published]
    assert groups == [[1, 2], [3, 4], [5, 6, 0]]
    assert [record.last_sequence for record in loop.records()] == [2, 4, 6]


def test_a_body_that_just_fits_and_one_that_does_not(tmp_path):
    loop = Fixture(tmp_path, BATCH)
    room = RECORD_BYTES_MAX - RECORD_HEAD_BYTES - 4
    loop.put(output(1, b"x"), output(2, bytes([1]) * room), output(3, b"x"), None)
    loop.run()
    assert [record.last_sequence for record in loop.records()] == [1, 2, 3]
    too_long = Fixture(tmp_path / "other", BATCH)
    too_long.put(output(1, b"x"), output(2, bytes(room + 1)), None)
    with pytest.raises(WalWriteError, match="at most"):
        too_long.run()
    assert [published[1] for published in too_long.published] == [1]


@pytest.mark.parametrize("policy", [EVERY_THREE, INTERVAL])
def test_relaxed_policies_publish_before_the_sync_and_sync_at_the_stop(tmp_path, policy):
    loop = Fixture(tmp_path, policy)
    loop.hook = lambda: loop.put(None)
    loop.put(output(2))
    tail = loop.run()
    assert tail[:2] == (2, 2)
    assert loop.published == [([output(2)], 0, "write"), ([], 2, "datasync")]


def test_every_syncs_before_publishing_when_the_count_is_reached(tmp_path):
    loop = Fixture(tmp_path, EVERY_THREE)
    more = [output(4), output(6), None]
    loop.hook = lambda: loop.put(more.pop(0)) if more else None
    loop.put(output(1))
    loop.run()
    assert [published[1:] for published in loop.published] == [
        (0, "write"), (4, "datasync"), (4, "write"), (6, "datasync"),
    ]  # fmt: skip


def test_interval_syncs_under_load_when_the_oldest_write_is_due(tmp_path):
    loop = Fixture(tmp_path, SyncPolicy(mode="interval", interval_ms=100))
    sequences = iter(range(2, 9))

    def pass_time():
        if loop.published[-1][0]:
            loop.now_s += 0.04
            loop.put(next((output(n) for n in sequences), None))

    loop.hook = pass_time
    loop.put(output(1))
    loop.run()
    synced = [published[1] for published in loop.published if not published[0]]
    # 40 ms per group: the deadline runs from the first write that a sync did not cover.
    assert synced == [3, 6, 8]


@pytest.mark.parametrize(
    "policy",
    [
        SyncPolicy(mode="every", every_commands=1000, interval_ms=1),
        SyncPolicy(mode="interval", interval_ms=1),
    ],
)
def test_an_idle_tail_is_synced_without_further_input(tmp_path, policy):
    files = DirectoryFiles(tmp_path)
    log = FileLog(files, policy)
    log.open()
    tail = log.sync()
    inbox = SimpleQueue()
    published = SimpleQueue()
    stage = GroupCommit(log, tail, policy, steady_s=THIS_MACHINE.steady_s)

    def publish(items, durable):
        published.put((len(items), durable))

    thread = Thread(target=run, args=(stage, inbox, publish))
    thread.start()
    inbox.put(output(5))
    assert published.get(timeout=120) == (1, 0)
    assert published.get(timeout=120) == (0, 5)  # and no stop was sent
    inbox.put(None)
    thread.join(120)
    assert not thread.is_alive()
    assert published.empty()
    log.close()


@pytest.mark.parametrize("mode", ["every", "interval"])
def test_an_idle_log_is_marked_without_further_input(tmp_path, mode):
    marked = SimpleQueue()

    class MarkedLog(FileLog):
        def mark(self, *, closed=False):
            super().mark(closed=closed)
            marked.put((read_mark(DirectoryFiles(tmp_path)).durable_sequence, closed))

    policy = SyncPolicy(mode=mode, every_commands=1000, interval_ms=1)
    log = MarkedLog(DirectoryFiles(tmp_path), policy)
    log.open()
    tail = log.sync()
    inbox = SimpleQueue()
    stage = GroupCommit(log, tail, policy, steady_s=THIS_MACHINE.steady_s)
    thread = Thread(target=run, args=(stage, inbox, lambda items, durable: None))
    thread.start()
    inbox.put(output(5))
    assert marked.get(timeout=120) == (5, False)  # and no stop was sent
    inbox.put(None)
    thread.join(120)
    assert not thread.is_alive()
    assert marked.get(timeout=120) == (5, True)
    log.close()


@pytest.mark.parametrize("fault", ["write", "datasync"])
@pytest.mark.parametrize("group", [1, 2])
def test_after_a_failure_nothing_is_published(tmp_path, fault, group):
    start = Fixture(tmp_path / "other", BATCH)
    start.log.close()
    fail_at = len(start.files.operations) + 2 * (group - 1) + (1 if fault == "write" else 2)
    loop = Fixture(tmp_path / "log", BATCH, fail_at)
    loop.hook = lambda: loop.put(output(2), output(3), None)
    loop.put(output(1))
    with pytest.raises(WalWriteError, match="Input/output error"):
        loop.run()
    assert loop.files.operations[-1] == fault
    assert [published[1] for published in loop.published] == [1][: group - 1]
