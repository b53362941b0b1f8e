"""The differential proof finds what is planted, and makes it small; its own tests."""

import pytest

from tests.differential.finding import Finder
from tests.differential.generating import StreamMaker
from tests.differential.reached import Coverage
from tests.differential.recording import load, save

REFERENCE = "hpe.core.driver:ReferenceCore"
SEEDS = 60


def found(tmp_path, name, **given):
    with Finder(REFERENCE, f"tests.differential.planted:{name}", tmp_path, **given) as finder:
        for seed in range(SEEDS):
            result = finder.stream(seed)
            if not result.verdict.good:
                return finder.judge.judge(load(result.path)), load(result.path), result
    return pytest.fail(f"{name} was not found by {SEEDS} streams")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("never_busy", "differs"), ("Forgetful", "differs"), ("KilledCore", "signal"),
     ("Raising", "raised"), ("Quitting", "raised")],
)  # fmt: skip
def test_what_is_planted_is_found_and_replays(tmp_path, name, kind):
    again, small, result = found(tmp_path, name, tries_max=80)
    assert result.verdict.kind == again.kind == kind, result.text
    whole = load(result.path.with_name(f"{result.path.stem}-whole.stream"))
    assert small.frames < whole.frames // 2, result.text
    assert "step" in result.text


def test_a_core_that_hangs_is_found(tmp_path):
    again, _, result = found(tmp_path, "Hanging", step_cpu_s=0.3, tries_max=2)
    assert result.verdict.kind == again.kind == "hang"


def test_a_seed_gives_a_stream_and_a_file_gives_it_back(tmp_path):
    one, other = StreamMaker(5).run(), StreamMaker(5).run()
    assert one == other
    assert one != StreamMaker(6).run()
    save(one, tmp_path / "one.stream")
    assert load(tmp_path / "one.stream") == one


def test_streams_reach_all_moves_and_most_reasons():
    reached = Coverage()
    for seed in range(20):
        stream = StreamMaker(seed, reached=reached)
        stream.run()
        assert stream.error is None, f"seed {seed}"
    assert not reached.missing_moves()
    assert not reached.missing_errors()
    assert len(reached.missing_reasons()) <= 30, reached.text()
