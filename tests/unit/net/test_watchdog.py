"""What is found about a connection, when, and that no pause of the server cuts a client."""

from __future__ import annotations

import pytest

from hpe.core.output.private_ring import PrivateRing
from hpe.net.limits.credits import CreditPool
from hpe.net.send_queue import SendQueue
from hpe.net.watchdog import (
    BEHIND_PRESSED_S,
    BEHIND_S,
    LOOK_S,
    SECOND_LOOK_S,
    STALL_S,
    WATCH_S,
    Finding,
    Watchdog,
)
from hpe.protocol.limits import SILENCE_HEARTBEATS

START_S = 1_000.0
HEARTBEAT_S = 15.0
STEP_S = 0.25


class DrivenWatchdog:
    """A connection's watchdog and send queue, and its clock."""

    def __init__(self) -> None:
        self.watchdog = Watchdog()
        self.send_queue = SendQueue(3, PrivateRing(100), CreditPool(1_000))
        self.now_s = START_S
        self.progress_s = START_S
        self.pressed = False
        self.due_s = START_S

    def look(self) -> Finding:
        look = self.watchdog.look(self.now_s, self.progress_s, self.send_queue, self.pressed)
        finding, self.due_s = look
        assert self.due_s > self.now_s
        return finding

    def until_found(self, trickles: bool = False) -> tuple[Finding, float]:
        """Let time pass until something is found; return that and how long it took."""
        start_s = self.now_s
        while (finding := self.look()) is Finding.NOTHING:
            self.now_s += STEP_S
            assert self.now_s < start_s + 2 * LOOK_S, "nothing is found"
            if trickles:
                self.progress_s = self.now_s
        return finding, self.now_s - start_s

    def send(self) -> None:
        """Put one reply on its way."""
        self.send_queue.put(b"reply", 1, 10)
        assert self.send_queue.take() is not None
        self.watchdog.sends(True, self.now_s)

    def sent(self) -> None:
        self.watchdog.sent()
        self.progress_s = self.now_s
        assert self.send_queue.take() is None


@pytest.fixture
def desk() -> DrivenWatchdog:
    return DrivenWatchdog()


def test_nothing_is_found_of_a_connection_without_anything(desk: DrivenWatchdog) -> None:
    for _ in range(100):
        assert desk.look() is Finding.NOTHING
        assert desk.due_s == desk.now_s + LOOK_S
        desk.now_s += LOOK_S


def test_a_quiet_side_owes_heartbeats_and_a_silent_client_is_found(desk: DrivenWatchdog) -> None:
    assert desk.watchdog.begin(HEARTBEAT_S, desk.now_s) == desk.now_s + HEARTBEAT_S
    assert desk.until_found() == (Finding.QUIET, HEARTBEAT_S)
    desk.progress_s = desk.now_s
    desk.watchdog.heard_s = desk.now_s
    silence_s = SILENCE_HEARTBEATS * HEARTBEAT_S
    heard_s = desk.now_s
    while (finding := desk.look()) in (Finding.NOTHING, Finding.QUIET):
        desk.now_s = desk.due_s
    assert finding is Finding.SILENT
    assert silence_s < desk.now_s - heard_s <= silence_s + 2 * SECOND_LOOK_S


def test_one_look_is_not_enough(desk: DrivenWatchdog) -> None:
    desk.watchdog.begin(HEARTBEAT_S, desk.now_s)
    desk.now_s += 1_000  # this side stood still
    assert desk.look() is Finding.NOTHING
    assert desk.due_s == desk.now_s + SECOND_LOOK_S
    desk.watchdog.heard_s = desk.progress_s = desk.now_s  # it was there all the time
    assert desk.look() is Finding.NOTHING
    desk.now_s += 1_000
    assert desk.look() is Finding.NOTHING, "suspected anew"
    desk.now_s = desk.due_s
    assert desk.look() is Finding.SILENT


def test_while_the_server_does_not_read_no_client_is_silent(desk: DrivenWatchdog) -> None:
    desk.watchdog.begin(HEARTBEAT_S, desk.now_s)
    desk.watchdog.held = True
    for _ in range(100):
        assert desk.look() is not Finding.SILENT
        desk.now_s += HEARTBEAT_S
    desk.watchdog.held = False
    assert desk.look() is not Finding.SILENT


def test_private_data_that_is_not_taken_is_a_stall_and_market_data_is_none(
    desk: DrivenWatchdog,
) -> None:
    desk.watchdog.sends(False, desk.now_s)
    for _ in range(100):
        assert desk.look() is Finding.NOTHING
        assert desk.due_s == desk.now_s + WATCH_S
        desk.now_s = desk.due_s
    desk.send_queue.put(b"reply", 1, 10)  # behind the market data
    assert desk.until_found() == (Finding.STALLED, STALL_S + STEP_S)


def test_a_client_that_takes_bytes_can_still_be_late(desk: DrivenWatchdog) -> None:
    desk.send()
    finding, waited_s = desk.until_found(trickles=True)
    assert finding is Finding.LATE
    assert BEHIND_S <= waited_s <= BEHIND_S + WATCH_S


def test_under_pressure_there_is_less_patience(desk: DrivenWatchdog) -> None:
    desk.pressed = True
    desk.send()
    finding, waited_s = desk.until_found(trickles=True)
    assert finding is Finding.LATE
    assert BEHIND_PRESSED_S <= waited_s <= BEHIND_PRESSED_S + WATCH_S


def test_a_client_that_keeps_up_is_never_late(desk: DrivenWatchdog) -> None:
    for _ in range(400):
        desk.send_queue.put(b"reply", 1, 10)
        desk.send_queue.put(b"reply", 1, 10)
        desk.send()
        assert desk.look() is Finding.NOTHING
        desk.now_s += STEP_S
        desk.sent()


def test_reports_of_a_private_stream_make_no_client_late(desk: DrivenWatchdog) -> None:
    desk.watchdog.sends(True, desk.now_s)
    for _ in range(100):
        desk.progress_s = desk.now_s
        assert desk.look() is Finding.NOTHING
        desk.now_s += WATCH_S


def test_an_end_has_its_time_and_no_heartbeats(desk: DrivenWatchdog) -> None:
    desk.watchdog.begin(HEARTBEAT_S, desk.now_s)
    assert desk.watchdog.ends(desk.now_s) == desk.now_s + BEHIND_S
    desk.now_s += 3
    assert desk.watchdog.ends(desk.now_s) == START_S + BEHIND_S, "once is enough"
    desk.watchdog.sends(True, desk.now_s)
    assert desk.until_found(trickles=True) == (Finding.ENDLESS, BEHIND_S - 3 + STEP_S)
