"""The `hpe` command: runs a subcommand and turns exceptions into exit codes.

Owns the mapping from exceptions to exit codes (sysexits numbers, docs/operations.md) and one
clear line on stderr; each subcommand is a module of its own with `add_parsers`. Called once,
in the main thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from hpe.cli import keys, replay, serve, wal
from hpe.errors import HpeError
from hpe.version import __version__

EXIT_INTERNAL: Final = 70
EXIT_INTERRUPTED: Final = 130
EXIT_UNREAD: Final = 141
"""The reader of the output (head, less) is gone: the code that a shell reports for SIGPIPE."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = argparse.ArgumentParser(prog="hpe", description="A durable spot exchange engine.")
    parser.add_argument("--version", action="version", version=f"hpe {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (serve, keys, replay, wal):
        module.add_parsers(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parsed = build_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        code = run(parsed)
        sys.stdout.flush()  # here, where a failure can still set the exit code
        return code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Python flushes again when it exits: give it somewhere to write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNREAD
    except Exception as error:
        return report_fault(error)


def report_fault(error: Exception) -> int:
    """Report on stderr why the command failed; return the exit code.

    An error that hpe raises on purpose takes one line. Any other is a bug and keeps its traceback.
    """
    for leaf in _leaves(error):
        if isinstance(leaf, HpeError):
            _say(f"hpe: {type(leaf).__name__}: {leaf}")
            return leaf.exit_code
    _say("".join(traceback.format_exception(error)).rstrip())
    _say(f"hpe: internal error: {next(_leaves(error))!r}")
    return EXIT_INTERNAL


def _say(text: str) -> None:
    """Write to stderr if possible: on a full disk, only the exit code remains."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        # Python flushes again when it exits, and would exit with 120 if it cannot write.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # lives as long as the process


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
