"""The commands that inspect or cut a log: `hpe verify`, `hpe wal dump`, `hpe wal truncate`.

Owns their arguments, wording and exit codes; hpe.wal does the work. Each runs in a process of its
own. verify and dump change nothing; truncate takes the directory's lock. Exit codes: 0 clean,
2 wrong usage, 65 damaged, of another version, or a start would cut commands that may have been
answered, 73 in use, 74 there is no log or it cannot be read, 78 the core is not built.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from hpe.core import new_core
from hpe.errors import HpeError, WalDamagedError, WalReadError
from hpe.extensions import CORE_CHOICES, CoreChoice
from hpe.wal.dump import dump
from hpe.wal.files import DirectoryFiles
from hpe.wal.mark import MARK_NAME
from hpe.wal.segments import segment_names
from hpe.wal.truncate import truncate
from hpe.wal.verify import verify

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parsers(subparsers: SubParsers) -> None:
    """Add the commands of this module to the command line of hpe."""
    checker = subparsers.add_parser("verify", help="check a log and replay it; changes nothing")
    checker.add_argument("directory", metavar="DIR", help="data directory")
    checker.add_argument(
        "--core", choices=CORE_CHOICES, default="auto", help="core that replays it"
    )
    checker.set_defaults(run=run_verify)
    wal = subparsers.add_parser("wal", help="print or cut a log")
    actions = wal.add_subparsers(required=True, metavar="ACTION")
    dumper = actions.add_parser("dump", help="print a log in readable form; changes nothing")
    dumper.add_argument("directory", metavar="DIR", help="data directory")
    dumper.add_argument("--segment", type=_count, metavar="N", help="this segment only")
    dumper.add_argument("--limit", type=_count, metavar="N", help="at most N frames per segment")
    dumper.set_defaults(run=run_dump)
    cutter = actions.add_parser("truncate", help="cut everything above a sequence; keeps a copy")
    cutter.add_argument("directory", metavar="DIR", help="data directory")
    cutter.add_argument(
        "--at", type=_count, required=True, metavar="SEQUENCE", help="the last sequence that stays"
    )
    cutter.set_defaults(run=run_truncate)


def run_verify(arguments: argparse.Namespace) -> int:
    """Verify a log; return the exit code."""
    return _reported(arguments.directory, lambda files: _verify(files, arguments.core))


def run_dump(arguments: argparse.Namespace) -> int:
    """Print a log; return the exit code."""
    return _reported(
        arguments.directory, lambda files: _dump(files, arguments.segment, arguments.limit)
    )


def run_truncate(arguments: argparse.Namespace) -> int:
    """Cut a log; return the exit code."""
    return _reported(arguments.directory, lambda files: _truncate(files, arguments.at))


def _verify(files: DirectoryFiles, choice: CoreChoice) -> None:
    verified = verify(files, new_core(choice=choice), print)
    if verified.cut is not None:
        print(f"a start would cut a {verified.cut.describe()}")
    print(f"last sequence: {verified.last_sequence} in {verified.records} records")
    print(f"state hash: {verified.state_hash.hex()}")
    print("trades and responses: as logged; balances: conserved; invariants: hold")
    if verified.cut is not None and verified.cut.may_be_answered:
        raise WalDamagedError("a start would cut commands that may have been answered")


def _dump(files: DirectoryFiles, segment: int | None, limit: int | None) -> None:
    for line in dump(files, segment, limit):
        print(line)


def _truncate(files: DirectoryFiles, at: int) -> None:
    truncated = truncate(files, at)
    for name in truncated.kept:
        print(f"kept what was cut: {name}")
    print(f"the log ends at sequence {truncated.position}")


def _reported(directory: str, action: Callable[[DirectoryFiles], None]) -> int:
    files = DirectoryFiles(directory)
    try:
        _check_log_is_there(files, directory)
        action(files)
    except HpeError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        files.close()
    return 0


def _check_log_is_there(files: DirectoryFiles, directory: str) -> None:
    """Refuse a mistyped directory, about which an empty log would be a wrong answer."""
    names = files.names()
    if MARK_NAME not in names and not segment_names(files):
        raise WalReadError(f"there is no log in {directory}: neither {MARK_NAME} nor a segment")


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number
