"""The comparison with other engines: what is skipped, and what is checked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import report
from bench.peers import compare, environments
from bench.peers.environments import Missing, Peer

PEER = Peer("a-package", "1.0", "run.py", "", ("trades", "resting"))


def test_a_peer_without_an_interpreter_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "candidates", lambda named: iter(named))
    absent = str(tmp_path / "absent")
    with pytest.raises(Missing, match="absent"):
        environments.install(PEER, tmp_path, [absent])


def test_a_package_that_is_not_there_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "candidates", lambda named: iter(named))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(Missing, match=r"a-package==1\.0"):
        environments.install(PEER, tmp_path, [sys.executable])


def test_peers_that_are_missing_are_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environments, "candidates", lambda named: iter(()))
    assert compare.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(environments.PEERS)
    assert all("cannot be installed here (no interpreter was found)" in line for line in lines)


def test_a_peer_with_other_results_has_no_figure() -> None:
    compare.check(PEER, {"trades": 1, "resting": 2, "more": 3}, {"trades": 1, "resting": 2})
    with pytest.raises(report.AnswersWrong, match="resting 3, here 2"):
        compare.check(PEER, {"trades": 1, "resting": 2}, {"trades": 1, "resting": 3})
