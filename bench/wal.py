"""What one durable commit costs: appending to a file, into allocated blocks, or into zeros.

    python bench/wal.py [--directory DIR] [--rounds 9] [--writes 40] [--json [FILE]]
    python bench/wal.py --quick          small: shows that it still works (for CI)

One write (pwritev) and one fdatasync per commit, as the log does it, of 200 B, 80 KiB and 1 MiB.
The three kinds of file take turns within every round, so other load on the disk affects them all;
each figure is the median of the rounds' medians, and ratios are taken round by round. Every round
uses new files, and their content is read back before anything is printed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

# In a checkout, a script's own folder is on the path, but not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report

SIZES: Final = {"200 B": 200, "80 KiB": 80 * 1024, "1 MiB": 1024 * 1024}
PIECE: Final = bytes(1024 * 1024)


def appended(descriptor: int, size_bytes: int) -> None:
    """Leave the file empty: every write makes it longer."""


def allocated(descriptor: int, size_bytes: int) -> None:
    """Allocate the file's blocks and set its size; the blocks stay marked unwritten."""
    os.posix_fallocate(descriptor, 0, size_bytes)


def zero_filled(descriptor: int, size_bytes: int) -> None:
    """Fill the file with zeros: its size and blocks exist, and are written."""
    for offset in range(0, size_bytes, len(PIECE)):
        os.pwrite(descriptor, PIECE[: size_bytes - offset], offset)


KINDS: Final[dict[str, Callable[[int, int], None]]] = {
    "append": appended,
    "fallocate": allocated,
    "zero-filled": zero_filled,
}


def commits_us(directory: Path, kind: str, size_bytes: int, writes: int) -> float:
    """Return the median time of a commit into a new file of a kind."""
    path = directory / "segment"
    body = os.urandom(size_bytes - 2)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        KINDS[kind](descriptor, size_bytes * writes)
        os.fsync(descriptor)
        times = []
        for number in range(writes):
            began = time.perf_counter()
            os.pwritev(descriptor, [b"<", body, b">"], number * size_bytes)
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - began) * 1e6)
        if os.pread(descriptor, size_bytes * writes, 0) != (b"<" + body + b">") * writes:
            raise SystemExit(f"{kind}: the file does not hold what was written")
    finally:
        os.close(descriptor)
        path.unlink()
    return median(times)


def main(words: list[str] | None = None) -> None:
    """Measure and print the costs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", default=".", help="on the disk that is measured")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--writes", type=int, default=40, help="commits per file and round")
    parser.add_argument("--quick", action="store_true", help="1 round of 3 commits")
    report.add_json_option(parser)
    arguments = parser.parse_args(words)
    rounds, writes = (1, 3) if arguments.quick else (arguments.rounds, arguments.writes)
    lines = []
    record: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        for label, size_bytes in SIZES.items():
            found: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for number in range(rounds):
                order = list(KINDS) if number % 2 else list(KINDS)[::-1]
                for kind in order:
                    found[kind].append(commits_us(Path(name), kind, size_bytes, writes))
            row = {kind: median(times) for kind, times in found.items()}
            pairs = zip(found["zero-filled"], found["append"], strict=True)
            ratios = sorted(zeros / base for zeros, base in pairs)
            record[label] = {**row, "ratio": median(ratios)}
            lines.append(
                f"{label:>7}: append {row['append']:,.0f} us, fallocate {row['fallocate']:,.0f}, "
                f"zero-filled {row['zero-filled']:,.0f}, to append {median(ratios):.2f} "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
            )
        disk = report.filesystem(Path(name))
    lines += [report.machine_line(), f"on {disk}, {rounds} rounds of {writes} commits each"]
    report.finish({"commits_us": record}, "\n".join(lines), arguments.json)


if __name__ == "__main__":
    main()
