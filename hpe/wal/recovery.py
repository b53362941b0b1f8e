"""Recovery: from a data directory to a core's state and a writable log.

Owns the order of recovery's steps. Called once at every start, before the matching thread and the
log thread exist, by the thread that owns the core at that time. It may take long and checks its
stop flag after every record. Guarantees: the state is that of a prefix of the log which contains
everything acknowledged under `sync = "batch"`, or an error says what is wrong; nothing is changed
before the whole log has been replayed and checked; everything replayed is durable before anything
is appended. It may be interrupted anywhere and run again. Source: docs/log-format.md, "Recovery".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from hpe.config.settings import SyncPolicy
from hpe.core.contract import Core, Output
from hpe.errors import Diverged, RecoveryStopped
from hpe.machine import THIS_MACHINE, Machine
from hpe.wal.files import DirectoryFiles, LogFiles
from hpe.wal.log import CommandLog, Record, Tail
from hpe.wal.segments import Cut
from hpe.wal.writer import SEGMENT_BYTES_MAX_DEFAULT, FileLog


class RecoveryReport(NamedTuple):
    """The findings and actions of a recovery.

    `cut` is the torn tail that was removed, if there was one; it deserves a warning of its own.
    """

    segments: int
    records: int
    last_sequence: int
    state_hash: bytes
    cut: Cut | None

    def describe(self) -> str:
        """Return one line for the start-up log."""
        return (
            f"recovered sequence {self.last_sequence} from {self.records} records in "
            f"{self.segments} segments, state {self.state_hash.hex()}"
        )


class Recovered(NamedTuple):
    """A log ready for the log thread, its end, and a report. The caller closes the log."""

    report: RecoveryReport
    log: FileLog
    tail: Tail


Observe = Callable[[Output], None]
"""Receives the output that every replayed body reproduced, above all its private reports."""


def _never() -> bool:
    return False


def _ignore(output: Output) -> None:
    pass


def recover(
    directory: str | os.PathLike[str],
    core: Core,
    policy: SyncPolicy,
    *,
    segment_bytes_max: int = SEGMENT_BYTES_MAX_DEFAULT,
    files: LogFiles | None = None,
    observe: Observe = _ignore,
    stop: Callable[[], bool] = _never,
    machine: Machine = THIS_MACHINE,
) -> Recovered:
    """Bring a core to the end of the log in a directory, and make the log writable.

    Args:
        directory: The data directory; created if it does not exist.
        core: A new core. After an error its state is unusable.
        policy: When the log will be synced; old records may have been written under another policy.
        segment_bytes_max: The size at which a new segment starts.
        files: The directory's files, instead of the real ones.
        observe: Called with the output of every body, in order, in this thread.
        stop: Called after every record; True stops the recovery.
        machine: Where salts and the log's id come from.

    Raises:
        DataDirectoryBusy: another process serves this directory.
        WalDamagedError: the log contains bytes that no crash explains; nothing was changed.
        LogVersionError: another version wrote the log; nothing was changed.
        Diverged: a command gave another result than logged; nothing was changed.
        InvariantViolation: the state contradicts itself; nothing was changed.
        WalReadError: the files cannot be read; nothing was changed.
        WalWriteError: the log could not be made durable; run it again.
        RecoveryStopped: `stop` returned True; nothing was changed.
    """
    log = FileLog(
        DirectoryFiles(directory) if files is None else files,
        policy,
        segment_bytes_max=segment_bytes_max,
        machine=machine,
    )
    try:
        log.open()
        cut = log.cut
        records = replay(log, core, stop, observe)
        core.check()
        tail = log.sync()
    except BaseException:
        log.close()
        raise
    report = RecoveryReport(log.segment_count, records, tail.position, core.state_hash(), cut)
    return Recovered(report, log, tail)


def replay(
    log: CommandLog, core: Core, stop: Callable[[], bool] = _never, observe: Observe = _ignore
) -> int:
    """Execute everything in the log that the core has not seen; return the number of records.

    Raises:
        Diverged: a result differs from the logged one.
        RecoveryStopped: `stop` returned True.
    """
    records = 0
    for record in log.read(core.last_sequence):
        replay_record(core, record, observe)
        records += 1
        if stop():
            raise RecoveryStopped(f"recovery was stopped at sequence {record.last_sequence}")
    return records


def replay_record(core: Core, record: Record, observe: Observe = _ignore) -> None:
    """Execute one record.

    Raises:
        Diverged: a result, or the number of commands, differs from what was logged.
    """
    for body in record.bodies:
        observe(core.replay(bytes(body)))
    if core.last_sequence != record.last_sequence:
        raise Diverged(
            core.last_sequence, f"the log's record ends at sequence {record.last_sequence}"
        )
