"""Servers to measure, each its own process: hpe itself and redis-server.

Owns the processes that it starts and their data folders, which end with the `with` block.
Everything listens on loopback. For scripts, from one thread.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from hpe.cli.spawn import START_S_MAX, STOP_S_MAX, ServiceFailed, spawned_service

_POLL_S: Final = 0.02


class Service(NamedTuple):
    """A server to connect to. `process` is None if it was not started here."""

    host: str
    port: int
    process: psutil.Process | None

    @property
    def address(self) -> tuple[str, int]:
        """Return where it listens."""
        return self.host, self.port

    def cpu_s(self) -> float:
        """Return the CPU seconds that the server has used, 0 if it was not started here."""
        if self.process is None:
            return 0.0
        times = self.process.cpu_times()
        return float(times.user + times.system)


_UNLIMITED: Final = {"HPE_REJECTS_PER_S": "1000000"}
"""Rejects are counted as in every service, but one user's flow may have any number of them."""


@contextmanager
def hpe_service(folder: Path, core: str = "auto", realtime: str = "auto") -> Iterator[Service]:
    """Run hpe on a free port with its data in `folder`; it must stop with exit code 0."""
    settings = {**_UNLIMITED, "HPE_REALTIME": realtime}
    with spawned_service(folder, core=core, settings=settings) as spawned:
        yield Service(spawned.host, spawned.port, psutil.Process(spawned.pid))


@contextmanager
def redis_service(folder: Path) -> Iterator[Service]:
    """Run redis-server with a synced append-only file in `folder`."""
    port = _free_port()
    command = [
        "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder),
        "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no",
    ]  # fmt: skip
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_until_listening(port, process)
        yield Service("127.0.0.1", port, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(STOP_S_MAX)


def redis_is_installed() -> bool:
    """True if both the server and its benchmark are installed."""
    return bool(shutil.which("redis-server") and shutil.which("redis-benchmark"))


def redis_set_calls(service: Service) -> int:
    """Return how many SETs redis has executed; check that it syncs every one."""
    with socket.create_connection((service.host, service.port), timeout=START_S_MAX) as plain:
        plain.sendall(b"CONFIG GET appendfsync\r\nINFO commandstats\r\nQUIT\r\n")
        answer = b""
        while part := plain.recv(65_536):
            answer += part
    text = answer.decode("utf-8")
    if "always" not in text.split("# Commandstats")[0]:
        raise ServiceFailed("redis-server does not sync always")
    _, found, rest = text.partition("cmdstat_set:calls=")
    return int(rest.partition(",")[0]) if found else 0


def _wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(int(START_S_MAX / _POLL_S)):
        if _listens(port):
            return
        try:
            code = process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            continue
        raise ServiceFailed(f"redis-server ended with {code}")
    raise ServiceFailed(f"redis-server does not listen after {START_S_MAX} s")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
