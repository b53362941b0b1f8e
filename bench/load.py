"""The load generator: requests per second and latency of the durable service over TCP.

    python bench/load.py [--connections C] [--window W] [--requests N]      closed loop
    python bench/load.py --shapes [1x1 50x20 ...]   the seven shapes of the README, or these
    python bench/load.py --realtime auto on off     with each of the service's settings
    python bench/load.py --beside-redis [--pairs 7]      and redis-server beside it, in turn
    python bench/load.py --quick            small: shows that it still works (for CI)

Starts its own service unless --address names one. Each run has new assets, one funded user per
connection, and frames that are encoded before the clock starts; afterwards every reply is decoded
and checked: each request answered once and in order, balances conserved. The same load then goes
to a server that only answers (null_server.py), which shows whether the generator was the limit.
Only then are the figures printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report
from bench.beside_redis import HEADING, beside_redis
from bench.load_run import (
    CONNECTIONS_MAX,
    Shape,
    add_options,
    conditions,
    fresh_run,
    make_shape,
)
from bench.null_server import null_run
from bench.services import redis_is_installed, redis_service

SHAPES: Final = ((1, 1), (1, 64), (1, 1_000), (1, 10_000), (50, 1), (50, 20), (500, 1))
"""Connections x window, as in the table of the README."""


REALTIME: Final = ("auto", "on", "off")
"""The service's setting; each that is named is measured, in turn."""


def parse_shape(text: str) -> tuple[int, int]:
    """Return connections and window of a text like 50x20."""
    connections, _, window = text.partition("x")
    return int(connections), int(window)


def measure(folder: Path, args: argparse.Namespace) -> tuple[Any, str]:
    """Measure what the options ask for; return the record and the table."""
    pairs = [(args.connections, args.window)] if args.shapes is None else args.shapes or SHAPES
    shapes = [make_shape(connections, window, args) for connections, window in pairs]
    if args.beside_redis:
        return _measure_beside_redis(folder, shapes, args)
    runs = []
    for shape in shapes:
        null = None
        for realtime in args.realtime:
            run = fresh_run(folder, shape, args, realtime=realtime)
            null = run.null = null or null_run(run.shape, args.mix, args.seed)
            runs.append(run)
            report.note(run.text().splitlines()[0])
    return [run.record() for run in runs], "\n".join(run.text() for run in runs)


def _measure_beside_redis(
    folder: Path, shapes: list[Shape], args: argparse.Namespace
) -> tuple[Any, str]:
    if not redis_is_installed():
        return None, "skipped: redis-server and redis-benchmark are not installed"
    lines = [
        f"redis-server appendonly, appendfsync always, SET; median of {args.pairs} alternating "
        "pairs (lowest to highest)",
        HEADING,
    ]
    records = {}
    with redis_service(folder) as redis:
        for shape in shapes:
            record, line = beside_redis(folder, redis, shape, args)
            records[shape.text] = record
            lines.append(line)
    return records, "\n".join(lines)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(description="load on the durable service over TCP")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--window", type=int, default=1_000, help="requests in flight on each")
    parser.add_argument(
        "--shapes", nargs="*", type=parse_shape, metavar="CxW", help="these, or all seven"
    )
    parser.add_argument("--realtime", nargs="+", choices=REALTIME, default=["auto"])
    parser.add_argument("--beside-redis", action="store_true")
    parser.add_argument("--pairs", type=int, default=7)
    add_options(parser)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = make_parser()
    args = parser.parse_args(arguments)
    for connections in (args.connections, *(shape[0] for shape in args.shapes or ())):
        if not 0 < connections <= CONNECTIONS_MAX:
            parser.error(f"connections: found {connections}, allowed 1 to {CONNECTIONS_MAX}")
    if args.beside_redis and args.realtime != ["auto"]:
        parser.error("--realtime: only auto is measured beside redis")
    with tempfile.TemporaryDirectory(dir=args.data) as name:
        found = conditions(Path(name), args)
        record, text = measure(Path(name), args)
    report.finish({"load": record, "conditions": found[1:]}, "\n".join([*found, text]), args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
