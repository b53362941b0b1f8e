"""The log in local files: appends frames to segments and rotates them.

Owns the segment that is being written. Belongs to one thread at a time: recovery's until the log is
handed over, then the log thread. Guarantees: whatever a returned Tail calls durable was
synced successfully; a segment gets its name after its header was synced and its predecessor was
synced completely; the head mark is never ahead of what is durable, and never names a segment that
may be missing; after the first failure nothing more is written. Relies on LogFiles for everything
that touches the disk. Source: docs/log-format.md, "Writing" and "The head mark".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from math import inf
from typing import Final
from zlib import crc32

from hpe.config.settings import SyncPolicy
from hpe.core.contract import CORE_VERSION
from hpe.errors import Fenced, WalWriteError
from hpe.machine import THIS_MACHINE, Machine
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
from hpe.wal.log import GENESIS_HASH, Piece, Record, Tail, record_hash
from hpe.wal.mark import MARK_NAME, HeadMark, Mark, empty_mark, mark_of
from hpe.wal.segments import SEGMENT_SUFFIX, Cut, LogImage, Scan, SegmentEntry, segment_name, survey
from hpe.wal.spare import PIECE_BYTES, Spare, SpareMaker

SEGMENT_BYTES_MAX_DEFAULT: Final = 64 * 1024 * 1024
"""Large enough to make rotation rare, small enough to be read and rewritten whole at start."""


class FileLog:
    """CommandLog over segments in one directory.

    Attributes:
        spares: Makes the files of the next segments; the log also works if no thread serves it.
    """

    def __init__(
        self,
        files: LogFiles,
        policy: SyncPolicy,
        *,
        segment_bytes_max: int = SEGMENT_BYTES_MAX_DEFAULT,
        machine: Machine = THIS_MACHINE,
    ) -> None:
        self._files = files
        self._machine = machine
        self._policy = policy
        self._segment_bytes_max = segment_bytes_max
        self.spares = SpareMaker(files, SEGMENT_SUFFIX, segment_bytes_max)
        self._tail = Tail(0, 0)
        self._link = GENESIS_HASH
        self._unlinked: list[Piece] = []  # the last record, until its digest is needed
        self._image: LogImage | None = None  # what `open` found; None after the first `sync`
        self._segment: WriteFile | None = None
        self._header: SegmentHeader | None = None
        self._segment_bytes = 0  # offset of the next frame
        self._filled_bytes = 0  # size of the segment, whose rest is zeros
        self._spare_from = inf  # a frame that ends beyond this offset requests a spare
        self._durable_bytes = 0  # offset in the segment at which the durable position's frame ends
        self._head = HeadMark(files)
        self._mark_due = False
        self._failed = False

    @property
    def cut(self) -> Cut | None:
        """Return the torn tail that `open` found and the first `sync` will cut."""
        return None if self._image is None else self._image.cut

    @property
    def segment_count(self) -> int:
        """Return the number of segments, which is the number of the newest one."""
        if self._header is not None:
            return self._header.number
        return 0 if self._image is None else len(self._image.segments)

    def open(self) -> Tail:
        """See CommandLog.

        Raises:
            DataDirectoryBusy: another process holds the directory.
            WalDamagedError: the end of the log is damaged; nothing was changed.
            LogVersionError: another version wrote the log.
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
            segment.check_place()  # before the commands are answered
        self._tail = tail
        return tail

    def link(self) -> bytes:
        """See CommandLog."""
        if self._unlinked:
            self._link = record_hash(self._unlinked)
            self._unlinked = []
        return self._link

    def sync(self) -> Tail:
        """See CommandLog. The first call rewrites the last segment, see `_adopt`."""
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
        """See CommandLog. With `closed`, `spares` must not be served any more."""
        assert self._segment is not None
        assert not closed or self._tail.durable_position == self._tail.position
        with self._once():
            if closed:
                self._seal(self._segment)
                self.spares.discard()
            self._write_mark(closed=closed)
            self._segment.check_place()  # otherwise a stop might not notice that it is gone

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
        """Forbid every write after a failure, even after one between two files."""
        if self._failed:
            raise WalWriteError("the log failed before and accepts nothing more")
        self._failed = True
        yield
        self._failed = False

    def _check_continues(self, expect: Tail, record: Record) -> None:
        if self._segment is None:
            raise WalWriteError("the log was opened but not made durable: call sync first")
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
        return False  # interval: the log thread watches the clock

    def _segment_with_room(self, frame_bytes: int) -> WriteFile:
        assert self._segment is not None
        end = self._segment_bytes + frame_bytes
        if end > self._filled_bytes and self._tail.position >= self._current_header.first_sequence:
            # Better a spare than a segment that grows with every frame.
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
        sealed.check_place()  # otherwise the log would go on after a gap
        sealed.close()
        self._tail = self._tail._replace(durable_position=self._tail.position)
        header = self._current_header
        header = header._replace(
            salt=self._machine.random_bytes(SALT_BYTES),
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
        """Remove the zeros that were filled ahead, and make the whole segment durable."""
        segment.truncate(self._segment_bytes)
        segment.sync()

    def _write_mark(self, *, closed: bool) -> None:
        durable = self._tail.durable_position
        mark = mark_of(self._current_header, durable, self._durable_bytes, closed=closed)
        self._head.write(mark)
        self._mark_due = False

    def _adopt(self) -> None:
        """Make everything that was read durable by rewriting the last segment.

        What was read may exist in the page cache only: after a failed sync, its pages count as
        clean, so another sync of the old file would prove nothing. The new pages of a new file are
        written, or the sync fails. The new header says that everything up to here is durable.
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
        salt = self._machine.random_bytes(SALT_BYTES)
        if image.end is not None:
            return image.end.segment.header._replace(salt=salt)
        return SegmentHeader(
            core_version=CORE_VERSION,
            log_id=self._machine.random_bytes(LOG_ID_BYTES)
            if image.mark is None
            else image.mark.log_id,
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
        except NoSpace:  # there may still be room for the records themselves
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
    """Return the mark that must be durable before a last segment is rewritten with another salt.

    It claims what is known to be durable of the segment as it is: until the new one has taken its
    place, a power cut may still take what was only read.
    """
    sequence, offset = scan.reach(durable_sequence)
    return mark_of(scan.segment.header, sequence, offset, other_salt=salt)


def segment_bytes(entries: Sequence[SegmentEntry]) -> int:
    """Return the size of a segment with these records."""
    return HEADER_BYTES + sum(entry.end_offset - entry.offset for entry in entries)


def filled_bytes(used_bytes: int, segment_bytes_max: int) -> int:
    """Return the size to which a segment is filled with zeros before it gets its name.

    That leaves room of half a piece to a piece and a half: a start must be fast, and by the time
    the room is used up there is a spare.
    """
    pieces = -(-(used_bytes + PIECE_BYTES // 2) // PIECE_BYTES)
    return max(used_bytes, min(pieces * PIECE_BYTES, segment_bytes_max))


def write_segment(
    files: LogFiles, header: SegmentHeader, entries: Sequence[SegmentEntry], size_bytes: int = 0
) -> WriteFile:
    """Write a segment, complete and durable, replacing an existing one of its name.

    Args:
        files: The directory.
        header: Its place in the log, a new salt, and as durable sequence the last one in this
            segment or before.
        entries: The records it begins with.
        size_bytes: The size up to which it is filled with zeros, if the records end before that.

    Returns:
        The file, open for writing.

    Raises:
        NoSpace: there is not enough room.
        WalWriteError: another step failed.
    """
    chunks = chain(_segment_chunks(header, entries), _zeros(size_bytes - segment_bytes(entries)))
    return write_file(files, segment_name(header.first_sequence), chunks)


def keep_cut(files: LogFiles, name: str, offset: int, data: bytes) -> str:
    """Copy bytes that are about to be cut to a file, durably; return the file's name.

    The name contains a digest of the content, so repeating an interrupted cut makes no second
    copy, and two different cuts at the same place are both kept.
    """
    cut_name = cut_file_name(name, offset, data)
    write_file(files, cut_name, [data]).close()
    return cut_name


def cut_file_name(name: str, offset: int, data: bytes) -> str:
    """Return the name of the file that keeps a cut of a segment."""
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
