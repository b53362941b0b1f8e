"""The real service for tests: in the test's own Trio loop, or as a process of its own.

`running_service` is the engine with its TCP server, real threads and real files on a free
loopback port. `ServiceProcess` is `python -m hpe serve`, for signals, kill -9 and exit codes;
it ends only the process that it started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from hpe.config.settings import demo_config
from hpe.engine import HighPerformanceEngine
from hpe.wal.files import LogFiles

PROJECT = Path(__file__).resolve().parents[2]
START_S = 120.0
PATIENT = {
    "HPE_ORDERS_WAIT_MS_MAX": "30000",
    "HPE_CANCELS_WAIT_MS_MAX": "30000",
    "HPE_REJECTS_PER_S": "1000000",  # what plays send by chance is rejected by the thousand
}


class RunningService(NamedTuple):
    """Where the service listens, and its engine."""

    host: str
    port: int
    address: str
    engine: HighPerformanceEngine


def refused_start(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `hpe serve` to its end; `data` in this folder is its data directory."""
    return subprocess.run(
        [sys.executable, "-m", "hpe", "serve", "--data", str(directory / "data"), *arguments],
        capture_output=True,
        text=True,
        timeout=START_S,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        check=False,
    )


@asynccontextmanager
async def running_service(
    tmp_path: Path, *, files: LogFiles | None = None, **settings: Any
) -> AsyncIterator[RunningService]:
    """Serve BTC/USD (instrument 1) and ETH/USD (2) on a free loopback port.

    Args:
        tmp_path: the data directory is `data` in it.
        files: the data directory's files, instead of the real ones.
        settings: fields of Config that differ from `demo_config()`.
    """
    # A test's machine may be busy with other tests: what is not about deadlines gets long ones.
    settings = {
        "request_timeout_ms": 10_000,
        "logon_timeout_s": 60.0,
        "orders_wait_ms_max": 30_000,
        "cancels_wait_ms_max": 30_000,
        "polling": os.environ.get("HPE_POLLING", "true") == "true",
        **settings,
    }
    config = demo_config(data_directory=str(tmp_path / "data"), port=0, **settings)
    async with HighPerformanceEngine(config, files=files) as engine:
        port = await engine.listen(config.host, 0)
        yield RunningService(config.host, port, f"{config.host}:{port}", engine)


def _surroundings() -> dict[str, str]:
    """Return this process's environment without what the tests are told: it is no setting."""
    return {name: value for name, value in os.environ.items() if name != "HPE_CRASH_SEED"}


class ServiceProcess:
    """`hpe serve` in a process of its own; a context manager that kills it when left.

    Args:
        directory: holds the data directory `data`, the ports file and the output.
        arguments: further command line arguments.
        environment: added to the environment.
    """

    def __init__(
        self,
        directory: Path,
        arguments: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.host = "127.0.0.1"
        self._ports_file = directory / f"ports-{time.monotonic_ns()}.json"
        self._errors = (directory / "stderr.txt").open("ab+")
        command = [sys.executable, "-m", "hpe", "serve", "--data", str(directory / "data")]
        command += ["--port", "0", "--ports-file", str(self._ports_file), *arguments]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=directory,
            env={**_surroundings(), "PYTHONPATH": str(PROJECT), **PATIENT, **(environment or {})},
        )
        self.ready_line = ""
        self.port = 0

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self.host}:{self.port}"

    def start(self) -> Self:
        """Wait for the ready line.

        Raises:
            RuntimeError: the process ended without one.
        """
        assert self._process.stdout is not None
        self.ready_line = self._process.stdout.readline().rstrip("\n")
        if not self.ready_line:
            raise RuntimeError(f"exit {self.wait()} before ready:\n{self.errors()}")
        self.port = json.loads(self._ports_file.read_text())["port"]
        return self

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait(START_S)

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send any signal."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float = START_S) -> int:
        """Wait for its end; returns the exit code (minus the number of a signal)."""
        return self._process.wait(timeout_s)

    def errors(self) -> str:
        """What it wrote to stderr so far, earlier processes of this directory included."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def __enter__(self) -> Self:
        """Wait for the ready line; when there is none, leave nothing behind."""
        try:
            return self.start()
        except BaseException:
            self._close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill it if it still runs."""
        self._close()

    def _close(self) -> None:
        if self._process.poll() is None:
            self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()
