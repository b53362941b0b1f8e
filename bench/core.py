"""The MB workload through the whole core: its speed, and its report beside the known hashes.

    python bench/core.py [--orders N] [--scenario S] [--core C] [--json [FILE]]
    python bench/core.py --rounds 10            each scenario in new processes, with the worst one
    python bench/core.py --before TREE [--rounds 7]     another commit's core beside it, in turn

The clock covers the whole core and nothing else: request bytes in, reply bytes out, balances
settled, log bodies built; making the frames and reading the replies is not measured. TREE is a
checkout of another commit of this project, whose own script runs its core; both must report the
same. Exits with 1 if a hash differs from the known one. One thread; it owns the core that it runs.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import mb, report
from bench.core_client import CORES, CoreClient, in_batches
from hpe.core.contract import Core
from hpe.orderflow.files import ReportStream

BEFORE_SCRIPTS: Final = ("core.py", "conformance.py")
"""What the script of another commit may be called, newest name first."""


class Result(NamedTuple):
    """One scenario's run. `known` is the expected hash, None if it is not known."""

    scenario: str
    orders: int
    messages: int
    trades: int
    resting: int
    resting_lots: int
    core_s: float
    sha256: str
    known: str | None
    python: str

    @property
    def rate(self) -> float:
        """Messages per second inside the core."""
        return self.messages / self.core_s

    def verdict(self) -> str:
        """Return how the hash compares with the known one: unknown, equal or NOT EQUAL."""
        if self.known is None:
            return "unknown"
        return "equal" if self.sha256 == self.known else "NOT EQUAL"

    def record(self) -> dict[str, Any]:
        """Return the run for JSON."""
        return {**self._asdict(), "messages_per_s": self.rate, "verdict": self.verdict()}


def run_scenario(core: Core, scenario: str, orders: int) -> Result:
    """Run one scenario through a new core; check the core's books and balances at the end."""
    client, stream = CoreClient(core), ReportStream()
    for commands in in_batches(mb.messages(scenario, orders)):
        client.run(commands, stream)
    core_s = client.core_ns / 1e9
    core.check()
    known = mb.KNOWN_HASHES.get((scenario, orders))
    return Result(
        scenario, orders, stream.messages, stream.trades, *client.resting(), core_s,
        stream.hexdigest(), known, platform.python_version(),
    )  # fmt: skip


def run_once(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Run each scenario once in this process; return the records and the table."""
    results = []
    # The service keeps the collector out of its matching thread too (it bounds what is left).
    gc.disable()
    for scenario in args.scenarios:
        report.note(f"{scenario} ...")
        results.append(run_scenario(CORES[args.core](), scenario, args.orders))
        gc.collect()
    gc.enable()
    lines = [f"{'scenario':<12} {'messages':>9} {'trades':>7} {'msg/s':>9}  report SHA-256"]
    lines += [
        f"{row.scenario:<12} {row.messages:>9} {row.trades:>7} {row.rate:>9,.0f}  {row.sha256}"
        f"  {row.verdict()}"
        for row in results
    ]
    return [row.record() for row in results], "\n".join(lines)


# --- in processes of their own ------------------------------------------------------------------


def command_of(tree: Path, args: argparse.Namespace) -> list[str]:
    """Return the command that runs a tree's core once, without its scenario."""
    for name in BEFORE_SCRIPTS:
        script = tree / "bench" / name
        if script.exists():
            command = [sys.executable, str(script), "--orders", str(args.orders), "--json"]
            return [*command, "--core", args.core] if name == BEFORE_SCRIPTS[0] else command
    raise SystemExit(f"{tree} has none of {', '.join(BEFORE_SCRIPTS)} in bench/")


def run_apart(command: list[str], scenario: str) -> dict[str, Any]:
    """Run one scenario in a new process; return its record."""
    done = subprocess.run(
        [*command, "--scenario", scenario], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[1]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    found = json.loads(done.stdout)
    row: dict[str, Any] = (found.get("core") or found["conformance"])[0]
    return row


def run_rounds(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Run each scenario several times, in turn with the tree before if there is one."""
    sides = [command_of(Path(__file__).resolve().parents[1], args)]
    if args.before:
        sides.append(command_of(args.before, args))
    rows = []
    for scenario in args.scenarios:
        rounds = []
        for number in range(1, args.rounds + 1):
            rounds.append([run_apart(command, scenario) for command in sides])
            report.note(f"{scenario}: round {number}/{args.rounds}")
        rows.append(_summary(rounds))
    lines = [f"{'scenario':<12} {'msg/s':>9}" + (f" {'before':>9}  ratio" * bool(args.before))]
    lines += [_line(row) for row in rows]
    worst = min(rows, key=lambda row: row["messages_per_s"]["median"])
    lines.append(f"worst: {worst['scenario']}, {worst['messages_per_s']['median']:,.0f} messages/s")
    return rows, "\n".join(lines)


def _summary(rounds: list[list[dict[str, Any]]]) -> dict[str, Any]:
    first = rounds[0][0]
    hashes = {row["sha256"] for pair in rounds for row in pair}
    if len(hashes) != 1:
        raise SystemExit(f"{first['scenario']}: the reports differ: {sorted(hashes)}")
    rates = [[row["messages_per_s"] for row in pair] for pair in rounds]
    summary = {
        "scenario": first["scenario"], "messages": first["messages"], "trades": first["trades"],
        "sha256": first["sha256"], "verdict": first["verdict"],
        "messages_per_s": report.spread([pair[0] for pair in rates]),
    }  # fmt: skip
    if len(rates[0]) > 1:
        summary["before_per_s"] = report.spread([pair[1] for pair in rates])
        summary["ratio"] = report.spread([here / before for here, before in rates])
    return summary


def _line(row: dict[str, Any]) -> str:
    rate = row["messages_per_s"]
    line = f"{row['scenario']:<12} {rate['median']:>9,.0f}"
    if "ratio" not in row:
        return f"{line}  ({rate['low']:,.0f} to {rate['high']:,.0f})"
    ratio = row["ratio"]
    return (
        f"{line} {row['before_per_s']['median']:>9,.0f}  "
        f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
    )


def verdicts_are_good(rows: Iterable[dict[str, Any]]) -> bool:
    """True if no hash differs from the known one."""
    return all(row["verdict"] != "NOT EQUAL" for row in rows)


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="the MB workload through the core")
    parser.add_argument("--orders", type=int, default=20_000, help="new orders per scenario")
    parser.add_argument("--scenario", choices=mb.SCENARIOS, help="only this one")
    parser.add_argument("--core", choices=CORES, default="auto")
    parser.add_argument("--rounds", type=int, default=0, help="each in a new process; default: 1")
    parser.add_argument("--before", type=Path, metavar="TREE", help="another commit's checkout")
    report.add_json_option(parser)
    args = parser.parse_args(arguments)
    args.scenarios = [args.scenario] if args.scenario else list(mb.SCENARIOS)
    if args.before and not args.rounds:
        args.rounds = 5
    rows, text = run_rounds(args) if args.rounds else run_once(args)
    heading = f"{report.machine_line()}\ncore {args.core}, one thread, {args.orders:,} new orders"
    if args.rounds:
        heading += f", median of {args.rounds} rounds (lowest to highest)"
    report.finish({"core": rows}, f"{heading}\n{text}", args.json)
    return int(not verdicts_are_good(rows))


if __name__ == "__main__":
    sys.exit(main())
