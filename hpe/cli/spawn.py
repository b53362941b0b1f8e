"""A service that runs for the length of a block, as replay and the benchmarks start it.

Owns the process and ends it; the caller owns the folder with its data. Blocking, for scripts
and commands outside Trio. Guarantees: inside the block the service is ready; leaving the block
stops the service in order, and it is an error if the service does not exit with code 0.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from hpe.errors import HpeError

START_S_MAX: Final = 30.0
"""A service that has nothing to recover and is not ready by then has failed."""

STOP_S_MAX: Final = 15.0
"""The service exits 10 s after the signal in any case."""

_POLL_S: Final = 0.02


class ServiceFailed(HpeError):
    """The service did not start or did not stop properly; the message quotes its last log lines."""


class Spawned(NamedTuple):
    """Where the service listens, and its process id."""

    host: str
    port: int
    pid: int


@contextmanager
def spawned_service(
    folder: Path, *, core: str = "auto", settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Spawned]:
    """Run `hpe serve` on a free port of the loopback, with its data and its log in `folder`.

    Args:
        folder: an existing folder, which the caller removes.
        core: the core, as for `hpe serve --core`.
        settings: HPE_ variables for the service's environment.

    Raises:
        ServiceFailed: the service was not ready in time, or did not stop as requested.
    """
    ports_file, log_file = folder / "ports.json", folder / "serve.log"
    command = [
        sys.executable, "-m", "hpe", "serve", "--port", "0", "--ports-file", str(ports_file),
        "--data", str(folder / "data"), "--core", core,
    ]  # fmt: skip
    # The service must be this hpe, even if this one runs from a checkout.
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, **settings}
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_until_ready(process, ports_file, log_file)
        port = json.loads(ports_file.read_text(encoding="utf-8"))["port"]
        yield Spawned("127.0.0.1", port, process.pid)
    finally:
        _stop(process)
    if process.returncode:
        raise ServiceFailed(f"hpe serve ended with {process.returncode}: {_last_words(log_file)}")


def _wait_until_ready(process: subprocess.Popen[bytes], ports_file: Path, log: Path) -> None:
    """Wait for the ports file, which the service writes atomically when it is ready."""
    for _ in range(int(START_S_MAX / _POLL_S)):
        if ports_file.exists():
            return
        try:
            code = process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            continue
        raise ServiceFailed(f"hpe serve ended with {code}: {_last_words(log)}")
    raise ServiceFailed(f"hpe serve is not ready after {START_S_MAX} s: {_last_words(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-1_000:].strip()
