"""Truncation, the operator's explicit choice: cut everything above a sequence, and keep a copy.

Owns nothing; called by `hpe wal truncate` in a process of its own, which holds the directory's lock
meanwhile, so it never runs beside a service. It is the only way past damage, because only a person
can decide that the commands after it may be lost. It needs no head mark and leaves one, so it is
also the way past a lost or contradicted mark. Guarantees: nothing is cut without a copy; if it is
interrupted and run again, the result is the same; recovery accepts the log that it leaves. Source:
docs/log-format.md, "Truncation".
"""

from __future__ import annotations

from typing import NamedTuple

from hpe.errors import WalDamagedError
from hpe.machine import THIS_MACHINE
from hpe.wal.files import LogFiles
from hpe.wal.format import SALT_BYTES, content_end
from hpe.wal.mark import HeadMark, mark_of
from hpe.wal.segments import (
    Scan,
    SegmentEntry,
    check_joint,
    damaged,
    durable_evidence,
    open_segments,
    scan_segment,
    segment_name,
    segment_names,
)
from hpe.wal.writer import (
    cut_file_name,
    keep_cut,
    mark_of_rewriting,
    segment_bytes,
    write_segment,
)


class Truncated(NamedTuple):
    """Where the log ends now, and the files that keep the cut parts."""

    position: int
    kept: list[str]


def truncate(files: LogFiles, at: int) -> Truncated:
    """Cut everything above sequence `at`. Every record is kept or cut whole.

    Args:
        files: The data directory.
        at: The last sequence that stays; 0 empties the log.

    Raises:
        DataDirectoryBusy: a service or another tool is using the directory.
        WalReadError: the directory does not exist or cannot be read.
        WalDamagedError: sequence `at` is missing, unreadable or inside a record; the message names
            where a cut is possible. Nothing was changed.
        WalWriteError: a step failed; run it again.
    """
    files.names()  # fails if the directory does not exist; locking would create a mistyped one
    files.lock()
    names = segment_names(files)
    # A segment's name is its first sequence, so damaged headers after the cut need not be read.
    readable = [name for name in names if name <= segment_name(max(at, 1))]
    if not readable:
        raise WalDamagedError(f"no segment holds sequence {at}")
    scan = _scan_last(files, readable)
    entries = _entries_up_to(scan, at)
    kept = _move_aside(files, names[len(readable) :])
    end_offset = segment_bytes(entries)
    cut = scan.data[end_offset : content_end(scan.data)]
    if cut:
        kept.append(keep_cut(files, scan.segment.name, end_offset, cut))
    _write_anew(files, scan, entries, at)
    return Truncated(at, kept)


def _write_anew(files: LogFiles, scan: Scan, entries: list[SegmentEntry], at: int) -> None:
    """Rewrite the last segment, even if nothing is cut off it, and the mark before and after.

    The content that was read may be in the page cache only, and the mark may claim only what is
    durable.
    """
    header = scan.segment.header._replace(
        salt=THIS_MACHINE.random_bytes(SALT_BYTES), durable_sequence=at
    )
    durable = min(durable_evidence(scan, None), at)
    head = HeadMark(files)
    try:
        head.begin(mark_of_rewriting(scan, durable, header.salt))
        write_segment(files, header, entries).close()
        head.write(mark_of(header, at, segment_bytes(entries), closed=True))
    finally:
        head.close()


def _scan_last(files: LogFiles, names: list[str]) -> Scan:
    """Read the segments in order and verify their joints; return the scan of the last one."""
    scan: Scan | None = None
    for segment in open_segments(files, names):
        if scan is not None:
            if scan.fault is not None:
                raise damaged(scan.segment.name, scan.fault.offset, scan.fault.reason)
            check_joint(scan, segment)
        scan = scan_segment(files, segment)
    assert scan is not None
    return scan


def _entries_up_to(scan: Scan, at: int) -> list[SegmentEntry]:
    name = scan.segment.name
    if scan.position < at:
        raise WalDamagedError(f"{name}: the last readable sequence is {scan.position}, not {at}")
    entries = [entry for entry in scan.entries if entry.record.last_sequence <= at]
    if len(entries) < len(scan.entries):
        first, last, *_ = scan.entries[len(entries)].record
        if first <= at:
            raise WalDamagedError(
                f"{name}: sequence {at} is inside the record {first}..{last}; "
                f"cut at {first - 1} or {last}"
            )
    return entries


def _move_aside(files: LogFiles, names: list[str]) -> list[str]:
    """Rename the segments that are cut whole, newest first, so that the rest is always a log."""
    kept = []
    for name in reversed(names):
        kept.append(cut_file_name(name, 0, files.read(name)))
        files.rename(name, kept[-1])
        files.sync_directory()
    return kept
