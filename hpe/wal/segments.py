"""The segments of a log: read, verified, and judged at their end: torn tail or damage?

Owns the reading side of the log: opens segments in order, verifies headers, checksums, chain and
contiguity, and judges the end. It never changes a file; any thread that may read the files may
use it. Guarantees: it yields a prefix of what was appended, with everything that the files
themselves claim to be durable; anything else it finds becomes a WalDamagedError that names file
and offset or, at the end only, a Cut. Relies on the writer's order (a segment is synced completely
before its successor gets its name; a segment gets its name after its header was synced) and on the
head mark claiming only what was durable. Source: docs/log-format.md, "Tail or damage".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from hpe.core.contract import CORE_VERSION
from hpe.errors import LogVersionError, WalDamagedError
from hpe.wal.files import LogFiles
from hpe.wal.format import (
    FRAME_MAGIC,
    HEADER_BYTES,
    BadFrame,
    Frame,
    SegmentHeader,
    SyncMode,
    content_end,
    decode_frame,
    decode_header,
    torn_by_crash,
)
from hpe.wal.log import GENESIS_HASH, Record, Tail, record_hash
from hpe.wal.mark import MARK_NAME, Mark, read_mark

SEGMENT_SUFFIX: Final = ".hpewal"
_SEGMENT_NAME: Final = re.compile(r"[0-9]{20}\.hpewal")


class Segment(NamedTuple):
    """A segment with a valid header."""

    name: str
    header: SegmentHeader


class SegmentEntry(NamedTuple):
    """A record, its position in the segment, and its digest."""

    offset: int
    end_offset: int
    durable_sequence: int
    record: Record
    hash: bytes


class Fault(NamedTuple):
    """Where reading stopped. `bad` is None if the checksums match: no crash explains that."""

    offset: int
    reason: str
    bad: BadFrame | None


class Scan(NamedTuple):
    """The frames of one segment up to its end or its first fault."""

    segment: Segment
    data: bytes
    entries: list[SegmentEntry]
    fault: Fault | None

    @property
    def position(self) -> int:
        """Return the last sequence before the end or the fault."""
        if self.entries:
            return self.entries[-1].record.last_sequence
        return self.segment.header.previous_sequence

    @property
    def end_offset(self) -> int:
        """Return the offset at which the last frame before the end or the fault ends."""
        return self.entries[-1].end_offset if self.entries else HEADER_BYTES

    @property
    def hash(self) -> bytes:
        """Return the digest that the next record must refer to."""
        return self.entries[-1].hash if self.entries else self.segment.header.previous_hash

    def reach(self, sequence: int) -> tuple[int, int]:
        """Return the last record up to `sequence`: its last sequence and its frame's end."""
        for entry in reversed(self.entries):
            if entry.record.last_sequence <= sequence:
                return entry.record.last_sequence, entry.end_offset
        return self.segment.header.previous_sequence, HEADER_BYTES


class Cut(NamedTuple):
    """A torn tail: bytes at the log's end that no durable record needs.

    `first_sequence` is the first command that is lost, if there was one; `last_sequence` is the
    last one in readable frames after the torn one, 0 if there is none. `sync_mode` is the policy
    that the segment was written under: all but `batch` answer before they sync.
    """

    name: str
    offset: int
    data: bytes
    first_sequence: int
    last_sequence: int
    reason: str
    sync_mode: SyncMode

    @property
    def may_be_answered(self) -> bool:
        """True if commands in the cut may have been answered."""
        return self.sync_mode is not SyncMode.BATCH

    def describe(self) -> str:
        """Return one line that says what is cut."""
        last = str(self.last_sequence) if self.last_sequence else "unknown"
        answered = "some may have been answered" if self.may_be_answered else "none was answered"
        return (
            f"torn tail: {len(self.data)} bytes of {self.name} from offset {self.offset} "
            f"({self.reason}); lost sequences: {self.first_sequence}..{last}, none known durable, "
            f"{answered} (sync {self.sync_mode.name.lower()})"
        )


class LogImage(NamedTuple):
    """A log as found on disk; `end` is its last segment, None if there is none."""

    files: LogFiles
    segments: list[Segment]
    end: Scan | None
    cut: Cut | None
    mark: Mark | None

    @property
    def tail(self) -> Tail:
        """Return the end of the part that is kept."""
        if self.end is None:
            return Tail(0, 0)
        return Tail(self.end.position, durable_evidence(self.end, self.mark))

    @property
    def hash(self) -> bytes:
        """Return the digest that the next record must refer to."""
        return GENESIS_HASH if self.end is None else self.end.hash

    def scans(self) -> Iterator[Scan]:
        """Yield every segment's records, the last one without the cut; verify their joints.

        Raises:
            WalDamagedError: a segment before the last is faulty, or two of them do not join.
        """
        for segment, successor in zip(self.segments, self.segments[1:], strict=False):
            scan = scan_segment(self.files, segment)
            if scan.fault is not None:
                raise damaged(segment.name, scan.fault.offset, scan.fault.reason)
            check_joint(scan, successor)
            yield scan
        if self.end is not None:
            yield self.end

    def records(self, after: int) -> Iterator[Record]:
        """Yield the records that hold sequences above `after`."""
        for scan in self.scans():
            for entry in scan.entries:
                if entry.record.last_sequence > after:
                    yield entry.record


def damaged(name: str, offset: int, reason: str) -> WalDamagedError:
    """Return an error that names file and offset."""
    return WalDamagedError(f"{name} at offset {offset}: {reason}")


def segment_name(first_sequence: int) -> str:
    """Return a segment's file name. Names sort like sequences."""
    return f"{first_sequence:020d}{SEGMENT_SUFFIX}"


def segment_names(files: LogFiles) -> list[str]:
    """Return the names of the segments in order.

    Raises:
        WalDamagedError: a file has the suffix of a segment but not the name of one.
    """
    names = [name for name in files.names() if name.endswith(SEGMENT_SUFFIX)]
    for name in names:
        if not _SEGMENT_NAME.fullmatch(name):
            raise damaged(name, 0, f"a segment's name is 20 digits and {SEGMENT_SUFFIX}")
    return sorted(names)


def open_segments(files: LogFiles, names: Sequence[str]) -> Iterator[Segment]:
    """Yield the segments of these names with their headers; verify that they form one log.

    Raises:
        WalDamagedError: a header is bad, a segment is missing, or one belongs to another log.
        LogVersionError: a segment has another version of the format.
    """
    previous: Segment | None = None
    for name in names:
        try:
            header = decode_header(files.read(name, HEADER_BYTES))
        except ValueError as error:
            raise damaged(name, 0, str(error)) from error
        except LogVersionError as error:
            raise LogVersionError(f"{name}: {error}") from error
        segment = Segment(name, header)
        _check_place(previous, segment)
        yield segment
        previous = segment


def scan_segment(files: LogFiles, segment: Segment) -> Scan:
    """Read the frames of a segment up to its end or its first fault.

    The segment ends where only zeros follow, which were filled ahead.
    """
    data = files.read(segment.name)
    scan = Scan(segment, data, [], None)
    offset = HEADER_BYTES
    zeros_offset = content_end(data)
    while offset < zeros_offset:
        entry = _read_entry(scan, offset)
        if isinstance(entry, Fault):
            return scan._replace(fault=entry)
        scan.entries.append(entry)
        offset = entry.end_offset
    return scan


def check_joint(scan: Scan, successor: Segment) -> None:
    """Verify that a segment ends with its last frame, where its successor says it ends.

    Raises:
        WalDamagedError: it does not.
    """
    header = successor.header
    if scan.position != header.previous_sequence:
        raise damaged(
            scan.segment.name,
            scan.end_offset,
            f"ends at sequence {scan.position}, but {successor.name} continues "
            f"{header.previous_sequence}",
        )
    if scan.hash != header.previous_hash:
        raise damaged(successor.name, 0, f"does not continue the records of {scan.segment.name}")
    zeros = len(scan.data) - scan.end_offset
    if zeros:
        reason = f"{zeros} zero bytes follow the last frame, but {successor.name} continues it"
        raise damaged(scan.segment.name, scan.end_offset, reason)


def survey(files: LogFiles) -> LogImage:
    """Read the mark, all headers and the end of a log, and judge whether they fit together.

    `scans` reads the segments before the last later, and verifies their joints.

    Raises:
        WalDamagedError: no crash explains what was found; the message names file and offset.
        LogVersionError: the log has another version of the format or the core.
    """
    # Read before the segments: a running service may meanwhile only make them longer than it says.
    mark = read_mark(files)
    segments = list(open_segments(files, segment_names(files)))
    for segment in segments:
        if segment.header.core_version != CORE_VERSION:
            raise LogVersionError(
                f"{segment.name} was written by core version {segment.header.core_version}; "
                f"this build is core version {CORE_VERSION}"
            )
    if isinstance(mark, WalDamagedError):
        raise mark
    if mark is None and segments:
        raise WalDamagedError(f"{MARK_NAME}: missing, but there is {segments[-1].name}")
    if mark is not None:
        _check_marked_segment(mark, segments)
    if not segments:
        return LogImage(files, segments, None, None, mark)
    end = scan_segment(files, segments[-1])
    cut = _judge_end(end, mark)
    return LogImage(files, segments, end, cut, mark)


def durable_evidence(scan: Scan, mark: Mark | None) -> int:
    """Return the highest sequence that the mark or the readable part shows to be durable."""
    told = [entry.durable_sequence for entry in scan.entries]
    if mark is not None:
        told.append(mark.durable_sequence)
    return max([scan.segment.header.durable_sequence, *told])


def _check_marked_segment(mark: Mark, segments: Sequence[Segment]) -> None:
    """Verify that the marked segment is there, is the same one, and is complete if sealed."""
    if segments and segments[0].header.log_id != mark.log_id:
        raise _contradicts(mark, f"{segments[0].name} belongs to another log")
    if not mark.number:
        return
    if len(segments) < mark.number:
        newest = segments[-1].name if segments else "none"
        raise _contradicts(
            mark,
            f"segment {mark.number} ({segment_name(mark.first_sequence)}) is missing: "
            f"the newest one is {newest}",
        )
    name, header = segments[mark.number - 1]
    if header.salt not in (mark.salt, mark.other_salt):
        raise _contradicts(mark, f"{name} is another one, written before or after it")
    if len(segments) == mark.number:
        return
    successor = segments[mark.number]
    if mark.closed:
        raise _contradicts(mark, f"there is a newer segment, {successor.name}")
    if successor.header.previous_sequence < mark.durable_sequence:
        reason = f"{successor.name} continues sequence {successor.header.previous_sequence}"
        raise _contradicts(mark, reason)


def _contradicts(mark: Mark, found: str) -> WalDamagedError:
    return WalDamagedError(f"{mark.describe()}; but {found}")


def _check_place(previous: Segment | None, segment: Segment) -> None:
    name, header = segment
    if name != segment_name(header.first_sequence):
        raise damaged(name, 0, f"holds sequences from {header.first_sequence} on")
    expected_number = 1 if previous is None else previous.header.number + 1
    if header.number != expected_number:
        raise damaged(
            name, 0, f"is segment {header.number}, expected {expected_number}: one is missing"
        )
    if previous is not None and header.log_id != previous.header.log_id:
        raise damaged(name, 0, f"belongs to another log than {previous.name}")
    if previous is None and header.previous_hash != GENESIS_HASH:
        raise damaged(name, 0, "the first segment of a log names a predecessor")


def _read_entry(scan: Scan, offset: int) -> SegmentEntry | Fault:
    frame = decode_frame(scan.segment.header.salt, scan.data, offset)
    if isinstance(frame, BadFrame):
        return Fault(offset, frame.reason, frame)
    try:
        record = Record.decode(frame.payload)
    except ValueError as error:
        return Fault(offset, str(error), None)
    found = (record.first_sequence, record.last_sequence)
    if found != (frame.first_sequence, frame.last_sequence):
        return Fault(offset, "the record holds other sequences than its frame says", None)
    if record.first_sequence != scan.position + 1:
        reason = f"starts at sequence {record.first_sequence}, expected {scan.position + 1}"
        return Fault(offset, reason, None)
    if record.previous_hash != scan.hash:
        return Fault(offset, "does not continue the record before it", None)
    return SegmentEntry(
        offset, frame.end_offset, frame.durable_sequence, record, record_hash([frame.payload])
    )


def _judge_end(scan: Scan, mark: Mark | None) -> Cut | None:
    name, header = scan.segment
    if mark is not None and mark.number == header.number:
        _check_marked_end(scan, mark)
    durable = durable_evidence(scan, mark)
    if scan.fault is None:
        if scan.position < durable:
            reason = f"ends at sequence {scan.position}, but {durable} was durable"
            raise damaged(name, scan.end_offset, reason)
        return None
    offset, reason, bad = scan.fault
    if bad is None:
        raise damaged(name, offset, reason)
    beyond = list(_frames_beyond(header.salt, scan.data, offset + 1))
    durable = max([durable, *(frame.durable_sequence for frame in beyond)])
    first_lost = scan.position + 1
    if first_lost <= durable:
        raise damaged(name, offset, f"{reason}; sequences {first_lost}..{durable} were durable")
    if header.sync_mode is SyncMode.BATCH and not torn_by_crash(scan.data, offset, bad):
        raise damaged(name, offset, f"{reason}, and no sector of it is missing or zero")
    last_lost = max((frame.last_sequence for frame in beyond), default=0)
    cut = scan.data[offset : content_end(scan.data)]
    return Cut(name, offset, cut, first_lost, last_lost, reason, header.sync_mode)


def _check_marked_end(scan: Scan, mark: Mark) -> None:
    """Verify that the newest segment, which the mark names, is as long as the mark says."""
    name, size_bytes = scan.segment.name, len(scan.data)
    if size_bytes < mark.offset or (mark.closed and size_bytes != mark.offset):
        raise _contradicts(mark, f"{name} ends at offset {size_bytes}")
    if scan.position < mark.durable_sequence:
        return  # a bad frame before the offset: the caller reports it
    found = scan.reach(mark.durable_sequence)
    if found != (mark.durable_sequence, mark.offset):
        raise _contradicts(mark, f"in {name} sequence {found[0]} ends at offset {found[1]}")


def _frames_beyond(salt: bytes, data: bytes, offset: int) -> Iterator[Frame]:
    """Yield the valid frames after a bad one, whose own length cannot be trusted."""
    while (offset := data.find(FRAME_MAGIC, offset)) >= 0:
        frame = decode_frame(salt, data, offset)
        if isinstance(frame, Frame):
            yield frame
            offset = frame.end_offset
        else:
            offset += 1
