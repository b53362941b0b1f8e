"""What is logged about clock and disk: when, and how often."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from hpe.pipeline.clock import DAY_NS, SECOND_NS, WALL_NS_MAX, Clock
from hpe.pipeline.watch import SAID_AGAIN_S, STALL_S, Watch
from tests.support.hand_set_clock import NOON_NS, HandSetClock


class DrivenWatch:
    """A watch, its clock, and what waits for the disk."""

    def __init__(self, last_ns: int = 0) -> None:
        self.machine = HandSetClock()
        self.unsynced_s = 0.0
        waiting: Any = SimpleNamespace(
            bytes=7, bytes_peak=9, waits=2, unsynced_s=lambda: self.unsynced_s
        )
        self.watch = Watch(Clock(last_ns, read=self.machine), waiting)


def words(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return said


def test_a_log_that_is_ahead_is_said_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    DrivenWatch(NOON_NS + SECOND_NS).watch.begin()
    assert words(caplog) == [], "a second is nothing"
    DrivenWatch(NOON_NS + 3_725 * SECOND_NS).watch.begin()
    (text,) = words(caplog)
    for word in ("CLOCK", "1:02:05", "half pace", "twice", "welcome"):
        assert word in text


def test_a_jump_is_said_once_a_minute_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    desk = DrivenWatch()
    desk.watch.look(0.0)
    assert words(caplog) == []
    desk.machine.is_set(2 * DAY_NS)
    said = []
    for second in range(1, 122):
        desk.watch.look(float(second))
        said += [(second, text) for text in words(caplog)]
    assert [second for second, _ in said] == [1, 1 + SAID_AGAIN_S, 1 + 2 * SAID_AGAIN_S]
    assert "jumped ahead by 2 days, 0:00:00" in said[0][1]
    desk.machine.is_set(-2 * DAY_NS)
    desk.watch.look(1_000.0)
    assert words(caplog) == []


def test_a_reload_takes_the_clock_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    desk = DrivenWatch()
    desk.watch.renew()
    assert words(caplog) == []
    desk.machine.is_set(2 * DAY_NS)
    assert desk.watch.figures()["clock_jump_ms"] == 2 * 86_400_000
    desk.watch.renew()
    (text,) = words(caplog)
    assert "accepted, 2 days" in text
    assert desk.watch.figures()["clock_jump_ms"] == 0
    desk.machine.wall_ns = WALL_NS_MAX + 1
    desk.watch.renew()
    (text,) = words(caplog)
    assert "not accepted" in text


def test_a_disk_that_stands_still_is_said_and_when_it_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = DrivenWatch()
    said = []
    for second in range(62):
        desk.unsynced_s = STALL_S / 2 + second
        desk.watch.look(float(second))
        said += [(second, text) for text in words(caplog)]
    assert [second for second, _ in said] == [1, 61]
    assert "DISK" in said[0][1]
    assert "1.5 s" in said[0][1]
    desk.unsynced_s = 0.0
    desk.watch.look(70.0)
    assert words(caplog) == ["DISK: the log can be written again"]
    desk.watch.look(71.0)
    assert words(caplog) == []


def test_the_figures() -> None:
    desk = DrivenWatch(NOON_NS + 5 * SECOND_NS)
    desk.unsynced_s = 0.25
    assert desk.watch.figures() == {
        "log_bytes_waiting": 7,
        "log_bytes_waiting_peak": 9,
        "log_matcher_waits": 2,
        "log_unsynced_ms": 250,
        "clock_log_ahead_ms": 5_000,
        "clock_jump_ms": 0,
    }
