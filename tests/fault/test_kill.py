"""kill -9 under load: nothing acknowledged is lost, nothing is applied twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.crash import Fault, Trader, crash_rounds, replay_and_compare

SEED = int(os.environ.get("HPE_CRASH_SEED", "20260101"))


@pytest.mark.parametrize("directory", range(5))
def test_every_acknowledged_command_survives_kill_9(tmp_path: Path, directory: int) -> None:
    totals = crash_rounds(tmp_path, rounds=10, acknowledged_max=2_000, seed=SEED + directory)
    print(f"seed {SEED + directory}: {totals}")
    assert totals.acknowledged > 100
    assert totals.resent > 0, "no kill hit a command in flight"
    assert totals.asked_again > 0


@pytest.mark.release
@pytest.mark.timeout(3_600)
def test_three_hundred_kills(tmp_path: Path) -> None:
    acknowledged = 0
    for directory in range(6):
        folder = tmp_path / str(directory)
        folder.mkdir()
        totals = crash_rounds(folder, rounds=50, acknowledged_max=2_000, seed=SEED * 7 + directory)
        print(f"seed {SEED * 7 + directory}: {totals}")
        assert totals.resent > 0, "no kill hit a command in flight"
        assert totals.asked_again > 0
        acknowledged += totals.acknowledged
    print(f"300 kills, {acknowledged} acknowledged commands, 0 lost")


def test_the_oracle_misses_what_is_not_in_the_log(tmp_path: Path) -> None:
    """The check itself can fail: an answer that nobody logged, or another answer, is a fault."""
    crash_rounds(tmp_path, rounds=1, acknowledged_max=50, seed=SEED)
    trader = Trader(SEED)
    trader.session_id = 1
    trader.answers[10**9] = (b"\0\0\0\0", b"never")
    with pytest.raises(Fault, match="not in the log"):
        replay_and_compare(tmp_path / "data", trader)
    trader.answers = {1: (b"\0\0\0\0other", b"")}
    with pytest.raises(Fault, match="other content"):
        replay_and_compare(tmp_path / "data", trader)
