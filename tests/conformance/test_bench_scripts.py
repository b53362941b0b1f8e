"""The benchmark scripts work: quick runs of the real scripts, without figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import all as all_script
from bench import core as core_script
from bench import crowds, growth, latency, load, mb, recovery, report
from bench.load_run import QUICK_REQUESTS
from bench.services import redis_is_installed
from tests.support.faulty_cores import NoTrades

ROOT = Path(__file__).resolve().parents[2]


def test_core_runs_as_a_script_and_writes_json(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "core.py"), "--orders", "300", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(done.stdout)["core"]
    assert [row["scenario"] for row in rows] == list(mb.SCENARIOS)
    assert {row["verdict"] for row in rows} == {"unknown"}


def test_core_fails_when_a_known_hash_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(mb.KNOWN_HASHES, ("static", 200), "0" * 64)
    assert core_script.main(["--orders", "200", "--scenario", "static"]) == 1
    assert "NOT EQUAL" in capsys.readouterr().out


def test_core_takes_turns_with_another_tree(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--orders", "200", "--scenario", "normal", "--before", str(ROOT), "--rounds", "2"]
    assert core_script.main([*arguments, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["core"]
    assert row["ratio"]["low"] <= row["ratio"]["median"] <= row["ratio"]["high"]
    assert row["messages"] > 200


def test_core_prints_no_figure_if_the_trees_report_other_things(tmp_path: Path) -> None:
    row = {"scenario": "normal", "sha256": "00", "messages_per_s": 1.0}
    (tmp_path / "bench").mkdir()
    script = tmp_path / "bench" / "conformance.py"
    script.write_text(f"print({json.dumps(json.dumps({'conformance': [row]}))})")
    arguments = ["--orders", "20", "--scenario", "normal", "--before", str(tmp_path)]
    with pytest.raises(SystemExit, match="normal: the reports differ"):
        core_script.main([*arguments, "--rounds", "1"])


def test_load_measures_a_service_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--quick", "--connections", "3", "--window", "8", "--json"]
    assert load.main([*arguments, "--data", str(tmp_path)]) == 0
    (closed,) = json.loads(capsys.readouterr().out)["load"]
    assert closed["requests"] == 3 * (QUICK_REQUESTS // 3)
    assert closed["trades"] > 0
    assert closed["offered_per_s"] is None
    assert closed["null_server_per_s"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not redis_is_installed(), reason="redis-server is not installed")
def test_load_measures_redis_in_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--quick", "--window", "50", "--beside-redis", "--pairs", "1", "--json"]
    assert load.main([*arguments, "--data", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)["load"]["1 x 50"]
    better, other = found["redis_runs"][0]
    assert {better["driver"], other["driver"]} == {"redis-benchmark", "own generator"}
    assert better["rate"] >= other["rate"]
    assert found["ratio"]["median"] == found["hpe_per_s"]["median"] / better["rate"]


def test_latency_offers_a_share_of_the_closed_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--quick", "--connections", "3", "--window", "8", "--json"]
    assert latency.main([*arguments, "--data", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)["latency"]
    (opened,) = found["runs"]
    assert opened["requests"] == 3 * (QUICK_REQUESTS // 3)
    assert opened["offered_per_s"] == latency.SHARES[0] * found["closed_per_s"]
    assert opened["schedule_lag_us"]["p50"] >= 0
    assert opened["latency_us"]["max"] >= opened["latency_us"]["p50"] > 0


def test_latency_offers_a_fixed_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--quick", "--connections", "3", "--rate", "4000", "--data", str(tmp_path)]
    assert latency.main(arguments) == 0
    assert "4,000" in capsys.readouterr().out


def test_recovery_finds_the_state_of_both_logs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recovery.main(["--quick", "--json", "--data", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)["recovery"]
    batched, single = found["batched"], found["one-command"]
    assert batched["commands"] == single["commands"] > 2 * recovery.QUICK_ORDERS
    assert batched["records"] < 5 < single["records"]
    assert single["log_bytes"] > batched["log_bytes"] > 10 * batched["commands"]


def test_recovery_prints_no_figure_for_another_state(tmp_path: Path) -> None:
    wanted = recovery.write_log(tmp_path, "auto", 20, 8)
    assert recovery.recover_apart(tmp_path, "auto", wanted) > 0
    with pytest.raises(recovery.StateDiffers, match="logged were"):
        recovery.recover_apart(tmp_path, "auto", {**wanted, "state_hash": "00" * 16})


def test_growth_finds_the_same_trades_beside_every_crowd(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert growth.main(["--quick", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["growth"]
    assert {row["crowd"] for row in rows} == {crowd.name for crowd in crowds.CROWDS}
    assert all(row["with_ns"]["median"] > 0 for row in rows)


def test_growth_prints_no_figure_when_a_trade_is_missed() -> None:
    venue = crowds.CrowdedVenue(40, new_core=NoTrades)
    with pytest.raises(report.AnswersWrong, match="0 trades, 20 expected"):
        growth.measure(venue, crowds.TRADE, 20)


def test_all_keeps_results_and_writes_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = all_script.ScriptRun("wal.py", "--quick", None, "--directory")
    monkeypatch.setitem(all_script.STEPS, "wal", small)
    page, results = tmp_path / "page.md", tmp_path / "results.json"
    page.write_text(f"{all_script.document.BEGIN}\n{all_script.document.END}\n")
    results.write_text("{}")
    arguments = ["--only", "wal", "--document", str(page), "--results", str(results)]
    assert all_script.main([*arguments, "--data", str(tmp_path)]) == 0
    (name,) = json.loads(results.read_text())
    text = page.read_text()
    assert name == "wal"
    assert "`python bench/wal.py --quick`, 20" in text
    assert "| 80 KiB |" in text
    assert str(tmp_path) not in text + results.read_text()


def test_every_step_has_a_section_and_a_script() -> None:
    assert list(all_script.STEPS) == list(all_script.document.SECTIONS)
    for step in all_script.STEPS.values():
        assert (all_script.BENCH / step.script).is_file()


def test_the_document_of_the_figures_has_its_markers() -> None:
    text = all_script.DOCUMENT.read_text(encoding="utf-8")
    assert text.index(all_script.document.BEGIN) < text.index(all_script.document.END)
