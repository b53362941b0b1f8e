"""Verify a log without changing it: every checksum, the chain, and a replay into a new core.

Owns nothing and changes nothing, not even the lock file; it may run beside a service, whose newest
frames it may then miss. Called by `hpe verify`, in a process of its own, and by tests. Guarantees:
it judges as a start would, so when it returns, recovery of the same files would accept them and
reach the reported state. Source: docs/log-format.md, "Verification".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from hpe.core.contract import Core
from hpe.errors import Diverged, WalError
from hpe.wal.files import LogFiles
from hpe.wal.format import content_end
from hpe.wal.mark import MARK_NAME
from hpe.wal.recovery import replay_record
from hpe.wal.segments import SEGMENT_SUFFIX, Cut, LogImage, Scan, damaged, survey

_SURVEYS_MAX: Final = 10
"""Beside a busy service, a survey may coincide with a start or the middle of a write. That is rare:
ten in a row have another cause."""


class Verified(NamedTuple):
    """A log that passed. `cut` is the torn tail that recovery would remove."""

    last_sequence: int
    records: int
    state_hash: bytes
    cut: Cut | None


def verify(files: LogFiles, core: Core, report: Callable[[str], None]) -> Verified:
    """Replay a log into a new core and check the state.

    Args:
        files: The data directory.
        core: A new core.
        report: Called with one line per segment as soon as it is verified.

    Raises:
        WalDamagedError: the log is damaged; the message names file and offset.
        LogVersionError: another version wrote the log.
        Diverged: a command gives another result than logged.
        InvariantViolation: the state contradicts itself, conservation of money included.
        WalReadError: the files cannot be read.
    """
    image = _survey_settled(files)
    records = 0
    for scan in image.scans():
        _replay(scan, core)
        records += len(scan.entries)
        report(_describe(scan))
    core.check()
    return Verified(core.last_sequence, records, core.state_hash(), image.cut)


def _survey_settled(files: LogFiles) -> LogImage:
    """Survey a log that a service may be writing.

    A start or an append between two reads looks like a contradiction or a torn frame, so a fault
    counts only if the files did not change while it was found.
    """
    before = _outline(files)
    for _ in range(_SURVEYS_MAX - 1):
        try:
            image = survey(files)
        except WalError:
            after = _outline(files)
            if after == before:
                raise
        else:
            after = _outline(files)
            if image.cut is None or after == before:
                return image
        before = after
    return survey(files)


def _outline(files: LogFiles) -> tuple[list[str], bytes, bytes]:
    """Return what changes whenever a service starts, rotates, appends or writes the mark."""
    names = files.names()
    mark = files.read(MARK_NAME) if MARK_NAME in names else b""
    segments = [name for name in names if name.endswith(SEGMENT_SUFFIX)]
    return segments, mark, files.read(segments[-1]) if segments else b""


def _replay(scan: Scan, core: Core) -> None:
    for entry in scan.entries:
        try:
            replay_record(core, entry.record)
        except Diverged as error:
            raise damaged(scan.segment.name, entry.offset, str(error)) from error


def _describe(scan: Scan) -> str:
    name, header = scan.segment
    sequences = (
        f"sequences {header.first_sequence}..{scan.position}" if scan.entries else "no record"
    )
    size_bytes = max(scan.end_offset, content_end(scan.data))
    ahead_bytes = len(scan.data) - size_bytes
    filled = f" and {ahead_bytes} filled ahead" if ahead_bytes else ""
    return (
        f"{name}: segment {header.number}, {sequences}, {len(scan.entries)} records, "
        f"{size_bytes} bytes{filled}, sync {header.sync_mode.name.lower()}"
    )
