"""Compare two cores by random streams until the seeds run out, or forever.

`python -m tests.differential`: new streams from `--seed` on; each failure is shrunk and stored.
`python -m tests.differential FILE...`: replay stored streams. Ends with 1 if anything failed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from itertools import count, islice
from pathlib import Path

from tests.differential.finding import Finder
from tests.differential.judging import STEP_CPU_S
from tests.differential.reached import Coverage
from tests.differential.recording import load
from tests.differential.telling import told

REFERENCE = "hpe.core.driver:ReferenceCore"
COMPILED = "tests.differential.compiled:new_core"


def arguments() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="stored streams to replay")
    parser.add_argument("--core", default=COMPILED, help="module:name of the core that is compared")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed of the first one")
    parser.add_argument("--streams", type=int, help="how many; without a number: no end")
    parser.add_argument("--commands", type=int, help="stop after so many frames")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many")
    parser.add_argument("--folder", type=Path, default=Path("differential-failures"))
    parser.add_argument("--step-cpu", type=float, default=STEP_CPU_S, help="seconds, then it hangs")
    parser.add_argument("--tries", type=int, default=2_000, help="to make a failure smaller")
    parser.add_argument("--reached", action="store_true", help="say what the streams reached")
    parser.add_argument("--quiet", action="store_true", help="print failures only")
    return parser


def main() -> int:
    """Run the command; return its exit status."""
    given = arguments().parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    reached = Coverage() if given.reached else None
    finder = Finder(REFERENCE, given.core, given.folder, given.step_cpu, given.tries, reached)
    with finder:
        if given.files:
            return replayed(finder, given.files)
        return searched(finder, given)


def replayed(finder: Finder, files: list[Path]) -> int:
    """Replay stored streams."""
    bad = 0
    for path in files:
        recording = load(path)
        verdict = finder.judge.judge(recording)
        bad += not verdict.good
        print(f"{path}: {verdict.kind} {verdict.what}")
        if not verdict.good:
            print(told(finder.judge, recording, verdict))
    return int(bad > 0)


def searched(finder: Finder, given: argparse.Namespace) -> int:
    """Generate streams and compare."""
    frames = failures = 0
    begun = time.process_time()
    kinds: Counter[str] = Counter()
    for seed in islice(count(given.seed), given.streams):
        found = finder.stream(seed)
        frames += found.frames
        kinds[found.verdict.kind] += 1
        if not found.verdict.good:
            failures += 1
            print(f"seed {seed}, after {frames} frames: {found.verdict.kind}", flush=True)
            print(found.text, flush=True)
            print(f"replay: python -m tests.differential {found.path} --core {given.core}")
        elif not given.quiet and sum(kinds.values()) % 50 == 0:
            rate = frames / max(time.process_time() - begun, 0.001)
            print(f"seed {seed}: {frames} frames, {rate:.0f}/s of CPU here", flush=True)
        if failures >= given.failures or (given.commands and frames >= given.commands):
            break
    print(f"{sum(kinds.values())} streams, {frames} frames: {dict(kinds)}")
    if finder.reached is not None:
        print(finder.reached.text())
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
