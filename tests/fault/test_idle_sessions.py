"""The cost of an idle session: logged on, with heartbeats both ways, and nothing else to do."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Final

import psutil
import pytest

from hpe.net.server import DESCRIPTORS_RESERVED
from tests.support.idle_crowd import IdleCrowd
from tests.support.line import statistics
from tests.support.service import ServiceProcess

pytestmark = pytest.mark.alone

MIB: Final = 2**20
BYTES_PER_SESSION_MAX: Final = 150 * MIB // 10_000
LOGONS_BYTES_MAX: Final = 6 * MIB
"""What logging on leaves behind whatever the number: pages of the allocator, the log's buffers."""


def hold(tmp_path: Path, count: int, heartbeat_ms: int, hold_s: float) -> int:
    """Hold this many sessions; return the bytes that the service grew by."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 2 * DESCRIPTORS_RESERVED:
        pytest.skip(f"{count} connections need more descriptors than the {hard} of this machine")
    settings = {"HPE_CONNECTIONS_MAX": str(count + 100)}
    with ServiceProcess(tmp_path, environment=settings) as service:
        process = psutil.Process(service.pid)
        empty = process.memory_info().rss
        begin_s = time.monotonic()
        with IdleCrowd(service.port, tmp_path, count, heartbeat_ms) as crowd:
            took_s = time.monotonic() - begin_s
            cpu_s = sum(process.cpu_times()[:2])
            time.sleep(hold_s)
            cpu_s = sum(process.cpu_times()[:2]) - cpu_s
            grown = process.memory_info().rss - empty
            figures = statistics(service.port)
            idled = crowd.stop()
        print(
            f"{count} sessions logged on in {took_s:.1f} s and held for {hold_s:.0f} s: "
            f"{grown / MIB:.1f} MiB above the empty service's {empty / MIB:.1f} MiB, "
            f"{grown / count / 1_024:.1f} KiB each, {100 * cpu_s / hold_s:.0f} % of a CPU"
        )
        assert figures["connections"] == count + 1
        assert figures["heartbeats_missed"] == 0
        assert idled == (count, 0, count), "every session lives and has heard the service"
    return grown


def test_a_thousand_idle_sessions(tmp_path: Path) -> None:
    grown = hold(tmp_path, 1_000, heartbeat_ms=2_000, hold_s=4)
    assert grown < 1_000 * BYTES_PER_SESSION_MAX + LOGONS_BYTES_MAX


@pytest.mark.release
def test_ten_thousand_idle_sessions(tmp_path: Path) -> None:
    grown = hold(tmp_path, 10_000, heartbeat_ms=15_000, hold_s=50)
    assert grown < 150 * MIB
