"""The price of hostile neighbors, measured: what they add to a well-behaved client's p99.

Windows of quiet and of storm (tests/support/storm.py) alternate on one service. The figure is
(p99 of the canary's reply - p99 of fdatasync in the same window), because a disk that others on
this machine use is not the service's fault; its median over the hostile windows may be three times
that over the quiet ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import pytest
import trio

from tests.support.canary import REPLY_S_MAX, Canary, endowment
from tests.support.canary import USER as CANARY_USER
from tests.support.hostile import stirring_money
from tests.support.line import Line, figures_over, statistics
from tests.support.members import CANARY_KEY, operate, write_keys
from tests.support.service import ServiceProcess
from tests.support.storm import DESCRIPTION, SETTINGS, STIRRER, Storm
from tests.support.sync_probe import SyncProbe
from tests.support.tries import in_time, repeated_if_late
from tests.support.watcher import Sample, describe, percentile_s

pytestmark = pytest.mark.alone

PAIRS: Final = 7
WINDOW_S: Final = 10.0
CALM_S: Final = 3.0
SHORT_S: Final = 5.0
ALL_SEEN_S_MAX: Final = 60.0
ATTACKS: Final = (
    "throttled", "logons_failed", "heartbeats_missed", "subscriptions", "slow_consumers",
)  # fmt: skip
"""What shows that every kind of attack took place."""
STRANGERS_MIN: Final = 500

RATIO_MAX: Final = 3.0


@contextmanager
def service_and_canary(tmp_path: Path) -> Iterator[tuple[int, Canary]]:
    """Run a service that a storm can rage on, and its canary; yield the port."""
    settings = {**SETTINGS, "HPE_KEYS_FILE": write_keys(tmp_path / "keys.json")}
    with ServiceProcess(tmp_path, environment=settings) as service:
        operate(service.port, endowment(1))
        operate(service.port, stirring_money(STIRRER))
        with Canary(service.port, tmp_path, key=CANARY_KEY) as canary:
            yield service.port, canary


@repeated_if_late
async def test_a_short_storm_costs_no_reply(tmp_path: Path) -> None:
    with service_and_canary(tmp_path) as (port, canary), Line(port) as line:
        line.log_on(CANARY_USER, CANARY_KEY, window=1)  # in the storm there may be no place
        with Storm(port, tmp_path) as storm:
            await trio.sleep(SHORT_S)
            seen = _figures_when_all_was_seen(line)
            assert storm.works
        log = canary.stop()
    print(log.describe(), seen)
    assert log.faults == []
    assert _missing(seen) == []
    in_time(log.worst_s(), REPLY_S_MAX, "a reply")


def _figures_when_all_was_seen(line: Line) -> dict[str, Any]:
    """Return the figures once every kind of attack is among them, or after ALL_SEEN_S_MAX."""
    end_s = time.monotonic() + ALL_SEEN_S_MAX
    while _missing(seen := figures_over(line)) and time.monotonic() < end_s:
        time.sleep(0.1)  # a pace, no synchronization
    return seen


def _missing(seen: dict[str, Any]) -> list[str]:
    few = ["strangers"] if seen["strangers"] <= STRANGERS_MIN else []
    return few + [name for name in ATTACKS if not seen[name]]


class Window(NamedTuple):
    """What was noted between two moments."""

    replies: list[Sample]
    syncs: list[Sample]

    def p99_ms(self) -> float:
        """Return the replies' p99."""
        return 1_000 * percentile_s(self.replies, 99)

    def price_ms(self) -> float:
        """Return what of the replies' p99 is not the disk's."""
        return self.p99_ms() - 1_000 * percentile_s(self.syncs, 99)

    def describe(self) -> str:
        """Return one line about it."""
        return (
            f"{len(self.replies)} replies {describe(self.replies)}; {len(self.syncs)} syncs "
            f"{describe(self.syncs)}; p99 without the disk's {self.price_ms():.2f} ms"
        )


@pytest.mark.release
@pytest.mark.timeout(600)
def test_a_storm_does_not_triple_the_p99(tmp_path: Path) -> None:
    print(DESCRIPTION)
    spans: list[tuple[float, float]] = []
    with service_and_canary(tmp_path) as (port, canary), SyncProbe(tmp_path) as probe:
        time.sleep(CALM_S)
        for _ in range(PAIRS):
            spans.append(_pass_window())
            with Storm(port, tmp_path, yields=True) as storm:
                time.sleep(CALM_S)
                spans.append(_pass_window())
                assert storm.works
            time.sleep(CALM_S)
        log, syncs = canary.stop(), probe.stop()
        print(statistics(port, CANARY_USER, CANARY_KEY))
    windows = [Window(between(log.replies, *span), between(syncs, *span)) for span in spans]
    quiet, hostile = windows[::2], windows[1::2]
    for pair in zip(quiet, hostile, strict=True):
        for kind, window in zip(("quiet  ", "hostile"), pair, strict=True):
            print(kind, window.describe())
    before, after = (median(window.price_ms() for window in kind) for kind in (quiet, hostile))
    whole = [median(window.p99_ms() for window in kind) for kind in (quiet, hostile)]
    print(
        f"p99 without the disk's, median of {PAIRS}: quiet {before:.2f} ms, hostile "
        f"{after:.2f} ms, {after / before:.2f} times; with it {whole[0]:.2f} and "
        f"{whole[1]:.2f} ms, {whole[1] / whole[0]:.2f} times; worst reply {log.worst_s():.3f} s"
    )
    assert log.faults == []
    assert log.worst_s() < REPLY_S_MAX
    assert after <= RATIO_MAX * before


def between(samples: list[Sample], begin_s: float, end_s: float) -> list[Sample]:
    return [sample for sample in samples if begin_s <= sample.begin_s < end_s]


def _pass_window() -> tuple[float, float]:
    begin_s = time.monotonic()
    time.sleep(WINDOW_S)
    return begin_s, time.monotonic()
