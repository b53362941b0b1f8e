"""An engine takes times and randomness from the machine that it is given, and from nothing else."""

from __future__ import annotations

import os
import random
from pathlib import Path

import trio

from hpe.config.settings import demo_config
from hpe.engine import HighPerformanceEngine
from hpe.machine import Machine
from hpe.protocol.control import Hello
from hpe.protocol.limits import NONCE_BYTES
from hpe.wal.segments import SEGMENT_SUFFIX
from tests.support.gatehouse import KEY, trader, write_keys
from tests.support.hand_set_clock import HandSetClock
from tests.support.wire import pack_request, until, wire


async def served(directory: Path, seed: int) -> None:
    """Serve some commands on a machine made from a seed."""
    machine = HandSetClock().machine(random.Random(seed).randbytes)
    config = demo_config(data_directory=str(directory), request_timeout_ms=60_000)
    for _ in range(2):  # the second start rewrites the last segment under a new salt
        async with (
            HighPerformanceEngine(config, machine=machine) as exchange,
            exchange.client(user=7) as client,
        ):
            for _ in range(3):
                await client.deposit("USD", 10)


def log_bytes(directory: Path) -> dict[str, bytes]:
    """Return the segments of a log."""
    return {path.name: path.read_bytes() for path in directory.glob(f"*{SEGMENT_SUFFIX}")}


async def test_equal_machines_write_equal_logs(tmp_path: Path) -> None:
    with trio.fail_after(120):
        await served(tmp_path / "first", seed=1)
        await served(tmp_path / "again", seed=1)
        await served(tmp_path / "other", seed=2)
    first = log_bytes(tmp_path / "first")
    assert first
    assert log_bytes(tmp_path / "again") == first
    assert log_bytes(tmp_path / "other") != first


async def test_the_gate_takes_nonces_and_pauses_from_it(tmp_path: Path) -> None:
    drawn: list[bytes] = []

    def random_bytes(count: int) -> bytes:
        drawn.append(os.urandom(count))
        return drawn[-1]

    config = demo_config(
        data_directory=str(tmp_path / "data"),
        keys_file=write_keys(tmp_path / "keys.json", trader(KEY, 7)),
        logon_timeout_s=60.0,
    )
    hello = pack_request(Hello(1, 1, 7, key_id=KEY.id))
    with trio.fail_after(120):
        async with HighPerformanceEngine(
            config, machine=Machine(random_bytes=random_bytes)
        ) as engine:
            port = await engine.listen("127.0.0.1", 0)
            before = len(drawn)
            async with wire(port) as client:
                await client.send(hello[:5])
                await until(lambda: len(drawn) > before)  # the pause after a part of a message
                await client.send(hello[5:])
                challenge = await client.receive()
    assert challenge is not None
    assert len(challenge[3]) == NONCE_BYTES
    assert challenge[3] in drawn[before:]
