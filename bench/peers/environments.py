"""Virtual environments with one peer each, made in a folder that the caller removes.

Owns which peers there are, and how they are installed. Blocking, for scripts. A peer that cannot
be had here (no interpreter that it accepts, no package index) is no error: the reason is reported.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

INSTALL_S_MAX: Final = 300.0
"""Time for a download and, where there is no wheel, a build."""


class Peer(NamedTuple):
    """A package on PyPI, and the script beside this one that runs it on a flow.

    `keeps` says what it does besides matching; `checked` names the results that it reports.
    """

    package: str
    version: str
    script: str
    keeps: str
    checked: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the package with its version."""
        return f"{self.package} {self.version}"


PEERS: Final = (
    Peer(
        "matching-engine", "0.1.1", "run_matching_engine.py",
        "Python; events, no balances, no log", ("trades", "resting"),
    ),
    Peer(
        "limit-order-book", "3.1.0", "run_limit_order_book.py",
        "C++; no events, no balances, no log", ("resting", "resting_lots"),
    ),
)  # fmt: skip


class Missing(Exception):
    """The peer cannot be had here; the message says why."""


def candidates(named: list[str]) -> Iterator[str]:
    """Yield interpreters to try: the named ones, this one, and those on the path."""
    yield from named
    yield sys.executable
    for minor in (14, 13, 12):
        yield f"python3.{minor}"


def install(peer: Peer, folder: Path, interpreters: list[str]) -> Path:
    """Make an environment with the peer in a new folder; return its interpreter.

    Raises:
        Missing: none of the interpreters could install it; has the last line of the last attempt.
    """
    reason = "no interpreter was found"
    for number, interpreter in enumerate(candidates(interpreters)):
        environment = folder / f"{peer.package}-{number}"
        python = environment / "bin" / "python"
        install_it = [
            str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            f"{peer.package}=={peer.version}",
        ]  # fmt: skip
        try:
            _run([interpreter, "-m", "venv", str(environment)])
            _run(install_it)
        except Missing as fault:
            reason = f"{interpreter}: {fault}"
            continue
        return python
    raise Missing(reason)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_S_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise Missing(str(fault)) from fault
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Missing(lines[-1] if lines else f"{command[0]} ended with {done.returncode}")
