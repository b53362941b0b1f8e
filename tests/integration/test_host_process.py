"""An engine changes nothing about its host process, unless it is asked to."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from hpe.config.settings import demo_config
from hpe.engine import HighPerformanceEngine
from hpe.pipeline.collector import SWITCH_INTERVAL_S, YOUNG_OBJECTS_MAX
from tests.support.service import PROJECT


class Process(NamedTuple):
    """What belongs to the process."""

    thresholds: tuple[int, int, int]
    enabled: bool
    frozen: bool
    switch_interval_s: float
    cpus: frozenset[int]


def process() -> Process:
    return Process(
        gc.get_threshold(),
        gc.isenabled(),
        gc.get_freeze_count() > 0,
        sys.getswitchinterval(),
        frozenset(os.sched_getaffinity(0)),
    )


def engine(directory: Path, *, own_process: bool = False) -> HighPerformanceEngine:
    config = demo_config(data_directory=str(directory), request_timeout_ms=10_000)
    return HighPerformanceEngine(config, own_process=own_process)


async def test_an_engine_in_the_process_leaves_it_as_it_is(tmp_path: Path) -> None:
    before = process()
    with trio.fail_after(120):
        async with engine(tmp_path / "data") as exchange:
            await exchange.get_balance(7, "USD")
            assert process() == before
            assert exchange.realtime is not None
            assert "off" in exchange.realtime.describe()
    assert process() == before


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_what_engines_set_is_restored_by_the_last_of_them(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    before = process()
    leave = [trio.Event() for _ in order]
    left = [trio.Event() for _ in order]

    async def live(number: int, task_status: trio.TaskStatus[None]) -> None:
        own_process = number != 1  # one among them asks for nothing
        async with engine(tmp_path / str(number), own_process=own_process):
            task_status.started()
            await leave[number].wait()
        left[number].set()

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            for number in order:
                await nursery.start(live, number)
            alive = {*order}
            for number in order:
                assert process().thresholds[0] == YOUNG_OBJECTS_MAX
                assert process().frozen
                assert process().switch_interval_s == pytest.approx(SWITCH_INTERVAL_S)
                leave[number].set()
                await left[number].wait()
                alive.discard(number)
                if alive <= {1}:
                    break
            assert process()._replace(cpus=before.cpus) == before
            leave[1].set()
    assert process() == before


def test_the_command_has_its_process_for_itself() -> None:
    program = (
        "import os, hpe.cli, hpe.cli.serve\n"
        "def engine(config, **options):\n"
        "    print(options['own_process'], flush=True)\n"
        "    os._exit(0)\n"
        "hpe.cli.serve.HighPerformanceEngine = engine\n"
        "hpe.cli.main(['serve', '--port', '0'])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        check=False,
    )
    assert ran.stdout == "True\n", ran.stderr
