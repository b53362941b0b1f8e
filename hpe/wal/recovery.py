"""From a directory to a state and a log that can be written: the start of every service.

Owns the order of recovery's steps. Called once, before the matching and the log thread exist, by
the thread that owns the core then; it may take long and looks at its stop flag after every record.
Guarantees: the state is that of a prefix of the log with everything that was acknowledged under
`sync = "batch"`, or an error says what is wrong and nothing was changed; nothing is changed at all
before the whole log was replayed and checked; what was replayed is durable before anything is
appended. It may be interrupted anywhere and run again. Source: docs/log-format.md, "Recovery".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from hpe.config.settings import SyncPolicy
from hpe.core.contract import Core, Output
from hpe.errors import Diverged, RecoveryStopped
from hpe.wal.files import DirectoryFiles, LogFiles
from hpe.wal.log import CommandLog, Record, Tail
from hpe.wal.segments import Cut
from hpe.wal.writer import SEGMENT_BYTES_MAX_DEFAULT, FileLog


class RecoveryReport(NamedTuple):
    """The findings and actions of a recovery.

    `cut` is the torn tail that it took off, if there was one: worth a warning of its own.
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
    """A log ready for the log thread, its end, and how it came about. The caller closes it."""

    report: RecoveryReport
    log: FileLog
    tail: Tail


Observe = Callable[[Output], None]
"""Is given what every body gave again: private reports, above all."""


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
) -> Recovered:
    """Bring a core to the end of the log in a directory, and the log to where it can be written.

    Args:
        directory: The data directory; created if there is none.
        core: A new core. After an error its state is unusable.
        policy: When the log will be synced; old records may have been written under another.
        segment_bytes_max: Where segments end.
        files: The directory's files, instead of the real ones.
        observe: Called with the output of every body, in order, in this thread.
        stop: Looked at after every record.

    Raises:
        DataDirectoryBusy: another process serves this directory.
        WalDamagedError: the log holds what no crash explains; nothing was changed.
        LogVersionError: another version wrote the log; nothing was changed.
        Diverged: a command gave another result than logged; nothing was changed.
        InvariantViolation: the state contradicts itself; nothing was changed.
        WalReadError: the files cannot be read; nothing was changed.
        WalWriteError: the log could not be made durable; run it again.
        RecoveryStopped: `stop` said so; nothing was changed.
    """
    log = FileLog(
        DirectoryFiles(directory) if files is None else files,
        policy,
        segment_bytes_max=segment_bytes_max,
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
    """Execute everything in the log that the core has not seen; returns the number of records.

    Raises:
        Diverged: a result differs from the logged one.
        RecoveryStopped: `stop` said so.
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
        observe(core.replay(body))
    if core.last_sequence != record.last_sequence:
        raise Diverged(
            core.last_sequence, f"the log's record ends at sequence {record.last_sequence}"
        )
