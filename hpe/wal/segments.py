"""What a directory of segments holds, and whether its end is a torn tail or damage.

Owns the reading side of the log: it opens segments in order, proves headers, checksums, chain and
contiguity, and judges the end. It never changes a file; any thread that may read the files may
use it. Guarantees: what it yields is a prefix of what was appended, and contains everything of
which the files themselves say that it was durable; whatever else it finds is a WalDamagedError
naming file and offset, or (at the end only) a Cut. Relies on the writer's order: a segment is
synced whole before its successor gets its name, and a name appears after a synced header. Source:
docs/log-format.md, "Tail or damage".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from hpe.core.core import CORE_VERSION
from hpe.errors import LogVersionError, WalDamagedError
from hpe.wal.files import LogFiles
from hpe.wal.format import (
    FRAME_MAGIC,
    HEADER_BYTES,
    BadFrame,
    Frame,
    SegmentHeader,
    SyncMode,
    decode_frame,
    decode_header,
    torn_by_crash,
)
from hpe.wal.log import GENESIS_HASH, Record, Tail, record_hash

SEGMENT_SUFFIX: Final = ".hpewal"
_SEGMENT_NAME: Final = re.compile(r"[0-9]{20}\.hpewal")


class Segment(NamedTuple):
    """A segment whose header holds."""

    name: str
    header: SegmentHeader


class Entry(NamedTuple):
    """A record where it stands in its segment, and its digest."""

    offset: int
    end_offset: int
    durable_sequence: int
    record: Record
    hash: bytes


class Fault(NamedTuple):
    """Where reading stopped. `bad` is None when checksums hold: no crash explains that."""

    offset: int
    reason: str
    bad: BadFrame | None


class Scan(NamedTuple):
    """One segment's frames up to its end or its first fault."""

    segment: Segment
    data: bytes
    entries: list[Entry]
    fault: Fault | None

    @property
    def position(self) -> int:
        """Give the last sequence before the end or the fault."""
        if self.entries:
            return self.entries[-1].record.last_sequence
        return self.segment.header.previous_sequence

    @property
    def hash(self) -> bytes:
        """Give the digest that the next record must name."""
        return self.entries[-1].hash if self.entries else self.segment.header.previous_hash


class Cut(NamedTuple):
    """A torn tail: bytes at the log's end that no durable record needs.

    `first_sequence` is the first command that is lost if there was one, `last_sequence` the last
    that readable frames behind the torn one show, 0 if none does.
    """

    name: str
    offset: int
    data: bytes
    first_sequence: int
    last_sequence: int
    reason: str

    def describe(self) -> str:
        """Say in one line what is cut."""
        last = str(self.last_sequence) if self.last_sequence else "unknown"
        return (
            f"torn tail: {len(self.data)} bytes of {self.name} from offset {self.offset} "
            f"({self.reason}); lost sequences: {self.first_sequence}..{last}, none known durable"
        )


class LogImage(NamedTuple):
    """A log as it was found; `end` is its last segment, None for an empty directory."""

    files: LogFiles
    segments: list[Segment]
    end: Scan | None
    cut: Cut | None

    @property
    def tail(self) -> Tail:
        """Give the end of what is kept."""
        if self.end is None:
            return Tail(0, 0, GENESIS_HASH)
        return Tail(self.end.position, _durable_evidence(self.end), self.end.hash)

    def scans(self) -> Iterator[Scan]:
        """Yield every segment's records, joints proven; the last one without what is cut.

        Raises:
            WalDamagedError: a segment before the last is faulty, or two do not join.
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
    """Make the error that names file and offset."""
    return WalDamagedError(f"{name} at offset {offset}: {reason}")


def segment_name(first_sequence: int) -> str:
    """Give a segment's file name: names sort as sequences do."""
    return f"{first_sequence:020d}{SEGMENT_SUFFIX}"


def segment_names(files: LogFiles) -> list[str]:
    """List the segments in order.

    Raises:
        WalDamagedError: a file with a segment's suffix has no segment's name.
    """
    names = [name for name in files.names() if name.endswith(SEGMENT_SUFFIX)]
    for name in names:
        if not _SEGMENT_NAME.fullmatch(name):
            raise damaged(name, 0, f"a segment's name is 20 digits and {SEGMENT_SUFFIX}")
    return sorted(names)


def open_segments(files: LogFiles, names: Sequence[str]) -> Iterator[Segment]:
    """Yield the segments of these names with their headers, as one log without a hole.

    Raises:
        WalDamagedError: a header is bad, a segment is missing, or one is of another log.
        LogVersionError: a segment has another format.
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
    """Read a segment's frames up to its end or its first fault."""
    data = files.read(segment.name)
    scan = Scan(segment, data, [], None)
    offset = HEADER_BYTES
    while offset < len(data):
        entry = _read_entry(scan, offset)
        if isinstance(entry, Fault):
            return scan._replace(fault=entry)
        scan.entries.append(entry)
        offset = entry.end_offset
    return scan


def check_joint(scan: Scan, successor: Segment) -> None:
    """Prove that a segment ends where its successor says it does.

    Raises:
        WalDamagedError: it does not.
    """
    header = successor.header
    if scan.position != header.previous_sequence:
        raise damaged(
            scan.segment.name,
            len(scan.data),
            f"ends at sequence {scan.position}, but {successor.name} continues "
            f"{header.previous_sequence}",
        )
    if scan.hash != header.previous_hash:
        raise damaged(successor.name, 0, f"does not continue the records of {scan.segment.name}")


def survey(files: LogFiles) -> LogImage:
    """Find out what a directory holds: all headers, and the end. Sealed segments are read later.

    Raises:
        WalDamagedError: no crash explains what was found; the message names file and offset.
        LogVersionError: the log is of another version of the format or the core.
    """
    segments = list(open_segments(files, segment_names(files)))
    for segment in segments:
        if segment.header.core_version != CORE_VERSION:
            raise LogVersionError(
                f"{segment.name} was written by core version {segment.header.core_version}; "
                f"this build is core version {CORE_VERSION}"
            )
    if not segments:
        return LogImage(files, segments, None, None)
    end = scan_segment(files, segments[-1])
    return LogImage(files, segments, end, _judge_end(end))


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


def _read_entry(scan: Scan, offset: int) -> Entry | Fault:
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
    return Entry(
        offset, frame.end_offset, frame.durable_sequence, record, record_hash(frame.payload)
    )


def _durable_evidence(scan: Scan) -> int:
    """Give the highest sequence of which the readable part says that it was durable."""
    told = [entry.durable_sequence for entry in scan.entries]
    return max([scan.segment.header.durable_sequence, *told])


def _judge_end(scan: Scan) -> Cut | None:
    name, header = scan.segment
    durable = _durable_evidence(scan)
    if scan.fault is None:
        if scan.position < durable:
            reason = f"ends at sequence {scan.position}, but {durable} was durable"
            raise damaged(name, len(scan.data), reason)
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
    return Cut(name, offset, scan.data[offset:], first_lost, last_lost, reason)


def _frames_beyond(salt: bytes, data: bytes, offset: int) -> Iterator[Frame]:
    """Yield the valid frames behind a bad one, whose own length cannot be trusted."""
    while (offset := data.find(FRAME_MAGIC, offset)) >= 0:
        frame = decode_frame(salt, data, offset)
        if isinstance(frame, Frame):
            yield frame
            offset = frame.end_offset
        else:
            offset += 1
