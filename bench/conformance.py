"""Run the MB workload through the core and compare its report with the known hashes.

    python bench/conformance.py [--orders N] [--scenario S] [--json [FILE]]

One line per scenario: messages, messages per second, report SHA-256, and whether it is the known
one. The clock covers the whole core and nothing else: request bytes in, reply bytes out, balances
settled, log bodies built; making the frames and reading the replies is not measured. Exits with 1
if a hash differs from the known one. In-process, one thread; it owns the core that it runs.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import mb, report
from bench.core_client import CoreClient, in_batches
from hpe.core import new_core
from hpe.core.contract import Core
from hpe.orderflow.files import ReportStream


class Result(NamedTuple):
    """One scenario's run. `known` is the expected hash, None if it is not known."""

    scenario: str
    orders: int
    messages: int
    trades: int
    core_s: float
    sha256: str
    known: str | None

    @property
    def rate(self) -> float:
        """Messages per second inside the core."""
        return self.messages / self.core_s

    def verdict(self) -> str:
        """Return how the hash compares with the known one: unknown, equal or NOT EQUAL."""
        if self.known is None:
            return "unknown"
        return "equal" if self.sha256 == self.known else "NOT EQUAL"


def run_scenario(core: Core, scenario: str, orders: int) -> Result:
    """Run one scenario through a new core; check the core's books and balances at the end."""
    client, stream = CoreClient(core), ReportStream()
    for commands in in_batches(mb.messages(scenario, orders)):
        client.run(commands, stream)
    core.check()
    known = mb.KNOWN_HASHES.get((scenario, orders))
    return Result(
        scenario, orders, stream.messages, stream.trades, client.core_ns / 1e9,
        stream.hexdigest(), known,
    )  # fmt: skip


def table(results: Iterable[Result]) -> str:
    """Return the table, one line per scenario."""
    lines = [report.machine_line(), "core: python reference, one thread, collector off"]
    lines.append(f"{'scenario':<12} {'messages':>9} {'trades':>7} {'msg/s':>9}  report SHA-256")
    lines += [
        f"{row.scenario:<12} {row.messages:>9} {row.trades:>7} {row.rate:>9,.0f}  {row.sha256}"
        f"  {row.verdict()}"
        for row in results
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="the MB workload through the core")
    parser.add_argument("--orders", type=int, default=20_000, help="new orders per scenario")
    parser.add_argument("--scenario", choices=mb.SCENARIOS, help="only this one")
    report.add_json_option(parser)
    args = parser.parse_args(arguments)
    results = []
    # The service keeps the collector out of its matching thread too (it bounds what is left).
    gc.disable()
    for scenario in [args.scenario] if args.scenario else mb.SCENARIOS:
        report.note(f"{scenario} ...")
        results.append(run_scenario(new_core(), scenario, args.orders))
        gc.collect()
    rows: list[dict[str, Any]] = [
        {**row._asdict(), "messages_per_s": row.rate, "verdict": row.verdict()} for row in results
    ]
    report.finish({"conformance": rows}, table(results), args.json)
    return int(any(row.verdict() == "NOT EQUAL" for row in results))


if __name__ == "__main__":
    sys.exit(main())
