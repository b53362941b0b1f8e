"""Whether the sanitizers report what is planted: each fault of _faults.pyx must end its process.

`python -m tests.sanitized.planted FOLDER`, which has the module built for the sanitizers; with the
variables that scripts/sanitize sets. Ends with 1 if a fault is not reported, or if a process dies
without one. One thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_CALL: Final = "import sys, _faults; [getattr(_faults, name)() for name in sys.argv[1:]]"

REPORTS: Final = {
    "use_after_free": "AddressSanitizer: heap-use-after-free",
    "use_of_a_gone_number": "runtime error: load of null pointer",
    "taken_without_reserve": "nothing was reserved",
    "overflow_of_a_buffer": "AddressSanitizer: heap-buffer-overflow",
    "overflow_past_the_room": "AddressSanitizer: heap-buffer-overflow",
    "overflow_of_an_integer": "runtime error: signed integer overflow",
}
"""What the report of each fault says."""


def called(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Call functions of _faults in a process of their own, which reports to its standard error."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    for variable in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        environment[variable] = f"{os.environ.get(variable, '')}:log_path=stderr"
    return subprocess.run(
        [sys.executable, "-c", _CALL, *names],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def missed(folder: Path) -> list[str]:
    """Return what is wrong with the reports."""
    found = []
    innocent = called(folder)
    if innocent.returncode:
        found.append(f"a process without a fault ended with {innocent.returncode}")
        found.append(innocent.stderr)
    for name, report in REPORTS.items():
        ended = called(folder, name)
        if ended.returncode and report in ended.stderr:
            print(f"{name}: reported")
            continue
        found.append(f"{name}: ended with {ended.returncode}, without the report {report!r}")
        found.append(ended.stderr)
    return found


def main() -> int:
    """Run the command; return its exit status."""
    found = missed(Path(sys.argv[1]))
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
