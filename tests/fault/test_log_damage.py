"""Every single bit and every length of a small log: a prefix with all that was durable, or refused.

The log has three frames in two segments. What is read must be a prefix of what was written; if one
bit of synced data differs, the log must be refused.
"""

import pytest

from hpe.errors import LogVersionError, WalDamagedError
from hpe.wal.files import DirectoryFiles
from hpe.wal.log import Record
from hpe.wal.segments import survey
from hpe.wal.writer import FileLog
from tests.support.log_builder import BATCH, EVERY_THREE, INTERVAL, bodies, frames_of

WRITTEN = [b"first " * 60, b"second " * 50, b"third " * 40]
POLICIES = [BATCH, EVERY_THREE, INTERVAL]


@pytest.fixture(params=POLICIES, ids=lambda policy: policy.mode)
def policy(request):
    return request.param


@pytest.fixture
def log(memory_path, policy):
    """Return a log of one frame in the first segment and two in the second."""
    log = FileLog(DirectoryFiles(memory_path), policy, segment_bytes_max=1000)
    log.open()
    tail = log.sync()
    for body in WRITTEN:
        sequence = tail.position + 1
        tail = log.append(tail, Record(sequence, sequence, log.link(), (body,)))
    log.close()
    assert [len(scan.entries) for scan in survey(DirectoryFiles(memory_path)).scans()] == [1, 2]
    return memory_path


def kept(log):
    """Count the bodies that recovery would keep, None if it refuses."""
    try:
        read = bodies(DirectoryFiles(log))
    except (WalDamagedError, LogVersionError):
        return None
    assert read == WRITTEN[: len(read)], "something was read that was never written"
    return len(read)


def test_every_flipped_bit(log, policy):
    accepted = set()
    for path in sorted(log.glob("*.hpewal")):
        data = bytearray(path.read_bytes())
        for bit in range(8 * len(frames_of(path))):
            data[bit // 8] ^= 1 << bit % 8
            path.write_bytes(data)
            accepted.add(kept(log))
            data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
    # Under batch all is synced: one bit anywhere is refused. In a relaxed log the second segment
    # is durable up to its start only, so a bad frame there is a tail; the first segment is sealed.
    assert accepted == ({None} if policy is BATCH else {None, 1, 2})


def test_a_flipped_bit_behind_the_last_frame_takes_nothing(log):
    """In the zeros that the file was filled with: refused, or cut off again."""
    path = max(log.glob("*.hpewal"))
    data = bytearray(path.read_bytes())
    end = len(frames_of(path))
    assert len(data) > end + 100
    for bit in range(8 * end, 8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        assert kept(log) in (None, len(WRITTEN))
        data[bit // 8] ^= 1 << bit % 8


def test_every_length_of_the_last_segment(log, policy):
    path = max(log.glob("*.hpewal"))
    data = path.read_bytes()[: len(frames_of(path)) + 100]
    last = survey(DirectoryFiles(log)).end.entries
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        whole = sum(entry.end_offset <= length for entry in last)
        # A name never appears before its header is durable, so a header that is cut is damage.
        assert kept(log) == (None if length < last[0].offset else 1 + whole)


def test_every_length_of_a_sealed_segment(log):
    path = min(log.glob("*.hpewal"))
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        assert kept(log) is None


def test_every_bit_of_a_log_that_recovery_wrote_anew(log, policy):
    """Once recovered, everything is durable under every policy."""
    again = FileLog(DirectoryFiles(log), policy, segment_bytes_max=1200)
    again.open()
    again.sync()
    again.close()
    path = max(log.glob("*.hpewal"))
    data = bytearray(path.read_bytes())
    size = len(frames_of(path))
    for bit in range(8 * size):
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        assert kept(log) is None
        data[bit // 8] ^= 1 << bit % 8
    for length in range(size):
        path.write_bytes(data[:length])
        assert kept(log) is None
