"""Prove a log without touching it: every checksum, the chain, and a replay into a new core.

Owns nothing and changes nothing, not even the lock file; usable beside a running service, whose
last frames it may then not see. Called by `hpe verify` and by tests. Guarantees: when it returns,
recovery of the same files would accept them and reach the reported state. Source:
docs/log-format.md, "Verification".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hpe.core.core import Core
from hpe.errors import Diverged
from hpe.wal.files import LogFiles
from hpe.wal.recovery import replay_record
from hpe.wal.segments import Cut, Scan, damaged, survey


class Verified(NamedTuple):
    """A log that holds. `cut` is the torn tail that recovery would take off."""

    last_sequence: int
    records: int
    state_hash: bytes
    cut: Cut | None


def verify(files: LogFiles, core: Core, report: Callable[[str], None]) -> Verified:
    """Replay a log into a new core and check the state.

    Args:
        files: The data directory.
        core: A new core.
        report: Gets one line per segment as soon as it was proven.

    Raises:
        WalDamagedError: the log is damaged; the message names file and offset.
        LogVersionError: another version wrote it.
        Diverged: a command gives another result than logged.
        InvariantViolation: the state contradicts itself, conservation of money included.
        WalReadError: the files cannot be read.
    """
    image = survey(files)
    records = 0
    for scan in image.scans():
        _replay(scan, core)
        records += len(scan.entries)
        report(_describe(scan))
    core.check()
    return Verified(core.last_sequence, records, core.state_hash(), image.cut)


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
    return (
        f"{name}: segment {header.number}, {sequences}, {len(scan.entries)} records, "
        f"{len(scan.data)} bytes, sync {header.sync_mode.name.lower()}"
    )
