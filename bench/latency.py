"""Latency of the durable service at offered rates: the open loop.

    python bench/latency.py [--connections 50] [--window 20] [--seconds 10]
                                            at 10, 50 and 80 % of the rate of the closed loop
    python bench/latency.py --rate 8000 [--rate 20000]      at fixed rates, in all
    python bench/latency.py --quick         small: shows that it still works (for CI)

Requests are sent when they are due, whatever the service does, and latency is measured from that
time, whether or not a request could be sent then: a pause of the service is in the figures of all
requests that were due meanwhile (no coordinated omission). Every rate gets a service of its own
with an empty folder, unless --address names one, and its answers are checked as those of load.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report
from bench.load_engine import WARM_UP_S
from bench.load_run import (
    CONNECTIONS_MAX,
    LoadRun,
    add_options,
    conditions,
    fresh_run,
    make_shape,
)

SHARES: Final = (0.1, 0.5, 0.8)
"""Of the closed loop's rate. Above it, an open loop shows only how fast a queue grows."""

WINDOW: Final = 1_024
"""Requests in flight on each connection, at most: a pause of the service must not stop the load."""

RATE_MISSED: Final = 0.95
"""Below this share of the offered rate, the service was overloaded."""

_HEADING: Final = (
    f"{'offered/s':>10} {'closed':>6} {'done/s':>9} "
    + " ".join(f"{name:>8}" for name in ("p50", "p90", "p99", "p99.9", "max"))
    + f" {'lag p99':>8} {'gen':>5} {'srv':>5}  (ms; CPU in percent of a core)"
)


def open_run(
    folder: Path, connections: int, rate: float, seconds: float, args: argparse.Namespace
) -> LoadRun:
    """Measure an offered rate for so many seconds after the warm-up."""
    shape = make_shape(connections, WINDOW, args)
    if not args.quick:
        requests = max(int(rate * (seconds + WARM_UP_S)), connections)
        shape = shape._replace(requests=requests, warm_up_s=WARM_UP_S, exact=True)
    return fresh_run(folder, shape, args, rate)


def closed_rate(folder: Path, args: argparse.Namespace) -> float:
    """Return the requests per second of the closed loop, with this script's shape."""
    run = fresh_run(folder, make_shape(args.connections, args.window, args), args)
    report.note(run.text())
    return run.rate


def measure(folder: Path, args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Measure all rates; return the record and the table."""
    closed = 0.0 if args.rate else closed_rate(folder, args)
    shares = SHARES[:1] if args.quick else SHARES
    rates = args.rate or [share * closed for share in shares]
    lines = [
        f"open loop, {args.connections} connections, latency from the time at which each request "
        "was due",
    ]
    if closed:
        shape = f"{args.connections} x {args.window:,}"
        lines.append(f"closed loop, {shape}: {closed:,.0f} requests/s")
    lines.append(_HEADING)
    runs = []
    for rate in rates:
        runs.append(open_run(folder, args.connections, rate, args.seconds, args))
        lines += row(runs[-1], closed)
        report.note(lines[-1])
    record = {
        "connections": args.connections, "window": args.window,
        "closed_per_s": closed or None, "runs": [run.record() for run in runs],
    }  # fmt: skip
    return record, "\n".join(lines)


def row(run: LoadRun, closed: float) -> Sequence[str]:
    """Return a run's line of the table, and its doubts."""
    measured = run.measured
    latency = report.percentiles_us(measured.latencies_ns)
    lag = report.percentiles_us(measured.lag_ns)["p99"]
    share = f"{run.offered / closed:.0%}" if closed else ""
    doubts = run.doubts()
    if run.rate < RATE_MISSED * run.offered:
        doubts.append("THE OFFERED RATE WAS NOT REACHED: the service was overloaded")
    return [
        f"{run.offered:>10,.0f} {share:>6} {run.rate:>9,.0f} "
        + " ".join(f"{value / 1000:>8.2f}" for value in latency.values())
        + f" {lag / 1000:>8.2f} {measured.generator_share:>5.0%} {measured.server_share:>5.0%}",
        *(f"{'':>10} {doubt}" for doubt in doubts),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="latency of the durable service, open loop")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--window", type=int, default=20, help="of the closed loop")
    parser.add_argument("--rate", type=float, action="append", help="requests per second, in all")
    parser.add_argument("--seconds", type=float, default=10.0, help="at each rate")
    add_options(parser)
    args = parser.parse_args(arguments)
    if not 0 < args.connections <= CONNECTIONS_MAX:
        parser.error(f"--connections: found {args.connections}, allowed 1 to {CONNECTIONS_MAX}")
    with tempfile.TemporaryDirectory(dir=args.data) as name:
        found = conditions(Path(name), args)
        record, text = measure(Path(name), args)
    report.finish(
        {"latency": record, "conditions": found[1:]}, "\n".join([*found, text]), args.json
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
