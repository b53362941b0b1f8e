"""Print a log for people: segments, frames, bodies, commands with field names, trades.

Owns only the wording; changes nothing. Called by `hpe wal dump`, in a process of its own, and by
tests. Guarantees: it prints everything readable up to the first fault, then the fault, so it also
works on damaged logs; bytes that do not decode are printed in hexadecimal. Relies on core.codec for
bodies and hpe/protocol/ for commands.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

import msgspec

from hpe.core.codec import Body, decode_body
from hpe.core.decoding.judging import LOGGED_TABLES, Undecodable, decode_request
from hpe.errors import WalDamagedError
from hpe.protocol.base import Request
from hpe.protocol.frames import split_frames
from hpe.wal.files import LogFiles
from hpe.wal.format import SegmentHeader, content_end
from hpe.wal.mark import read_mark
from hpe.wal.segments import Segment, SegmentEntry, open_segments, scan_segment, segment_names


def dump(files: LogFiles, segment: int | None = None, limit: int | None = None) -> Iterator[str]:
    """Yield the lines of a log.

    Args:
        files: The data directory.
        segment: The number of the only segment to print; None for all.
        limit: The maximum number of frames to print per segment; None for all.

    Raises:
        WalDamagedError: a header is damaged or a segment is missing, after the lines before it.
    """
    mark = read_mark(files)
    if mark is not None:
        yield str(mark) if isinstance(mark, WalDamagedError) else mark.describe()
    for found in open_segments(files, segment_names(files)):
        if segment is None or found.header.number == segment:
            yield from _segment_lines(files, found, limit)


def _segment_lines(files: LogFiles, segment: Segment, limit: int | None) -> Iterator[str]:
    scan = scan_segment(files, segment)
    yield _header_line(segment.name, segment.header, len(scan.data))
    for entry in islice(scan.entries, limit):
        yield from _entry_lines(entry)
    if limit is not None and limit < len(scan.entries):
        yield f"  ({len(scan.entries) - limit} more frames)"
    elif scan.fault is not None:
        rest_bytes = content_end(scan.data) - scan.fault.offset
        yield f"  bad at offset {scan.fault.offset}: {scan.fault.reason}; {rest_bytes} bytes left"


def _header_line(name: str, header: SegmentHeader, size_bytes: int) -> str:
    return (
        f"segment {header.number} {name} bytes={size_bytes} log={header.log_id.hex()} "
        f"core_version={header.core_version} sync={header.sync_mode.name.lower()} "
        f"first_sequence={header.first_sequence} durable_sequence={header.durable_sequence} "
        f"previous_hash={header.previous_hash.hex()}"
    )


def _entry_lines(entry: SegmentEntry) -> Iterator[str]:
    record = entry.record
    yield (
        f"  frame offset={entry.offset} bytes={entry.end_offset - entry.offset} "
        f"sequences={record.first_sequence}..{record.last_sequence} "
        f"durable_sequence={entry.durable_sequence} bodies={len(record.bodies)} "
        f"hash={entry.hash.hex()}"
    )
    for encoded in map(bytes, record.bodies):
        try:
            body = decode_body(encoded)
        except msgspec.MsgspecError as error:
            yield f"    body unreadable ({error}): {encoded.hex()}"
        else:
            yield from _body_lines(body)


def _body_lines(body: Body) -> Iterator[str]:
    seconds, nanoseconds = divmod(body.time_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    yield (
        f"    body first_sequence={body.first_sequence} time={moment}.{nanoseconds:09}Z "
        f"trades={len(body.trades)} output_digest={body.output_digest:08x}"
    )
    sequence = body.first_sequence
    for session, user, frames in body.groups:
        for frame in split_frames(frames):
            yield f"      {sequence} session={session} user={user} {_command_words(frame)}"
            sequence += 1
    for trade in body.trades:
        yield "      trade " + _words(msgspec.structs.asdict(trade))


def _command_words(frame: bytes) -> str:
    try:
        command: Request = decode_request(frame, LOGGED_TABLES)
    except Undecodable as error:
        return f"unreadable ({error}): {frame.hex()}"
    return f"{type(command).__name__} {_words(msgspec.structs.asdict(command))}"


def _words(fields: dict[str, object]) -> str:
    return " ".join(
        f"{name}={value.name.lower() if hasattr(value, 'name') else value}"
        for name, value in fields.items()
    )
