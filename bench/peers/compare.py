"""The core beside engines that a user would install instead, on the same order flow.

    python bench/peers/compare.py [--orders 200000] [--rounds 5] [--python PATH ...]

Ours: the whole core, from request bytes to reply bytes, with balances settled and log bodies built
(core.py). Theirs: the calls that a program makes which uses the package. Each run is a process of
its own, in an environment of its own, and all take turns; in each, batches of 1,024 commands are
made while the clock is stopped. Figures are printed only if the peer's results are ours: the number
of trades, of resting orders, and of their lots, as far as the peer reports them. A peer that cannot
be installed is skipped, with the reason. --python names an interpreter that a peer may need.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench import mb, report
from bench.core_client import CORES
from bench.peers.environments import PEERS, Missing, Peer, install
from bench.report import AnswersWrong

SCENARIOS: Final = ("normal", "static")
"""A book that stays small, and one that grows."""

HERE: Final = Path(__file__).resolve().parent
CORE_SCRIPT: Final = HERE.parent / "core.py"


class Installed(NamedTuple):
    """A peer with its interpreter."""

    peer: Peer
    python: Path


def run_ours(scenario: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run the core in a new process; return its result."""
    command = [
        sys.executable, str(CORE_SCRIPT), "--scenario", scenario, "--orders", str(args.orders),
        "--core", args.core, "--json",
    ]  # fmt: skip
    row: dict[str, Any] = json.loads(_output_of(command))["core"][0]
    return row


def run_theirs(installed: Installed, flow: Path, messages: int) -> dict[str, Any]:
    """Run a peer on a flow in a new process; return its result."""
    command = [str(installed.python), str(HERE / installed.peer.script), str(flow)]
    result: dict[str, Any] = json.loads(_output_of(command))
    return {**result, "messages_per_s": messages * 1e9 / result["elapsed_ns"]}


def _output_of(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[:2]} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def check(peer: Peer, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Compare the results that the peer reports.

    Raises:
        AnswersWrong: one of them differs.
    """
    for key in peer.checked:
        if ours[key] != theirs[key]:
            raise AnswersWrong(f"{peer.name}: {key} {theirs[key]}, here {ours[key]}")


def compare(
    scenario: str, peers: list[Installed], folder: Path, args: argparse.Namespace
) -> tuple[dict[str, Any], list[str]]:
    """Run all in turn on one scenario; return the record and the lines of the table."""
    flow = folder / f"{scenario}.csv"
    lines = [mb.flow_line(command) for command in mb.messages(scenario, args.orders)]
    flow.write_text("\n".join(lines), encoding="ascii")
    ours: list[dict[str, Any]] = []
    theirs: dict[str, list[dict[str, Any]]] = {each.peer.name: [] for each in peers}
    for number in range(1, args.rounds + 1):
        ours.append(run_ours(scenario, args))
        for each in peers:
            result = run_theirs(each, flow, len(lines))
            check(each.peer, ours[-1], result)
            theirs[each.peer.name].append(result)
        report.note(f"{scenario}: round {number}/{args.rounds}")
    record = {"messages": len(lines), "trades": ours[0]["trades"], "ours": ours, "peers": theirs}
    rows = [_row(scenario, f"hpe, core {args.core}", ours, ours)]
    rows += [_row(scenario, name, ours, results) for name, results in theirs.items()]
    record["rows"] = [row for row, _ in rows]
    return record, [line for _, line in rows]


def _row(
    scenario: str, name: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> tuple[dict[str, Any], str]:
    rate = report.spread([result["messages_per_s"] for result in theirs])
    ratio = report.spread(
        [
            here["messages_per_s"] / there["messages_per_s"]
            for here, there in zip(ours, theirs, strict=True)
        ]
    )
    row = {"scenario": scenario, "engine": name, "per_s": rate, "hpe_ratio": ratio}
    line = (
        f"{scenario:<12} {name:<24} {theirs[0]['python']:<8} {rate['median']:>10,.0f}  "
        f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
    )
    return row, line


def installed_peers(
    folder: Path, args: argparse.Namespace
) -> tuple[list[Installed], dict[str, str]]:
    """Install the peers; return those that could be, and why the others could not."""
    found, skipped = [], {}
    for peer in PEERS:
        report.note(f"installing {peer.name} ...")
        try:
            found.append(Installed(peer, install(peer, folder, args.python)))
        except Missing as fault:
            skipped[peer.name] = str(fault)
    return found, skipped


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="the core beside packages from PyPI")
    parser.add_argument("--orders", type=int, default=200_000, help="new orders in the flow")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scenario", choices=mb.SCENARIOS, action="append")
    parser.add_argument("--core", choices=CORES, default="auto")
    parser.add_argument("--python", action="append", default=[], help="interpreter to try first")
    report.add_json_option(parser)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        peers, skipped = installed_peers(Path(name), args)
        lines = [
            report.machine_line(),
            *(f"{each.peer.name}: {each.peer.keeps}" for each in peers),
            f"MB, {args.orders:,} new orders, median of {args.rounds} rounds in which all take "
            "turns; ratio: hpe to it (lowest to highest)",
            f"{'scenario':<12} {'engine':<24} {'Python':<8} {'messages/s':>10}  ratio",
        ]
        records = {}
        for scenario in args.scenario or SCENARIOS if peers else ():
            records[scenario], rows = compare(scenario, peers, Path(name), args)
            lines += rows
    if not peers:
        lines = []
    for missing, reason in skipped.items():
        lines.append(f"skipped: {missing} cannot be installed here ({reason})")
    report.finish({"peers": records, "skipped": list(skipped)}, "\n".join(lines), args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
