"""The service on a machine whose clock is wrong, was wrong, or is set while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from hpe.config.settings import demo_config
from hpe.engine import HighPerformanceEngine
from hpe.errors import ConfigError
from hpe.machine import THIS_MACHINE, Machine
from hpe.pipeline.clock import DAY_NS, SECOND_NS, WALL_NS_MAX
from tests.support.service import refused_start

HOUR_NS = 3_600 * SECOND_NS


class WrongClock:
    """The real wall clock, which can be set."""

    def __init__(self, wrong_by_ns: int = 0) -> None:
        self.wrong_by_ns = wrong_by_ns

    def __call__(self) -> int:
        return THIS_MACHINE.wall_ns() + self.wrong_by_ns


def engine(
    tmp_path: Path, clock: WrongClock, *, accept_clock: bool = False
) -> HighPerformanceEngine:
    config = demo_config(
        data_directory=str(tmp_path / "data"),
        request_timeout_ms=10_000,
        orders_wait_ms_max=30_000,
    )
    return HighPerformanceEngine(config, machine=Machine(wall_ns=clock), accept_clock=accept_clock)


async def logged_time_ns(exchange: HighPerformanceEngine) -> int:
    """Return the time of a batch that is made now."""
    async with exchange.client(user=7) as client:
        await client.deposit("USD", 10)
        stages = exchange._stages
        assert stages is not None
        return stages.watch._clock._last_ns


async def hold_ends(exchange: HighPerformanceEngine, hold_id: int) -> None:
    """Hold money for a fifth of a second of logged time and wait until it is back."""
    now_ns = await logged_time_ns(exchange)
    expires_ns = now_ns + SECOND_NS // 5
    await exchange.lock_balance(7, "USD", 5, hold_id=hold_id, expires_ns=expires_ns)
    while (await exchange.get_balance(7, "USD")).held:
        pass  # queries are no commands: it is a tick that ends the hold


async def test_what_a_clock_that_was_ahead_left_behind_still_ends(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with engine(tmp_path, WrongClock(HOUR_NS)) as exchange:
            await hold_ends(exchange, 1)
        async with engine(tmp_path, WrongClock()) as exchange:
            ahead_ms = int(exchange.statistics()["clock_log_ahead_ms"])
            assert 3_500_000 < ahead_ms <= 3_600_000
            await hold_ends(exchange, 2)


async def test_a_clock_set_back_while_the_service_runs_stops_nothing(tmp_path: Path) -> None:
    clock = WrongClock()
    with trio.fail_after(120):
        async with engine(tmp_path, clock) as exchange:
            await logged_time_ns(exchange)
            clock.wrong_by_ns = -400 * DAY_NS
            await hold_ends(exchange, 1)


async def test_a_jump_ahead_ends_nothing_until_an_operator_says_that_it_is_right(
    tmp_path: Path,
) -> None:
    clock = WrongClock()
    tomorrow_ns = THIS_MACHINE.wall_ns() + DAY_NS
    with trio.fail_after(120):
        async with engine(tmp_path, clock) as exchange, exchange.client(user=7) as client:
            await client.deposit("USD", 1_000)
            order = await client.submit_order("BTC/USD", "buy", 1, 1, expires_ns=tomorrow_ns)
            clock.wrong_by_ns = 365 * DAY_NS
            await client.deposit("USD", 1)
            assert (await client.get_order(order.order_id)).leaves == 1
            jump_ms = int(exchange.statistics()["clock_jump_ms"])
            assert abs(jump_ms - 365 * 86_400_000) < 1_000
            await exchange.reload()
            await client.deposit("USD", 1)
            assert (await client.get_order(order.order_id)).leaves == 0, "it is right"


async def test_a_clock_that_cannot_be_right_is_refused(tmp_path: Path) -> None:
    with trio.fail_after(120):
        for wrong_by_ns in (-60 * 365 * DAY_NS, WALL_NS_MAX):
            with pytest.raises(ConfigError, match="2020-01-01"):
                await engine(tmp_path, WrongClock(wrong_by_ns)).__aenter__()
        async with engine(tmp_path, WrongClock()) as exchange:
            await logged_time_ns(exchange)
        late = WrongClock(401 * DAY_NS)
        with pytest.raises(ConfigError, match="--accept-clock"):
            await engine(tmp_path, late).__aenter__()
        async with engine(tmp_path, late, accept_clock=True) as exchange:
            await logged_time_ns(exchange)
        async with engine(tmp_path, late) as exchange:
            await logged_time_ns(exchange)


async def test_the_command_refuses_and_accepts_as_well(tmp_path: Path) -> None:
    """A log that ends 401 days ago; the second start gets past the clock, to a wrong port."""
    async with engine(tmp_path, WrongClock(-401 * DAY_NS)) as exchange:
        await logged_time_ns(exchange)
    refused = await trio.to_thread.run_sync(refused_start, tmp_path, "--port", "0")
    assert refused.returncode == 78, refused.stderr
    assert "--accept-clock" in refused.stderr
    accepted = await trio.to_thread.run_sync(
        refused_start,
        tmp_path,
        "--port",
        "0",
        "--accept-clock",
        "--ports-file",
        "absent/ports.json",
    )
    assert accepted.returncode == 78, accepted.stderr
    assert "absent/ports.json" in accepted.stderr
