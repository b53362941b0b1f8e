"""kill -9 under load: nothing acknowledged is lost, nothing is applied twice."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.support.crash import crash_rounds
from tests.support.crash_replay import BrokenPromise, TraderAnswers, replay_and_compare

SEED = int(os.environ.get("HPE_CRASH_SEED", "20260101"))

MET = {
    *("SubmitOrder", "CancelOrder", "ReplaceOrder", "SubmitOco", "MassCancel", "BlockUser"),
    *("SetStatus", "Uncross", "SetFees", "LockBalance", "CaptureHold", "ReleaseHold", "Transfer"),
    *("triggered", "expired", "linked", "mass_cancel", "prevented match", "self_trade"),
    *("continue", "batches that went on", "expired while dead"),
}
"""What every run accepts and shows, or the traffic is not what it says it is."""


@pytest.mark.parametrize("directory", range(5))
def test_every_acknowledged_command_survives_kill_9(tmp_path: Path, directory: int) -> None:
    totals = crash_rounds(tmp_path, rounds=10, acknowledged_max=500, seed=SEED + directory)
    print(f"seed {SEED + directory}: {totals}")
    assert totals.acknowledged > 100
    assert totals.resent > 0, "no kill hit a command in flight"
    assert totals.asked_again > 0
    assert {name for name in MET if not totals.seen[name]} == set()


@pytest.mark.release
@pytest.mark.timeout(3_600)
def test_three_hundred_kills(tmp_path: Path) -> None:
    acknowledged = resent = asked_again = 0
    seen: Counter[str] = Counter()
    for directory in range(6):
        folder = tmp_path / str(directory)
        folder.mkdir()
        totals = crash_rounds(folder, rounds=50, acknowledged_max=800, seed=SEED * 7 + directory)
        print(f"seed {SEED * 7 + directory}: {totals}")
        assert totals.resent > 0, "no kill hit a command in flight"
        assert totals.asked_again > 0
        acknowledged += totals.acknowledged
        resent += totals.resent
        asked_again += totals.asked_again
        seen += totals.seen
    assert {name for name in MET if not seen[name]} == set()
    assert seen["kills amid a crowd"] > 0, "no kill hit stops that were being served"
    print(
        f"300 kills, {acknowledged} acknowledged, {resent} repeated, {asked_again} asked again, "
        f"{seen['kills amid a crowd']} kills amid a crowd, 0 lost, 0 twice"
    )


def test_the_oracle_misses_what_is_not_in_the_log(tmp_path: Path) -> None:
    """The check itself can fail: an answer that nobody logged, or another answer, is a fault."""
    crash_rounds(tmp_path, rounds=1, acknowledged_max=50, seed=SEED)
    answers = TraderAnswers()
    answers.session_id = 1
    answers.answered = {10**9: (b"\0\0\0\0", b"never")}
    with pytest.raises(BrokenPromise, match="not in the log"):
        replay_and_compare(tmp_path / "data", answers)
    answers.answered = {1: (b"\0\0\0\0other", b"")}
    with pytest.raises(BrokenPromise, match="other content"):
        replay_and_compare(tmp_path / "data", answers)
    answers.answered, answers.refused = {}, {1}
    with pytest.raises(BrokenPromise, match="refused"):
        replay_and_compare(tmp_path / "data", answers)
