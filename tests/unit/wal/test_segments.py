"""Tail or damage: every case that a reader of segments must tell apart."""

import shutil

import pytest

from hpe.core.contract import CORE_VERSION
from hpe.errors import LogVersionError, WalDamagedError
from hpe.wal.files import DirectoryFiles
from hpe.wal.format import HEADER_BYTES, SegmentHeader, SyncMode, encode_frame, encode_header
from hpe.wal.log import GENESIS_HASH, Record, record_hash
from hpe.wal.mark import empty_mark
from hpe.wal.segments import segment_name, survey
from tests.support.log_builder import (
    BATCH,
    EVERY_THREE,
    bodies,
    build_log,
    contents,
    outputs,
    put_mark,
)

SALT = b"S" * 16
HEADER = SegmentHeader(CORE_VERSION, b"L" * 16, SALT, 1, 1, 0, GENESIS_HASH, 0, SyncMode.EVERY)


class Builder:
    """Writes one segment frame by frame, right or wrong."""

    def __init__(self, header=HEADER):
        self.header = header
        self.position = header.previous_sequence
        self.hash = header.previous_hash
        self.offsets = []
        self.data = bytearray(encode_header(header))

    def add(self, *, durable=0, first=None, previous_hash=None, head_first=None, count=1):
        first = self.position + 1 if first is None else first
        last = first + count - 1
        record = Record(first, last, previous_hash or self.hash, (b"body %d" % first * 30,))
        payload = record.encode()
        self.offsets.append(len(self.data))
        self.data += encode_frame(
            self.header.salt,
            payload,
            first_sequence=head_first or first,
            last_sequence=last,
            durable_sequence=durable,
        )
        self.position, self.hash = last, record_hash([payload])
        return self

    def spoil(self, number):
        """Flip a bit in the payload of a frame."""
        self.data[self.offsets[number] + 90] ^= 1
        return self

    def read(self, directory):
        (directory / segment_name(self.header.first_sequence)).write_bytes(self.data)
        put_mark(directory, empty_mark(self.header.log_id))  # it claims nothing
        files = DirectoryFiles(directory)
        image = survey(files)
        return image, [record.last_sequence for record in image.records(0)]


@pytest.fixture
def log(tmp_path):
    """Return the directory of a log of several segments."""
    build_log(tmp_path / "log", outputs(8), BATCH, segment_bytes_max=1000)
    return tmp_path / "log"


def names(log):
    return sorted(path.name for path in log.glob("*.hpewal"))


def refused(log, words, error=WalDamagedError):
    """Expect a refusal that names its reason and changes nothing."""
    before = contents(log)
    with pytest.raises(error, match=words):
        bodies(DirectoryFiles(log))
    assert contents(log) == before


def test_an_empty_directory_is_an_empty_log(tmp_path):
    image = survey(DirectoryFiles(tmp_path))
    assert image.tail == (0, 0)
    assert list(image.records(0)) == []


def test_a_whole_log_reads_back(log):
    assert bodies(DirectoryFiles(log)) == [output.body for output in outputs(8)]
    assert len(names(log)) == 7


def test_reading_after_a_sequence_starts_at_the_record_that_holds_the_next(log):
    image = survey(DirectoryFiles(log))
    assert [(r.first_sequence, r.last_sequence) for r in image.records(43)] == [
        (44, 173), (174, 174), (175, 177), (178, 237), (238, 238),
    ]  # fmt: skip
    assert next(image.records(44)).first_sequence == 44
    assert list(image.records(238)) == []


def test_other_files_do_not_matter(log):
    (log / "notes.txt").write_text("x")
    (log / (names(log)[0] + ".7.0badc0de.cut")).write_bytes(b"x")
    (log / (names(log)[0] + ".new")).write_bytes(b"x")
    assert len(bodies(DirectoryFiles(log))) == 8


def test_a_missing_segment_is_damage(log):
    (log / names(log)[2]).unlink()
    refused(log, "is segment 4, expected 3: one is missing")


def test_a_missing_first_segment_is_damage(log):
    (log / names(log)[0]).unlink()
    refused(log, "is segment 2, expected 1: one is missing")


def test_a_renamed_segment_is_damage(log):
    (log / names(log)[-1]).rename(log / segment_name(999))
    refused(log, rf"{segment_name(999)} at offset 0: holds sequences from 238 on")


def test_a_name_that_is_none_is_damage(log):
    (log / "12.hpewal").write_bytes(b"")
    refused(log, "12.hpewal at offset 0: a segment's name is 20 digits")


def test_a_segment_of_another_log_is_damage(log, tmp_path):
    build_log(tmp_path / "other", outputs(8), BATCH, segment_bytes_max=1000)
    shutil.copy(tmp_path / "other" / names(log)[3], log)
    refused(log, "belongs to another log than")


def test_another_core_version_is_refused_by_name(tmp_path):
    with pytest.raises(
        LogVersionError,
        match=f"core version {CORE_VERSION + 1}; this build is core version {CORE_VERSION}",
    ):
        Builder(HEADER._replace(core_version=CORE_VERSION + 1)).add().read(tmp_path)


def test_another_format_version_is_refused_by_name(log):
    data = (log / names(log)[1]).read_bytes()
    (log / names(log)[1]).write_bytes(data[:8] + b"\0\0\0\5" + data[12:])
    refused(log, f"{names(log)[1]}: format version 5", LogVersionError)


def test_a_sealed_segment_that_lost_its_last_frame_is_damage(log):
    data = (log / names(log)[0]).read_bytes()
    image = survey(DirectoryFiles(log))
    last = next(image.scans()).entries[-1]
    (log / names(log)[0]).write_bytes(data[: last.offset])
    refused(log, f"ends at sequence {last.record.first_sequence - 1}, but .* continues")


def test_a_sealed_segment_with_a_bad_frame_is_damage(log):
    path = log / names(log)[1]
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    refused(log, f"{names(log)[1]} at offset 104: a frame's end mark is wrong")


def test_a_header_that_is_cut_is_damage_wherever_it_is(log):
    path = log / names(log)[-1]
    path.write_bytes(path.read_bytes()[: HEADER_BYTES - 1])
    refused(log, "takes 104 bytes, found 103")
    path.write_bytes(b"")
    refused(log, "takes 104 bytes, found 0")


def test_segments_that_hold_other_records_of_the_same_sequences_do_not_join(tmp_path):
    first = Builder().add()
    second = Builder(
        HEADER._replace(number=2, first_sequence=2, previous_sequence=1, previous_hash=b"x" * 16)
    ).add()
    (tmp_path / segment_name(2)).write_bytes(second.data)
    with pytest.raises(WalDamagedError, match="does not continue the records of"):
        first.read(tmp_path)


def test_a_first_segment_with_a_predecessor_is_damage(tmp_path):
    with pytest.raises(WalDamagedError, match="names a predecessor"):
        Builder(HEADER._replace(previous_hash=b"x" * 16)).add().read(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"first": 3}, "starts at sequence 3, expected 2"),
        ({"first": 1}, "starts at sequence 1, expected 2"),
        ({"previous_hash": b"x" * 16}, "does not continue the record before it"),
        ({"head_first": 1}, "the record holds other sequences than its frame says"),
    ],
)
@pytest.mark.parametrize("mode", SyncMode)
def test_what_no_crash_explains_is_damage_even_undurable(tmp_path, wrong, words, mode):
    builder = Builder(HEADER._replace(sync_mode=mode)).add()
    offset = len(builder.data)
    with pytest.raises(WalDamagedError, match=f"{segment_name(1)} at offset {offset}: {words}"):
        builder.add(**wrong).read(tmp_path)


def test_a_payload_that_is_no_record_is_damage(tmp_path):
    builder = Builder()
    builder.data += encode_frame(SALT, b"x", first_sequence=1, last_sequence=1, durable_sequence=0)
    with pytest.raises(WalDamagedError, match="shorter than its head"):
        builder.read(tmp_path)


def test_a_bad_frame_above_what_was_durable_is_cut_with_all_behind_it(tmp_path):
    builder = Builder().add().add(durable=1).add(durable=1, count=4).add(durable=1).spoil(1)
    image, kept = builder.read(tmp_path)
    assert kept == [1]
    assert image.tail == (1, 0)  # 0: of the kept frames none says more
    assert image.cut.offset == builder.offsets[1]
    assert image.cut.data == builder.data[builder.offsets[1] :]
    assert (image.cut.first_sequence, image.cut.last_sequence) == (2, 7)
    assert "lost sequences: 2..7" in image.cut.describe()


@pytest.mark.parametrize("durable", [2, 3])
def test_a_bad_frame_that_a_later_frame_calls_durable_is_damage(tmp_path, durable):
    builder = Builder().add().add().add(durable=durable).spoil(1)
    words = rf"offset {builder.offsets[1]}: .*; sequences 2\.\.{durable} were durable"
    with pytest.raises(WalDamagedError, match=words):
        builder.read(tmp_path)


def test_a_bad_frame_that_the_header_calls_durable_is_damage(tmp_path):
    header = HEADER._replace(durable_sequence=2)
    assert Builder(header).add().add().add().spoil(2).read(tmp_path)[1] == [1, 2]
    with pytest.raises(WalDamagedError, match=r"sequences 2\.\.2 were durable"):
        Builder(header).add().add().spoil(1).read(tmp_path)


def test_a_log_that_ends_before_what_was_durable_is_damage(tmp_path):
    header = HEADER._replace(durable_sequence=2)
    with pytest.raises(WalDamagedError, match="ends at sequence 1, but 2 was durable"):
        Builder(header).add().read(tmp_path)


def test_a_flipped_bit_in_the_last_frame_is_damage_under_batch_only(tmp_path):
    relaxed = Builder().add().add(durable=1).spoil(1)
    assert relaxed.read(tmp_path)[1] == [1]
    batch = Builder(HEADER._replace(sync_mode=SyncMode.BATCH)).add().add(durable=1).spoil(1)
    with pytest.raises(WalDamagedError, match="no sector of it is missing or zero"):
        batch.read(tmp_path)


def test_a_torn_last_frame_is_cut_under_batch(tmp_path):
    batch = Builder(HEADER._replace(sync_mode=SyncMode.BATCH)).add().add(durable=1)
    del batch.data[-1]
    image, kept = batch.read(tmp_path)
    assert kept == [1]
    assert "lost sequences: 2..unknown" in image.cut.describe()


def test_a_segment_without_frames_is_a_log_that_just_rotated(tmp_path):
    header = HEADER._replace(durable_sequence=0)
    assert Builder(header).read(tmp_path)[1] == []


def test_relaxed_logs_read_back_too(tmp_path):
    build_log(tmp_path, outputs(5), EVERY_THREE)
    assert bodies(DirectoryFiles(tmp_path)) == [output.body for output in outputs(5)]
