"""The log in local files: appends frames to segments and rotates them.

Owns the segment that is written. Belongs to one thread at a time: recovery's until the log is
handed over, then the write-ahead log thread. Guarantees: what a returned Tail calls durable was
synced with success; a segment gets its name with a synced header, after its predecessor was
synced whole; the head mark is never ahead of what is durable, and never names a segment that may
not be there; after the first failure nothing is written any more. Relies on LogFiles for all that
touches the disk. Source: docs/log-format.md, "Writing" and "The head mark".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from math import inf
from typing import Final
from zlib import crc32

from hpe.config.settings import SyncPolicy
from hpe.core.contract import CORE_VERSION
from hpe.errors import Fenced, WalWriteError
from hpe.wal.files import ASIDE_SUFFIX, LogFiles, NoSpace, WriteFile, write_file
from hpe.wal.format import (
    FRAME_OVERHEAD_BYTES,
    HEADER_BYTES,
    LOG_ID_BYTES,
    SALT_BYTES,
    SegmentHeader,
    SyncMode,
    encode_frame,
    encode_header,
    frame_parts,
)
from hpe.wal.log import GENESIS_HASH, Record, Tail, record_hash
from hpe.wal.mark import MARK_NAME, HeadMark, Mark, empty_mark, mark_of
from hpe.wal.segments import SEGMENT_SUFFIX, Cut, LogImage, Scan, SegmentEntry, segment_name, survey
from hpe.wal.spare import PIECE_BYTES, Spare, SpareMaker

SEGMENT_BYTES_MAX_DEFAULT: Final = 64 * 1024 * 1024
"""Large enough that rotation is rare, small enough to be read whole and written anew at start."""


class FileLog:
    """CommandLog over segments in one directory.

    Attributes:
        spares: Makes the files of the segments to come; the log works without anybody serving it.
    """

    def __init__(
        self,
        files: LogFiles,
        policy: SyncPolicy,
        *,
        segment_bytes_max: int = SEGMENT_BYTES_MAX_DEFAULT,
    ) -> None:
        self._files = files
        self._policy = policy
        self._segment_bytes_max = segment_bytes_max
        self.spares = SpareMaker(files, SEGMENT_SUFFIX, segment_bytes_max)
        self._tail = Tail(0, 0)
        self._link = GENESIS_HASH
        self._unlinked: list[bytes] = []  # the last record, until somebody asks for its digest
        self._image: LogImage | None = None  # what open found, until sync made it ours
        self._segment: WriteFile | None = None
        self._header: SegmentHeader | None = None
        self._segment_bytes = 0  # where the next frame goes
        self._filled_bytes = 0  # the segment's size: zeros from there on
        self._spare_from = inf  # a frame that ends beyond it is the sign to make a spare
        self._durable_bytes = 0  # of the segment: where the frame of the durable position ends
        self._head = HeadMark(files)
        self._mark_due = False
        self._failed = False

    @property
    def cut(self) -> Cut | None:
        """Return the torn tail that `open` found and the first `sync` will cut."""
        return None if self._image is None else self._image.cut

    @property
    def segment_count(self) -> int:
        """Return the number of segments, that of the newest one."""
        if self._header is not None:
            return self._header.number
        return 0 if self._image is None else len(self._image.segments)

    def open(self) -> Tail:
        """See CommandLog.

        Raises:
            DataDirectoryBusy: another process has the directory.
            WalDamagedError: the end of the log is damaged; nothing was changed.
            LogVersionError: another version wrote it.
        """
        self._files.lock()
        self._image = survey(self._files)
        self._tail = self._image.tail
        self._link = self._image.hash
        return self._tail

    def read(self, after: int) -> Iterator[Record]:
        """See CommandLog."""
        return (self._image or survey(self._files)).records(after)

    def append(self, expect: Tail, record: Record) -> Tail:
        """See CommandLog. One record is one frame, one write and (by policy) one sync."""
        self._check_continues(expect, record)
        payload = record.parts()
        frame_bytes = sum(map(len, payload)) + FRAME_OVERHEAD_BYTES
        with self._once():
            segment = self._segment_with_room(frame_bytes)
            frame = frame_parts(
                self._current_header.salt,
                payload,
                first_sequence=record.first_sequence,
                last_sequence=record.last_sequence,
                durable_sequence=self._tail.durable_position,
            )
            segment.write(self._segment_bytes, frame)
            self._segment_bytes += frame_bytes
            self._unlinked = payload
            tail = Tail(record.last_sequence, self._tail.durable_position)
            if self._must_sync(tail):
                segment.datasync()
                tail = tail._replace(durable_position=tail.position)
                self._durable_bytes = self._segment_bytes
            segment.check_place()  # before anybody is answered
        self._tail = tail
        return tail

    def link(self) -> bytes:
        """See CommandLog."""
        if self._unlinked:
            self._link = record_hash(self._unlinked)
            self._unlinked = []
        return self._link

    def sync(self) -> Tail:
        """See CommandLog. The first one writes the last segment anew, see `_adopt`."""
        with self._once():
            if self._segment is None:
                self._adopt()
            else:
                self._segment.datasync()
                self._segment.check_place()
                self._durable_bytes = self._segment_bytes
        self._tail = self._tail._replace(durable_position=self._tail.position)
        return self._tail

    def check_place(self) -> None:
        """See CommandLog."""
        assert self._segment is not None
        with self._once():
            self._segment.check_place()

    @property
    def mark_due(self) -> bool:
        """See CommandLog. True if the newest segment has no mark yet."""
        return self._mark_due

    def mark(self, *, closed: bool = False) -> None:
        """See CommandLog. With `closed`, nobody serves `spares` any more."""
        assert self._segment is not None
        assert not closed or self._tail.durable_position == self._tail.position
        with self._once():
            if closed:
                self._seal(self._segment)
                self.spares.discard()
            self._write_mark(closed=closed)
            self._segment.check_place()  # a stop may have nothing else to find it gone with

    def close(self) -> None:
        """See CommandLog. Releases the directory."""
        if self._segment is not None:
            self._segment.close()
        self.spares.close()
        self._head.close()
        self._files.close()

    @property
    def _current_header(self) -> SegmentHeader:
        assert self._header is not None
        return self._header

    @contextmanager
    def _once(self) -> Iterator[None]:
        """Let nothing be written after a failure, even one between two files."""
        if self._failed:
            raise WalWriteError("the log failed before and takes nothing more")
        self._failed = True
        yield
        self._failed = False

    def _check_continues(self, expect: Tail, record: Record) -> None:
        if self._segment is None:
            raise WalWriteError("the log was opened but not made durable: sync comes first")
        tail = self._tail
        if expect.position != tail.position:
            raise Fenced(f"the log ends at {tail.position}, expected {expect.position}")
        if (record.first_sequence, record.previous_hash) != (tail.position + 1, self.link()):
            raise Fenced(
                f"a record of {record.first_sequence}..{record.last_sequence} does not continue "
                f"the log that ends at {tail.position}"
            )

    def _must_sync(self, tail: Tail) -> bool:
        if self._policy.mode == "batch":
            return True
        if self._policy.mode == "every":
            return tail.position - tail.durable_position >= self._policy.every_commands
        return False  # interval: the thread owns the clock

    def _segment_with_room(self, frame_bytes: int) -> WriteFile:
        assert self._segment is not None
        end = self._segment_bytes + frame_bytes
        if end > self._filled_bytes and self._tail.position >= self._current_header.first_sequence:
            # A spare is better than a segment that gets longer with every frame.
            spare = self.spares.take()
            if spare is not None or end > self._segment_bytes_max:
                self._rotate(self._segment, spare)
        if end > self._spare_from:
            self._spare_from = inf
            self.spares.want()
        return self._segment

    def _rotate(self, sealed: WriteFile, spare: Spare | None) -> None:
        # The successor's header is the proof that everything before it was durable.
        self._seal(sealed)
        sealed.check_place()  # or the log would go on behind a hole
        sealed.close()
        self._tail = self._tail._replace(durable_position=self._tail.position)
        header = self._current_header
        header = header._replace(
            salt=os.urandom(SALT_BYTES),
            number=header.number + 1,
            first_sequence=self._tail.position + 1,
            previous_sequence=self._tail.position,
            previous_hash=self.link(),
        )
        if spare is None:
            self._start_segment(header, [])
        else:
            self._start_in_spare(header, spare)
        self._mark_due = True

    def _seal(self, segment: WriteFile) -> None:
        """Take off what was filled ahead, and make all of the segment durable."""
        segment.truncate(self._segment_bytes)
        segment.sync()

    def _write_mark(self, *, closed: bool) -> None:
        durable = self._tail.durable_position
        mark = mark_of(self._current_header, durable, self._durable_bytes, closed=closed)
        self._head.write(mark)
        self._mark_due = False

    def _adopt(self) -> None:
        """Make what was read durable by writing the last segment anew.

        What a read shows may exist in the page cache alone: after a failed sync the pages count
        as clean, so another sync of the old file would promise nothing. New pages of a new file
        are written or the sync fails. The header then says that everything up to here is durable.
        """
        image = self._image
        assert image is not None
        for name in self._files.names():
            ours = SEGMENT_SUFFIX in name or name.startswith(MARK_NAME)
            if ours and name.endswith(ASIDE_SUFFIX):
                self._files.remove(name)
        if image.cut is not None:
            keep_cut(self._files, image.cut.name, image.cut.offset, image.cut.data)
        header = self._adopted_header(image)
        entries: Sequence[SegmentEntry] = []
        if image.end is None:
            self._head.begin(empty_mark(header.log_id))
        else:
            entries = image.end.entries
            durable = self._tail.durable_position
            self._head.begin(mark_of_rewriting(image.end, durable, header.salt))
        self._start_segment(header, entries)
        self._tail = self._tail._replace(durable_position=self._tail.position)
        self._write_mark(closed=False)
        self._image = None

    def _adopted_header(self, image: LogImage) -> SegmentHeader:
        salt = os.urandom(SALT_BYTES)
        if image.end is not None:
            return image.end.segment.header._replace(salt=salt)
        return SegmentHeader(
            core_version=CORE_VERSION,
            log_id=os.urandom(LOG_ID_BYTES) if image.mark is None else image.mark.log_id,
            salt=salt,
            number=1,
            first_sequence=1,
            previous_sequence=0,
            previous_hash=GENESIS_HASH,
            durable_sequence=0,
            sync_mode=SyncMode.BATCH,
        )

    def _start_segment(self, header: SegmentHeader, entries: Sequence[SegmentEntry]) -> None:
        header = self._completed(header)
        used = segment_bytes(entries)
        filled = filled_bytes(used, self._segment_bytes_max)
        try:
            segment = write_segment(self._files, header, entries, filled)
        except NoSpace:  # there may be enough for what has to be written
            filled = used
            segment = write_segment(self._files, header, entries)
        self._use(header, segment, used, filled)

    def _start_in_spare(self, header: SegmentHeader, spare: Spare) -> None:
        header = self._completed(header)
        name = segment_name(header.first_sequence)
        spare.file.write(0, [encode_header(header)])
        spare.file.datasync()
        self._files.rename(spare.name, name)
        spare.file.named(name)
        self._files.sync_directory()
        self._use(header, spare.file, HEADER_BYTES, self._segment_bytes_max)

    def _completed(self, header: SegmentHeader) -> SegmentHeader:
        sync_mode = SyncMode[self._policy.mode.upper()]
        return header._replace(durable_sequence=self._tail.position, sync_mode=sync_mode)

    def _use(self, header: SegmentHeader, segment: WriteFile, used: int, filled: int) -> None:
        self._header, self._segment = header, segment
        self._segment_bytes = self._durable_bytes = used
        self._filled_bytes = filled
        self._spare_from = (used + filled) // 2


def mark_of_rewriting(scan: Scan, durable_sequence: int, salt: bytes) -> Mark:
    """Return the mark to be durable before a last segment is written anew with another salt.

    It claims what is known durable of the segment as it is: until the new one has taken its place
    the power may still go, and take what only a read showed.
    """
    sequence, offset = scan.reach(durable_sequence)
    return mark_of(scan.segment.header, sequence, offset, other_salt=salt)


def segment_bytes(entries: Sequence[SegmentEntry]) -> int:
    """Return the size of a segment with these records."""
    return HEADER_BYTES + sum(entry.end_offset - entry.offset for entry in entries)


def filled_bytes(used_bytes: int, segment_bytes_max: int) -> int:
    """Return the size to which a segment is filled before it gets its name.

    Half a piece of room at least, a piece and a half at most: a start has to be quick, and by the
    time that this is used up a spare is there.
    """
    pieces = -(-(used_bytes + PIECE_BYTES // 2) // PIECE_BYTES)
    return max(used_bytes, min(pieces * PIECE_BYTES, segment_bytes_max))


def write_segment(
    files: LogFiles, header: SegmentHeader, entries: Sequence[SegmentEntry], size_bytes: int = 0
) -> WriteFile:
    """Write a segment, whole and durable, in place of one with its name.

    Args:
        files: The directory.
        header: Its place in the log, a new salt, and as durable sequence the last one in this
            segment or before.
        entries: The records it begins with.
        size_bytes: To where it is filled with zeros, if that is behind the records.

    Returns:
        The file, open for writing.

    Raises:
        NoSpace: there is no room for all of it.
        WalWriteError: another step failed.
    """
    chunks = chain(_segment_chunks(header, entries), _zeros(size_bytes - segment_bytes(entries)))
    return write_file(files, segment_name(header.first_sequence), chunks)


def keep_cut(files: LogFiles, name: str, offset: int, data: bytes) -> str:
    """Copy bytes that are about to be cut to a file aside, durably; returns its name.

    The content is part of the name, so a cut that was interrupted and is repeated makes no second
    copy, and two cuts at one place keep both.
    """
    cut_name = cut_file_name(name, offset, data)
    write_file(files, cut_name, [data]).close()
    return cut_name


def cut_file_name(name: str, offset: int, data: bytes) -> str:
    """Name the file that keeps what was cut from a segment."""
    return f"{name}.{offset}.{crc32(data):08x}.cut"


def _segment_chunks(header: SegmentHeader, entries: Sequence[SegmentEntry]) -> Iterator[bytes]:
    yield encode_header(header)
    for entry in entries:
        yield encode_frame(
            header.salt,
            entry.record.encode(),
            first_sequence=entry.record.first_sequence,
            last_sequence=entry.record.last_sequence,
            durable_sequence=entry.durable_sequence,
        )


def _zeros(count: int) -> Iterator[bytes]:
    for done in range(0, count, PIECE_BYTES):
        yield bytes(min(PIECE_BYTES, count - done))
