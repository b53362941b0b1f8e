"""The output of every benchmark: the machine, percentiles, medians with their spread, JSON.

Owns no measurement. Pure, apart from reading the machine's description and writing the JSON.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final


class AnswersWrong(Exception):
    """What is measured did something other than it was asked to: no figures are printed."""


PERCENTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999))


def add_json_option(parser: ArgumentParser) -> None:
    """Let a script write its result as JSON: to a file, or to the output instead of the table."""
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write the result as JSON to FILE; without FILE to the output, instead of the table",
    )


def finish(record: dict[str, Any], text: str, json_path: str | None) -> None:
    """Print a result as its table, as JSON, or both."""
    encoded = json.dumps({"machine": machine(), **record}, indent=2)
    if json_path == "-":
        print(encoded)
        return
    print(text, flush=True)
    if json_path is not None:
        Path(json_path).write_text(encoded + "\n", encoding="utf-8")


def machine() -> dict[str, str | int]:
    """Return a description of the machine."""
    return {
        "cpu": _cpu_model(),
        "cpus_usable": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def machine_line() -> str:
    """Return a description of the machine in one line."""
    facts = machine()
    return (
        f"machine: {facts['cpus_usable']} usable CPUs, {facts['cpu']}, Linux {facts['kernel']}, "
        f"CPython {facts['python']}"
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def percentiles_us(latencies_ns: Sequence[int]) -> dict[str, float]:
    """Return p50, p90, p99, p99.9 and max in microseconds: exact, from all values."""
    ordered = sorted(latencies_ns)
    found = {
        name: ordered[min(int(share * len(ordered)), len(ordered) - 1)] / 1000
        for name, share in PERCENTILES
    }
    return {**found, "max": ordered[-1] / 1000}


def percentile_line(found: dict[str, float]) -> str:
    """Return percentiles in milliseconds, as text."""
    return "  ".join(f"{name} {value / 1000:.3f}" for name, value in found.items()) + " ms"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median with the lowest and the highest value."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def filesystem(path: Path) -> str:
    """Return the file system of a path: a sync means nothing on tmpfs."""
    resolved = str(path.resolve())
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, found, *_ = line.split()
        inside = resolved == mount or resolved.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def note(text: str) -> None:
    """Report progress on stderr; stdout is for the result."""
    print(text, file=sys.stderr, flush=True)
