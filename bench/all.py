"""Run every benchmark and write the figures of docs/performance.md.

    python bench/all.py [--data DIR] [--python PATH ...]        takes about an hour
    python bench/all.py --only wal [--only core]                the others keep their figures
    python bench/all.py --quick         small, and writes nothing: for CI

Each script is a process of its own and checks its answers; the first that fails ends the run.
Results are kept in bench/results.json after every step, with the command, the machine and the day,
and the figures of all steps are written anew from there (document.py). One thread; run it on a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import document, report

BENCH: Final = Path(__file__).resolve().parent
DOCUMENT: Final = BENCH.parent / "docs" / "performance.md"
RESULTS: Final = BENCH / "results.json"


class ScriptRun(NamedTuple):
    """A script with its arguments, in full and small.

    `quick` is None if it has no small form. `disk` is the option that names a folder on the disk
    to measure, "" if it has none.
    """

    script: str
    full: str
    quick: str | None
    disk: str = ""

    def arguments(self, quick: bool) -> list[str]:
        """Return the arguments, without those that name something of this machine."""
        return ((self.quick or "") if quick else self.full).split()


SMALL_LOAD: Final = "--connections 3 --window 8 --quick"

STEPS: Final = {
    "core": ScriptRun("core.py", "--orders 100000 --rounds 5", "--orders 20000 --rounds 1"),
    "peers": ScriptRun("peers/compare.py", "--orders 200000 --rounds 5", None),
    "shapes": ScriptRun(
        "load.py", "--shapes --beside-redis --pairs 5", f"{SMALL_LOAD} --beside-redis --pairs 1",
        "--data",
    ),
    "realtime": ScriptRun(
        "load.py", "--shapes 1x1 50x20 500x1 --realtime auto on off",
        f"{SMALL_LOAD} --realtime auto off", "--data",
    ),
    "latency": ScriptRun("latency.py", "--connections 50 --window 20", SMALL_LOAD, "--data"),
    "growth": ScriptRun("growth.py", "--rounds 7", "--quick"),
    "recovery": ScriptRun("recovery.py", "--rounds 5", "--quick", "--data"),
    "wal": ScriptRun("wal.py", "--rounds 9", "--quick", "--directory"),
}  # fmt: skip
"""In the order of the document's sections."""


def run_step(step: ScriptRun, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run a script in a new process; return its result, with the command and the day."""
    words = step.arguments(args.quick)
    output = folder / "result.json"
    private = [step.disk, str(args.data)] if step.disk and args.data else []
    if step.script == "peers/compare.py":
        private += [word for path in args.python for word in ("--python", path)]
    subprocess.run(
        [sys.executable, str(BENCH / step.script), *words, *private, "--json", str(output)],
        check=True,
    )
    return {
        "command": " ".join(["python", f"bench/{step.script}", *words]),
        "date": datetime.date.today().isoformat(),
        "result": json.loads(output.read_text(encoding="utf-8")),
    }


def chosen(args: argparse.Namespace) -> Iterator[tuple[str, ScriptRun]]:
    """Yield the steps that the options ask for."""
    for name, step in STEPS.items():
        if name in (args.only or STEPS) and not (args.quick and step.quick is None):
            yield name, step


def run_all(args: argparse.Namespace) -> None:
    """Run the steps; keep the results and write the document after each, unless they are quick."""
    steps: dict[str, Any] = {}
    if args.results.exists() and not args.quick:
        steps = json.loads(args.results.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        for name, step in chosen(args):
            report.note(f"== {name}")
            steps[name] = run_step(step, args, Path(folder))
            if not args.quick:
                text = json.dumps(steps, indent=1, sort_keys=True)
                args.results.write_text(text + "\n", encoding="utf-8")
                document.write(args.document, steps)
    if args.quick:
        document.render(steps)  # shows that it can be


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="all benchmarks, and the document of the figures")
    parser.add_argument("--only", choices=STEPS, action="append", help="only this step")
    parser.add_argument("--data", type=Path, help="folder on the disk to measure (a new one in it)")
    parser.add_argument("--python", action="append", default=[], help="see bench/peers/compare.py")
    parser.add_argument("--quick", action="store_true", help="small, no figures: for CI")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--results", type=Path, default=RESULTS)
    run_all(parser.parse_args(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
